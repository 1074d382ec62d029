"""Motion as a few shapes and their weights: what shape keys with F-curves can hold, within a stated error.

    offsets (T, V, 3) ─► factorise ─► Basis ─► (tuning) ─► reduce ─► a smaller Basis

Errors are distances of vertices from where they belong, measured over all frames and vertices on
the very numbers that are returned, not estimated from singular values.  Numpy only.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contracts import FloatArray

#: Directions of the first attempt to span a motion; models with a linear face of their own need about 50.
_FIRST_RANK = 64
#: Frames that are compared at a time: many enough for a fast matrix product, few enough for the memory.
_CHUNK_FRAMES = 128
#: The worst frames that stand for all while the number of shapes is being sought.
_PROBE_FRAMES = 24
#: Of the largest singular value: below it there is nothing but what float32 rounds off.
_SMALLEST = 1e-7

#: frames(rows) -> (n, 3V): those frames of the motion that shall be met
_Frames = Callable[[NDArray[np.int64]], FloatArray]


@dataclass(frozen=True)
class Basis:
    """``offsets = weights · shapes``, frame by frame.

    weights: (T, K) float32
    shapes: (K, V, 3) float32, in the unit of the offsets
    """

    weights: FloatArray
    shapes: FloatArray

    @property
    def count(self) -> int:
        """Number of shapes."""
        return len(self.shapes)

    def offsets(self, rest: FloatArray | None = None) -> FloatArray:
        """(T, V, 3) float32: the whole motion, added to the (V, 3) ``rest`` where that is given."""
        flat = self.shapes.reshape(self.count, -1)
        found = np.empty((len(self.weights), flat.shape[1]), np.float32)
        np.matmul(self.weights, flat, out=found)
        if rest is not None:
            found += rest.ravel()
        return found.reshape(-1, *self.shapes.shape[1:])

    def transformed(self, matrix: NDArray[np.float64]) -> Basis:
        """The same motion in other axes and units: every offset v becomes ``matrix @ v``."""
        return Basis(self.weights, (self.shapes @ matrix.T).astype(np.float32))


@dataclass(frozen=True)
class Reduced:
    """A basis and the largest distance of any vertex in any frame from where it belongs.

    error: in the unit of the offsets
    """

    basis: Basis
    error: float


def factorise(offsets: FloatArray, max_error: float) -> Reduced:
    """A basis of a motion that is given frame by frame.

    offsets: (T, V, 3), T at least 1; max_error: largest distance allowed, in their unit

    A random projection finds the space that the frames span (Halko, Martinsson and Tropp, "Finding
    structure with randomness", 2011, algorithm 4.1), and grows until the bound is met.  Same input,
    same result.
    """
    flat = offsets.reshape(len(offsets), -1)
    frames, columns = flat.shape
    random = np.random.default_rng(0)
    rank = _FIRST_RANK
    while rank < min(frames, columns) // 2:
        sketch = flat @ random.standard_normal((columns, rank), np.float32)
        space = np.linalg.qr(sketch.astype(np.float64))[0].astype(np.float32)
        found = _reduce(space, space.T @ flat, lambda rows: flat[rows], max_error)
        if found.error <= max_error:
            return _shaped(found, offsets.shape)
        rank *= 2
    if frames <= columns:
        weights, shapes = np.eye(frames, dtype=np.float32), np.asarray(flat, np.float32)
    else:
        weights, shapes = np.asarray(flat, np.float32), np.eye(columns, dtype=np.float32)
    return _shaped(_reduce(weights, shapes, lambda rows: flat[rows], max_error), offsets.shape)


def reduce(basis: Basis, max_error: float) -> Reduced:
    """As few shapes as a truncated singular value decomposition needs to stay within ``max_error``.

    There is at least one.  The weights of each reach exactly 1 at their largest and never leave
    [-1, 1], so that a shape is what a slider at 1 shows.  Where ``max_error`` lies below what
    float32 can hold, all shapes are returned, and ``error`` says how far they get.
    """
    flat = basis.shapes.reshape(basis.count, -1)
    found = _reduce(basis.weights, flat, lambda rows: basis.weights[rows] @ flat, max_error)
    return _shaped(found, (0, *basis.shapes.shape[1:]))


def _shaped(found: Reduced, shape: tuple[int, ...]) -> Reduced:
    flat = found.basis.shapes
    return Reduced(Basis(found.basis.weights, flat.reshape(len(flat), *shape[1:])), found.error)


def _reduce(weights: FloatArray, shapes: FloatArray, frames: _Frames, max_error: float) -> Reduced:
    """weights (T, K), shapes (K, 3V): a factorisation of (about) ``frames``; the result is flat, too."""
    wide = weights.astype(np.float64)
    # Singular vectors over time, from the small Gram matrix of the shapes: X Xᵀ = W (B Bᵀ) Wᵀ.
    squares, axes = np.linalg.eigh(shapes.astype(np.float64) @ shapes.T.astype(np.float64))
    left, sizes = _singular_vectors(wide @ (axes * np.sqrt(np.maximum(squares, 0.0))))
    kept = len(sizes)
    peaks = np.abs(left).argmax(axis=0)
    scales = left[peaks, np.arange(kept)]  # signed, so that the largest weight is +1
    new_weights = np.clip(left / scales, -1.0, 1.0).astype(np.float32)
    new_shapes = ((left * scales).T @ wide).astype(np.float32) @ shapes
    count, error = _smallest_count(new_weights, new_shapes, left * sizes, frames, max_error)
    return Reduced(Basis(new_weights[:, :count], new_shapes[:count]), error)


def _singular_vectors(matrix: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """The left singular vectors (T, K) of a matrix and their values, falling, down to what float32 can hold.

    Once more by the small Gram matrix: LAPACK's own decomposition takes five times as long, and far longer
    where other processes hold the cores among which it shares its work.
    """
    squares, axes = np.linalg.eigh(matrix.T @ matrix)
    sizes = np.sqrt(np.maximum(squares[::-1], 0.0))
    if sizes[0] == 0.0:
        return np.eye(len(matrix), 1), sizes[:1]
    kept = int((sizes > _SMALLEST * sizes[0]).sum())
    return matrix @ axes[:, ::-1][:, :kept] / sizes[:kept], sizes[:kept]


def _smallest_count(
    weights: FloatArray,
    shapes: FloatArray,
    energies: NDArray[np.float64],
    frames: _Frames,
    max_error: float,
) -> tuple[int, float]:
    """How many of the shapes meet the bound, and the error that they leave over all frames.

    energies: (T, K), how much each shape moves in each frame (a norm over the vertices)

    Sought on a few frames that are the worst ones; all frames then confirm it, or name worse ones.
    """
    low, high = 1, shapes.shape[0]
    probes = np.zeros(0, np.int64)
    while True:
        first, last = low, high
        while first < last:
            middle = (first + last) // 2
            dropped = np.einsum("tk,tk->t", energies[:, middle:], energies[:, middle:])
            rows = np.union1d(probes, np.argsort(dropped)[-_PROBE_FRAMES:])
            if _errors(weights, shapes, frames, middle, rows).max() <= max_error:
                last = middle
            else:
                first = middle + 1
        errors = _errors(weights, shapes, frames, first, np.arange(len(weights)))
        if errors.max() <= max_error or first == high:
            return first, float(errors.max())
        probes = np.union1d(probes, np.argsort(errors)[-_PROBE_FRAMES:])
        low = first + 1


def _errors(
    weights: FloatArray, shapes: FloatArray, frames: _Frames, count: int, rows: NDArray[np.int64]
) -> NDArray[np.float64]:
    """(n,) for each of ``rows`` the largest distance of a vertex that the first ``count`` shapes leave."""
    found = np.empty(len(rows))
    for part in frame_parts(len(rows)):
        left_over = frames(rows[part]) - weights[rows[part], :count] @ shapes[:count]
        np.square(left_over, out=left_over)
        squares = left_over[:, 0::3] + left_over[:, 1::3]
        squares += left_over[:, 2::3]
        found[part] = np.sqrt(squares.max(axis=1))
    return found


def frame_parts(count: int) -> list[slice]:
    """Frames a few at a time."""
    return [slice(first, min(first + _CHUNK_FRAMES, count)) for first in range(0, count, _CHUNK_FRAMES)]
