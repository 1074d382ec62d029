"""The buttons of the runs that go and wait."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ...errors import UserError
from ..buttons import Button
from . import jobs


class _OfRuns(Button):
    """Can be pressed while there are any."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return UserError("Nothing is being generated.") if jobs.current() is None else None


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

    def perform(self, context: bpy.types.Context) -> None:
        jobs.QUEUE.cancel(self.run)


class CODETALKER_OT_cancel_all(_OfRuns):
    bl_idname = "codetalker.cancel_all"
    bl_label = "Cancel All"
    bl_description = "Stop the run that is going and all that wait, and leave the scene as it is"

    def perform(self, context: bpy.types.Context) -> None:
        jobs.QUEUE.cancel_all()
