"""Fit a model's face to a mesh of any topology: place it, then let it take the mesh's form.

    template, mesh ─► alignment (similarity) ─► rounds of closest points and deformation ─► Fit

All lengths after the alignment are metres of the model, so that the mesh's own scale is no matter.
Both directions count: the model's skin wants to lie on the mesh, and the mesh's face on the model;
between the lips only like sides may meet.  Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import FaceMesh, FloatArray
from ..errors import TargetError
from . import lips
from .alignment import Pattern, align
from .closest import ClosestPlaces, Wish
from .deformation import Wishes, kernel, placed, solve
from .frames import local_frames
from .model_face import MARKS, ModelFace, prepare
from .placement import Pairs, Placement
from .quality import Quality, refuse_bad, refuse_coarse, refuse_flat, refuse_inside_out
from .rims import REACH_M, Ends, eye_rims
from .surface import Floats, Index, Mask, Surface, checked, spread, unit

#: How far the mesh is asked for around a point exactly, metres.
_REACH_M = 0.012
#: Facing the opposite way is as bad as being off by twice this length, metres.
BEND_M = 0.005
#: What one wish may miss in each round, metres: coarse nodes, then fine ones.
_COARSE = (0.006, 0.005, 0.004, 0.0035, 0.003, 0.0025, 0.002)
_FINE = (0.002, 0.0017, 0.0014, 0.0012, 0.001, 0.001, 0.001, 0.001)
_COARSE_NODES, _FINE_NODES = 110, 380
#: Wishes of each direction, and how many of them count as independent.
_SAMPLES, _INDEPENDENT = 900, 350.0
#: Samples are spread out among no more vertices than this.
_CROWD = 12_000
#: Certainty across the normal, as a share of that along it: closest points slide.
_SLIDE = 0.05
#: How far a surface may bulge over a triangle, per square of its longest edge, 1 / metres: vertices are surer
#: than what lies between them.
_BULGE = 8.0
_LANDMARK_M = 0.0007
#: A piece of the mesh is skin when it takes this share of what the piece that takes most of the face does.
_PIECE_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Fit:
    """A model's face as it lies on a mesh.

    placement: metres of the model <-> the mesh's units and axes
    fitted: the whole model on the mesh; mesh: the mesh, both in metres and axes of the model
    skin: (F,) triangles of the mesh that are its face's skin
    frames: (V, 3, 3) turn, growth and stretch of each model vertex's surroundings, in axes of the model
    borders: the lips' borders on the mesh, or None
    """

    template: ModelFace
    placement: Placement
    fitted: Surface
    mesh: Surface
    skin: Mask
    frames: Floats
    borders: lips.Borders | None
    quality: Quality

    @property
    def preview(self) -> FloatArray:
        """(V, 3) the model's vertices in the mesh's units and axes."""
        return self.placement.to_mesh(self.fitted.points).astype(np.float32)


def fit(
    face: FaceMesh,
    units_per_metre: float,
    points: NDArray[Any],
    triangles: NDArray[Any],
    landmarks: Mapping[str, NDArray[Any]] | None = None,
) -> Fit:
    """Fit a bundle's face to a mesh.

    points: (V, 3), triangles: (F, 3): the mesh at rest, in any scale and axes; a body may hang on the head
    landmarks: names of template.MARKS -> (3,) where they are on the mesh; they override what shape says

    Raises TargetError when the fit is too bad to be used, with the reasons.
    """
    template = prepare(face, units_per_metre)
    mesh = checked(points, triangles)
    used = np.unique(mesh.triangles)
    refuse_coarse(len(used))
    refuse_flat(mesh.points[used])
    pairs = _pairs(template, landmarks or {})
    guess = align(Pattern(_outer_skin(template), template.core, template.up), mesh, pairs)
    placement = guess.placement
    local = Surface(placement.to_model(mesh.points), mesh.triangles)
    start = template.whole.points @ guess.form.T
    skin = _skin_of(template, start, local)
    refuse_inside_out(_agreement(template, start, local.part(skin)))
    there = Pairs(pairs.model @ guess.form.T, placement.to_model(pairs.mesh))
    rounds = _Rounds(template, start, local.part(skin), there)
    rounds.run()
    fitted = template.whole.moved(rounds.deformed)
    whole, mouth = template.whole.points, template.marks.get("mouth")
    frames = local_frames(whole, fitted.points, template.outside, mouth)
    quality = rounds.judge(frames)
    refuse_bad(quality)
    return Fit(template, placement, fitted, local, skin, frames, rounds.borders, quality)


class _Rounds:
    """The deformation while it is being sought."""

    def __init__(self, template: ModelFace, start: Floats, target: Surface, pairs: Pairs) -> None:
        """start: (V, 3) the model as the alignment stretched it; pairs: in metres of the model, both"""
        self.template, self.start, self.target, self.pairs = template, start, target, pairs
        self.places = placed(start, template.sides)
        self.deformed = start
        self.borders: lips.Borders | None = None
        self._closest = ClosestPlaces(target, _REACH_M)
        self._target_sides = np.zeros(len(target.points))
        corners = target.points[target.triangles]
        self._edge_squares = ((corners - np.roll(corners, 1, axis=1)) ** 2).sum(axis=2).max(axis=1)
        self._rim, self._ends = eye_rims(template.skin, template.marks), Ends.of(target)
        self._wanted = self._spacing()
        outside = template.outside
        self._forward = outside[spread(start[outside], _SAMPLES, self._wanted[outside])]

    def run(self) -> None:
        """All rounds: without the lips' insides until the lips' sides are known on the mesh."""
        self._with_nodes(_COARSE_NODES)
        for tolerance in _COARSE:
            self._step(tolerance)
        self._find_sides()
        self._with_nodes(_FINE_NODES)
        for tolerance in _FINE:
            self._step(tolerance)
        self._find_sides()

    def _spacing(self) -> Floats:
        """(V,) how far apart samples should be, metres: close on the lips, wide on the back of the head."""
        rest = self.template.whole.points
        wanted = np.full(len(rest), 0.030)
        wanted[self.template.core] = 0.010
        if self.template.mouth is not None:
            wanted = np.minimum(wanted, np.where(np.abs(self.template.sides) > 0.3, 0.005, np.inf))
        for name in ("eye_left", "eye_right", "nose_tip"):
            if name in self.template.marks:
                near = np.linalg.norm(rest - self.template.marks[name], axis=1) < 0.022
                wanted[near] = np.minimum(wanted[near], 0.006)
        return wanted

    def _with_nodes(self, count: int) -> None:
        used = np.unique(self.template.skin.triangles)
        places = self.places[used]
        nodes = places[spread(places, count, self._wanted[used])]
        self._basis, self._prior = kernel(self.places, nodes), kernel(nodes, nodes)
        self._pinned = kernel(placed(self.pairs.model, np.zeros(len(self.pairs.model))), nodes)
        self._backward = self._in_face(0.006)
        if len(self._backward) > _CROWD:
            self._backward = np.random.default_rng(0).choice(self._backward, _CROWD, replace=False)
        self._backward = self._backward[spread(self.target.points[self._backward], _SAMPLES)]

    def _in_face(self, margin: float) -> Index:
        """Vertices of the mesh in the box around the face proper, as it lies now."""
        core, points = self.deformed[self.template.core], self.target.points
        used = np.unique(self.target.triangles)
        low, high = core.min(axis=0) - margin, core.max(axis=0) + margin
        return np.asarray(used[((points[used] > low) & (points[used] < high)).all(axis=1)])

    def _find_sides(self) -> None:
        mouth = self.template.mouth
        if mouth is None:
            return
        skin = self.template.skin.moved(self.deformed)
        self.borders = lips.find_borders(mouth, skin, self.target, ClosestPlaces(self.target, _REACH_M))
        if self.borders is not None:
            self._target_sides = lips.sides(self.target, self.borders.upper, self.borders.lower, lips.REACH_M)
            self._closest = ClosestPlaces(self.target, _REACH_M, self._target_sides)

    def _step(self, tolerance: float) -> None:
        skin = self.template.skin.moved(self.deformed)
        wishes = self._model_to_mesh(skin, tolerance).joined(self._mesh_to_model(skin, tolerance))
        if len(self._rim) and len(self._ends.starts):
            wishes = wishes.joined(self._rims_to_ends(skin, tolerance))
        if len(self.pairs.model):
            moves = self.pairs.mesh - self.pairs.model
            certain = np.full(len(moves), 1.0 / _LANDMARK_M)
            wishes = wishes.joined(Wishes(self._pinned, moves, np.zeros_like(moves), certain, certain))
        weights = solve(self._prior, wishes)
        self.deformed = self.start + self._basis @ weights

    def _model_to_mesh(self, skin: Surface, tolerance: float) -> Wishes:
        rows, target = self._forward, self.target
        wish = Wish(skin.normals[rows], BEND_M, self.template.sides[rows])
        place = self._closest.find(skin.points[rows], wish)
        goal, normals = place.of(target, target.points), place.of(target, target.normals)
        weight = _trust(place.distance, tolerance, np.einsum("ij,ij->i", skin.normals[rows], normals))
        # Where the mesh ends, what is closest says nothing.
        weight[target.border[target.triangles[place.triangle]].any(axis=1)] *= 0.05
        moves = goal - self.start[rows]
        sure = np.hypot(tolerance, _BULGE * self._edge_squares[place.triangle])
        return _wishes(self._basis[rows], moves, normals, weight, sure)

    def _mesh_to_model(self, skin: Surface, tolerance: float) -> Wishes:
        target = self.target
        rows = self._backward
        wish = Wish(target.normals[rows], BEND_M, self._target_sides[rows])
        place = ClosestPlaces(skin, _REACH_M, self.template.sides).find(target.points[rows], wish)
        normals = target.normals[rows]
        facing = np.einsum("ij,ij->i", place.of(skin, skin.normals), normals)
        weight = _trust(place.distance, tolerance, facing)
        if self.template.mouth is not None:
            weight[self.template.mouth.inside[skin.triangles[place.triangle]].any(axis=1)] *= 0.1
        weight[skin.border[skin.triangles[place.triangle]].any(axis=1)] *= 0.05
        moves = target.points[rows] - place.of(skin, self.start)
        sure = np.full(len(moves), tolerance)
        return _wishes(place.of(skin, self._basis), moves, normals, weight, sure)

    def _rims_to_ends(self, skin: Surface, tolerance: float) -> Wishes:
        """The rims of the eyes' openings where the mesh ends, too; they may slide along it alone."""
        rows = self._rim
        goal, ways = self._ends.closest(skin.points[rows])
        distance = np.linalg.norm(goal - skin.points[rows], axis=1)
        weight = np.where(distance < REACH_M, _trust(distance, tolerance, np.ones(len(rows))), 0.0)
        outward = unit(np.cross(ways, skin.normals[rows]))
        moves, basis, sure = goal - self.start[rows], self._basis[rows], np.full(len(rows), tolerance)
        first = _wishes(basis, moves, outward, weight, sure)
        return first.joined(_wishes(basis, moves, np.cross(ways, outward), weight, sure))

    def judge(self, frames: Floats) -> Quality:
        """The fit in numbers."""
        core, target = self.template.core, self.target
        skin = self.template.skin.moved(self.deformed)
        place = self._closest.find(
            skin.points[core], Wish(skin.normals[core], BEND_M, self.template.sides[core])
        )
        facing = np.einsum("ij,ij->i", skin.normals[core], place.of(target, target.normals))
        growth = np.cbrt(np.maximum(np.linalg.det(frames[core]), 1e-9))
        growth = growth / np.median(growth)
        parting = None
        if self.template.mouth is not None:
            found = self.borders
            parting = 0.0 if found is None else lips.parting(target, found.upper, found.lower)
        return Quality(
            mean_mm=1e3 * float(place.distance.mean()),
            max_mm=1e3 * float(place.distance.max()),
            coverage=float(((place.distance < 0.005) & (facing > 0.5)).mean()),
            agreement=float(facing.mean()),
            stretch=float(np.maximum(growth, 1.0 / growth).max()),
            vertices=len(self._in_face(0.0)),
            parting=parting,
        )


def _trust(distance: Floats, tolerance: float, facing: Floats) -> Floats:
    """(n,) how much a pair counts: less when far for this round, and when facing apart."""
    return np.asarray(np.clip(facing, 0.0, 1.0) ** 2 / (1.0 + (distance / (4.0 * tolerance)) ** 2) ** 2)


def _wishes(basis: Floats, moves: Floats, normals: Floats, weight: Floats, tolerance: Floats) -> Wishes:
    share = min(1.0, _INDEPENDENT / max(len(moves), 1))
    along = np.sqrt(weight * share) / tolerance
    return Wishes(basis, moves, normals, along, _SLIDE * along)


def _pairs(template: ModelFace, landmarks: Mapping[str, NDArray[Any]]) -> Pairs:
    unknown = sorted(set(landmarks) - set(MARKS))
    if unknown:
        raise TargetError(
            f"There is no landmark called '{unknown[0]}'.", f"Landmarks are: {', '.join(MARKS)}."
        )
    names = [name for name in landmarks if name in template.marks]
    model = np.array([template.marks[name] for name in names]).reshape(-1, 3)
    there = np.array([np.asarray(landmarks[name], np.float64) for name in names]).reshape(-1, 3)
    if not np.isfinite(there).all():
        raise TargetError("A landmark's place is not a finite number.", "Place it again.")
    return Pairs(model, there)


def _outer_skin(template: ModelFace) -> Surface:
    """The skin without what lies behind the lips."""
    if template.mouth is None:
        return template.skin
    return template.skin.part(~template.mouth.inside[template.skin.triangles].any(axis=1))


def _agreement(template: ModelFace, start: Floats, mesh: Surface) -> float:
    """Mean cosine between normals of the face proper and of whatever of the mesh is closest."""
    core = template.core
    place = ClosestPlaces(mesh, _REACH_M).find(start[core])
    own = template.skin.moved(start).normals[core]
    return float(np.einsum("ij,ij->i", own, mesh.face_normals[place.triangle]).mean())


def _skin_of(template: ModelFace, start: Floats, mesh: Surface) -> Mask:
    """(F,) triangles of the pieces of the mesh that take the model's face, near it."""
    core = template.core[spread(template.whole.points[template.core], 300)]
    place = ClosestPlaces(mesh, _REACH_M).find(start[core])
    taken = np.bincount(mesh.pieces[mesh.triangles[place.triangle, 0]], minlength=mesh.pieces.max() + 1)
    chosen: Index = np.flatnonzero(taken >= _PIECE_SHARE * taken.max())
    low, high = start.min(axis=0) - 0.05, start.max(axis=0) + 0.05
    corners = mesh.points[mesh.triangles]
    near = ((corners.max(axis=1) > low) & (corners.min(axis=1) < high)).all(axis=1)
    return np.asarray(np.isin(mesh.pieces[mesh.triangles[:, 0]], chosen) & near)
