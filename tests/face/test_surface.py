"""Neighbourhood on a surface: across texture seams, along ways, and up to borders."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker_blender.errors import TargetError
from codetalker_blender.face.surface import Surface, checked, spread


def strip(columns: int, start: int = 0) -> Surface:
    """A strip of unit squares along x."""
    points = np.array([(x, y, 0.0) for x in range(start, start + columns + 1) for y in (0, 1)], np.float64)
    first = 2 * np.arange(columns)[:, None]
    return Surface(points, np.concatenate([first + np.array([0, 2, 3]), first + np.array([0, 3, 1])]))


def joined(*surfaces: Surface) -> Surface:
    first = np.cumsum([0, *(len(one.points) for one in surfaces)])
    return Surface(
        np.concatenate([one.points for one in surfaces]),
        np.concatenate([one.triangles + n for one, n in zip(surfaces, first, strict=False)]),
    )


def test_vertices_split_by_a_texture_seam_are_one() -> None:
    whole, split = strip(6), joined(strip(3), strip(3, start=3))
    assert len(np.unique(split.pieces)) == 1
    assert split.border.sum() == len(split.points)
    assert split.ways(np.array([0]), np.inf).max() == whole.ways(np.array([0]), np.inf).max()
    assert len(np.unique(joined(strip(3), strip(3, start=9)).pieces)) == 2


def test_ways_follow_edges_and_end_at_their_reach() -> None:
    surface = strip(8)
    ways = surface.ways(np.array([0, 1]), 5.0)
    np.testing.assert_allclose(ways[: 2 * 6], surface.points[: 2 * 6, 0])
    assert np.isinf(ways[2 * 6 :]).all()


def test_normals_look_out_of_a_closed_mesh_and_borders_are_where_it_ends() -> None:
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    triangles = np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))])
    cube = Surface(corners, triangles)
    assert (np.einsum("ij,ij->i", cube.normals, corners) > 0).all()
    assert not cube.border.any()
    assert cube.part(np.arange(12) > 1).border.sum() == 4


def test_spread_points_are_closer_where_that_is_wanted() -> None:
    points = np.random.default_rng(0).uniform(size=(2000, 3)) * (2, 1, 0)
    wanted = np.where(points[:, 0] < 1, 1.0, 3.0)
    taken = points[spread(points, 120, wanted)]
    assert len(np.unique(taken, axis=0)) == 120
    left = int((taken[:, 0] < 1).sum())
    assert left > 5 * (120 - left)


@pytest.mark.parametrize("fault", ["nan", "no faces", "point", "line", "huge", "tiny"])
def test_a_mesh_without_a_surface_is_refused_by_name(fault: str) -> None:
    points, triangles = strip(3).points.copy(), strip(3).triangles
    if fault == "nan":
        points[2, 1] = np.nan
    elif fault == "no faces":
        triangles = triangles[:0]
    elif fault in ("huge", "tiny"):
        points = points * (1e25 if fault == "huge" else 1e-25)
    else:
        points = points * (0 if fault == "point" else (1, 0, 0))
    with pytest.raises(TargetError):
        checked(points, triangles)
