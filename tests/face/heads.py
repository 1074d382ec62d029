"""Heads to carry motion to: the head script with other proportions, and re-meshed copies of it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh
from codetalker_blender.model_files import read_face_file

Array = NDArray[np.float64]
Index = NDArray[np.int64]

SCRIPTS = Path(__file__).resolve().parents[2] / "assets" / "head"
#: In the order in which they import each other.
MODULES = ("anatomy", "topology", "features", "parts", "assembly", "finish", "shapes")


@dataclass(frozen=True, eq=False)
class Head:
    """A head with the demo head's topology.

    points: (V, 3) metres; triangles: (F, 3); deltas: ARKit name -> (V, 3) metres
    labels: the script's own: mouth_ring, part, ...
    """

    points: Array
    triangles: Index
    deltas: dict[str, Array]
    labels: Any


@cache
def face() -> FaceMesh:
    """The demo head, which is the default model's face."""
    return read_face_file(SCRIPTS / "face.npz")


@contextmanager
def scripts(change: Callable[[dict[str, ModuleType]], None]) -> Iterator[dict[str, ModuleType]]:
    """The head's scripts, imported anew; ``change`` sees those loaded so far after each."""
    before = {name: sys.modules.pop(name) for name in MODULES if name in sys.modules}
    loaded: dict[str, ModuleType] = {}
    try:
        for name in MODULES:
            spec = importlib.util.spec_from_file_location(name, SCRIPTS / f"{name}.py")
            assert spec is not None and spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = loaded[name] = module
            spec.loader.exec_module(module)
            change(loaded)
        yield loaded
    finally:
        for name in MODULES:
            sys.modules.pop(name, None)
        sys.modules.update(before)


def built(change: Callable[[dict[str, ModuleType]], None]) -> Head:
    """The head script's result under other proportions."""
    with scripts(change) as modules:
        head = modules["assembly"].build()
        deltas = modules["shapes"].all_shapes(head)
        head = modules["finish"].finished(head)
    return Head(head.points, head.triangles.astype(np.int64), deltas, head)


# Other people ---------------------------------------------------------------------------------


def _reshaped(**solids: tuple[float, float, float]) -> Callable[[dict[str, ModuleType]], None]:
    """Proportions of the script: factors on the radii of its primitives, named as in its comments."""
    order = "cranium forehead midface chin jaw cheekbone cheek neck brow mouth bridge nose wing".split()

    def change(modules: dict[str, ModuleType]) -> None:
        if len(modules) > 1:
            return
        anatomy = modules["anatomy"]
        changed = []
        for name, solid in zip(order, anatomy.SOLIDS, strict=True):
            if name in solids:
                radii = tuple(float(r * k) for r, k in zip(solid.radii, solids[name], strict=True))
                solid = type(solid)(solid.centre, radii, solid.blend)
            changed.append(solid)
        setattr(anatomy, "SOLIDS", tuple(changed))  # noqa: B010 - a module made at run time

    return change


def _warped(head: Head, warp: Callable[[Array], Array]) -> Head:
    """The head and all its shapes through a smooth map of space."""
    points = warp(head.points)
    deltas = {name: warp(head.points + delta) - points for name, delta in head.deltas.items()}
    return Head(points, head.triangles, deltas, head.labels)


def _share(low: float, high: float, value: Array) -> Array:
    """0 below ``low``, 1 above ``high``, smooth between."""
    share = np.clip((value - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share))


def _crooked(points: Array) -> Array:
    """Long and narrow; one half wider than the other, the mouth slanting, the chin to one side."""
    x, y, z = points.T
    near_mouth = np.exp(-((x / 0.05) ** 2) - ((z - 0.0985) / 0.035) ** 2)
    wide = x * (0.86 + 0.07 * _share(-0.06, 0.06, x))
    return np.column_stack(
        [
            wide + 0.006 * _share(0.13, 0.06, z) * _share(0.02, -0.06, y),
            y * 1.03,
            0.13 + (z - 0.13) * 1.17 + 0.07 * x * near_mouth,
        ]
    )


def _broad(points: Array) -> Array:
    """Short and broad, with a low forehead."""
    x, y, z = points.T
    return np.column_stack([x * 1.15, y * 1.04, 0.13 + (z - 0.13) * (0.90 - 0.06 * _share(0.15, 0.25, z))])


def _young(points: Array) -> Array:
    """A large skull over a small face."""
    x, y, z = points.T
    skull = _share(0.13, 0.22, z)
    return np.column_stack(
        [
            x * (0.90 + 0.24 * skull),
            y * (0.94 + 0.16 * skull),
            z + 0.10 * np.maximum(z - 0.15, 0) + 0.02 * skull,
        ]
    )


@cache
def crooked() -> Head:
    """An asymmetric identity."""
    return _warped(
        built(_reshaped(nose=(1.2, 1.2, 1.1), chin=(1.0, 1.15, 1.1), cheekbone=(0.9, 0.9, 0.9))), _crooked
    )


@cache
def broad() -> Head:
    """A broad identity."""
    return _warped(
        built(_reshaped(nose=(1.3, 0.9, 1.0), cheek=(1.15, 1.1, 1.1), chin=(1.2, 1.0, 1.0))), _broad
    )


@cache
def young() -> Head:
    """A child's proportions."""
    return _warped(
        built(_reshaped(nose=(0.85, 0.7, 0.85), cheek=(1.1, 1.1, 1.1), chin=(0.9, 0.8, 0.9))), _young
    )


# Other meshes ---------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Mesh:
    """A mesh whose vertices lie on a head's surface: each is a mixture of two of the head's vertices.

    points: (n, 3); triangles: (m, 3); pairs: (n, 2) vertices of the head, half of each
    """

    points: Array
    triangles: Index
    pairs: Index

    def of(self, values: Array) -> Array:
        """(..., n, 3) what the head's (..., V, 3) values are at the mesh's vertices."""
        return np.asarray(0.5 * (values[..., self.pairs[:, 0], :] + values[..., self.pairs[:, 1], :]))


def plain(points: Array, triangles: Index) -> Mesh:
    """A head as it is."""
    return Mesh(points, triangles, np.repeat(np.arange(len(points))[:, None], 2, axis=1))


def subdivided(points: Array, triangles: Index) -> Mesh:
    """Every triangle in four: a vertex more in the middle of each edge."""
    edges = np.sort(np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)]), axis=1)
    pairs, inverse = np.unique(edges, axis=0, return_inverse=True)
    middle = len(points) + inverse.reshape(3, -1).T
    a, b, c = triangles.T
    ab, bc, ca = middle.T
    finer = np.concatenate(
        [np.stack(rows, axis=1) for rows in ((a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))]
    )
    both = np.concatenate([np.repeat(np.arange(len(points))[:, None], 2, axis=1), pairs])
    return Mesh(0.5 * (points[both[:, 0]] + points[both[:, 1]]), finer, both)


def without(mesh: Mesh, vertices: NDArray[np.bool_]) -> Mesh:
    """The mesh without the triangles of some of its vertices, and without loose vertices."""
    return _tidied(mesh, mesh.triangles[~vertices[mesh.triangles].any(axis=1)])


def thinned(mesh: Mesh, among: NDArray[np.bool_], kept: Index, share: float, seed: int) -> Mesh:
    """Collapse edges until only a share of the vertices ``among`` are left; the others stay where they are.

    kept: vertices that stay whatever happens.  Vertices on a border stay, too.
    """
    random = np.random.default_rng(seed)
    faces: list[list[int]] = mesh.triangles.tolist()
    around: list[set[int]] = [set() for _ in mesh.points]
    for number, face_ in enumerate(faces):
        for vertex in face_:
            around[vertex].add(number)
    edges = np.sort(np.concatenate([mesh.triangles[:, [k, (k + 1) % 3]] for k in range(3)]), axis=1)
    rows, used = np.unique(edges, axis=0, return_counts=True)
    fixed = set(rows[used == 1].ravel().tolist()) | set(kept.tolist())
    left = int(among.sum())
    goal = share * left
    for _ in range(6):
        for vertex in random.permutation(np.flatnonzero(among)).tolist():
            if left <= goal:
                break
            if vertex not in fixed and around[vertex] and _collapse(mesh.points, faces, around, vertex):
                left -= 1
    alive = sorted({number for own in around for number in own})
    return _tidied(mesh, np.array([faces[number] for number in alive], np.int64))


def _collapse(points: Array, faces: list[list[int]], around: list[set[int]], vertex: int) -> bool:
    """Move a vertex onto its nearest neighbour that leaves no fold, if there is one."""
    ring = {other for number in around[vertex] for other in faces[number]} - {vertex}
    for other in sorted(ring, key=lambda one: float(((points[one] - points[vertex]) ** 2).sum())):
        beyond = {corner for number in around[other] for corner in faces[number]}
        if len(ring & beyond - {other}) != 2:
            continue
        stay = [number for number in around[vertex] if other not in faces[number]]
        before = np.array([faces[number] for number in stay])
        after = np.where(before == vertex, other, before)
        old, new = (
            np.cross(points[f[:, 1]] - points[f[:, 0]], points[f[:, 2]] - points[f[:, 0]])
            for f in (before, after)
        )
        lengths = np.linalg.norm(old, axis=1) * np.linalg.norm(new, axis=1)
        if (np.einsum("ij,ij->i", old, new) < 0.5 * lengths).any() or (
            np.linalg.norm(new, axis=1) < 1e-9
        ).any():
            continue
        for number in list(around[vertex]):
            if other in faces[number]:
                for corner in faces[number]:
                    around[corner].discard(number)
            else:
                faces[number] = [other if corner == vertex else corner for corner in faces[number]]
                around[other].add(number)
        around[vertex] = set()
        return True
    return False


def _tidied(mesh: Mesh, triangles: Index) -> Mesh:
    used = np.unique(triangles)
    number = np.full(len(mesh.points), -1)
    number[used] = np.arange(len(used))
    return Mesh(mesh.points[used], number[triangles], mesh.pairs[used])
