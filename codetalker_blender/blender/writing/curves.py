"""Shape keys of ours, or that we drive ⇄ the curves that play them; owned_actions.py plays those."""

from __future__ import annotations

import bpy
import numpy as np

from ...contracts import FloatArray
from .. import compat
from . import owned_actions
from .keys import (
    KEY_SPACING,
    MARK,
    BasisKeys,
    FrameKeys,
    Frames,
    KeyValues,
    driven_names,
    own_names,
    written_start,
)
from .owned_actions import Address, Channel

_EVALUATION_TIME: Address = ("eval_time", 0)


def channels(names: list[str], frames: Frames, *, absolute: bool) -> list[Channel]:
    """The curves that play the keys ``names`` from the start frame on, linear, at rest outside.

    absolute: one curve on Evaluation Time, keyed at every frame; the last name is the closing rest key.
    Otherwise one curve per key.  Of :class:`FrameKeys`: 0, 1, 0 over three frames, so that neighbours
    sum to one between frames.  Of :class:`BasisKeys`: the weight at every frame, and 0 around them.  Of
    :class:`KeyValues`: the value at every frame, and around them what the key had before.
    """
    first = frames.start_frame - 1
    if absolute:
        count = np.arange(len(names) + 1.0)
        return [(_EVALUATION_TIME, np.stack([first + count, KEY_SPACING * count], axis=1))]
    if isinstance(frames, FrameKeys):
        bump = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
        return [(_value(name), bump + np.array([first + index, 0.0])) for index, name in enumerate(names)]
    weights = frames.weights if isinstance(frames, BasisKeys) else frames.values
    around = np.asarray(frames.resting if isinstance(frames, KeyValues) else np.zeros(len(names)))[None]
    times = first + np.arange(len(weights) + 2.0)
    values = np.concatenate([around, weights, around], dtype=np.float64)
    return [(_value(name), np.stack([times, values[:, row]], axis=1)) for row, name in enumerate(names)]


def animate(key: bpy.types.Key, written: list[Channel], *, nla: bool) -> None:
    """As :func:`owned_actions.animate`; where only bones move there is nothing to play."""
    if written:
        owned_actions.animate(key, key.user.name, written, nla=nla)


def own(key: bpy.types.Key | None) -> set[Address]:
    """What our curves animate, while our keys are recorded."""
    if key is None or key.get(MARK) is None:
        return set()
    if key[MARK]["absolute"]:
        return {_EVALUATION_TIME}
    # Also of keys that were deleted meanwhile: Blender leaves their curves in place.
    names = [*str(key[MARK]["names"]).split("\n"), *str(key[MARK].get("driven", "")).split("\n")]
    return {_value(name) for name in names if name}


def taken_names(key: bpy.types.Key) -> set[str]:
    """Names of the keys whose values the animator animates: by curves, in the NLA, or by drivers."""
    paths = {path for path, _ in owned_actions.animated(key, own(key))}
    return {name for path in paths if (name := _key_of(key, path))}


def _key_of(key: bpy.types.Key, path: str) -> str:
    """The name of the key whose value a data path means, be it by name or by number; "" for other paths."""
    if not path.endswith("].value"):
        return ""
    try:
        return str(key.path_resolve(path.removesuffix(".value")).name)
    except ValueError:  # the key is gone
        return ""


def read_weights(key: bpy.types.Key) -> FloatArray:
    """(T, K) what our curves give our keys, or those we drive, frame by frame; none where they are gone."""
    player, names = owned_actions.holder(key), own_names(key) or driven_names(key)
    collections = compat.played_fcurves(player.action, compat.action_slot(player)) if player else []
    curves = {
        owned_actions.address_of(curve): owned_actions.points_of(curve)
        for fcurves in collections
        for curve in fcurves
    }
    found = [curves[_value(name)] for name in names if _value(name) in curves]
    if not found:
        return np.zeros((1, len(names)), np.float32)
    times = written_start(key) + np.arange(max(len(points) for points in found) - 2.0)
    still = np.array([[times[0], 0.0]])
    rows = [curves.get(_value(name), still) for name in names]
    return np.stack([np.interp(times, *points.T) for points in rows], axis=1).astype(np.float32)


def _value(name: str) -> Address:
    """A key's value.  By name: a path by index would break when keys are reordered."""
    return f'key_blocks["{bpy.utils.escape_identifier(name)}"].value', 0
