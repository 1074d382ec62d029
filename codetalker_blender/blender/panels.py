"""The sidebar tab.  Shows settings and readiness; computes nothing."""

from __future__ import annotations

import bpy

from . import generation, jobs, models
from .operators import CODETALKER_OT_cancel, CODETALKER_OT_generate


class CODETALKER_PT_generate(bpy.types.Panel):
    bl_idname = "CODETALKER_PT_generate"
    bl_label = "CodeTalker"
    bl_category = "CodeTalker"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.codetalker
        column = layout.column()
        column.prop(settings, "audio")
        column.prop(settings, "target")
        column.prop(settings, "model")
        if settings.model == models.OTHER_FOLDER:
            column.prop(settings, "model_folder")
        column.prop(settings, "style")
        run = jobs.current()
        if run is not None:
            layout.progress(factor=run.fraction, text=run.label)
            layout.operator(CODETALKER_OT_cancel.bl_idname, icon="CANCEL")
            return
        button = layout.column()
        button.scale_y = 1.4
        button.operator(CODETALKER_OT_generate.bl_idname, icon="PLAY_SOUND")
        box = layout.column(align=True)
        for check in generation.checks(context):
            box.label(text=check.reason or check.label, icon="ERROR" if check.reason else "CHECKMARK")


class CODETALKER_PT_sampling(bpy.types.Panel):
    bl_idname = "CODETALKER_PT_sampling"
    bl_parent_id = CODETALKER_PT_generate.bl_idname
    bl_label = "Sampling"
    bl_category = "CodeTalker"
    bl_space_type = "VIEW_3D"
    bl_region_type = "UI"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        layout.use_property_decorate = False
        settings = context.scene.codetalker
        layout.prop(settings, "device")
        layout.prop(settings, "use_temperature")
        row = layout.row()
        row.enabled = settings.use_temperature
        row.prop(settings, "temperature")
        layout.prop(settings, "seed")
