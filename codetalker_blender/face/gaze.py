"""Turns of the head → where the eyes look, so that they hold whom they looked at.  Numpy only.

The eyes turn against the head (the vestibulo-ocular reflex), and flick by a degree or two now and then.  A
flick takes 2.2 ms per degree and 21 ms (Bahill, Clark and Stark, "The main sequence, a tool for studying
human eye movements", Mathematical Biosciences 24 (1975)).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .rhythm import Floats

#: What an ARKit look shape turns the eye by at 1; so it is on the demo head.
FULL_LOOK_DEG = 25.0
#: Eyes turn no further than this, sideways and up or down.
LARGEST_DEG = (20.0, 15.0)
#: Seconds between flicks, on average, and the spread of their logarithm.
_FLICK_EVERY_S, _FLICK_SPREAD = 1.4, 0.5
#: Degrees: how far flicks go, sideways and up or down (standard deviations); one in so many goes back.
_FLICK_DEG, _BACK = (1.2, 0.7), 0.4
_FLICK_S, _FLICK_S_PER_DEG = 0.021, 0.0022
#: Names of the shapes; the eyes look to the face's left, its right, up, down.
_LEFTWARDS, _RIGHTWARDS = ("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight")
_UP, _DOWN = ("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight")
LOOK_SHAPES = (*_LEFTWARDS, *_RIGHTWARDS, *_UP, *_DOWN)


@dataclass(frozen=True)
class Gaze:
    """The settings.

    amount: how much of the head's turn the eyes take back; 1 is all of it
    flicks: factor on small flicks by chance; 0 is none
    """

    amount: float = 1.0
    flicks: float = 0.5
    seed: int = 0


def eye_angles(head: Floats, gaze: Gaze, times_s: Floats, duration_s: float) -> Floats:
    """(T, 2) degrees by which the eyes turn in the head: to the face's left, and up.

    head: (T, 3, 3) rotations of the head in the face's axes (see head_motion.rotations)
    """
    # Where (0, -1, 0), straight ahead, lies for a head that has turned.
    ahead = -head[:, 1, :]
    aside = np.degrees(np.arctan2(ahead[:, 0], -ahead[:, 1]))
    above = np.degrees(np.arcsin(np.clip(ahead[:, 2], -1.0, 1.0)))
    found = gaze.amount * np.stack([aside, above], axis=1) + gaze.flicks * _flicks(gaze, times_s, duration_s)
    return np.asarray(np.clip(found, -np.array(LARGEST_DEG), np.array(LARGEST_DEG)))


def look_weights(angles: Floats) -> dict[str, Floats]:
    """The weights of the look shapes that turn both eyes by (T, 2) degrees of :func:`eye_angles`.

    A shape moves points along a chord: at a part of its weight the turn is a little less than that part.
    """
    full = np.radians(FULL_LOOK_DEG)
    slope = np.tan(np.radians(np.abs(angles)))
    weights = slope / (np.sin(full) + (1.0 - np.cos(full)) * slope)
    found = {}
    for column, (plus, minus) in enumerate(((_LEFTWARDS, _RIGHTWARDS), (_UP, _DOWN))):
        for names, chosen in ((plus, angles[:, column] > 0), (minus, angles[:, column] < 0)):
            for name in names:
                found[name] = np.where(chosen, weights[:, column], 0.0)
    return found


def _flicks(gaze: Gaze, times_s: Floats, duration_s: float) -> Floats:
    """(T, 2) degrees; straight ahead at both ends of the clip."""
    random = np.random.default_rng((gaze.seed, 3))
    found = np.zeros((len(times_s), 2))
    here, begin = np.zeros(2), 0.0
    while True:
        begin += float(random.lognormal(np.log(_FLICK_EVERY_S) - 0.5 * _FLICK_SPREAD**2, _FLICK_SPREAD))
        there = random.normal(size=2) * _FLICK_DEG * float(random.uniform() > _BACK)
        last = begin > duration_s - _FLICK_EVERY_S
        if last:
            begin, there = max(duration_s - 2 * _FLICK_S - 0.1, 0.0), np.zeros(2)
        takes_s = _FLICK_S + _FLICK_S_PER_DEG * float(np.linalg.norm(there - here))
        share = np.clip((times_s - begin) / takes_s, 0.0, 1.0)[:, None]
        found += (there - here) * share * share * (3.0 - 2.0 * share)
        here = there
        if last:
            return found
