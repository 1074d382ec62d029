"""A mesh and a model -> one line about whether the mesh is the model's face, before anything runs.

The comparison takes some milliseconds and panels ask on every redraw, so its answers are kept.  They
are found again by the mesh's polygons themselves, a copy of 0.1 MB for 5,000 vertices: an answer can
never be out of date, and nothing has to watch the scene.  A mesh of another size than the face is
told by counting.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np

from ...errors import UserError
from ...face.topology import recognise
from ...model_files import FACE_FILE, ModelCard, read_face
from .. import compat
from ..bundles import models
from . import target as targets


@dataclass(frozen=True)
class Fit:
    """detail: what the mesh is, when it fits; reason: why it does not, else empty."""

    detail: str
    reason: str


def fit(obj: bpy.types.Object, folder: Path, card: ModelCard) -> Fit:
    """Whether the object's mesh is the face of the model in ``folder``."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    expected, count = card.codec.get("vertex_count"), len(mesh.vertices)
    if isinstance(expected, int):
        refusal = targets.count_obstacle(obj.name, count, expected, card.name)
        if refusal is not None:
            return Fit("", refusal.message)
    starts = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", starts)
    corners = compat.corner_vertices(mesh)
    try:
        changed_ns = (folder / FACE_FILE).stat().st_mtime_ns
    except OSError:
        changed_ns = 0
    face = (folder, card.files[FACE_FILE].sha256, changed_ns)
    return _compared(obj.name, count, corners.tobytes(), starts.tobytes(), face)


@lru_cache(maxsize=8)
def _compared(name: str, count: int, corners: bytes, starts: bytes, face: tuple[Path, str, int]) -> Fit:
    """The answer for polygons as in :class:`targets.Polygons`, int32.

    face: the model's folder, and the hash and time of its face, which make another question of another face
    """
    folder, _, _ = face
    vertices, firsts = np.frombuffer(corners, np.int32), np.frombuffer(starts, np.int32)
    totals = np.diff(firsts, append=np.int32(len(vertices))).astype(np.int32)
    polygons = targets.Polygons(name, vertices, firsts, totals)
    try:
        card = models.card(folder)
        triangles = targets.own_triangles(polygons, count, read_face(folder, card), card.name)
    except UserError as error:
        return Fit("", error.message)
    # A flipped mesh is still the known one.
    known = recognise(triangles) or recognise(triangles[:, ::-1])
    topology = f"{known.name} topology" if known is not None else f"the topology of '{card.name}'"
    return Fit(f"{count:,} vertices, {topology}", "")
