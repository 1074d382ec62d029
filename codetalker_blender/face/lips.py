"""Which side of the mouth a vertex is on, told by the ways along the surface and not by height.

Closed lips touch, so that nearness cannot tell them apart; but from the upper lip's outer border to
anything of the lower lip the way along the skin leads round a corner of the mouth or through the
mouth.  Numpy only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..contracts import FaceMesh
from .closest import ClosestPlaces, Wish
from .surface import Floats, Index, Mask, Surface, unit

#: Ways are followed this far from the lips' outer border, in metres of the model's face.
REACH_M = 0.09
#: Share of the mouth's half width in which the borders give the lips' two sides; corners belong to none.
_MIDDLE_SHARE = 0.75


@dataclass(frozen=True, eq=False)
class Mouth:
    """What a model's face knows of its mouth.

    upper, lower: vertices of the lips' outer borders, off the corners
    sides: (V,) +1 on the upper lip, -1 on the lower lip, 0 at the corners and far away
    inside: (V,) vertices behind the lips (the mouth's bag)
    corners: (2,) vertices, the +x one first
    across: (3,) length 1, from the right corner to the left one
    half_width: half the distance of the corners
    """

    upper: Index
    lower: Index
    sides: Floats
    inside: Mask
    corners: Index
    across: Floats
    half_width: float


def find_mouth(face: FaceMesh, skin: Surface) -> Mouth | None:
    """The mouth of a model's face, or None where it lacks the landmarks or regions to tell.

    skin: the face's surface in metres, with its own vertex numbers
    """
    lips = np.asarray(face.regions.get("lips", ()), np.int64)
    if len(face.mid_lips) != 2 or len(face.lip_corners) != 2 or not len(lips):
        return None
    in_lips = np.isin(np.arange(len(skin.points)), lips)
    outer, inside = _either_side_of_lips(skin, in_lips)
    edges = np.concatenate([skin.edges, skin.edges[:, ::-1]])
    border = np.unique(edges[in_lips[edges[:, 0]] & outer[edges[:, 1]], 0])
    corners = skin.points[face.lip_corners]
    across = unit(corners[:1] - corners[1:])[0]
    half_width = 0.5 * float(np.linalg.norm(corners[0] - corners[1]))
    off_middle = np.abs((skin.points[border] - corners.mean(axis=0)) @ across)
    border = border[off_middle < _MIDDLE_SHARE * half_width]
    up, down = (skin.ways(np.array([vertex]), np.inf)[border] for vertex in face.mid_lips)
    upper, lower = border[up < down], border[down < up]
    if not len(upper) or not len(lower):
        return None
    return Mouth(
        upper, lower, sides(skin, upper, lower, REACH_M), inside, face.lip_corners.astype(np.int64),
        across, half_width,
    )  # fmt: skip


def sides(surface: Surface, upper: Index, lower: Index, reach: float) -> Floats:
    """(V,) side of the mouth: +1 near the ``upper`` border, -1 near the ``lower``, 0 where neither is nearer.

    reach: length of the ways followed; beyond it the side is 0
    """
    to_upper, to_lower = surface.ways(upper, reach), surface.ways(lower, reach)
    known = np.isfinite(to_upper) | np.isfinite(to_lower)
    up, down = np.minimum(to_upper, reach), np.minimum(to_lower, reach)
    found = np.where(known, (down - up) / np.maximum(down + up, 1e-12), 0.0)
    # It fades to 0 where the ways end, so that no step is left there.
    return np.asarray(found * np.clip(2.0 - 2.0 * np.minimum(up, down) / reach, 0.0, 1.0))


def parting(surface: Surface, upper: Index, lower: Index) -> float:
    """How much longer the way from border to border is than the straight line; 1 to 1.3 on joined lips.

    The median over the upper border.  Infinite where no way leads across.
    """
    way = surface.ways(lower, np.inf)[upper]
    straight = np.sqrt(
        ((surface.points[upper][:, None] - surface.points[lower][None]) ** 2).sum(axis=2).min(axis=1)
    )
    return float(np.median(way / np.maximum(straight, 1e-12)))


def _either_side_of_lips(skin: Surface, in_lips: Mask) -> tuple[Mask, Mask]:
    """Without the lips, the piece of skin that is the outside, and those that only the lips joined to it."""
    own = skin.pieces == skin.pieces[np.flatnonzero(in_lips)[0]]
    free = ~in_lips[skin.triangles].any(axis=1)
    parts = skin.part(free).pieces
    outside = own & ~in_lips
    largest = np.bincount(parts[outside]).argmax() if outside.any() else -1
    outer = outside & (parts == largest)
    return outer, outside & ~outer


@dataclass(frozen=True, eq=False)
class Borders:
    """The lips' outer borders as found on a mesh: vertices of the upper and of the lower lip."""

    upper: Index
    lower: Index


def find_borders(mouth: Mouth, fitted: Surface, mesh: Surface, places: ClosestPlaces) -> Borders | None:
    """The mesh's vertices where a fitted model has its lips' borders; None where they cannot be told apart.

    fitted: the model's skin as it lies on the mesh; places: of ``mesh``, without sides
    """
    found = []
    for border in (mouth.upper, mouth.lower):
        wish = Wish(fitted.normals[border], bend=mouth.half_width / 4)
        place = places.find(fitted.points[border], wish)
        corner = place.weights.argmax(axis=1)
        found.append(np.unique(mesh.welded[mesh.triangles[place.triangle, corner]]))
    upper, lower = np.setdiff1d(found[0], found[1]), np.setdiff1d(found[1], found[0])
    return Borders(upper, lower) if len(upper) and len(lower) else None
