"""Fit the model's face to the scene's target: read the scene, compute without it, keep the result.

read ─► Wanted ─► compute (no bpy, any thread) ─► Found ─► keep
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FaceMesh, FloatArray, IntArray
from ...errors import TargetError
from ...face import binding as ties
from ...face import registration, transfer
from ...face.binding import Binding
from ...face.model_shapes import template_of
from ...face.quality import Quality
from ...model_files import ModelCard
from ..mesh import target as targets
from . import bindings, landmarks, mapping
from .bindings import Kept

MIRROR_HINT = "Its Mirror modifier makes half of it: apply that first, then fit again."


@dataclass(frozen=True)
class Shape:
    """A mesh at rest as the fit takes it.

    uid: Blender's number for the object; points: (V, 3) float32, the mesh's own units and axes
    triangles: (F, 3) int32
    matrix: (4, 4) from there to the space of the target's mesh
    """

    uid: int
    name: str
    points: FloatArray
    triangles: IntArray
    matrix: NDArray[np.float64]


@dataclass(frozen=True)
class Wanted:
    """A fit that is to be made.

    target, companions: the mesh of the head, and the character's others
    landmarks: those that the animator placed, (3,) in the target's mesh
    mirrored: only half of the target is there
    """

    face: FaceMesh
    card: ModelCard
    target: Shape
    companions: tuple[Shape, ...]
    landmarks: Mapping[str, NDArray[Any]]
    mirrored: bool


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
    if not len(face.triangles):
        raise TargetError(
            f"The face of the model '{card.name}' has no polygons to be fitted.", "Choose another."
        )
    target = targets.read_target(obj, scene)
    if is_model_face(target, face, card):
        raise TargetError(
            f"'{obj.name}' is the model's own face already and needs no fit.", "Generate from audio at once."
        )
    others = []
    for other in mapping.companions(obj):
        own = targets.read_target(other, other.users_scene[0])
        others.append(_shape(other, own, np.array(obj.matrix_world.inverted_safe() @ other.matrix_world)))
    mirrors = [one for one in obj.modifiers if one.type == "MIRROR" and one.show_viewport]
    return Wanted(
        face=face,
        card=card,
        target=_shape(obj, target, np.eye(4)),
        companions=tuple(others),
        landmarks=landmarks.placed(obj),
        mirrored=bool(mirrors),
    )


def compute(wanted: Wanted) -> Found:
    """Make the fit, which takes some ten seconds.  Touches no bpy.

    Raises TargetError, with the reasons, when the fit is too bad to be used.
    """
    face, target = wanted.face, wanted.target
    try:
        fit = registration.fit(
            face, wanted.card.units_per_metre, target.points, target.triangles, wanted.landmarks
        )
    except TargetError as error:
        if not wanted.mirrored:
            raise
        raise TargetError(error.message, MIRROR_HINT) from error
    mark = bindings.mark_of(template_of(face, wanted.card.units_per_metre))
    lead = transfer.bind(fit, face, target.points, target.triangles)
    kept: dict[int, Kept | None] = {target.uid: Kept(ties.pack(lead), mark, fit.preview)}
    nothing = np.zeros((0, 3), np.float32)
    for shape in wanted.companions:
        there = shape.points @ shape.matrix[:3, :3].T + shape.matrix[:3, 3]
        own = _in_axes_of(shape, transfer.bind(fit, face, there, shape.triangles))
        kept[shape.uid] = Kept(ties.pack(own), mark, nothing) if len(own.moved) else None
    return Found(fit.quality, lead.bound_share, kept)


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
    if obj.codetalker.output == "EXISTING" or is_model_face(targets.read_target(obj, scene), face, card):
        return
    template = template_of(face, card.units_per_metre)
    try:
        if bindings.leading(obj, template) is not None:
            return
    except TargetError:
        pass  # it does not hold any more
    wanted = read(obj, scene, face, card)
    keep(wanted, compute(wanted))


def is_model_face(target: targets.Target, face: FaceMesh, card: ModelCard) -> bool:
    """Whether a mesh has the model's own connectivity, so that nothing need be fitted."""
    try:
        targets.own_triangles(target, len(target.rest), face, card.name)
    except TargetError:
        return False
    return True


def _shape(obj: bpy.types.Object, target: targets.Target, matrix: NDArray[np.float64]) -> Shape:
    return Shape(obj.session_uid, obj.name, target.rest, bindings.triangles_of(target), matrix)


def _in_axes_of(shape: Shape, lead: Binding) -> Binding:
    """A binding of the mesh as it lies in the target's space, as one of the mesh itself."""
    back = np.linalg.inv(shape.matrix[:3, :3]).astype(np.float32)
    return replace(
        lead,
        mesh=ties.signature(shape.points, shape.triangles),
        frames=np.einsum("ij,njk->nik", back, lead.frames).astype(np.float32),
    )
