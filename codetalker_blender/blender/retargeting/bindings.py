"""The fit of a model's face that a mesh of another topology keeps, and whether it still holds.

    the fit (fitting.py) ─► keep ─► custom property of the mesh ─► leading (every later run, every slider)

On the mesh datablock it is saved, undone, copied and appended with what it was made for.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np

from ...contracts import FloatArray, IntArray
from ...errors import TargetError, UserError
from ...face import binding as ties
from ...face.binding import Binding
from ...face.model_shapes import template_of
from ...face.topology import triangulate_like
from ...model_files import FACE_FILE, ModelCard, read_face
from .. import compat
from ..bundles import models
from ..mesh import readiness
from ..mesh import target as targets
from ..mesh.readiness import Fit
from ..writing import keys
from . import mapping

#: The custom property of the mesh datablock.
PROPERTY = "codetalker_fit"
AGAIN = "Press Fit to This Mesh again, under Other Topology."


@dataclass(frozen=True)
class Kept:
    """What a mesh keeps of a fit.

    packed: the bytes of a :class:`Binding`; face: :func:`mark_of` the face that was fitted
    preview: (V, 3) float32, the face's vertices in the mesh's units and axes; (0, 3) for a companion
    """

    packed: bytes
    face: str
    preview: FloatArray

    @property
    def mark(self) -> str:
        """Tells this fit from any other, in 16 hexadecimal digits."""
        return hashlib.sha256(self.packed).hexdigest()[:16]

    @property
    def binding(self) -> Binding:
        """Raises TargetError where the file has been damaged."""
        return _unpacked(self.packed)


def mark_of(template: FloatArray) -> str:
    """Tells a model's face (V, 3), as takes keep it, from any other: 16 hexadecimal digits."""
    return hashlib.sha256(np.ascontiguousarray(template, "<f4").tobytes()).hexdigest()[:16]


def keep(obj: bpy.types.Object, kept: Kept | None) -> None:
    """Let the object's mesh keep a fit in place of the one it had, or none."""
    if kept is not None:
        preview = np.ascontiguousarray(kept.preview, "<f4").tobytes()
        obj.data[PROPERTY] = {"packed": kept.packed, "face": kept.face, "preview": preview}
    elif obj.data.get(PROPERTY) is not None:
        del obj.data[PROPERTY]


def kept_of(obj: bpy.types.Object) -> Kept | None:
    """What the object's mesh keeps, be it up to date or not.  Raises TargetError for what is damaged."""
    found = obj.data.get(PROPERTY) if isinstance(obj.data, bpy.types.Mesh) else None
    if found is None:
        return None
    try:
        preview = np.frombuffer(bytes(found["preview"]), "<f4").reshape(-1, 3)
        return Kept(bytes(found["packed"]), str(found["face"]), preview.astype(np.float32))
    except (KeyError, TypeError, ValueError) as error:
        raise TargetError(f"The fit that '{obj.name}' keeps cannot be read.", AGAIN) from error


def release(obj: bpy.types.Object) -> None:
    """Let the character's other meshes forget what they keep as such; a head among them keeps its own fit."""
    for other in mapping.companions(obj):
        kept = kept_of(other)
        if kept is not None and not len(kept.preview):
            keep(other, None)


def leading(obj: bpy.types.Object, template: FloatArray) -> Binding | None:
    """What carries motion of the face ``template`` over to the object's mesh; None where nothing was fitted.

    Raises TargetError when the mesh has changed since.
    """
    kept = kept_of(obj)
    if kept is None or kept.face != mark_of(template):
        return None
    found = kept.binding
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    if found.vertex_count != len(mesh.vertices) or found.mesh != _signature(*_bytes_of(mesh)):
        raise TargetError(
            f"The mesh of '{obj.name}' has changed since the model's face was fitted to it.", AGAIN
        )
    return found


def companions(obj: bpy.types.Object, template: FloatArray) -> dict[bpy.types.Object, Binding]:
    """The character's other meshes that were fitted together with the object.

    Raises TargetError for one that has changed since, or that cannot be written.
    """
    found = {}
    for other in mapping.companions(obj):
        lead = leading(other, template)
        if lead is None:
            continue
        refusal = targets.obstacle(other, other.users_scene[0]) or targets.busy_mode(other)
        if refusal is not None:
            raise refusal
        keys.refuse_foreign_absolute(other)
        found[other] = lead
    return found


def report(obj: bpy.types.Object) -> dict[str, float | None] | None:
    """The quality of the fit that the object's mesh keeps, by the names of its numbers."""
    kept = kept_of(obj)
    return None if kept is None else {**asdict(kept.binding.quality), "bound_share": kept.binding.bound_share}


def settings_text(obj: bpy.types.Object) -> str:
    """The fits that a written animation depends on, for comparing; "" where there are none."""
    try:
        found = [kept_of(other) for other in mapping.meshes(obj)]
    except TargetError:
        return ""
    return " ".join(kept.mark for kept in found if kept is not None) if found[0] is not None else ""


def fit(obj: bpy.types.Object, folder: Path, card: ModelCard) -> Fit:
    """The line about the target in the pre-flight list, for outputs that move the mesh itself."""
    try:
        path = folder / FACE_FILE
        changed_ns = path.stat().st_mtime_ns if path.exists() else 0
        lead = leading(obj, _template(folder, card.files[FACE_FILE].sha256, changed_ns))
    except UserError as error:
        return Fit("", str(error))
    if lead is None:
        return readiness.fit(obj, folder, card)
    return Fit(f"{lead.vertex_count:,} vertices, fitted to {lead.quality.mean_mm:.1f} mm on average", "")


def triangles_of(target: targets.Target) -> IntArray:
    """(F, 3) int32: a mesh's polygons, split as fans, which no version of Blender does otherwise."""
    nothing = np.zeros((0, 3), np.int32)
    return triangulate_like(target.corners, target.starts, target.totals, nothing, len(target.rest))


def _bytes_of(mesh: bpy.types.Mesh) -> tuple[bytes, bytes, bytes]:
    starts = np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", starts)
    return targets.rest_coordinates(mesh).tobytes(), compat.corner_vertices(mesh).tobytes(), starts.tobytes()


@lru_cache(maxsize=8)  # panels ask on every redraw
def _signature(rest: bytes, corners: bytes, starts: bytes) -> str:
    vertices, firsts = np.frombuffer(corners, np.int32), np.frombuffer(starts, np.int32)
    totals = np.diff(firsts, append=np.int32(len(vertices))).astype(np.int32)
    points = np.frombuffer(rest, np.float32).reshape(-1, 3)
    return ties.signature(points, triangles_of(targets.Target("", vertices, firsts, totals, points)))


@lru_cache(maxsize=8)
def _unpacked(packed: bytes) -> Binding:
    return ties.unpack(packed)


@lru_cache(maxsize=4)
def _template(folder: Path, sha256: str, changed_ns: int) -> FloatArray:
    """sha256, changed_ns: of the face, which make another question of another one."""
    card = models.card(folder)
    return template_of(read_face(folder, card), card.units_per_metre)
