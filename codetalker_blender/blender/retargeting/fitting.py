"""Fit the model's face to the scene's target: read the scene, compute without it, keep the result.

read ─► Wanted ─► compute (no bpy, any thread) ─► Found ─► keep

What was computed once on this machine is read again (face/fit_files.py), whichever .blend it was for.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FaceMesh
from ...errors import TargetError
from ...face import binding as ties
from ...face import registration, transfer
from ...face.binding import Binding
from ...face.fit_files import KeptFit, Mesh, Question, keep_fit, kept_fit
from ...face.model_shapes import template_of
from ...face.quality import Quality
from ...face.surface import checked
from ...model_files import ModelCard
from ..mesh import target as targets
from ..preferences import data_folder
from . import bindings, landmarks, mapping
from .bindings import Kept

#: The folder of kept fits, in that of what this machine keeps.
FOLDER = "fits"
MIRROR_HINT = "Its Mirror modifier makes half of it: apply that first, then fit again."


@dataclass(frozen=True)
class Shape:
    """A mesh at rest as the fit takes it.

    uid: Blender's number for the object; mesh: in its own units and axes
    """

    uid: int
    name: str
    mesh: Mesh


@dataclass(frozen=True)
class Wanted:
    """A fit that is to be made.

    target, companions: the mesh of the head, and the character's others
    landmarks: those that the animator placed, (3,) in the target's mesh
    mirrored: only half of the target is there
    kept_in: where fits are kept; it need not exist
    """

    face: FaceMesh
    card: ModelCard
    target: Shape
    companions: tuple[Shape, ...]
    landmarks: Mapping[str, NDArray[Any]]
    mirrored: bool
    kept_in: Path


@dataclass(frozen=True)
class Found:
    """A fit that was made.

    kept: what each mesh keeps, by its object's number; None for one that does not follow the face
    """

    quality: Quality
    bound_share: float
    kept: Mapping[int, Kept | None]


def read(obj: bpy.types.Object, scene: bpy.types.Scene, face: FaceMesh, card: ModelCard) -> Wanted:
    """What the scene says.  Raises TargetError for a target that cannot be fitted, or need not be."""
    target = targets.read_target(obj, scene)
    if is_model_face(target, face, card):
        raise TargetError(
            f"'{obj.name}' is the model's own face already and needs no fit.", "Generate from audio at once."
        )
    return _wanted(obj, target, face, card)


def _wanted(obj: bpy.types.Object, target: targets.Target, face: FaceMesh, card: ModelCard) -> Wanted:
    """The same for a target that was read and needs a fit."""
    if not len(face.triangles):
        raise TargetError(
            f"The face of the model '{card.name}' has no polygons to be fitted.", "Choose another."
        )
    others = []
    for other in mapping.companions(obj):
        own = targets.read_target(other, other.users_scene[0])
        matrix = np.array(obj.matrix_world.inverted_safe() @ other.matrix_world)
        others.append(_shape(other, own, matrix, "Repair it, or take it off the character's other meshes."))
    mirrors = [one for one in obj.modifiers if one.type == "MIRROR" and one.show_viewport]
    return Wanted(
        face=face,
        card=card,
        target=_shape(obj, target, np.eye(4)),
        companions=tuple(others),
        landmarks=landmarks.placed(obj),
        mirrored=bool(mirrors),
        kept_in=data_folder() / FOLDER,
    )


def compute(wanted: Wanted) -> Found:
    """Make the fit, which takes some ten seconds, or read the one that is kept.  Touches no bpy.

    Raises TargetError, with the reasons, when the fit is too bad to be used.
    """
    shapes = (wanted.target, *wanted.companions)
    meshes = tuple(shape.mesh for shape in shapes)
    question = Question(wanted.face, wanted.card.units_per_metre, meshes, wanted.landmarks)
    answer = kept_fit(wanted.kept_in, question)
    if answer is None:
        answer = _fitted(wanted)
        keep_fit(wanted.kept_in, question, answer)
    mark = bindings.mark_of(template_of(wanted.face, wanted.card.units_per_metre))
    nothing = np.zeros((0, 3), np.float32)
    kept = {
        shape.uid: Kept(packed, mark, answer.preview if shape is wanted.target else nothing)
        if packed
        else None
        for shape, packed in zip(shapes, answer.packed, strict=True)
    }
    lead = ties.unpack(answer.packed[0])
    return Found(lead.quality, lead.bound_share, kept)


def _fitted(wanted: Wanted) -> KeptFit:
    """Raises TargetError as above."""
    face, target = wanted.face, wanted.target.mesh
    try:
        fit = registration.fit(
            face, wanted.card.units_per_metre, target.points, target.triangles, wanted.landmarks
        )
    except TargetError as error:
        if not wanted.mirrored:
            raise
        raise TargetError(error.message, MIRROR_HINT) from error
    packed = [ties.pack(transfer.bind(fit, face, target.points, target.triangles))]
    for shape in wanted.companions:
        mesh = shape.mesh
        there = mesh.points @ mesh.matrix[:3, :3].T + mesh.matrix[:3, 3]
        own = _in_axes_of(mesh, transfer.bind(fit, face, there, mesh.triangles))
        packed.append(ties.pack(own) if len(own.moved) else b"")
    return KeptFit(tuple(packed), fit.preview)


class Fitting:
    """A fit that is being computed in a thread beside Blender; Python waits for it before it ends."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        pool = ThreadPoolExecutor(1, "codetalker fit")
        self._future = pool.submit(compute, wanted)
        pool.shutdown(wait=False)

    @property
    def over(self) -> bool:
        return self._future.done()

    def result(self) -> Found:
        """What was found, once it is over.  Raises what :func:`compute` raised."""
        return self._future.result()


def keep(wanted: Wanted, found: Found) -> bpy.types.Object:
    """Let the meshes keep what was found; -> the target.

    Raises TargetError when the target is gone.  What has changed meanwhile is refused when it is used.
    """
    objects = {obj.session_uid: obj for obj in bpy.data.objects if obj.type == "MESH"}
    if wanted.target.uid not in objects:
        raise TargetError(
            f"'{wanted.target.name}' was removed while the face was fitted to it.", "Undo that."
        )
    for uid, kept in found.kept.items():
        if uid in objects:
            bindings.keep(objects[uid], kept)
    return objects[wanted.target.uid]


def ensure(obj: bpy.types.Object, scene: bpy.types.Scene, face: FaceMesh, card: ModelCard) -> None:
    """Fit the face where the mesh needs a fit and keeps none that holds; blocking.  Raises TargetError."""
    if obj.codetalker.output == "EXISTING":
        return
    target = targets.read_target(obj, scene)
    if is_model_face(target, face, card):
        return
    try:
        if bindings.leading(obj, template_of(face, card.units_per_metre)) is not None:
            return
    except TargetError:
        pass  # it does not hold any more
    wanted = _wanted(obj, target, face, card)
    keep(wanted, compute(wanted))


def is_model_face(target: targets.Target, face: FaceMesh, card: ModelCard) -> bool:
    """Whether a mesh has the model's own connectivity, so that nothing need be fitted."""
    try:
        targets.own_triangles(target, len(target.rest), face, card.name)
    except TargetError:
        return False
    return True


def _shape(
    obj: bpy.types.Object, target: targets.Target, matrix: NDArray[np.float64], hint: str = ""
) -> Shape:
    """hint: what to do about a mesh that is none.  Raises TargetError for one."""
    mesh = Mesh(target.rest, bindings.triangles_of(target), matrix)
    try:
        checked(mesh.points, mesh.triangles)
    except TargetError as error:
        raise TargetError(f"'{obj.name}': {error.message}", hint or error.hint) from error
    return Shape(obj.session_uid, obj.name, mesh)


def _in_axes_of(mesh: Mesh, lead: Binding) -> Binding:
    """A binding of the mesh as it lies in the target's space, as one of the mesh itself."""
    back = np.linalg.inv(mesh.matrix[:3, :3]).astype(np.float32)
    return replace(
        lead,
        mesh=ties.signature(mesh.points, mesh.triangles),
        frames=np.einsum("ij,njk->nik", back, lead.frames).astype(np.float32),
    )
