"""The tab in the Sequencer's sidebar: the 3D View's, for the active strip.  Computes nothing."""

from __future__ import annotations

import bpy

from ..layout import draw_setting, for_properties
from . import panels
from .base import SidebarPanel

LABEL = "Animate from Active Strip"


class CODETALKER_PT_sequencer(SidebarPanel):
    bl_idname = "CODETALKER_PT_sequencer"
    bl_label = LABEL
    bl_space_type = "SEQUENCE_EDITOR"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return context.space_data.view_type in {"SEQUENCER", "SEQUENCER_PREVIEW"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        draw_setting(layout, context.scene.codetalker, "limit_to_scene_range")
        panels.draw_speaker(layout, context)
        panels.draw_run(layout, context, LABEL)
