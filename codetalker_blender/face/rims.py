"""The rims of the eyes' openings, where the skin ends: between forehead and cheek nothing else says as
surely which place of one face is which of another.  Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .surface import Floats, Index, Surface, unit

#: A rim lies no farther from the eye's middle than this, metres of the model.
_EYE_M = 0.026
#: A mesh whose skin does not end this near to the model's rim, metres, has no such rim.
REACH_M = 0.012


def eye_rims(skin: Surface, marks: Mapping[str, Floats]) -> Index:
    """(n,) vertices of a model's skin where it ends around an eye; none where it goes on behind the lids."""
    border = np.flatnonzero(skin.border)
    eyes = [marks[name] for name in ("eye_left", "eye_right") if name in marks]
    near = [np.linalg.norm(skin.points[border] - eye, axis=1) < _EYE_M for eye in eyes]
    return np.asarray(border[np.any(near, axis=0)] if near else border[:0])


@dataclass(frozen=True, eq=False)
class Ends:
    """Edges at which a mesh's skin ends: starts (E, 3) and ways to the other ends (E, 3), metres."""

    starts: Floats
    ways: Floats

    @classmethod
    def of(cls, surface: Surface) -> Ends:
        """All of them."""
        edges = surface.border_edges
        starts = surface.points[edges[:, 0]]
        return cls(starts, surface.points[edges[:, 1]] - starts)

    def closest(self, points: Floats) -> tuple[Floats, Floats]:
        """(n, 3) the nearest places to ``points``, and (n, 3) which way the edge goes there, length 1."""
        lengths = np.maximum((self.ways**2).sum(axis=1), 1e-18)
        apart = points[:, None] - self.starts
        share = np.clip(np.einsum("nej,ej->ne", apart, self.ways) / lengths, 0.0, 1.0)
        missed = apart - share[:, :, None] * self.ways
        best = np.einsum("nej,nej->ne", missed, missed).argmin(axis=1)
        rows = np.arange(len(points))
        return points - missed[rows, best], unit(self.ways[best])
