"""F-curves for our shape keys, in an action this extension owns, re-runnable.

The animator's action is never written.  Where the shape keys have no animation of their own, ours
is their active action.  Where they have an action or NLA tracks, ours plays beside them from an NLA
track of its own: it holds curves for our keys only, so every other channel evaluates as before.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ..errors import TargetError
from . import compat
from .keys import KEY_SPACING, MARK, PREFIX


def animate(key: bpy.types.Key, names: list[str], start_frame: int, *, absolute: bool) -> bpy.types.Action:
    """Play the keys ``names`` one per frame from ``start_frame`` on, at rest outside.

    absolute: one curve on Evaluation Time, keyed at every frame; the last name is the closing rest key.
    Otherwise one curve per key: 0, 1, 0 over three frames, linear, so that neighbours sum to one
    between frames.
    """
    action = bpy.data.actions.new(f"{PREFIX} {key.user.name}")
    action[MARK] = 1
    fcurves = compat.new_fcurves(action, key)
    if absolute:
        count = np.arange(len(names) + 1.0)
        _add_curve(fcurves, "eval_time", np.stack([start_frame - 1 + count, KEY_SPACING * count], axis=1))
    else:
        bump = np.array([[-1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
        for index, name in enumerate(names):
            _add_curve(fcurves, value_path(name), bump + np.array([start_frame + index, 0.0]))
    _play(key, action, start_frame - 1)
    return action


def value_path(name: str) -> str:
    """The data path of a key's value.  By name: a path by index would break when keys are reordered."""
    return f'key_blocks["{bpy.utils.escape_identifier(name)}"].value'


def refuse_muted_nla(obj: bpy.types.Object) -> None:
    """Raises TargetError when our curves would have to play from an NLA that the animator switched off."""
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
    ours = _own_paths(key)
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


def _play(key: bpy.types.Key, action: bpy.types.Action, first_frame: int) -> None:
    animation = key.animation_data or key.animation_data_create()
    if animation.action is None and not animation.nla_tracks:
        compat.assign_action(animation, action)
        return
    active = animation.nla_tracks.active
    track = animation.nla_tracks.new()
    track.name = PREFIX
    animation.nla_tracks.active = active
    strip = track.strips.new(PREFIX, first_frame, action)
    compat.assign_action(strip, action)
    # The action starts and ends at rest, so holding its ends keeps our keys at zero outside.
    strip.extrapolation = "HOLD"
    strip.blend_type = "REPLACE"


def _add_curve(fcurves: Any, path: str, points: NDArray[np.float64]) -> None:
    """points: (n, 2) frame and value; written in bulk, linear between them."""
    curve = fcurves.new(path)
    curve.keyframe_points.add(len(points))
    curve.keyframe_points.foreach_set("co", points.astype(np.float32).ravel())
    linear = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value
    curve.keyframe_points.foreach_set("interpolation", np.full(len(points), linear, np.int32))
    curve.update()


def _is_own(action: bpy.types.Action | None) -> bool:
    return action is not None and action.get(MARK) is not None


def _own_paths(key: bpy.types.Key) -> set[str]:
    """Data paths of the channels that our curves animate."""
    if key.get(MARK) is None:
        return set()
    if key[MARK]["absolute"]:
        return {"eval_time"}
    # Also of keys that were deleted meanwhile: Blender leaves their curves in place.
    return {value_path(name) for name in str(key[MARK]["names"]).split("\n")}


def _discard(action: bpy.types.Action) -> None:
    """Remove the action unless somebody else uses it or it holds curves."""
    used = action.users - int(action.use_fake_user) > 0
    if not used and not any(len(fcurves) for fcurves in compat.fcurve_collections(action)):
        bpy.data.actions.remove(action)
