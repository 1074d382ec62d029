"""A model's face as released ones are: FLAME's count of vertices, Y up, no bag behind the lips, no teeth."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from codetalker_blender.contracts import REGION_NAMES, FaceMesh, FloatArray

from . import heads
from .heads import Array, Index, Mesh

FLAME_VERTICES = 5023
#: From the head script's axes (Z up, the face towards -Y) to FLAME's (Y up, the face towards +Z).
Y_UP = np.array([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, -1.0, 0.0]])
#: Of the made face; the released one is in metres.
UNITS_PER_METRE = 100.0


@dataclass(frozen=True, eq=False)
class MadeFace:
    """A face that was made from a head, and what its own shapes are.

    face: in its own units and axes; shapes: ARKit name -> (V, 3) metres, its axes
    """

    face: FaceMesh
    shapes: dict[str, FloatArray]


@cache
def flame_like() -> MadeFace:
    """A broad person's face in such a layout: 5023 vertices of another connectivity than the demo head's."""
    head = heads.broad()
    mesh = heads.plain(head.points, head.triangles)
    regions = heads.face().regions
    teeth = np.isin(np.arange(len(head.points)), [*regions["upper_teeth"], *regions["lower_teeth"]])
    mesh = refined(heads.without(mesh, (head.labels.mouth_ring > 6) | teeth), FLAME_VERTICES)
    vertices = (mesh.points @ Y_UP.T * UNITS_PER_METRE).astype(np.float32)
    mid = [int(np.flatnonzero((mesh.pairs == vertex).all(axis=1))[0]) for vertex in heads.face().mid_lips]
    empty = np.zeros(0, np.int32)
    face = FaceMesh(
        vertices, mesh.triangles.astype(np.int32), np.array(mid, np.int32), empty,
        dict.fromkeys(REGION_NAMES, empty),
    )  # fmt: skip
    shapes = {name: (mesh.of(delta) @ Y_UP.T).astype(np.float32) for name, delta in head.deltas.items()}
    return MadeFace(face, shapes)


def refined(mesh: Mesh, count: int) -> Mesh:
    """The mesh with ``count`` vertices: its longest edges are divided, no two of one triangle at a time."""
    points, triangles, pairs = mesh.points, mesh.triangles, mesh.pairs
    # Only edges between vertices of the head itself, so that every vertex mixes no more than two of them.
    whole = pairs[:, 0] == pairs[:, 1]
    while len(points) < count:
        chosen = _longest_apart(points, triangles, whole, count - len(points))
        middle = len(points) + np.arange(len(chosen))
        points = np.concatenate([points, points[chosen].mean(axis=1)])
        pairs = np.concatenate([pairs, pairs[chosen, 0]])
        whole = np.concatenate([whole, np.zeros(len(chosen), bool)])
        for (first, second), new in zip(chosen.tolist(), middle.tolist(), strict=True):
            own = np.flatnonzero((triangles == first).any(axis=1) & (triangles == second).any(axis=1))
            halves = [np.where(triangles[own] == end, new, triangles[own]) for end in (first, second)]
            triangles = np.concatenate([np.delete(triangles, own, axis=0), *halves])
    return Mesh(points, triangles, pairs)


def _longest_apart(
    points: Array, triangles: Index, whole: np.ndarray[object, np.dtype[np.bool_]], most: int
) -> Index:
    """(n, 2) ends of long edges, no two of one triangle."""
    edges = np.sort(np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)]), axis=1)
    owner = np.tile(np.arange(len(triangles)), 3)
    lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    lengths[~whole[edges].all(axis=1)] = 0.0
    _, number = np.unique(edges, axis=0, return_inverse=True)
    number = number.ravel()
    used = np.zeros(len(triangles), bool)
    found: dict[int, Index] = {}
    owners: dict[int, list[int]] = {}
    for row, key in enumerate(number.tolist()):
        owners.setdefault(key, []).append(int(owner[row]))
    for row in np.argsort(-lengths, kind="stable").tolist():
        key = int(number[row])
        if len(found) == most or lengths[row] == 0.0:
            break
        if key not in found and not used[owners[key]].any():
            used[owners[key]] = True
            found[key] = edges[row]
    return np.array(list(found.values()), np.int64).reshape(-1, 2)
