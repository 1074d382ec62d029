"""Turns of the head, and whom the eyes look at → how far each eye turns.  Numpy only.

The eyes turn against the head (the vestibulo-ocular reflex), and flick by a degree or two now and then.  A
flick takes 2.2 ms per degree and 21 ms (Bahill, Clark and Stark, "The main sequence, a tool for studying
human eye movements", Mathematical Biosciences 24 (1975)).

An eye's turn is a vector: its length is the angle from straight ahead, and it points where the eye goes, to
the face's left and up.  So there is no direction, but for that straight behind, at which it jumps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contracts import ShapeWeights
from .rhythm import Floats

#: What an ARKit look shape turns the eye by at 1; so it is on the demo head.
FULL_LOOK_DEG = 25.0
#: Eyes turn no further than this, sideways and up or down.
LARGEST_DEG = (25.0, 20.0)
#: Whom they cannot reach they follow as far as they can; beyond the first angle from straight ahead they lose
#: interest, and beyond the second look ahead, so that somebody who walks by behind makes them jump nowhere.
_FOLLOW_DEG, _LOST_DEG = 60.0, 110.0
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


@dataclass(frozen=True, eq=False)
class Sight:
    """Whom the eyes look at, and from where; lengths in any unit.

    Both in axes in which the head turns, from the point about which it does, and as the head rests.

    target: (T, 3); eyes: (T, 2, 3) centres of the left one and the right one
    axes: (T, 3, 3) the face's own as columns: to its left, to its back, up
    attached: whether the target turns together with the head
    """

    target: Floats
    eyes: Floats
    axes: Floats
    attached: bool = False


def wanted_angles(head: Floats, gaze: Gaze, sight: Sight | None = None) -> Floats:
    """(T, 2, 2) degrees by which the left and the right eye would have to turn: to the face's left, and up.

    head: (T, 3, 3) rotations of the head (see head_motion.rotations)
    sight: whom they look at; None for what lies straight ahead of the head at rest, far away
    """
    if sight is None:
        # Where (0, -1, 0), straight ahead, lies for a head that has turned.
        ahead = -head[:, 1, :]
        return gaze.amount * _turns(np.stack([ahead, ahead], axis=1))
    resting = _turns(_seen(sight, sight.target))
    if sight.attached:
        return resting
    turned = _turns(_seen(sight, np.einsum("tji,tj->ti", head, sight.target)))
    return resting + gaze.amount * (turned - resting)


def eye_angles(wanted: Floats, gaze: Gaze, times_s: Floats, duration_s: float) -> Floats:
    """(T, 2, 2) degrees by which eyes turn that would have to by ``wanted``; 0 at both ends of the clip."""
    reached = _within_reach(wanted)
    size = np.linalg.norm(reached, axis=-1, keepdims=True)
    left_s = np.minimum(times_s, duration_s - times_s)[:, None, None]
    found = reached * _smooth(left_s / _takes_s(size))
    found += gaze.flicks * _flicks(gaze, times_s, duration_s)[:, None]
    return _limited(found)


def out_of_reach(wanted: Floats) -> float:
    """The share of frames in which an eye cannot turn as far as it would have to."""
    beyond = np.linalg.norm(wanted / np.array(LARGEST_DEG), axis=-1) > 1.0
    return float(beyond.any(axis=1).mean())


def look_weights(angles: Floats) -> dict[str, Floats]:
    """The weights of the look shapes that turn the eyes by (T, 2, 2) degrees of :func:`eye_angles`.

    Shapes move points along chords, each by its part of the way; so at a part of its weight the turn is a
    little less than that part, and less still beside another shape.
    """
    full = np.radians(FULL_LOOK_DEG)
    size = np.radians(np.linalg.norm(angles, axis=-1, keepdims=True))
    slopes = np.radians(angles) * np.tan(size) / np.maximum(size, 1e-9)
    # How far ahead of the eye's centre the pupil is left by both shapes together, in radii.
    depth = 1.0 / (1.0 + np.tan(full / 2.0) * np.abs(slopes).sum(axis=-1))
    weights = np.abs(slopes) * depth[..., None] / np.sin(full)
    found = {}
    for column, (plus, minus) in enumerate(((_LEFTWARDS, _RIGHTWARDS), (_UP, _DOWN))):
        for eye in (0, 1):
            forwards = angles[:, eye, column] > 0
            found[plus[eye]] = np.where(forwards, weights[:, eye, column], 0.0)
            found[minus[eye]] = np.where(forwards, 0.0, weights[:, eye, column])
    return found


def look_angles(weights: ShapeWeights) -> Floats:
    """(T, 2, 2) degrees by which look shapes turn the eyes: the inverse of :func:`look_weights`."""
    full, found = np.radians(FULL_LOOK_DEG), []
    for eye in (0, 1):
        plus = np.stack([weights.of(names[eye]) for names in (_LEFTWARDS, _UP)], axis=1).astype(np.float64)
        minus = np.stack([weights.of(names[eye]) for names in (_RIGHTWARDS, _DOWN)], axis=1)
        depth = 1.0 - (1.0 - np.cos(full)) * (plus + minus).sum(axis=1, keepdims=True)
        slopes = (plus - minus) * np.sin(full) / depth
        size = np.linalg.norm(slopes, axis=1, keepdims=True)
        found.append(np.degrees(slopes * np.arctan(size) / np.maximum(size, 1e-9)))
    return np.stack(found, axis=1)


def _seen(sight: Sight, target: Floats) -> Floats:
    """(T, 2, 3) from each eye to (T, 3) a place, in the face's axes."""
    return np.asarray(np.einsum("tji,tej->tei", sight.axes, target[:, None] - sight.eyes))


def _turns(ways: Floats) -> Floats:
    """(..., 2) degrees of a turn from straight ahead into each of (..., 3) directions."""
    across = ways[..., [0, 2]]
    size = np.linalg.norm(across, axis=-1)
    angle = np.degrees(np.arctan2(size, -ways[..., 1]))
    return np.asarray(across * (angle / np.maximum(size, 1e-12))[..., None])


def _within_reach(wanted: Floats) -> Floats:
    """What eyes do of it: they follow to their limits, and somebody behind not at all."""
    off = np.linalg.norm(wanted, axis=-1, keepdims=True)
    return _limited(wanted) * _smooth((_LOST_DEG - off) / (_LOST_DEG - _FOLLOW_DEG))


def _limited(turns: Floats) -> Floats:
    """Turns of the same direction within the ellipse of LARGEST_DEG."""
    size = np.linalg.norm(turns / np.array(LARGEST_DEG), axis=-1, keepdims=True)
    return np.asarray(turns / np.maximum(size, 1.0))


def _smooth(share: Floats) -> Floats:
    share = np.clip(share, 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share))


def _takes_s(degrees: Floats) -> Floats:
    """Seconds that a jump of the eyes takes."""
    return _FLICK_S + _FLICK_S_PER_DEG * degrees


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
        takes_s = _takes_s(np.asarray(np.linalg.norm(there - here)))
        found += (there - here) * _smooth((times_s - begin) / takes_s)[:, None]
        here = there
        if last:
            return found
