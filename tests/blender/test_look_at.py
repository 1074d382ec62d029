"""Look At: the eyeballs in the deformed mesh point at the target, wherever head and target stand and go."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
from mathutils import Matrix, Vector

from codetalker_blender.blender.retargeting import follow, tuning
from codetalker_blender.blender.writing import takes
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.face.gaze import LOOK_SHAPES
from tests.blender import scenes
from tests.blender.test_head_motion import AHEAD, UP, pose
from tests.blender.test_layers import FRAMES, SCALE, START, head, speak, take

__all__ = ["head"]
Floats = NDArray[np.float64]
#: Frames in which the eyes have come to where they go, and have not gone back yet.
THERE = range(START + 4, START + FRAMES - 8, 7)


def balls() -> list[NDArray[np.int64]]:
    """The vertices of the left and the right eyeball of the demo head."""
    face = demo_head_face()
    eyes = face.regions["eyes"]
    return [eyes[face.vertices[eyes, 0] > 0], eyes[face.vertices[eyes, 0] < 0]]


def pupils() -> list[int]:
    face = demo_head_face()
    return [int(own[np.argmin(face.vertices[own, 1])]) for own in balls()]


def missed(obj: bpy.types.Object, target: bpy.types.Object, frames: range = THERE) -> Floats:
    """(frames, 2) degrees by which each eye misses the target, in the world."""
    rest = np.empty((len(obj.data.vertices), 3), np.float32)
    obj.data.vertices.foreach_get("co", rest.ravel())
    middles = [(rest[own].min(axis=0) + rest[own].max(axis=0)) / 2 for own in balls()]
    found = []
    for frame in frames:
        points = scenes.evaluated(obj, frame)
        graph = bpy.context.evaluated_depsgraph_get()
        place = target.evaluated_get(graph).matrix_world.translation
        world = obj.evaluated_get(graph).matrix_world
        row = []
        for pupil, middle in zip(pupils(), middles, strict=True):
            centre = world @ Vector(middle.tolist())
            row.append((world @ Vector(points[pupil].tolist()) - centre).angle(place - centre))
        found.append(row)
    bpy.context.scene.frame_set(1)
    return np.asarray(np.degrees(np.array(found)))


def add(name: str, data: bpy.types.ID | None = None) -> bpy.types.Object:
    obj = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(obj)
    return obj


def before(obj: bpy.types.Object, ahead: float, left: float, up: float) -> Vector:
    """A place in the world, so far from between the eyes, in lengths of the tests' head."""
    bpy.context.view_layer.update()
    middle = SCALE * (0.164 * np.array(UP) + 0.0665 * np.array(AHEAD))  # between the eyes
    way = ahead * np.array(AHEAD) + left * np.array(UP.cross(AHEAD)) + up * np.array(UP)
    return obj.matrix_world @ Vector((middle + way).tolist())


def move(target: bpy.types.Object, places: list[Vector]) -> None:
    """Key the target's way through places over the clip."""
    for number, place in enumerate(places):
        target.location = place
        target.keyframe_insert("location", frame=START + number * FRAMES // (len(places) - 1))


def look_at(obj: bpy.types.Object, target: bpy.types.Object) -> None:
    layers = obj.codetalker.layers
    layers.gaze_flicks = 0.0
    layers.gaze_at, layers.gaze_object = "OBJECT", target
    layers.use_gaze = True


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT", "EXISTING"])
def test_eyes_meet_a_moving_target_while_the_head_turns(head: bpy.types.Object, output: str) -> None:
    """Larger, turned and below a parent, which is turned and larger, too."""
    pose(head)
    target = add("Target")
    move(target, [before(head, 1.5, -0.4, 0.2), before(head, 2.5, 0.5, -0.3), before(head, 1.0, 0.1, 0.1)])
    head.codetalker.layers.head_amount = 2.0
    head.codetalker.layers.use_head = True
    speak(head, output)
    look_at(head, target)
    assert tuning.outcome_of(head).warning is None
    assert missed(head, target).max() < 0.5
    head.codetalker.layers.gaze_at = "AHEAD"
    assert missed(head, target).max() > 10.0


def test_head_parent_and_camera_all_move(head: bpy.types.Object) -> None:
    """The camera is constrained to follow a thing that moves; the head walks, turned by keys of its own."""
    pose(head)
    parent = head.parent
    track, camera = add("Track"), add("Camera", bpy.data.cameras.new("Camera"))
    move(track, [before(head, 2.0, -0.5, 0.0), before(head, 2.0, 0.7, 0.3)])
    follow_track = camera.constraints.new("COPY_LOCATION")
    follow_track.target, follow_track.use_offset = track, True
    camera.location = (0.05, 0.0, 0.1)
    bpy.context.scene.camera = camera
    for frame, angle in ((START, -1.0), (START + FRAMES, -0.9)):
        head.rotation_euler.z = angle
        head.keyframe_insert("rotation_euler", frame=frame)
        parent.location = (1, 2, 4 + angle)
        parent.keyframe_insert("location", frame=frame)
    bpy.context.scene.frame_set(START)
    layers = head.codetalker.layers
    layers.head_amount, layers.use_head, layers.use_gaze, layers.gaze_flicks = 1.5, True, True, 0.0
    layers.gaze_at = "CAMERA"
    assert speak(head).warning is None
    assert missed(head, camera).max() < 0.5
    first = [key.points[7].co.copy() for key in head.data.shape_keys.key_blocks]
    bpy.context.scene.frame_set(START + 40)
    tuning.rewrite(head, bpy.context.scene)  # with turns of ours on the head by now
    again = [key.points[7].co.copy() for key in head.data.shape_keys.key_blocks]
    assert max((one - other).length for one, other in zip(first, again, strict=True)) < 1e-6
    assert missed(head, camera).max() < 0.5


def test_markers_switch_the_camera(head: bpy.types.Object) -> None:
    scene, cut = bpy.context.scene, START + FRAMES // 2
    cameras = [add(name, bpy.data.cameras.new(name)) for name in ("One", "Two")]
    for camera, left, frame in zip(cameras, (-0.4, 0.5), (START, cut), strict=True):
        camera.location = before(head, 2.0, left, 0.1)
        scene.timeline_markers.new(camera.name, frame=frame).camera = camera
    scene.camera = cameras[0]
    speak(head)
    look_at(head, cameras[1])
    head.codetalker.layers.gaze_at = "CAMERA"
    assert missed(head, cameras[0], range(START + 4, cut, 9)).max() < 0.5
    assert missed(head, cameras[1], range(cut, START + FRAMES - 8, 9)).max() < 0.5
    assert tuning.is_applied(head)
    scene.timeline_markers[1].camera = cameras[0]
    assert not tuning.is_applied(head)


def test_another_object_turns_the_head(head: bpy.types.Object) -> None:
    pose(head)
    target = add("Target")
    target.location = before(head, 1.5, 0.4, 0.2)
    speak(head)
    layers = head.codetalker.layers
    layers.use_head = True
    look_at(head, target)
    assert missed(head, target).max() < 0.5
    bpy.context.scene.frame_set(START + 30)
    layers.head_object = head.parent  # while the former turns are still on the head
    assert missed(head, target).max() < 0.5
    layers.use_head = False
    assert missed(head, target).max() < 0.5


def test_a_target_on_the_head_needs_no_following(head: bpy.types.Object) -> None:
    target = add("Mirror")
    target.parent = head
    target.matrix_parent_inverse = Matrix.Identity(4)
    target.location = before(head, 1.0, 0.2, 0.1)
    layers = head.codetalker.layers
    layers.head_amount, layers.use_head = 2.0, True
    speak(head)
    look_at(head, target)
    assert missed(head, target).max() < 0.5


def test_a_target_behind_is_given_up_and_said(head: bpy.types.Object) -> None:
    target = add("Target")
    target.location = before(head, -3.0, 0.2, 0.0)
    speak(head)
    at_rest = scenes.evaluated(head, START + 30)
    look_at(head, target)
    assert "beyond their reach in 100% of the frames" in str(tuning.outcome_of(head).warning)
    eyes = demo_head_face().regions["eyes"]
    assert np.abs(scenes.evaluated(head, START + 30) - at_rest)[eyes].max() < 1e-6
    target.location = before(head, 1.0, 1.0, 0.0)
    assert bpy.ops.codetalker.rewrite() == {"FINISHED"}
    side = missed(head, target)
    turned = 45 - side
    assert (turned > 22).all() and (turned < 27).all(), "as far as they go, and to the right side"


def test_targets_that_are_none(head: bpy.types.Object) -> None:
    target = add("Target")
    target.location = before(head, 1.5, 0.4, 0.2)
    speak(head)
    look_at(head, target)
    layers = head.codetalker.layers
    target.name = "Renamed"
    tuning.rewrite(head, bpy.context.scene)
    assert tuning.is_applied(head) and missed(head, target).max() < 0.5
    elsewhere = bpy.data.scenes.new("Other")
    elsewhere.collection.objects.link(target)
    bpy.context.scene.collection.objects.unlink(target)
    assert tuning.rewrite(head, bpy.context.scene).warning is None
    elsewhere.collection.objects.unlink(target)
    assert "'Renamed' is in no scene" in str(tuning.rewrite(head, bpy.context.scene).warning)
    bpy.data.objects.remove(target)
    assert not tuning.is_applied(head)
    assert "No object is chosen under Look At" in str(tuning.rewrite(head, bpy.context.scene).warning)
    layers.gaze_object = head
    assert "'Head' cannot look at itself" in str(tuning.outcome_of(head).warning)
    layers.gaze_at = "CAMERA"
    assert "The scene has no camera" in str(tuning.outcome_of(head).warning)
    layers.gaze_at = "AHEAD"
    assert tuning.outcome_of(head).warning is None


def test_the_scene_is_left_alone(head: bpy.types.Object) -> None:
    """Above all what has been moved and not keyed yet; and nothing is left behind."""
    target = add("Target")
    move(target, [before(head, 1.5, 0.3, 0.0), before(head, 1.5, -0.3, 0.0)])
    speak(head)
    layers = head.codetalker.layers
    layers.gaze_object, layers.gaze_at = target, "OBJECT"
    layers.gaze_flicks = 0.0
    layers.use_gaze = False
    bpy.context.scene.frame_set(START + 11, subframe=0.25)
    target.location.x += 7.0
    was = scenes.dump()
    layers.use_gaze = True
    assert target.location.x > 6.0
    assert (bpy.context.scene.frame_current, bpy.context.scene.frame_subframe) == (START + 11, 0.25)
    layers.use_gaze = False
    assert scenes.differences(was, scenes.dump()) == []


def test_a_script_that_changes_the_target_is_noticed(head: bpy.types.Object) -> None:
    speak(head)
    look_at(head, add("One"))
    with follow.pause():
        head.codetalker.layers.gaze_object = add("Two")
    assert not tuning.is_applied(head)
    tuning.rewrite(head, bpy.context.scene)
    assert tuning.is_applied(head)


def test_eyes_of_another_rig(blender: None) -> None:
    """Its eyes are a mesh of their own, and both meshes lie on their backs, as other programs have them."""
    face, shapes = demo_head_face(), demo_head_shapes()
    eyes = np.sort(face.regions["eyes"])
    others = np.setdiff1d(np.arange(len(face.vertices)), eyes)
    upright = Matrix(((1, 0, 0), (0, 0, -1), (0, 1, 0)))  # from Y up to Z up
    parent = add("Root")
    parent.matrix_world = Matrix.Translation((3, 1, 0)) @ upright.to_4x4() @ Matrix.Scale(100, 4)
    made = {}
    for name, rows in (("Skin", others), ("Eyes", eyes)):
        number = {row: place for place, row in enumerate(rows.tolist())}
        faces = [[number[v] for v in f] for f in face.triangles.tolist() if all(v in number for v in f)]
        to_mesh = np.array(upright.inverted())
        obj = scenes.add_mesh(name, (face.vertices[rows] @ to_mesh.T).astype(np.float32), np.array(faces))
        obj.parent = parent
        obj.shape_key_add(name="Basis", from_mix=False)
        for shape in ("jawOpen",) if name == "Skin" else LOOK_SHAPES:
            block = obj.shape_key_add(name=shape, from_mix=False)
            offsets = shapes.chosen([shape]).offsets[0][rows]
            moved = (face.vertices[rows] + offsets) @ to_mesh.T
            block.points.foreach_set("co", moved.astype(np.float32).ravel())
            block.value = 0.0
        made[name] = obj
    skin = made["Skin"]
    bpy.context.scene.codetalker.target = skin
    skin.codetalker.mapping.companions.add().object = made["Eyes"]
    skin.codetalker.output = "EXISTING"
    target = add("Target")
    bpy.context.view_layer.update()
    target.location = parent.matrix_world @ Vector((0.3, 0.3, 1.0))
    tuning.write(skin, takes.Placed(take(), START))
    look_at(skin, target)
    assert tuning.outcome_of(skin).warning is None
    ball = [np.flatnonzero(np.isin(eyes, own)) for own in balls()]
    rest = np.empty((len(eyes), 3), np.float32)
    made["Eyes"].data.vertices.foreach_get("co", rest.ravel())
    world = made["Eyes"].matrix_world
    points = scenes.evaluated(made["Eyes"], START + 30)
    for own in ball:
        middle = world @ Vector(((rest[own].min(axis=0) + rest[own].max(axis=0)) / 2).tolist())
        pupil = own[np.argmax(rest[own, 2])]
        looks = world @ Vector(points[pupil].tolist()) - middle
        assert np.degrees(looks.angle(target.location - middle)) < 1.0
