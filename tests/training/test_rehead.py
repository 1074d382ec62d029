"""A bundle on another head moves it by the same shape weights."""

from __future__ import annotations

import dataclasses
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch

from codetalker_blender.contracts import Waveform
from codetalker_blender.engine.bundle import Bundle, load_bundle
from codetalker_blender.engine.generate import generate
from codetalker_blender.errors import UserError
from tests.engine.tiny import grid_face, tiny_bundle
from training.articulation_head import Head
from training.rehead import rehead
from training.windows import vertex_basis

SHAPES = 16


def head(columns: int, rows: int, seed: int) -> Head:
    face = grid_face(columns, rows)
    random = np.random.default_rng(seed)
    deltas = random.normal(0.0, 0.004, (SHAPES, face.vertex_count, 3)).astype(np.float32)
    return Head(face, tuple(f"shape{k}" for k in range(SHAPES)), deltas)


def on_its_head(old: Head) -> Bundle:
    with tempfile.TemporaryDirectory() as folder:
        bundle = load_bundle(tiny_bundle(Path(folder) / "old", "streamable", old.face))
    basis = vertex_basis(old.deltas)
    assert len(basis.rows) == bundle.codec.config.basis_rank == SHAPES
    bundle.codec.vertex_basis.copy_(torch.from_numpy(basis.rows))
    return bundle


def test_the_same_codes_move_the_other_head_by_the_same_weights() -> None:
    old, new = head(7, 6, 0), head(5, 9, 1)
    sound = 0.1 * np.random.default_rng(2).standard_normal(16_000).astype(np.float32)
    style = np.array([[1.0, 0.0, 0.0]], np.float32)
    before = generate(on_its_head(old), Waveform(sound, 16_000), style, device="cpu")
    after = generate(rehead(on_its_head(old), old, new), Waveform(sound, 16_000), style, device="cpu")
    np.testing.assert_array_equal(after.codes, before.codes)
    assert np.abs(before.offsets).max() > 1e-4
    flat = old.deltas.reshape(SHAPES, -1).astype(np.float64)
    weights = before.offsets.reshape(len(before.offsets), -1) @ np.linalg.pinv(flat)
    wanted = np.tensordot(weights, new.deltas, 1)
    np.testing.assert_allclose(after.offsets, wanted, atol=1e-3 * np.abs(wanted).max())


def test_the_basis_stays_orthonormal_and_encoding_finds_the_same_codes() -> None:
    old, new = head(7, 6, 0), head(5, 9, 1)
    weights = torch.from_numpy(np.random.default_rng(3).uniform(0, 1, (1, 12, SHAPES)).astype(np.float32))
    bundle = on_its_head(old)
    codes = []
    for one, face in ((bundle, old), (rehead(on_its_head(old), old, new), new)):
        rows = one.codec.vertex_basis
        torch.testing.assert_close(rows @ rows.t(), torch.eye(SHAPES), atol=1e-5, rtol=0)
        offsets = weights @ torch.from_numpy(face.deltas.reshape(SHAPES, -1))
        with torch.inference_mode():
            codes.append(one.codec.encode(one.codec.to_motion(offsets)))
    assert float((codes[0] == codes[1]).float().mean()) > 0.98


def test_heads_that_do_not_fit_are_refused() -> None:
    old, new = head(7, 6, 0), head(5, 9, 1)
    other = dataclasses.replace(new, shape_names=("brow", *new.shape_names[1:]))
    with pytest.raises(UserError, match="shapes differ"):
        rehead(on_its_head(old), old, other)
    with pytest.raises(UserError, match="not made of the old head's shapes"):
        rehead(on_its_head(old), head(7, 6, 5), new)
    with pytest.raises(UserError, match="where the old head has 45"):
        rehead(on_its_head(old), new, old)
