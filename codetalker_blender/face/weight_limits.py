"""The weights that shapes may have: limits, correctives below what they correct, one of two opposites."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .shape_controls import SolveSettings
from .shape_names import CORRECTIVES, OPPOSITES, VISEMES

Floats = NDArray[np.float64]

#: Opposite shapes of this weight each are too much.
_BOTH = 1e-3
#: A jaw that opens less than this has nothing to correct, and the share of it that is closed is noise.
_OPEN = 1e-3
#: The viseme of silence moves nothing; it gets what the others leave, as lip sync engines give it.
_SILENCE = VISEMES[0]


class Limits:
    """The weights that are allowed, in the unknowns y = size · w."""

    def __init__(self, names: list[str], sizes: Floats, settings: SolveSettings) -> None:
        controls = [settings.control(name) for name in names]
        self.sizes = sizes
        self._low = sizes * [control.low for control in controls]
        self._high = sizes * [control.high for control in controls]
        self._pairs = [
            (names.index(name), names.index(base))
            for name, base in CORRECTIVES.items()
            if name in names and base in names
        ]
        self._opposites = [
            (names.index(one), names.index(other))
            for one, other in OPPOSITES
            if one in names and other in names
        ]

    def part_opposites(self, found: Floats) -> None:
        """From now on, none of an opposite in frames that have less of it than of the other."""
        high = np.broadcast_to(self._high, found.shape).copy()
        for pair in self._opposites:
            both = found[:, pair] / self.sizes[list(pair)]
            frames = np.flatnonzero(both.min(axis=1) > _BOTH)
            less = np.array(pair)[both[frames].argmin(axis=1)]
            high[frames, less] = np.maximum(self._low[less], 0.0)
        self._high = high

    def nearest(self, wanted: Floats) -> Floats:
        """(T, S) the allowed weights closest to ``wanted``."""
        found = np.clip(wanted, self._low, self._high)
        for corrective, base in self._pairs:
            sizes = self.sizes[[corrective, base]]
            ratios = found[:, [corrective, base]] / sizes
            over = ratios[:, 0] > ratios[:, 1]
            if not over.any():
                continue
            # Both meet at one weight, the one whose distance to the two, as wanted, is least.
            asked = wanted[over][:, [corrective, base]]
            low = np.max(self._low[[corrective, base]] / sizes)
            high = np.min(self._high[..., [corrective, base]] / sizes)
            # Limits that exclude each other: the corrective gives way.
            shared = np.clip(asked @ sizes / (sizes @ sizes), min(low, high), high)
            found[over, corrective] = shared * sizes[0]
            found[over, base] = np.maximum(shared * sizes[1], self._low[base])
        return found


def controlled(names: list[str], values: Floats, settings: SolveSettings) -> Floats:
    """Multipliers and offsets, then the limits; correctives as shares of what they correct; silence last."""
    found = np.empty_like(values)
    correctives = [name for name in names if name in CORRECTIVES]
    for name in [name for name in names if name not in CORRECTIVES] + correctives:
        column, control = names.index(name), settings.control(name)
        solved = values[:, column]
        if name in CORRECTIVES:
            base = names.index(CORRECTIVES[name])
            share = solved / np.maximum(values[:, base], _OPEN)
            asked = control.multiplier * share * found[:, base] + control.offset
            found[:, column] = np.minimum(np.clip(asked, control.low, control.high), found[:, base])
        else:
            asked = control.multiplier * solved + control.offset
            found[:, column] = np.clip(asked, control.low, control.high)
    if _SILENCE in names:
        column, control = names.index(_SILENCE), settings.control(_SILENCE)
        left = 1.0 - np.delete(found, column, axis=1).sum(axis=1)
        found[:, column] = np.clip(left, max(0.0, control.low), control.high)
    return found
