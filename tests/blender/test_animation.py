"""Keys and curves: the evaluated mesh is exact at every frame, and what is the animator's stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.mesh import target
from codetalker_blender.blender.writing import animation, curves, keys
from codetalker_blender.blender.writing.keys import FrameKeys
from codetalker_blender.errors import TargetError
from tests.blender import scenes
from tests.blender.scenes import Coordinates


def made_frames(start: int, count: int = 30, seed: int = 0) -> FrameKeys:
    """A clip of random shapes, a few centimetres from rest."""
    rest = scenes.sheet_vertices()
    offsets = np.random.default_rng(seed).normal(scale=0.02, size=(count, *rest.shape))
    return FrameKeys((rest + offsets).astype(np.float32), start)


def assert_plays(obj: bpy.types.Object, frames: FrameKeys, extra: Coordinates | float = 0.0) -> None:
    """Every frame shows its shape, and outside the clip the face is at rest (plus ``extra``)."""
    rest = scenes.sheet_vertices()
    limit = 1e-5 * scenes.height(rest)
    for index, shape in enumerate(frames.shapes):
        error = np.abs(scenes.evaluated(obj, int(frames.start_frame) + index) - shape - extra).max()
        assert error <= limit, f"frame {frames.start_frame + index}"
    end = int(frames.start_frame) + len(frames.shapes)
    for frame in (int(frames.start_frame) - 40, int(frames.start_frame) - 1, end, end + 40):
        assert np.abs(scenes.evaluated(obj, frame) - rest - extra).max() <= limit, f"frame {frame}"


def add_smile(obj: bpy.types.Object) -> Coordinates:
    """A key of the animator's own at value 0.5; -> what it adds to the mesh."""
    if obj.data.shape_keys is None:
        obj.shape_key_add(name="Basis", from_mix=False)
    smile = obj.shape_key_add(name="Smile", from_mix=False)
    offsets = np.random.default_rng(9).normal(scale=0.01, size=(len(obj.data.vertices), 3)).astype(np.float32)
    smile.points.foreach_set("co", (scenes.sheet_vertices() + offsets).ravel())
    smile.value = 0.5
    return 0.5 * offsets


@pytest.mark.parametrize("start", [1, 250, -12])
def test_mesh_without_keys_gets_absolute_ones(blender: None, start: int) -> None:
    obj, frames = scenes.add_sheet(), made_frames(start)
    animation.replace_animation(obj, frames)
    assert not obj.data.shape_keys.use_relative
    assert_plays(obj, frames)


def test_long_clip_stays_exact_though_key_times_drift(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1, count=1500)
    animation.replace_animation(obj, frames)
    limit = 1e-5 * scenes.height(scenes.sheet_vertices())
    for index in (0, 1, 700, 1203, 1498, 1499):
        assert np.abs(scenes.evaluated(obj, 1 + index) - frames.shapes[index]).max() <= limit


@pytest.mark.parametrize("own", [False, True])
def test_between_frames_shapes_blend_linearly(blender: None, own: bool) -> None:
    obj, frames = scenes.add_sheet(), made_frames(5, count=4)
    extra = add_smile(obj) if own else 0.0
    animation.replace_animation(obj, frames)
    between = scenes.evaluated(obj, 6, 0.25) - extra
    np.testing.assert_allclose(between, 0.75 * frames.shapes[1] + 0.25 * frames.shapes[2], atol=2e-6)
    # After the last frame the face goes to rest, not back through the clip.
    after = scenes.evaluated(obj, 8, 0.5) - extra
    np.testing.assert_allclose(after, 0.5 * frames.shapes[3] + 0.5 * scenes.sheet_vertices(), atol=2e-6)


def test_own_keys_and_values_stay_and_ours_add_to_them(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(3)
    extra = add_smile(obj)
    obj.active_shape_key_index = 1
    before = scenes.dump()["shape_keys/Key"]["key_blocks"]
    animation.replace_animation(obj, frames)
    assert obj.data.shape_keys.use_relative
    assert_plays(obj, frames, extra)
    assert scenes.dump()["shape_keys/Key"]["key_blocks"][: len(before)] == before
    assert obj.active_shape_key_index == 1


def test_own_action_stays_active_and_unchanged(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1)
    full = 2 * add_smile(obj)
    smile = obj.data.shape_keys.key_blocks["Smile"]
    for frame, value in ((1, 0.0), (11, 1.0), (21, 0.25)):
        smile.value = value
        smile.keyframe_insert("value", frame=frame)
    obj.data.shape_keys.animation_data.action.name = "Mine"
    values = {}
    for frame in range(-5, 45):
        bpy.context.scene.frame_set(frame)
        values[frame] = smile.value
    bpy.context.scene.frame_set(1)
    before = scenes.dump()
    animation.replace_animation(obj, frames)
    after = scenes.dump()
    assert obj.data.shape_keys.animation_data.action.name == "Mine"
    assert after["actions/Mine"] == before["actions/Mine"]
    smile = obj.data.shape_keys.key_blocks["Smile"]
    limit = 1e-5 * scenes.height(scenes.sheet_vertices())
    for frame, value in values.items():
        shape = frames.shapes[frame - 1] if 1 <= frame <= 30 else scenes.sheet_vertices()
        assert np.abs(scenes.evaluated(obj, frame) - shape - value * full).max() <= limit, frame
        assert smile.value == pytest.approx(value, abs=1e-6)


def test_own_nla_and_drivers_stay(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1)
    full = 2 * add_smile(obj)
    key = obj.data.shape_keys
    smile = key.key_blocks["Smile"]
    smile.value = 0.75
    smile.keyframe_insert("value", frame=1)
    animation_data = key.animation_data
    track = animation_data.nla_tracks.new()
    track.name = "Mine"
    strip = track.strips.new("Mine", 1, animation_data.action)
    if hasattr(strip, "action_slot"):
        strip.action_slot = animation_data.action.slots[0]
    animation_data.action = None
    obj.shape_key_add(name="Driven", from_mix=False)
    curve = key.key_blocks["Driven"].driver_add("value")
    curve.driver.expression = "0.5"
    before = scenes.dump()["shape_keys/Key"]["animation_data"]
    animation.replace_animation(obj, frames)
    after = scenes.dump()["shape_keys/Key"]["animation_data"]
    assert after["drivers"] == before["drivers"]
    assert after["nla_tracks"][0] == before["nla_tracks"][0]
    assert [track["name"] for track in after["nla_tracks"]] == ["Mine", "CodeTalker"]
    assert key.animation_data.action is None
    assert_plays(obj, frames, 0.75 * full)


@pytest.mark.parametrize("own", ["nothing", "basis", "key", "action"])
def test_second_run_gives_the_same_scene(blender: None, own: str) -> None:
    obj, frames = scenes.add_sheet(), made_frames(4)
    if own == "basis":
        obj.shape_key_add(name="Neutral", from_mix=False)
    elif own != "nothing":
        add_smile(obj)
    if own == "action":
        obj.data.shape_keys.key_blocks["Smile"].keyframe_insert("value", frame=1)
    animation.replace_animation(obj, frames)
    first = scenes.dump()
    animation.replace_animation(obj, frames)
    assert scenes.dump() == first


def test_second_run_replaces_another_length_and_start(blender: None) -> None:
    obj = scenes.add_sheet()
    animation.replace_animation(obj, made_frames(4, count=30, seed=1))
    shorter = made_frames(-3, count=7, seed=2)
    animation.replace_animation(obj, shorter)
    assert len(obj.data.shape_keys.key_blocks) == 1 + 7 + 1
    assert [action.name for action in bpy.data.actions] == ["CodeTalker Face"]
    assert_plays(obj, shorter)


def test_keys_added_between_two_runs_stay(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1, seed=1)
    animation.replace_animation(obj, made_frames(1))
    extra = add_smile(obj)
    animation.replace_animation(obj, frames)
    assert obj.data.shape_keys.use_relative
    assert_plays(obj, frames, extra)


def test_curves_the_animator_put_into_our_action_stay(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1)
    extra = add_smile(obj)
    animation.replace_animation(obj, made_frames(1, seed=3))
    # Ours is the active action, so this goes into it.
    obj.data.shape_keys.key_blocks["Smile"].keyframe_insert("value", frame=5)
    action = obj.data.shape_keys.animation_data.action
    animation.replace_animation(obj, frames)
    assert obj.data.shape_keys.animation_data.action == action
    assert_plays(obj, frames, extra)
    once = scenes.dump()
    animation.replace_animation(obj, frames)
    assert scenes.dump() == once


def test_duplicate_of_a_speaking_mesh_gets_its_own_action(blender: None) -> None:
    first, frames = scenes.add_sheet(), made_frames(1)
    animation.replace_animation(first, frames)
    second = first.copy()
    second.data = first.data.copy()
    bpy.context.scene.collection.objects.link(second)
    other = made_frames(10, count=5, seed=5)
    animation.replace_animation(second, other)
    assert_plays(first, frames)
    assert_plays(second, other)


def key_smile(obj: bpy.types.Object) -> None:
    """The animator keys Smile from 0 at frame 1 to 1 at frame 20."""
    smile = obj.data.shape_keys.key_blocks["Smile"]
    for frame, value in ((1, 0.0), (20, 1.0)):
        smile.value = value
        smile.keyframe_insert("value", frame=frame)


def smile_at(obj: bpy.types.Object, frame: int) -> float:
    bpy.context.scene.frame_set(frame)
    return float(obj.data.shape_keys.key_blocks["Smile"].value)


def curve_paths() -> set[str]:
    """The data paths of all curves in the file."""
    collections = [fcurves for action in bpy.data.actions for fcurves in compat.fcurve_collections(action)]
    return {curve.data_path for fcurves in collections for curve in fcurves}


@pytest.mark.parametrize("own", [False, True])
def test_keys_of_the_object_in_our_action_stay(blender: None, own: bool) -> None:
    obj = scenes.add_sheet()
    if own:
        add_smile(obj)
    animation.replace_animation(obj, made_frames(1, count=12, seed=3))
    if own:
        key_smile(obj)
    # From 4.4 on Blender keys the object in the action of its shape keys, which is ours.
    obj.keyframe_insert("location", frame=1)
    moving = obj.animation_data.action
    assert moving is not None
    frames = made_frames(1, count=5)
    for _ in range(2):
        animation.replace_animation(obj, frames)
        if own:
            assert [smile_at(obj, frame) for frame in (1, 20)] == [0.0, 1.0]
        assert obj.animation_data.action == moving
        paths = [curve.data_path for found in compat.fcurve_collections(moving) for curve in found]
        assert paths.count("location") == 3
        assert "eval_time" not in paths
        assert not any("CodeTalker" in path for path in paths)
        assert moving.get(keys.MARK) is None
    # At frame 1 Smile is at 0 again.
    np.testing.assert_allclose(scenes.evaluated(obj, 1), frames.shapes[0], atol=2e-6)


def test_duplicate_keeps_the_curves_the_animator_put_into_our_action(blender: None) -> None:
    first = scenes.add_sheet()
    add_smile(first)
    animation.replace_animation(first, made_frames(1, count=12))
    key_smile(first)
    second = first.copy()
    second.data = first.data.copy()
    bpy.context.scene.collection.objects.link(second)
    speaking = scenes.evaluated(first, 4)
    animation.replace_animation(second, made_frames(1, count=5, seed=5))
    assert [smile_at(second, frame) for frame in (1, 20)] == [0.0, 1.0]
    assert [smile_at(first, frame) for frame in (1, 20)] == [0.0, 1.0]
    np.testing.assert_array_equal(scenes.evaluated(first, 4), speaking)
    animation.replace_animation(first, made_frames(1, count=5, seed=6))
    assert [smile_at(first, frame) for frame in (1, 20)] == [0.0, 1.0]
    assert [smile_at(second, frame) for frame in (1, 20)] == [0.0, 1.0]
    assert sum(path.startswith('key_blocks["CodeTalker') for path in curve_paths()) == 5


def test_our_action_pushed_down_keeps_the_animators_curves(blender: None) -> None:
    obj = scenes.add_sheet()
    full = 2 * add_smile(obj)
    animation.replace_animation(obj, made_frames(1, count=12))
    key_smile(obj)
    animation_data = obj.data.shape_keys.animation_data
    pushed = animation_data.action
    compat.new_nla_strip(animation_data.nla_tracks.new(), "Pushed", 0, pushed)
    animation_data.action = None
    frames = made_frames(1, count=5, seed=5)
    for _ in range(2):
        animation.replace_animation(obj, frames)
        assert [smile_at(obj, frame) for frame in (1, 20)] == [0.0, 1.0]
        assert [len(track.strips) for track in animation_data.nla_tracks] == [1, 1]
    moved = scenes.evaluated(obj, 3) - smile_at(obj, 3) * full
    np.testing.assert_allclose(moved, frames.shapes[2], atol=2e-6)
    assert len(bpy.data.actions) == 2


def test_all_strips_of_our_action_go(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1, count=5)
    animation.replace_animation(obj, made_frames(1, count=12))
    animation_data = obj.data.shape_keys.animation_data
    for start in (0, 100):
        compat.new_nla_strip(animation_data.nla_tracks.new(), "Pushed", start, animation_data.action)
    animation_data.action = None
    animation.replace_animation(obj, frames)
    assert len(bpy.data.actions) == 1
    assert_plays(obj, frames)


def test_strip_of_the_animator_on_our_track_stays(blender: None) -> None:
    obj = scenes.add_sheet()
    add_smile(obj)
    obj.data.shape_keys.key_blocks["Smile"].keyframe_insert("value", frame=1)
    animation.replace_animation(obj, made_frames(1, count=12))
    animation_data = obj.data.shape_keys.animation_data
    compat.new_nla_strip(animation_data.nla_tracks[0], "Mine", 200, animation_data.action)
    animation.replace_animation(obj, made_frames(30, count=4))
    strips = [[strip.name for strip in track.strips] for track in animation_data.nla_tracks]
    assert strips == [["Mine"], ["CodeTalker"]]
    assert len(bpy.data.actions) == 2


@pytest.mark.parametrize("own", [False, True])
def test_basis_that_the_animator_deleted_comes_back(blender: None, own: bool) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1, count=5, seed=5)
    animation.replace_animation(obj, made_frames(1, count=12))
    if own:
        add_smile(obj)
    obj.shape_key_remove(obj.data.shape_keys.key_blocks["Basis"])
    np.testing.assert_array_equal(target.read_target(obj, bpy.context.scene).rest, scenes.sheet_vertices())
    for _ in range(2):
        animation.replace_animation(obj, frames)
        expected = ["Basis", *(["Smile"] if own else []), "CodeTalker 0001"]
        assert [block.name for block in obj.data.shape_keys.key_blocks][: len(expected)] == expected
        np.testing.assert_array_equal(
            target.read_target(obj, bpy.context.scene).rest, scenes.sheet_vertices()
        )
    if not own:
        assert_plays(obj, frames)


def test_run_after_all_other_keys_were_deleted(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1, count=5, seed=5)
    add_smile(obj)
    animation.replace_animation(obj, made_frames(1, count=12))
    for name in ("Basis", "Smile"):
        obj.shape_key_remove(obj.data.shape_keys.key_blocks[name])
    animation.replace_animation(obj, frames)
    assert len(obj.data.shape_keys.key_blocks) == 1 + 5 + 1
    np.testing.assert_allclose(scenes.evaluated(obj, 3), frames.shapes[2], atol=2e-6)


@pytest.mark.parametrize("modifier", ["SUBSURF", "MIRROR", "SOLIDIFY"])
def test_modifiers_work_on_the_moving_mesh(blender: None, modifier: Any) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1, count=3)
    animation.replace_animation(obj, frames)
    obj.modifiers.new("Own", modifier)
    moved = scenes.evaluated(obj, 2)
    still = scenes.add_mesh("Still", frames.shapes[1], scenes.sheet_quads())
    still.modifiers.new("Own", modifier)
    np.testing.assert_allclose(moved, scenes.evaluated(still, 2), atol=1e-6)


@pytest.mark.parametrize("again", [False, True])
@pytest.mark.parametrize("own", [False, True])
def test_failure_midway_puts_everything_back(
    blender: None, own: bool, again: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    obj = scenes.add_sheet()
    if own:
        add_smile(obj)
    if again:
        animation.replace_animation(obj, made_frames(1))
    before = scenes.dump()
    real, calls = curves.animate, []

    def fail_once(*arguments: object, **options: object) -> object:
        calls.append(1)
        if len(calls) == 1:
            real(*arguments, **options)  # type: ignore[arg-type]
            raise MemoryError
        return real(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(curves, "animate", fail_once)
    with pytest.raises(MemoryError):
        animation.replace_animation(obj, made_frames(9, count=5, seed=8))
    assert scenes.dump() == before


def test_absolute_keys_of_the_animator_are_refused(blender: None) -> None:
    obj = scenes.add_sheet()
    add_smile(obj)
    obj.data.shape_keys.use_relative = False
    before = scenes.dump()
    with pytest.raises(TargetError, match="Evaluation Time"):
        animation.replace_animation(obj, made_frames(1))
    assert scenes.dump() == before


def test_our_relative_keys_switched_to_absolute_are_refused(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(1, count=5)
    extra = add_smile(obj)
    animation.replace_animation(obj, frames)
    obj.data.shape_keys.use_relative = False
    before = scenes.dump()
    with pytest.raises(TargetError, match="Evaluation Time"):
        animation.replace_animation(obj, frames)
    assert scenes.dump() == before
    obj.data.shape_keys.use_relative = True
    animation.replace_animation(obj, frames)
    assert_plays(obj, frames, extra)


def test_nla_that_is_switched_off_is_refused(blender: None) -> None:
    obj = scenes.add_sheet()
    add_smile(obj)
    obj.data.shape_keys.key_blocks["Smile"].keyframe_insert("value", frame=1)
    obj.data.shape_keys.animation_data.use_nla = False
    before = scenes.dump()
    with pytest.raises(TargetError, match="NLA"):
        animation.replace_animation(obj, made_frames(1))
    assert scenes.dump() == before


def test_written_keys_read_back(blender: None) -> None:
    obj, frames = scenes.add_sheet(), made_frames(17, count=5)
    assert animation.read_own(obj) is None
    animation.replace_animation(obj, frames)
    found = animation.read_own(obj)
    assert found is not None
    assert found.start_frame == 17
    np.testing.assert_array_equal(found.shapes, frames.shapes)


def test_animation_survives_saving(blender: None, tmp_path: object) -> None:
    obj, frames = scenes.add_sheet(), made_frames(2, count=6)
    animation.replace_animation(obj, frames)
    bpy.ops.wm.save_as_mainfile(filepath=f"{tmp_path}/saved.blend")
    bpy.ops.wm.open_mainfile(filepath=f"{tmp_path}/saved.blend")
    obj = bpy.data.objects["Face"]
    assert_plays(obj, frames)
    again = made_frames(2, count=3, seed=4)
    animation.replace_animation(obj, again)
    assert [action.name for action in bpy.data.actions] == ["CodeTalker Face"]
    assert_plays(obj, again)
