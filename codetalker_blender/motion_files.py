"""A motion ⇄ an .npz file.  Written to a temporary name and renamed: all of it or nothing.

The archive is not compressed (offsets hardly shrink, and a minute of motion would take seconds).
Arrays: offsets (T, V, 3) float32 metres, fps, codes (T_model, H) int32, model_fps, model, style, and
loudness (n,) float32 of the sound, which older files lack.
Of an hour's motion, several gigabytes, only a chunk at a time is in memory: it is written as it
is made, and mapped from the file instead of read.  Standard library and numpy only.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from .array_files import NewArchive, read_arrays
from .contracts import FloatArray, IntArray, Motion
from .errors import UserError

_ARRAYS = ("offsets", "fps", "codes", "model_fps", "model", "style")
_OFFSETS_TYPE = np.dtype("<f4")


def write_motion(path: Path, motion: Motion, model: str = "", style: str = "") -> None:
    """Write ``motion``; ``model`` and ``style`` name what made it.  Raises OutputError."""
    frames, vertices, _ = motion.offsets.shape
    with motion_writer(path, frames, vertices, motion.fps, motion.model_fps, model, style) as writer:
        writer.add(motion.offsets)
        writer.add_codes(motion.codes)
        writer.add_loudness(motion.loudness)


@contextmanager
def motion_writer(
    path: Path,
    frame_count: int,
    vertex_count: int,
    fps: float,
    model_fps: float,
    model: str = "",
    style: str = "",
) -> Iterator[MotionWriter]:
    """A motion file that is written while its motion is made; see :class:`MotionWriter`.

    It is there when the ``with`` block has ended without an error, and not a byte of it otherwise.
    Raises OutputError, at once when the disk has too little room; ValueError for a motion with a frame
    too few or too many, or without codes.
    """
    shape = (frame_count, vertex_count, 3)
    with NewArchive(path) as archive:
        archive.begin("offsets", shape, _OFFSETS_TYPE)
        writer = MotionWriter(archive, shape)
        yield writer
        codes = writer.finish()
        archive.write("fps", np.float64(fps))
        archive.write("codes", codes)
        archive.write("model_fps", np.float64(model_fps))
        archive.write("model", np.asarray(model))
        archive.write("style", np.asarray(style))
        archive.write("loudness", writer.loudness)


class MotionWriter:
    """Takes a motion in chunks, from the first frame to the last; made by :func:`motion_writer`."""

    def __init__(self, archive: NewArchive, shape: tuple[int, int, int]) -> None:
        """shape: of all the offsets together."""
        self._archive, self._shape = archive, shape
        self._frames = 0
        self._codes: list[IntArray] = []
        self.loudness: FloatArray = np.zeros(0, np.float32)

    def add(self, offsets: FloatArray) -> None:
        """The next frames: (n, V, 3) metres.  Raises OutputError; ValueError when they do not fit."""
        self._frames += len(offsets)
        if offsets.shape[1:] != self._shape[1:] or self._frames > self._shape[0]:
            raise ValueError(f"offsets {offsets.shape} up to frame {self._frames} in a motion {self._shape}")
        self._archive.append(offsets.astype(_OFFSETS_TYPE, copy=False))

    def add_codes(self, codes: IntArray) -> None:
        """The next rows of codes: (n, H).  They have a rate of their own, so they come by themselves."""
        self._codes.append(np.asarray(codes, np.int32))

    def add_loudness(self, loudness: FloatArray) -> None:
        """That of the sound, (n,), all of it; see :class:`Motion`."""
        self.loudness = loudness

    def finish(self) -> IntArray:
        """All codes.  Raises ValueError when frames are missing, or codes."""
        if self._frames != self._shape[0] or not self._codes:
            raise ValueError(f"{self._frames} of {self._shape[0]} frames, {len(self._codes)} chunks of codes")
        return np.concatenate(self._codes)


def read_motion(path: Path) -> Motion:
    """The motion in a file of :func:`write_motion`.  Raises UserError when it is not one.

    Large offsets are mapped, with what that means for their use; see :func:`read_arrays`.
    """
    arrays = read_arrays(path)
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise UserError(f"'{path}' is not a motion file: it lacks {', '.join(missing)}.")
    offsets, codes = arrays["offsets"], arrays["codes"]
    if offsets.ndim != 3 or offsets.shape[2] != 3 or offsets.dtype.kind != "f":
        raise UserError(f"'{path}': offsets must be (T, V, 3) numbers, not {offsets.dtype} {offsets.shape}.")
    if codes.ndim != 2 or codes.dtype.kind not in "iu":
        raise UserError(f"'{path}': codes must be (T, H) integers, not {codes.dtype} {codes.shape}.")
    loudness = arrays.get("loudness", np.zeros(0, np.float32))
    if loudness.ndim != 1 or loudness.dtype.kind != "f":
        raise UserError(f"'{path}': loudness must be (n,) numbers, not {loudness.dtype} {loudness.shape}.")
    return Motion(
        offsets=offsets.astype(np.float32, copy=False),
        fps=_rate(path, "fps", arrays["fps"]),
        codes=codes.astype(np.int32, copy=False),
        model_fps=_rate(path, "model_fps", arrays["model_fps"]),
        loudness=loudness.astype(np.float32, copy=False),
    )


def _rate(path: Path, name: str, value: NDArray[np.generic]) -> float:
    if value.shape != () or value.dtype.kind not in "iuf":
        raise UserError(f"'{path}': {name} must be one number, not {value.dtype} {value.shape}.")
    rate = float(value)
    if not math.isfinite(rate) or rate <= 0:
        raise UserError(f"'{path}': {name} must be positive, not {rate}.")
    return rate
