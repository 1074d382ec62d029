"""Millimetres on a surface, as an object with a material for each step of colour.

The object belongs to nothing and goes without a trace.  Materials are what Solid shading shows without being
told to, so that neither the viewport nor any mesh of the animator's has to be changed and changed back.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import IntArray
from ...face.heat import COLOURS, GREY, Heat


@dataclass(frozen=True)
class Kind:
    """A kind of map, of which one is shown at a time.

    name: of its object, mesh and materials
    mark: the custom property of what is added; of the object it names the target, of a material its
        limit in millimetres, 0 for that without a value
    """

    name: str
    mark: str


def shown(kind: Kind) -> bpy.types.Object | None:
    """The coloured object, if there is one."""
    return next((obj for obj in bpy.data.objects if obj.get(kind.mark) is not None), None)


def hide(kind: Kind) -> None:
    """Take the coloured object away, with all that belongs to it."""
    while (found := shown(kind)) is not None:
        mesh = found.data
        bpy.data.objects.remove(found)
        if isinstance(mesh, bpy.types.Mesh) and not mesh.users:
            bpy.data.meshes.remove(mesh)
    for material in [one for one in bpy.data.materials if one.get(kind.mark) is not None and not one.users]:
        bpy.data.materials.remove(material)


def show(
    kind: Kind,
    target: str,
    points: NDArray[Any],
    triangles: IntArray,
    heat: Heat,
    attributes: Mapping[str, NDArray[Any]],
) -> bpy.types.Object:
    """Make the object, in place of an earlier one; it is in no scene yet.

    target: the name of what it tells about; points: (V, 3); attributes: name -> (V,) numbers to be read
    """
    hide(kind)
    mesh = bpy.data.meshes.new(kind.name)
    mesh.from_pydata(np.asarray(points).tolist(), [], triangles.tolist())
    for colour, limit in zip(COLOURS, heat.limits_mm, strict=True):
        _add_material(mesh, kind, f"{kind.name} {limit:g} mm", colour, limit)
    if (heat.colours == len(COLOURS)).any():
        _add_material(mesh, kind, f"{kind.name} none", GREY, 0.0)
    mesh.polygons.foreach_set("material_index", heat.colours)
    mesh.polygons.foreach_set("use_smooth", np.ones(len(triangles), bool))
    for name, values in attributes.items():
        attribute = mesh.attributes.new(name, "FLOAT", "POINT")
        assert isinstance(attribute, bpy.types.FloatAttribute)
        attribute.data.foreach_set("value", values.astype(np.float32))
    mesh.update()
    made = bpy.data.objects.new(kind.name, mesh)
    made[kind.mark] = target
    made.hide_render, made.hide_select = True, True
    return made


def corners_of(obj: bpy.types.Object) -> NDArray[np.float64]:
    """(8, 3) the corners of the box around an object, in the world's axes."""
    return np.array([obj.matrix_world @ type(obj.location)(corner) for corner in obj.bound_box])


def _add_material(
    mesh: bpy.types.Mesh, kind: Kind, name: str, colour: tuple[float, float, float], limit: float
) -> None:
    material = bpy.data.materials.new(name)
    material[kind.mark] = limit
    material.diffuse_color = (*colour, 1.0)
    mesh.materials.append(material)
