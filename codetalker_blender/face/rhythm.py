"""How loud a sound is → when somebody speaks, pauses, and how much energy is in the voice.  Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contracts import LOUDNESS_HZ, FloatArray

Floats = NDArray[np.float64]

#: Speech spans some 25 dB; what lies further below its loud parts is a pause.  But noise goes on in pauses,
#: so the bound lies at least so far above the quietest tenth, and at least so far below the loud parts.
_BELOW_LOUD_DB, _ABOVE_QUIET_DB, _SURELY_BELOW_DB = 25.0, 6.0, 10.0
#: What is softer than this is silence, whatever the rest is like.
_SILENCE_DB = -80.0
#: Shorter gaps are the closures of stops.
SHORTEST_PAUSE_S = 0.15


@dataclass(frozen=True, eq=False)
class Rhythm:
    """A clip as who listens for its rhythm hears it.

    duration_s: of the clip
    pauses: (p, 2) seconds, where each begins and ends, in order
    energy: (n,) in [0, 1], LOUDNESS_HZ times a second: how loud the voice is; 0 in pauses
    """

    duration_s: float
    pauses: Floats
    energy: Floats


def rhythm_of(loudness: FloatArray, duration_s: float) -> Rhythm:
    """The rhythm of a sound that was measured as in :class:`~..contracts.Motion`.

    A sound whose loudness is not known has no pauses and no energy.
    """
    if not len(loudness):
        return Rhythm(duration_s, np.zeros((0, 2)), np.zeros(0))
    level_db = 20.0 * np.log10(np.maximum(loudness.astype(np.float64), 1e-9))
    quiet_db, loud_db = np.percentile(level_db, (10.0, 95.0))
    bound_db = max(
        min(max(loud_db - _BELOW_LOUD_DB, quiet_db + _ABOVE_QUIET_DB), loud_db - _SURELY_BELOW_DB),
        _SILENCE_DB,
    )
    edges = np.flatnonzero(np.diff(np.concatenate([[False], level_db < bound_db, [False]]).astype(np.int8)))
    pauses = edges.reshape(-1, 2) / LOUDNESS_HZ
    pauses = np.minimum(pauses[pauses[:, 1] - pauses[:, 0] >= SHORTEST_PAUSE_S - 1e-9], duration_s)
    reference = 10.0 ** (loud_db / 20.0)
    energy = np.minimum(loudness / max(reference, 1e-9), 1.0)
    times = (np.arange(len(energy)) + 0.5) / LOUDNESS_HZ
    for first, last in pauses:
        energy[(times > first) & (times < last)] = 0.0
    return Rhythm(duration_s, pauses, energy.astype(np.float64))
