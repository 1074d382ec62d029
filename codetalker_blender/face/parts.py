"""Teeth, eyes, tongue and brows: which of a mesh's loose pieces they are, and how rigid ones follow.

A rigid part's motion is kept as that of four anchors, an affine field through its vertices' offsets:
exact for any turn and shift, and linear, so that it can be part of a fixed table of weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .closest import ClosestPlaces
from .model_face import ModelFace, Part
from .placement import Placement
from .surface import Floats, Index, Mask, Surface

#: Owner of vertices that belong to the skin, and of those that hold still.
SKIN, STILL = -1, -2
#: A piece is a part when at least this share of it lies where the part lies, and it is about as near as this.
_SHARE, _NEAR_M = 0.5, 0.004
_REACH_M = 0.010
#: Where teeth and tongue are when the model has none: behind the lips, metres.
_MOUTH_DEPTH_M, _MOUTH_HEIGHT_M, _LIP_M = 0.060, 0.022, 0.003
#: Corners of a regular tetrahedron.
_TETRAHEDRON = np.array([[1.0, 1.0, 1.0], [1.0, -1.0, -1.0], [-1.0, 1.0, -1.0], [-1.0, -1.0, 1.0]])


@dataclass(frozen=True, eq=False)
class Anchors:
    """Four points that stand for a rigid part.

    places: (4, 3) metres, at rest on the model; rows: (4, n) their offsets from those of the part's vertices
    """

    places: Floats
    rows: Floats

    def weights(self, points: Floats) -> Floats:
        """(n, 4) how offsets at (n, 3) metres, at rest on the model, follow from those of the anchors."""
        corners = np.column_stack([self.places, np.ones(4)])
        return np.asarray(np.column_stack([points, np.ones(len(points))]) @ np.linalg.inv(corners))


def anchors(points: Floats) -> Anchors:
    """For a part whose vertices rest at (n, 3) metres."""
    middle = points.mean(axis=0)
    size = max(float(np.sqrt(((points - middle) ** 2).sum(axis=1).mean())), 1e-6)
    field = np.linalg.pinv(np.column_stack([(points - middle) / size, np.ones(len(points))]), rcond=1e-3)
    rows = np.asarray(np.column_stack([_TETRAHEDRON, np.ones(4)]) @ field, np.float64)
    places: Floats = middle + size * _TETRAHEDRON
    return Anchors(places, rows)


def place_part(template: ModelFace, part: Part, fitted: Floats, frames: Floats, points: Floats) -> Placement:
    """The similarity that carries a rigid part of the model to where it is on the mesh.

    fitted: (V, 3) the model on the mesh; frames: (V, 3, 3) of the fit
    points: (n, 3) what of the mesh is this part; all in metres
    """
    rest, there = template.whole.points[part.vertices], fitted[part.vertices]
    # Turn and growth are those of the face around: the part itself is too small to tell them.
    left, values, right = np.linalg.svd(frames[part.vertices].mean(axis=0))
    rotation, scale = left @ right, float(np.cbrt(values.prod()))
    found = Placement(rotation, scale, there.mean(axis=0) - scale * rotation @ rest.mean(axis=0))
    if part.name != "eye" or not len(points):
        return found
    # An eye turns about its own middle, which the skin around it tells only roughly.
    low, high = points.min(axis=0), points.max(axis=0)
    own = there.max(axis=0) - there.min(axis=0)
    scale = found.scale * float(np.median((high - low) / np.maximum(own, 1e-9)))
    shift = 0.5 * (low + high) - 0.5 * (there.min(axis=0) + there.max(axis=0))
    middle = rest.mean(axis=0)
    target = found.to_mesh(middle[None])[0] + shift
    return Placement(found.rotation, scale, target - scale * found.rotation @ middle)


def owners(template: ModelFace, fitted: Surface, mesh: Surface, skin: Mask) -> Index:
    """(V,) for every vertex of a mesh the number of the part (see template.parts) it belongs to, or SKIN.

    The number after the last part's is the jaw.  skin: (V,) vertices known to be the face's skin
    """
    found = np.full(len(mesh.points), SKIN)
    used = np.zeros(len(mesh.points), bool)
    used[mesh.triangles.ravel()] = True
    rows = np.flatnonzero(used & ~skin)
    if not len(rows):
        return found
    points = mesh.points[rows]
    pieces, label = np.unique(mesh.pieces[rows], return_inverse=True)
    label = label.ravel()
    counts = np.bincount(label)
    to_skin = _mean(_distances(fitted.part(_triangles_of(template, fitted)), points), label, counts)
    best = np.full(len(pieces), np.inf)
    owner = np.full(len(pieces), SKIN)
    for number, part in enumerate(template.parts):
        there = fitted.points[part.vertices]
        low, high = there.min(axis=0), there.max(axis=0)
        margin = 0.1 * (high - low) + 0.002
        within = ((points > low - margin) & (points < high + margin)).all(axis=1)
        if not within.any():
            continue
        own = np.isin(fitted.triangles[:, 0], part.vertices)
        mean = _mean(_distances(fitted.part(own), points), label, counts)
        share = np.bincount(label, within.astype(np.float64)) / counts
        fits = (share >= _SHARE) & (mean <= np.maximum(_NEAR_M, to_skin)) & (mean < best)
        owner[fits], best[fits] = number, mean[fits]
    lost = (owner == SKIN) & (to_skin > _LIP_M)
    if lost.any() and not any("teeth" in part.name for part in template.parts):
        owner = np.where(lost, _in_mouth(template, fitted, points, label, counts), owner)
    found[rows] = owner[label]
    return found


def _in_mouth(template: ModelFace, fitted: Surface, points: Floats, label: Index, counts: Index) -> Index:
    """(P,) for pieces behind the lips the jaw's number or STILL, by their height; SKIN for others."""
    mouth = template.mouth
    if mouth is None:
        return np.full(len(counts), SKIN)
    corners = fitted.points[mouth.corners]
    across = corners[0] - corners[1]
    half_width = 0.5 * float(np.linalg.norm(across))
    across = across / (2 * half_width)
    front = np.cross(across, template.up)
    lips = fitted.points[np.concatenate([mouth.upper, mouth.lower])]
    local = points - corners.mean(axis=0)
    aside, height, depth = local @ across, local @ template.up, (lips @ front).max() - points @ front
    within = (np.abs(aside) < 1.2 * half_width) & (np.abs(height) < _MOUTH_HEIGHT_M)
    within &= (depth > _LIP_M) & (depth < _MOUTH_DEPTH_M)
    inside = np.bincount(label, within.astype(np.float64)) / counts >= _SHARE
    low = _mean(height, label, counts) < 0
    jaw = len(template.parts) if len(template.jaw) else STILL
    return np.where(inside, np.where(low, jaw, STILL), SKIN)


def _triangles_of(template: ModelFace, fitted: Surface) -> Mask:
    """(F,) the triangles of the skin."""
    on_skin = np.zeros(len(fitted.points), bool)
    on_skin[template.skin.triangles.ravel()] = True
    return np.asarray(on_skin[fitted.triangles].all(axis=1))


def _distances(surface: Surface, points: Floats) -> Floats:
    return ClosestPlaces(surface, _REACH_M).find(points).distance


def _mean(values: Floats, label: Index, counts: Index) -> Floats:
    return np.asarray(np.bincount(label, values) / counts)
