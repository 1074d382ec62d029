"""A binding in the .blend: what is read is what was kept, and nothing else is taken for one."""

from __future__ import annotations

import dataclasses
import io
import json

import numpy as np
import pytest

from codetalker_blender.contracts import FaceMesh
from codetalker_blender.errors import TargetError
from codetalker_blender.face.binding import Binding, is_current, pack, signature, unpack
from codetalker_blender.face.quality import Quality
from codetalker_blender.face.transfer import apply

POINTS = np.random.default_rng(0).normal(size=(9, 3)).astype(np.float32)
TRIANGLES = np.array([[0, 1, 2], [3, 4, 5], [6, 7, 8]], np.int32)
FACE = FaceMesh(POINTS[:6], TRIANGLES[:2], np.zeros(0, np.int32), np.zeros(0, np.int32))


@pytest.fixture
def binding() -> Binding:
    """Three vertices of a mesh of nine: one follows a place, one an anchor, one half a vertex."""
    return Binding(
        model=signature(FACE.vertices, FACE.triangles),
        mesh=signature(POINTS, TRIANGLES),
        source_count=6,
        vertex_count=9,
        moved=np.array([1, 4, 8], np.int32),
        sources=np.array([[0, 1, 2, 0], [6, 7, 8, 9], [5, 0, 0, 0]], np.int32),
        weights=np.array([[0.5, 0.25, 0.25, 0], [1, -1, 0.5, 0.5], [0.5, 0, 0, 0]], np.float32),
        frames=np.stack([np.eye(3), 2 * np.eye(3), np.eye(3)[[1, 2, 0]]]).astype(np.float32),
        anchored=np.array([3, 4], np.int32),
        anchor_weights=np.array([[1, 0, 0.5, 0], [0, 1, 0.5, 2]], np.float32),
        anchor_counts=np.array([2], np.int32),
        distance_mm=np.linspace(0, 3, 9).astype(np.float32),
        quality=Quality(0.5, 2.0, 0.99, 0.95, 1.2, 400, None),
    )


def test_offsets_are_mixed_turned_and_grown_as_the_table_says(binding: Binding) -> None:
    offsets = np.random.default_rng(1).normal(size=(5, 2, 6, 3)).astype(np.float32)
    found = apply(binding, offsets)
    assert found.shape == (5, 2, 9, 3)
    anchors = np.einsum("kc,...kx->...cx", binding.anchor_weights, offsets[..., 3:5, :])
    expected = np.zeros((5, 2, 9, 3), np.float32)
    expected[..., 1, :] = 0.5 * offsets[..., 0, :] + 0.25 * (offsets[..., 1, :] + offsets[..., 2, :])
    mixed = anchors[..., 0, :] - anchors[..., 1, :] + 0.5 * (anchors[..., 2, :] + anchors[..., 3, :])
    expected[..., 4, :] = 2 * mixed
    expected[..., 8, :] = 0.5 * offsets[..., 5, [1, 2, 0]]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    with pytest.raises(ValueError, match="6"):
        apply(binding, offsets[..., :5, :])


def test_what_was_kept_is_read(binding: Binding) -> None:
    found = unpack(pack(binding))
    for item in dataclasses.fields(Binding):
        kept, read = getattr(binding, item.name), getattr(found, item.name)
        if isinstance(kept, np.ndarray):
            assert read.dtype == kept.dtype
            np.testing.assert_allclose(read, kept, atol=1e-3 if item.name == "distance_mm" else 0)
        else:
            assert read == kept
    assert found.bound_share == pytest.approx(3 / 9)


def test_a_binding_is_stale_when_mesh_or_model_changed(binding: Binding) -> None:
    assert is_current(binding, FACE, POINTS, TRIANGLES)
    # Blender hands out other types of numbers than numpy makes.
    assert is_current(binding, FACE, POINTS.astype(np.float64), TRIANGLES.astype(np.int64))
    moved = POINTS.copy()
    moved[3, 2] += 1e-5
    assert not is_current(binding, FACE, moved, TRIANGLES)
    assert not is_current(binding, FACE, POINTS, TRIANGLES[:, [1, 2, 0]])
    assert not is_current(binding, dataclasses.replace(FACE, vertices=moved[:6]), POINTS, TRIANGLES)


@pytest.mark.parametrize("fault", ["empty", "cut", "index", "shape", "nan", "version", "anchors", "quality"])
def test_other_bytes_are_refused_in_one_sentence(binding: Binding, fault: str) -> None:
    packed = pack(binding)
    with np.load(io.BytesIO(packed)) as file:
        arrays = dict(file)
    facts = json.loads(arrays["facts"].tobytes())
    if fault == "index":
        arrays["sources"] = arrays["sources"] + 10
    elif fault == "shape":
        arrays["weights"] = arrays["weights"][:2]
    elif fault == "nan":
        arrays["frames"] = arrays["frames"] * np.nan
    elif fault == "version":
        facts["version"] = 7
    elif fault == "anchors":
        arrays["anchor_counts"] = np.array([5], np.int32)
    elif fault == "quality":
        facts["quality"] = {"mean_mm": 1.0}
    arrays["facts"] = np.frombuffer(json.dumps(facts).encode(), np.uint8)
    stream = io.BytesIO()
    np.savez(stream, **arrays)
    damaged = {"empty": b"", "cut": packed[: len(packed) // 2]}.get(fault, stream.getvalue())
    with pytest.raises(TargetError, match="7" if fault == "version" else "cannot be read"):
        unpack(damaged)
