"""Frames that arrive while the model runs → the target's face moving, as arrays.  No scene data, no drawing.

The job's thread adds frames; Blender's own thread asks for the one to be shown.  Only the newest
seconds are kept, so that an hour's motion takes no more memory than a minute's.
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FloatArray, IntArray
from ...face.binding import Binding
from ...face.fit import Similarity
from ...face.transfer import apply

#: Seconds of motion that are kept and shown in a loop.
KEPT_S = 10.0
#: A picture shows the face from its middle to this many times its radius.
_MARGIN = 1.03


@dataclass(frozen=True)
class Portrait:
    """The target's face at rest, as seen in the scene.

    rest: (V, 3) float32, world axes and scale, centred on the face
    triangles: (F, 3) int32
    matrix: (3, 3) float32, takes offsets (metres, the model's axes) there: offset @ matrix.T
    radius: of the face around its centre
    lead: what carries offsets over to a mesh of another topology, whose own units and axes matrix then takes
    """

    rest: FloatArray
    triangles: IntArray
    matrix: FloatArray
    radius: float
    lead: Binding | None = None

    @property
    def source_count(self) -> int:
        """Vertices of the model's face."""
        return len(self.rest) if self.lead is None else self.lead.source_count

    def shape(self, offsets: FloatArray) -> FloatArray:
        """(V, 3) the face as the motion's (source_count, 3) offsets move it."""
        moves = offsets if self.lead is None else apply(self.lead, offsets)
        found: FloatArray = self.rest + moves @ self.matrix.T
        return found


def portrait_of(
    obj: bpy.types.Object, rest: FloatArray, similarity: Similarity | Binding, units_per_metre: float
) -> Portrait:
    """The portrait of a mesh object.

    rest: (V, 3) its coordinates at rest; similarity: from the model's template to them, or its fit
    units_per_metre: of the template
    """
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    mesh.calc_loop_triangles()
    triangles = np.empty((len(mesh.loop_triangles), 3), np.int32)
    mesh.loop_triangles.foreach_get("vertices", triangles.ravel())
    world = np.array(obj.matrix_world, np.float64)[:3, :3]
    placed = rest @ world.T
    centred = placed - (placed.min(axis=0) + placed.max(axis=0)) / 2
    lead = similarity if isinstance(similarity, Binding) else None
    matrix = world
    if isinstance(similarity, Similarity):
        matrix = world @ similarity.rotation * (similarity.scale * units_per_metre)
    return Portrait(
        rest=centred.astype(np.float32),
        triangles=triangles,
        matrix=matrix.astype(np.float32),
        radius=float(np.linalg.norm(centred, axis=1).max()) or 1.0,  # an object may be scaled to nothing
        lead=lead,
    )


class Preview:
    """The newest frames of a run, played in a loop at their own speed."""

    def __init__(self, portrait: Portrait, fps: float) -> None:
        """fps: of the frames that will come."""
        self.portrait = portrait
        self._fps = fps
        self._lock = threading.Lock()
        self._chunks: deque[FloatArray] = deque()
        self._first = 0  # number of the oldest frame that is kept
        self._end = 0  # one after the newest
        self._position = 0.0
        self._moved: float | None = None

    def add(self, first: int, offsets: FloatArray) -> None:
        """The next frames of the motion (n, V, 3), metres; called in the job's thread."""
        if offsets.shape[1:] != (self.portrait.source_count, 3):
            raise ValueError(f"offsets {offsets.shape} for a face of {self.portrait.source_count} vertices")
        kept = max(int(KEPT_S * self._fps), 1)
        with self._lock:
            # a copy, or a few frames would keep all of a long chunk alive
            self._chunks.append(offsets[-kept:].copy())
            self._end = first + len(offsets)
            held = sum(len(chunk) for chunk in self._chunks)
            while held - len(self._chunks[0]) >= kept:
                held -= len(self._chunks.popleft())
            self._first = self._end - held

    def advance(self, now: float) -> bool:
        """Go on to the frame for ``now`` (a clock's seconds); True when there is something to show."""
        with self._lock:
            if self._first == self._end:
                return False
            if self._moved is not None:
                self._position += (now - self._moved) * self._fps
            self._moved = now
            if not self._first <= self._position < self._end:
                self._position = float(self._first)
            return True

    def frame(self) -> tuple[int, FloatArray] | None:
        """The frame that is due: its number in the motion, and the face (V, 3) as in the portrait."""
        with self._lock:
            if self._first == self._end:
                return None
            # frames may have come, and the oldest gone, since the last advance
            number = min(max(int(self._position), self._first), self._end - 1)
            index = number - self._first
            for chunk in self._chunks:
                if index < len(chunk):
                    break
                index -= len(chunk)
            offsets = chunk[index]
        return number, self.portrait.shape(offsets)


@dataclass(frozen=True)
class Picture:
    """A face as a graphics card draws it.

    points: (V, 3) float32, clip space: x right, y up, z away, all within -1 and 1
    colours: (V, 4) float32, shaded
    """

    points: FloatArray
    colours: FloatArray


def picture(portrait: Portrait, shape: FloatArray, view: NDArray[np.float64]) -> Picture:
    """The face (V, 3), of this portrait, from a direction.

    view: (3, 3) rotation from world axes to the viewer's: x right, y up, z towards the viewer
    """
    seen = shape @ view.T.astype(np.float32)
    points = seen / np.float32(portrait.radius * _MARGIN)
    normals = vertex_normals(seen, portrait.triangles)
    # A lamp beside the viewer. Which way the faces are wound does not matter: those that are seen face us.
    towards = np.abs(normals[:, 2])
    aside = np.abs(normals @ np.array([-0.45, 0.55, 0.7], np.float32))
    light = np.clip(0.12 + 0.35 * towards + 0.5 * aside, 0.0, 1.0)
    colours = np.empty((len(shape), 4), np.float32)
    # Squared, since what is drawn is taken for linear light and brightened.
    colours[:, :3] = light[:, None] ** 2 * np.array([0.93, 0.87, 0.83], np.float32)
    colours[:, 3] = 1.0
    points[:, 2] *= -1.0
    return Picture(np.ascontiguousarray(points, np.float32), colours)


def vertex_normals(points: FloatArray, triangles: IntArray) -> FloatArray:
    """(V, 3) unit normals: the mean of the triangles around each vertex, by area; 0 where there is none."""
    first, second, third = (points[triangles[:, corner]] for corner in range(3))
    faces = np.cross(second - first, third - first)
    corners = triangles.ravel()
    sums = [np.bincount(corners, np.repeat(faces[:, axis], 3), len(points)) for axis in range(3)]
    normals = np.stack(sums, axis=1)
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    unit: FloatArray = (normals / np.where(lengths > 0, lengths, 1.0)).astype(np.float32)
    return unit
