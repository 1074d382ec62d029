"""Look shapes of a mesh → where its eyes are, and which way its face looks.  Numpy only.

A shape that turns eyes moves each of their points by a linear function of its place.  That function is zero
in the eye's centre, and tells the axis of the turn, be the mesh of any make, size and direction.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .gaze import LOOK_SHAPES
from .rhythm import Floats

_SIDES = ("Left", "Right")
#: Below this length, the sine of an angle, a shape turns nothing: its eyes slide, or only lids move.
_LEAST_TURN = 0.1
#: Against a centre far away, where shapes hardly turn.
_RIDGE = 1e-3
#: What moves this much unlike an eye, in its extents, counts a quarter; rounds of finding that out.
_STRAY, _ROUNDS = 0.02, 6


@dataclass(frozen=True, eq=False)
class Eyes:
    """Eyes in the axes of a mesh.

    centres: (2, 3) of the left one and the right one
    axes: (3, 3) columns are the face's: to its left, to its back, up; None where shapes do not tell
    """

    centres: Floats
    axes: Floats | None


def eyes_of(points: Floats, looks: Mapping[str, Floats]) -> Eyes | None:
    """The eyes that look shapes turn; None where one eye has none.

    points: (V, 3) at rest; looks: of some of LOOK_SHAPES, (V, 3) offsets at weight 1
    """
    centres, lefts, ups = [], [], []
    for side in _SIDES:
        own = {name: looks[name] for name in LOOK_SHAPES if name.endswith(side) and name in looks}
        counts = np.sum([(offsets**2).sum(axis=1) for offsets in own.values()], axis=0)
        if not own or not counts.any():
            return None
        moved = counts > 0
        own = {name: offsets[moved] for name, offsets in own.items()}
        centre, turns = _turned(points[moved], own, counts[moved])
        centres.append(centre)
        for name, axis in turns.items():
            if "Up" in name or "Down" in name:
                lefts.append(-axis if "Up" in name else axis)
            else:
                # The left eye looks out to the face's left, the right one in.
                ups.append(axis if ("Out" in name) == (side == "Left") else -axis)
    return Eyes(np.array(centres), _axes(np.sum(lefts, axis=0), np.sum(ups, axis=0)))


def _turned(points: Floats, looks: Mapping[str, Floats], counts: Floats) -> tuple[Floats, dict[str, Floats]]:
    """The centre of one eye, and the vector of each shape's turn, as long as the sine of its angle.

    counts: (V,) how much each vertex counts

    Lids, which follow the eye by less, and by no turn, are found out by what the turn leaves of them.
    """
    middle = counts @ points / counts.sum()
    extent = max(float(np.sqrt(counts @ ((points - middle) ** 2).sum(axis=1) / counts.sum())), 1e-12)
    # Offsets are [p, 1] @ [turn; shift]; in units of the eye's extent, so that size plays no part.
    columns = np.concatenate([(points - middle) / extent, np.ones((len(points), 1))], axis=1)
    offsets = np.concatenate(list(looks.values()), axis=1) / extent
    weights = counts
    for _ in range(_ROUNDS):
        root = np.sqrt(weights)[:, None]
        found = np.linalg.lstsq(columns * root, offsets * root, rcond=1e-6)[0]
        left = np.linalg.norm(offsets - columns @ found, axis=1)
        weights = counts / (1.0 + (left / _STRAY) ** 2) ** 2
    matrices = found.reshape(4, len(looks), 3).transpose(1, 2, 0)  # (shapes, 3, [turn, shift])
    turns = {
        name: 0.5 * np.array([m[2, 1] - m[1, 2], m[0, 2] - m[2, 0], m[1, 0] - m[0, 1]])
        for name, m in zip(looks, matrices, strict=True)
    }
    linear, shifts = matrices[:, :, :3].reshape(-1, 3), matrices[:, :, 3].ravel()
    shift = np.linalg.solve(linear.T @ linear + _RIDGE * np.eye(3), -linear.T @ shifts)
    shift /= max(float(np.linalg.norm(shift)), 1.0)
    return middle + shift * extent, turns


def _axes(left: Floats, up: Floats) -> Floats | None:
    """(3, 3) columns from vectors that need not be at right angles; None where one is too short."""
    if np.ndim(left) == 0 or np.ndim(up) == 0 or min(np.linalg.norm(left), np.linalg.norm(up)) < _LEAST_TURN:
        return None
    up = up / np.linalg.norm(up)
    left = left - (left @ up) * up
    if np.linalg.norm(left) < _LEAST_TURN:
        return None
    left = left / np.linalg.norm(left)
    return np.asarray(np.stack([left, np.cross(up, left), up], axis=1))
