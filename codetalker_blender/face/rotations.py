"""Rotations over time as Blender keeps them: quaternions (w, x, y, z), axis and angle, Euler angles.

Numpy only; the forms and their signs are those of Blender's ``mathutils``.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
#: Below this, as the sine of half the angle, a rotation has no axis of its own.
_NO_TURN = 1e-9


def quaternions_of_angles(angles: Array) -> Array:
    """(T, 3) radians about X, Y, Z, done in that order about fixed axes -> (T, 4): Blender's XYZ Euler."""
    half = angles / 2
    turns = []
    for axis in range(3):
        turn = np.zeros((len(angles), 4))
        turn[:, 0], turn[:, axis + 1] = np.cos(half[:, axis]), np.sin(half[:, axis])
        turns.append(turn)
    return product(turns[2], product(turns[1], turns[0]))


def product(first: Array, second: Array) -> Array:
    """(..., 4) the rotation that does ``second`` and then ``first``; either may be one or one per frame."""
    w, v = first[..., :1], first[..., 1:]
    other_w, other_v = second[..., :1], second[..., 1:]
    real = w * other_w - np.sum(v * other_v, axis=-1, keepdims=True)
    return np.concatenate([real, w * other_v + other_w * v + np.cross(v, other_v)], axis=-1)


def normalised(quaternion: ArrayLike) -> Array:
    """(4,) of length one; no rotation where there is no length."""
    values = np.asarray(quaternion, np.float64)
    length = float(np.linalg.norm(values))
    return values / length if length > 0 else np.array([1.0, 0.0, 0.0, 0.0])


def quaternion_of_axis_angle(axis_angle: ArrayLike) -> Array:
    """(4,) of (angle, x, y, z), the order in which Blender keeps them; the axis may have any length."""
    angle, *axis = np.asarray(axis_angle, np.float64)
    length = float(np.linalg.norm(axis))
    if length == 0:
        return np.array([1.0, 0.0, 0.0, 0.0])
    return np.concatenate([[np.cos(angle / 2)], np.sin(angle / 2) * np.array(axis) / length])


def continuous(quaternions: Array, start: Array) -> Array:
    """(T, 4) the same rotations with signs that never jump, from ``start`` (4,) on.

    A quaternion and its negative are one rotation, but a curve between them runs through others.
    """
    before = np.concatenate([start[None], quaternions[:-1]])
    flips = np.where(np.sum(before * quaternions, axis=1) < 0, -1.0, 1.0)
    return np.asarray(quaternions * np.cumprod(flips)[:, None])


def axis_angles(quaternions: Array, start: ArrayLike) -> Array:
    """(T, 4) angle, x, y, z of rotations, with axes that never turn over, from ``start`` (4,) on.

    A frame without rotation has the axis of the one before it, or where there is none the next one's.
    """
    sines = np.linalg.norm(quaternions[:, 1:], axis=1)
    turned = np.flatnonzero(sines > _NO_TURN)
    _, *rest_axis = np.asarray(start, np.float64)
    axis = np.array(rest_axis)
    if len(turned) and abs(np.sin(np.asarray(start, np.float64)[0] / 2)) <= _NO_TURN:
        axis = quaternions[turned[0], 1:] / sines[turned[0]]
    found = np.empty((len(quaternions), 4))
    for frame, (quaternion, sine) in enumerate(zip(quaternions, sines, strict=True)):
        angle = 0.0
        if sine > _NO_TURN:
            angle, own = 2 * np.arctan2(sine, quaternion[0]), quaternion[1:] / sine
            if angle > np.pi:
                angle -= 2 * np.pi
            if own @ axis < 0:
                angle, own = -angle, -own
            axis = own
        found[frame] = angle, *axis
    return found
