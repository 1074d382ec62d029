"""A triangle mesh as arrays: normals, edges, borders, pieces and ways along it.  Numpy only; no bpy.

Meshes that came through a game format have several vertices at one place wherever their texture is
cut; everything here that asks for neighbours takes such vertices for one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..errors import TargetError

Floats = NDArray[np.float64]
Index = NDArray[np.int64]
Mask = NDArray[np.bool_]

#: Of a mesh, in whatever unit: beyond, squares of lengths lose themselves.
_SMALLEST, _LARGEST = 1e-12, 1e12


@dataclass(frozen=True, eq=False)
class Surface:
    """A triangle mesh.

    points: (V, 3) float64
    triangles: (F, 3) int64, counter-clockwise seen from outside
    """

    points: Floats
    triangles: Index

    @cached_property
    def welded(self) -> Index:
        """(V,) for every vertex the one that stands for all border vertices at the very same place."""
        stands_for = np.arange(len(self.points))
        border = np.flatnonzero(_on_border(self.triangles, len(self.points)))
        _, first, inverse = np.unique(
            self.points[border].astype(np.float32), axis=0, return_index=True, return_inverse=True
        )
        stands_for[border] = border[first[inverse.ravel()]]
        return stands_for

    @cached_property
    def corners(self) -> Index:
        """(F, 3) the triangles over the vertices that stand for others."""
        return np.asarray(self.welded[self.triangles])

    @cached_property
    def crosses(self) -> Floats:
        """(F, 3) normals of the triangles, as long as twice their area."""
        a, b, c = (self.points[self.triangles[:, k]] for k in range(3))
        return np.asarray(np.cross(b - a, c - a))

    @cached_property
    def face_normals(self) -> Floats:
        """(F, 3) of length 1, or 0 where a triangle has no area."""
        return unit(self.crosses)

    @cached_property
    def normals(self) -> Floats:
        """(V, 3) area-weighted vertex normals of length 1, or 0 where there is no triangle."""
        count = len(self.points)
        total = np.zeros((count, 3))
        for k in range(3):
            for axis in range(3):
                total[:, axis] += np.bincount(self.corners[:, k], self.crosses[:, axis], count)
        return unit(total[self.welded])

    @cached_property
    def areas(self) -> Floats:
        """(F,) of the triangles."""
        return np.asarray(0.5 * np.linalg.norm(self.crosses, axis=1))

    @cached_property
    def edges(self) -> Index:
        """(E, 2) every edge once, over the vertices that stand for others."""
        return unique_edges(self.corners)

    @cached_property
    def border(self) -> Mask:
        """(V,) vertices at which the surface ends."""
        return np.asarray(_on_border(self.corners, len(self.points))[self.welded])

    @cached_property
    def border_edges(self) -> Index:
        """(B, 2) edges that only one triangle has, over the vertices that stand for others."""
        return _lonely_edges(self.corners)

    @cached_property
    def pieces(self) -> Index:
        """(V,) number of the connected piece that a vertex belongs to, from 0."""
        label = np.arange(len(self.points))
        while True:
            before = label
            label = label.copy()
            np.minimum.at(label, self.edges[:, 0], before[self.edges[:, 1]])
            np.minimum.at(label, self.edges[:, 1], before[self.edges[:, 0]])
            label = label[label]
            if np.array_equal(label, before):
                return np.asarray(np.unique(label[self.welded], return_inverse=True)[1].ravel())

    def ways(self, seeds: Index, reach: float) -> Floats:
        """(V,) length of the shortest way along edges to one of ``seeds``; inf beyond ``reach``."""
        found = np.full(len(self.points), np.inf)
        found[self.welded[seeds]] = 0.0
        edges = np.concatenate([self.edges, self.edges[:, ::-1]])
        edges = edges[np.argsort(edges[:, 1], kind="stable")]
        lengths = np.linalg.norm(self.points[edges[:, 0]] - self.points[edges[:, 1]], axis=1)
        ends, starts = np.unique(edges[:, 1], return_index=True)
        while len(starts):
            offered = np.minimum.reduceat(found[edges[:, 0]] + lengths, starts)
            better = (offered < found[ends]) & (offered <= reach)
            if not better.any():
                break
            found[ends[better]] = offered[better]
        return np.asarray(found[self.welded])

    def moved(self, points: Floats) -> Surface:
        """The same connectivity with its vertices elsewhere."""
        return Surface(points, self.triangles)

    def part(self, chosen: Mask) -> Surface:
        """The triangles (F,) ``chosen``, over the same vertices."""
        return Surface(self.points, self.triangles[chosen])


def checked(points: NDArray[Any], triangles: NDArray[Any]) -> Surface:
    """A user's mesh as a Surface.  Raises TargetError for one that holds no finite, extended surface."""
    surface = Surface(
        np.asarray(points, np.float64).reshape(-1, 3), np.asarray(triangles, np.int64).reshape(-1, 3)
    )
    bad = int((~np.isfinite(surface.points).all(axis=1)).sum())
    if bad:
        raise TargetError(
            f"The mesh has {bad} vertices whose coordinates are not finite numbers.", "Repair the mesh."
        )
    if not len(surface.triangles):
        raise TargetError("The mesh has no faces.", "Choose the mesh of a head.")
    if surface.triangles.min() < 0 or surface.triangles.max() >= len(surface.points):
        raise ValueError("triangles name vertices that are not there")
    extent = float(np.ptp(surface.points[surface.triangles.ravel()], axis=0).max())
    if not extent > 0 or not surface.areas.sum() > 1e-9 * extent**2:
        raise TargetError(
            "The mesh has no extent: its vertices lie in one point or on a line.", "Restore its rest shape."
        )
    if not _SMALLEST < extent < _LARGEST:
        raise TargetError(f"The mesh is {extent:.1g} units large.", "Scale it to a usual size.")
    return surface


def unit(vectors: Floats) -> Floats:
    """(n, 3) scaled to length 1; what has no length stays 0."""
    length = np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.asarray(vectors / np.where(length > 0, length, 1.0))


def unique_edges(triangles: Index) -> Index:
    """(E, 2) the edges of (F, 3) triangles, each once, smaller vertex first; none from a vertex to itself."""
    edges = np.sort(np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)]), axis=1)
    edges = edges[edges[:, 0] != edges[:, 1]]
    return np.asarray(np.unique(edges, axis=0)).reshape(-1, 2)


def spread(points: Floats, count: int, spacing: Floats | None = None) -> Index:
    """Indices of ``count`` points (or all) far from each other, each time the farthest from those taken.

    spacing: (n,) wanted distance between neighbours, which may differ from place to place
    """
    wanted = np.ones(len(points)) if spacing is None else spacing
    count = min(count, len(points))
    taken = np.empty(count, np.int64)
    squares = np.full(len(points), np.inf)
    # Begins at the end of the longest diagonal, whatever the order of the vertices.
    latest = int(((points - points.mean(axis=0)) ** 2).sum(axis=1).argmax()) if count else 0
    for number in range(count):
        taken[number] = latest
        squares = np.minimum(squares, ((points - points[latest]) ** 2).sum(axis=1) / wanted**2)
        latest = int(squares.argmax())
    return taken


def _on_border(triangles: Index, count: int) -> Mask:
    """(count,) vertices of edges that only one triangle has."""
    found = np.zeros(count, bool)
    found[_lonely_edges(triangles).ravel()] = True
    return found


def _lonely_edges(triangles: Index) -> Index:
    """(B, 2) edges that only one triangle has."""
    edges = np.sort(np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)]), axis=1)
    rows, used = np.unique(edges, axis=0, return_counts=True)
    return np.asarray(rows[used == 1])
