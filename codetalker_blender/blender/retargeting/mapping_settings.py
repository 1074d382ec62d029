"""The settings of the mapping: its rows, the limits of shapes, the character's other meshes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ...errors import UserError
from ...face.head_motion import HEAD_ANGLES
from ...face.mapping_files import read_mapping
from ...face.names import Drive, NameMapping
from . import mapping, rig_settings
from .follow import pause, rewrite


def _other_set(group: CODETALKER_PG_mapping, context: bpy.types.Context) -> None:
    """Rows name the shapes of one set and mean nothing in the other."""
    group.drives.clear()
    group.controls.clear()
    rewrite(group, context)


def _key_names(group: CODETALKER_PG_drive, context: bpy.types.Context, typed: str) -> list[str]:
    obj = group.id_data
    assert isinstance(obj, bpy.types.Object)
    return list(dict.fromkeys(name for mesh in mapping.meshes(obj) for name in mapping.own_keys(mesh)))


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
            update=rewrite,
        )
        gain: bpy.props.FloatProperty(
            name="Gain",
            description="Factor from the shape's weight to the key's value",
            default=1.0,
            soft_min=0.0,
            soft_max=2.0,
            options=set(),
            update=rewrite,
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
            update=rewrite,
        )
        low: bpy.props.FloatProperty(
            name="Minimum",
            description="The shape's weight goes no lower",
            default=0.0,
            soft_min=-1.0,
            soft_max=1.0,
            options=set(),
            update=rewrite,
        )
        high: bpy.props.FloatProperty(
            name="Maximum",
            description="The shape's weight goes no higher",
            default=1.0,
            soft_min=0.0,
            soft_max=2.0,
            options=set(),
            update=rewrite,
        )
        multiplier: bpy.props.FloatProperty(
            name="Multiplier",
            description="Factor on the shape's weight, within its limits",
            default=1.0,
            soft_min=0.0,
            soft_max=2.0,
            options=set(),
            update=rewrite,
        )
        offset: bpy.props.FloatProperty(
            name="Offset",
            description="Added to the shape's weight, within its limits",
            soft_min=-1.0,
            soft_max=1.0,
            options=set(),
            update=rewrite,
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
    with pause():
        group.drives.clear()
        for shape in mapping.shapes_of(obj):
            for drive in drives.get(shape, ()) or (Drive(""),):
                row = group.drives.add()
                row.shape, row.key, row.gain = shape, drive.key, drive.gain
            if shape not in group.controls:
                group.controls.add().name = shape
        group.active_drive = 0


def load(obj: bpy.types.Object, path: Path) -> None:
    """Let the rows show a saved mapping, and the shapes be of the set that it is about.  Raises UserError.

    A file without channels leaves those of the rig, and one without keys those of the mesh.  The animation
    does not follow yet.
    """
    preset = read_mapping(path)
    used = {*preset.drives, *(rule.shape for rule in preset.rules)}
    fitting = next((name for name, (_, shapes) in mapping.SETS.items() if used & set(shapes)), None)
    if fitting is None and used & set(HEAD_ANGLES):
        fitting = obj.codetalker.mapping.shape_set
    if fitting is None:
        raise UserError(f"'{path.name}' maps neither ARKit shapes nor visemes.", "Choose another.")
    group = obj.codetalker.mapping
    if group.shape_set != fitting:
        group.shape_set = fitting
    if preset.drives:
        fill(obj, preset.drives)
    if preset.rules:
        rig_settings.fill(obj, preset.rules, clear=True)


GROUPS = (CODETALKER_PG_drive, CODETALKER_PG_control, CODETALKER_PG_companion, CODETALKER_PG_mapping)
