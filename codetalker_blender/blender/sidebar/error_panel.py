"""The sub-panel Error: the buttons of the coloured face, and what its colours say.  Computes nothing."""

from __future__ import annotations

import bpy

from ..layout import draw_text
from ..retargeting import error_map, heat_maps
from ..retargeting.outcomes import outcome_of
from .base import SidebarPanel
from .heat_legend import draw_legend
from .mapping_panel import CODETALKER_PT_mapping


class CODETALKER_PT_error(SidebarPanel):
    bl_idname = "CODETALKER_PT_error"
    bl_parent_id = CODETALKER_PT_mapping.bl_idname
    bl_label = "Error"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        obj, face = context.scene.codetalker.target, heat_maps.shown(error_map.KIND)
        outcome = outcome_of(obj)
        if outcome is not None and outcome.rms_mm is not None:
            draw_text(layout, context, str(outcome), "INFO")
        row = layout.row(align=True)
        row.operator(error_map.CODETALKER_OT_show_error.bl_idname, icon="HIDE_OFF")
        row.operator(error_map.CODETALKER_OT_hide_error.bl_idname, icon="HIDE_ON")
        if face is not None:
            title = f"Missed by the keys of {face[error_map.KIND.mark]}, RMS over the clip:"
            draw_legend(layout, context, face, error_map.KIND, title)
