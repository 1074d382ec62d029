"""The runs that go and wait, in the 3D View's tab and in the Sequencer's.  Computes nothing.

A panel of its own: Blender gives the state of what lies under the mouse on to the first text of the same
panel when it goes, and would draw that over the progress bar.
"""

from __future__ import annotations

import bpy

from ..runs import jobs, status
from .base import SidebarPanel


class _Runs(SidebarPanel):
    bl_label = "Runs"
    bl_options = {"HIDE_HEADER"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return jobs.current() is not None or bool(jobs.QUEUE.dropped)

    def draw(self, context: bpy.types.Context) -> None:
        status.draw_runs(self.layout)


class CODETALKER_PT_runs(_Runs):
    bl_idname = "CODETALKER_PT_runs"
    bl_parent_id = "CODETALKER_PT_generate"


class CODETALKER_PT_sequencer_runs(_Runs):
    bl_idname = "CODETALKER_PT_sequencer_runs"
    bl_parent_id = "CODETALKER_PT_sequencer"
    bl_space_type = "SEQUENCE_EDITOR"
