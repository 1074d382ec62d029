"""The pairs of vertices that lips are judged by are found where lips and teeth really meet."""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from codetalker_blender.contracts import FaceMesh, FloatArray
from training.gaps import lip_gaps

from .made_head import INNER_A, INNER_B, LOWER, TOOTH_A, TOOTH_B, UPPER, made_head

FACE = made_head().face


def rolls() -> FloatArray:
    """(3, 30) metres: the left inner lip goes under its tooth, the right one, the jaw opens."""
    rows = np.zeros((3, 10, 3), np.float32)
    rows[0, INNER_A] = rows[1, INNER_B] = (0, 0.0035, 0.0015)
    rows[2, [LOWER, INNER_A, INNER_B]] = (0, 0.002, -0.018)
    return rows.reshape(3, -1)


def touching(left: int, right: int, none: int = 4) -> FloatArray:
    """(frames, 3): so many frames with one inner lip at its tooth, with the other, with none."""
    return np.repeat(np.eye(3, dtype=np.float32), (left, right, none), axis=0)


def pair_mm(face: FaceMesh, offsets: FloatArray, a: int, b: int) -> FloatArray:
    moved = face.vertices + offsets
    return np.asarray(np.linalg.norm(moved[:, a] - moved[:, b], axis=-1) * 1000.0)


def test_the_mid_lips_and_the_teeth_that_are_touched() -> None:
    rows, random = rolls(), np.random.default_rng(0)
    gaps = lip_gaps(FACE, rows, touching(5, 3))
    assert gaps.rest.shape == (3, 3)
    assert gaps.rows.shape == (3, 3, 3)
    motion = random.standard_normal((20, 3)).astype(np.float32)
    offsets = (motion @ rows).reshape(20, 10, 3)
    between = gaps.rest + torch.einsum("tr,rgd->tgd", torch.from_numpy(motion), gaps.rows)
    expected = ((UPPER, LOWER), (INNER_A, TOOTH_A), (INNER_B, TOOTH_B))
    for column, (a, b) in enumerate(expected):
        np.testing.assert_allclose(
            between.norm(dim=-1)[:, column].numpy(), pair_mm(FACE, offsets, a, b), rtol=1e-4, atol=1e-4
        )


def test_a_tooth_that_nothing_touches_is_left_out() -> None:
    motion = touching(5, 0)
    gaps = lip_gaps(FACE, rolls(), motion)
    assert len(gaps.rest) == 2
    touch = gaps.rest + torch.einsum("r,rgd->gd", torch.from_numpy(motion[0]), gaps.rows)
    nearest = pair_mm(FACE, (motion[:1] @ rolls()).reshape(1, 10, 3), INNER_A, TOOTH_A)
    assert abs(float(touch[1].norm()) - float(nearest[0])) < 1e-4


def test_without_contact_there_are_the_mid_lips_alone() -> None:
    gaps = lip_gaps(FACE, rolls(), touching(0, 0, 6))
    np.testing.assert_allclose(gaps.rest, [[0, 0, 0.2]], atol=1e-5)
    # the jaw takes the lower lip from the upper one
    np.testing.assert_allclose(gaps.rows[2, 0], [0, -2.0, 18.0], atol=1e-4)


def test_a_face_without_lips_or_teeth_has_no_error() -> None:
    motion = touching(2, 2)
    nothing = np.zeros(0, np.int32)
    bare = dataclasses.replace(FACE, mid_lips=nothing)
    gaps = lip_gaps(bare, rolls(), motion)
    error = gaps.error(torch.zeros(2, 4, 3, requires_grad=True), torch.ones(2, 4, 3))
    assert error.shape == ()
    assert float(error) == 0.0
    toothless = dataclasses.replace(FACE, regions={**FACE.regions, "upper_teeth": nothing})
    assert len(lip_gaps(toothless, rolls(), motion).rest) == 1


def test_the_error_sees_a_missed_contact_and_not_what_lies_elsewhere() -> None:
    rows = np.concatenate((rolls(), np.zeros((1, 30), np.float32)))
    rows[3, 27:] = (0, 0, 0.01)  # the brow
    gaps = lip_gaps(FACE, rows, np.pad(touching(5, 3), ((0, 0), (0, 1))))
    target = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    assert float(gaps.error(target, target)) == 0.0
    assert float(gaps.error(target + torch.tensor([0.0, 0.0, 0.0, 1.0]), target)) == 0.0
    missed = float(gaps.error(torch.zeros(1, 4), target))
    half = float(gaps.error(0.5 * target, target))
    assert missed > half > 0.0
