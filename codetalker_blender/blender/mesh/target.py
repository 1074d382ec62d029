"""The user's mesh object -> arrays, and the reasons why an object cannot be animated.

Every check that can fail runs here, before anything is written.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ...contracts import FaceMesh, FloatArray, IntArray
from ...errors import TargetError
from ...face.fit import Similarity, fit_similarity
from ...face.topology import Match, compare, triangulate_like
from ..writing import keys

RETARGETING = (
    "On the command line --fit does that; a mesh with named shape keys can take the Output Existing Keys "
    "instead."
)
#: Modes in which Blender keeps the mesh in a structure of its own, so that keys must wait.
BUSY_MODES = {"EDIT": "Edit Mode", "SCULPT": "Sculpt Mode"}


@dataclass(frozen=True)
class Polygons:
    """The polygons of the mesh of the object ``name``.

    corners, starts, totals: polygon corners (L,), first corner (P,), corner count (P,); int32
    """

    name: str
    corners: IntArray
    starts: IntArray
    totals: IntArray


@dataclass(frozen=True)
class Target(Polygons):
    """A mesh as arrays.

    rest: (V, 3) float32 rest coordinates in the mesh's own units and axes
    """

    rest: FloatArray


def obstacle(obj: bpy.types.Object | None, scene: bpy.types.Scene) -> TargetError | None:
    """Why this object cannot be animated in the scene whatever the model, or None.

    Cheap: panels ask on every redraw.
    """
    if obj is None:
        return TargetError("No target mesh is chosen.", "Choose the head to animate under Target.")
    if scene not in obj.users_scene:
        # Our own setting keeps a deleted object in the file.
        return TargetError(f"'{obj.name}' is not in the scene '{scene.name}'.", "Choose another Target.")
    if obj.type != "MESH":
        return TargetError(f"'{obj.name}' is a {obj.type.lower()}, not a mesh.", "Choose a mesh object.")
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    if obj.override_library is not None or mesh.override_library is not None:
        return TargetError(
            f"'{obj.name}' is a library override, which cannot be given shape keys or their animation.",
            "Make it local: Object > Relations > Make Local > Selected Objects and Data.",
        )
    if obj.library is not None or mesh.library is not None:
        source = obj.library or mesh.library
        return TargetError(
            f"'{obj.name}' is linked from '{bpy.path.basename(source.filepath)}'.",
            "Make it local: Object > Relations > Make Local > Selected Objects and Data.",
        )
    users = [other for other in bpy.data.objects if other.data == mesh]
    # Without those that were deleted and only a setting like ours keeps in the file.
    sharing = [other.name for other in users if other == obj or other.users_scene]
    if len(sharing) > 1:
        return TargetError(
            f"The mesh of '{obj.name}' is shared by {len(sharing)} objects ({', '.join(sharing[:3])}).",
            "Make it single-user: Object > Relations > Make Single User > Object & Data.",
        )
    key = mesh.shape_keys
    if key is not None and key.animation_data is not None and key.animation_data.use_tweak_mode:
        return TargetError(
            f"An NLA strip of the shape keys of '{obj.name}' is being tweaked.",
            "Leave Tweak Mode in the Nonlinear Animation editor (Tab).",
        )
    return None


def busy_mode(obj: bpy.types.Object) -> TargetError | None:
    """Why the object cannot be written right now though it could be later, or None."""
    mode = BUSY_MODES.get(obj.mode)
    if mode is None and isinstance(obj.data, bpy.types.Mesh) and obj.data.is_editmode:
        mode = BUSY_MODES["EDIT"]
    if mode is None:
        return None
    return TargetError(f"'{obj.name}' is in {mode}.", "Switch to Object Mode (Tab).")


def lost_rest(obj: bpy.types.Object) -> TargetError | None:
    """Why the shape at rest is not known any more, or None."""
    if not isinstance(obj.data, bpy.types.Mesh) or not keys.rest_is_lost(obj.data.shape_keys):
        return None
    return TargetError(
        f"The Basis of '{obj.name}' was deleted, and with it the shape at rest.",
        "Undo the deletion, or bring the mesh in again.",
    )


def count_obstacle(name: str, count: int, expected: int, model: str) -> TargetError | None:
    """Why a mesh of ``count`` vertices cannot be animated by a model of ``expected``, or None."""
    if count == expected:
        return None
    return TargetError(
        f"'{name}' has {count:,} vertices where the model '{model}' expects its own face of {expected:,}: "
        "fit that to it first, under Other Topology.",
        RETARGETING,
    )


def read_target(obj: bpy.types.Object | None, scene: bpy.types.Scene) -> Target:
    """The object's rest shape and polygons.  Raises TargetError for an object that cannot be animated."""
    refusal = obstacle(obj, scene)
    if refusal is not None:
        raise refusal
    assert obj is not None
    refusal = busy_mode(obj)
    if refusal is not None:
        raise refusal
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    refusal = lost_rest(obj)
    if refusal is not None:
        raise refusal
    corners = np.empty(len(mesh.loops), np.int32)
    mesh.loops.foreach_get("vertex_index", corners)
    starts, totals = np.empty(len(mesh.polygons), np.int32), np.empty(len(mesh.polygons), np.int32)
    mesh.polygons.foreach_get("loop_start", starts)
    mesh.polygons.foreach_get("loop_total", totals)
    return Target(obj.name, corners, starts, totals, rest_coordinates(mesh))


def rest_of(obj: bpy.types.Object) -> FloatArray:
    """As :func:`rest_coordinates`, of a mesh object."""
    assert isinstance(obj.data, bpy.types.Mesh)
    return rest_coordinates(obj.data)


def rest_coordinates(mesh: bpy.types.Mesh) -> FloatArray:
    """(V, 3) float32: the key at rest where there are shape keys, else the vertices."""
    rest = np.empty((len(mesh.vertices), 3), np.float32)
    if mesh.shape_keys is not None:
        keys.rest_key(mesh.shape_keys).points.foreach_get("co", rest.ravel())
    else:
        mesh.vertices.foreach_get("co", rest.ravel())
    return rest


def align(target: Target, face: FaceMesh, model: str) -> Similarity:
    """The similarity from the model's template to the target's rest shape.

    Raises TargetError when the target is not the model's face.
    """
    own_triangles(target, len(target.rest), face, model)
    try:
        return fit_similarity(face.vertices, target.rest)
    except TargetError as error:
        raise TargetError(f"'{target.name}': {error.message}", error.hint) from error


def own_triangles(mesh: Polygons, vertex_count: int, face: FaceMesh, model: str) -> IntArray:
    """(F, 3) the triangles of a mesh that has the connectivity of a model's face.

    Raises TargetError when it has another.
    """
    refusal = count_obstacle(mesh.name, vertex_count, face.vertex_count, model)
    if refusal is not None:
        raise refusal
    triangles = triangulate_like(mesh.corners, mesh.starts, mesh.totals, face.triangles, vertex_count)
    if compare(face.triangles, face.vertex_count, triangles, vertex_count) is not Match.SAME:
        expected = (
            f"{len(face.triangles):,} triangles"
            if len(face.triangles)
            else "a known topology (FLAME or BIWI)"
        )
        raise TargetError(
            f"'{mesh.name}' has the {vertex_count:,} vertices that the model '{model}' expects, but they are "
            f"connected differently ({len(triangles):,} triangles; expected: {expected} in its own order).",
            "An import or export may have reordered the vertices: import the original file again with its "
            f"vertex order kept, or fit the model's face to this one under Other Topology. {RETARGETING}",
        )
    return triangles
