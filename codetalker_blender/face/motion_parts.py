"""A motion frame by frame or as a few shapes with their weights: the same questions to both.  Numpy only."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..contracts import FloatArray
from .compact import Basis, frame_parts

#: A motion frame by frame, (T, V, 3) metres, or as a few shapes with their weights.
MotionLike = FloatArray | Basis


def frame_count(motion: MotionLike) -> int:
    return len(motion.weights if isinstance(motion, Basis) else motion)


def vertex_count(motion: MotionLike) -> int:
    return (motion.shapes if isinstance(motion, Basis) else motion).shape[1]


def chunks(motion: MotionLike) -> Iterator[tuple[slice, FloatArray]]:
    """The motion's frames, flat (n, 3V), a few at a time."""
    parts = frame_parts(frame_count(motion))
    if isinstance(motion, Basis):
        shapes = flat(motion.shapes)
        yield from ((part, motion.weights[part] @ shapes) for part in parts)
    else:
        yield from ((part, flat(motion[part])) for part in parts)


def flat(offsets: FloatArray) -> FloatArray:
    """(N, V, 3) offsets -> (N, 3V) float32."""
    return np.asarray(offsets, np.float32).reshape(len(offsets), 3 * offsets.shape[1])  # also of none
