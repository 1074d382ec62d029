"""The skin's quads: a half cylinder of rows and columns with holes that hold concentric rings.

Only the half with x >= 0 is built here; column 0 is the front midline and the last column the
back midline.  ``HalfMesh.mirrored`` makes the whole.  Knows indices and positions, no anatomy.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from anatomy import Array

Quad = tuple[int, int, int, int]


@dataclass(frozen=True)
class Hole:
    """Grid cells taken out: columns [left, right], rows [bottom, top]; left 0 lies on the midline."""

    left: int
    right: int
    bottom: int
    top: int

    @property
    def width(self) -> int:
        return self.right - self.left

    @property
    def height(self) -> int:
        return self.top - self.bottom

    def inside(self, row: int, column: int) -> bool:
        """Whether the node vanishes with the hole."""
        low = -1 if self.left == 0 else self.left
        return self.bottom < row < self.top and low < column < self.right

    def holds_cell(self, row: int, column: int) -> bool:
        """Whether the cell (row to row + 1, column to column + 1) is taken out."""
        return self.bottom <= row < self.top and self.left <= column < self.right

    def rim(self) -> list[tuple[int, int]]:
        """(row, column) nodes of the rim, clockwise seen from outside.

        A closed hole starts at the middle of its left side; one on the midline runs from the
        middle's top to the middle's bottom and is open.
        """
        middle = (self.bottom + self.top) // 2
        top = [(self.top, c) for c in range(self.left, self.right + 1)]
        right = [(r, self.right) for r in range(self.top - 1, self.bottom, -1)]
        bottom = [(self.bottom, c) for c in range(self.right, self.left - 1, -1)]
        if self.left == 0:
            return top + right + bottom
        rise = [(r, self.left) for r in range(middle, self.top)]
        last = [(r, self.left) for r in range(self.bottom + 1, middle)]
        return rise + top + right + bottom + last


@dataclass
class HalfMesh:
    """A growing mesh of the half x >= 0."""

    points: list[Array] = field(default_factory=list)
    quads: list[Quad] = field(default_factory=list)
    middle: set[int] = field(default_factory=set)
    free: set[int] = field(default_factory=set)

    def add(self, point: Array, *, middle: bool = False, free: bool = False) -> int:
        """Append one vertex; ``middle`` puts it on x = 0, ``free`` lets the relaxation move it."""
        index = len(self.points)
        point = np.array(point, np.float64)
        if middle:
            point[0] = 0.0
            self.middle.add(index)
        if free:
            self.free.add(index)
        self.points.append(point)
        return index

    def add_grid(self, points: Array, holes: list[Hole]) -> dict[tuple[int, int], int]:
        """Rows x columns of ``points`` (R, C, 3) without the holes; returns node -> vertex."""
        rows, columns = points.shape[:2]
        nodes = {}
        for row in range(rows):
            for column in range(columns):
                if any(hole.inside(row, column) for hole in holes):
                    continue
                edge = column in (0, columns - 1)
                nodes[row, column] = self.add(points[row, column], middle=edge, free=row > 0)
        for row in range(rows - 1):
            for column in range(columns - 1):
                if not any(hole.holds_cell(row, column) for hole in holes):
                    corners = ((row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column))
                    self.quads.append(tuple(nodes[c] for c in corners))  # type: ignore[arg-type]
        return nodes

    def add_ring(self, outer: list[int], points: Array, *, free: bool = False) -> list[int]:
        """A ring of len(outer) vertices inside ``outer`` (clockwise), joined to it by quads."""
        closed = outer[0] not in self.middle
        last = len(outer) - 1
        ring = [
            self.add(point, middle=not closed and i in (0, last), free=free) for i, point in enumerate(points)
        ]
        pairs = list(zip(range(len(ring)), range(1, len(ring)), strict=False))
        if closed:
            pairs.append((last, 0))
        self.quads += [(ring[i], ring[j], outer[j], outer[i]) for i, j in pairs]
        return ring

    def add_cap(self, rim: list[int], width: int, height: int, *, free: bool = False) -> None:
        """Close ``rim`` (clockwise, laid out as Hole.rim of that size) with width x height quads."""
        half = rim[0] in self.middle
        hole = Hole(0, width, 0, height) if half else Hole(1, width + 1, 0, height)
        left = hole.left
        nodes = dict(zip(hole.rim(), rim, strict=True))
        at = {node: self.points[vertex] for node, vertex in nodes.items()}
        for row in range(1, height):
            v = row / height
            at.setdefault((row, left), (1 - v) * at[0, left] + v * at[height, left])
        for row in range(1, height):
            for column in range(left, left + width):
                if (row, column) in nodes:
                    continue
                u, v = (column - left) / width, row / height
                across = (1 - u) * at[row, left] + u * at[row, left + width]
                along = (1 - v) * at[0, column] + v * at[height, column]
                corners = (1 - v) * ((1 - u) * at[0, left] + u * at[0, left + width]) + v * (
                    (1 - u) * at[height, left] + u * at[height, left + width]
                )
                middle = half and column == left
                nodes[row, column] = self.add(across + along - corners, middle=middle, free=free)
        for row in range(height):
            for column in range(left, left + width):
                corner = ((row, column), (row, column + 1), (row + 1, column + 1), (row + 1, column))
                self.quads.append(tuple(nodes[c] for c in corner))  # type: ignore[arg-type]

    def mirrored(self) -> tuple[Array, NDArray[np.int64], NDArray[np.int64]]:
        """The whole: points (V, 3), quads (Q, 4), mirror (V,) vertex -> its twin.

        The half keeps its indices; the twins of the vertices off the midline follow.
        """
        half = np.array(self.points)
        count = len(half)
        twin = np.arange(count)
        off = np.array([i for i in range(count) if i not in self.middle])
        twin[off] = count + np.arange(len(off))
        points = np.concatenate([half, half[off] * np.array([-1.0, 1.0, 1.0])])
        quads = np.array(self.quads)
        # A mirrored quad turns round; starting at the same corner keeps the diagonal 0-2 symmetric.
        quads = np.concatenate([quads, twin[quads][:, [0, 3, 2, 1]]])
        mirror = np.empty(len(points), np.int64)
        mirror[:count] = twin
        mirror[twin] = np.arange(count)
        return points, quads, mirror


def relax(
    points: Array,
    quads: NDArray[np.int64],
    weight: Array,
    project: NDArray[np.bool_],
    mirror: NDArray[np.int64],
    iterations: int,
    to_surface: Callable[[Array], Array],
) -> Array:
    """Uniform Laplacian smoothing, projected back onto the surface after every step.

    weight: (V,) share of the way to the neighbours' mean, 0 pins
    project: (V,) which vertices are put back by ``to_surface``
    """
    edges = np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])
    edges = np.unique(np.sort(edges, axis=1), axis=0)
    degree = np.bincount(edges.ravel(), minlength=len(points)).astype(np.float64)
    degree = np.maximum(degree, 1.0)
    flip = np.array([-1.0, 1.0, 1.0])
    for _ in range(iterations):
        total = np.zeros_like(points)
        np.add.at(total, edges[:, 0], points[edges[:, 1]])
        np.add.at(total, edges[:, 1], points[edges[:, 0]])
        points = points + weight[:, None] * (total / degree[:, None] - points)
        points[project] = to_surface(points[project])
        points = 0.5 * (points + points[mirror] * flip)
    return points
