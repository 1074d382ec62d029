"""A motion as a few weighted shapes: the bound is kept, and measured; no more shapes than it takes."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker_blender.contracts import FloatArray
from codetalker_blender.face.compact import Basis, factorise, reduce


def motion(frames: int, vertices: int, rank: int, seed: int = 0, decay: float = 0.7) -> FloatArray:
    """Offsets of the given rank, a centimetre large, each direction smaller than the last by ``decay``."""
    random = np.random.default_rng(seed)
    weights = random.standard_normal((frames, rank)) * decay ** np.arange(rank)
    shapes = random.standard_normal((rank, 3 * vertices)) * 0.003
    offsets: FloatArray = (weights @ shapes).reshape(frames, vertices, 3).astype(np.float32)
    return offsets


def distance(one: FloatArray, other: FloatArray) -> float:
    """The largest distance of a vertex in any frame."""
    return float(np.linalg.norm(one.astype(np.float64) - other, axis=2).max())


@pytest.mark.parametrize(("frames", "vertices"), [(1, 5), (7, 40), (200, 90), (300, 20), (40, 1)])
@pytest.mark.parametrize("bound", [1e-3, 1e-4, 1e-5])
def test_the_bound_is_kept_and_the_error_is_the_true_one(frames: int, vertices: int, bound: float) -> None:
    offsets = motion(frames, vertices, rank=30)
    whole = factorise(offsets, 1e-7)
    found = reduce(whole.basis, bound)
    assert found.error <= bound
    # To what float32 can hold of offsets of some centimetres.
    assert distance(found.basis.offsets(), offsets) == pytest.approx(found.error, abs=1e-7 + whole.error)
    assert whole.error <= 1e-7


@pytest.mark.parametrize("rank", [1, 3, 11, 70])
def test_a_motion_of_low_rank_takes_that_many_shapes(rank: int) -> None:
    offsets = motion(400, 150, rank, decay=0.95)
    assert factorise(offsets, 1e-7).basis.count == rank


@pytest.mark.parametrize("bound", [3e-4, 1e-4, 2e-5])
def test_one_shape_fewer_would_break_the_bound(bound: float) -> None:
    offsets = motion(250, 80, rank=40, decay=0.75)
    count = factorise(offsets, bound).basis.count
    assert 1 < count < 40
    flat = offsets.reshape(250, -1).astype(np.float64)
    left, sizes, right = np.linalg.svd(flat, full_matrices=False)
    fewer = (left[:, : count - 1] * sizes[: count - 1]) @ right[: count - 1]
    assert distance(fewer.reshape(offsets.shape).astype(np.float32), offsets) > bound


def test_noise_of_full_rank_is_met_all_the_same() -> None:
    offsets = np.random.default_rng(3).normal(scale=0.001, size=(300, 200, 3)).astype(np.float32)
    found = factorise(offsets, 1e-6)
    assert found.error <= 1e-6
    assert distance(found.basis.offsets(), offsets) <= 1.1e-6


def test_weights_are_what_sliders_show() -> None:
    basis = factorise(motion(300, 60, rank=20), 1e-5).basis
    assert basis.weights.max(axis=0) == pytest.approx(np.ones(basis.count))
    assert basis.weights.min() >= -1.0
    assert basis.weights.dtype == basis.shapes.dtype == np.float32


def test_a_still_face_takes_one_shape() -> None:
    found = factorise(np.zeros((50, 30, 3), np.float32), 1e-4)
    assert (found.basis.count, found.error) == (1, 0.0)
    assert np.isfinite(found.basis.weights).all() and not found.basis.offsets().any()


def test_a_bound_that_cannot_be_met_is_reported() -> None:
    basis = factorise(motion(60, 30, rank=5), 1e-7).basis
    found = reduce(basis, 1e-12)
    assert found.error > 1e-12
    assert distance(found.basis.offsets(), basis.offsets()) < 1e-7


def test_redundant_shapes_are_merged() -> None:
    basis = factorise(motion(200, 70, rank=6), 1e-7).basis
    double = Basis(
        np.concatenate([basis.weights, basis.weights], axis=1),
        np.concatenate([0.25 * basis.shapes, 0.75 * basis.shapes]),
    )
    found = reduce(double, 1e-6)
    assert found.basis.count == 6
    assert distance(found.basis.offsets(), basis.offsets()) < 2e-6


def test_the_same_motion_gives_the_same_basis() -> None:
    offsets = motion(200, 70, rank=12)
    one, other = factorise(offsets, 1e-5).basis, factorise(offsets.copy(), 1e-5).basis
    np.testing.assert_array_equal(one.weights, other.weights)
    np.testing.assert_array_equal(one.shapes, other.shapes)


def test_offsets_add_to_the_rest_shape_and_turn_with_the_mesh() -> None:
    basis = factorise(motion(90, 30, rank=4), 1e-7).basis
    rest = np.random.default_rng(1).normal(size=(30, 3)).astype(np.float32)
    np.testing.assert_allclose(basis.offsets(rest), rest + basis.offsets(), atol=1e-6)
    matrix = np.array([[0.0, -2, 0], [2, 0, 0], [0, 0, 2]])
    np.testing.assert_allclose(basis.transformed(matrix).offsets(), basis.offsets() @ matrix.T, atol=1e-6)
