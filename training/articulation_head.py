"""What a head's shapes do to its lips, in millimetres: measured from the template and the deltas.

Everything the articulation model promises (closure, opening, teeth contact) is promised in
millimetres and reached by solving with these measures, so no amplitude belongs to one mesh.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.errors import UserError
from codetalker_blender.model_files import read_face_file
from training.metrics import lower_lip

MM_PER_METRE = 1000.0
FACE_FILE = "face.npz"
SHAPES_FILE = "shapes.npz"
#: Without these no speech can be shown; all other shapes are used where the head has them.
REQUIRED_SHAPES = (
    "jawOpen", "mouthClose", "mouthFunnel", "mouthPucker", "mouthRollLower",
    "mouthLowerDownLeft", "mouthLowerDownRight", "mouthUpperUpLeft", "mouthUpperUpRight",
)  # fmt: skip

#: Only lip vertices this close to a tooth can be behind its surface.
_NEAR_MM = 3.0

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Head:
    """A face with shapes.

    face: the template, metres
    shape_names: (K,) ARKit names
    deltas: (K, V, 3) float32 metres
    """

    face: FaceMesh
    shape_names: tuple[str, ...]
    deltas: FloatArray

    def index(self, name: str) -> int | None:
        """Row of the shape called ``name``, or None."""
        return self.shape_names.index(name) if name in self.shape_names else None


def read_head(folder: Path) -> Head:
    """Read ``face.npz`` and ``shapes.npz``; raises UserError when they do not fit speech."""
    face = read_face_file(folder / FACE_FILE)
    path = folder / SHAPES_FILE
    try:
        with np.load(path, allow_pickle=False) as archive:
            names, deltas = archive["names"], archive["deltas"]
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"'{path}' cannot be read as names and deltas of shapes: {error}.") from error
    if deltas.shape != (len(names), face.vertex_count, 3) or not np.isfinite(deltas).all():
        raise UserError(
            f"'{path}': 'deltas' must be finite and ({len(names)}, {face.vertex_count}, 3), "
            f"not {deltas.shape}."
        )
    head = Head(face, tuple(str(name) for name in names), deltas.astype(np.float32))
    check_head(head)
    return head


def check_head(head: Head) -> None:
    """Raises UserError when the head lacks what speech needs."""
    missing = [name for name in REQUIRED_SHAPES if head.index(name) is None]
    if missing:
        raise UserError(f"The head lacks the shapes {', '.join(missing)}, which speech needs.")
    for name, array in (("mid_lips", head.face.mid_lips), ("lip_corners", head.face.lip_corners)):
        if array.shape != (2,):
            raise UserError(f"The head names no {name}, which speech needs.")


def _normals(face: FaceMesh) -> Floats:
    """(V, 3) outward unit normals; zero where no triangle is."""
    corners = face.vertices.astype(np.float64)[face.triangles]  # (F, 3, 3)
    area = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.zeros(face.vertices.shape)
    for corner in range(3):
        np.add.at(normals, face.triangles[:, corner], area)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    return np.asarray(normals / np.maximum(length, 1e-20))


class LipMeasures:
    """Millimetres of lips and jaw for shape weights.  All methods take weights (T, K)."""

    def __init__(self, head: Head) -> None:
        face = head.face
        vertices = face.vertices.astype(np.float64) * MM_PER_METRE
        deltas = head.deltas.astype(np.float64) * MM_PER_METRE
        upper, lower = (int(i) for i in face.mid_lips)
        left, right = (int(i) for i in face.lip_corners)
        self.gap_rest: Floats = vertices[upper] - vertices[lower]  # (3,)
        self.gap_shapes: Floats = deltas[:, upper] - deltas[:, lower]  # (K, 3)
        self._width_rest: Floats = vertices[left] - vertices[right]
        self._width_shapes: Floats = deltas[:, left] - deltas[:, right]
        self.rest_mm = float(np.linalg.norm(self.gap_rest))
        lower_teeth = face.regions.get("lower_teeth", np.zeros(0, np.int32))
        moved = lower_teeth if len(lower_teeth) else np.array([lower])
        jaw = head.index("jawOpen")
        assert jaw is not None  # check_head
        self.jaw_mm = float(np.linalg.norm(deltas[jaw][moved], axis=-1).mean())
        self._lip = lower_lip(face)
        self._lip_rest, self._lip_shapes = vertices[self._lip], deltas[:, self._lip]  # (n,3), (K,n,3)
        teeth = face.regions.get("upper_teeth", np.zeros(0, np.int32))
        self._teeth_rest, self._teeth_shapes = vertices[teeth], deltas[:, teeth]
        self._teeth_normals = _normals(face)[teeth]
        self.has_teeth = len(teeth) > 0

    def opening(self, weights: Floats) -> Floats:
        """Mid-lip distance above rest, (T,) mm."""
        return np.asarray(np.linalg.norm(self.gap_rest + weights @ self.gap_shapes, axis=-1) - self.rest_mm)

    def width(self, weights: Floats) -> Floats:
        """Distance of the lip corners minus that at rest, (T,) mm; negative when rounded."""
        rest = float(np.linalg.norm(self._width_rest))
        return np.asarray(np.linalg.norm(self._width_rest + weights @ self._width_shapes, axis=-1) - rest)

    def teeth_distance(self, weights: Floats) -> tuple[Floats, Floats]:
        """Lower lip to upper teeth, both (T,) mm: the nearest pair's distance, and how deep any lip vertex
        near a tooth lies behind the surface there (0 where the lip stays outside).
        """
        distance, depth = np.zeros(len(weights)), np.zeros(len(weights))
        for frame, row in enumerate(weights):
            lip = self._lip_rest + np.tensordot(row, self._lip_shapes, 1)
            teeth = self._teeth_rest + np.tensordot(row, self._teeth_shapes, 1)
            apart = lip[:, None] - teeth[None]  # (lips, teeth, 3)
            squared = (apart**2).sum(-1)
            nearest = squared.argmin(axis=1)
            every = np.arange(len(lip))
            near = squared[every, nearest] < _NEAR_MM**2
            behind = -(apart[every, nearest] * self._teeth_normals[nearest]).sum(-1)
            distance[frame] = np.sqrt(squared.min())
            depth[frame] = behind[near].max(initial=0.0)
        return distance, depth

    def closing(self, weights: Floats, along: Floats, opening_mm: Floats) -> Floats:
        """How much of ``along`` closes the lips to ``opening_mm`` (T,); 0 where they are that close.

        weights: (T, K); along: (K,) weights added per unit.  Where the lips cannot come as near, the
        amount of the least distance.  Solves |gap + x step| = rest + opening for its first root.
        """
        a, b, c = self._quadratic(weights, along, opening_mm)
        root = np.sqrt(np.maximum(b * b - a * c, 0.0))
        return np.where(c > 0.0, np.maximum((-b - root) / a, 0.0), 0.0)

    def parting(self, weights: Floats, along: Floats, opening_mm: Floats) -> Floats:
        """How much of ``along`` opens the lips to ``opening_mm`` (T,); 0 where they are that open."""
        a, b, c = self._quadratic(weights, along, opening_mm)
        root = np.sqrt(np.maximum(b * b - a * c, 0.0))
        return np.where(c < 0.0, np.maximum((-b + root) / a, 0.0), 0.0)

    def _quadratic(self, weights: Floats, along: Floats, opening_mm: Floats) -> tuple[Floats, Floats, Floats]:
        gap = self.gap_rest + weights @ self.gap_shapes  # (T, 3)
        step = along @ self.gap_shapes  # (3,)
        a = np.full(len(gap), max(float(step @ step), 1e-12))
        return a, gap @ step, (gap**2).sum(-1) - (self.rest_mm + opening_mm) ** 2
