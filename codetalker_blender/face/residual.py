"""What weights of shapes do not show of a motion, in millimetres.  Numpy only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..contracts import ShapeWeights
from .blendshapes import Blendshapes, check_vertices
from .motion_parts import MotionLike, chunks, flat, vertex_count

Floats = NDArray[np.float64]

_MM = 1000.0


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


def residual(shapes: Blendshapes, weights: ShapeWeights, motion: MotionLike) -> Residual:
    """What ``weights`` played through ``shapes`` leave of ``motion`` (metres).  Raises TargetError."""
    check_vertices(shapes, vertex_count(motion))
    used = [name for name in shapes.names if name in weights.names]
    rows = flat(shapes.chosen(used).offsets)
    columns = weights.values[:, [weights.names.index(name) for name in used]]
    frame_squares, frame_worst = np.zeros(len(columns)), np.zeros(len(columns))
    vertex_squares, vertex_worst = np.zeros(shapes.vertex_count), np.zeros(shapes.vertex_count)
    for part, frames in chunks(motion):
        apart = frames - columns[part] @ rows
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
