"""Moving vertices → MDD and PC2 files, which Blender's Mesh Cache modifier and other programs play.

Both hold the position of every vertex in every frame, in the order, axes and unit of the mesh they
were taken from: here the object's own space in Blender (Z up), unscaled, before modifiers.

    MDD   big-endian: int32 frames, int32 vertices, float32 seconds per frame (from 0), float32 x y z
    PC2   little-endian: "POINTCACHE2\\0", int32 version 1, int32 vertices, float32 first frame,
          float32 frames per sample, int32 samples, float32 x y z

Frames are written as they come, so a long clip needs no memory.  Numpy only.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ..contracts import FloatArray
from ..disk import explained, new_file


def write_mdd(
    path: Path, frames: Iterable[FloatArray], frame_count: int, vertex_count: int, fps: float
) -> None:
    """Write ``frame_count`` arrays (V, 3).  Raises OutputError; ValueError when there are more or fewer."""
    times_s = np.arange(frame_count) / fps
    header = struct.pack(">2i", frame_count, vertex_count) + times_s.astype(">f4").tobytes()
    _write(path, header, frames, (frame_count, vertex_count), ">f4")


def write_pc2(
    path: Path, frames: Iterable[FloatArray], frame_count: int, vertex_count: int, first_frame: float
) -> None:
    """Write ``frame_count`` arrays (V, 3), one per scene frame.  Raises as :func:`write_mdd`."""
    header = struct.pack("<12s2i2fi", b"POINTCACHE2\0", 1, vertex_count, first_frame, 1.0, frame_count)
    _write(path, header, frames, (frame_count, vertex_count), "<f4")


def _write(
    path: Path, header: bytes, frames: Iterable[FloatArray], size: tuple[int, int], dtype: str
) -> None:
    """All of it or nothing.  size: frames, vertices"""
    written = 0
    with new_file(path) as draft, explained(path), draft.open("xb") as stream:
        stream.write(header)
        for points in frames:
            if points.shape != (size[1], 3) or written == size[0]:
                raise ValueError(f"frame {written + 1} of {size[0]} has points {points.shape}")
            stream.write(np.ascontiguousarray(points, dtype).data)
            written += 1
        if written != size[0]:
            raise ValueError(f"{written} frames of {size[0]}")
