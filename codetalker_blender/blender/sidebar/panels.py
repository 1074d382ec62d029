"""The sidebar tab.  Shows settings and readiness; computes nothing."""

from __future__ import annotations

import bpy

from ...errors import UserError
from ..bundles import models
from ..layout import draw_text, for_properties
from ..mesh.demo_head import CODETALKER_OT_add_demo_head
from ..retargeting import tuning
from ..retargeting.outcomes import outcome_of
from ..runs import generation, jobs
from ..setup.installation_operators import CODETALKER_OT_open_preferences
from ..sound import sources
from . import model_panels, presets
from .base import SidebarPanel
from .operators import (
    CODETALKER_OT_generate,
    CODETALKER_OT_remove,
    CODETALKER_OT_reset_tuning,
    CODETALKER_OT_rewrite,
)

NOT_MARKED = "Not marked on this model's face"
#: What the regions are called beside their sliders.
REGION_LABELS = {"mouth": "Mouth", "jaw": "Jaw", "upper_face": "Upper Face", "eyelids": "Eyelids"}


class CODETALKER_PT_generate(SidebarPanel):
    bl_idname = "CODETALKER_PT_generate"
    bl_label = "CodeTalker"

    def draw_header_preset(self, context: bpy.types.Context) -> None:
        presets.CODETALKER_PT_presets.draw_panel_header(self.layout)

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        settings = context.scene.codetalker
        column = layout.column()
        column.prop(settings, "source")
        if settings.source == sources.FILE:
            column.prop(settings, "audio")
        elif settings.source == sources.STRIP_BY_NAME:
            column.prop(settings, "strip", icon="SOUND")
        column.prop(settings, "limit_to_scene_range")
        draw_speaker(layout, context)
        _draw_output(layout, context, settings.target)
        draw_run(layout, context, CODETALKER_OT_generate.bl_label)
        layout.operator(CODETALKER_OT_remove.bl_idname, icon="TRASH")


class CODETALKER_PT_tuning(SidebarPanel):
    bl_idname = "CODETALKER_PT_tuning"
    bl_parent_id = CODETALKER_PT_generate.bl_idname
    bl_label = "Tuning"

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        obj = context.scene.codetalker.target
        refusal = tuning.obstacle(obj, context.scene)
        if refusal is not None:
            _draw_reason(layout, context, refusal)
        if obj is None:
            return
        column = layout.column()
        column.enabled = refusal is None
        group, outcome = obj.codetalker, outcome_of(obj)
        absent = [name for name in tuning.SLIDERS if outcome is not None and name not in outcome.regions]
        # a column's own heading is not drawn beside numbers
        for kind, heading in enumerate(("Strength", "Smoothing")):
            rows = column.column(align=True)
            rows.label(text=heading)
            for region, sliders in tuning.SLIDERS.items():
                if region not in absent:
                    rows.prop(group, sliders[kind], text=REGION_LABELS[region])
        column.separator()
        if outcome is None or outcome.has_mid_lips:
            column.prop(group, "closure")
        else:
            absent.append("closure")
        column.prop(group, "offset_s")
        if absent:
            names = ", ".join(REGION_LABELS.get(name, "Lip Closure") for name in absent)
            layout.label(text=f"{NOT_MARKED}: {names}", icon="INFO")
        if refusal is None and not tuning.is_applied(obj):
            layout.label(text="These settings are not applied yet", icon="INFO")
            layout.operator(CODETALKER_OT_rewrite.bl_idname, icon="FILE_REFRESH")
        layout.operator(CODETALKER_OT_reset_tuning.bl_idname, icon="LOOP_BACK")


class CODETALKER_PT_sampling(SidebarPanel):
    bl_idname = "CODETALKER_PT_sampling"
    bl_parent_id = CODETALKER_PT_generate.bl_idname
    bl_label = "Variation"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        settings = context.scene.codetalker
        layout.prop(settings, "device")
        model_panels.draw_variation(layout, settings)


def draw_speaker(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    """Who speaks, and how."""
    settings = context.scene.codetalker
    column = layout.column()
    column.prop(settings, "target")
    if settings.target is None:
        column.operator(CODETALKER_OT_add_demo_head.bl_idname, icon="MONKEY")
    column.prop(settings, "model")
    if settings.model == models.OTHER_FOLDER:
        column.prop(settings, "model_folder")
    model_panels.draw_style(column, settings)


def draw_run(layout: bpy.types.UILayout, context: bpy.types.Context, label: str) -> None:
    """What a run needs, and the button for one."""
    column = layout.column(align=True)
    for check in generation.checks(context):
        draw_text(column, context, str(check), "ERROR" if check.reason else "CHECKMARK")
        if check.label == "Engine" and check.reason:
            column.operator(CODETALKER_OT_open_preferences.bl_idname, icon="PREFERENCES")
    button = layout.column()
    button.scale_y = 1.4
    text = "Add to the Queue" if jobs.current() is not None else label
    button.operator(CODETALKER_OT_generate.bl_idname, text=text, icon="PLAY_SOUND")
    layout.prop(context.scene.codetalker, "use_preview")


def _draw_output(
    layout: bpy.types.UILayout, context: bpy.types.Context, obj: bpy.types.Object | None
) -> None:
    """The form of the animation; it belongs to the target, so without one there is nothing to set."""
    if obj is None:
        return
    column = layout.column()
    column.prop(obj.codetalker, "output")
    if obj.codetalker.output == "COMPACT":
        column.prop(obj.codetalker, "max_error_mm")
    column.prop(obj.codetalker, "use_nla")
    outcome = outcome_of(obj)
    if outcome is not None:
        draw_text(column, context, str(outcome), "INFO")
        if outcome.warning:
            draw_text(column, context, outcome.warning, "ERROR")


def _draw_reason(layout: bpy.types.UILayout, context: bpy.types.Context, error: UserError) -> None:
    column = layout.column(align=True)
    draw_text(column, context, error.message, "INFO")
    if error.hint:
        draw_text(column, context, error.hint, "BLANK1")
