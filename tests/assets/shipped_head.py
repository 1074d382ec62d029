"""The shipped head's arrays as the tests ask about them.  Metres unless a name says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh
from codetalker_blender.model_files import read_face_file

Array = NDArray[np.float64]
Index = NDArray[np.int64]

ROOT = Path(__file__).resolve().parents[2]
HEAD = ROOT / "assets" / "head"

ARKIT = frozenset(
    """browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight cheekPuff cheekSquintLeft
    cheekSquintRight eyeBlinkLeft eyeBlinkRight eyeLookDownLeft eyeLookDownRight eyeLookInLeft eyeLookInRight
    eyeLookOutLeft eyeLookOutRight eyeLookUpLeft eyeLookUpRight eyeSquintLeft eyeSquintRight eyeWideLeft
    eyeWideRight jawForward jawLeft jawOpen jawRight mouthClose mouthDimpleLeft mouthDimpleRight
    mouthFrownLeft mouthFrownRight mouthFunnel mouthLeft mouthLowerDownLeft mouthLowerDownRight
    mouthPressLeft mouthPressRight mouthPucker mouthRight mouthRollLower mouthRollUpper mouthShrugLower
    mouthShrugUpper mouthSmileLeft mouthSmileRight mouthStretchLeft mouthStretchRight mouthUpperUpLeft
    mouthUpperUpRight noseSneerLeft noseSneerRight tongueOut""".split()
)
#: In the order of the Oculus lip sync reference.
OCULUS = tuple(f"viseme_{sound}" for sound in "sil PP FF TH DD kk CH SS nn RR aa E ih oh ou".split())


@dataclass(frozen=True, repr=False)
class Head:
    face: FaceMesh
    deltas: dict[str, Array]
    visemes: dict[str, Array]

    @property
    def rest(self) -> Array:
        return self.face.vertices.astype(np.float64)

    def pose(self, **weights: float) -> Array:
        """(V, 3) metres; a name without its side sets both sides."""
        points = self.rest
        for name, weight in weights.items():
            sides = [name] if name in self.deltas else [f"{name}Left", f"{name}Right"]
            for side in sides:
                points = points + weight * self.deltas[side]
        return points

    def mid_opening(self, points: Array) -> float:
        upper, lower = self.face.mid_lips
        return float(np.linalg.norm(points[upper] - points[lower])) * 1e3

    def width(self, points: Array) -> float:
        first, second = self.face.lip_corners
        return float(np.linalg.norm(points[first] - points[second])) * 1e3


@cache
def load() -> Head:
    with np.load(HEAD / "shapes.npz", allow_pickle=False) as archive:
        names, deltas = archive["names"], archive["deltas"].astype(np.float64)
        mixtures = dict(zip(archive["viseme_names"].tolist(), archive["viseme_weights"], strict=True))
    shapes = {str(name): delta for name, delta in zip(names, deltas, strict=True)}
    visemes = {name: np.tensordot(row.astype(np.float64), deltas, 1) for name, row in mixtures.items()}
    return Head(read_face_file(HEAD / "face.npz"), shapes, visemes)


@cache
def mirror() -> Index:
    """(V,) the vertex at exactly (-x, y, z)."""
    points = load().face.vertices
    place = {tuple(point): index for index, point in enumerate((points + 0.0).tolist())}
    return np.array([place[-x + 0.0, y, z] for x, y, z in points.tolist()])


@cache
def seam() -> tuple[Index, Index]:
    """Upper and lower lip vertices that touch at rest: both rings of the seam, corner to corner."""
    current = load()
    lips = current.face.regions["lips"]
    apart = np.linalg.norm(current.rest[lips][:, None] - current.rest[lips][None], axis=2)
    first, second = np.nonzero((apart < 0.3e-3) & (apart > 0))
    higher = current.rest[lips[first], 2] > current.rest[lips[second], 2]
    return lips[first[higher]], lips[second[higher]]


@cache
def components() -> Index:
    """(V,) number of the connected piece a vertex belongs to."""
    face = load().face
    label = np.arange(face.vertex_count)
    while True:
        lowest = label[face.triangles].min(axis=1)
        merged = label.copy()
        for corner in range(3):
            np.minimum.at(merged, face.triangles[:, corner], lowest)
        if (merged == label).all():
            return label
        label = merged


def directed_edges(triangles: NDArray[np.int32]) -> NDArray[np.int32]:
    return np.concatenate([triangles[:, [i, (i + 1) % 3]] for i in range(3)])


def left_eye(head: Head) -> tuple[Array, float]:
    """Centre and radius (metres) of the sphere through the left eyeball's vertices."""
    eyes = head.rest[head.face.regions["eyes"]]
    ball = eyes[eyes[:, 0] > 0]
    system = np.column_stack([2 * ball, np.ones(len(ball))])
    solution = np.linalg.lstsq(system, (ball**2).sum(axis=1), rcond=None)[0]
    return solution[:3], float(np.sqrt(solution[3] + solution[:3] @ solution[:3]))


def left_lid_edges(head: Head) -> tuple[Index, Index]:
    """Upper and lower vertices of the left lids' inner edge, paired from corner to corner."""
    centre, _ = left_eye(head)
    lids = head.face.regions["eyelids"]
    lids = lids[head.rest[lids, 0] > 0]
    local = head.rest[lids] - centre
    radius = np.linalg.norm(local, axis=1)
    edge = lids[radius < radius.min() + 0.2e-3]
    local = head.rest[edge] - centre
    azimuth = np.arctan2(local[:, 0], -local[:, 1])
    order = edge[np.argsort(np.round(azimuth, 4), kind="stable")][1:-1].reshape(-1, 2)
    higher = head.rest[order, 2].argmax(axis=1)
    rows = np.arange(len(order))
    return order[rows, higher], order[rows, 1 - higher]
