"""The settings of an object -> which of its shape keys, and those of its other meshes, follow which shapes.

Until the animator edits it, the mapping is the automatic one by name, found anew when keys come or go.
Settings and reading them only; mapping_buttons.py changes them.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING

import bpy

from ...face.names import Drive, Match, NameMapping, match, merged
from ...face.shape_names import ARKIT, VISEMES
from ...face.weights import ShapeControl
from ..writing import keys

#: The sets of shapes: identifier -> its name in sentences, and its shapes.
SETS = {"ARKIT": ("ARKit shapes", ARKIT), "VISEMES": ("visemes", VISEMES)}


def _follow(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    from ..writing.follow import rewrite  # noqa: PLC0415 - it imports what imports this

    if not CODETALKER_PG_mapping.filling:
        rewrite(group, context)


def _other_set(group: CODETALKER_PG_mapping, context: bpy.types.Context) -> None:
    """Rows name the shapes of one set and mean nothing in the other."""
    group.drives.clear()
    group.controls.clear()
    _follow(group, context)


def _key_names(group: CODETALKER_PG_drive, context: bpy.types.Context, typed: str) -> list[str]:
    obj = group.id_data
    assert isinstance(obj, bpy.types.Object)
    return list(dict.fromkeys(name for mesh in meshes(obj) for name in own_keys(mesh)))


def _is_mesh(group: CODETALKER_PG_companion, obj: bpy.types.Object) -> bool:
    return obj.type == "MESH" and obj != group.id_data


class CODETALKER_PG_drive(bpy.types.PropertyGroup):
    """A row of the mapping: a shape and a key that follows it; without a key the shape drives nothing."""

    if TYPE_CHECKING:
        shape: str
        key: str
        gain: float
    else:
        shape: bpy.props.StringProperty(name="Shape", options=set())
        key: bpy.props.StringProperty(
            name="Key",
            description="Shape key that follows the shape; empty for none",
            search=_key_names,
            search_options={"SUGGESTION", "SORT"},
            options=set(),
            update=_follow,
        )
        gain: bpy.props.FloatProperty(
            name="Gain",
            description="Factor from the shape's weight to the key's value",
            default=1.0,
            soft_min=0.0,
            soft_max=2.0,
            options=set(),
            update=_follow,
        )


class CODETALKER_PG_control(bpy.types.PropertyGroup):
    """What is set for one shape; ``name`` is the shape's."""

    if TYPE_CHECKING:
        enabled: bool
        low: float
        high: float
        multiplier: float
        offset: float
    else:
        enabled: bpy.props.BoolProperty(
            name="Enabled",
            description="Use this shape; without it the others take over what they can",
            default=True,
            options=set(),
            update=_follow,
        )
        low: bpy.props.FloatProperty(
            name="Minimum",
            description="The shape's weight goes no lower",
            default=0.0,
            soft_min=-1.0,
            soft_max=1.0,
            options=set(),
            update=_follow,
        )
        high: bpy.props.FloatProperty(
            name="Maximum",
            description="The shape's weight goes no higher",
            default=1.0,
            soft_min=0.0,
            soft_max=2.0,
            options=set(),
            update=_follow,
        )
        multiplier: bpy.props.FloatProperty(
            name="Multiplier",
            description="Factor on the shape's weight, within its limits",
            default=1.0,
            soft_min=0.0,
            soft_max=2.0,
            options=set(),
            update=_follow,
        )
        offset: bpy.props.FloatProperty(
            name="Offset",
            description="Added to the shape's weight, within its limits",
            soft_min=-1.0,
            soft_max=1.0,
            options=set(),
            update=_follow,
        )


class CODETALKER_PG_companion(bpy.types.PropertyGroup):
    if TYPE_CHECKING:
        object: bpy.types.Object | None
    else:
        object: bpy.props.PointerProperty(
            name="Mesh",
            description="Mesh driven together with the target",
            type=bpy.types.Object,
            poll=_is_mesh,
        )


class CODETALKER_PG_mapping(bpy.types.PropertyGroup):
    #: Whether rows are being filled, each of which the animation would follow.
    filling = False

    if TYPE_CHECKING:
        shape_set: str
        drives: bpy.types.bpy_prop_collection_idprop[CODETALKER_PG_drive]
        active_drive: int
        controls: bpy.types.bpy_prop_collection_idprop[CODETALKER_PG_control]
        companions: bpy.types.bpy_prop_collection_idprop[CODETALKER_PG_companion]
    else:
        shape_set: bpy.props.EnumProperty(
            name="Shapes",
            description="Which shapes the motion is solved for",
            items=(
                ("ARKIT", "ARKit", "The 52 shapes of Apple's face tracking"),
                ("VISEMES", "Visemes", "The 15 mouth shapes of the Oculus lip sync"),
            ),
            options=set(),
            update=_other_set,
        )
        drives: bpy.props.CollectionProperty(type=CODETALKER_PG_drive)
        active_drive: bpy.props.IntProperty(name="Active Row", options=set())
        controls: bpy.props.CollectionProperty(type=CODETALKER_PG_control)
        companions: bpy.props.CollectionProperty(type=CODETALKER_PG_companion)


def fill(obj: bpy.types.Object, drives: NameMapping) -> None:
    """Let the rows show a mapping: one per key, and one for every shape without any; controls stay.

    The animation does not follow yet.
    """
    group = obj.codetalker.mapping
    CODETALKER_PG_mapping.filling = True
    try:
        group.drives.clear()
        for shape in shapes_of(obj):
            for drive in drives.get(shape, ()) or (Drive(""),):
                row = group.drives.add()
                row.shape, row.key, row.gain = shape, drive.key, drive.gain
            if shape not in group.controls:
                group.controls.add().name = shape
        group.active_drive = 0
    finally:
        CODETALKER_PG_mapping.filling = False


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


GROUPS = (CODETALKER_PG_drive, CODETALKER_PG_control, CODETALKER_PG_companion, CODETALKER_PG_mapping)
