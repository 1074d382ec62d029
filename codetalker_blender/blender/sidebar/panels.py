"""The sidebar tab.  Shows settings and readiness; computes nothing."""

from __future__ import annotations

import bpy
from bpy.app.translations import pgettext_iface as iface_

from ...errors import UserError
from ..bundles import models
from ..layout import draw_setting, draw_text, for_properties
from ..mesh.demo_head import CODETALKER_OT_add_demo_head
from ..retargeting import tuning
from ..retargeting.outcomes import outcome_of
from ..runs import generation, jobs
from ..setup.installation_operators import CODETALKER_OT_open_preferences
from ..sound import sources
from . import model_panels, play, presets
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
        draw_setting(column, settings, "source")
        if settings.source == sources.FILE:
            draw_setting(column, settings, "audio")
        elif settings.source == sources.STRIP_BY_NAME:
            draw_setting(column, settings, "strip", icon="SOUND")
        draw_setting(column, settings, "limit_to_scene_range")
        draw_speaker(layout, context)
        _draw_output(layout, settings.target)
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
        if refusal is not None or obj is None:
            if refusal is not None:
                _draw_reason(layout, context, refusal)
            return
        column = layout.column()
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
            draw_text(layout, context, f"{iface_(NOT_MARKED)}: {names}", "INFO")
        if not tuning.is_applied(obj):
            draw_text(layout, context, "These settings are not applied yet", "INFO")
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
    draw_setting(column, settings, "target")
    if settings.target is None:
        column.operator(CODETALKER_OT_add_demo_head.bl_idname, icon="MONKEY")
    draw_setting(column, settings, "model")
    if settings.model == models.OTHER_FOLDER:
        draw_setting(column, settings, "model_folder")
    model_panels.draw_style(column, settings)


def draw_run(layout: bpy.types.UILayout, context: bpy.types.Context, label: str) -> None:
    """What a run needs, and the button for one."""
    settings = context.scene.codetalker
    column = layout.column(align=True)
    checks = generation.checks(context)
    for check in checks:
        if check.reason or check.detail:
            draw_text(column, context, str(check), "ERROR" if check.reason else "CHECKMARK")
        if check.label == "Engine" and check.reason:
            column.operator(CODETALKER_OT_open_preferences.bl_idname, icon="PREFERENCES")
    # what there is nothing to say about shares a line
    good = [iface_(str(check)) for check in checks if not check.reason and not check.detail]
    if good:
        draw_text(column, context, ", ".join(good), "CHECKMARK")
    draw_setting(layout, settings, "use_preview")
    button = layout.column()
    button.scale_y = 1.4
    text = "Add to the Queue" if jobs.current() is not None else label
    button.operator(CODETALKER_OT_generate.bl_idname, text=text, icon="PLAY_SOUND")
    _draw_result(layout, context, settings.target)


def _draw_output(layout: bpy.types.UILayout, obj: bpy.types.Object | None) -> None:
    """The form of the animation; it belongs to the target, so without one there is nothing to set."""
    if obj is None:
        return
    column = layout.column()
    draw_setting(column, obj.codetalker, "output")
    if obj.codetalker.output == "COMPACT":
        draw_setting(column, obj.codetalker, "max_error_mm", text="Max Error")
    draw_setting(column, obj.codetalker, "use_nla")


def _draw_result(
    layout: bpy.types.UILayout, context: bpy.types.Context, obj: bpy.types.Object | None
) -> None:
    """What the last run has written, and the button that plays it."""
    outcome = outcome_of(obj) if obj is not None else None
    if outcome is None:
        return
    column = layout.column(align=True)
    draw_text(column, context, f"{outcome.place}: {outcome}", "INFO")
    if outcome.warning:
        draw_text(column, context, outcome.warning, "ERROR")
    playing = context.screen is not None and context.screen.is_animation_playing
    layout.operator(
        play.CODETALKER_OT_play.bl_idname,
        text="Pause" if playing else play.CODETALKER_OT_play.bl_label,
        icon="PAUSE" if playing else "PLAY",
    )


def _draw_reason(layout: bpy.types.UILayout, context: bpy.types.Context, error: UserError) -> None:
    column = layout.column(align=True)
    draw_text(column, context, error.message, "INFO")
    if error.hint:
        draw_text(column, context, error.hint, "BLANK1")
