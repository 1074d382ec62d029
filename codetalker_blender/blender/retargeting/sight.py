"""The gaze layer's Look At → whom the eyes look at and from where, frame by frame.

The target, the head and all that they hang on may move, bones too; what is asked for is where they are
without the turns of the head layer that are written now, since others take their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import bpy
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...face.eyes import Eyes
from ...face.gaze import Sight
from ..writing import turning
from . import carrier as carriers
from . import head as heads
from .carrier import Carrier
from .head import Head
from .sampling import sample

Floats = NDArray[np.float64]
_AHEAD = "so the eyes look straight ahead."


def looks_at_something(obj: bpy.types.Object) -> bool:
    """Whether the settings name anything but what lies straight ahead."""
    return bool(obj.codetalker.layers.gaze_at != "AHEAD")


def settings_text(obj: bpy.types.Object) -> str:
    """All that whom the eyes look at depends on but for where that is; "" for straight ahead."""
    group = obj.codetalker.layers
    if group.gaze_at == "OBJECT":
        return f" at {group.gaze_object.name if group.gaze_object is not None else ''}"
    if group.gaze_at == "CAMERA":
        scene = _scene(obj)
        names = [(mark.frame, mark.camera.name) for mark in scene.timeline_markers if mark.camera is not None]
        return f" at camera {scene.camera.name if scene.camera is not None else ''} {sorted(names)}"
    return ""


def targets(obj: bpy.types.Object, frames: Sequence[float]) -> list[bpy.types.Object] | str:
    """Whom the eyes look at in each frame, or a sentence why they look straight ahead."""
    group = obj.codetalker.layers
    if group.gaze_at == "CAMERA":
        cameras = _cameras(_scene(obj), frames)
        if len(cameras) < len(frames):
            return f"The scene has no camera, {_AHEAD}"
        return cameras
    chosen: bpy.types.Object | None = group.gaze_object
    if chosen is None:
        return f"No object is chosen under Look At, {_AHEAD}"
    if chosen == obj:
        return f"'{obj.name}' cannot look at itself, {_AHEAD}"
    if not chosen.users_scene:
        return f"'{chosen.name}' is in no scene, {_AHEAD}"
    return [chosen] * len(frames)


def find(
    obj: bpy.types.Object,
    head: Head | None,
    eyes: Eyes,
    at: Sequence[bpy.types.Object],
    frames: Sequence[float],
) -> Sight:
    """What the eyes of an object see.

    head: what the head layer will turn; eyes: in the object's axes; at: whom they look at in each frame
    """
    turned, former = head.obj if head is not None else None, heads.former(obj)
    carrier = carriers.find(obj)
    rig = carrier.rig if carrier is not None else None
    chosen = list(dict.fromkeys(at))
    objects = list(dict.fromkeys(one for one in (*chosen, obj, turned, former, rig) if one is not None))
    # Of every object: its world's matrix, its own in its parent's axes, that without our turns, its location.
    read = sample(
        objects,
        frames,
        lambda shown: [_standing(one, carrier, objects[place]) for place, one in enumerate(shown)],
        {} if carrier is None else {carrier.rig: carrier.bone},
    )
    stand: dict[bpy.types.Object, list[Floats]] = {
        one: [np.array(parts) for parts in zip(*(row[place] for row in read), strict=True)]
        for place, one in enumerate(objects)
    }
    worlds = {one: stand[one][0] for one in objects}
    if former is not None:
        world, basis, rest = stand[former][:3]
        undone = world @ np.linalg.pinv(basis) @ rest @ np.linalg.pinv(world)
        for one in objects:
            if _hangs_on(one, former):
                worlds[one] = undone @ worlds[one]
    bone = None
    if carrier is not None:
        posed, resting = (worlds[carrier.rig] @ part for part in stand[carrier.rig][4:])
        bone = resting[:, :3, 3] if carrier.turns else None
        unposed = posed if carrier.parented else worlds[carrier.rig] @ carrier.rest
        for one in chosen:
            if carrier.carries(one):
                worlds[one] = resting @ np.linalg.pinv(posed) @ worlds[one]
        worlds[obj] = resting @ np.linalg.pinv(unposed) @ worlds[obj]
    places = {one: worlds[one][:, :3, 3] for one in chosen}
    target = np.array([places[one][row] for row, one in enumerate(at)])
    centres = np.einsum("tij,ej->tei", worlds[obj][:, :3, :3], eyes.centres) + worlds[obj][:, None, :3, 3]
    axes = _directions(worlds[obj]) @ (eyes.axes if eyes.axes is not None else np.eye(3))
    if head is None or turned is None:
        basis_axes, pivot = axes, centres.mean(axis=1) if bone is None else bone
    else:
        above = worlds[turned] @ np.linalg.pinv(stand[turned][2])
        basis_axes = _directions(above) @ head.axes
        pivot = np.einsum("tij,tj->ti", above[:, :3, :3], stand[turned][3] + head.pivot) + above[:, :3, 3]
    return Sight(
        np.einsum("tji,tj->ti", basis_axes, target - pivot),
        np.einsum("tji,tej->tei", basis_axes, centres - pivot[:, None]),
        np.swapaxes(basis_axes, 1, 2) @ axes,
        attached=(turned is not None and all(_hangs_on(one, turned) for one in chosen))
        or (carrier is not None and carrier.turns and all(carrier.carries(one) for one in chosen)),
    )


def _standing(
    obj: bpy.types.Object, carrier: Carrier | None, original: bpy.types.Object
) -> tuple[list[Any], ...]:
    """Of an evaluated object; of the carrier's rig its bone as posed, and without our turns, too.

    Lists: numpy takes a thirtieth of a millisecond for each matrix of Blender's, and there are thousands.
    """
    bone = carrier.standing(obj) if carrier is not None and original == carrier.rig else ()
    rest = turning.rest_basis(obj)
    own = (_rows(obj.matrix_world), _rows(obj.matrix_basis), _rows(rest), list(obj.location[:]))
    return (*own, *map(_rows, bone))


def _rows(matrix: Matrix) -> list[Any]:
    return [list(row[:]) for row in matrix]


def _directions(matrices: Floats) -> Floats:
    """(T, 3, 3) where the axes of (T, 4, 4) matrices point."""
    columns = matrices[:, :3, :3]
    return np.asarray(columns / np.maximum(np.linalg.norm(columns, axis=1, keepdims=True), 1e-12))


def _hangs_on(obj: bpy.types.Object, other: bpy.types.Object) -> bool:
    above: bpy.types.Object | None = obj
    while above is not None and above != other:
        above = above.parent
    return above is not None


def _scene(obj: bpy.types.Object) -> bpy.types.Scene:
    """The scene at work, if the object is in it."""
    current = bpy.context.scene
    return current if current in obj.users_scene or not obj.users_scene else obj.users_scene[0]


def _cameras(scene: bpy.types.Scene, frames: Sequence[float]) -> list[bpy.types.Object]:
    """The camera in each frame, as Blender's markers switch it; fewer where there is none."""
    marks = sorted((mark.frame, mark.camera.name) for mark in scene.timeline_markers if mark.camera)
    if not marks:
        return [scene.camera] * len(frames) if scene.camera is not None else []
    found = []
    for frame in frames:
        name = next((name for first, name in reversed(marks) if first <= frame), marks[0][1])
        found.append(bpy.data.objects[name])
    return found
