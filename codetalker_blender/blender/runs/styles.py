"""The style settings -> mix weights per frame of the model, following the animation of ``style_mix``.

What Blender would show of it at any frame is read off the curves themselves, because setting the scene's
frame would run handlers, drivers and simulations and leave marks.  Followed: the scene's own action, and
below it NLA strips that replace (any offset, scale, repetition or direction).  Not followed, and said so:
drivers, strips that blend, fade or have a time curve of their own, and tweak mode; there the value of the
current frame holds for the whole clip.
"""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FloatArray
from ...model_files import ModelCard
from .. import compat
from ..sound import strips

Frames = NDArray[np.float64]
PATH = "codetalker.style_mix"
#: How far the mix is followed; the sound's length is not known yet.
LONGEST_S = 3600.0


class Unfollowed(Exception):
    """The curve cannot be evaluated here; the text says what stands in the way."""


def mix_rows(scene: bpy.types.Scene, card: ModelCard, start_frame: float) -> tuple[FloatArray, str]:
    """The weights of a clip that starts at ``start_frame``: (1 or frames, styles), the last row holds on.

    Row i is the mix at the scene's frame in which the model's frame i is seen, however the two rates differ.
    Also a sentence for the animator, or "".  Raises BundleError for styles that the model lacks.
    """
    settings = scene.codetalker
    steps = np.arange(round(LONGEST_S * card.fps)) * (strips.frames_per_second(scene) / card.fps)
    mix, note = mix_at(scene, start_frame + steps)
    changes = np.flatnonzero(np.diff(mix))
    mix = mix[: changes[-1] + 2] if len(changes) else mix[:1]
    rows = np.zeros((len(mix), len(card.styles)), np.float32)
    rows[:, card.style_row(settings.style)] = 1.0 - mix
    if mix.any():
        rows[:, card.style_row(settings.style_b)] += mix
    return rows, note


def mix_at(scene: bpy.types.Scene, frames: Frames) -> tuple[FloatArray, str]:
    """The mix at each of the scene's ``frames`` (n,), which may lie between whole ones: (n,) from 0 to 1.

    Also a sentence for the animator when the animation could not be followed, else "".
    """
    base = float(scene.codetalker.style_mix)
    held = np.full(len(frames), base, np.float32)
    animation_data = scene.animation_data
    if animation_data is None:
        return held, ""
    try:
        if any(driver.data_path == PATH and not driver.mute for driver in animation_data.drivers):
            raise Unfollowed("a driver")
        return np.clip(_animated(animation_data, frames, held), 0.0, 1.0).astype(np.float32), ""
    except Unfollowed as reason:
        return held, (
            f"The mix of styles is animated by {reason}, which generating cannot follow: "
            f"{base:.2f}, its value at the current frame, was used throughout."
        )


def _animated(animation_data: Any, frames: Frames, held: FloatArray) -> FloatArray:
    own = _curve(animation_data.action, compat.action_slot(animation_data))
    if own is not None and not animation_data.use_tweak_mode:
        blends = animation_data.action_blend_type != "REPLACE" or animation_data.action_influence < 1.0
        if blends and animation_data.nla_tracks and animation_data.use_nla:
            raise Unfollowed("an action that blends with NLA tracks")
        return _values(own, frames)
    if not animation_data.use_nla:
        return held
    found, animated = np.zeros_like(held), False  # 0, the property's default, is what Blender begins with
    tracks = [track for track in animation_data.nla_tracks if not track.mute]
    solo = [track for track in tracks if track.is_solo]
    for track in solo or tracks:  # the lowest first: those above replace what it gave
        strips = [(strip, _curve(strip.action, compat.action_slot(strip))) for strip in track.strips]
        if all(curve is None for _, curve in strips):
            continue
        if animation_data.use_tweak_mode:
            raise Unfollowed("an action in tweak mode")
        _lay_track(strips, frames, found)
        animated = True
    return found if animated else held


def _lay_track(strips: list[tuple[Any, Any]], frames: Frames, found: FloatArray) -> None:
    """Write what a track says into ``found``, at the frames for which it says something.

    Of two strips that meet the earlier one has the frame, as in Blender's ``nlastrips_ctime_get_strip``.
    """
    free = np.ones(len(frames), bool)
    for index, (strip, curve) in enumerate(strips):
        first, last = strip.frame_start, strip.frame_end
        if strip.extrapolation == "HOLD" and index == 0:
            first = -np.inf
        if strip.extrapolation != "NOTHING":
            last = strips[index + 1][0].frame_start if index + 1 < len(strips) else np.inf
        chosen = free & (frames >= first) & (frames <= last)
        free &= ~chosen
        if curve is None or strip.mute or not chosen.any():
            continue
        blends = strip.blend_type != "REPLACE" or strip.use_animated_influence
        if strip.type != "CLIP" or blends or strip.blend_in or strip.blend_out:
            raise Unfollowed(f"the NLA strip '{strip.name}', which blends")
        if strip.use_animated_time:
            raise Unfollowed(f"the NLA strip '{strip.name}', which has a time curve")
        found[chosen] = _values(curve, _action_frames(strip, frames[chosen]))


def _action_frames(strip: Any, frames: Frames) -> Frames:
    """Scene frames -> frames of the strip's action, as Blender's ``nlastrip_get_frame_actionclip`` does."""
    length = max(strip.action_frame_end - strip.action_frame_start, 1e-6)
    inside = np.clip(frames, strip.frame_start, strip.frame_end)
    place = np.fmod((inside - strip.frame_start) / strip.scale, length)
    if float(strip.repeat).is_integer():
        place[inside >= strip.frame_end] = length  # the end of the last round, not the beginning of another
    if strip.use_reverse:
        place = length - place
    mapped: Frames = strip.action_frame_start + place
    return mapped


def _values(curve: Any, frames: Frames) -> FloatArray:
    """The curve's values at (n,) frames.  A curve is asked once for all frames on its flat ends."""
    if curve.extrapolation == "CONSTANT" and not curve.modifiers:
        frames = np.clip(frames, *curve.range())
    places, which = np.unique(frames, return_inverse=True)
    return np.array([curve.evaluate(float(place)) for place in places], np.float32)[which]


def _curve(action: bpy.types.Action | None, slot: Any) -> Any:
    """The curve of the mix in an action as its user plays it, or None."""
    if action is None:
        return None
    for fcurves in compat.played_fcurves(action, slot):
        for curve in fcurves:
            if curve.data_path == PATH and not curve.mute:
                return curve
    return None
