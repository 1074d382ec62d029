"""The buttons.  Each is four moves: read the scene, one call, write the result, report."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

import bpy

from ..errors import Cancelled, UserError
from ..job.client import JobError
from . import generation, jobs, tuning
from .preferences import engine_settings

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

log = logging.getLogger(__name__)
TICK_S = 0.1


class CODETALKER_OT_generate(bpy.types.Operator):
    bl_idname = "codetalker.generate"
    bl_label = "Generate from Audio"
    bl_description = "Let the target mesh speak the audio file from the current frame on"
    bl_options = {"UNDO"}

    _timer: bpy.types.Timer | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.current() is not None:
            cls.poll_message_set("A speech is being generated already")
            return False
        if bpy.app.background:
            # There is nobody to read a greyed button: let execute() say what is wrong.
            return True
        reasons = [check.reason for check in generation.checks(context) if check.reason]
        if reasons:
            cls.poll_message_set(reasons[0].rstrip("."))
        return not reasons

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Blocking: scripts, --background and the command line."""
        try:
            prepared = generation.prepare(context)
            motion, report = jobs.run_blocking(prepared, engine_settings())
            written = generation.write(prepared, generation.capture(prepared, motion), report.notes)
        except (UserError, JobError) as error:
            self._refuse(error)
            return {"CANCELLED"}
        except Cancelled:
            self.report({"WARNING"}, "Cancelled; nothing was changed")
            return {"CANCELLED"}
        self._tell(written)
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """In a window: the job runs beside Blender, and a timer asks how far it is."""
        # Timers never fire in background mode.
        if bpy.app.background:
            return self.execute(context)
        try:
            jobs.begin(generation.prepare(context), engine_settings())
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        run = jobs.current()
        if run is None:
            return self._end(context, "CANCELLED")
        if event.type == "ESC" and event.value == "PRESS":
            run.cancel()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        try:
            if run.take is None and not run.advance():
                self._show(context, f"{run.label}: {run.fraction:.0%}    Esc: Cancel")
                return {"PASS_THROUGH"}
            if run.cancelled or run.take is None:
                self.report({"INFO"}, "Cancelled; nothing was changed")
                return self._end(context, "CANCELLED")
            waiting = generation.waiting_for(run.prepared)
            if waiting is not None:
                run.stage = "ready"
                self._show(context, f"The speech is ready, but {waiting}    Esc: Discard It")
                return {"PASS_THROUGH"}
            written = generation.write(run.prepared, run.take, run.notes)
        except (UserError, JobError) as error:
            self._refuse(error)
            return self._end(context, "CANCELLED")
        except Exception:
            self._end(context, "CANCELLED")
            raise
        self._tell(written)
        return self._end(context, "FINISHED")

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: it quits or loads another file."""
        self._end(context, "CANCELLED")

    def _refuse(self, error: UserError | JobError) -> None:
        if isinstance(error, JobError):
            log.error("The engine failed:\n%s", error.traceback)
        self.report({"ERROR"}, str(error))

    def _show(self, context: bpy.types.Context, text: str) -> None:
        context.workspace.status_text_set(text)
        for window in context.window_manager.windows:
            for area in window.screen.areas:
                if area.type in {"VIEW_3D", "SEQUENCE_EDITOR"}:
                    area.tag_redraw()

    def _end(self, context: bpy.types.Context, result: OperatorReturnItems) -> set[OperatorReturnItems]:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        jobs.close_current()
        if context.workspace is not None:
            self._show(context, "")
            context.workspace.status_text_set(None)
        return {result}

    def _tell(self, written: generation.Written) -> None:
        log.info(
            "%s Scale %.6g, identity %.1f mm from the model's.", written, written.scale, written.residual_mm
        )
        for warning in written.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, str(written))


class CODETALKER_OT_cancel(bpy.types.Operator):
    bl_idname = "codetalker.cancel"
    bl_label = "Cancel"
    bl_description = "Stop generating and leave the scene as it is"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if jobs.current() is None:
            cls.poll_message_set("Nothing is being generated")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        run = jobs.current()
        if run is not None:
            run.cancel()
        return {"FINISHED"}


class CODETALKER_OT_rewrite(bpy.types.Operator):
    bl_idname = "codetalker.rewrite"
    bl_label = "Apply Settings"
    bl_description = "Write the target's animation anew as Output and Tuning say; the model does not run"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _poll_target(cls, context, tuning.obstacle)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        obj = context.scene.codetalker.target
        try:
            outcome = tuning.rewrite(obj, context.scene)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        if outcome.warning:
            self.report({"WARNING"}, outcome.warning)
        self.report({"INFO"}, f"'{obj.name}': {outcome}")
        return {"FINISHED"}


class CODETALKER_OT_reset_tuning(bpy.types.Operator):
    bl_idname = "codetalker.reset_tuning"
    bl_label = "Reset"
    bl_description = "Set all tuning sliders back, so that the target moves as the model made it"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _poll_target(cls, context, tuning.obstacle)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        obj = context.scene.codetalker.target
        try:
            tuning.reset(obj, context.scene)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class CODETALKER_OT_remove(bpy.types.Operator):
    bl_idname = "codetalker.remove"
    bl_label = "Remove CodeTalker Animation"
    bl_description = (
        "Remove the keys, curves and sound that this extension added for the target; all else stays as it is"
    )
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        return _poll_target(cls, context, tuning.unanimated)

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        obj = context.scene.codetalker.target
        try:
            generation.remove(obj, context.scene)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self.report({"INFO"}, f"'{obj.name}' is as it was without CodeTalker")
        return {"FINISHED"}


def _poll_target(
    operator: type[bpy.types.Operator],
    context: bpy.types.Context,
    obstacle: Callable[[bpy.types.Object | None, bpy.types.Scene], UserError | None],
) -> bool:
    if bpy.app.background:
        # As for generating: execute() says what is wrong.
        return True
    refusal = obstacle(context.scene.codetalker.target, context.scene)
    if refusal is not None:
        operator.poll_message_set(str(refusal).rstrip("."))
    return refusal is None
