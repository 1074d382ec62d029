"""The sub-panel Layers: blinks, head motion and gaze.  Computes nothing."""

from __future__ import annotations

import bpy

from ..layout import for_properties
from .base import SidebarPanel
from .operators import CODETALKER_OT_rewrite
from .panels import CODETALKER_PT_generate

#: The switch of each layer, and what it brings along.
LAYERS = {
    "use_blinks": ("blink_rate", "blink_amount", "blink_seed"),
    "use_head": ("head_object", "head_amount", "head_seed"),
    "use_gaze": ("gaze_at", "gaze_object", "gaze_amount", "gaze_flicks", "gaze_seed"),
}


class CODETALKER_PT_layers(SidebarPanel):
    bl_idname = "CODETALKER_PT_layers"
    bl_parent_id = CODETALKER_PT_generate.bl_idname
    bl_label = "Layers"
    bl_options = {"DEFAULT_CLOSED"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.scene.codetalker.target is not None

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        group = context.scene.codetalker.target.codetalker.layers
        for switch, values in LAYERS.items():
            column = layout.column()
            column.prop(group, switch)
            if getattr(group, switch):
                for name in values:
                    if name != "gaze_object" or group.gaze_at == "OBJECT":
                        column.prop(group, name)
        if group.use_gaze and group.gaze_at != "AHEAD":
            # Nothing tells when the camera has been moved.
            layout.operator(CODETALKER_OT_rewrite.bl_idname, icon="FILE_REFRESH")
