"""The fitted model's face as an object, to be looked at: *Show Fit*.  It is not rendered, and goes again."""

from __future__ import annotations

import bpy
import numpy as np

from ...contracts import FloatArray, IntArray
from ..writing.keys import PREFIX

#: The custom property that marks such an object.
PROPERTY = "codetalker_fit_preview"


def of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The preview that the object has, if any."""
    return next((child for child in obj.children if child.get(PROPERTY) is not None), None)


def show(obj: bpy.types.Object, points: FloatArray, triangles: IntArray) -> None:
    """Add the preview, or bring it up to date.

    points: (V, 3) in the units and axes of the object's mesh; triangles: (F, 3)
    """
    hide(obj)
    mesh = bpy.data.meshes.new(f"{PREFIX} fit of {obj.name}")
    mesh.from_pydata(np.asarray(points).tolist(), [], np.asarray(triangles).tolist())
    mesh.update()
    shown = bpy.data.objects.new(mesh.name, mesh)
    shown[PROPERTY] = 1
    shown.display_type = "WIRE"
    shown.show_in_front = shown.hide_render = shown.hide_select = True
    shown.parent = obj
    obj.users_collection[0].objects.link(shown)


def hide(obj: bpy.types.Object) -> None:
    """Remove the preview."""
    shown = of(obj)
    if shown is not None:
        mesh = shown.data
        bpy.data.objects.remove(shown)
        if isinstance(mesh, bpy.types.Mesh) and not mesh.users:
            bpy.data.meshes.remove(mesh)
