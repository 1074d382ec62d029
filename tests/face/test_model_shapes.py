"""The demo head's shapes as they are; those of another face are carried over once."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.errors import OutputError, TargetError
from codetalker_blender.face.blendshapes import (
    Blendshapes,
    demo_head_face,
    demo_head_shapes,
    visemes_of,
)
from codetalker_blender.face.model_shapes import Carry, keep_shapes, shapes_of, template_of


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

    def keep(self, folder: Path) -> bool:
        return keep_shapes(self.face, 1000.0, folder, self.carry)

    def shapes(self, folder: Path) -> Blendshapes:
        found = shapes_of(template_of(self.face, 1000.0), folder)
        assert found is not None
        return found


def refuses(offsets: FloatArray) -> FloatArray:
    raise TargetError("The face does not fit.")


def test_the_demo_heads_own_shapes_need_no_carrying(tmp_path: Path) -> None:
    head = demo_head_face()
    assert not keep_shapes(head, 1.0, tmp_path / "kept", refuses)
    found = shapes_of(template_of(replace(head, vertices=head.vertices * 1000), 1000.0), tmp_path / "kept")
    assert found is not None and found.names == demo_head_shapes().names
    np.testing.assert_array_equal(found.offsets, demo_head_shapes().offsets)
    assert not list(tmp_path.iterdir())


def test_another_face_gets_them_in_metres_and_once(tmp_path: Path) -> None:
    other, folder = Stretched(), tmp_path / "new" / "kept"
    assert shapes_of(template_of(other.face, 1000.0), folder) is None
    assert other.keep(folder)
    found = other.shapes(folder)
    wanted = demo_head_shapes().offsets[:, other.rows] * np.array([1.0, 1.0, 1.2], np.float32)
    np.testing.assert_allclose(found.offsets, wanted, atol=1e-7)
    assert found.names == demo_head_shapes().names
    assert not keep_shapes(other.face, 1000.0, folder, refuses)
    assert [path.suffix for path in folder.iterdir()] == [".npz"], "no temporary file is left"


def test_a_face_that_changed_is_carried_to_anew(tmp_path: Path) -> None:
    other = Stretched()
    other.keep(tmp_path)
    keep_shapes(replace(other.face, vertices=other.face.vertices * 1.01), 1000.0, tmp_path, other.carry)
    keep_shapes(other.face, 1001.0, tmp_path, other.carry)
    assert other.carried == 3


def test_what_is_kept_may_be_damaged(tmp_path: Path) -> None:
    other = Stretched()
    other.keep(tmp_path)
    first = other.shapes(tmp_path)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:1000])
    assert shapes_of(template_of(other.face, 1000.0), tmp_path) is None
    assert other.keep(tmp_path)
    np.testing.assert_array_equal(first.offsets, other.shapes(tmp_path).offsets)


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(OutputError, match=r"cannot be kept in '.*file'"):
        Stretched().keep(tmp_path / "file")


def test_a_face_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    carry: Carry = refuses
    with pytest.raises(TargetError, match="does not fit"):
        keep_shapes(Stretched().face, 1000.0, tmp_path / "kept", carry)
    assert not list(tmp_path.iterdir())


def test_visemes_go_with_the_shapes(tmp_path: Path) -> None:
    other = Stretched()
    other.keep(tmp_path)
    shapes = other.shapes(tmp_path)
    factors = np.array([1.0, 1.0, 1.2], np.float32)
    wanted = visemes_of(demo_head_shapes()).offsets[:, other.rows] * factors
    np.testing.assert_allclose(visemes_of(shapes).offsets, wanted, atol=1e-6)
    jawless = shapes.chosen([name for name in shapes.names if name != "jawOpen"])
    assert visemes_of(jawless).chosen(["viseme_aa"]).offsets.any()
