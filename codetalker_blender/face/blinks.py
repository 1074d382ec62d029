"""Pauses of speech → blinks: when, and how far the lids are shut at a time.  Seeded, in seconds.  Numpy only.

Rate and spread follow Bentivoglio et al., "Analysis of blink rate patterns in normal subjects", Movement
Disorders 12 (1997): 26 blinks a minute in conversation, distributed log-normally (Doughty, Optometry and
Vision Science 78 (2001), has 10.5 to 32.5).  Speakers blink at the ends of what they say and in pauses:
Nakano and Kitazawa, "Eyeblink entrainment at breakpoints of speech", Experimental Brain Research 205 (2010).
A spontaneous blink takes up to 0.4 s (VanderWerf et al., Journal of Neurophysiology 89 (2003)), of which
opening is the longer part.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rhythm import Floats, Rhythm

#: Blinks begin at least this far apart.
SHORTEST_INTERVAL_S = 0.8
#: Of the logarithm of the intervals.
_SPREAD = 0.55
#: Seconds: the lids close and open within these, and stay shut between; a frame of a film sees that.
_CLOSING_S, _OPENING_S, _SHUT_S = (0.075, 0.100), (0.150, 0.250), 0.050
#: How much likelier a blink is where a pause begins, and how soon that wears off.
_PAUSE_GAIN, _PAUSE_FADE_S = 14.0, 0.4
#: Time is looked at in steps of this length.
_STEP_S = 0.01
#: Lids that the motion itself shuts as far as this are a blink.
_OWN_BLINK = 0.5


@dataclass(frozen=True)
class Blinks:
    """The settings.

    per_minute: on average, those that the motion has itself included
    closure: how far the lids shut; 1 is entirely
    """

    per_minute: float = 22.0
    closure: float = 1.0
    seed: int = 0


def plan_blinks(rhythm: Rhythm, blinks: Blinks, own_s: Floats | None = None) -> Floats:
    """(n, 4) seconds at which each blink begins, the lids are shut, open again, and the blink is over.

    own_s: when the motion blinks by itself, in order; such a blink stands for one of ours

    The clock that intervals are counted on runs faster where a blink is likelier, and on average as time
    does: intervals keep their spread, and blinks gather where they belong.
    """
    random = np.random.default_rng((blinks.seed, 1))
    own = np.zeros(0) if own_s is None else own_s
    times = np.arange(0.0, rhythm.duration_s + _STEP_S, _STEP_S)
    speed = _likelihood(rhythm, times)
    clock = np.concatenate([[0.0], np.cumsum(speed[1:]) * _STEP_S]) / speed.mean()
    mean_s = 60.0 / max(blinks.per_minute, 1e-6)

    def interval() -> float:
        return float(random.lognormal(np.log(mean_s) - 0.5 * _SPREAD**2, _SPREAD))

    found: list[tuple[float, float, float, float]] = []
    last, due = -np.inf, float(random.uniform()) * interval()
    while due <= clock[-1]:
        begin = max(float(np.interp(due, clock, times)), last + SHORTEST_INTERVAL_S)
        coming = own[(own > last) & (own < begin + SHORTEST_INTERVAL_S)]
        if len(coming):
            last = float(coming[0])
            due = float(np.interp(last, times, clock)) + interval()
            continue
        shut = begin + float(random.uniform(*_CLOSING_S))
        opens = shut + _SHUT_S
        over = opens + float(random.uniform(*_OPENING_S))
        if over <= rhythm.duration_s:
            found.append((begin, shut, opens, over))
        last = begin
        due += interval()
    return np.array(found).reshape(-1, 4)


def own_blinks(closure: Floats, fps: float) -> Floats:
    """(n,) seconds at which lids that the motion itself moves begin to be shut.  closure: (T,), 1 is shut"""
    shut = np.concatenate([[False], closure > _OWN_BLINK])
    return np.asarray(np.flatnonzero(~shut[:-1] & shut[1:]) / fps)


def lid_closure(plan: Floats, times_s: Floats) -> Floats:
    """(T,) how far the lids are shut at any times, in [0, 1]; 0 outside the blinks of the plan."""
    found = np.zeros(len(times_s))
    for begin, shut, opens, over in plan:
        near = (times_s > begin) & (times_s < over)
        closing = _eased((times_s[near] - begin) / (shut - begin))
        # Opening is quick at first and comes to rest slowly.
        opening = _eased(np.clip((times_s[near] - opens) / (over - opens), 0.0, 1.0) ** 0.75)
        found[near] = np.minimum(closing, 1.0 - opening)
    return found


def _likelihood(rhythm: Rhythm, times: Floats) -> Floats:
    """(n,) how likely a blink is, 1 while somebody speaks."""
    found = np.ones(len(times))
    for first, last in rhythm.pauses:
        within = (times >= first) & (times < last)
        found[within] += _PAUSE_GAIN * np.exp(-(times[within] - first) / _PAUSE_FADE_S)
    return found


def _eased(share: Floats) -> Floats:
    """From 0 to 1, at rest at both ends."""
    share = np.clip(share, 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share))
