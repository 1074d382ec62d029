"""Recorded vertex motion → a vertex basis: principal directions of a sample of its frames.

The frames are read from disk in blocks; no more than the sample is in memory at a time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from codetalker_blender.contracts import FloatArray

from .datasets.clip import Clip, Dataset

#: Frames that the directions are found in, and how many are read at a time.
SAMPLED_FRAMES, BLOCK_FRAMES = 1024, 256


def sampled_offsets(
    dataset: Dataset, count: int = SAMPLED_FRAMES, clips: Sequence[Clip] | None = None
) -> FloatArray:
    """(n, 3V) metres: at most ``count`` single frames, evenly spread over all clips, or over ``clips``.

    No others are read.
    """
    clips = dataset.clips if clips is None else clips
    lengths = [clip.frame_count for clip in clips]
    ends = np.cumsum(lengths)
    places = np.unique(np.linspace(0, ends[-1] - 1, min(count, int(ends[-1]))).round().astype(np.int64))
    owners = np.searchsorted(ends, places, side="right")
    frames = []
    for number in np.unique(owners).tolist():
        inside = places[owners == number] - (ends[number] - lengths[number])
        clip = clips[number]
        for frame in inside.tolist():
            frames.append(clip_offsets(dataset, clip, frame, frame + 1)[0])
    return np.stack(frames)


def clip_offsets(dataset: Dataset, clip: Clip, start: int, stop: int) -> FloatArray:
    """(stop - start, 3V) metres of one clip; recorded motion is read for these frames alone."""
    if clip.vertices is not None:
        offsets = clip.vertices.offsets(start, stop)
    else:
        offsets = type(clip.motion)(clip.weights[start:stop]).offsets(dataset.deltas)
    return np.asarray(offsets.reshape(len(offsets), -1))


def clip_coefficients(dataset: Dataset, clip: Clip, rows: FloatArray) -> FloatArray:
    """(T, R) of one clip on the basis ``rows`` (R, 3V)."""
    starts = range(0, clip.frame_count, BLOCK_FRAMES)
    parts = [clip_offsets(dataset, clip, s, min(s + BLOCK_FRAMES, clip.frame_count)) @ rows.T for s in starts]
    return np.asarray(np.concatenate(parts), np.float32)


def principal_rows(frames: FloatArray, largest: int, tolerance_mm: float) -> tuple[FloatArray, float]:
    """The fewest orthonormal directions that leave ``tolerance_mm`` of ``frames`` (n, 3V), metres.

    Returns (R, 3V) with R <= ``largest``, and the error that is left: the root of the mean squared vertex
    error in millimetres.  Recorded motion is full of noise, so the error may stay above the tolerance.
    """
    count, width = frames.shape
    # n is far smaller than 3V: the directions come from the frames' inner products
    gram = np.zeros((count, count))
    for first in range(0, width, 4096):
        block = frames[:, first : first + 4096].astype(np.float64)
        gram += block @ block.T
    values, vectors = np.linalg.eigh(gram)
    values, vectors = np.clip(values[::-1], 0.0, None), vectors[:, ::-1]
    real = int((values > values[0] * 1e-10).sum()) if values[0] > 0 else 0
    left = np.concatenate(([values.sum()], values.sum() - np.cumsum(values)))[: real + 1]
    error_mm = 1e3 * np.sqrt(np.clip(left, 0.0, None) / (count * width / 3))
    enough = np.flatnonzero(error_mm <= tolerance_mm)
    rank = min(max(1, int(enough[0]) if len(enough) else real), largest, max(real, 1))
    rows = (vectors[:, :rank] / np.sqrt(np.maximum(values[:rank], 1e-30))).T.astype(np.float32) @ frames
    return _orthonormal(rows), float(error_mm[min(rank, len(error_mm) - 1)])


def _orthonormal(rows: Sequence[FloatArray] | FloatArray) -> FloatArray:
    """What single precision left of it, made exact."""
    q, r = np.linalg.qr(np.asarray(rows, np.float64).T)
    return np.asarray((q * np.sign(np.where(np.diag(r) == 0, 1.0, np.diag(r)))).T, np.float32)
