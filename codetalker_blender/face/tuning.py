"""Generated motion -> the animator's version of it: strength and smoothing by region, lips that shut, timing.

Works on a :class:`Basis` (a few dozen shapes with their weights), so that a slider answers at once:
strength scales shapes, smoothing filters weights, closure adds a shape, timing moves it all.  Numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..contracts import FaceMesh, FloatArray, IntArray
from .compact import Basis

#: The regions with sliders, and the index list of the model's face that each grows from.
SEEDS: Mapping[str, str] = {
    "mouth": "lips",
    "jaw": "jaw",
    "upper_face": "upper_face",
    "eyelids": "eyelids",
}
#: Parts that are rigid and lie close to others: they belong to one region (None: to no slider) entirely.
_RIGID: Mapping[str, str | None] = {"lower_teeth": "jaw", "upper_teeth": None, "eyes": None}
#: Where two regions touch, they blend over about twice this length.
_BORDER_M = 0.003
#: Vertices this far from every region (neck, back of the head) belong half to none.
_REACH_M = 0.05
#: Mid-lip gaps above this one are left alone by the closure boost.
CLOSURE_REACH_M = 0.003
#: Gaussians are cut off here; what lies beyond is 6e-5 of the whole.
_CUT_SIGMAS = 4.0
#: Time offsets are rounded to a thousandth of a frame, so that those meant to be whole frames are.
_FRAME_DIGITS = 3


@dataclass(frozen=True)
class Tuning:
    """The sliders.  The defaults change nothing.

    strength: region -> factor on its motion; smoothing_s: region -> standard deviation of the Gaussian
        in time, seconds; regions not named are left as they are
    closure: 0 to 1, how far mid-lip gaps that are nearly shut get shut
    offset_s: seconds by which the motion comes later
    """

    strength: Mapping[str, float] = field(default_factory=dict)
    smoothing_s: Mapping[str, float] = field(default_factory=dict)
    closure: float = 0.0
    offset_s: float = 0.0


@dataclass(frozen=True)
class Regions:
    """Soft regions of one face.

    names: those that the face has
    weights: (len(names), V) float32 in [0, 1]; what a vertex lacks to 1 belongs to no slider
    mid_lips: (2,) upper and lower mid-lip vertex, or (0,)
    """

    names: tuple[str, ...]
    weights: FloatArray
    mid_lips: IntArray


@dataclass(frozen=True)
class Tuned:
    """The tuned motion.

    late_frames: how many frames later it starts than the untuned one (a fraction, and may be negative)
    """

    basis: Basis
    late_frames: float


def soft_regions(face: FaceMesh, units_per_metre: float) -> Regions:
    """The regions of a model's face, blending into each other.

    Each vertex is shared out by inverse distances to the face's index lists (Shepard's method, power 4).
    units_per_metre: template units in one metre
    """
    names = tuple(name for name, seed in SEEDS.items() if len(face.regions.get(seed, ())))
    points = face.vertices.astype(np.float64) / units_per_metre
    shares = np.empty((len(names) + 1, len(points)))
    for row, name in enumerate(names):
        shares[row] = (_squared_distances(points, points[face.regions[SEEDS[name]]]) + _BORDER_M**2) ** -2.0
    shares[-1] = (_REACH_M**2 + _BORDER_M**2) ** -2.0
    weights = shares[:-1] / shares.sum(axis=0)
    for part, owner in _RIGID.items():
        rigid = face.regions.get(part, np.zeros(0, np.int32))
        weights[:, rigid] = 0.0
        if owner in names:
            weights[names.index(owner), rigid] = 1.0
    return Regions(names, weights.astype(np.float32), face.mid_lips)


def tune(basis: Basis, regions: Regions, fps: float, tuning: Tuning) -> Tuned:
    """Apply the sliders: strength and smoothing, then closure on what they leave, then the time offset.

    basis: offsets from rest in METRES at ``fps`` frames per second
    """
    tuned = _close_lips(_by_region(basis, regions, fps, tuning), regions, tuning.closure)
    return Tuned(tuned, round(tuning.offset_s * fps, _FRAME_DIGITS))


def smooth(weights: FloatArray, sigma_frames: float) -> FloatArray:
    """(T, K) filtered in time by a Gaussian: symmetric, so nothing comes earlier or later.

    sigma_frames: standard deviation, frames.  Before the first and after the last frame, these hold.
    """
    reach = math.ceil(_CUT_SIGMAS * sigma_frames)
    if reach == 0:
        return weights
    kernel = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma_frames) ** 2)
    kernel /= kernel.sum()
    padded = np.pad(weights.astype(np.float64), ((reach, reach), (0, 0)), mode="edge")
    found = np.zeros(weights.shape)
    for shift, share in enumerate(kernel):
        found += share * padded[shift : shift + len(weights)]
    return _float32(found)


def shut(gap: NDArray[np.float64], closure: float) -> NDArray[np.float64]:
    """Gaps after the boost; all in metres, 0 where the lips touch as they do at rest.

    Small gaps shrink most, those above CLOSURE_REACH_M not at all.  The order of gaps stays, so no gap
    becomes negative, and lips that are pressed together already (a negative gap) stay as they are.
    """
    near = np.clip(gap / CLOSURE_REACH_M, 0.0, 1.0)
    share = np.where(gap > 0, min(max(closure, 0.0), 1.0) * (1.0 - near**2) ** 2, 0.0)
    return np.asarray(gap * (1.0 - share))


def _by_region(basis: Basis, regions: Regions, fps: float, tuning: Tuning) -> Basis:
    """One copy of the shapes per smoothing in use, each cut out for the vertices it is for."""
    vertex_count = basis.shapes.shape[1]
    # What belongs to no slider comes first, with strength 1 and no smoothing.
    fields: dict[float, NDArray[np.float64]] = {0.0: 1.0 - regions.weights.sum(axis=0, dtype=np.float64)}
    for name, weights in zip(regions.names, regions.weights, strict=True):
        sigma = max(0.0, tuning.smoothing_s.get(name, 0.0) * fps)
        field_ = fields.setdefault(sigma, np.zeros(vertex_count))
        field_ += tuning.strength.get(name, 1.0) * weights.astype(np.float64)
    if list(fields) == [0.0] and np.abs(fields[0.0] - 1.0).max() < 1e-6:
        return basis
    return Basis(
        np.concatenate([smooth(basis.weights, sigma) for sigma in fields], axis=1),
        np.concatenate([_float32(basis.shapes * cut[:, None]) for cut in fields.values()]),
    )


def _close_lips(basis: Basis, regions: Regions, closure: float) -> Basis:
    """Lips that are nearly shut get shut the way this face shuts them: mouth and jaw together.

    The way is the clip's own: the offsets that go with a metre of mid-lip gap, by least squares.
    A face without mid-lip vertices, or one that never opens its mouth, stays as it is.
    """
    if closure <= 0 or len(regions.mid_lips) != 2:
        return basis
    upper, lower = regions.mid_lips
    apart = (basis.shapes[:, upper] - basis.shapes[:, lower]).astype(np.float64)  # (K, 3)
    weights = basis.weights.astype(np.float64)
    mean = (weights @ apart).mean(axis=0)
    length = float(np.linalg.norm(mean))
    if length < 1e-6:
        return basis
    gap = weights @ apart @ (mean / length)  # (T,), 0 as at rest
    way = np.einsum("k,kvc->vc", weights.T @ gap / (gap @ gap), basis.shapes.astype(np.float64))
    mouth = [row for row, name in enumerate(regions.names) if name in ("mouth", "jaw")]
    if mouth:
        cut = regions.weights[mouth].sum(axis=0, dtype=np.float64)
        if cut[upper] > 0.5 and cut[lower] > 0.5:
            way = way * cut[:, None]
    way /= (way[upper] - way[lower]) @ (mean / length)  # cutting it out made it a little shorter
    change = shut(gap, closure) - gap
    return Basis(
        np.concatenate([basis.weights, _float32(change)[:, None]], axis=1),
        np.concatenate([basis.shapes, _float32(way)[None]]),
    )


def _squared_distances(points: NDArray[np.float64], seeds: NDArray[np.float64]) -> NDArray[np.float64]:
    """(V,) squared distance of every point to its nearest seed."""
    found = np.empty(len(points))
    seed_squares = (seeds**2).sum(axis=1)
    for first in range(0, len(points), 1024):
        part = points[first : first + 1024]
        squares = (part**2).sum(axis=1)[:, None] + seed_squares - 2.0 * part @ seeds.T
        found[first : first + 1024] = squares.min(axis=1)
    return np.maximum(found, 0.0)


def _float32(values: NDArray[np.float64]) -> FloatArray:
    return values.astype(np.float32)
