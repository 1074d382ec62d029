"""Motion → weights of a face's named shapes, such as ARKit's 52 or the 15 visemes.

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

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..contracts import FloatArray, IntArray, ShapeWeights
from .blendshapes import Blendshapes, check_vertices
from .compact import Basis
from .motion_parts import MotionLike, chunks, flat, frame_count, vertex_count
from .shape_controls import SolveSettings
from .shape_names import CORRECTIVES, mirrored_pairs
from .tuning import Regions
from .weight_limits import Limits, controlled

Floats = NDArray[np.float64]

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
#: Products this small OpenBLAS makes in one thread; the threads of hundreds of larger ones would spend their
#: time waiting for each other on a machine that has other work.
_BLOCK_FRAMES = 64


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
    check_vertices(shapes, vertex_count(motion))
    enabled = [name for name in shapes.names if _enabled(name, shapes.names, settings)]
    if not enabled:
        return ShapeWeights((), np.zeros((frame_count(motion), 0), np.float32), fps)
    used = shapes.chosen(enabled)
    weighted = _weighted(used, vertex_weights)  # (S, 3V)
    products = (weighted @ flat(used.offsets).T).astype(np.float64)
    projected = _projected(motion, weighted)
    moves = _MM**2 * np.diag(products)
    if mid_lips is not None and len(mid_lips) == 2:
        apart = _apart(used.offsets, mid_lips)  # (S, 3)
        products += settings.lips * apart @ apart.T
        projected += settings.lips * _gaps(motion, mid_lips) @ apart.T
    moving = np.flatnonzero(moves > 0)
    values = np.zeros((frame_count(motion), len(enabled)))
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
    values = controlled(enabled, values, settings)
    return ShapeWeights(tuple(enabled), values.astype(np.float32), fps)


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
    limits = Limits(names, sizes, settings)
    wanted = projected / sizes
    pulls = pull * moves / sizes**2
    # Where limits do not matter and frames are not tied, this is the answer; least squares, for shapes
    # that are combinations of others.
    found = np.linalg.lstsq(hessian, wanted.T, rcond=None)[0].T
    found = _descend(hessian, wanted, pulls, limits, found, _ROUGHLY)
    limits.part_opposites(found)
    return np.asarray(_descend(hessian, wanted, pulls, limits, found, _TOLERANCE) / sizes)


def _descend(
    hessian: Floats, wanted: Floats, pulls: Floats, limits: Limits, start: Floats, tolerance: float
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


def _weighted(shapes: Blendshapes, vertex_weights: FloatArray | None) -> FloatArray:
    """(S, 3V) the shapes' offsets times each vertex's share of all, shares adding to 1."""
    share = np.ones(shapes.vertex_count) if vertex_weights is None else vertex_weights.astype(np.float64)
    share = share / share.sum()
    return flat(shapes.offsets * share.astype(np.float32)[:, None])


def _projected(motion: MotionLike, weighted: FloatArray) -> Floats:
    """(T, S) products of every frame with the weighted (S, 3V) shapes, metres²."""
    if isinstance(motion, Basis):
        inner = flat(motion.shapes) @ weighted.T  # (K, S)
        return motion.weights.astype(np.float64) @ inner.astype(np.float64)
    found = np.empty((len(motion), len(weighted)))
    columns = np.ascontiguousarray(weighted.T)
    for part, frames in chunks(motion):
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
