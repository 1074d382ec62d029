"""The button that plays what was written, from its first frame.  Writes nothing."""

from __future__ import annotations

import bpy

from ...errors import UserError
from ..buttons import Button
from ..retargeting import tuning
from ..retargeting.outcomes import outcome_of


class CODETALKER_OT_play(Button):
    bl_idname = "codetalker.play"
    bl_label = "Play"
    bl_description = "Play the speech from its first frame, or stop playing"
    bl_options = set()

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return tuning.unanimated(context.scene.codetalker.target, context.scene)

    def perform(self, context: bpy.types.Context) -> None:
        if context.screen is None:
            raise UserError("There is no window to play in.", "Press it in Blender's window.")
        outcome = outcome_of(context.scene.codetalker.target)
        if outcome is not None and not context.screen.is_animation_playing:
            context.scene.frame_set(outcome.frames[0])
        bpy.ops.screen.animation_play()
