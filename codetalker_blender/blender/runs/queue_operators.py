"""The buttons of the runs that go and wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from . import jobs

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class _OfRuns(bpy.types.Operator):
    """Can be pressed while there are any."""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.current() is None:
            cls.poll_message_set("Nothing is being generated")
            return False
        return True


class CODETALKER_OT_cancel(_OfRuns):
    bl_idname = "codetalker.cancel"
    bl_label = "Cancel"
    bl_description = "Stop this run and leave the scene as it is; those that wait go on"

    if TYPE_CHECKING:
        run: int
    else:
        run: bpy.props.IntProperty(
            name="Run",
            description="Number of the run; 0 is the one that is going",
            min=0,
            options={"SKIP_SAVE", "HIDDEN"},
        )

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        jobs.QUEUE.cancel(self.run)
        return {"FINISHED"}


class CODETALKER_OT_cancel_all(_OfRuns):
    bl_idname = "codetalker.cancel_all"
    bl_label = "Cancel All"
    bl_description = "Stop the run that is going and all that wait, and leave the scene as it is"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        jobs.QUEUE.cancel_all()
        return {"FINISHED"}
