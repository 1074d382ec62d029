"""How each vertex's surroundings turn, grow and stretch when a face takes another's form.  Numpy only."""

from __future__ import annotations

import numpy as np

from .closest import nearest
from .surface import Floats, Index, spread

#: Surroundings are Gaussians of this width, metres, and of the second at the mouth, where they reach across
#: the closed lips, which move as one; an eye that is taller than the model's has lids that go farther.
_WIDTH_M, _MOUTH_WIDTH_M = 0.010, 0.025
#: How far from the mouth's middle the one becomes the other, metres.
_MOUTH_M = 0.025
_CENTRES = 700
#: Along directions in which the surroundings reach less than this, they only turn and grow, metres.
_SURE_M = 0.003


def local_frames(rest: Floats, moved: Floats, chosen: Index, mouth: Floats | None = None) -> Floats:
    """(V, 3, 3) turn, growth and stretch, smooth in space: ``moved`` is about ``frame @ rest`` near a vertex.

    rest, moved: (V, 3) metres; chosen: vertices that tell (the outside of the skin); mouth: (3,) its middle
    in ``rest``, where it is known
    """
    centres = rest[chosen[spread(rest[chosen], _CENTRES)]]
    own = np.full(len(centres), _WIDTH_M)
    if mouth is not None:
        near_mouth = np.exp(-0.5 * _squares(centres, mouth[None])[:, 0] / _MOUTH_M**2)
        own += (_MOUTH_WIDTH_M - _WIDTH_M) * near_mouth
    # Each centre also sees as far as its neighbours, or surroundings would be empty where vertices are few.
    width = np.maximum(own, _neighbour_distance(centres))
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
