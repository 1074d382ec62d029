"""All parts in one mesh with fixed topology: ``build()`` gives the neutral head and its labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

import features as f
import parts
from anatomy import EYE_CENTRE, SEAM_Z, Array, project_to_skin, smoothstep
from topology import HalfMesh, relax

Index = NDArray[np.int64]

SKIN, EYE, UPPER_TEETH, LOWER_TEETH, TONGUE, BROW = range(6)

#: Rounds of smoothing over the skin's field, enough to even out the cells round the rings.
RELAXATIONS = 24


@dataclass(frozen=True)
class Head:
    """The neutral head.

    points: (V, 3) metres; quads: (Q, 4), each splits along its corners 0 and 2
    mirror: (V,) a vertex's twin across x = 0
    part: (V,) SKIN, EYE, ...
    mouth_ring, mouth_place: (V,) ring number of the mouth (-1: none) and place on it,
        0 upper middle ... 11 corner ... 22 lower middle
    eye_ring, eye_place: (V,) the same for the lids, 0 inner corner ... 16 outer corner
    ear_ring, ear_place: (V,) the same for the ears, 0 middle of the front, then up; ring 7 is the bowl within
    """

    points: Array
    quads: Index
    mirror: Index
    part: Index
    mouth_ring: Index
    mouth_place: Index
    eye_ring: Index
    eye_place: Index
    ear_ring: Index
    ear_place: Index

    @property
    def triangles(self) -> NDArray[np.int32]:
        """(2 Q, 3): every quad split along 0-2, the way Blender splits it."""
        pairs = self.quads[:, [0, 1, 2, 0, 2, 3]]
        return pairs.reshape(-1, 3).astype(np.int32)


def _add_ringed_hole(
    mesh: HalfMesh, rim: list[int], rings: dict[int, Array], free_rings: int
) -> list[list[int]]:
    """``free_rings`` relaxing rings between the rim and the first given one, then the given ones."""
    loops = []
    first = min(rings)
    start = np.array([mesh.points[i] for i in rim])
    outer = rim
    for number in range(free_rings):
        share = (number + 1) / (free_rings + 1)
        outer = mesh.add_ring(outer, (1 - share) * start + share * rings[first], free=True)
        loops.append(outer)
    for number in sorted(rings):
        outer = mesh.add_ring(outer, rings[number])
        loops.append(outer)
    return loops


def _outward(mesh: HalfMesh, first_quad: int) -> None:
    """Turn the quads from ``first_quad`` on so that their part's volume is positive."""
    quads = np.array(mesh.quads[first_quad:])
    corner = np.array(mesh.points)[quads]
    centre = corner.reshape(-1, 3).mean(axis=0) * np.array([0.0, 1.0, 1.0])
    a, b, c, d = (corner[:, i] - centre for i in range(4))
    volume = np.einsum("ij,ij->", a, np.cross(b, c)) + np.einsum("ij,ij->", a, np.cross(c, d))
    if volume < 0:
        mesh.quads[first_quad:] = [(q[0], q[3], q[2], q[1]) for q in quads.tolist()]


def _steady_diagonals(points: Array, quads: Index) -> Index:
    """Start quads that are concave across 0-2 one corner later, since Blender would split those 1-3."""
    a, b, c, d = (points[quads[:, i]] for i in range(4))
    across = c - a
    folded = np.einsum("ij,ij->i", np.cross(b - a, across), np.cross(d - a, across)) > 0
    return np.where(folded[:, None], np.roll(quads, -1, axis=1), quads)


def build() -> Head:
    """Build the head: grid, rings, relaxation, then the other parts; deterministic."""
    mesh = HalfMesh()
    holes = [f.MOUTH_HOLE, f.EYE_HOLE, f.EAR_HOLE]
    grid = f.skin_grid()
    nodes = mesh.add_grid(grid, holes)
    mouth = _add_ringed_hole(mesh, [nodes[n] for n in f.MOUTH_HOLE.rim()], f.mouth_rings(), 2)
    mesh.add_cap(mouth[-1], f.MOUTH_HOLE.width, f.MOUTH_HOLE.height)
    eye = _add_ringed_hole(mesh, [nodes[n] for n in f.EYE_HOLE.rim()], f.eye_rings(), 1)
    ear_rim = [nodes[n] for n in f.EAR_HOLE.rim()]
    ear_rings = f.ear_rings(float(np.mean([mesh.points[i][0] for i in ear_rim])))
    ear = _add_ringed_hole(mesh, ear_rim, dict(enumerate(ear_rings)), 0)
    bowl = len(mesh.points)
    mesh.add_cap(ear[-1], f.EAR_HOLE.width, f.EAR_HOLE.height)
    bowl_end = len(mesh.points)
    top_row, last_column = grid.shape[0] - 1, grid.shape[1] - 1
    crown = [nodes[top_row, c] for c in range(last_column, -1, -1)]
    mesh.add_cap(crown, *f.CROWN_CAP, free=True)
    skin_count = len(mesh.points)

    points, quads, mirror = mesh.mirrored()
    free = np.zeros(len(points), bool)
    free[sorted(mesh.free)] = True
    free |= free[mirror]
    points = relax(points, quads, 0.5 * free, free, mirror, RELAXATIONS, project_to_skin)
    # The ears' roots and the lips' border blend into the skin without a crease.
    blend = np.zeros(len(points))
    blend[ear[0]] = 0.5
    blend[mouth[f.SKIN_2]] = 0.5
    # Nor do facets remain where the rows bend sharply round the nose's wings.
    nose = free & (points[:, 1] < -0.082) & (points[:, 2] > 0.116) & (points[:, 2] < 0.142)
    blend[nose] = 0.4
    blend = np.maximum(blend, blend[mirror])
    points = relax(points, quads, blend, np.zeros(len(points), bool), mirror, 3, project_to_skin)
    mesh.points = list(points[:skin_count])

    marks = [skin_count]
    seam_front = float(f.mouth_rings()[f.SEAM_FRONT][0, 1])
    # More than 3 mm behind the lips' back edge: labiodentals must be the only contact.
    tooth_front = seam_front + 0.0072
    # In the order of the part numbers EYE ... BROW.
    steps: tuple[Callable[[HalfMesh], None], ...] = (
        parts.add_eyeball,
        partial(parts.add_teeth, front_y=tooth_front, upper=True),
        partial(parts.add_teeth, front_y=tooth_front + 0.0020, upper=False),
        partial(parts.add_tongue, tip_y=tooth_front + 0.0060),
        parts.add_brow,
    )
    for step in steps:
        first_quad = len(mesh.quads)
        step(mesh)
        _outward(mesh, first_quad)
        marks.append(len(mesh.points))
    part = np.zeros(len(mesh.points), np.int64)
    for number, (start, end) in enumerate(pairwise(marks)):
        part[start:end] = number + 1

    count = len(mesh.points)
    loops_of = {"mouth": mouth, "eye": eye, "ear": ear}
    labels = {f"{name}_{kind}": np.full(count, -1) for name in loops_of for kind in ("ring", "place")}
    for name, loops in loops_of.items():
        for ring, loop in enumerate(loops):
            labels[f"{name}_ring"][loop] = ring
            labels[f"{name}_place"][loop] = np.arange(len(loop))
    cap = np.arange(mouth[-1][-1] + 1, eye[0][0])
    labels["mouth_ring"][cap] = f.BAG_3
    labels["ear_ring"][bowl:bowl_end] = len(ear)

    points, quads, mirror = mesh.mirrored()
    half = np.minimum(np.arange(len(points)), mirror)
    # float32 is what is written; rounding first keeps the shapes' arithmetic on the same numbers.
    points = points.astype(np.float32).astype(np.float64)
    points[:, 0] = np.where(half == np.arange(len(points)), points[:, 0], -points[half, 0])
    return Head(
        points=points,
        quads=_steady_diagonals(points, quads),
        mirror=mirror,
        part=part[half],
        **{name: values[half] for name, values in labels.items()},
    )


def regions(head: Head) -> dict[str, Index]:
    """The index lists of face.npz."""
    p, skin = head.points, head.part == SKIN
    lips = (head.mouth_ring >= f.BORDER) & (head.mouth_ring <= f.SEAM_BACK)
    lids = (head.eye_ring >= f.CREASE) & (head.eye_ring <= f.RIM_INNER)
    front = p[:, 1] < -0.030
    upper = (skin & front & (head.eye_ring < 0) & (p[:, 2] > 0.178)) | (head.part == BROW)
    jaw = skin & (head.mouth_ring < 0) & (p[:, 2] < SEAM_Z) & (p[:, 2] > 0.040) & (p[:, 1] < -0.030)
    chosen = {
        "lips": lips,
        "upper_face": upper,
        "eyelids": lids,
        "jaw": jaw,
        "upper_teeth": head.part == UPPER_TEETH,
        "lower_teeth": head.part == LOWER_TEETH,
        "eyes": head.part == EYE,
    }
    return {name: np.flatnonzero(mask) for name, mask in chosen.items()}


def landmarks(head: Head) -> tuple[Index, Index]:
    """mid_lips (upper, lower) and lip_corners (+x, -x): vertices of the seam's front ring."""
    seam = head.mouth_ring == f.SEAM_FRONT
    last = int(head.mouth_place[seam].max())
    upper = np.flatnonzero(seam & (head.mouth_place == 0))[0]
    lower = np.flatnonzero(seam & (head.mouth_place == last))[0]
    corners = np.flatnonzero(seam & (head.mouth_place == last // 2))
    corners = corners[np.argsort(-head.points[corners, 0])]
    return np.array([upper, lower]), corners


#: The materials' names, in the order of material_numbers().
MATERIALS = ("Skin", "Lips", "Mouth", "Eye White", "Iris", "Pupil", "Teeth", "Tongue", "Brow")


def material_numbers(head: Head) -> Index:
    """(Q,) index into MATERIALS of every quad."""
    ring = head.mouth_ring[head.quads]
    part = head.part[head.quads[:, 0]]
    number = np.zeros(len(head.quads), np.int64)
    number[(ring >= f.BORDER).all(axis=1)] = MATERIALS.index("Lips")
    number[(ring >= f.SEAM_BACK).all(axis=1)] = MATERIALS.index("Mouth")
    middle = head.points[head.quads].mean(axis=1)
    rim = (head.eye_ring[head.quads] >= f.RIM_OUTER).all(axis=1)
    place = head.eye_place[head.quads].max(axis=1)
    number[rim] = MATERIALS.index("Lips")
    number[rim & (place <= f.EYE_HOLE.width + f.EYE_HOLE.height)] = MATERIALS.index("Brow")
    folded = np.abs(middle[:, 0]) - EYE_CENTRE[0]
    across = np.hypot(folded, middle[:, 2] - EYE_CENTRE[2])
    off_axis = np.degrees(np.arctan2(across, EYE_CENTRE[1] - middle[:, 1]))
    eye = part == EYE
    number[eye] = MATERIALS.index("Eye White")
    number[eye & (off_axis < parts.IRIS_END)] = MATERIALS.index("Iris")
    number[eye & (off_axis < parts.PUPIL_END)] = MATERIALS.index("Pupil")
    tooth = (part == UPPER_TEETH) | (part == LOWER_TEETH)
    number[tooth] = MATERIALS.index("Teeth")
    number[part == TONGUE] = MATERIALS.index("Tongue")
    number[part == BROW] = MATERIALS.index("Brow")
    return number


def fade(head: Head) -> Array:
    """(V,) 1 on the face, 0 at the neck's base and on the back of the head."""
    p = head.points
    return smoothstep(0.030, -0.030, p[:, 1]) * smoothstep(0.008, 0.036, p[:, 2])
