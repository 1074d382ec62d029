"""The head layer on an armature: its head bone turns, the object does not, and eyes make up for it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
from mathutils import Euler, Matrix, Vector

from codetalker_blender.blender.interchange import exports
from codetalker_blender.blender.retargeting import rig_rules, rig_settings, tuning
from codetalker_blender.blender.retargeting.outcomes import Outcome
from codetalker_blender.blender.writing import takes
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.face.head_motion import HEAD_ANGLES, rotations
from codetalker_blender.face.weight_files import read_live_link_rotations
from tests.blender import scenes
from tests.blender.rigs import rotation
from tests.blender.test_head_motion import planned
from tests.blender.test_layers import FRAMES, START, take
from tests.blender.test_look_at import THERE, add, balls, look_at, pupils

Floats = NDArray[np.float64]
NECK = (0.0, 0.02, 0.03)


def add_character(
    roll: float = 0.0, lean: float = 0.0, shapes: tuple[str, ...] = (), y_up: bool = False
) -> bpy.types.Object:
    """The demo head with keys, deformed by the head bone of an armature that stands turned and larger.

    lean: of the head bone's top to the back, metres; y_up: as other programs have it
    """
    stand = (
        Matrix(((1, 0, 0), (0, 0, 1), (0, -1, 0))) if y_up else Matrix.Identity(3)
    )  # Z up -> the rig's axes
    rig = add("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for name, low, high in (
        ("neck", (0.0, 0.03, -0.06), NECK),
        ("head", NECK, (0.0, 0.02 + lean, 0.2)),
        ("forehead", (0.0, -0.05, 0.2), (0.0, -0.08, 0.22)),
    ):
        bone = rig.data.edit_bones.new(name)
        bone.head, bone.tail = stand @ Vector(low), stand @ Vector(high)
        bone.roll += roll
    rig.data.edit_bones["head"].parent = rig.data.edit_bones["neck"]
    bpy.ops.object.mode_set(mode="OBJECT")
    face, own = demo_head_face(), demo_head_shapes()
    turn = np.array(stand)
    obj = scenes.add_mesh("Head", (face.vertices @ turn.T).astype(np.float32), face.triangles)
    obj.parent = rig
    obj.modifiers.new("Armature", "ARMATURE").object = rig
    obj.vertex_groups.new(name="head").add(list(range(len(face.vertices))), 1.0, "REPLACE")
    obj.shape_key_add(name="Basis", from_mix=False)
    for name, offsets in zip(own.names, own.offsets, strict=True):
        if not shapes or name in shapes:
            block = obj.shape_key_add(name=name, from_mix=False)
            block.points.foreach_set("co", ((face.vertices + offsets) @ turn.T).astype(np.float32).ravel())
            block.value = 0.0
    rig.location, rig.scale = (3.0, -1.0, 0.5), (2.0, 2.0, 2.0)
    rig.rotation_mode = "QUATERNION"
    rig.rotation_quaternion = (Euler((0.0, 0.0, 2.0)).to_matrix() @ stand.inverted()).to_quaternion()
    bpy.context.scene.codetalker.target = obj
    obj.codetalker.output = "EXISTING"
    bpy.context.view_layer.update()
    return obj


def write(obj: bpy.types.Object) -> Outcome:
    return tuning.write(obj, takes.Placed(take(), START))


def turns(obj: bpy.types.Object) -> tuple[Floats, float]:
    """(T, 3, 3) how the skull is turned in the character's axes, and how far the neck's place strays."""
    face = demo_head_face()
    skull = np.flatnonzero(face.vertices[:, 2] > 0.2)
    rest = face.vertices[skull].astype(np.float64)
    upright = np.array(Euler((0.0, 0.0, 2.0)).to_matrix())
    found, strayed = [], 0.0
    for frame in range(START, START + FRAMES):
        points = scenes.evaluated(obj, frame)[skull]
        world = np.array(obj.matrix_world)
        now = (points @ world[:3, :3].T + world[:3, 3] - [3.0, -1.0, 0.5]) @ upright / 2.0
        left, _, right = np.linalg.svd((rest - rest.mean(axis=0)).T @ (now - now.mean(axis=0)))
        turn = right.T @ left.T
        found.append(turn)
        neck = turn @ (NECK - rest.mean(axis=0)) + now.mean(axis=0)
        strayed = max(strayed, float(np.linalg.norm(neck - NECK)))
    bpy.context.scene.frame_set(1)
    return np.array(found), strayed


def angle_deg(one: Floats, other: Floats) -> Floats:
    return np.asarray(np.degrees(np.arccos(np.clip((np.einsum("tij,tij->t", one, other) - 1) / 2, -1, 1))))


@pytest.mark.parametrize(
    ("roll", "lean", "y_up", "mode"),
    [(0.0, 0.0, False, "QUATERNION"), (0.6, 0.05, False, "XYZ"), (0.0, 0.03, True, "QUATERNION")],
)
def test_one_press_turns_the_head_on_the_armature(
    blender: None, roll: float, lean: float, y_up: bool, mode: str
) -> None:
    obj = add_character(roll, lean, ("jawOpen",), y_up)
    rig = obj.parent
    rig.pose.bones["head"].rotation_mode = mode  # type: ignore[assignment]
    rig_settings.fill(obj, [rotation("jawOpen", "forehead", 0, 5.0)], clear=True)
    write(obj)
    obj.codetalker.layers.head_amount = 1.5
    assert bpy.ops.codetalker.head_channels() == {"FINISHED"}
    assert bpy.ops.codetalker.head_channels() == {"FINISHED"}  # which adds nothing
    rules = rig_rules.rules_of(obj)
    assert {rule.channel.bone for rule in rules if rule.shape in HEAD_ANGLES} == {"head"}
    assert [rule for rule in rules if rule.shape == "jawOpen"] == [rotation("jawOpen", "forehead", 0, 5.0)]
    assert len(rules) == len(set(rules))
    found, strayed = turns(obj)
    wanted = rotations(planned(obj))
    assert angle_deg(found, np.tile(np.eye(3), (FRAMES, 1, 1))).max() > 2.0
    assert angle_deg(found, wanted).max() < 0.5
    assert strayed < 1e-4
    assert obj.animation_data is None and obj.codetalker.layers.turned is None
    for end in (0, -1):
        np.testing.assert_allclose(found[end], np.eye(3), atol=1e-4)
    obj.codetalker.layers.use_head = False
    assert angle_deg(turns(obj)[0], np.tile(np.eye(3), (FRAMES, 1, 1))).max() < 0.05


def test_an_object_that_turned_goes_back_when_a_bone_does(blender: None) -> None:
    obj = add_character()
    write(obj)
    obj.codetalker.layers.use_head = True
    assert obj.animation_data is not None
    bpy.ops.codetalker.head_channels()
    assert obj.animation_data is None and obj.delta_location.length == 0.0
    assert angle_deg(turns(obj)[0], rotations(planned(obj))).max() < 0.5
    obj.codetalker.output = "PER_FRAME"  # which moves no rig
    assert obj.animation_data is not None and obj.parent.animation_data is None
    obj.codetalker.output = "EXISTING"
    assert tuning.remove(obj) is None
    assert obj.animation_data is None and obj.parent.animation_data is None


def looks(obj: bpy.types.Object, frames: range) -> list[list[tuple[Vector, Vector]]]:
    """Per frame and eye: its middle and where it looks, in the world, as deformed by keys and bones."""
    found = []
    for frame in frames:
        points = scenes.evaluated(obj, frame)
        world = obj.matrix_world
        row = []
        for pupil, own in zip(pupils(), balls(), strict=True):
            # Keys and bones together are a linear function of the place at rest.
            rest = demo_head_face().vertices[own].astype(np.float64)
            at_rest = np.append((rest.min(axis=0) + rest.max(axis=0)) / 2, 1.0)
            moves = np.linalg.lstsq(np.c_[rest, np.ones(len(rest))], points[own], rcond=None)[0]
            middle = world @ Vector((at_rest @ moves).tolist())
            row.append((middle, world @ Vector(points[pupil].tolist()) - middle))
        found.append(row)
    bpy.context.scene.frame_set(1)
    return found


def test_eyes_make_up_for_the_bone(blender: None) -> None:
    obj = add_character()
    bpy.ops.codetalker.head_channels()
    layers = obj.codetalker.layers
    layers.head_amount, layers.gaze_flicks, layers.use_gaze = 2.0, 0.0, True
    assert write(obj).warning is None
    first = looks(obj, range(START, START + 1))[0][0][1]
    assert max(np.degrees(row[0][1].angle(first)) for row in looks(obj, THERE)) < 0.7
    target = add("Target")
    target.location = obj.matrix_world @ Vector((0.2, -1.0, 0.3))
    look_at(obj, target)
    for row in looks(obj, THERE):
        for middle, way in row:
            assert np.degrees(way.angle(target.location - middle)) < 1.0


@pytest.mark.parametrize("parented", [False, True])
def test_eyes_meet_a_target_in_a_posed_and_moving_neck(blender: None, parented: bool) -> None:
    """The animator bends the neck, by keys; the head hangs on the bone, or is deformed by it."""
    obj = add_character()
    rig = obj.parent
    if parented:
        world = obj.matrix_world.copy()
        obj.modifiers.clear()
        obj.parent_type, obj.parent_bone = "BONE", "head"
        bpy.context.view_layer.update()
        obj.matrix_world = world
        obj.codetalker.rig.object = rig
    neck = rig.pose.bones["neck"]
    neck.rotation_mode = "XYZ"
    for frame, angle in ((START, 0.1), (START + FRAMES, 0.2)):
        neck.rotation_euler = (angle, 0.4, 0.1)
        neck.keyframe_insert("rotation_euler", frame=frame)
    bpy.context.scene.frame_set(START)
    bpy.ops.codetalker.head_channels()
    target = add("Target")
    start = looks(obj, range(START, START + 1))[0][0]
    target.location = start[0] + 40 * start[1] + Vector((0.05, 0.1, 0.1))
    look_at(obj, target)
    assert write(obj).warning is None
    for _ in range(2):
        for row in looks(obj, THERE):
            for middle, way in row:
                assert np.degrees(way.angle(target.location - middle)) < 1.0
        bpy.context.scene.frame_set(START + 50)
        tuning.rewrite(obj, bpy.context.scene)  # with turns of ours on the bone by now
    target.parent, target.parent_type, target.parent_bone = rig, "BONE", "head"
    target.location = (0.0, -0.1, 0.7)
    tuning.rewrite(obj, bpy.context.scene)
    ways = [row[0][1] for row in looks(obj, THERE)]
    bones = []
    for frame in THERE:
        bpy.context.scene.frame_set(frame)
        bones.append((rig.matrix_world @ rig.pose.bones["head"].matrix).to_quaternion())
    still = [bone.inverted() @ way for bone, way in zip(bones, ways, strict=True)]
    # what is on the head needs no following
    assert max(np.degrees(way.angle(still[0])) for way in still) < 0.1


def test_a_bone_that_cannot_turn_is_said_and_not_made_up_for(blender: None) -> None:
    obj = add_character()
    bpy.ops.codetalker.head_channels()
    for axis in range(3):
        obj.parent.pose.bones["head"].lock_rotation[axis] = True
    layers = obj.codetalker.layers
    layers.gaze_flicks, layers.use_gaze = 0.0, True
    outcome = write(obj)
    assert "The head holds still, since none of the channels that follow it can be written" in outcome.notes
    assert "because they are locked" in outcome.notes
    assert obj.animation_data is None
    first = looks(obj, range(START, START + 1))[0][0][1]
    assert max(np.degrees(row[0][1].angle(first)) for row in looks(obj, THERE)) < 0.01


@pytest.mark.parametrize("shape_set", ["ARKIT", "VISEMES"])
def test_a_rig_without_keys_turns_its_head_and_eyes(blender: None, shape_set: str) -> None:
    """All of it by rows: the head's bone, and one that follows a look shape, beside visemes too."""
    obj = add_character(shapes=("none",))
    obj.codetalker.mapping.shape_set = shape_set
    bpy.ops.codetalker.head_channels()
    rig_settings.fill(obj, [rotation("eyeLookOutLeft", "forehead", 2, 25.0)], clear=False)
    layers = obj.codetalker.layers
    layers.head_amount, layers.use_gaze = 2.0, True
    write(obj)
    assert angle_deg(turns(obj)[0], rotations(planned(obj))).max() < 0.7
    played = []
    for frame in THERE:
        bpy.context.scene.frame_set(frame)
        played.append(obj.parent.pose.bones["forehead"].matrix_basis.to_quaternion().angle)
    assert max(played) > np.radians(0.5)


def test_live_link_has_the_turns_of_head_and_eyes(blender: None, tmp_path: Path) -> None:
    """Yaw to the left, pitch down, roll to the right shoulder, in radians; eyes against them."""
    obj = add_character()
    layers = obj.codetalker.layers
    write(obj)
    path = tmp_path / "out.livelink.csv"
    scene = bpy.context.scene
    exports.export(path, exports.finished(obj, scene))
    assert np.abs(read_live_link_rotations(path)).max() < 1e-5
    layers.head_amount, layers.gaze_flicks = 2.0, 0.0
    layers.use_head = layers.use_gaze = True
    exports.export(path, exports.finished(obj, scene))
    found = np.degrees(read_live_link_rotations(path))
    pitch, yaw, roll = planned(obj).T
    np.testing.assert_allclose(found[:, :3], np.stack([yaw, pitch, -roll], axis=1), atol=1e-3)
    np.testing.assert_allclose(found[:, 3:5], -found[:, :2], atol=1.0)
    np.testing.assert_allclose(found[:, 6:8], found[:, 3:5], atol=1e-3)
    assert np.abs(found[:, 3]).max() > 1.0 and not found[:, [5, 8]].any()


def test_without_a_head_bone_it_says_so(blender: None) -> None:
    obj = add_character()
    obj.parent.data.bones["head"].name = "skull"
    with pytest.raises(RuntimeError, match='has a name with "head" in it'):
        bpy.ops.codetalker.head_channels()
    assert not obj.codetalker.layers.use_head
