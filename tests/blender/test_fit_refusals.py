"""Meshes that cannot be fitted are named at once, with what is wrong with them, and nothing changes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender import resources
from tests.blender import scenes
from tests.blender.test_fit_mesh import placed, remeshed


@pytest.fixture
def head(blender: None) -> bpy.types.Object:
    mesh = remeshed()
    obj = scenes.add_mesh("Head", placed(mesh.points).astype(np.float32), mesh.triangles)
    settings = bpy.context.scene.codetalker
    settings.target = obj
    settings.model, settings.model_folder = "OTHER_FOLDER", str(resources.default_model())
    return obj


def without_faces(obj: bpy.types.Object) -> None:
    obj.data.clear_geometry()
    obj.data.from_pydata([(0.0, 0.0, 0.0), (1.0, 0.0, 0.0)], [(0, 1)], [])


def endless(obj: bpy.types.Object) -> None:
    obj.data.vertices[7].co.z = np.nan


def a_point(obj: bpy.types.Object) -> None:
    obj.data.vertices.foreach_set("co", np.zeros(3 * len(obj.data.vertices), np.float32))


HARMS: dict[Callable[[bpy.types.Object], None], str] = {
    without_faces: "has no faces",
    endless: "not finite numbers",
    a_point: "has no extent",
}


@pytest.mark.parametrize("name", ["Head", "Teeth"])
@pytest.mark.parametrize("harm", HARMS)
def test_a_mesh_that_is_none_is_named(
    head: bpy.types.Object, harm: Callable[[bpy.types.Object], None], name: str
) -> None:
    """Be it the head or another mesh of the character, which would only be met after the fit."""
    head.codetalker.mapping.companions.add().object = scenes.add_sheet("Teeth")
    harm(bpy.data.objects[name])
    before = scenes.dump()
    with pytest.raises(RuntimeError, match=f"'{name}': The mesh .*{HARMS[harm]}") as caught:
        bpy.ops.codetalker.fit_mesh()
    assert ("other meshes" in str(caught.value)) == (name == "Teeth")
    assert [line for line in scenes.differences(before, scenes.dump()) if "nan" not in line] == []


def test_the_models_own_face_with_a_broken_place_is_named(obj: bpy.types.Object, settings: object) -> None:
    endless(obj)
    with pytest.raises(RuntimeError, match="'Face': The mesh has 1 vertices whose coordinates"):
        bpy.ops.codetalker.generate()
