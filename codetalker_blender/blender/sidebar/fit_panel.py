"""The sub-panel Other Topology: the fit of the model's face to the target.  Computes nothing."""

from __future__ import annotations

import bpy

from ...errors import TargetError
from ..layout import draw_text, for_properties
from ..retargeting import bindings, fit_map, fit_operators, fit_preview, landmarks
from .base import SidebarPanel
from .heat_legend import draw_legend
from .mapping_panel import draw_companions
from .panels import CODETALKER_PT_generate


class CODETALKER_PT_fit(SidebarPanel):
    bl_idname = "CODETALKER_PT_fit"
    bl_parent_id = CODETALKER_PT_generate.bl_idname
    bl_label = "Other Topology"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        obj = context.scene.codetalker.target
        return obj is not None and obj.type == "MESH" and obj.codetalker.output != "EXISTING"

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        obj = context.scene.codetalker.target
        draw_companions(layout, obj)
        layout.operator(
            fit_operators.CODETALKER_OT_fit_mesh.bl_idname,
            text="Fitting ..." if fit_operators.is_going() else fit_operators.CODETALKER_OT_fit_mesh.bl_label,
            icon="MOD_SHRINKWRAP",
        )
        _draw_quality(layout, context, obj)
        column = layout.column(align=True)
        marks = landmarks.of(obj)
        if marks:
            moved = len(landmarks.placed(obj))
            draw_text(column, context, f"{moved} of {len(marks)} landmarks moved", "EMPTY_AXIS")
            column.operator(fit_operators.CODETALKER_OT_remove_landmarks.bl_idname, icon="X")
        else:
            column.operator(fit_operators.CODETALKER_OT_add_landmarks.bl_idname, icon="EMPTY_AXIS")


def _draw_quality(layout: bpy.types.UILayout, context: bpy.types.Context, obj: bpy.types.Object) -> None:
    """What the mesh keeps, in numbers."""
    column = layout.column(align=True)
    try:
        kept = bindings.kept_of(obj)
        if kept is None:
            return
        lead = kept.binding
    except TargetError as error:
        draw_text(column, context, str(error), "ERROR")
        return
    quality = lead.quality
    for text in (
        f"{quality.mean_mm:.1f} mm off on average, {quality.max_mm:.1f} mm at most",
        f"{quality.coverage:.0%} of the face found on the mesh",
        f"{lead.bound_share:.0%} of the mesh follows the face",
    ):
        draw_text(column, context, text, "INFO")
    row = layout.row(align=True)
    shown = fit_preview.of(obj) is not None
    row.operator(
        fit_operators.CODETALKER_OT_show_fit.bl_idname,
        text="Hide Fit" if shown else fit_operators.CODETALKER_OT_show_fit.bl_label,
        icon="HIDE_OFF" if shown else "HIDE_ON",
    )
    row.operator(fit_operators.CODETALKER_OT_forget_fit.bl_idname, icon="TRASH")
    coloured = fit_map.of(obj)
    layout.operator(
        fit_operators.CODETALKER_OT_show_fit_distance.bl_idname,
        text="Hide Fit Distance" if coloured else fit_operators.CODETALKER_OT_show_fit_distance.bl_label,
        icon="HIDE_OFF" if coloured else "HIDE_ON",
    )
    if coloured is not None:
        draw_legend(layout, context, coloured, fit_map.KIND, f"{obj.name}, off the fitted face:")


CLASSES = (CODETALKER_PT_fit,)
