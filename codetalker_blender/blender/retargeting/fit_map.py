"""How far a mesh is from the face that was fitted to it, as a coloured copy beside it: *Show Fit Distance*.

what the mesh keeps ─► Binding.distance_mm ─► a copy of the mesh at rest with a material per colour
"""

from __future__ import annotations

import bpy
import numpy as np

from ...errors import TargetError
from ...face import binding as ties
from ...face.heat import heat_of
from ..mesh import target as targets
from . import bindings, heat_maps
from .heat_maps import Kind

KIND = Kind("CodeTalker Fit Distance", "codetalker_fit_distance")
#: The attribute of the copy's vertices, millimetres; -1 where there is none.
DISTANCE = "fit_distance_mm"
#: What one colour spans at most: from the last on, a fit that is like that everywhere is refused.
_COARSEST_MM = 0.5
#: Between the mesh and its copy, as a share of its width.
_GAP = 0.15


def of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The coloured copy of the object, if it is shown."""
    found = heat_maps.shown(KIND)
    return found if found is not None and found[KIND.mark] == obj.name else None


def show(obj: bpy.types.Object, scene: bpy.types.Scene) -> None:
    """Put the copy beside the object, in place of an earlier one.

    Raises TargetError where the mesh keeps no fit, or has changed since.
    """
    target, kept = targets.read_target(obj, scene), bindings.kept_of(obj)
    lead = kept.binding if kept is not None else None
    triangles = bindings.triangles_of(target)
    if lead is None or lead.mesh != ties.signature(target.rest, triangles):
        raise TargetError(
            f"The mesh of '{obj.name}' has changed since the model's face was fitted to it.", bindings.AGAIN
        )
    distance = lead.distance_mm.copy()
    distance[np.setdiff1d(np.arange(lead.vertex_count), lead.moved)] = np.nan
    heat = heat_of(distance, triangles, _COARSEST_MM)
    values = {DISTANCE: np.nan_to_num(distance, nan=-1.0)}
    copy = heat_maps.show(KIND, obj.name, target.rest, triangles, heat, values)
    scene.collection.objects.link(copy)
    corners = heat_maps.corners_of(obj)
    place = obj.matrix_world.copy()
    place.translation.x += (1.0 + _GAP) * float(np.ptp(corners[:, 0]))
    copy.matrix_world = place


def hide(obj: bpy.types.Object) -> None:
    """Take the copy of the object away."""
    if of(obj) is not None:
        heat_maps.hide(KIND)
