"""How deep lips stand in each other and in teeth, in millimetres: a signed measure of a posed head.

The generalised winding number (Jacobson et al. 2013, "Robust inside-outside segmentation using
generalized winding numbers") of the closed skin is 1 in the flesh, 0 in the air, the mouth's too, and
2 where one lip has gone into the other; of a closed arch of teeth it is 1 inside.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from .shipped_head import Array, Head, Index, components, directed_edges, load, seam

#: Samples lie this far (metres) under the surface that they belong to.
UNDER = 0.03e-3
#: Skin further from the mid lips than this (metres) is left out; a cone closes what remains.
AROUND = 0.045
#: The cone's tip, behind the mouth's bag and between neck and skull.
TIP = np.array([0.0, 0.050, 0.0985])
#: Where on a triangle its samples lie: near its middle and its corners.
_PLACES = np.array([[1, 1, 1], [10, 1, 1], [1, 10, 1], [1, 1, 10]]) / np.array([[3], [12], [12], [12]])


@dataclass(frozen=True)
class Surfaces:
    """Triangles (n, 3) of both lips, of the closed skin around the mouth (``tip``: vertex number
    V) and of what stands in the mouth."""

    upper_lip: Index
    lower_lip: Index
    skin: Index
    hard: dict[str, Index]


@cache
def surfaces() -> Surfaces:
    """The shipped head's surfaces, told apart at rest."""
    head = load()
    rest, triangles = head.rest, head.face.triangles.astype(np.int64)
    upper, lower = seam()
    order = np.argsort(rest[upper, 0])
    line = np.interp(rest[:, 0], rest[upper[order], 0], 0.5 * (rest[upper, 2] + rest[lower, 2])[order])
    lips = np.isin(np.arange(len(rest)), head.face.regions["lips"])
    above, below = lips & (rest[:, 2] > line + 1e-6), lips & (rest[:, 2] < line - 1e-6)
    in_lips = lips[triangles].all(axis=1)
    piece = components()
    skin = piece == piece[head.face.mid_lips[0]]
    near = skin & (np.linalg.norm(rest - rest[head.face.mid_lips].mean(axis=0), axis=1) < AROUND)
    patch = triangles[near[triangles].all(axis=1)]
    edges = {tuple(edge) for edge in directed_edges(patch).tolist()}
    border = np.array(sorted(edge for edge in edges if edge[::-1] not in edges))
    cone = np.column_stack([border[:, ::-1], np.full(len(border), len(rest))])
    hard = {}
    for name in ("upper_teeth", "lower_teeth"):
        arch = np.isin(np.arange(len(rest)), head.face.regions[name])
        hard[name] = triangles[arch[triangles].all(axis=1)]
    return Surfaces(
        upper_lip=triangles[in_lips & above[triangles].any(axis=1) & ~below[triangles].any(axis=1)],
        lower_lip=triangles[in_lips & below[triangles].any(axis=1) & ~above[triangles].any(axis=1)],
        skin=np.concatenate([patch, cone]),
        hard=hard,
    )


def winding_number(points: Array, corners: Array) -> Array:
    """(n,) how often triangles ``corners`` (m, 3, 3) go round ``points`` (n, 3): 1 inside a closed mesh."""
    out = np.zeros(len(points))
    for start in range(0, len(points), 64):
        a, b, c = (corners[None, :, k] - points[start : start + 64, None] for k in range(3))
        la, lb, lc = (np.sqrt(np.einsum("ijk,ijk->ij", v, v)) for v in (a, b, c))
        volume = np.einsum("ijk,ijk->ij", a, np.cross(b, c))
        ab, bc, ca = (np.einsum("ijk,ijk->ij", u, v) for u, v in ((a, b), (b, c), (c, a)))
        # Van Oosterom and Strackee 1983: half the solid angle that a triangle covers.
        out[start : start + 64] = np.arctan2(volume, la * lb * lc + ab * lc + bc * la + ca * lb).sum(axis=1)
    return out / (2 * np.pi)


def distance(points: Array, corners: Array) -> Array:
    """(n,) metres from ``points`` (n, 3) to the nearest of the triangles ``corners`` (m, 3, 3)."""
    a, b, c = (corners[None, :, k] for k in range(3))
    normal = np.cross(b - a, c - a)
    normal = normal / np.maximum(np.linalg.norm(normal, axis=-1, keepdims=True), 1e-15)
    out = np.zeros(len(points))
    for number, point in enumerate(points):
        height = ((point - a) * normal).sum(axis=-1, keepdims=True)
        foot = point - height * normal
        inside = np.ones((1, len(corners)), bool)
        least = np.full((1, len(corners)), np.inf)
        for first, second in ((a, b), (b, c), (c, a)):
            edge = second - first
            inside &= (np.cross(edge, foot - first) * normal).sum(axis=-1) >= 0
            along = ((point - first) * edge).sum(axis=-1) / np.maximum((edge**2).sum(axis=-1), 1e-18)
            nearest = first + np.clip(along, 0, 1)[..., None] * edge
            least = np.minimum(least, np.linalg.norm(point - nearest, axis=-1))
        out[number] = np.where(inside, np.abs(height[..., 0]), least).min()
    return out


def _samples(corners: Array) -> Array:
    """(4 m, 3) points just under the triangles ``corners``."""
    normal = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-15)
    return np.concatenate([np.einsum("ijk,j->ik", corners, place) - UNDER * normal for place in _PLACES])


def _among(points: Array, corners: Array) -> Array:
    """Those of ``points`` that lie in the box round ``corners``; outside it they are in nothing."""
    low, high = corners.reshape(-1, 3).min(axis=0), corners.reshape(-1, 3).max(axis=0)
    return np.asarray(points[((points > low) & (points < high)).all(axis=1)])


def lip_in_lip(points: Array) -> float:
    """Millimetres that one lip of the posed head (V, 3) goes into the other; 0 when none does."""
    parts = surfaces()
    closed = np.concatenate([points, TIP[None]])[parts.skin]
    deepest = 0.0
    for own, other in ((parts.upper_lip, parts.lower_lip), (parts.lower_lip, parts.upper_lip)):
        samples = _among(_samples(points[own]), points[other])
        sunk = samples[winding_number(samples, closed) > 1.5]
        deepest = max(deepest, *(1e3 * distance(sunk, points[other])), 0.0)
    return deepest


def lip_in_teeth(points: Array) -> float:
    """Millimetres that a lip goes into a tooth or a tooth into a lip."""
    parts = surfaces()
    closed = np.concatenate([points, TIP[None]])[parts.skin]
    lips = points[np.concatenate([parts.upper_lip, parts.lower_lip])]
    deepest = 0.0
    for triangles in parts.hard.values():
        arch = points[triangles]
        samples = _among(_samples(lips), arch)
        sunk = samples[winding_number(samples, arch) > 0.5]
        deepest = max(deepest, *(1e3 * distance(sunk, arch)), 0.0)
        # The arches' roots stand in the gums: only what is in the box of the lips counts.
        samples = _among(_samples(arch), lips)
        sunk = samples[winding_number(samples, closed) > 0.5]
        deepest = max(deepest, *(1e3 * distance(sunk, lips)), 0.0)
    return deepest


def labiodental_gap(head: Head, points: Array) -> float:
    """Millimetres from the lower lip's surface to the upper teeth's."""
    parts = surfaces()
    teeth = points[parts.hard["upper_teeth"]]
    near = np.unique(parts.lower_lip)
    return float(1e3 * distance(points[near], teeth).min())
