"""Energy of the voice → slight turns of the head: seeded, smooth, at rest in silence.  Numpy only.

A speaker's head moves with the loudness and the melody of the voice, by a few degrees and seldom faster than
two swings a second (Munhall et al., "Visual prosody and speech intelligibility", Psychological Science 15
(2004)).  Here slow swings by chance grow and shrink with the energy, and stress lowers the chin a little.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contracts import LOUDNESS_HZ
from .rhythm import Floats, Rhythm

#: No angle is larger than these at an amount of 1: pitch (the chin goes down), yaw (to the head's left), roll
#: (to its left shoulder).  All swings would have to meet for that; minutes of speech reach half of it.
LARGEST_DEG = (8.0, 9.0, 5.0)
#: The angles of a head as a rig's channels can follow them: Live Link Face's columns, but in degrees.
HEAD_ANGLES = ("headYaw", "headPitch", "headRoll")
#: Swings per second, and how many of them are added.
_SLOWEST_HZ, _FASTEST_HZ, _SWINGS = 0.15, 0.8, 6
#: Standard deviations of the Gaussians that make energy smooth, and what stress is measured against.
_SMOOTH_S, _SLOW_S = 0.35, 1.5
#: Of the pitch, how much is stress.
_NOD = 0.35
#: The head comes out of rest, and back to it, within this time.
_FADE_S = 0.8
_CUT_SIGMAS = 4.0


@dataclass(frozen=True)
class HeadMotion:
    """The settings.  amount: factor on all angles."""

    amount: float = 1.0
    seed: int = 0


def head_angles(rhythm: Rhythm, motion: HeadMotion, times_s: Floats) -> Floats:
    """(T, 3) degrees of pitch, yaw and roll; 0 at both ends of the clip and outside it."""
    if not len(rhythm.energy):
        return np.zeros((len(times_s), 3))
    grid = (np.arange(len(rhythm.energy)) + 0.5) / LOUDNESS_HZ
    smooth, slow = _smoothed(rhythm.energy, _SMOOTH_S), _smoothed(rhythm.energy, _SLOW_S)
    energy = np.interp(times_s, grid, smooth)
    stress = np.interp(times_s, grid, smooth - slow)
    random = np.random.default_rng((motion.seed, 2))
    rates = random.uniform(_SLOWEST_HZ, _FASTEST_HZ, (_SWINGS, 3))
    phases = random.uniform(0.0, 2.0 * np.pi, (_SWINGS, 3))
    # (T, 3), at most 1
    swings = np.sin(2.0 * np.pi * times_s[:, None, None] * rates + phases).mean(axis=1) * energy[:, None]
    swings[:, 0] = (1.0 - _NOD) * swings[:, 0] + _NOD * stress
    fade_s = max(min(_FADE_S, 0.5 * rhythm.duration_s), 1e-6)
    left = np.clip(np.minimum(times_s, rhythm.duration_s - times_s) / fade_s, 0.0, 1.0)
    fade = left * left * (3.0 - 2.0 * left)
    return np.asarray(motion.amount * np.array(LARGEST_DEG) * swings * fade[:, None])


def named_angles(angles: Floats) -> Floats:
    """(T, 3) degrees of HEAD_ANGLES, from those of :func:`head_angles`.

    Signs are ARKit's: to the head's left, the chin goes down, to its right shoulder.
    """
    pitch, yaw, roll = angles.T
    return np.stack([yaw, pitch, -roll], axis=1)


def rotations(angles: Floats) -> Floats:
    """(T, 3, 3) of :func:`head_angles`, in the face's axes: x to its left, y to its back, z up."""
    pitch, yaw, roll = np.radians(angles).T
    return np.asarray(_turn(yaw, 2) @ _turn(pitch, 0) @ _turn(roll, 1))


def _turn(angle: Floats, axis: int) -> Floats:
    one, two = (axis + 1) % 3, (axis + 2) % 3
    found = np.tile(np.eye(3), (len(angle), 1, 1))
    found[:, one, one] = found[:, two, two] = np.cos(angle)
    found[:, one, two], found[:, two, one] = -np.sin(angle), np.sin(angle)
    return found


def _smoothed(energy: Floats, sigma_s: float) -> Floats:
    """Filtered by a Gaussian; around the clip is silence."""
    reach = int(np.ceil(_CUT_SIGMAS * sigma_s * LOUDNESS_HZ))
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / (sigma_s * LOUDNESS_HZ)) ** 2)
    return np.convolve(energy, kernel / kernel.sum())[reach : reach + len(energy)]
