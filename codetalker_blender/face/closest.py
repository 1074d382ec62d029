"""Points -> the closest places on a surface, with a say in which places may be taken.

Blender's own tree (``mathutils.bvhtree``) answers the plain question faster, but knows only the one
nearest triangle.  Between closed lips that is as often as not the wrong lip's, so that here all
triangles near a point compete: by distance, by where they face, and by the side of the mouth that
they are on.  Numpy only, so that fitting runs in the worker and on the command line, too.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .surface import Floats, Index, Mask, Surface

#: Point and triangle pairs that are compared at a time.
_PAIRS = 200_000
#: Cubes grow until no more entries than this are needed: large triangles fill many.
_ENTRIES = 1_500_000
#: Shares of the whole reach that are looked through one after the other.
_REACHES = (0.25, 1.0)
#: Below this, a place belongs to no side of the mouth in particular (see lips.py).
FREE_SIDE = 0.2


@dataclass(frozen=True, eq=False)
class Places:
    """Where on a surface each of n points lies closest.

    triangle: (n,) row of the surface's triangles
    weights: (n, 3) barycentric
    distance: (n,)
    """

    triangle: Index
    weights: Floats
    distance: Floats

    def of(self, surface: Surface, values: Floats) -> Floats:
        """(n, ...) values given per vertex (V, ...) of the surface, at the places."""
        corners = values[surface.triangles[self.triangle]]
        return np.asarray(np.einsum("nk,nk...->n...", self.weights, corners))


@dataclass(frozen=True, eq=False)
class Wish:
    """What a place should be like, beyond being near.

    normals: (n, 3) where the surface should face
    bend: facing at right angles to ``normals`` is as bad as being this far off, facing the opposite way twice
    sides: (n,) side of the mouth of each point, -1 to 1; a place on the other side is never taken
    """

    normals: Floats | None = None
    bend: float = 0.0
    sides: Floats | None = None


class ClosestPlaces:
    """A surface prepared for questions."""

    def __init__(self, surface: Surface, reach: float, sides: Floats | None = None) -> None:
        """sides: (V,) side of the mouth of every vertex of the surface, -1 to 1."""
        self.surface = surface
        corners = surface.points[surface.triangles]
        self._a = corners[:, 0]
        self._ab, self._ac = corners[:, 1] - self._a, corners[:, 2] - self._a
        dots = [(self._ab, self._ab), (self._ac, self._ac), (self._ab, self._ac)]
        self._gram = np.stack([np.einsum("ij,ij->i", u, v) for u, v in dots], axis=1)
        self._middles = corners.mean(axis=1)
        self._radii = np.sqrt(((corners - self._middles[:, None]) ** 2).sum(axis=2).max(axis=1))
        self._sides = np.zeros(len(corners)) if sides is None else sides[surface.triangles].mean(axis=1)
        # Most points lie close, where few triangles have to be compared.
        self._grids = [_Grid(corners, reach * share) for share in _REACHES]

    def find(self, points: Floats, wish: Wish | None = None) -> Places:
        """The best place for each of (n, 3) points; exact within ``reach``, near enough beyond it."""
        wish = wish or Wish()
        found = Places(np.full(len(points), -1), np.zeros((len(points), 3)), np.full(len(points), np.inf))
        open_ = np.arange(len(points))
        for grid in self._grids:
            row, members = grid.candidates(points[open_])
            # Whole points at a time, so that all candidates of a point stand in one block.
            ends = np.searchsorted(row, np.arange(len(open_)), side="right")
            first = 0
            while first < len(open_):
                begin = ends[first - 1] if first else 0
                last = max(int(np.searchsorted(ends, begin + _PAIRS, side="right")), first + 1)
                part = slice(begin, ends[last - 1])
                self._compare(points, wish, open_[row[part]], members[part], grid.reach, found)
                first = last
            open_ = open_[found.triangle[open_] < 0]
        self._far(points, wish, open_, found)
        return found

    def _compare(
        self, points: Floats, wish: Wish, row: Index, member: Index, reach: float, found: Places
    ) -> None:
        """Settle what nothing outside ``reach`` could beat."""
        apart = points[row] - self._middles[member]
        keep = np.einsum("ij,ij->i", apart, apart) <= (self._radii[member] + reach) ** 2
        if wish.sides is not None:
            keep &= ~_opposed(wish.sides[row], self._sides[member])
        row, member = row[keep], member[keep]
        if not len(row):
            return
        weights, squares = self._closest(points[row], member)
        cost = squares
        if wish.normals is not None and wish.bend > 0:
            facing = np.einsum("ij,ij->i", wish.normals[row], self.surface.face_normals[member])
            cost = squares + (wish.bend * (1.0 - facing)) ** 2
        starts = np.unique(row, return_index=True)[1]
        least = np.minimum.reduceat(cost, starts)
        best = np.flatnonzero(cost == np.repeat(least, np.diff(np.append(starts, len(row)))))
        best = best[np.unique(row[best], return_index=True)[1]]
        best = best[cost[best] <= reach**2]
        chosen = row[best]
        found.triangle[chosen] = member[best]
        found.weights[chosen] = weights[best]
        found.distance[chosen] = np.sqrt(squares[best])

    def _far(self, points: Floats, wish: Wish, rows: Index, found: Places) -> None:
        """Points that no place within reach is good for: the nearest triangle's middle on an allowed side."""
        if not len(rows):
            return
        sides = np.zeros(len(rows)) if wish.sides is None else wish.sides[rows]
        for group in (sides > FREE_SIDE, sides < -FREE_SIDE, np.abs(sides) <= FREE_SIDE):
            own = rows[group]
            if not len(own):
                continue
            allowed = np.flatnonzero(~_opposed(np.full(len(self._sides), sides[group][0]), self._sides))
            if not len(allowed):
                allowed = np.arange(len(self._sides))
            member = allowed[nearest(points[own], self._middles[allowed])]
            weights, squares = self._closest(points[own], member)
            found.triangle[own], found.weights[own] = member, weights
            found.distance[own] = np.sqrt(squares)

    def _closest(self, points: Floats, member: Index) -> tuple[Floats, Floats]:
        """The closest point on one triangle each: barycentric weights (n, 3), squared distances (n,)."""
        ap = points - self._a[member]
        along_b = np.einsum("ij,ij->i", ap, self._ab[member])
        along_c = np.einsum("ij,ij->i", ap, self._ac[member])
        bb, cc, bc = self._gram[member].T
        area = np.maximum(bb * cc - bc * bc, 1e-300)
        v, w = (cc * along_b - bc * along_c) / area, (bb * along_c - bc * along_b) / area
        whole = np.einsum("ij,ij->i", ap, ap)

        def squared(v: Floats, w: Floats) -> Floats:
            return np.asarray(
                whole - 2 * (v * along_b + w * along_c) + v * v * bb + 2 * v * w * bc + w * w * cc
            )

        inside = (v >= 0) & (w >= 0) & (v + w <= 1)
        least = np.where(inside, squared(v, w), np.inf)
        zero = np.zeros(len(v))
        on_ab = np.clip(along_b / np.maximum(bb, 1e-300), 0, 1)
        on_ac = np.clip(along_c / np.maximum(cc, 1e-300), 0, 1)
        on_bc = np.clip((along_c - along_b - bc + bb) / np.maximum(bb + cc - 2 * bc, 1e-300), 0, 1)
        for edge_v, edge_w in ((on_ab, zero), (zero, on_ac), (1 - on_bc, on_bc)):
            distance = squared(edge_v, edge_w)
            nearer = distance < least
            v, w = np.where(nearer, edge_v, v), np.where(nearer, edge_w, w)
            least = np.where(nearer, distance, least)
        return np.stack([1 - v - w, v, w], axis=1), np.maximum(least, 0.0)


class _Grid:
    """Triangles sorted into cubes: a point's cube holds all triangles within ``reach`` of the point."""

    def __init__(self, corners: Floats, reach: float) -> None:
        """corners: (F, 3, 3)"""
        self.reach = reach
        low, high = corners.min(axis=1) - reach, corners.max(axis=1) + reach
        self._origin, self._cell = low.min(axis=0), 2.0 * reach
        while True:
            first = np.floor((low - self._origin) / self._cell).astype(np.int64)
            last = np.floor((high - self._origin) / self._cell).astype(np.int64)
            spans = last - first + 1
            counts = spans.prod(axis=1)
            if counts.sum() <= max(_ENTRIES, 8 * len(corners)):
                break
            self._cell *= 1.5
        self._size = last.max(axis=0) + 1
        owner = np.repeat(np.arange(len(counts)), counts)
        step = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
        span = spans[owner]
        within = [step % span[:, 0], step // span[:, 0] % span[:, 1], step // (span[:, 0] * span[:, 1])]
        keys = self._key(first[owner] + np.stack(within, axis=1))
        order = np.argsort(keys, kind="stable")
        self._members = owner[order]
        self._keys, self._starts, self._counts = np.unique(keys[order], return_index=True, return_counts=True)

    def candidates(self, points: Floats) -> tuple[Index, Index]:
        """Pairs of a point's row and a triangle near it, by row."""
        cube = np.floor((points - self._origin) / self._cell).astype(np.int64)
        inside = ((cube >= 0) & (cube < self._size)).all(axis=1)
        key = np.where(inside, self._key(np.clip(cube, 0, self._size - 1)), -1)
        place = np.minimum(np.searchsorted(self._keys, key), len(self._keys) - 1)
        counts = np.where(self._keys[place] == key, self._counts[place], 0)
        row = np.repeat(np.arange(len(points)), counts)
        step = np.arange(len(row)) - np.repeat(np.cumsum(counts) - counts, counts)
        return row, self._members[np.repeat(self._starts[place], counts) + step]

    def _key(self, cube: Index) -> Index:
        return np.asarray((cube[:, 0] * self._size[1] + cube[:, 1]) * self._size[2] + cube[:, 2])


def nearest(points: Floats, among: Floats) -> Index:
    """(n,) row of ``among`` (m, 3) nearest to each of ``points`` (n, 3)."""
    middle = among.mean(axis=0)
    # One product in single precision does it, centred so that a mesh far from the origin loses nothing.
    base = (among - middle).astype(np.float32)
    half = 0.5 * (base**2).sum(axis=1)
    found = np.empty(len(points), np.int64)
    rows = max(1, 2_000_000 // max(len(base), 1))
    for first in range(0, len(points), rows):
        part = (points[first : first + rows] - middle).astype(np.float32)
        found[first : first + rows] = (half - part @ base.T).argmin(axis=1)
    return found


def _opposed(first: Floats, second: Floats) -> Mask:
    """Whether two sides are clearly different ones."""
    apart = first * second < 0
    return np.asarray(apart & (np.minimum(np.abs(first), np.abs(second)) > FREE_SIDE))
