"""Rotations over time → an object's delta transform, in an action of ours, and back to what it was.

Deltas come on top of the object's own location and rotation, so these stay the animator's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion, Vector
from numpy.typing import NDArray

from . import owned_actions
from .owned_actions import Address, Channel

#: The custom property of an object that we turn.  (``codetalker`` is where Blender keeps its settings.)
MARK = "codetalker_turn"
#: The deltas that can be keyed: data path -> numbers.
_DELTAS = {"delta_location": 3, "delta_rotation_euler": 3, "delta_rotation_quaternion": 4}
_OURS: frozenset[Address] = frozenset((path, row) for path, count in _DELTAS.items() for row in range(count))


@dataclass(frozen=True, eq=False)
class Turns:
    """How an object turns, in the axes of its parent.

    rotations: (T, 3, 3) float64
    pivot: (3,) from the object's origin to the point that stays where it is
    start_frame: scene frame of the first, which may lie between two frames
    """

    rotations: NDArray[np.float64]
    pivot: NDArray[np.float64]
    start_frame: float


def obstacle(obj: bpy.types.Object) -> str:
    """Why the object cannot be turned, or ""."""
    if obj.library is not None or obj.override_library is not None:
        return f"'{obj.name}' is linked from another file, so it cannot be turned."
    if obj.rotation_mode == "AXIS_ANGLE":
        return f"The rotation mode of '{obj.name}' is Axis Angle, which has no delta: choose another."
    if owned_actions.animated(obj, _OURS) & _OURS:
        return f"You animate the delta transform of '{obj.name}', so it is left alone."
    animation = obj.animation_data
    if animation is not None and not animation.use_nla and animation.nla_tracks:
        return f"The NLA of '{obj.name}' is switched off, so it cannot be turned beside it."
    return ""


def turn(obj: bpy.types.Object, name: str, turns: Turns, *, nla: bool) -> None:
    """Key the object's deltas in place of what we wrote there before.  Check :func:`obstacle` first.

    name: of the object whose layer this is; nla: play from an NLA track of its own
    """
    former = obj.get(MARK)
    if former is None:
        obj[MARK] = _deltas(obj)
    record = obj[MARK]
    channels = _channels(obj, record, turns)
    if not channels:  # in a silent clip
        release(obj)
        return
    player = owned_actions.holder(obj)
    if former is not None and player is not None and bool(record["nla"]) == nla:
        late_frames = turns.start_frame - float(record["start_frame"])
        owned_actions.update(player, _OURS, channels, late_frames, shared_times=True)
    else:
        owned_actions.remove(obj, _OURS)
        owned_actions.animate(obj, f"{name} head", channels, nla=nla)
    record["owner"], record["nla"], record["start_frame"] = name, int(nla), float(turns.start_frame)
    obj.update_tag()


def release(obj: bpy.types.Object) -> None:
    """Take our curves off the object, and put its deltas back."""
    record = obj.get(MARK)
    if record is None:
        return
    owned_actions.remove(obj, _OURS)
    for path in _DELTAS:
        setattr(obj, path, list(record[path]))
    del obj[MARK]
    obj.update_tag()


def owner(obj: bpy.types.Object) -> str:
    """The name of the object whose layer turns this one; empty where none does."""
    return str(obj[MARK]["owner"]) if obj.get(MARK) is not None else ""


def rest_basis(obj: bpy.types.Object) -> Matrix:
    """The object's own transform in its parent's axes, as it is without our turns."""
    record = obj.get(MARK)
    if record is None:
        return obj.matrix_basis.copy()
    place, rotation, scale = obj.matrix_basis.decompose()
    now, rest = (_delta_rotation(obj, deltas) for deltas in (_deltas(obj), record))
    place += Vector(record["delta_location"]) - obj.delta_location
    own = rest @ now.inverted() @ rotation.to_matrix()
    return Matrix.Translation(place) @ own.to_4x4() @ Matrix.Diagonal(scale).to_4x4()


def _deltas(obj: bpy.types.Object) -> dict[str, list[float]]:
    return {path: list(getattr(obj, path)) for path in _DELTAS}


def _delta_rotation(obj: bpy.types.Object, deltas: Any) -> Matrix:
    """(3, 3) from the one of the two that the object's rotation mode uses."""
    if obj.rotation_mode == "QUATERNION":
        return Quaternion(deltas["delta_rotation_quaternion"]).to_matrix()
    return Euler(deltas["delta_rotation_euler"], obj.rotation_mode).to_matrix()


def _channels(obj: bpy.types.Object, rest: Any, turns: Turns) -> list[Channel]:
    """The curves of the deltas that a turn needs.  rest: the deltas without it"""
    place, pivot = np.array(rest["delta_location"]), turns.pivot
    # (T, 3): the object's origin goes around the pivot.
    columns = {"delta_location": pivot + np.einsum("tij,j->ti", turns.rotations, place - pivot)}
    before, angles = _delta_rotation(obj, rest), []
    whole = obj.rotation_mode == "QUATERNION"
    last: Any = None
    for rotation in turns.rotations:
        matrix = Matrix(rotation.tolist()) @ before
        if whole:
            now: Any = matrix.to_quaternion()
            if last is not None:
                now.make_compatible(last)
        else:
            now = matrix.to_euler(obj.rotation_mode, last) if last else matrix.to_euler(obj.rotation_mode)
        angles.append(tuple(now))
        last = now
    columns["delta_rotation_quaternion" if whole else "delta_rotation_euler"] = np.array(angles)
    times = turns.start_frame + np.arange(len(turns.rotations))
    return [
        ((path, row), np.stack([times, values[:, row]], axis=1))
        for path, values in columns.items()
        if np.ptp(values, axis=0).any()
        for row in range(values.shape[1])
    ]
