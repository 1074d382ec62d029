"""Brows and blinks of a made speaker: what speech only suggests.

Brow accents follow loud vowels (Cavé et al. 1996 found brow rises with accents, by no means
with all); blinks come at irregular intervals, more often in pauses.  Drawn from a seeded generator.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from training.articulation_head import Floats
from training.articulation_targets import Style
from training.datasets.clip import Phone
from training.datasets.phones import SILENCE, VOWELS

#: A lid goes down faster than it comes up.
BLINK_CLOSE_S, BLINK_HOLD_S, BLINK_OPEN_S = 0.1, 0.02, 0.15
#: Least time between two blinks, and between two brow accents.
_BLINK_GAP_S, _ACCENT_GAP_S = 0.7, 0.45
_ACCENT_RISE_S, _ACCENT_FALL_S = 0.14, 0.3
#: A vowel must be this loud to be accented.
_ACCENT_LOUDNESS = 0.75


def upper_face(
    phones: tuple[Phone, ...], loud: Floats, fps: float, style: Style, lean: float, rng: np.random.Generator
) -> dict[str, Floats]:
    """Shape name -> weights (T,) of brows, lids and eyes.

    loud: (T,) from 0 to 1; lean: left-right difference, positive moves the left side more.
    """
    time_s = np.arange(len(loud)) / fps
    # No two takes of a person are alike: size, posture and blinking differ by clip.
    size, often = np.exp(rng.normal(0.0, 0.25, 2)).tolist()
    style = replace(
        style,
        brow=style.brow * size,
        blinks_per_minute=style.blinks_per_minute * often,
        posture=style.posture + float(rng.normal(0.0, 0.05)),
    )
    brow = _accents(phones, loud, time_s, fps, style, rng)
    drift = style.posture + 0.06 * _drift(time_s, rng)
    lids = style.lids + (1.0 - style.lids) * _blinks(phones, time_s, style, rng)
    raised = np.clip(brow + drift, 0.0, 1.0)
    lowered = np.clip(-1.3 * drift - 0.5 * brow, 0.0, 1.0)
    return {
        "browInnerUp": 0.8 * raised,
        "browOuterUpLeft": 0.6 * raised * (1.0 + 2.0 * lean),
        "browOuterUpRight": 0.6 * raised * (1.0 - 2.0 * lean),
        "browDownLeft": lowered,
        "browDownRight": lowered,
        "eyeBlinkLeft": lids,
        "eyeBlinkRight": lids,
        "eyeWideLeft": 0.25 * brow * (1.0 - lids),
        "eyeWideRight": 0.25 * brow * (1.0 - lids),
    }


def _accents(
    phones: tuple[Phone, ...],
    loud: Floats,
    time_s: Floats,
    fps: float,
    style: Style,
    rng: np.random.Generator,
) -> Floats:
    track, last_s = np.zeros(len(time_s)), -1.0
    for phone in phones:
        if phone.label not in VOWELS or phone.start_s - last_s < _ACCENT_GAP_S:
            continue
        first, last = int(phone.start_s * fps), int(phone.end_s * fps) + 1
        level = float(loud[first:last].max(initial=0.0))
        # Longer and louder vowels carry the stress.
        stress = level * min(1.0, phone.duration_s / 0.12)
        if stress < _ACCENT_LOUDNESS or rng.random() > style.accents:
            continue
        last_s = phone.start_s
        height = style.brow * (0.6 + 0.8 * (stress - _ACCENT_LOUDNESS) / (1.0 - _ACCENT_LOUDNESS))
        peak_s = phone.start_s + 0.4 * phone.duration_s
        np.maximum(track, height * _bump(time_s, peak_s, _ACCENT_RISE_S, 0.05, _ACCENT_FALL_S), out=track)
    return np.clip(track, 0.0, 1.0)


def _blinks(phones: tuple[Phone, ...], time_s: Floats, style: Style, rng: np.random.Generator) -> Floats:
    track = np.zeros(len(time_s))
    duration_s = float(time_s[-1]) if len(time_s) else 0.0
    mean_s = 60.0 / style.blinks_per_minute
    pauses = [p.start_s for p in phones if p.label == SILENCE and p.start_s > 0.3 and p.duration_s > 0.12]
    # A random phase, so that clips do not all begin with the same wait.
    when_s = float(rng.uniform(0.0, mean_s))
    while when_s < duration_s:
        near = [pause for pause in pauses if 0.0 <= pause + 0.05 - when_s < 0.8]
        start_s = near[0] + 0.05 if near and rng.random() < 0.7 else when_s
        depth = float(rng.uniform(0.9, 1.0))
        peak_s = start_s + BLINK_CLOSE_S
        np.maximum(track, depth * _bump(time_s, peak_s, BLINK_CLOSE_S, BLINK_HOLD_S, BLINK_OPEN_S), out=track)
        when_s = start_s + max(_BLINK_GAP_S, float(rng.lognormal(np.log(mean_s) - 0.18, 0.6)))
    return track


def _bump(time_s: Floats, peak_s: float, rise_s: float, hold_s: float, fall_s: float) -> Floats:
    """(T,) smooth rise to 1 at ``peak_s``, hold, smooth fall."""
    up = np.clip((time_s - (peak_s - rise_s)) / rise_s, 0.0, 1.0)
    down = np.clip((peak_s + hold_s + fall_s - time_s) / fall_s, 0.0, 1.0)
    x = np.minimum(up, down)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def _drift(time_s: Floats, rng: np.random.Generator) -> Floats:
    """(T,) slow small unrest around 0, about -1 to 1."""
    waves = [np.sin(2 * np.pi * (rng.uniform(0.08, 0.35) * time_s + rng.random())) for _ in range(3)]
    return np.asarray(np.sum(waves, axis=0) / 2.0)
