"""How each vertex's surroundings turn, grow and stretch when a face takes another's form.  Numpy only."""

from __future__ import annotations

import numpy as np

from .closest import nearest
from .surface import Floats, Index, spread

#: Surroundings are a Gaussian of this width, metres; it reaches across the closed lips, which move as one.
_WIDTH_M = 0.018
_CENTRES = 220
#: Along directions in which the surroundings reach less than this, they only turn and grow, metres.
_SURE_M = 0.006


def local_frames(rest: Floats, moved: Floats, chosen: Index) -> Floats:
    """(V, 3, 3) turn, growth and stretch, smooth in space: ``moved`` is about ``frame @ rest`` near a vertex.

    rest, moved: (V, 3) metres; chosen: vertices that tell (the outside of the skin)
    """
    centres = rest[chosen[spread(rest[chosen], _CENTRES)]]
    # Each centre also sees as far as its neighbours, or surroundings would be empty where vertices are few.
    width = np.maximum(_WIDTH_M, _neighbour_distance(centres))
    weight = np.exp(-0.5 * _squares(centres, rest[chosen]) / width[:, None] ** 2)
    weight /= weight.sum(axis=1, keepdims=True)
    mean, goal = weight @ rest[chosen], weight @ moved[chosen]
    outer = np.einsum("vi,vj->vij", moved[chosen], rest[chosen]).reshape(len(chosen), 9)
    spread_ = (weight @ outer).reshape(-1, 3, 3) - np.einsum("ci,cj->cij", goal, mean)
    variance = weight @ (rest[chosen] ** 2).sum(axis=1) - (mean**2).sum(axis=1)
    left, values, right = np.linalg.svd(spread_)
    sign = np.sign(np.linalg.det(left @ right))
    left[:, :, 2] *= sign[:, None]
    values[:, 2] *= sign
    growth = values.sum(axis=1) / np.maximum(variance, 1e-12)
    frames = growth[:, None, None] * (left @ right)
    # Of a stretch that differs by direction, as much as the surroundings reach that way to tell.
    second = np.einsum("vi,vj->vij", rest[chosen], rest[chosen]).reshape(len(chosen), 9)
    extent = (weight @ second).reshape(-1, 3, 3) - np.einsum("ci,cj->cij", mean, mean)
    frames = frames + (spread_ - frames @ extent) @ np.linalg.inv(extent + _SURE_M**2 * np.eye(3))
    near = np.exp(-0.5 * _squares(rest, centres) / width**2)
    near[np.arange(len(rest)), nearest(rest, centres)] += 1e-9
    near /= near.sum(axis=1, keepdims=True)
    return np.asarray((near @ frames.reshape(-1, 9)).reshape(-1, 3, 3))


def _neighbour_distance(centres: Floats) -> Floats:
    """(n,) from each centre to its nearest other one."""
    squares = _squares(centres, centres)
    squares[np.diag_indices(len(centres))] = np.inf
    return np.asarray(np.sqrt(squares.min(axis=1)))


def _squares(first: Floats, second: Floats) -> Floats:
    """(n, m) squared distances."""
    found = (first**2).sum(axis=1)[:, None] + (second**2).sum(axis=1) - 2.0 * first @ second.T
    return np.asarray(np.maximum(found, 0.0))
