"""The head layer: an object's deltas turn it about the neck, in the face's axes, and go back again."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
from mathutils import Euler, Matrix, Quaternion, Vector

from codetalker_blender.blender.retargeting import tuning
from codetalker_blender.blender.retargeting.outcomes import outcome_of
from codetalker_blender.blender.writing import owned_actions, takes
from codetalker_blender.contracts import LOUDNESS_HZ
from codetalker_blender.face.blendshapes import demo_head_face
from codetalker_blender.face.head_motion import LARGEST_DEG, HeadMotion, head_angles
from codetalker_blender.face.rhythm import rhythm_of
from tests.blender import scenes, test_layers
from tests.blender.test_layers import FRAMES, MIRROR, SCALE, START, TURN, head, speak, take

__all__ = ["head"]
Floats = NDArray[np.float64]
#: Where the demo head's neck bends, and its axes, on the mesh of the tests.
NECK = Vector((SCALE * np.array([0.0, 0.02, 0.05])[TURN] * MIRROR).tolist())
AHEAD = Vector((np.array([0.0, -1.0, 0.0])[TURN] * MIRROR).tolist())
LEFT = Vector((np.array([1.0, 0.0, 0.0])[TURN] * MIRROR).tolist())
UP = Vector((0.0, 0.0, 1.0))


def pose(obj: bpy.types.Object, mode: str = "XYZ") -> None:
    """Somewhere in the scene, turned, below a parent that is turned and larger."""
    parent = bpy.data.objects.new("Parent", None)
    bpy.context.scene.collection.objects.link(parent)
    parent.location, parent.rotation_euler, parent.scale = (1, 2, 3), (0.3, -0.8, 2.0), (1.5, 1.5, 1.5)
    obj.parent = parent
    obj.rotation_mode = mode  # type: ignore[assignment]
    obj.location = (0.1, -0.4, 0.2)
    obj.rotation_euler = (0.5, 0.2, -1.0)
    obj.rotation_quaternion = Euler((0.5, 0.2, -1.0)).to_quaternion()
    obj.delta_location = (0.0, 0.1, 0.0)
    obj.delta_rotation_euler = (0.0, 0.0, 0.4)
    obj.delta_rotation_quaternion = Quaternion((0, 0, 1), 0.4)
    bpy.context.view_layer.update()


def worlds(obj: bpy.types.Object) -> list[Matrix]:
    """The object's matrix in every frame."""
    found = []
    for frame in range(FRAMES):
        bpy.context.scene.frame_set(START + frame)
        found.append(obj.matrix_world.copy())
    return found


def same(one: Matrix, other: Matrix) -> bool:
    return bool(np.allclose(np.array(one), np.array(other), atol=1e-5))


def deltas(obj: bpy.types.Object) -> list[tuple[float, ...]]:
    paths = ("delta_location", "delta_rotation_euler", "delta_rotation_quaternion")
    return [tuple(getattr(obj, path)) for path in paths]


def angles(rest: Matrix, matrices: list[Matrix]) -> Floats:
    """(T, 3) degrees of pitch, yaw and roll of the face of the mesh against rest, seen in the world."""
    ahead, left, up = (rest.to_quaternion() @ axis for axis in (AHEAD, LEFT, UP))
    found = []
    for matrix in matrices:
        turn = matrix.to_quaternion() @ rest.to_quaternion().inverted()
        looks, side = turn @ ahead, turn @ left
        pitch = -np.arcsin(looks.dot(up))
        yaw = np.arctan2(looks.dot(left), looks.dot(ahead))
        found.append((pitch, yaw, -np.arcsin(side.dot(up) / np.cos(pitch))))
    return np.degrees(np.array(found))


def planned(obj: bpy.types.Object) -> Floats:
    """(T, 3) degrees that the layer says."""
    loudness, times = test_layers.loudness(), np.arange(FRAMES) / test_layers.FPS
    rhythm = rhythm_of(loudness, min(len(loudness) / LOUDNESS_HZ - 0.1, times[-1]))
    layers = obj.codetalker.layers
    return head_angles(rhythm, HeadMotion(layers.head_amount, layers.head_seed), times)


@pytest.mark.parametrize("mode", ["XYZ", "ZYX", "QUATERNION"])
def test_head_turns_about_the_neck_with_the_faces_axes(head: bpy.types.Object, mode: str) -> None:
    pose(head, mode)
    rest = head.matrix_world.copy()
    speak(head)
    head.codetalker.layers.use_head = True
    matrices = worlds(head)
    found = angles(rest, matrices)
    np.testing.assert_allclose(found, planned(head), atol=0.02)
    assert (np.abs(found).max(axis=0) <= LARGEST_DEG).all() and np.abs(found).max() > 0.5
    for matrix in matrices:
        assert (matrix @ NECK - rest @ NECK).length < 1e-5
        assert (matrix.to_scale() - rest.to_scale()).length < 1e-4
    for end in (0, -1):
        assert same(matrices[end], rest)
    for frame in (START - 20, START + FRAMES + 20):
        bpy.context.scene.frame_set(frame)
        assert same(head.matrix_world, rest)


def test_eyes_hold_whom_they_looked_at_in_the_world(head: bpy.types.Object) -> None:
    """What is seen: eyeballs in the deformed mesh, on a head that turns."""
    pose(head)
    speak(head)
    layers = head.codetalker.layers
    layers.head_amount, layers.gaze_flicks = 2.0, 0.0
    layers.use_head = layers.use_gaze = True
    face = demo_head_face()
    eye = face.regions["eyes"][face.vertices[face.regions["eyes"], 0] > 0]
    front = eye[np.argsort(face.vertices[eye, 1])[:20]]  # around the pupil
    looks, moved = [], []
    for frame in range(0, FRAMES, 3):
        points = scenes.evaluated(head, START + frame)
        pupil, centre = (Vector(points[rows].mean(axis=0).tolist()) for rows in (front, eye))
        looks.append((head.matrix_world.to_3x3() @ (pupil - centre)).normalized())
        moved.append((head.matrix_world.to_3x3() @ AHEAD).normalized())
    assert max(np.degrees(look.angle(looks[0])) for look in looks) < 0.25
    assert max(np.degrees(ahead.angle(moved[0])) for ahead in moved) > 2.0


@pytest.mark.parametrize("mode", ["XYZ", "QUATERNION"])
def test_off_and_remove_put_the_object_back(head: bpy.types.Object, mode: str) -> None:
    pose(head, mode)
    head.keyframe_insert("location", frame=1)
    head.animation_data.action.name = "Mine"
    layers = head.codetalker.layers
    layers.use_head, layers.head_amount = False, 1.0
    nothing = scenes.dump()
    speak(head)
    off = scenes.dump()
    layers.use_head = True
    assert scenes.differences(off, scenes.dump())
    bpy.context.scene.frame_set(START + 20)
    layers.head_amount = 2.0
    layers.head_amount = 1.0
    layers.use_head = False
    bpy.context.scene.frame_set(1)
    assert scenes.differences(off, scenes.dump()) == []
    layers.use_head = True
    tuning.remove(head)
    layers.use_head = False
    found = scenes.differences(nothing, scenes.dump())
    assert [line for line in found if ".codetalker." not in line] == []  # but for the settings themselves


def test_a_slider_in_mid_turn_changes_no_axes(head: bpy.types.Object) -> None:
    pose(head)
    rest = head.matrix_world.copy()
    speak(head)
    layers = head.codetalker.layers
    layers.use_head = True
    first = worlds(head)
    bpy.context.scene.frame_set(START + int(np.argmax(np.abs(planned(head)).sum(axis=1))))
    assert not same(head.matrix_world, rest)
    layers.head_seed = 3
    np.testing.assert_allclose(angles(rest, worlds(head)), planned(head), atol=0.02)
    bpy.context.scene.frame_set(START + 30)
    layers.head_seed = 0
    assert all(same(now, before) for now, before in zip(worlds(head), first, strict=True))
    head.codetalker.offset_s = 1.0
    bpy.context.scene.frame_set(START + 24 + 30)
    assert same(head.matrix_world, first[30])


def test_another_object_can_turn_the_head(head: bpy.types.Object) -> None:
    pose(head)
    parent = head.parent
    rest, above = head.matrix_world.copy(), parent.matrix_world.copy()
    speak(head)
    layers = head.codetalker.layers
    layers.use_head = True
    assert owned_actions.is_own(head.animation_data.action)
    alone = deltas(parent)
    layers.head_object = parent
    assert head.animation_data is None
    np.testing.assert_allclose(angles(rest, worlds(head)), planned(head), atol=0.02)
    bpy.context.scene.frame_set(START + 30)
    layers.head_seed = 2
    np.testing.assert_allclose(angles(rest, worlds(head)), planned(head), atol=0.02)
    tuning.remove(head)
    assert deltas(parent) == alone and parent.animation_data is None and list(parent.keys()) == []
    bpy.context.view_layer.update()
    assert same(parent.matrix_world, above)


def test_deltas_that_the_animator_animates_are_left_alone(head: bpy.types.Object) -> None:
    head.keyframe_insert("delta_rotation_euler", frame=1)
    head.codetalker.layers.use_head = head.codetalker.layers.use_gaze = True
    head.codetalker.layers.gaze_flicks = 0.0
    before = scenes.dump()["objects/Head"]["animation_data"]
    outcome = speak(head)
    assert outcome.warning is not None and "You animate the delta transform of 'Head'" in outcome.warning
    assert scenes.differences(before, scenes.dump()["objects/Head"]["animation_data"]) == []
    # and the eyes make up for nothing
    assert np.abs(np.diff(test_layers.shown(head)[:, demo_head_face().regions["eyes"]], axis=0)).max() < 1e-6


def test_a_head_of_another_kind_needs_to_be_told_what_turns(blender: None) -> None:
    obj = scenes.add_sheet("Body")
    bpy.context.scene.codetalker.target = obj
    obj.shape_key_add(name="Basis", from_mix=False)
    obj.shape_key_add(name="jawOpen", from_mix=False).value = 0.0
    empty = bpy.data.objects.new("Neck", None)
    bpy.context.scene.collection.objects.link(empty)
    obj.codetalker.output = "EXISTING"
    obj.codetalker.layers.use_head = True
    outcome = tuning.write(obj, takes.Placed(take(), START))
    assert outcome.warning is not None and "choose it as Turned" in outcome.warning
    obj.codetalker.layers.head_object = empty
    assert outcome_of(obj).warning is None
    matrices = worlds(empty)
    assert max(matrix.to_quaternion().angle for matrix in matrices) > np.radians(0.5)
    assert all(matrix.translation.length < 1e-6 for matrix in matrices)


def test_nla_track_holds_the_turns_too(head: bpy.types.Object) -> None:
    pose(head)
    rest = head.matrix_world.copy()
    speak(head)
    head.codetalker.layers.use_head = True
    head.codetalker.use_nla = True
    assert [track.name for track in head.animation_data.nla_tracks] == ["CodeTalker"]
    np.testing.assert_allclose(angles(rest, worlds(head)), planned(head), atol=0.02)
    head.codetalker.use_nla = False
    assert owned_actions.is_own(head.animation_data.action)
    assert not head.animation_data.nla_tracks
