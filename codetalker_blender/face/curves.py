"""Motion over time: the same motion at another frame rate, whole or in chunks.  Numpy only."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from ..contracts import FloatArray

#: Frames interpolated in one go: bounds the memory beside the result.
_STEP_FRAMES = 256


def resample_offsets(offsets: FloatArray, from_fps: float, to_fps: float) -> FloatArray:
    """The same motion at another rate, linear between frames.

    offsets: (T, ...) float32, frame t at t / from_fps seconds
    returns: (T', ...) float32 with T' of :func:`resampled_count`; frame t lies at t / to_fps seconds,
        and what lies behind the last frame given holds that frame.
        At the same rate the array itself is returned.
    Raises ValueError for a rate that is not positive and finite, or for no frame at all.
    """
    new_count = resampled_count(len(offsets), from_fps, to_fps)
    if from_fps == to_fps:
        return offsets
    result = np.empty((new_count, *offsets.shape[1:]), np.float32)
    done = 0
    for part in resample_chunks([offsets], len(offsets), from_fps, to_fps):
        result[done : done + len(part)] = part
        done += len(part)
    return result


def resampled_count(count: int, from_fps: float, to_fps: float) -> int:
    """How many frames ``count`` frames become: count · to_fps / from_fps rounded, at least 1.

    Raises ValueError for a rate that is not positive and finite, or for no frame at all.
    """
    for fps in (from_fps, to_fps):
        if not math.isfinite(fps) or fps <= 0:
            raise ValueError(f"a frame rate must be positive and finite, not {fps}")
    if count == 0:
        raise ValueError("there is no frame to resample")
    if from_fps == to_fps:
        return count
    return max(1, math.floor(count * to_fps / from_fps + 0.5))


def resample_chunks(
    chunks: Iterable[FloatArray], count: int, from_fps: float, to_fps: float
) -> Iterator[FloatArray]:
    """:func:`resample_offsets` of a motion that comes in chunks: the same frames, as early as can be.

    chunks: neighbouring frames (n, ...) of one motion, in order; n may differ and be 0
    count: frames of the whole motion
    """
    new_count = resampled_count(count, from_fps, to_fps)
    if from_fps == to_fps:
        yield from chunks
        return
    done = seen = 0
    last: FloatArray | None = None  # (1, ...), the frame before the chunk
    for chunk in chunks:
        first, seen = seen, seen + len(chunk)
        while done < new_count:
            step = np.arange(done, min(done + _STEP_FRAMES, new_count))
            position = np.minimum(step * (from_fps / to_fps), count - 1)
            before = np.floor(position).astype(np.int64)
            after = np.minimum(before + 1, count - 1)
            ready = int(np.searchsorted(after, seen))  # what lies behind needs a frame that is still to come
            if not ready:
                break
            # share: (ready, 1, ...) of the later frame
            share = (position - before)[:ready].astype(np.float32).reshape(-1, *([1] * (chunk.ndim - 1)))
            earlier = _rows(chunk, before[:ready] - first, last)
            yield earlier + share * (_rows(chunk, after[:ready] - first, last) - earlier)
            done += ready
        if len(chunk):
            last = chunk[-1:].copy()


def _rows(chunk: FloatArray, index: NDArray[np.int64], last: FloatArray | None) -> FloatArray:
    """Rows of ``chunk``; row -1 is ``last``."""
    rows: FloatArray = chunk[np.maximum(index, 0)]
    if last is not None:
        rows[index < 0] = last
    return rows
