"""Bones and custom properties follow the speech; what the animator has done to the rig stays."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
import mathutils

from codetalker_blender.blender.retargeting import rig_settings, rig_values, tuning
from codetalker_blender.blender.writing import rig_animation
from codetalker_blender.contracts import FloatArray
from codetalker_blender.errors import TargetError
from codetalker_blender.face.rig_channels import RigChannel, Rule
from codetalker_blender.face.rotations import quaternions_of_angles
from tests.blender import rigs, scenes, test_existing
from tests.blender.rigs import add_rig, played, rotation
from tests.blender.test_existing import FRAMES, START, known, speak

#: Of a known weight, by what the solver gives.
SOLVED = 0.02
OPEN = 30.0


@pytest.fixture
def rig(blender: None) -> bpy.types.Object:
    return add_rig()


@pytest.fixture
def head(rig: bpy.types.Object) -> bpy.types.Object:
    """A mesh without keys that the rig deforms; its jaw follows jawOpen."""
    return rigs.add_head(rig, [rotation("jawOpen", "jaw", 0, OPEN)])


def posed(rig: bpy.types.Object, bone: str) -> FloatArray:
    """(FRAMES, 3, 3) how a bone is turned from its rest."""
    found = []
    for frame in range(START, START + FRAMES):
        bpy.context.scene.frame_set(frame)
        evaluated = rig.evaluated_get(bpy.context.evaluated_depsgraph_get())
        found.append(np.array(evaluated.pose.bones[bone].matrix_basis.to_3x3(), np.float32))
    bpy.context.scene.frame_set(1)
    return np.array(found)


def saved() -> dict[str, Any]:
    """All of the file, the poses too."""
    found = test_existing.saved()
    for obj in bpy.data.objects:
        for bone in obj.pose.bones if obj.pose else ():
            channels = ("location", "rotation_euler", "rotation_quaternion", "rotation_axis_angle", "scale")
            found[f"{obj.name}/{bone.name}"] = [
                *(tuple(getattr(bone, name)) for name in channels),
                *((name, bone[name]) for name in bone.keys()),  # noqa: SIM118 - the names
            ]
    for armature in bpy.data.armatures:
        found[f"data/{armature.name}"] = scenes._plain(armature)
    return found


def test_a_jaw_bone_follows_on_a_mesh_without_keys(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    before = saved()
    rig.pose.bones["jaw"].rotation_euler.x = 0.0
    outcome = speak(head)
    wanted = np.radians(OPEN) * known().of("jawOpen")
    found = played(rig, 'pose.bones["jaw"].rotation_euler')
    # Alone, the jaw does what it can for lips that it has no keys for.
    assert np.corrcoef(found[:, 0], wanted)[0, 1] > 0.95 and found[:, 0].max() > 0.5 * wanted.max()
    assert outcome.channel_count == 1 and outcome.key_count == 0
    assert str(outcome).startswith("1 curves of the rig, which miss")
    assert [block.name for block in head.data.shape_keys.key_blocks] == ["Basis"]
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []


def with_keys(head: bpy.types.Object, rig: bpy.types.Object) -> bpy.types.Object:
    """A mesh that has keys for all that is in the motion, so that the solver gives the known weights."""
    cube = test_existing.add_cube("Cube", list(test_existing.KEYS.values()))
    bpy.context.scene.codetalker.target = cube
    cube.codetalker.output = "EXISTING"
    cube.codetalker.rig.object = rig
    return cube


@pytest.mark.parametrize("mode", ["QUATERNION", "XYZ", "AXIS_ANGLE"])
def test_two_rows_on_a_bone_turn_it_alike_in_every_mode(
    head: bpy.types.Object, rig: bpy.types.Object, mode: str
) -> None:
    cube = with_keys(head, rig)
    rig.pose.bones["jaw"].rotation_mode = mode  # type: ignore[assignment]
    rules = [rotation("jawOpen", "jaw", 0, OPEN), rotation("mouthFunnel", "jaw", 2, -20.0)]
    rig_settings.fill(cube, rules, clear=True)
    before = saved()
    assert speak(cube).warning is None
    weights = known()
    angles = np.zeros((FRAMES, 3))
    angles[:, 0], angles[:, 2] = OPEN * weights.of("jawOpen"), -20.0 * weights.of("mouthFunnel")
    quaternions = quaternions_of_angles(np.radians(angles))
    wanted = np.array([mathutils.Quaternion(row).to_matrix() for row in quaternions])
    by_euler = np.array([mathutils.Euler(row, "XYZ").to_matrix() for row in np.radians(angles)])
    np.testing.assert_allclose(wanted, by_euler, atol=1e-5)
    np.testing.assert_allclose(posed(rig, "jaw"), wanted, atol=SOLVED)
    for frame in (START - 20, START - 1, START + FRAMES, START + 90):
        bpy.context.scene.frame_set(frame)
        np.testing.assert_allclose(np.array(rig.pose.bones["jaw"].matrix_basis), np.eye(4), atol=1e-6)
    bpy.context.scene.frame_set(START + 4)
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []


@pytest.mark.parametrize("use_nla", [False, True])
def test_the_animators_channels_are_left_alone(
    head: bpy.types.Object, rig: bpy.types.Object, use_nla: bool
) -> None:
    cube = with_keys(head, rig)
    cube.codetalker.use_nla = use_nla
    bones = rig.pose.bones
    bones["jaw"].location = (0.1, 0.2, 0.3)
    bones["jaw"].keyframe_insert("location", index=0, frame=1)
    rig.animation_data.action.name = "Mine"
    bones["jaw"].driver_add("rotation_euler", 1).driver.expression = "0.25"
    bones["brow"].rotation_mode = "QUATERNION"
    bones["brow"].keyframe_insert("rotation_quaternion", index=2, frame=1)
    bones["lip"].lock_rotation[0] = True
    bones["lip"].lock_location[2] = True
    places = [RigChannel("LOCATION", "jaw", axis) for axis in range(3)]
    rules = [Rule("jawOpen", channel, output=(0.0, 2.0)) for channel in places]
    rules += [rotation("jawOpen", "jaw", axis, OPEN) for axis in (0, 1)]
    rules += [rotation("jawOpen", bone, 0, OPEN) for bone in ("brow", "lip", "nowhere")]
    rules += [Rule("jawOpen", RigChannel("LOCATION", "lip", axis)) for axis in (1, 2)]
    rig_settings.fill(cube, rules, clear=True)
    before = saved()
    outcome = speak(cube)
    assert outcome.channel_count == 4
    assert outcome.notes.split("\n") == [
        "Left alone, because you animate or drive them: Location X of 'jaw', Rotation Y of 'jaw', "
        "Rotation X of 'brow'.",
        "Left alone, because they are locked: Rotation X of 'lip', Location Z of 'lip'.",
        "Not found on 'Rig': Rotation X of 'nowhere'.",
    ]
    weights = known().of("jawOpen")
    location = played(rig, 'pose.bones["jaw"].location')
    np.testing.assert_allclose(location[:, 0], 0.1, atol=1e-6)
    np.testing.assert_allclose(location[:, 1], 0.2 + 2.0 * weights, atol=2 * SOLVED)
    np.testing.assert_allclose(location[:, 2], 0.3 + 2.0 * weights, atol=2 * SOLVED)
    turned = played(rig, 'pose.bones["jaw"].rotation_euler')
    np.testing.assert_allclose(turned[:, 0], np.radians(OPEN) * weights, atol=SOLVED)
    np.testing.assert_allclose(turned[:, 1], 0.25, atol=1e-6)
    assert rig.animation_data.action.name == "Mine"
    assert [track.name for track in rig.animation_data.nla_tracks] == ["CodeTalker"]
    bpy.context.scene.frame_set(START + 3)
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []


def test_animation_in_the_nla_is_the_animators_too(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    cube = with_keys(head, rig)
    bone = rig.pose.bones["jaw"]
    bone.keyframe_insert("rotation_euler", index=0, frame=1)
    animation = rig.animation_data
    track = animation.nla_tracks.new()
    track.strips.new("Nod", 1, animation.action)
    animation.action = None
    rules = [rotation("jawOpen", "jaw", 0, OPEN), rotation("jawOpen", "jaw", 2, OPEN)]
    rig_settings.fill(cube, rules, clear=True)
    before = saved()
    assert "Rotation X of 'jaw'" in speak(cube).notes
    turned = played(rig, 'pose.bones["jaw"].rotation_euler')
    assert np.all(turned[:, 0] == 0.0) and turned[:, 2].max() > 0.3
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []
    rig.animation_data.use_nla = False
    with pytest.raises(TargetError, match="The channels of 'Rig' are animated already and their NLA"):
        speak(cube)


def test_custom_properties(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    cube = with_keys(head, rig)
    rig["open"], rig["text"], rig["list"] = 0.1, "x", [1.0, 2.0]
    rig.id_properties_ui("open").update(min=0.0, max=0.5)
    rig.data["step"], rig.data["flag"] = 3, False
    rig.pose.bones["jaw"]['odd "name"]'] = 1.0
    wanted = [
        ("OBJECT", "", "open", (0.0, 1.0)),
        ("DATA", "", "step", (0.0, 10.0)),
        ("DATA", "", "flag", (0.0, 1.0)),
        ("BONE", "jaw", 'odd "name"]', (1.0, -1.0)),
        ("OBJECT", "", "text", (0.0, 1.0)),
        ("OBJECT", "", "list", (0.0, 1.0)),
        ("BONE", "gone", "open", (0.0, 1.0)),
    ]
    rules = [
        Rule("jawOpen", RigChannel("PROPERTY", bone, holder=holder, name=name), output=output)
        for holder, bone, name, output in wanted
    ]
    rig_settings.fill(cube, rules, clear=True)
    before = saved()
    outcome = speak(cube)
    assert outcome.channel_count == 4
    assert (
        'Not found on \'Rig\': "text" of the object, "list" of the object, "open" of \'gone\'.'
        in outcome.notes
    )
    assert (
        "The range of these properties is too small" in outcome.notes
        and '"open" of the object' in outcome.notes
    )
    weights = known().of("jawOpen")
    np.testing.assert_allclose(played(rig, '["open"]'), np.minimum(weights, 0.5), atol=SOLVED)
    np.testing.assert_allclose(played(rig.data, '["step"]'), 10 * weights, atol=0.5 + 10 * SOLVED)
    sure = np.abs(weights - 0.5) > SOLVED
    np.testing.assert_array_equal(played(rig.data, '["flag"]')[sure], (weights > 0.5)[sure])
    odd = f'pose.bones["jaw"]["{bpy.utils.escape_identifier(wanted[3][2])}"]'
    np.testing.assert_allclose(played(rig, odd), 1 - 2 * weights, atol=2 * SOLVED)
    assert type(rig.data["step"]) is int and type(rig.data["flag"]) is bool
    bpy.context.scene.frame_set(START + 5)
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []


@pytest.mark.parametrize("use_nla", [False, True])
def test_sliders_and_runs_replace_ours_alone(
    head: bpy.types.Object, rig: bpy.types.Object, use_nla: bool
) -> None:
    cube = with_keys(head, rig)
    cube.codetalker.use_nla = use_nla
    rig_settings.fill(cube, [rotation("jawOpen", "jaw", 0, OPEN)], clear=True)
    untouched = saved()
    speak(cube)
    first = saved()
    speak(cube)
    assert scenes.differences(first, saved()) == []
    tuning.rewrite(cube, bpy.context.scene)
    assert scenes.differences(first, saved()) == []
    cube.codetalker.offset_s = 1.0
    late = played(rig, 'pose.bones["jaw"].rotation_euler', START + 24)[:, 0]
    np.testing.assert_allclose(late, np.radians(OPEN) * known().of("jawOpen"), atol=SOLVED)
    cube.codetalker.rig.channels[0].output_high = 2 * OPEN
    late = played(rig, 'pose.bones["jaw"].rotation_euler', START + 24)[:, 0]
    np.testing.assert_allclose(late, np.radians(2 * OPEN) * known().of("jawOpen"), atol=2 * SOLVED)
    cube.codetalker.rig.channels[0].axis = "Z"
    found = played(rig, 'pose.bones["jaw"].rotation_euler', START + 24)
    assert np.all(found[:, 0] == 0.0) and found[:, 2].max() > 0.5
    cube.codetalker.rig.channels[0].enabled = False
    assert rig.animation_data is None
    assert tuning.is_applied(cube)
    cube.codetalker.rig.channels[0].enabled = True
    rig_settings.fill(cube, [rotation("jawOpen", "jaw", 0, OPEN)], clear=True)
    cube.codetalker.property_unset("offset_s")
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(untouched, saved()) == []


def test_a_strip_that_the_animator_moved_stays_there(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    cube = with_keys(head, rig)
    cube.codetalker.use_nla = True
    rig_settings.fill(cube, [rotation("jawOpen", "jaw", 0, OPEN)], clear=True)
    speak(cube)
    strip = rig.animation_data.nla_tracks[0].strips[0]
    strip.frame_start_ui += 50
    cube.codetalker.rig.channels[0].output_high = 2 * OPEN
    found = played(rig, 'pose.bones["jaw"].rotation_euler', START + 50)[:, 0]
    np.testing.assert_allclose(found, np.radians(2 * OPEN) * known().of("jawOpen"), atol=2 * SOLVED)


def test_a_write_that_fails_changes_nothing(
    head: bpy.types.Object, rig: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    rig["open"] = 0.25
    rig.data["more"] = 0.5
    rules = [
        rotation("jawOpen", "jaw", 0, OPEN),
        Rule("jawOpen", RigChannel("PROPERTY", holder="OBJECT", name="open")),
        Rule("jawOpen", RigChannel("PROPERTY", holder="DATA", name="more")),
    ]
    rig_settings.fill(head, rules, clear=True)
    untouched, real = saved(), rig_animation._store

    def fail(*arguments: Any, **options: Any) -> None:
        monkeypatch.setattr(rig_animation, "_store", real)
        raise MemoryError

    monkeypatch.setattr(rig_animation, "_store", fail)
    with pytest.raises(MemoryError):
        speak(head)
    assert scenes.differences(untouched, saved()) == []
    speak(head)
    spoken = saved()
    monkeypatch.setattr(rig_animation, "_store", fail)
    with pytest.raises(MemoryError):
        tuning.rewrite(head, bpy.context.scene)
    assert scenes.differences(spoken, saved()) == []


def test_another_output_lets_go_of_the_rig(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    cube = with_keys(head, rig)
    rig_settings.fill(cube, [rotation("jawOpen", "jaw", 0, OPEN)], clear=True)
    speak(cube)
    cube.codetalker.rig.object = None
    assert rig.animation_data is None and rig.pose.bones["jaw"].rotation_euler.x == 0.0
    other = add_rig("Other", ("jaw",))
    cube.codetalker.rig.object = other
    assert played(other, 'pose.bones["jaw"].rotation_euler')[:, 0].max() > 0.3


def test_one_rig_has_one_speaker(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    speak(head)
    cube = with_keys(head, rig)
    rig_settings.fill(cube, [rotation("jawOpen", "brow", 0, OPEN)], clear=True)
    with pytest.raises(TargetError, match="'Rig' follows the speech of 'Head' already"):
        speak(cube)
    copy = head.copy()
    copy.data = head.data.copy()
    bpy.context.scene.collection.objects.link(copy)
    before = played(rig, 'pose.bones["jaw"].rotation_euler')
    tuning.remove(copy)
    np.testing.assert_array_equal(before, played(rig, 'pose.bones["jaw"].rotation_euler'))
    assert before.max() > 0.1


def test_what_is_gone_meanwhile_does_no_harm(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    speak(head)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones.remove(rig.data.edit_bones["jaw"])
    bpy.ops.object.mode_set(mode="OBJECT")
    tuning.remove(head)
    assert rig.animation_data is None and head.data.shape_keys is None
    rig_settings.fill(head, [rotation("jawOpen", "brow", 0, OPEN)], clear=True)
    speak(head)
    bpy.data.objects.remove(rig)
    tuning.remove(head)
    assert head.data.shape_keys is None


def test_without_keys_and_rig_it_says_so(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    head.modifiers.clear()
    assert rig_values.coverage(head) == "0 of 1 channels follow: there is no rig"
    with pytest.raises(TargetError, match="None of the 0 shape keys of 'Head'"):
        speak(head)
    head.parent = rig
    assert rig_values.coverage(head) == "1 of 1 channels of 'Rig' follow"
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(TargetError, match="'Rig' is in Edit Mode"):
        speak(head)
    bpy.ops.object.mode_set(mode="POSE")
    assert speak(head).channel_count == 1
    bpy.ops.object.mode_set(mode="OBJECT")


def test_one_undo_step_takes_all_back(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="before")
    speak(head)
    bpy.ops.ed.undo_push(message="spoken")
    bpy.ops.ed.undo()
    assert bpy.data.objects["Rig"].animation_data is None
    assert bpy.data.objects["Head"].data.shape_keys is None
    bpy.ops.ed.redo()
    assert played(bpy.data.objects["Rig"], 'pose.bones["jaw"].rotation_euler').max() > 0.1
    tuning.remove(bpy.data.objects["Head"])
    assert bpy.data.objects["Rig"].animation_data is None
