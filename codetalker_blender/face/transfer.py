"""Offsets on a model's face -> offsets on a mesh of another topology.

    Fit, mesh ─► bind ─► Binding ─► apply(offsets of any number of frames or shapes)

Every vertex takes the offsets of the closest place on the fitted face, turned, grown and stretched as the
face's surroundings were by the fit.  All of it is linear, so that shapes may go through it instead
of frames.  Numpy only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import FaceMesh, FloatArray
from . import lips
from .binding import Binding, signature
from .closest import ClosestPlaces, Wish
from .model_face import Part
from .parts import SKIN, STILL, anchors, owners, place_part
from .registration import BEND_M, Fit
from .surface import Floats, Index, Mask, Surface, checked

_REACH_M = 0.012
#: Vertices this far from the face follow fully, and from the second distance on not at all, metres.
_FULL_M, _FREE_M = 0.012, 0.045
#: The same beyond where the model's skin ends.
_BEYOND_FULL_M, _BEYOND_FREE_M = 0.002, 0.060
#: Numbers in memory at a time while offsets are carried over.
_CHUNK_NUMBERS = 4_000_000


def bind(fit: Fit, face: FaceMesh, points: NDArray[Any], triangles: NDArray[Any]) -> Binding:
    """Tie a mesh to a model's face.

    face: the one that was fitted; points: (V, 3), triangles: (F, 3): the mesh that it was fitted to, or
    another one of the same character in the same space (teeth, eyes, brows)
    """
    mesh = checked(points, triangles)
    local = Surface(fit.placement.to_model(mesh.points), mesh.triangles)
    same = np.array_equal(mesh.triangles, fit.mesh.triangles) and np.allclose(local.points, fit.mesh.points)
    skin = np.zeros(len(local.points), bool)
    if same:
        skin = np.isin(local.pieces, np.unique(local.pieces[local.triangles[fit.skin]]))
    owner = owners(fit.template, fit.fitted, local, skin)
    table = _Table(fit, local)
    table.follow_skin(np.flatnonzero(owner == SKIN), _sides(fit, local) if same else None)
    parts = [*fit.template.parts, Part("jaw", fit.template.jaw)]
    for number, part in enumerate(parts):
        rows = np.flatnonzero(owner == number)
        if len(rows) and part.name:
            table.follow_rigid(part, rows)
        elif len(rows):
            table.follow_soft(part, rows)
    return table.binding(
        signature(face.vertices, face.triangles), signature(points, triangles), np.flatnonzero(owner != STILL)
    )


def apply(binding: Binding, offsets: FloatArray) -> FloatArray:
    """Carry offsets over.

    offsets: (..., source_count, 3) metres, template axes -> (..., vertex_count, 3) mesh units, mesh axes
    """
    if offsets.shape[-2:] != (binding.source_count, 3):
        raise ValueError(f"offsets are {offsets.shape}, the binding is for {binding.source_count} vertices")
    frames = np.asarray(offsets, np.float32).reshape(-1, binding.source_count, 3)
    found = np.zeros((len(frames), binding.vertex_count, 3), np.float32)
    step = max(1, _CHUNK_NUMBERS // max(3 * len(binding.moved), 1))
    for first in range(0, len(frames), step):
        _carry(binding, frames[first : first + step], found[first : first + step])
    return found.reshape(*offsets.shape[:-2], binding.vertex_count, 3)


def _carry(binding: Binding, frames: FloatArray, found: FloatArray) -> None:
    """Fill ``found`` (n, vertex_count, 3) from ``frames`` (n, source_count, 3)."""
    # Axis, vertex, frame: what one vertex needs lies in one run of memory.
    sources = np.ascontiguousarray(frames.transpose(2, 1, 0))
    ends = np.cumsum(binding.anchor_counts)
    if len(ends):
        led = [
            binding.anchor_weights[begin:end].T @ sources[:, binding.anchored[begin:end]]
            for begin, end in zip(ends - binding.anchor_counts, ends, strict=True)
        ]
        sources = np.concatenate([sources, *led], axis=1)
    fourth = np.flatnonzero(binding.weights[:, 3])
    taken = []
    for axis in range(3):
        own = binding.weights[:, 0, None] * sources[axis, binding.sources[:, 0]]
        for k in (1, 2):
            own += binding.weights[:, k, None] * sources[axis, binding.sources[:, k]]
        own[fourth] += binding.weights[fourth, 3, None] * sources[axis, binding.sources[fourth, 3]]
        taken.append(own)
    for axis in range(3):
        turned = binding.frames[:, axis, 0, None] * taken[0]
        for k in (1, 2):
            turned += binding.frames[:, axis, k, None] * taken[k]
        found[:, binding.moved, axis] = turned.T


class _Table:
    """A binding's rows while they are collected.  Everything in metres and axes of the model."""

    def __init__(self, fit: Fit, mesh: Surface) -> None:
        self.fit, self.mesh = fit, mesh
        count = len(mesh.points)
        self.sources = np.zeros((count, 4), np.int64)
        self.weights = np.zeros((count, 4))
        self.frames = np.zeros((count, 3, 3))
        self.distance = np.full(count, np.nan)
        self.anchored: list[Index] = []
        self.anchor_weights: list[Floats] = []

    def follow_skin(self, rows: Index, sides: Floats | None) -> None:
        """Vertices that follow the skin; sides: (V,) of the mesh's mouth where they are known."""
        template = self.fit.template
        skin = template.skin.moved(self.fit.fitted.points)
        near = self._near(rows, skin)
        wish = Wish(self.mesh.normals[near], BEND_M, None if sides is None else sides[near])
        self._follow(near, skin, template.sides, wish)

    def follow_soft(self, part: Part, rows: Index) -> None:
        """Vertices that follow a part of the model that bends."""
        fitted = self.fit.fitted
        own = fitted.part(np.isin(fitted.triangles[:, 0], part.vertices))
        self._follow(rows, own, None, Wish(self.mesh.normals[rows], BEND_M))

    def follow_rigid(self, part: Part, rows: Index) -> None:
        """Vertices of a part that keeps its form."""
        fit = self.fit
        placement = place_part(fit.template, part, fit.fitted.points, fit.frames, self.mesh.points[rows])
        own = anchors(fit.template.whole.points[part.vertices])
        first = len(fit.template.whole.points) + 4 * len(self.anchored)
        self.sources[rows] = first + np.arange(4)
        self.weights[rows] = own.weights(placement.to_model(self.mesh.points[rows]))
        self.frames[rows] = placement.scale * placement.rotation
        self.anchored.append(part.vertices)
        self.anchor_weights.append(own.rows.T)

    def binding(self, model: str, mesh: str, rows: Index) -> Binding:
        """The binding of the vertices ``rows``, as far as they move."""
        fit = self.fit
        moved = rows[np.abs(self.weights[rows]).sum(axis=1) > 1e-6]
        frames = fit.placement.scale * np.einsum("ij,njk->nik", fit.placement.rotation, self.frames[moved])
        anchored = self.anchored or [np.zeros(0, np.int64)]
        return Binding(
            model=model,
            mesh=mesh,
            source_count=len(fit.template.whole.points),
            vertex_count=len(self.mesh.points),
            moved=moved.astype(np.int32),
            sources=self.sources[moved].astype(np.int32),
            weights=self.weights[moved].astype(np.float32),
            frames=frames.astype(np.float32),
            anchored=np.concatenate(anchored).astype(np.int32),
            anchor_weights=np.concatenate([*self.anchor_weights, np.zeros((0, 4))]).astype(np.float32),
            anchor_counts=np.array([len(own) for own in self.anchored], np.int32),
            distance_mm=(1e3 * self.distance).astype(np.float32),
            quality=fit.quality,
        )

    def _near(self, rows: Index, skin: Surface) -> Index:
        """Those of ``rows`` that may follow at all."""
        used = skin.points[np.unique(skin.triangles)]
        low, high = used.min(axis=0) - _BEYOND_FREE_M, used.max(axis=0) + _BEYOND_FREE_M
        points = self.mesh.points[rows]
        return np.asarray(rows[((points > low) & (points < high)).all(axis=1)])

    def _follow(self, rows: Index, surface: Surface, sides: Floats | None, wish: Wish) -> None:
        if not len(rows):
            return
        place = ClosestPlaces(surface, _REACH_M, sides).find(self.mesh.points[rows], wish)
        fade = _faded(place.distance, _FULL_M, _FREE_M)
        beyond = _beyond(surface, place.triangle, place.weights)
        fade = np.where(beyond, _faded(place.distance, _BEYOND_FULL_M, _BEYOND_FREE_M), fade)
        self.sources[rows, :3] = surface.triangles[place.triangle]
        self.weights[rows, :3] = fade[:, None] * place.weights
        self.frames[rows] = place.of(surface, self.fit.frames)
        self.distance[rows] = np.where(beyond | (fade == 0.0), np.nan, place.distance)


def _sides(fit: Fit, mesh: Surface) -> Floats | None:
    """(V,) side of the mouth of the fitted mesh's vertices, along its skin."""
    if fit.borders is None:
        return None
    skin = mesh.part(fit.skin)
    return lips.sides(skin, fit.borders.upper, fit.borders.lower, lips.REACH_M)


def _faded(distance: Floats, full: float, free: float) -> Floats:
    """(n,) 1 up to ``full``, 0 from ``free`` on, smooth between."""
    share = np.clip((free - distance) / (free - full), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share))


def _beyond(surface: Surface, triangle: Index, weights: Floats) -> Mask:
    """(n,) places on the very edge of a surface: the point lies beyond where it ends."""
    on_border = surface.border[surface.triangles[triangle]]
    off_border = np.where(on_border, 0.0, weights).sum(axis=1)
    return np.asarray((off_border < 1e-6) & on_border.any(axis=1))
