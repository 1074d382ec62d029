"""Motion → weights of a face's named shapes, such as ARKit's 52 or the 15 visemes, and what they miss.

All frames at once: the weights w (T, S) minimise, within each shape's limits, the sum over frames t of

    Σ_v d_v ‖ Σ_s w_ts B_sv − x_tv ‖²             the motion x, met by the shapes B            (data)
  + lips     · ‖ Σ_s w_ts (B_su − B_sl) − (x_tu − x_tl) ‖²   lips shut where they are, and part as far (lips)
  + l2       · Σ_s h_s w_ts²                       no more of a shape than the motion asks for  (L2)
  + symmetry · Σ_pairs √(h_l h_r) (w_tl − w_tr)²   left and right alike where both explain it   (symmetry)
  + temporal · (fps / 30)² · Σ_s h_s (w_ts − w_{t−1,s})²     no jumps between frames            (temporal)

with B and x in mm, vertex weights d that add to 1, so that the data term is a mean square distance, and
the mid-lip vertices u and l.  h_s = Σ_v d_v ‖B_sv‖² is how far shape s moves the face.  It stands in the
last three terms, so that a factor means the same to a jaw and to an eyelid, and a factor of 1 weighs as much
as the data.  The rate stands in the temporal term so that a clip at 60 fps is smoothed over the same time as
one at 30.

A corrective (mouthClose) is made for another shape's full effect (jawOpen) and never exceeds it: w_c ≤ w_j.
Of opposite shapes (jawLeft and jawRight) a frame has one: the one that it has more of when both are allowed.

The motion is projected on the shapes once (T × 3V × S); what is left is a quadratic in T × S numbers with a
Hessian of S × S and the temporal chain.  It is solved by accelerated projected gradients with restarts
(Beck and Teboulle, "A fast iterative shrinkage-thresholding algorithm", 2009; O'Donoghue and Candès,
"Adaptive restart for accelerated gradient schemes", 2015).  Numpy only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ..contracts import FloatArray, IntArray, ShapeWeights
from .blendshapes import Blendshapes, check_vertices
from .compact import Basis
from .shape_names import CORRECTIVES, OPPOSITES, VISEMES, mirrored_pairs
from .tuning import Regions

Floats = NDArray[np.float64]
#: A motion frame by frame, (T, V, 3) metres, or as a few shapes with their weights.
MotionLike = FloatArray | Basis

#: How much the vertices of each region count where weights are sought that show a face: see region_weights.
#: Lips and lids say most of what a face does, and are where one face is fitted to another most surely; chins
#: and scalps are smooth, teeth and eyeballs go along with something else, and all of these are many vertices.
SEEN: Mapping[str, float] = {"mouth": 200.0, "eyelids": 300.0, "upper_face": 60.0, "jaw": 4.0}

_MM = 1000.0
#: At this rate the temporal term is as it stands.
_USUAL_FPS = 30.0
#: The iteration ends when the slope asks no weight, were it alone, to move by more than this.
_TOLERANCE = 3e-5
#: The same while it is not yet known which of opposite shapes a frame has.
_ROUGHLY = 1e-3
_MAX_ITERATIONS = 5000
_CHECK_EVERY = 10
#: Frames that are compared or projected at a time.
_CHUNK_FRAMES = 128
#: Opposite shapes of this weight each are too much.
_BOTH = 1e-3
#: Products this small OpenBLAS makes in one thread; the threads of hundreds of larger ones would spend their
#: time waiting for each other on a machine that has other work.
_BLOCK_FRAMES = 64
#: A jaw that opens less than this has nothing to correct, and the share of it that is closed is noise.
_OPEN = 1e-3
#: The viseme of silence moves nothing; it gets what the others leave, as lip sync engines give it.
_SILENCE = VISEMES[0]


@dataclass(frozen=True)
class ShapeControl:
    """What the animator sets for one shape.

    enabled: whether it is solved for at all; the others then take over what it would have done
    low, high: limits of the weight, in the solution and in the result
    multiplier, offset: the result is ``multiplier · weight + offset``, within the limits.  For a corrective
        the weight is counted as its share of the other shape, so that it keeps up with that one's multiplier.
    """

    enabled: bool = True
    low: float = 0.0
    high: float = 1.0
    multiplier: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.low, self.high, self.multiplier, self.offset)
        if not np.isfinite(numbers).all() or self.low > self.high:
            raise ValueError(f"limits must be finite and in order, multiplier and offset finite: {self}")

    def applied(self, weights: FloatArray) -> FloatArray:
        """Weights that were not solved but recorded, as this control has them; by default as they are."""
        if self == ShapeControl():
            return weights
        asked = self.multiplier * weights + self.offset if self.enabled else np.zeros_like(weights)
        return np.clip(asked, self.low, self.high).astype(np.float32)


@dataclass(frozen=True)
class SolveSettings:
    """Factors of the terms above, 0 or more, and the controls of the shapes that are not left as they are."""

    lips: float = 0.2
    l2: float = 1e-5
    temporal: float = 3e-4
    symmetry: float = 1e-4
    controls: Mapping[str, ShapeControl] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("lips", "l2", "temporal", "symmetry"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be 0 or more, not {value}")

    def control(self, name: str) -> ShapeControl:
        return self.controls.get(name, ShapeControl())


@dataclass(frozen=True)
class Residual:
    """What the weights do not show of a motion: distances of vertices from where they belong, millimetres.

    frame_mm, frame_max_mm: (T,) root mean square over the vertices, and the largest
    vertex_mm, vertex_max_mm: (V,) root mean square over the frames, and the largest: a heat map
    """

    frame_mm: Floats
    frame_max_mm: Floats
    vertex_mm: Floats
    vertex_max_mm: Floats

    @property
    def rms_mm(self) -> float:
        return float(np.sqrt((self.frame_mm**2).mean()))

    @property
    def max_mm(self) -> float:
        return float(self.frame_max_mm.max())


def solve_weights(
    shapes: Blendshapes,
    motion: MotionLike,
    fps: float,
    settings: SolveSettings | None = None,
    vertex_weights: FloatArray | None = None,
    mid_lips: IntArray | None = None,
) -> ShapeWeights:
    """The weights that show ``motion`` best, one column per enabled shape.

    shapes: of the face that moves
    motion: offsets from rest in METRES, at least one frame
    vertex_weights: (V,) positive, how much each vertex counts; None: all alike.  See :func:`region_weights`.
    mid_lips: (2,) of the face; without them there is no term of the lips

    A shape that moves nothing on this face (a tongue without a tongue) rests.  Of shapes that can nearly
    stand in for each other (visemes can), many mixtures show a motion; which one is found, L2 decides.
    Raises TargetError when the motion is on another mesh.
    """
    settings = settings or SolveSettings()
    check_vertices(shapes, _vertex_count(motion))
    enabled = [name for name in shapes.names if _enabled(name, shapes.names, settings)]
    if not enabled:
        return ShapeWeights((), np.zeros((_frame_count(motion), 0), np.float32), fps)
    used = shapes.chosen(enabled)
    weighted = _weighted(used, vertex_weights)  # (S, 3V)
    products = (weighted @ _flat(used.offsets).T).astype(np.float64)
    projected = _projected(motion, weighted)
    moves = _MM**2 * np.diag(products)
    if mid_lips is not None and len(mid_lips) == 2:
        apart = _apart(used.offsets, mid_lips)  # (S, 3)
        products += settings.lips * apart @ apart.T
        projected += settings.lips * _gaps(motion, mid_lips) @ apart.T
    moving = np.flatnonzero(moves > 0)
    values = np.zeros((_frame_count(motion), len(enabled)))
    if len(moving):
        names = [enabled[index] for index in moving]
        pull = settings.temporal * (fps / _USUAL_FPS) ** 2
        values[:, moving] = _solve(
            names,
            _MM**2 * products[np.ix_(moving, moving)],
            _MM**2 * projected[:, moving],
            moves[moving],
            settings,
            pull,
        )
    values = _controlled(enabled, values, settings)
    return ShapeWeights(tuple(enabled), values.astype(np.float32), fps)


def residual(shapes: Blendshapes, weights: ShapeWeights, motion: MotionLike) -> Residual:
    """What ``weights`` played through ``shapes`` leave of ``motion`` (metres).  Raises TargetError."""
    check_vertices(shapes, _vertex_count(motion))
    used = [name for name in shapes.names if name in weights.names]
    flat = _flat(shapes.chosen(used).offsets)
    columns = weights.values[:, [weights.names.index(name) for name in used]]
    frame_squares, frame_worst = np.zeros(len(columns)), np.zeros(len(columns))
    vertex_squares, vertex_worst = np.zeros(shapes.vertex_count), np.zeros(shapes.vertex_count)
    for part, frames in _chunks(motion):
        apart = frames - columns[part] @ flat
        squares = np.square(apart).reshape(len(apart), -1, 3).sum(axis=2)  # (n, V)
        frame_squares[part], frame_worst[part] = squares.mean(axis=1), squares.max(axis=1)
        vertex_squares += squares.sum(axis=0, dtype=np.float64)
        np.maximum(vertex_worst, squares.max(axis=0), out=vertex_worst)
    return Residual(
        _MM * np.sqrt(frame_squares),
        _MM * np.sqrt(frame_worst),
        _MM * np.sqrt(vertex_squares / max(len(columns), 1)),
        _MM * np.sqrt(vertex_worst),
    )


def region_weights(regions: Regions, factors: Mapping[str, float]) -> FloatArray:
    """(V,) vertex weights: 1, and in each region ``factors[name]``, blending where regions do.

    Regions that the face has not got are passed over.
    """
    found = np.ones(regions.weights.shape[1])
    for name, share in zip(regions.names, regions.weights, strict=True):
        found += (factors.get(name, 1.0) - 1.0) * share
    return found.astype(np.float32)


def _enabled(name: str, names: tuple[str, ...], settings: SolveSettings) -> bool:
    """A corrective of a shape that does not move must not move either."""
    base = CORRECTIVES.get(name)
    if base is not None and not (base in names and settings.control(base).enabled):
        return False
    return settings.control(name).enabled


def _solve(
    names: list[str],
    products: Floats,
    projected: Floats,
    moves: Floats,
    settings: SolveSettings,
    pull: float,
) -> Floats:
    """(T, S) weights within their limits.

    products: (S, S) of the shapes with each other, projected: (T, S) of the motion with the shapes, mm²
    moves: (S,) h, mm²; pull: factor of the temporal term

    Unknowns are y = size · w, of such sizes that every y counts alike and one step length suits all.
    """
    hessian = products + settings.l2 * np.diag(moves)
    for left, right in mirrored_pairs(names):
        pair = [names.index(left), names.index(right)]
        even = settings.symmetry * np.sqrt(moves[pair].prod())
        hessian[np.ix_(pair, pair)] += even * np.array([[1.0, -1.0], [-1.0, 1.0]])
    sizes = np.sqrt(np.diag(products))  # (S,) mm
    hessian = hessian / np.outer(sizes, sizes)
    limits = _Limits(names, sizes, settings)
    wanted = projected / sizes
    pulls = pull * moves / sizes**2
    # Where limits do not matter and frames are not tied, this is the answer; least squares, for shapes
    # that are combinations of others.
    found = np.linalg.lstsq(hessian, wanted.T, rcond=None)[0].T
    found = _descend(hessian, wanted, pulls, limits, found, _ROUGHLY)
    limits.part_opposites(found)
    return np.asarray(_descend(hessian, wanted, pulls, limits, found, _TOLERANCE) / sizes)


def _descend(
    hessian: Floats, wanted: Floats, pulls: Floats, limits: _Limits, start: Floats, tolerance: float
) -> Floats:
    """The allowed y (T, S) at which ½ y·H y − y·wanted, over all frames, plus the temporal term is least."""
    step = 1.0 / (float(np.linalg.eigvalsh(hessian)[-1]) + 4.0 * pulls.max())
    found = limits.nearest(start)
    ahead, momentum = found, 1.0
    for iteration in range(_MAX_ITERATIONS):
        slope = -wanted
        for first in range(0, len(slope), _BLOCK_FRAMES):
            slope[first : first + _BLOCK_FRAMES] += ahead[first : first + _BLOCK_FRAMES] @ hessian
        if pulls.any():
            rise = pulls * np.diff(ahead, axis=0)
            slope[:-1] -= rise
            slope[1:] += rise
        new = limits.nearest(ahead - step * slope)
        change = new - found
        if ((ahead - new) * change).sum() > 0:  # the momentum points uphill
            momentum = 1.0
        next_momentum = 0.5 * (1.0 + np.sqrt(1.0 + 4.0 * momentum**2))
        asked = (np.abs(new - ahead) / limits.sizes).max() if iteration % _CHECK_EVERY == 0 else np.inf
        ahead = new + ((momentum - 1.0) / next_momentum) * change
        found, momentum = new, next_momentum
        if asked <= tolerance * step:
            break
    return found


class _Limits:
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


def _controlled(names: list[str], values: Floats, settings: SolveSettings) -> Floats:
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


def _weighted(shapes: Blendshapes, vertex_weights: FloatArray | None) -> FloatArray:
    """(S, 3V) the shapes' offsets times each vertex's share of all, shares adding to 1."""
    share = np.ones(shapes.vertex_count) if vertex_weights is None else vertex_weights.astype(np.float64)
    share = share / share.sum()
    return _flat(shapes.offsets * share.astype(np.float32)[:, None])


def _projected(motion: MotionLike, weighted: FloatArray) -> Floats:
    """(T, S) products of every frame with the weighted (S, 3V) shapes, metres²."""
    if isinstance(motion, Basis):
        inner = _flat(motion.shapes) @ weighted.T  # (K, S)
        return motion.weights.astype(np.float64) @ inner.astype(np.float64)
    found = np.empty((len(motion), len(weighted)))
    columns = np.ascontiguousarray(weighted.T)
    for part, frames in _chunks(motion):
        found[part] = frames @ columns
    return found


def _gaps(motion: MotionLike, mid_lips: IntArray) -> Floats:
    """(T, 3) metres from the lower to the upper mid-lip vertex, more than at rest."""
    if isinstance(motion, Basis):
        return motion.weights.astype(np.float64) @ _apart(motion.shapes, mid_lips)
    return _apart(motion, mid_lips)


def _apart(offsets: FloatArray, mid_lips: IntArray) -> Floats:
    upper, lower = mid_lips
    return np.asarray(offsets[:, upper].astype(np.float64) - offsets[:, lower])


def _chunks(motion: MotionLike) -> Iterator[tuple[slice, FloatArray]]:
    """The motion's frames, flat (n, 3V), a few at a time."""
    parts = [slice(first, first + _CHUNK_FRAMES) for first in range(0, _frame_count(motion), _CHUNK_FRAMES)]
    if isinstance(motion, Basis):
        flat = _flat(motion.shapes)
        yield from ((part, motion.weights[part] @ flat) for part in parts)
    else:
        yield from ((part, _flat(motion[part])) for part in parts)


def _flat(offsets: FloatArray) -> FloatArray:
    return np.asarray(offsets, np.float32).reshape(len(offsets), -1)


def _frame_count(motion: MotionLike) -> int:
    return len(motion.weights if isinstance(motion, Basis) else motion)


def _vertex_count(motion: MotionLike) -> int:
    return (motion.shapes if isinstance(motion, Basis) else motion).shape[1]
