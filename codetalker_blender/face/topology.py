"""Which mesh is this?  Connectivity fingerprints, and whether a mesh is the face a model needs.

A mesh is recognised by its connectivity alone, never by coordinates: importers change axes and
scale, artists change the identity, but the triangles stay.  Numpy only; no bpy.
"""

from __future__ import annotations

import enum
import hashlib
from dataclasses import dataclass

import numpy as np

from ..contracts import IntArray


@dataclass(frozen=True)
class KnownTopology:
    """A published face topology.

    vertex_count, triangle_count, edge_count: its size
    metres_per_unit: length of one unit of its usual template
    mid_lips: upper and lower mid-lip vertex, or () where none is published
    """

    name: str
    fingerprint: str
    vertex_count: int
    triangle_count: int
    edge_count: int
    metres_per_unit: float
    mid_lips: tuple[int, ...] = ()


FLAME = KnownTopology(
    name="FLAME",
    fingerprint="b49a9d41a9f7cef546fa83a8eea9b4cce6531124166df25afda324802534ec13",
    vertex_count=5023,
    triangle_count=9976,
    edge_count=14995,
    metres_per_unit=1.0,
    mid_lips=(3546, 3504),
)
BIWI = KnownTopology(
    name="BIWI",
    fingerprint="a4aa8b8073951bacf9f0b451401e4a4d4f45e3dd806af574c78eabf2546fb3e5",
    vertex_count=23370,
    triangle_count=46068,
    edge_count=69440,
    metres_per_unit=0.187,
)
KNOWN_TOPOLOGIES = (FLAME, BIWI)


class Match(enum.Enum):
    """How a mesh relates to the face of a model."""

    SAME = "the same connectivity"
    OTHER_CONNECTIVITY = "the same vertex count, other connectivity"
    OTHER_COUNT = "another vertex count"


def canonical_triangles(triangles: IntArray) -> IntArray:
    """(F, 3) triangles in the order the fingerprint hashes.

    Each row is rotated so that its smallest index comes first (winding kept), then the rows are
    sorted lexicographically.
    """
    rows = np.asarray(triangles, np.int32).reshape(-1, 3)
    first = rows.argmin(axis=1)
    rotated = rows[np.arange(len(rows))[:, None], (first[:, None] + np.arange(3)) % 3]
    ordered: IntArray = rotated[np.lexsort(rotated.T[::-1])]
    return ordered


def fingerprint(triangles: IntArray) -> str:
    """sha256 (hex) over the little-endian int32 bytes of the canonical (F, 3) triangles."""
    return hashlib.sha256(canonical_triangles(triangles).astype("<i4").tobytes()).hexdigest()


def recognise(triangles: IntArray) -> KnownTopology | None:
    """The published topology that these (F, 3) triangles are, if any."""
    found = fingerprint(triangles)
    return next((known for known in KNOWN_TOPOLOGIES if known.fingerprint == found), None)


def compare(
    face_triangles: IntArray,
    face_vertex_count: int,
    mesh_triangles: IntArray,
    mesh_vertex_count: int,
) -> Match:
    """Whether a mesh has the connectivity of a model's face.

    face_triangles: (F, 3), or (0, 3) for a bundle that has none: it then takes the triangles of
        the mesh, provided that the mesh is a known topology of the same size.
    mesh_triangles: (F', 3), best from :func:`triangulate_like` so that quads are split as in the face

    Winding is ignored: flipped normals do not change which vertex moves where.
    """
    if mesh_vertex_count != face_vertex_count:
        return Match.OTHER_COUNT
    if not len(face_triangles):
        # A flipped mesh is still the known one, so both windings are asked.
        known = recognise(mesh_triangles) or recognise(mesh_triangles[:, ::-1])
        same = known is not None and known.vertex_count == face_vertex_count
    else:
        same = np.array_equal(
            np.sort(_unordered_ids(face_triangles, face_vertex_count)),
            np.sort(_unordered_ids(mesh_triangles, face_vertex_count)),
        )
    return Match.SAME if same else Match.OTHER_CONNECTIVITY


def triangulate_like(
    corners: IntArray, starts: IntArray, totals: IntArray, reference: IntArray, vertex_count: int
) -> IntArray:
    """Triangles of a polygon mesh, with quads split along the diagonal the reference uses.

    corners: (L,) vertex index per face corner; starts, totals: (P,) first corner and corner count
    of each polygon; reference: (F, 3) triangles to imitate (may be empty).

    A quad whose triangles the reference lacks, and every larger polygon, is split as a fan from its
    first corner (as Blender does with quads).  Polygons keep their order.  -> (F', 3) int32
    """
    wanted = np.sort(_unordered_ids(reference, vertex_count))
    pieces: list[IntArray] = []
    owners: list[IntArray] = []
    for size in np.unique(totals):
        if size < 3:
            continue
        rows = np.flatnonzero(totals == size)
        polygons = corners[starts[rows][:, None] + np.arange(size)]
        fan = np.stack([polygons[:, [0, k, k + 1]] for k in range(1, size - 1)], axis=1)
        if size == 4 and len(wanted):
            other = polygons[:, [[0, 1, 3], [1, 2, 3]]]
            ids = _unordered_ids(other.reshape(-1, 3), vertex_count)
            fits = np.isin(ids, wanted).reshape(-1, 2).all(axis=1)
            fan = np.where(fits[:, None, None], other, fan)
        pieces.append(fan.reshape(-1, 3))
        owners.append(np.repeat(rows, size - 2).astype(np.int32))
    if not pieces:
        return np.zeros((0, 3), np.int32)
    order = np.argsort(np.concatenate(owners), kind="stable")
    return np.concatenate(pieces)[order].astype(np.int32)


def _unordered_ids(triangles: IntArray, vertex_count: int) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    """One number per triangle that depends on its three vertices, not on their order: (F,) uint64."""
    rows = np.sort(np.asarray(triangles, np.uint64).reshape(-1, 3), axis=1)
    count = np.uint64(max(vertex_count, 1))
    # Exact below 2.6 million vertices, where count**3 still fits 64 bits.
    ids: np.ndarray[tuple[int], np.dtype[np.uint64]] = (rows[:, 0] * count + rows[:, 1]) * count + rows[:, 2]
    return ids
