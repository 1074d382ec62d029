"""Weights of shapes -> what bones and custom properties of a rig get, frame by frame.

    ShapeWeights, rules ─► outputs ─► bone_columns (location, rotation in the bone's mode, scale)
                                  └─► property_column

A rule lets one channel follow one shape; several rules may share a channel or a bone.  Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..contracts import ShapeWeights
from .rotations import (
    Array,
    axis_angles,
    continuous,
    normalised,
    product,
    quaternion_of_axis_angle,
    quaternions_of_angles,
)

#: What of a bone a rule moves.
TRANSFORMS = ("LOCATION", "ROTATION", "SCALE")
PROPERTY = "PROPERTY"
#: Whose custom property it is.
HOLDERS = ("OBJECT", "DATA", "BONE")
#: The channels of a bone's rotation by its mode; other modes are orders of Euler angles.
ROTATION_CHANNELS = {"QUATERNION": "rotation_quaternion", "AXIS_ANGLE": "rotation_axis_angle"}
EULER_CHANNEL = "rotation_euler"


@dataclass(frozen=True)
class RigChannel:
    """What is moved.

    kind: one of TRANSFORMS, of the bone ``bone`` along or about its own ``axis`` (0, 1, 2), or PROPERTY: the
        custom property ``name`` of ``holder``, one of HOLDERS
    """

    kind: str
    bone: str = ""
    axis: int = 0
    holder: str = ""
    name: str = ""

    def __str__(self) -> str:
        if self.kind == PROPERTY:
            owner = {"OBJECT": "the object", "DATA": "the armature"}.get(self.holder, f"'{self.bone}'")
            return f'"{self.name}" of {owner}'
        return f"{self.kind.title()} {'XYZ'[self.axis]} of '{self.bone}'"


@dataclass(frozen=True)
class Rule:
    """A channel that follows a shape.

    input: weights between which it moves; beyond them it stays
    output: what it gets there: units of the rig (location), degrees (rotation), factors (scale), or values
        (property).  All but a property's values are on top of the pose that the bone has.
    """

    shape: str
    channel: RigChannel
    input: tuple[float, float] = (0.0, 1.0)
    output: tuple[float, float] = (0.0, 1.0)

    def applied(self, weights: Array) -> Array:
        """(T,) what the channel gets for (T,) weights of the shape."""
        (low, high), (first, last) = self.input, self.output
        if high == low:
            share = (weights >= low).astype(np.float64)
        else:
            share = np.clip((weights - low) / (high - low), 0.0, 1.0)
        return np.asarray(first + share * (last - first))


@dataclass(frozen=True)
class Pose:
    """A bone as it rests, in its own axes.

    mode: as Blender's ``rotation_mode``; rotation: (4,) quaternion or angle and axis, or (3,) Euler, radians
    """

    mode: str
    location: Sequence[float]
    rotation: Sequence[float]
    scale: Sequence[float]


def rotation_channel(mode: str) -> str:
    """The property of a bone that holds its rotation."""
    return ROTATION_CHANNELS.get(mode, EULER_CHANNEL)


def bone_columns(rules: Sequence[Rule], weights: ShapeWeights, pose: Pose) -> dict[tuple[str, int], Array]:
    """What the rules, all of one bone's transforms, write: (property, place in it) -> (T,) values.

    Euler angles are channels of their own, each its rest plus what its rules give.  Otherwise the rules'
    angles make one rotation, as XYZ Euler angles do, in the bone's axes and on top of its pose; so where the
    bone rests at zero, all modes give the same pose.
    """
    moved = _sums(rules, weights)
    columns: dict[tuple[str, int], Array] = {}
    angles = np.zeros((weights.frame_count, 3))
    for (kind, axis), values in moved.items():
        if kind == "LOCATION":
            columns["location", axis] = pose.location[axis] + values
        elif kind == "SCALE":
            columns["scale", axis] = pose.scale[axis] * values
        else:
            angles[:, axis] = np.radians(values)
    if turned := [axis for kind, axis in moved if kind == "ROTATION"]:
        columns |= _rotation(pose, angles, turned)
    return columns


def property_column(rules: Sequence[Rule], weights: ShapeWeights) -> Array:
    """(T,) what the rules of one property give it together."""
    return np.asarray(sum(rule.applied(_of(weights, rule.shape)) for rule in rules))


def _sums(rules: Sequence[Rule], weights: ShapeWeights) -> Mapping[tuple[str, int], Array]:
    """Rules of the same channel together: factors multiply, all else adds up."""
    found: dict[tuple[str, int], Array] = {}
    for rule in rules:
        key, values = (rule.channel.kind, rule.channel.axis), rule.applied(_of(weights, rule.shape))
        if key not in found:
            found[key] = values
        elif rule.channel.kind == "SCALE":
            found[key] = found[key] * values
        else:
            found[key] = found[key] + values
    return found


def _rotation(pose: Pose, angles: Array, turned: Sequence[int]) -> dict[tuple[str, int], Array]:
    """angles: (T, 3) radians; turned: the axes that rules move, the only Euler channels that are written."""
    name, rest = rotation_channel(pose.mode), np.asarray(pose.rotation, np.float64)
    if name == EULER_CHANNEL:
        return {(name, axis): rest[axis] + angles[:, axis] for axis in turned}
    own = quaternions_of_angles(angles)
    if pose.mode == "QUATERNION":
        start = normalised(rest)
        values = continuous(product(start, own), start)
    else:
        values = axis_angles(product(quaternion_of_axis_angle(rest), own), rest)
    return {(name, place): values[:, place] for place in range(4)}


def _of(weights: ShapeWeights, shape: str) -> Array:
    return weights.of(shape).astype(np.float64)
