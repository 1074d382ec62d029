"""The settings of an object -> its rig, and the rules by which bones and custom properties follow shapes.

Reading only: rig_settings.py holds the settings, rig_buttons.py changes them.
"""

from __future__ import annotations

from typing import Any

import bpy

from ...face import layers
from ...face.head_motion import HEAD_ANGLES
from ...face.rig_channels import PROPERTY, RigChannel, Rule
from . import mapping

AXES = "XYZ"


def rig_of(obj: bpy.types.Object) -> bpy.types.Object | None:
    """The rig that the settings name, or the armature that deforms the object or is its parent."""
    group = obj.codetalker.rig
    # Asked for while it is not set, Blender would write an empty one into the file.
    named: bpy.types.Object | None = group.object if group.is_property_set("object") else None
    if named is not None:
        return named if named.users_scene else None
    deforming = [mod.object for mod in obj.modifiers if isinstance(mod, bpy.types.ArmatureModifier)]
    found = [one for one in (*deforming, obj.parent) if one is not None and one.type == "ARMATURE"]
    return found[0] if found else None


def holder_of(rig: bpy.types.Object, channel: RigChannel) -> bpy.types.bpy_struct | None:
    """Whose custom property a channel is; None where the rig lacks it."""
    if channel.holder == "OBJECT":
        return rig
    if channel.holder == "DATA":
        return rig.data if isinstance(rig.data, bpy.types.Armature) else None
    return rig.pose.bones.get(channel.bone) if rig.pose is not None else None


def rule_of(row: Any) -> Rule:
    """A row as a rule."""
    if row.kind == PROPERTY:
        bone = row.bone if row.holder == "BONE" else ""
        channel = RigChannel(PROPERTY, bone, holder=row.holder, name=row.property_name)
    else:
        channel = RigChannel(row.kind, row.bone, AXES.index(row.axis))
    # As they were typed, not as single precision has them.
    low, high, first, last = (
        round(value, 6) for value in (row.input_low, row.input_high, row.output_low, row.output_high)
    )
    return Rule(row.shape, channel, (low, high), (first, last))


def sources_of(obj: bpy.types.Object) -> tuple[str, ...]:
    """What channels can follow: the shapes that are solved for, and what layers move."""
    return tuple(dict.fromkeys((*mapping.shapes_of(obj), *layers.SHAPES, *HEAD_ANGLES)))


def follows_head(obj: bpy.types.Object) -> bool:
    """Whether rows are there for the turns of the head, so that no object turns for it."""
    return obj.codetalker.output == "EXISTING" and any(rule.shape in HEAD_ANGLES for rule in rules_of(obj))


def rules_of(obj: bpy.types.Object) -> list[Rule]:
    """All rows that are switched on and whose shape is one of :func:`sources_of`."""
    shapes = sources_of(obj)
    return [rule_of(row) for row in obj.codetalker.rig.channels if row.enabled and row.shape in shapes]


def settings_text(obj: bpy.types.Object) -> str:
    """All that the written values depend on; empty where no row is on."""
    rules, rig = rules_of(obj), rig_of(obj)
    return repr((rig.name if rig else "", rules)) if rules else ""
