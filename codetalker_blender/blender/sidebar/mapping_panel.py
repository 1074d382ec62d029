"""The sub-panel Mapping: which of the mesh's keys follow which shapes.  Computes nothing."""

from __future__ import annotations

import bpy

from ..layout import draw_setting, draw_text, for_properties
from ..retargeting import existing, mapping, mapping_buttons, mapping_settings
from .base import SidebarPanel
from .panels import CODETALKER_PT_generate

#: So many names of a kind are listed.
LISTED = 8


class CODETALKER_UL_drives(bpy.types.UIList):
    """Whether a shape is used, the shape, and the key that follows it, if it is called otherwise."""

    bl_idname = "CODETALKER_UL_drives"

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
        assert isinstance(data, mapping_settings.CODETALKER_PG_mapping)
        assert isinstance(item, mapping_settings.CODETALKER_PG_drive)
        row = layout.row(align=True)
        row.use_property_split = False  # the panel's would leave the list's left half empty
        control = data.controls.get(item.shape)
        if control is not None:
            row.prop(control, "enabled", text="")
        # the key is chosen below the list: beside the shape neither could be read
        text = item.shape if item.key in (item.shape, "") else f"{item.shape} → {item.key}"
        row.label(text=text, translate=False, icon="NONE" if item.key else "ERROR")


class CODETALKER_PT_mapping(SidebarPanel):
    bl_idname = "CODETALKER_PT_mapping"
    bl_parent_id = CODETALKER_PT_generate.bl_idname
    bl_label = "Mapping"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        obj = context.scene.codetalker.target
        return obj is not None and obj.type == "MESH" and obj.codetalker.output == "EXISTING"

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        obj = context.scene.codetalker.target
        group = obj.codetalker.mapping
        draw_setting(layout, group, "shape_set")
        _draw_found(layout, context, obj)
        layout.operator(mapping_buttons.CODETALKER_OT_auto_map.bl_idname, icon="FILE_REFRESH")
        if group.drives:
            _draw_rows(layout, group)
        row = layout.row(align=True)
        row.operator(mapping_buttons.CODETALKER_OT_load_mapping.bl_idname)
        row.operator(mapping_buttons.CODETALKER_OT_save_mapping.bl_idname)
        layout.operator("codetalker.import_weights", icon="IMPORT")
        draw_companions(layout, obj)


def draw_companions(layout: bpy.types.UILayout, obj: bpy.types.Object) -> None:
    """The meshes that are driven together with the target, and their buttons."""
    column = layout.column(align=True)
    for other in mapping.companions(obj):
        column.label(text=other.name, translate=False, icon="MESH_DATA")
    column.operator(mapping_buttons.CODETALKER_OT_add_companions.bl_idname, icon="ADD")
    if obj.codetalker.mapping.companions:
        column.operator(mapping_buttons.CODETALKER_OT_clear_companions.bl_idname, icon="X")


def _draw_found(layout: bpy.types.UILayout, context: bpy.types.Context, obj: bpy.types.Object) -> None:
    column = layout.column(align=True)
    draw_text(column, context, existing.coverage(obj), "INFO" if mapping.of(obj) else "ERROR")
    found = mapping.by_name(obj)
    if found.unmapped_keys:
        names = ", ".join(found.unmapped_keys[:LISTED])
        more = " ..." if len(found.unmapped_keys) > LISTED else ""
        draw_text(column, context, f"Other keys: {names}{more}", "INFO")
    for doubt in found.doubtful[:LISTED]:
        draw_text(column, context, f"{doubt.key}: {doubt.reason}", "QUESTION")


def _draw_rows(layout: bpy.types.UILayout, group: mapping_settings.CODETALKER_PG_mapping) -> None:
    row = layout.row()
    row.template_list(CODETALKER_UL_drives.bl_idname, "", group, "drives", group, "active_drive", rows=6)
    row.operator(mapping_buttons.CODETALKER_OT_add_drive.bl_idname, text="", icon="ADD")
    if not 0 <= group.active_drive < len(group.drives):
        return
    chosen = group.drives[group.active_drive]
    control = group.controls.get(chosen.shape)
    draw_setting(layout, chosen, "key", icon="SHAPEKEY_DATA")
    column = layout.column(align=True)
    column.prop(chosen, "gain")
    if control is not None:
        for name in ("low", "high", "multiplier", "offset"):
            column.prop(control, name)


CLASSES = (CODETALKER_UL_drives, CODETALKER_PT_mapping)
