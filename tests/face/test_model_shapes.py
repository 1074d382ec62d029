"""The demo head's shapes as they are; those of another face are carried over once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.errors import TargetError
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes, visemes_of
from codetalker_blender.face.model_shapes import Carry, model_shapes


class Stretched:
    """A face in millimetres: every second vertex of the demo head, 1.2 times as tall; and the way there."""

    def __init__(self) -> None:
        head = demo_head_face()
        self.rows = np.arange(0, head.vertex_count, 2)
        self.factors = np.array([1000.0, 1000.0, 1200.0], np.float32)
        nothing = np.zeros((0, 3), np.int32)
        self.face = FaceMesh(
            head.vertices[self.rows] * self.factors, nothing, np.zeros(0, np.int32), np.zeros(0, np.int32)
        )
        self.carried = 0

    def carry(self, offsets: FloatArray) -> FloatArray:
        self.carried += 1
        found: FloatArray = offsets[:, self.rows] * self.factors
        return found


def refuses(offsets: FloatArray) -> FloatArray:
    raise TargetError("The face does not fit.")


def test_the_demo_heads_own_shapes_need_no_carrying(tmp_path: Path) -> None:
    found = model_shapes(demo_head_face(), 1.0, tmp_path / "kept", refuses)
    assert found.names == demo_head_shapes().names
    np.testing.assert_array_equal(found.offsets, demo_head_shapes().offsets)
    assert not list(tmp_path.iterdir())


def test_another_face_gets_them_in_metres_and_once(tmp_path: Path) -> None:
    other = Stretched()
    found = model_shapes(other.face, 1000.0, tmp_path / "new" / "kept", other.carry)
    wanted = demo_head_shapes().offsets[:, other.rows] * np.array([1.0, 1.0, 1.2], np.float32)
    np.testing.assert_allclose(found.offsets, wanted, atol=1e-7)
    again = model_shapes(other.face, 1000.0, tmp_path / "new" / "kept", refuses)
    assert again.names == found.names and other.carried == 1
    np.testing.assert_array_equal(again.offsets, found.offsets)


def test_a_face_that_changed_is_carried_to_anew(tmp_path: Path) -> None:
    other = Stretched()
    model_shapes(other.face, 1000.0, tmp_path, other.carry)
    model_shapes(replace(other.face, vertices=other.face.vertices * 1.01), 1000.0, tmp_path, other.carry)
    model_shapes(other.face, 1001.0, tmp_path, other.carry)
    assert other.carried == 3


def test_what_is_kept_may_be_damaged_or_refused(tmp_path: Path) -> None:
    other = Stretched()
    first = model_shapes(other.face, 1000.0, tmp_path, other.carry)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    second = model_shapes(other.face, 1000.0, tmp_path, other.carry)
    np.testing.assert_array_equal(first.offsets, second.offsets)
    assert other.carried == 2
    (tmp_path / "file").write_text("no folder")
    third = model_shapes(other.face, 1000.0, tmp_path / "file", other.carry)
    np.testing.assert_array_equal(first.offsets, third.offsets)


def test_a_face_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    carry: Carry = refuses
    with pytest.raises(TargetError, match="does not fit"):
        model_shapes(Stretched().face, 1000.0, tmp_path / "kept", carry)
    assert not list(tmp_path.iterdir())


def test_visemes_go_with_the_shapes(tmp_path: Path) -> None:
    other = Stretched()
    shapes = model_shapes(other.face, 1000.0, tmp_path, other.carry)
    factors = np.array([1.0, 1.0, 1.2], np.float32)
    wanted = visemes_of(demo_head_shapes()).offsets[:, other.rows] * factors
    np.testing.assert_allclose(visemes_of(shapes).offsets, wanted, atol=1e-6)
    jawless = shapes.chosen([name for name in shapes.names if name != "jawOpen"])
    assert visemes_of(jawless).chosen(["viseme_aa"]).offsets.any()
