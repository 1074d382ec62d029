"""F-curves in an action that this extension owns, on any datablock, re-runnable.

The animator's action is never written.  Where the datablock has no animation of its own, ours is its
active action.  Where it has an action or NLA tracks, ours plays beside them from an NLA track of its own:
it holds curves for our channels only, so every other channel evaluates as before.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...errors import TargetError
from .. import compat
from .keys import MARK, PREFIX

#: What a curve animates: a data path, and the place in an array (0 for what is none).
Address = tuple[str, int]
#: A curve: what it animates, and (n, 2) frames and values.
Channel = tuple[Address, NDArray[np.float64]]
#: Where bpy.data keeps datablocks of a kind.
_COLLECTIONS = {"KEY": "shape_keys", "OBJECT": "objects", "ARMATURE": "armatures"}


def animate(owner: bpy.types.ID, name: str, written: Sequence[Channel], *, nla: bool) -> bpy.types.Action:
    """Play new curves, of which there is at least one, from an action of their own.

    name: of whom it is; the action's is made of it
    It becomes the active one, or, with ``nla`` and where there is animation already, an NLA strip.
    """
    action = bpy.data.actions.new(f"{PREFIX} {name}")
    action[MARK] = 1
    fcurves = compat.new_fcurves(action, owner)
    for address, points in written:
        _add_curve(fcurves, address, points)
    _play(owner, action, min(points[0, 0] for _, points in written), nla=nla)
    return action


def players(owner: bpy.types.ID | None) -> list[Any]:
    """What can play an action on a datablock: its AnimData, and the NLA strips in it."""
    animation: Any = getattr(owner, "animation_data", None)
    if animation is None:
        return []
    return [animation, *(strip for track in animation.nla_tracks for strip in track.strips)]


def holder(owner: bpy.types.ID | None) -> Any:
    """What plays our action: the AnimData or an NLA strip; None where nothing does, or several do."""
    found = [one for one in players(owner) if is_own(one.action)]
    if len(found) != 1 or not compat.played_fcurves(found[0].action, compat.action_slot(found[0])):
        return None
    return found[0]


def update(
    player: Any,
    former: Set[Address],
    written: Sequence[Channel],
    late_frames: float,
    *,
    shared_times: bool,
) -> None:
    """Replace our curves inside the action that ``player`` plays, which stays where the animator has put it.

    former: what our curves animated; late_frames: how much later they are to play
    shared_times: all curves have the same frames, so that a new one takes those of the others

    Curves with as many points as before keep the animator's timing (moved or stretched keys).
    """
    action, slot = player.action, compat.action_slot(player)
    if slot in _slots_of_others(action, player.id_data):
        # A copy of the datablock plays it too; from now on this one has its own.
        action = action.copy()
        slot = compat.assign_action(player, action, slot)
    fcurves = compat.played_fcurves(action, slot)[0]
    present = {place: curve for curve in fcurves if (place := address_of(curve)) in former}
    times = {address: points_of(curve)[:, 0] for address, curve in present.items()}
    common = next(iter(times.values()), None) if shared_times else None
    wanted = {address for address, _ in written}
    for address in [address for address in present if address not in wanted]:
        fcurves.remove(present.pop(address))
    for address, points in written:
        before = times.get(address, common)
        if before is not None and len(before) == len(points):
            # Rounded, so that float32 does not drift while a slider is dragged to and fro.
            points = np.stack([np.round(before + late_frames, 3), points[:, 1]], axis=1)
        curve = present.get(address)
        if curve is not None and len(curve.keyframe_points) == len(points):
            _set_points(curve, points)
            continue
        if curve is not None:
            fcurves.remove(curve)
        _add_curve(fcurves, address, points)
    if late_frames and isinstance(player, bpy.types.NlaStrip):
        _follow(player, late_frames)


def animated(owner: bpy.types.ID, ours: Set[Address] = frozenset()) -> set[Address]:
    """What somebody else animates on a datablock: by curves, in the NLA, or by drivers.

    ours: what our own actions animate
    """
    found: set[Address] = set()
    for player in players(owner):
        if player.action is None:
            continue
        played = compat.played_fcurves(player.action, compat.action_slot(player))
        here = {address_of(curve) for fcurves in played for curve in fcurves}
        found |= here - ours if is_own(player.action) else here
    animation: Any = getattr(owner, "animation_data", None)
    return found | {address_of(driver) for driver in (animation.drivers if animation else ())}


def refuse_muted_nla(owner: bpy.types.ID | None, what: str, *, nla: bool) -> None:
    """Raises TargetError when our curves would have to play from an NLA that the animator switched off.

    what: the datablock in words, as in "the bones of 'Rig'"
    nla: they are to play from there whether or not there is another animation
    """
    animation: Any = getattr(owner, "animation_data", None)
    if animation is None or animation.use_nla:
        return
    if animation.nla_tracks or (animation.action is not None and not is_own(animation.action)):
        raise TargetError(
            f"{what[0].upper()}{what[1:]} are animated already and their NLA is switched off, "
            "so that a second animation cannot play beside the first.",
            f"Switch the NLA on for {what} (tick box in the Nonlinear Animation editor).",
        )
    if nla:
        raise TargetError(
            f"The NLA of {what} is switched off.",
            "Switch it on (tick box in the Nonlinear Animation editor), or switch NLA Track off.",
        )


def remove(owner: bpy.types.ID | None, ours: Set[Address]) -> None:
    """Remove our curves, and our action and NLA track where nothing else is in them.

    ours: what our curves animate
    Curves that the animator put into our action stay, and play on: the action is theirs from then on.
    """
    animation: Any = getattr(owner, "animation_data", None)
    if owner is None or animation is None:
        return
    for track in list(animation.nla_tracks):
        found = [strip for strip in track.strips if is_own(strip.action)]
        for strip in found:
            # Asked again: where an action has several strips, the first one may have made it the animator's.
            if is_own(strip.action) and not _release(owner, strip, ours):
                action = strip.action
                track.strips.remove(strip)
                _discard(action)
        if found and len(track.strips) == 0:
            animation.nla_tracks.remove(track)
    action = animation.action
    if is_own(action) and not _release(owner, animation, ours):
        animation.action = None
        _discard(action)
    if not (animation.action or animation.nla_tracks or animation.drivers):
        owner.animation_data_clear()


def _release(owner: bpy.types.ID, holder: Any, ours: Set[Address]) -> bool:
    """Take our curves out of what ``holder`` plays of our action; True when curves are left to play.

    holder: the AnimData of ``owner`` or one of its NLA strips

    Content decides, not the number of users: from 4.4 on Blender puts the keyframes of related data
    (the object, the mesh) into our action too, and a copied mesh plays the action of the original.
    """
    action, slot = holder.action, compat.action_slot(holder)
    elsewhere = _slots_of_others(action, owner)
    if slot in elsewhere:
        if all(
            address_of(curve) in ours for fcurves in compat.played_fcurves(action, slot) for curve in fcurves
        ):
            return False
        # The other datablock still plays this action: what the animator added is played from a copy.
        action, elsewhere = action.copy(), []
        slot = compat.assign_action(holder, action, slot)
    left = 0
    for fcurves in compat.played_fcurves(action, slot):
        for curve in [curve for curve in fcurves if address_of(curve) in ours]:
            fcurves.remove(curve)
        left += len(fcurves)
    # An action without curves stays ours, so that another strip of it goes too.
    if not elsewhere and any(len(fcurves) for fcurves in compat.fcurve_collections(action)):
        del action[MARK]
    if not left:
        compat.remove_slot(action, slot)
    return left > 0


def _slots_of_others(action: bpy.types.Action, owner: bpy.types.ID) -> list[Any]:
    """What other datablocks of that kind play of the action: its slots, or Nones where there are none."""
    kin: Any = getattr(bpy.data, _COLLECTIONS[owner.id_type])
    others = (player for other in kin if other != owner for player in players(other))
    return [compat.action_slot(player) for player in others if player.action == action]


def _play(owner: Any, action: bpy.types.Action, first_frame: float, *, nla: bool) -> None:
    animation = owner.animation_data or owner.animation_data_create()
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
    # The action starts and ends at rest, so holding its ends keeps it there outside.
    strip.extrapolation = "HOLD"
    strip.blend_type = "REPLACE"


def _follow(strip: bpy.types.NlaStrip, late_frames: float) -> None:
    """Let a strip, whose action now lies later, show the same part of it as much later."""
    start = strip.frame_start + late_frames * strip.scale
    strip.action_frame_end += late_frames
    strip.action_frame_start += late_frames
    strip.frame_start_ui = start


def _add_curve(fcurves: Any, address: Address, points: NDArray[np.float64]) -> None:
    """points: (n, 2) frame and value; written in bulk, linear between them."""
    curve = fcurves.new(address[0], index=address[1])
    curve.keyframe_points.add(len(points))
    _set_points(curve, points)


def _set_points(curve: bpy.types.FCurve, points: NDArray[np.float64]) -> None:
    curve.keyframe_points.foreach_set("co", points.astype(np.float32).ravel())
    linear = bpy.types.Keyframe.bl_rna.properties["interpolation"].enum_items["LINEAR"].value
    curve.keyframe_points.foreach_set("interpolation", np.full(len(points), linear, np.int32))
    curve.update()


def address_of(curve: bpy.types.FCurve) -> Address:
    """What a curve or a driver animates."""
    return curve.data_path, curve.array_index


def points_of(curve: bpy.types.FCurve) -> NDArray[np.float64]:
    """(n, 2) frames and values of a curve."""
    found = np.empty((len(curve.keyframe_points), 2), np.float32)
    curve.keyframe_points.foreach_get("co", found.ravel())
    return found.astype(np.float64)


def is_own(action: bpy.types.Action | None) -> bool:
    """Whether this extension made the action."""
    return action is not None and action.get(MARK) is not None


def _discard(action: bpy.types.Action) -> None:
    """Remove the action unless somebody else uses it or it holds curves."""
    used = action.users - int(action.use_fake_user) > 0
    if not used and not any(len(fcurves) for fcurves in compat.fcurve_collections(action)):
        bpy.data.actions.remove(action)
