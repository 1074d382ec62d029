"""F-curves for our shape keys, in an action this extension owns, re-runnable.

The animator's action is never written.  Where the shape keys have no animation of their own, ours
is their active action.  Where they have an action or NLA tracks, ours plays beside them from an NLA
track of its own: it holds curves for our keys only, so every other channel evaluates as before.
"""

from __future__ import annotations

import math
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FloatArray
from ...errors import TargetError
from .. import compat
from .keys import (
    KEY_SPACING,
    MARK,
    PREFIX,
    BasisKeys,
    FrameKeys,
    Frames,
    KeyValues,
    driven_names,
    own_names,
    written_start,
)

#: A curve: its data path and (n, 2) frames and values.
Channel = tuple[str, NDArray[np.float64]]


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
        return [("eval_time", np.stack([first + count, KEY_SPACING * count], axis=1))]
    if isinstance(frames, FrameKeys):
        bump = np.array([[0.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
        return [(value_path(name), bump + np.array([first + index, 0.0])) for index, name in enumerate(names)]
    weights = frames.weights if isinstance(frames, BasisKeys) else frames.values
    around = np.asarray(frames.resting if isinstance(frames, KeyValues) else np.zeros(len(names)))[None]
    times = first + np.arange(len(weights) + 2.0)
    values = np.concatenate([around, weights, around], dtype=np.float64)
    return [(value_path(name), np.stack([times, values[:, row]], axis=1)) for row, name in enumerate(names)]


def animate(key: bpy.types.Key, written: list[Channel], *, nla: bool) -> bpy.types.Action:
    """Play new curves from an action of their own.

    It becomes the active one, or, with ``nla`` and where there is animation already, an NLA strip.
    """
    action = bpy.data.actions.new(f"{PREFIX} {key.user.name}")
    action[MARK] = 1
    fcurves = compat.new_fcurves(action, key)
    for path, points in written:
        _add_curve(fcurves, path, points)
    _play(key, action, min(points[0, 0] for _, points in written), nla=nla)
    return action


def holder(key: bpy.types.Key | None) -> Any:
    """What plays our action: the AnimData or an NLA strip; None where nothing does, or several do."""
    if key is None or key.animation_data is None:
        return None
    animation = key.animation_data
    strips = [strip for track in animation.nla_tracks for strip in track.strips]
    found = [one for one in (animation, *strips) if _is_own(one.action)]
    if len(found) != 1 or not compat.played_fcurves(found[0].action, compat.action_slot(found[0])):
        return None
    return found[0]


def update(
    player: Any, former_paths: set[str], written: list[Channel], late_frames: float, *, shared_times: bool
) -> None:
    """Replace our curves inside the action that ``player`` plays, which stays where the animator has put it.

    former_paths: of our curves as they were; late_frames: how much later they are to play
    shared_times: all curves have the same frames, so that a new one takes those of the others

    Curves with as many points as before keep the animator's timing (moved or stretched keys).
    """
    key = player.id_data
    action, slot = player.action, compat.action_slot(player)
    if slot in _slots_of_others(action, key):
        # A copy of the mesh plays it too; from now on this one has its own.
        action = action.copy()
        slot = compat.assign_action(player, action, slot)
    fcurves = compat.played_fcurves(action, slot)[0]
    present = {curve.data_path: curve for curve in fcurves if curve.data_path in former_paths}
    times = {path: _points(curve)[:, 0] for path, curve in present.items()}
    common = next(iter(times.values()), None) if shared_times else None
    wanted = {path for path, _ in written}
    for path in [path for path in present if path not in wanted]:
        fcurves.remove(present.pop(path))
    for path, points in written:
        former = times.get(path, common)
        if former is not None and len(former) == len(points):
            # Rounded, so that float32 does not drift while a slider is dragged to and fro.
            points = np.stack([np.round(former + late_frames, 3), points[:, 1]], axis=1)
        curve = present.get(path)
        if curve is not None and len(curve.keyframe_points) == len(points):
            _set_points(curve, points)
            continue
        if curve is not None:
            fcurves.remove(curve)
        _add_curve(fcurves, path, points)
    if late_frames and isinstance(player, bpy.types.NlaStrip):
        _follow(player, late_frames)


def own_paths(key: bpy.types.Key) -> set[str]:
    """Data paths of the channels that our curves animate."""
    if key.get(MARK) is None:
        return set()
    if key[MARK]["absolute"]:
        return {"eval_time"}
    # Also of keys that were deleted meanwhile: Blender leaves their curves in place.
    names = [*str(key[MARK]["names"]).split("\n"), *str(key[MARK].get("driven", "")).split("\n")]
    return {value_path(name) for name in names if name}


def taken_names(key: bpy.types.Key) -> set[str]:
    """Names of the keys whose values the animator animates: by curves, in the NLA, or by drivers."""
    animation = key.animation_data
    if animation is None:
        return set()
    ours = own_paths(key)
    strips = [strip for track in animation.nla_tracks for strip in track.strips]
    paths = {driver.data_path for driver in animation.drivers}
    for player in (animation, *strips):
        if player.action is None:
            continue
        played = compat.played_fcurves(player.action, compat.action_slot(player))
        found = {curve.data_path for fcurves in played for curve in fcurves}
        paths |= found - ours if _is_own(player.action) else found
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
    player, names = holder(key), own_names(key) or driven_names(key)
    collections = compat.played_fcurves(player.action, compat.action_slot(player)) if player else []
    curves = {curve.data_path: _points(curve) for fcurves in collections for curve in fcurves}
    found = [curves[value_path(name)] for name in names if value_path(name) in curves]
    if not found:
        return np.zeros((1, len(names)), np.float32)
    times = written_start(key) + np.arange(max(len(points) for points in found) - 2.0)
    still = np.array([[times[0], 0.0]])
    rows = [curves.get(value_path(name), still) for name in names]
    return np.stack([np.interp(times, *points.T) for points in rows], axis=1).astype(np.float32)


def value_path(name: str) -> str:
    """The data path of a key's value.  By name: a path by index would break when keys are reordered."""
    return f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'


def refuse_muted_nla(obj: bpy.types.Object, *, nla: bool) -> None:
    """Raises TargetError when our curves would have to play from an NLA that the animator switched off.

    nla: they are to play from there whether or not there is another animation
    """
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    animation = mesh.shape_keys.animation_data if mesh.shape_keys is not None else None
    if animation is None or animation.use_nla:
        return
    if animation.nla_tracks or (animation.action is not None and not _is_own(animation.action)):
        raise TargetError(
            f"The shape keys of '{obj.name}' are animated already and their NLA is switched off, "
            "so that a second animation cannot play beside the first.",
            "Switch the NLA on for these shape keys (tick box in the Nonlinear Animation editor).",
        )
    if nla:
        raise TargetError(
            f"The NLA of the shape keys of '{obj.name}' is switched off.",
            "Switch it on (tick box in the Nonlinear Animation editor), or switch NLA Track off.",
        )


def remove_own_animation(key: bpy.types.Key | None) -> None:
    """Remove our curves, and our action and NLA track where nothing else is in them.

    Curves that the animator put into our action stay, and play on: the action is theirs from then on.
    Must run while our keys are still recorded.
    """
    if key is None or key.animation_data is None:
        return
    animation = key.animation_data
    for track in list(animation.nla_tracks):
        ours = [strip for strip in track.strips if _is_own(strip.action)]
        for strip in ours:
            # Asked again: where an action has several strips, the first one may have made it the animator's.
            if _is_own(strip.action) and not _release(key, strip):
                action = strip.action
                track.strips.remove(strip)
                _discard(action)
        if ours and len(track.strips) == 0:
            animation.nla_tracks.remove(track)
    action = animation.action
    if _is_own(action) and not _release(key, animation):
        animation.action = None
        _discard(action)
    if not (animation.action or animation.nla_tracks or animation.drivers):
        key.animation_data_clear()


def _release(key: bpy.types.Key, holder: Any) -> bool:
    """Take our curves out of what ``holder`` plays of our action; True when curves are left to play.

    holder: the AnimData of ``key`` or one of its NLA strips

    Content decides, not the number of users: from 4.4 on Blender puts the keyframes of related data
    (the object, the mesh) into our action too, and a copied mesh plays the action of the original.
    """
    action, slot = holder.action, compat.action_slot(holder)
    ours = own_paths(key)
    elsewhere = _slots_of_others(action, key)
    if slot in elsewhere:
        if all(
            curve.data_path in ours for fcurves in compat.played_fcurves(action, slot) for curve in fcurves
        ):
            return False
        # The other mesh still speaks from this action: what the animator added is played from a copy.
        action, elsewhere = action.copy(), []
        slot = compat.assign_action(holder, action, slot)
    left = 0
    for fcurves in compat.played_fcurves(action, slot):
        for curve in [curve for curve in fcurves if curve.data_path in ours]:
            fcurves.remove(curve)
        left += len(fcurves)
    # An action without curves stays ours, so that another strip of it goes too.
    if not elsewhere and any(len(fcurves) for fcurves in compat.fcurve_collections(action)):
        del action[MARK]
    if not left:
        compat.remove_slot(action, slot)
    return left > 0


def _slots_of_others(action: bpy.types.Action, key: bpy.types.Key) -> list[Any]:
    """What other meshes' shape keys play of the action: its slots, or Nones where there are no slots."""
    found = []
    for other in bpy.data.shape_keys:
        if other == key or other.animation_data is None:
            continue
        holders: list[Any] = [other.animation_data]
        holders += [strip for track in other.animation_data.nla_tracks for strip in track.strips]
        found += [compat.action_slot(holder) for holder in holders if holder.action == action]
    return found


def _play(key: bpy.types.Key, action: bpy.types.Action, first_frame: float, *, nla: bool) -> None:
    animation = key.animation_data or key.animation_data_create()
    if not nla and animation.action is None and not animation.nla_tracks:
        compat.assign_action(animation, action)
        return
    active = animation.nla_tracks.active
    track = animation.nla_tracks.new()
    track.name = PREFIX
    animation.nla_tracks.active = active
    strip = compat.new_nla_strip(track, PREFIX, math.floor(first_frame), action)
    if strip.frame_start != first_frame:
        strip.frame_start_ui = first_frame
    # The action starts and ends at rest, so holding its ends keeps our keys at zero outside.
    strip.extrapolation = "HOLD"
    strip.blend_type = "REPLACE"


def _follow(strip: bpy.types.NlaStrip, late_frames: float) -> None:
    """Let a strip, whose action now lies later, show the same part of it as much later."""
    start = strip.frame_start + late_frames * strip.scale
    strip.action_frame_end += late_frames
    strip.action_frame_start += late_frames
    strip.frame_start_ui = start


def _add_curve(fcurves: Any, path: str, points: NDArray[np.float64]) -> None:
    """points: (n, 2) frame and value; written in bulk, linear between them."""
    curve = fcurves.new(path)
    curve.keyframe_points.add(len(points))
    _set_points(curve, points)


def _set_points(curve: bpy.types.FCurve, points: NDArray[np.float64]) -> None:
    curve.keyframe_points.foreach_set("co", points.astype(np.float32).ravel())
    linear = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value
    curve.keyframe_points.foreach_set("interpolation", np.full(len(points), linear, np.int32))
    curve.update()


def _points(curve: bpy.types.FCurve) -> NDArray[np.float64]:
    """(n, 2) frames and values of a curve."""
    found = np.empty((len(curve.keyframe_points), 2), np.float32)
    curve.keyframe_points.foreach_get("co", found.ravel())
    return found.astype(np.float64)


def _is_own(action: bpy.types.Action | None) -> bool:
    return action is not None and action.get(MARK) is not None


def _discard(action: bpy.types.Action) -> None:
    """Remove the action unless somebody else uses it or it holds curves."""
    used = action.users - int(action.use_fake_user) > 0
    if not used and not any(len(fcurves) for fcurves in compat.fcurve_collections(action)):
        bpy.data.actions.remove(action)
