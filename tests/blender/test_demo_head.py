"""*Add Demo Head*: the shipped head in the scene, ready to speak, and nothing else."""

from __future__ import annotations

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender import resources
from codetalker_blender.blender.mesh import demo_head
from codetalker_blender.blender.runs import generation
from codetalker_blender.blender.sidebar import sequencer_panel
from codetalker_blender.errors import UserError
from tests.blender import scenes


@pytest.fixture(autouse=True)
def has_head() -> None:
    if not (resources.assets_folder() / demo_head.FILE).is_file():
        pytest.skip("there is no demo head in this checkout")


def target_line() -> str:
    return next(str(check) for check in generation.checks(bpy.context) if check.label == "Target")


def test_head_comes_to_the_cursor_and_fits_the_default_model(blender: None) -> None:
    scene = bpy.context.scene
    scene.cursor.location = (1.0, -2.0, 0.5)
    other = scenes.add_sheet("Other")
    other.select_set(True)
    kept = scenes.dump()["objects/Other"]
    assert bpy.ops.codetalker.add_demo_head() == {"FINISHED"}
    head = scene.codetalker.target
    assert tuple(head.location) == (1.0, -2.0, 0.5)
    assert bpy.context.view_layer.objects.active == head
    assert bpy.context.selected_objects == [head]
    assert head.library is None and head.data.library is None and not bpy.data.libraries
    assert all(polygon.use_smooth for polygon in head.data.polygons)
    assert len(head.data.materials) >= 5
    assert all(material is not None and material.library is None for material in head.data.materials)
    assert "jawOpen" in head.data.shape_keys.key_blocks
    assert target_line() == f"Target: {len(head.data.vertices):,} vertices, the topology of 'default'"
    assert scenes.differences(kept, scenes.dump()["objects/Other"]) == []
    assert len(bpy.data.scenes) == 1 and not bpy.data.cameras and not bpy.data.lights


def test_every_press_adds_a_head_of_its_own(blender: None) -> None:
    scene = bpy.context.scene
    bpy.ops.codetalker.add_demo_head()
    first = scene.codetalker.target
    bpy.ops.codetalker.add_demo_head()
    second = scene.codetalker.target
    assert first != second and first.data != second.data
    assert len(scene.objects) == 2


def test_it_waits_for_object_mode(blender: None) -> None:
    sheet = scenes.add_sheet()
    bpy.context.view_layer.objects.active = sheet
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Object Mode"):
        bpy.ops.codetalker.add_demo_head()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert bpy.ops.codetalker.add_demo_head() == {"FINISHED"}


def test_missing_object_adds_nothing(blender: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_head, "NAME", "Somebody Else")
    before = scenes.dump()
    with pytest.raises(UserError, match="holds no object called 'Somebody Else'"):
        demo_head.append(bpy.context.scene.collection)
    assert scenes.differences(before, scenes.dump()) == []
    assert not bpy.data.libraries


def test_sequencer_has_a_panel_of_the_same_tab(blender: None) -> None:
    panel = bpy.types.CODETALKER_PT_sequencer
    assert (panel.bl_space_type, panel.bl_category) == ("SEQUENCE_EDITOR", "CodeTalker")
    assert panel.bl_label == sequencer_panel.LABEL
