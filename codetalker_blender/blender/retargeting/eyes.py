"""An object → where its eyes are and which way its face looks, read off what turns them.

On the model's own face and on a fitted mesh those are the model's look shapes; for Existing Keys they are the
animator's own keys, of the object or of another mesh of the character.
"""

from __future__ import annotations

from collections.abc import Mapping

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FloatArray
from ...face.blendshapes import Blendshapes
from ...face.eyes import Eyes, eyes_of
from ...face.fit import fit_similarity
from ...face.gaze import LOOK_SHAPES
from ...face.transfer import apply
from ..mesh import target as targets
from . import bindings, mapping

Floats = NDArray[np.float64]
#: Of a mesh: its vertices at rest, and how each look shape moves them.
_Moves = tuple[Floats, Mapping[str, Floats]]


def find(obj: bpy.types.Object, template: FloatArray, shapes: Blendshapes) -> Eyes | None:
    """The eyes in the object's own axes; None where nothing turns them.

    template: (V, 3) metres, the model's face; shapes: its ARKit shapes
    """
    assert isinstance(obj.data, bpy.types.Mesh)
    looks = shapes.chosen([name for name in LOOK_SHAPES if name in shapes.names])
    if len(obj.data.vertices) == len(template):
        own = eyes_of(template.astype(np.float64), _named(looks.names, looks.offsets))
        fit = fit_similarity(template, targets.rest_coordinates(obj.data))
        if own is None:
            return None
        axes = fit.rotation @ own.axes if own.axes is not None else None
        return Eyes(fit.scale * own.centres @ fit.rotation.T + fit.translation, axes)
    if obj.codetalker.output == "EXISTING":
        moves = {mesh: _of_keys(obj, mesh) for mesh in mapping.meshes(obj)}
    else:
        lead = bindings.leading(obj, template)
        leads = {} if lead is None else {obj: lead, **bindings.companions(obj, template)}
        moves = {
            mesh: (targets.rest_of(mesh).astype(np.float64), _named(looks.names, apply(own, looks.offsets)))
            for mesh, own in leads.items()
        }
    return _together(obj, moves)


def _together(obj: bpy.types.Object, moves: Mapping[bpy.types.Object, _Moves]) -> Eyes | None:
    """The eyes of all meshes, as they stand to each other now."""
    points: list[Floats] = []
    offsets: dict[str, list[Floats]] = {name: [] for name in LOOK_SHAPES}
    for mesh, (rest, looks) in moves.items():
        to_obj = np.array(obj.matrix_world.inverted_safe() @ mesh.matrix_world)
        points.append(rest @ to_obj[:3, :3].T + to_obj[:3, 3])
        for name, parts in offsets.items():
            parts.append(looks[name] @ to_obj[:3, :3].T if name in looks else np.zeros(rest.shape))
    if not points:
        return None
    return eyes_of(np.concatenate(points), {name: np.concatenate(parts) for name, parts in offsets.items()})


def _of_keys(obj: bpy.types.Object, mesh: bpy.types.Object) -> _Moves:
    """What the keys of a mesh do that follow the object's look shapes."""
    moved: dict[str, Floats] = {}
    key, present = mesh.data.shape_keys, set(mapping.own_keys(mesh))
    for shape, drives in {**mapping.of(obj), **mapping.for_layers(obj)}.items():
        for drive in drives:
            if shape in LOOK_SHAPES and drive.key in present:
                block = key.key_blocks[drive.key]
                points = _points(block) - _points(block.relative_key)
                moved[shape] = moved.get(shape, np.zeros(points.shape)) + drive.gain * points
    return targets.rest_of(mesh).astype(np.float64), moved


def _points(block: bpy.types.ShapeKey) -> Floats:
    values = np.empty((len(block.points), 3), np.float32)
    block.points.foreach_get("co", values.ravel())
    return values.astype(np.float64)


def _named(names: tuple[str, ...], offsets: FloatArray) -> dict[str, Floats]:
    return dict(zip(names, offsets.astype(np.float64), strict=True))
