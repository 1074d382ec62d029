"""Sliders change our animation and nothing else, and need the file alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.retargeting import tuning
from codetalker_blender.blender.runs import generation
from codetalker_blender.blender.writing import animation, owned_actions, takes
from codetalker_blender.face.tuning import soft_regions
from tests.blender import scenes
from tests.blender.speaking import (
    EXACT,
    OWN,
    START,
    add_own,
    assert_shows,
    made_motion,
    sheet_face,
    shown,
    speak,
)


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_sliders_go_and_come_back(obj: bpy.types.Object, own: str, output: str) -> None:
    add_own(obj, own)
    obj.codetalker.output = output
    offsets = made_motion()
    speak(obj, offsets)
    bpy.context.scene.frame_set(1)
    before = scenes.dump()
    obj.codetalker.strength_mouth = 0.0
    share = soft_regions(sheet_face(), 1.0).weights[0]
    bound = EXACT if output == "PER_FRAME" else 1e-4 + EXACT
    for index in (0, 7, 19):
        expected = offsets[index] * (1 - share)[:, None]
        # The file keeps regions in half precision.
        np.testing.assert_allclose(shown(obj, START + index), expected, atol=bound + 2e-5)
    assert bpy.ops.codetalker.reset_tuning() == {"FINISHED"}
    bpy.context.scene.frame_set(1)
    assert scenes.differences(before, scenes.dump()) == []


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_sliders_set_before_a_run_and_after_give_the_same(obj: bpy.types.Object, output: str) -> None:
    def set_sliders() -> None:
        group = obj.codetalker
        group.output, group.strength_jaw, group.smoothing_mouth, group.closure = output, 1.4, 0.06, 0.7

    offsets = made_motion()
    speak(obj, offsets)
    set_sliders()
    after = np.array([shown(obj, frame) for frame in range(START, START + 20)])
    generation.remove(obj, bpy.context.scene)
    set_sliders()
    speak(obj, offsets)
    np.testing.assert_array_equal([shown(obj, frame) for frame in range(START, START + 20)], after)
    assert np.abs(after - offsets).max() > 1e-3


@pytest.mark.parametrize("use_nla", [False, True])
@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
@pytest.mark.parametrize("own", ["nothing", "action"])
def test_time_offset_moves_the_animation(obj: bpy.types.Object, output: str, use_nla: bool, own: str) -> None:
    add_own(obj, own)
    obj.codetalker.output, obj.codetalker.use_nla = output, use_nla
    obj.codetalker.max_error_mm = 0.002
    offsets = made_motion(8)
    speak(obj, offsets)
    for offset_s, start in ((0.25, START + 6), (-0.5, START - 12), (0.0625, START + 1.5), (0.0, START)):
        obj.codetalker.offset_s = offset_s
        assert_shows(obj, offsets, start, limit=2e-5)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_a_slider_keeps_where_the_animator_put_our_strip(obj: bpy.types.Object, output: str) -> None:
    obj.codetalker.output, obj.codetalker.use_nla = output, True
    offsets = made_motion()
    speak(obj, offsets)
    track = obj.data.shape_keys.animation_data.nla_tracks[0]
    track.name = "Line 12"
    track.strips[0].frame_start_ui += 30
    obj.codetalker.strength_mouth = obj.codetalker.strength_jaw = 1.5
    obj.codetalker.strength_mouth = obj.codetalker.strength_jaw = 1.0
    obj.codetalker.offset_s = 0.5
    assert [track.name for track in obj.data.shape_keys.animation_data.nla_tracks] == ["Line 12"]
    assert_shows(obj, offsets, START + 30 + 12, limit=1e-4 + EXACT)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_a_slider_leaves_our_action_in_the_nla_where_the_animator_pushed_it_down(
    obj: bpy.types.Object, output: str
) -> None:
    obj.codetalker.output = output
    offsets = made_motion()
    speak(obj, offsets)
    animation_data = obj.data.shape_keys.animation_data
    action = animation_data.action
    strip = compat.new_nla_strip(animation_data.nla_tracks.new(), "Pushed", START - 1, action)
    animation_data.action = None
    strip.frame_start_ui += 60
    obj.codetalker.strength_jaw = 0.0
    obj.codetalker.strength_jaw = 1.0
    assert animation_data.action is None
    assert [[one.name for one in track.strips] for track in animation_data.nla_tracks] == [["Pushed"]]
    for index in (0, 9, 19):
        np.testing.assert_allclose(shown(obj, START + 60 + index), offsets[index], atol=1e-4 + EXACT)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
@pytest.mark.parametrize("own", ["nothing", "key"])
def test_a_slider_keeps_where_the_animator_moved_our_keyframes(
    obj: bpy.types.Object, output: str, own: str
) -> None:
    add_own(obj, own)
    obj.codetalker.output, obj.codetalker.max_error_mm = output, 0.5
    offsets = made_motion()
    speak(obj, offsets)
    for fcurves in compat.fcurve_collections(obj.data.shape_keys.animation_data.action):
        for curve in fcurves:
            for point in curve.keyframe_points:
                point.co.x += 40
            curve.update()
    # More keys for Compact: the new ones must lie where the others have been moved.
    obj.codetalker.max_error_mm = 0.002
    obj.codetalker.strength_mouth = 1.2
    obj.codetalker.strength_mouth = 1.0
    assert_shows(obj, offsets, START + 40, limit=2e-5)


def test_a_slider_leaves_what_the_animator_set_on_our_keys(obj: bpy.types.Object) -> None:
    obj.codetalker.output = "COMPACT"
    speak(obj, made_motion())
    block = obj.data.shape_keys.key_blocks["CodeTalker 0002"]
    block.mute, block.vertex_group = True, "Left"
    obj.active_shape_key_index = 2
    action = obj.data.shape_keys.animation_data.action
    obj.keyframe_insert("location", frame=3)
    obj.codetalker.strength_mouth = 1.3
    block = obj.data.shape_keys.key_blocks["CodeTalker 0002"]
    assert (block.mute, block.vertex_group, obj.active_shape_key.name) == (True, "Left", "CodeTalker 0002")
    assert obj.data.shape_keys.animation_data.action == action
    assert obj.animation_data.action is not None
    paths = [c.data_path for found in compat.fcurve_collections(obj.animation_data.action) for c in found]
    assert paths.count("location") == 3


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_take_survives_saving_and_loading(obj: bpy.types.Object, tmp_path: Path, output: str) -> None:
    offsets = made_motion()
    obj.codetalker.output, obj.codetalker.closure = output, 0.5
    speak(obj, offsets)
    expected = shown(obj, START + 3)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    obj = bpy.data.objects["Face"]
    assert obj.codetalker.closure == 0.5
    np.testing.assert_array_equal(shown(obj, START + 3), expected)
    obj.codetalker.closure = 0.0
    assert_shows(obj, offsets, limit=EXACT if output == "PER_FRAME" else 1e-4 + EXACT)


def forget(obj: bpy.types.Object) -> None:
    del obj.data.shape_keys[takes.PROPERTY]


def damage(obj: bpy.types.Object) -> None:
    stored = obj.data.shape_keys[takes.PROPERTY]
    stored["packed"] = bytes(stored["packed"])[:-200]


def empty(obj: bpy.types.Object) -> None:
    obj.data.shape_keys[takes.PROPERTY] = {"packed": 3}


@pytest.mark.parametrize("spoil", [forget, damage, empty])
def test_without_the_take_sliders_say_so_and_the_animation_stays(
    obj: bpy.types.Object, spoil: Callable[[bpy.types.Object], None]
) -> None:
    offsets = made_motion()
    speak(obj, offsets)
    spoil(obj)
    obj.codetalker.strength_mouth = 0.0
    assert_shows(obj, offsets)
    before = scenes.dump()
    with pytest.raises(RuntimeError, match=r"raw motion.*Generate again"):
        bpy.ops.codetalker.rewrite()
    with pytest.raises(RuntimeError, match=r"raw motion.*Generate again"):
        bpy.ops.codetalker.reset_tuning()
    assert scenes.differences(before, scenes.dump()) == []
    assert bpy.ops.codetalker.remove() == {"FINISHED"}


def test_sliders_without_an_animation_wait_for_one(obj: bpy.types.Object) -> None:
    obj.codetalker.strength_mouth = 0.5
    assert obj.data.shape_keys is None
    refusal = tuning.obstacle(obj, bpy.context.scene)
    assert refusal is not None and "no CodeTalker animation" in str(refusal)
    with pytest.raises(RuntimeError, match="no CodeTalker animation"):
        bpy.ops.codetalker.remove()


def test_settings_made_in_edit_mode_can_be_applied_later(obj: bpy.types.Object) -> None:
    offsets = made_motion()
    speak(obj, offsets)
    assert tuning.is_applied(obj)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    obj.codetalker.offset_s = 1.0
    with pytest.raises(RuntimeError, match="Edit Mode"):
        bpy.ops.codetalker.rewrite()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert not tuning.is_applied(obj)
    assert_shows(obj, offsets)
    assert bpy.ops.codetalker.rewrite() == {"FINISHED"}
    assert tuning.is_applied(obj)
    assert_shows(obj, offsets, START + 24)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_a_slider_that_fails_midway_changes_nothing(
    obj: bpy.types.Object, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_own(obj, "action")
    obj.codetalker.output, obj.codetalker.use_nla = output, True
    speak(obj, made_motion())
    obj.codetalker.strength_mouth = 1.5
    bpy.context.scene.frame_set(1)
    before = scenes.dump()
    real = owned_actions.update

    def fail(*arguments: object, **options: object) -> None:
        real(*arguments, **options)  # type: ignore[arg-type]
        raise MemoryError

    monkeypatch.setattr(owned_actions, "update", fail)
    frames = animation.read_own(obj)
    assert frames is not None
    shifted = type(frames)(**{**vars(frames), "start_frame": frames.start_frame + 3})
    with pytest.raises(MemoryError):
        animation.update_animation(obj, shifted, nla=True)
    bpy.context.scene.frame_set(1)
    after = scenes.dump()
    assert scenes.differences(before, after) == []
