"""Landmarks: empties that tell a fit where mouth, nose, chin and eyes of a mesh are.

They are children of the target and lie where the fit, or a guess, puts them.  Only those that the
animator moved count: the others say nothing that the fit does not know.
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FaceMesh, FloatArray
from ...face.fit import fit_similarity
from ...face.model_face import MARKS, prepare
from ...face.model_shapes import template_of
from ...model_files import ModelCard
from ..mesh import target as targets
from ..writing.keys import PREFIX

#: The custom property of an empty: its name among MARKS, and where it was put.
PROPERTY = "codetalker_landmark"
#: So many vertices around a landmark tell where the fit has carried it.
_AROUND = 12
#: A head is about this many times as high as deep; what hangs below it is a body.
_HEAD_HEIGHT = 1.4
#: Size of an empty, as a share of the face's height.
_SIZE = 0.05

Points = NDArray[np.float64]


def of(obj: bpy.types.Object) -> dict[str, bpy.types.Object]:
    """The object's landmarks, by their names among MARKS."""
    found = {str(child[PROPERTY]["name"]): child for child in obj.children if child.get(PROPERTY) is not None}
    return {name: found[name] for name in MARKS if name in found}


def placed(obj: bpy.types.Object) -> dict[str, Points]:
    """Where the landmarks are that the animator moved: (3,) in the mesh's units and axes."""
    found = {}
    for name, empty in of(obj).items():
        place = np.array(empty.matrix_parent_inverse @ empty.matrix_basis)[:3, 3]
        start = np.array(empty[PROPERTY]["start"].to_list())
        if np.linalg.norm(place - start) > 1e-5 * max(float(np.abs(start).max()), 1e-6):
            found[name] = place
    return found


def add(obj: bpy.types.Object, face: FaceMesh, card: ModelCard, preview: FloatArray | None) -> None:
    """Add the landmarks that are not there yet.

    preview: (V, 3) the face as it was fitted to the mesh, in the mesh's units and axes, if it was
    """
    marks = prepare(face, card.units_per_metre).marks
    template = template_of(face, card.units_per_metre)
    there = preview if preview is not None else _guess(obj, face, card)
    similarity = fit_similarity(template, there.astype(np.float32))
    size = _SIZE * similarity.scale * float(np.ptp(template, axis=0).max())
    present = of(obj)
    for name, mark in marks.items():
        if name in present:
            continue
        near = np.argsort(((template - mark) ** 2).sum(axis=1))[:_AROUND]
        offset = similarity.scale * similarity.rotation @ (mark - template[near].mean(axis=0))
        _add(obj, name, there[near].mean(axis=0) + offset, size)


def remove(obj: bpy.types.Object) -> None:
    """Remove the object's landmarks."""
    for empty in of(obj).values():
        bpy.data.objects.remove(empty)


def _add(obj: bpy.types.Object, name: str, place: Points, size: float) -> None:
    empty = bpy.data.objects.new(f"{PREFIX} {name.replace('_', ' ')}", None)
    empty.empty_display_type = "SPHERE"
    empty.empty_display_size = size
    empty.show_name = empty.show_in_front = empty.hide_render = True
    empty.parent = obj
    empty.location = place.tolist()
    empty[PROPERTY] = {"name": name, "start": [float(value) for value in empty.location]}
    obj.users_collection[0].objects.link(empty)


def _guess(obj: bpy.types.Object, face: FaceMesh, card: ModelCard) -> Points:
    """(V, 3) the face about where a head that looks along -Y, as in Blender usual, has it; mesh space."""
    model = prepare(face, card.units_per_metre)
    up = model.up
    across = model.mouth.across if model.mouth is not None else np.array([1.0, 0.0, 0.0])
    local = model.whole.points @ np.stack([across, -np.cross(across, up), up]).T
    rest = targets.rest_of(obj).astype(np.float64)
    world = np.array(obj.matrix_world)
    points = rest @ world[:3, :3].T
    low, high = points.min(axis=0), points.max(axis=0)
    height = min(high[2] - low[2], _HEAD_HEIGHT * (high[1] - low[1]))
    own_low, own_high = local.min(axis=0), local.max(axis=0)
    scale = height / (own_high[2] - own_low[2])
    middle = [0.5 * (own_low[0] + own_high[0]), own_low[1], own_high[2]]
    goal = np.array([0.5 * (low[0] + high[0]), low[1], high[2]])
    return np.asarray(((local - middle) * scale + goal) @ np.linalg.inv(world[:3, :3]).T)
