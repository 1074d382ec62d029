"""Scenes for the tests: sheets of quads, evaluated coordinates, and a dump of everything in the file."""

from __future__ import annotations

import warnings
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

Coordinates = NDArray[np.float32]

#: Properties that say how memory is laid out or what is drawn, not what the file holds.
IGNORED = {
    "rna_type", "session_uid", "is_evaluated", "original", "tag", "is_updated", "is_updated_data", "preview",
    "is_runtime_data", "bl_system_properties_get", "depsgraph", "evaluated_depsgraph", "is_editmode",
}  # fmt: skip
#: Collections and arrays worth following, by the struct that holds them.
FOLLOWED = {
    "animation_data", "nla_tracks", "strips", "drivers", "driver", "variables", "targets", "key_blocks",
    "fcurves", "keyframe_points", "modifiers", "shape_keys", "layers", "channelbags", "slots",
    "sequence_editor", "sequences", "strips_all", "sequences_all", "codetalker", "vertices", "render",
    "sound",
}  # fmt: skip


def sheet_vertices(columns: int = 7, rows: int = 6) -> Coordinates:
    """The vertices of the small model's face: a bent sheet, metres, Z up."""
    x, z = np.meshgrid(np.linspace(-0.1, 0.1, columns), np.linspace(-0.13, 0.13, rows))
    sheet: Coordinates = np.stack((x, 3.0 * x**2 + 0.4 * z * x, z), axis=-1).astype(np.float32)
    return sheet.reshape(-1, 3)


def sheet_quads(columns: int = 7, rows: int = 6) -> NDArray[np.int64]:
    index = np.arange(rows * columns).reshape(rows, columns)
    quads: NDArray[np.int64] = np.stack(
        (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]), axis=-1
    ).reshape(-1, 4)
    return quads


def add_mesh(name: str, vertices: Coordinates, faces: NDArray[Any]) -> bpy.types.Object:
    """A mesh object in the scene."""
    mesh = bpy.data.meshes.new(name)
    mesh.from_pydata(vertices.tolist(), [], faces.tolist())
    mesh.update()
    obj = bpy.data.objects.new(name, mesh)
    bpy.context.scene.collection.objects.link(obj)
    return obj


def add_sheet(name: str = "Face") -> bpy.types.Object:
    """An object with the small model's own face, as quads."""
    return add_mesh(name, sheet_vertices(), sheet_quads())


def evaluated(obj: bpy.types.Object, frame: int, subframe: float = 0.0) -> Coordinates:
    """(V, 3) the mesh as Blender deforms it at a frame, in the object's own space."""
    bpy.context.scene.frame_set(frame, subframe=subframe)
    instance = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = instance.to_mesh()
    found = np.empty((len(mesh.vertices), 3), np.float32)
    mesh.vertices.foreach_get("co", found.ravel())
    instance.to_mesh_clear()
    return found


def height(vertices: Coordinates) -> float:
    """The largest extent, against which errors are measured."""
    return float(np.ptp(vertices, axis=0).max())


def dump() -> dict[str, Any]:
    """Everything in the file that somebody could miss, as plain values, for comparing before and after."""
    found: dict[str, Any] = {}
    with warnings.catch_warnings():
        # It reads all properties, those that Blender will drop too.
        warnings.simplefilter("ignore", DeprecationWarning)
        for kind in ("scenes", "objects", "meshes", "shape_keys", "actions", "sounds", "collections"):
            for item in getattr(bpy.data, kind):
                found[f"{kind}/{item.name}"] = _plain(item)
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, bpy.types.bpy_struct):
        values: dict[str, Any] = {}
        for prop in value.bl_rna.properties:
            name = prop.identifier
            if name in IGNORED:
                continue
            if prop.type == "COLLECTION":
                if name in FOLLOWED:
                    values[name] = [_plain(item) for item in getattr(value, name)]
            elif prop.type == "POINTER":
                item = getattr(value, name)
                follow = name in FOLLOWED and item is not None
                values[name] = _plain(item) if follow else getattr(item, "name", item is not None)
            else:
                item = getattr(value, name)
                values[name] = tuple(np.array(item).ravel()) if getattr(prop, "is_array", False) else item
        if isinstance(value, bpy.types.ShapeKey):
            points = np.empty(3 * len(value.points), np.float32)
            value.points.foreach_get("co", points)
            values["points"] = points.tobytes()
        if isinstance(value, bpy.types.ID | bpy.types.bpy_struct) and hasattr(value, "keys"):
            try:
                values["custom"] = {key: _custom(value[key]) for key in value.keys()}  # noqa: SIM118
            except TypeError:
                values["custom"] = None
        return values
    return value if isinstance(value, str | int | float | bool | None) else str(value)


def _custom(value: Any) -> Any:
    return value.to_dict() if hasattr(value, "to_dict") else str(value)


def differences(before: Any, after: Any, path: str = "") -> list[str]:
    """Where two dumps differ, for a reader."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = sorted(set(before) | set(after))
        found = [differences(before.get(n, "nothing"), after.get(n, "nothing"), f"{path}.{n}") for n in names]
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        pairs = enumerate(zip(before, after, strict=True))
        found = [differences(one, other, f"{path}[{index}]") for index, (one, other) in pairs]
    else:
        return [] if before == after else [f"{path}: {before!r:.80} -> {after!r:.80}"]
    return [line for lines in found for line in lines]
