"""The settings of an object -> which of its shape keys, and those of its other meshes, follow which shapes.

Until the animator edits it, the mapping is the automatic one by name, found anew when keys come or go.
Reading only: mapping_settings.py holds the settings, mapping_buttons.py changes them.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache

import bpy

from ...face import layers
from ...face.names import Drive, Match, NameMapping, match, merged
from ...face.shape_controls import ShapeControl
from ...face.shape_names import ARKIT, VISEMES
from ..writing import keys

#: The sets of shapes: identifier -> its name in sentences, and its shapes.
SETS = {"ARKIT": ("ARKit shapes", ARKIT), "VISEMES": ("visemes", VISEMES)}


def companions(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """The further meshes of the character that are in a scene, each once."""
    rows = (row.object for row in obj.codetalker.mapping.companions)
    found = [other for other in rows if other is not None and other != obj and other.users_scene]
    return list(dict.fromkeys(other for other in found if isinstance(other.data, bpy.types.Mesh)))


def meshes(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """The object and its companions."""
    return [obj, *companions(obj)]


def own_keys(obj: bpy.types.Object) -> list[str]:
    """The names of the animator's own keys on a mesh, without the Basis."""
    key = obj.data.shape_keys if isinstance(obj.data, bpy.types.Mesh) else None
    if key is None:
        return []
    passed = {key.reference_key.name, *keys.own_names(key)}
    return [name for name in key.key_blocks.keys() if name not in passed]  # noqa: SIM118 - the names


def shapes_of(obj: bpy.types.Object) -> tuple[str, ...]:
    """The shapes of the set that the object's settings name."""
    return SETS[obj.codetalker.mapping.shape_set][1]


def by_name(obj: bpy.types.Object) -> Match:
    """The automatic mapping.  Cheap when no key has come or gone."""
    return _by_name(shapes_of(obj), tuple(tuple(own_keys(mesh)) for mesh in meshes(obj)))


def matches(obj: bpy.types.Object, shapes: tuple[str, ...]) -> bool:
    """Whether a mesh has keys named like any of the shapes."""
    return bool(_by_name(shapes, (tuple(own_keys(obj)),)).mapping)


def of(obj: bpy.types.Object) -> NameMapping:
    """The mapping in use; of keys that are there."""
    rows = obj.codetalker.mapping.drives
    if not rows:
        return by_name(obj).mapping
    present = {name for mesh in meshes(obj) for name in own_keys(mesh)}
    found: dict[str, dict[str, Drive]] = {}
    for row in rows:
        if row.key in present:
            found.setdefault(row.shape, {})[row.key] = Drive(row.key, row.gain)
    return {shape: tuple(found[shape].values()) for shape in shapes_of(obj) if shape in found}


def for_layers(obj: bpy.types.Object) -> NameMapping:
    """The keys of blinks and looks where the set in use has no such shapes: by name."""
    missing = tuple(shape for shape in layers.SHAPES if shape not in shapes_of(obj))
    return _by_name(missing, tuple(tuple(own_keys(mesh)) for mesh in meshes(obj))).mapping


def controls(obj: bpy.types.Object) -> dict[str, ShapeControl]:
    """What is set per shape."""
    return {
        row.name: ShapeControl(row.enabled, min(row.low, row.high), row.high, row.multiplier, row.offset)
        for row in obj.codetalker.mapping.controls
    }


def settings_text(obj: bpy.types.Object) -> str:
    """All that the written values depend on, in 16 hexadecimal digits for comparing."""
    others = [other.name for other in companions(obj)]
    text = repr((obj.codetalker.mapping.shape_set, others, of(obj), controls(obj)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@lru_cache(maxsize=16)
def _by_name(shapes: tuple[str, ...], keys_of_meshes: tuple[tuple[str, ...], ...]) -> Match:
    return merged(match(shapes, names) for names in keys_of_meshes)
