"""Weights that are known, for tests that look for them again."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import ShapeWeights
from codetalker_blender.face.shape_names import OPPOSITES


def lively(names: tuple[str, ...], frames: int, fps: float = 30.0, seed: int = 0) -> ShapeWeights:
    """Every shape rises and falls by itself, half of the time at rest, some frames at full effect.

    Up to 4 changes a second; opposite shapes take turns; the mouth closes no more than the jaw opens.
    """
    random = np.random.default_rng(seed)
    times = np.arange(frames) / fps
    knots = np.arange(0.0, times[-1] + 0.5, 0.25)
    values = np.empty((frames, len(names)))
    for column in range(len(names)):
        heights = np.clip(random.uniform(-1.0, 1.3, len(knots)), 0.0, 1.0)
        values[:, column] = np.interp(times, knots, heights)
    for first, second in OPPOSITES:
        if first in names and second in names:
            one, other = names.index(first), names.index(second)
            turn = values[:, one] > values[:, other]
            values[~turn, one], values[turn, other] = 0.0, 0.0
    if "mouthClose" in names:
        values[:, names.index("mouthClose")] *= values[:, names.index("jawOpen")]
    return ShapeWeights(names, values.astype(np.float32), fps)


def rms(found: ShapeWeights, known: ShapeWeights) -> float:
    """Root mean square difference over all frames and the shapes of ``known``."""
    apart = [found.of(name).astype(np.float64) - known.of(name) for name in known.names]
    return float(np.sqrt(np.mean(np.square(apart))))


def played(shapes: NDArray[np.float32], values: NDArray[np.float32]) -> NDArray[np.float32]:
    """(T, V, 3) of (S, V, 3) shapes and (T, S) weights, one frame after the other."""
    return np.stack([np.tensordot(row, shapes, 1) for row in values])
