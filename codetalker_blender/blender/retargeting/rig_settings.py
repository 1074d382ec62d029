"""The settings of the rig's channels: rows of a shape and the bone or custom property that follows it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import bpy

from ...face.rig_channels import PROPERTY, Rule
from . import rig_rules
from .follow import pause, rewrite
from .rig_rules import AXES


def _target(group: bpy.types.PropertyGroup) -> bpy.types.Object:
    obj = group.id_data
    assert isinstance(obj, bpy.types.Object)
    return obj


def _shape_names(group: CODETALKER_PG_channel, context: bpy.types.Context, typed: str) -> list[str]:
    return list(rig_rules.sources_of(_target(group)))


def _bone_names(group: CODETALKER_PG_channel, context: bpy.types.Context, typed: str) -> list[str]:
    found = rig_rules.rig_of(_target(group))
    return [bone.name for bone in found.pose.bones] if found is not None and found.pose is not None else []


def _property_names(group: CODETALKER_PG_channel, context: bpy.types.Context, typed: str) -> list[str]:
    found = rig_rules.rig_of(_target(group))
    holder = rig_rules.holder_of(found, rig_rules.rule_of(group).channel) if found is not None else None
    own = list(holder.keys()) if holder is not None else []
    return [name for name in own if isinstance(holder[name], float | int)]


class CODETALKER_PG_channel(bpy.types.PropertyGroup):
    """A row: a shape, and what of the rig follows it."""

    if TYPE_CHECKING:
        enabled: bool
        shape: str
        kind: str
        bone: str
        axis: str
        holder: str
        property_name: str
        input_low: float
        input_high: float
        output_low: float
        output_high: float
    else:
        enabled: bpy.props.BoolProperty(
            name="Enabled",
            description="Let this channel follow",
            default=True,
            options=set(),
            update=rewrite,
        )
        shape: bpy.props.StringProperty(
            name="Shape",
            description=(
                "Shape that the channel follows, or a turn of the layer Head Motion in degrees: headYaw, "
                "headPitch, headRoll"
            ),
            search=_shape_names,
            options=set(),
            update=rewrite,
        )
        kind: bpy.props.EnumProperty(
            name="Channel",
            description="What follows the shape",
            items=(
                ("LOCATION", "Location", "The bone goes along one of its own axes, on top of its pose"),
                ("ROTATION", "Rotation", "The bone turns about one of its own axes, on top of its pose"),
                ("SCALE", "Scale", "The bone grows along one of its own axes, as a factor on its pose"),
                (PROPERTY, "Custom Property", "A custom property gets the value"),
            ),
            default="ROTATION",
            options=set(),
            update=rewrite,
        )
        bone: bpy.props.StringProperty(
            name="Bone",
            description="Bone of the rig",
            search=_bone_names,
            search_options={"SUGGESTION", "SORT"},
            options=set(),
            update=rewrite,
        )
        axis: bpy.props.EnumProperty(
            name="Axis",
            description="Axis of the bone itself, as Display Axes shows it",
            items=(("X", "X", ""), ("Y", "Y", "Along the bone"), ("Z", "Z", "")),
            options=set(),
            update=rewrite,
        )
        holder: bpy.props.EnumProperty(
            name="Of",
            description="Whose custom property it is",
            items=(
                ("OBJECT", "Object", "The rig's object"),
                ("DATA", "Armature", "The rig's armature"),
                ("BONE", "Bone", "A bone in Pose Mode"),
            ),
            options=set(),
            update=rewrite,
        )
        property_name: bpy.props.StringProperty(
            name="Property",
            description="Custom property with a number",
            search=_property_names,
            search_options={"SUGGESTION", "SORT"},
            options=set(),
            update=rewrite,
        )
        input_low: bpy.props.FloatProperty(
            name="Input Minimum",
            description="Weight of the shape at which the channel begins to move",
            options=set(),
            update=rewrite,
        )
        input_high: bpy.props.FloatProperty(
            name="Input Maximum",
            description="Weight of the shape from which on the channel moves no further",
            default=1.0,
            options=set(),
            update=rewrite,
        )
        output_low: bpy.props.FloatProperty(
            name="Output Minimum",
            description=(
                "What the channel gets at Input Minimum: degrees of rotation, units of location, a factor of "
                "scale, or a property's value"
            ),
            options=set(),
            precision=3,
            update=rewrite,
        )
        output_high: bpy.props.FloatProperty(
            name="Output Maximum",
            description=(
                "What the channel gets at Input Maximum: degrees of rotation, units of location, a factor of "
                "scale, or a property's value"
            ),
            default=1.0,
            options=set(),
            precision=3,
            update=rewrite,
        )


class CODETALKER_PG_rig(bpy.types.PropertyGroup):
    if TYPE_CHECKING:
        object: bpy.types.Object | None
        channels: bpy.types.bpy_prop_collection_idprop[CODETALKER_PG_channel]
        active_channel: int
    else:
        object: bpy.props.PointerProperty(
            name="Rig",
            description=(
                "Object whose bones or custom properties follow; without one, the armature that deforms the "
                "target or is its parent"
            ),
            type=bpy.types.Object,
            update=rewrite,
        )
        channels: bpy.props.CollectionProperty(type=CODETALKER_PG_channel)
        active_channel: bpy.props.IntProperty(name="Active Row", options=set())


def fill(obj: bpy.types.Object, rules: Iterable[Rule], *, clear: bool) -> None:
    """Add rows for rules, or let the rows be those.  The animation does not follow yet."""
    group = obj.codetalker.rig
    with pause():
        if clear:
            group.channels.clear()
        for rule in rules:
            row, channel = group.channels.add(), rule.channel
            row.shape, row.kind, row.bone = rule.shape, channel.kind, channel.bone
            row.axis = AXES[channel.axis]
            if channel.holder:
                row.holder, row.property_name = channel.holder, channel.name
            row.input_low, row.input_high = rule.input
            row.output_low, row.output_high = rule.output
        group.active_channel = max(0, min(group.active_channel, len(group.channels) - 1))


GROUPS = (CODETALKER_PG_channel, CODETALKER_PG_rig)
