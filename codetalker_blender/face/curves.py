"""Motion over time: the same motion at another frame rate.  Numpy only."""

from __future__ import annotations

import math

import numpy as np

from ..contracts import FloatArray

#: Frames interpolated in one go: bounds the memory beside the result.
_STEP_FRAMES = 256


def resample_offsets(offsets: FloatArray, from_fps: float, to_fps: float) -> FloatArray:
    """The same motion at another rate, linear between frames.

    offsets: (T, ...) float32, frame t at t / from_fps seconds
    returns: (T', ...) float32 with T' = T · to_fps / from_fps rounded, at least 1; frame t lies at
        t / to_fps seconds, and what lies behind the last frame given holds that frame.
        At the same rate the array itself is returned.
    Raises ValueError for a rate that is not positive and finite, or for no frame at all.
    """
    for fps in (from_fps, to_fps):
        if not math.isfinite(fps) or fps <= 0:
            raise ValueError(f"a frame rate must be positive and finite, not {fps}")
    count = len(offsets)
    if count == 0:
        raise ValueError("there is no frame to resample")
    if from_fps == to_fps:
        return offsets
    new_count = max(1, math.floor(count * to_fps / from_fps + 0.5))
    position = np.minimum(np.arange(new_count) * (from_fps / to_fps), count - 1)
    before = np.floor(position).astype(np.int64)
    after = np.minimum(before + 1, count - 1)
    # share: (T', 1, ...) of the later frame
    share = (position - before).astype(np.float32).reshape(-1, *([1] * (offsets.ndim - 1)))
    result = np.empty((new_count, *offsets.shape[1:]), np.float32)
    for start in range(0, new_count, _STEP_FRAMES):
        part = slice(start, start + _STEP_FRAMES)
        earlier = offsets[before[part]]
        result[part] = earlier + share[part] * (offsets[after[part]] - earlier)
    return result
