"""The demo head's shapes are there, belong to the default model, and go into files and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import ShapeWeights
from codetalker_blender.errors import UserError
from codetalker_blender.face.blendshapes import (
    Blendshapes,
    demo_head_face,
    demo_head_shapes,
    demo_head_visemes,
    is_demo_template,
    read_blendshapes,
    write_blendshapes,
)
from codetalker_blender.face.shape_names import ARKIT, VISEMES
from codetalker_blender.model_files import read_face_file


def test_the_demo_head_has_them_all() -> None:
    shapes, visemes = demo_head_shapes(), demo_head_visemes()
    assert set(shapes.names) == set(ARKIT) and visemes.names == VISEMES
    assert shapes.vertex_count == visemes.vertex_count == demo_head_face().vertex_count
    moved = np.linalg.norm(shapes.offsets, axis=2).max(axis=1)
    assert moved.min() > 0.001 and moved.max() < 0.05, "millimetres, in metres"
    assert not visemes.chosen(["viseme_sil"]).offsets.any()
    lower = demo_head_face().mid_lips[1]
    assert visemes.chosen(["viseme_aa"]).offsets[0, lower, 2] < -0.005


def test_the_default_model_has_this_face(default_bundle: Path) -> None:
    vertices = read_face_file(default_bundle / "face.npz").vertices
    assert is_demo_template(vertices)
    assert not is_demo_template(vertices / 1000), "another size"
    assert not is_demo_template(vertices + np.float32(0.01) * (vertices > 0))
    assert not is_demo_template(vertices[:-1])


def test_motion_is_the_weighted_sum() -> None:
    offsets = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
    shapes = Blendshapes(("a", "b", "c"), offsets)
    weights = ShapeWeights(
        ("c", "other", "a"), np.array([[0.5, 9.0, -1.0], [0.0, 1.0, 0.25]], np.float32), 30.0
    )
    wanted = np.stack([0.5 * offsets[2] - offsets[0], 0.25 * offsets[0]])
    np.testing.assert_allclose(shapes.motion(weights), wanted, atol=1e-6)


def test_files_keep_the_shapes(tmp_path: Path) -> None:
    shapes = Blendshapes(
        ("jawOpen", "ключ"), np.random.default_rng(0).normal(size=(2, 5, 3)).astype(np.float32)
    )
    write_blendshapes(tmp_path / "shapes.npz", shapes)
    found = read_blendshapes(tmp_path / "shapes.npz")
    assert found.names == shapes.names
    np.testing.assert_array_equal(found.offsets, shapes.offsets)


@pytest.mark.parametrize(
    ("arrays", "says"),
    [
        ({"names": np.array(["a"])}, "lacks deltas"),
        ({"names": np.array(["a", "a"]), "deltas": np.zeros((2, 4, 3))}, "different names"),
        ({"names": np.array(["a"]), "deltas": np.zeros((2, 4, 3))}, r"must be \(1, V, 3\)"),
        ({"names": np.array(["a"]), "deltas": np.zeros((1, 4, 3), int)}, r"must be \(1, V, 3\)"),
        ({"names": np.array(["a"]), "deltas": np.full((1, 4, 3), np.nan)}, "finite"),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, arrays: dict[str, np.ndarray], says: str) -> None:  # type: ignore[type-arg]
    np.savez(tmp_path / "shapes.npz", **arrays)
    with pytest.raises(UserError, match=rf"shapes\.npz.*{says}"):
        read_blendshapes(tmp_path / "shapes.npz")
