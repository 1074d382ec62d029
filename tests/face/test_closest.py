"""The closest place on a surface, against a search of all triangles, and with a say in which to take."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.face.closest import ClosestPlaces, Wish, nearest
from codetalker_blender.face.surface import Surface

Array = NDArray[np.float64]


def bumpy(seed: int = 0) -> Surface:
    """A wavy sheet of uneven triangles, about 0.1 in size."""
    random = np.random.default_rng(seed)
    x, y = np.meshgrid(np.linspace(0, 0.1, 14), np.linspace(0, 0.1, 11))
    points = np.stack([x, y, 0.02 * np.sin(60 * x) * np.cos(50 * y)], axis=-1).reshape(-1, 3)
    points += random.normal(size=points.shape) * 0.0015
    index = np.arange(len(points)).reshape(11, 14)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    triangles = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )
    return Surface(points, triangles)


def searched(surface: Surface, points: Array) -> Array:
    """(n,) distances by trying a fine grid of places on every triangle."""
    share = np.array([(i / 24, j / 24) for i in range(25) for j in range(25 - i)])
    weights = np.column_stack([share, 1 - share.sum(axis=1)])
    places = np.einsum("wk,fkc->fwc", weights, surface.points[surface.triangles]).reshape(-1, 3)
    return np.array([np.linalg.norm(places - point, axis=1).min() for point in points])


def test_distances_are_those_of_a_search_of_everything() -> None:
    surface = bumpy()
    points = np.random.default_rng(1).uniform(-0.01, 0.11, (60, 3)) * (1, 1, 0.2)
    found = ClosestPlaces(surface, 0.05).find(points)
    there = found.of(surface, surface.points)
    np.testing.assert_allclose(np.linalg.norm(points - there, axis=1), found.distance, atol=1e-9)
    assert found.weights.min() >= -1e-12
    np.testing.assert_allclose(found.weights.sum(axis=1), 1.0, atol=1e-12)
    # The grid's places lie up to half a millimetre from each other.
    assert np.abs(found.distance - searched(surface, points)).max() < 0.3e-3


def test_beyond_reach_a_place_near_enough_is_found() -> None:
    surface = bumpy()
    points = np.random.default_rng(2).uniform(-0.1, 0.2, (40, 3))
    exact, rough = ClosestPlaces(surface, 0.5).find(points), ClosestPlaces(surface, 0.004).find(points)
    assert (rough.triangle >= 0).all()
    assert (rough.distance >= exact.distance - 1e-12).all()
    assert (rough.distance - exact.distance).max() < 0.004


@pytest.fixture
def lips() -> tuple[Surface, Array]:
    """Two sheets a tenth of a millimetre apart that face each other, and the side of each vertex."""
    x, y = np.meshgrid(np.linspace(0, 0.05, 8), np.linspace(0, 0.02, 5))
    sheet = np.stack([x, y, np.zeros_like(x)], axis=-1).reshape(-1, 3)
    index = np.arange(40).reshape(5, 8)
    a, b, c, d = index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]
    up = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)])
    points = np.concatenate([sheet, sheet + np.array([0, 0, 1e-4])])
    # The lower sheet faces up, the upper one down.
    return Surface(points, np.concatenate([up, up[:, ::-1] + 40])), np.repeat([-1.0, 1.0], 40)


def test_the_other_lip_is_never_taken(lips: tuple[Surface, Array]) -> None:
    surface, sides = lips
    random = np.random.default_rng(3)
    points = np.column_stack(
        [random.uniform(0, 0.05, 50), random.uniform(0, 0.02, 50), random.uniform(-5e-4, 5e-4, 50)]
    )
    for side in (-1.0, 1.0):
        found = ClosestPlaces(surface, 0.01, sides).find(points, Wish(sides=np.full(50, side)))
        assert (sides[surface.triangles[found.triangle]] == side).all()
        # Nor is it where nothing else is within reach.
        far = points + np.array([0, 0, 0.03 * side])
        found = ClosestPlaces(surface, 0.01, sides).find(far, Wish(sides=np.full(50, -side)))
        assert (sides[surface.triangles[found.triangle]] == -side).all()


def test_without_sides_what_faces_the_right_way_is_taken(lips: tuple[Surface, Array]) -> None:
    surface, sides = lips
    points = np.column_stack([np.linspace(0.001, 0.049, 30), np.full(30, 0.01), np.linspace(-1e-4, 2e-4, 30)])
    for side in (-1.0, 1.0):
        normals = np.tile([0.0, 0.0, -side], (30, 1))
        found = ClosestPlaces(surface, 0.01).find(points, Wish(normals, bend=0.002))
        assert (sides[surface.triangles[found.triangle]] == side).all()


def test_nearest_is_exact_far_from_the_origin() -> None:
    random = np.random.default_rng(4)
    among, points = random.normal(size=(500, 3)), random.normal(size=(200, 3))
    expected = np.array([((among - point) ** 2).sum(axis=1).argmin() for point in points])
    far = np.array([1000.0, -500.0, 2000.0])
    assert np.array_equal(nearest(points, among), expected)
    assert np.array_equal(nearest(points + far, among + far), expected)
