"""The similarity from a template to a mesh: exact where there is one, honest where there is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.contracts import FloatArray
from codetalker_blender.errors import TargetError
from codetalker_blender.face.fit import fit_similarity


def rotation(seed: int) -> NDArray[np.float64]:
    matrix: NDArray[np.float64] = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return matrix if np.linalg.det(matrix) > 0 else -matrix


@pytest.fixture
def template() -> FloatArray:
    """A head-sized cloud of points, metres."""
    return (np.random.default_rng(1).normal(size=(200, 3)) * (0.08, 0.1, 0.14)).astype(np.float32)


@pytest.mark.parametrize("scale", [1000.0, 0.2, 1.0])
@pytest.mark.parametrize("seed", range(3))
def test_recovers_scale_rotation_and_translation(template: FloatArray, scale: float, seed: int) -> None:
    turn, move = rotation(seed), np.array([3.0, -1.0, 0.5]) * scale
    mesh = (scale * template @ turn.T + move).astype(np.float32)
    fit = fit_similarity(template, mesh)
    assert fit.scale == pytest.approx(scale, rel=1e-5)
    np.testing.assert_allclose(fit.rotation, turn, atol=1e-5)
    np.testing.assert_allclose(fit.translation, move, atol=1e-5 * scale)
    assert fit.residual_mm(1.0) < 1e-3
    assert not fit.mirrored


def test_offsets_turn_and_grow_with_the_mesh(template: FloatArray) -> None:
    turn = rotation(7)
    offsets = np.random.default_rng(2).normal(size=(4, 200, 3)).astype(np.float32) * 0.01
    mesh = (50.0 * (template * 5.0) @ turn.T).astype(np.float32)
    # The template is kept in units of 0.2 m: five units per metre.
    fit = fit_similarity((template * 5.0).astype(np.float32), mesh)
    moved = (50.0 * (template + offsets) * 5.0 @ turn.T).astype(np.float32)
    turned = offsets @ (fit.scale * 5.0 * fit.rotation).T
    np.testing.assert_allclose(mesh + turned, moved, atol=2e-4)


def test_another_identity_leaves_a_residual_in_millimetres(template: FloatArray) -> None:
    noise = np.random.default_rng(3).normal(size=template.shape) * 0.002 / np.sqrt(3)
    fit = fit_similarity(template, (template + noise).astype(np.float32))
    assert fit.residual_mm(1.0) == pytest.approx(2.0, rel=0.1)
    # The same, with a template in millimetres.
    fit = fit_similarity(template * 1000, (template + noise).astype(np.float32))
    assert fit.residual_mm(1000.0) == pytest.approx(2.0, rel=0.1)


def test_mirrored_mesh_moves_mirrored(template: FloatArray) -> None:
    mirror = np.array([-1.0, 1.0, 1.0], np.float32)
    fit = fit_similarity(template, template * mirror)
    assert fit.mirrored
    offsets = np.full((1, 200, 3), 0.01, np.float32)
    np.testing.assert_allclose(offsets @ (fit.scale * fit.rotation).T, offsets * mirror, atol=1e-7)


def test_flat_mesh_is_rotated_not_mirrored() -> None:
    flat = np.random.default_rng(4).normal(size=(50, 3)) * (1, 1, 0)
    turn = rotation(5)
    fit = fit_similarity(flat.astype(np.float32), (flat @ turn.T).astype(np.float32))
    assert not fit.mirrored
    assert fit.residual < 1e-5


@pytest.mark.parametrize("shape", ["point", "nan", "count"])
def test_mesh_without_a_usable_shape_is_refused(template: FloatArray, shape: str) -> None:
    mesh = {"point": np.ones_like(template), "nan": template.copy(), "count": template[:-1]}[shape]
    if shape == "nan":
        mesh[3, 1] = np.nan
    with pytest.raises(TargetError):
        fit_similarity(template, mesh)
