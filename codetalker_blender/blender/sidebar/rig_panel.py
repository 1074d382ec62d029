"""The sub-panel Bones and Properties: what of the rig follows which shapes.  Computes nothing."""

from __future__ import annotations

import bpy

from ...face.rig_channels import PROPERTY
from ..layout import draw_setting, draw_text, for_properties
from ..retargeting import rig_buttons, rig_rules, rig_settings, rig_values
from .base import SidebarPanel
from .mapping_panel import CODETALKER_PT_mapping

#: What a channel is measured in.
UNITS = {"LOCATION": "Units", "ROTATION": "Degrees", "SCALE": "Factor", PROPERTY: "Value"}


class CODETALKER_UL_channels(bpy.types.UIList):
    """Whether a row is used, the shape, and what follows it."""

    bl_idname = "CODETALKER_UL_channels"

    def draw_item(
        self,
        context: bpy.types.Context,
        layout: bpy.types.UILayout,
        data: object,
        item: object,
        icon: int,
        active_data: object,
        active_property: str,
        index: int = 0,
        flt_flag: int = 0,
    ) -> None:
        assert isinstance(item, rig_settings.CODETALKER_PG_channel)
        row = layout.row(align=True)
        row.use_property_split = False  # the panel's would leave the list's left half empty
        row.prop(item, "enabled", text="")
        row.label(text=f"{item.shape} → {rig_rules.rule_of(item).channel}", translate=False)


class CODETALKER_PT_rig(SidebarPanel):
    bl_idname = "CODETALKER_PT_rig"
    bl_parent_id = CODETALKER_PT_mapping.bl_idname
    bl_label = "Bones and Properties"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        obj = context.scene.codetalker.target
        group, rig = obj.codetalker.rig, rig_rules.rig_of(obj)
        draw_setting(layout, group, "object")
        if group.object is None and rig is not None:
            layout.label(text=rig.name, translate=False, icon="ARMATURE_DATA")
        if coverage := rig_values.coverage(obj):
            draw_text(layout, context, coverage, "INFO" if rig is not None else "ERROR")
        row = layout.row(align=True)
        row.operator(rig_buttons.CODETALKER_OT_jaw_channels.bl_idname)
        row.operator(rig_buttons.CODETALKER_OT_rigify_channels.bl_idname)
        row.operator(rig_buttons.CODETALKER_OT_head_channels.bl_idname)
        row = layout.row()
        row.template_list(
            CODETALKER_UL_channels.bl_idname, "", group, "channels", group, "active_channel", rows=4
        )
        column = row.column(align=True)
        column.operator(rig_buttons.CODETALKER_OT_add_channel.bl_idname, text="", icon="ADD")
        column.operator(rig_buttons.CODETALKER_OT_remove_channel.bl_idname, text="", icon="REMOVE")
        column.operator(rig_buttons.CODETALKER_OT_clear_channels.bl_idname, text="", icon="X")
        if 0 <= group.active_channel < len(group.channels):
            _draw_row(layout, group.channels[group.active_channel])


def _draw_row(layout: bpy.types.UILayout, row: rig_settings.CODETALKER_PG_channel) -> None:
    column = layout.column()
    for name in ("shape", "kind"):
        draw_setting(column, row, name)
    if row.kind == PROPERTY:
        draw_setting(column, row, "holder")
    if row.kind != PROPERTY or row.holder == "BONE":
        draw_setting(column, row, "bone", icon="BONE_DATA")
    if row.kind == PROPERTY:
        draw_setting(column, row, "property_name")
    else:
        column.row().prop(row, "axis", expand=True)
    numbers = column.column(align=True)
    numbers.prop(row, "input_low")
    numbers.prop(row, "input_high", text="Maximum")
    numbers = column.column(align=True)
    numbers.label(text=UNITS[row.kind])
    numbers.prop(row, "output_low")
    numbers.prop(row, "output_high", text="Maximum")


CLASSES = (CODETALKER_UL_channels, CODETALKER_PT_rig)
