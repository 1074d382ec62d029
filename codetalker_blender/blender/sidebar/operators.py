"""The buttons.  Each is four moves: read the scene, one call, write the result, report."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

import bpy

from ...errors import Cancelled, UserError
from ...job.failures import JobError
from ..buttons import Button
from ..preferences import engine_settings
from ..retargeting import tuning
from ..runs import generation, jobs
from ..runs.inset import Inset
from ..runs.inset import redraw as redraw_views
from ..runs.status import StatusText, line_of

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

log = logging.getLogger(__name__)
#: How often a run is looked at, and its preview moves on.
TICK_S = 0.08


class CODETALKER_OT_generate(bpy.types.Operator):
    bl_idname = "codetalker.generate"
    bl_label = "Generate from Audio"
    bl_description = "Let the target mesh speak the audio file from the current frame on"
    bl_options = {"UNDO"}

    _run: jobs.Run | None = None
    _timer: bpy.types.Timer | None = None
    _inset: Inset | None = None
    _status: StatusText | None = None

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
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
            run = jobs.QUEUE.add(generation.prepare(context), engine_settings())
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self._run, self._status = run, StatusText()
        run.released = self._release
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        run = self._run
        assert run is not None
        if not jobs.QUEUE.holds(run):  # it waited, and was cancelled
            return self._end_cancelled()
        if event.type == "ESC" and event.value == "PRESS" and run.going:
            run.cancel()
            return {"RUNNING_MODAL"}
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        jobs.QUEUE.proceed()
        if not run.going:
            return {"PASS_THROUGH"}
        try:
            with run.timed(TICK_S):
                if not self._is_ready(context, run):
                    return {"PASS_THROUGH"}
            if run.cancelled or run.take is None:
                return self._end_cancelled()
            written = generation.write(run.prepared, run.take, run.notes)
        except (UserError, JobError) as error:
            self._refuse(error)
            return self._end("CANCELLED")
        except MemoryError:
            self.report({"ERROR"}, "Blender ran out of memory while it wrote the keys; nothing was changed")
            return self._end("CANCELLED")
        except Exception:
            self._end("CANCELLED")
            raise
        self._tell(written)
        return self._end("FINISHED")

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: it quits or loads another file, or the window is closed."""
        if self._run is not None:
            jobs.QUEUE.drop(self._run)
        self._release()

    def _is_ready(self, context: bpy.types.Context, run: jobs.Run) -> bool:
        """Look how far the run is, and show it; True when it is over and can be written."""
        over = run.take is not None or run.advance()
        waiting = generation.waiting_for(run.prepared) if over and not run.cancelled else None
        if over and waiting is None:
            return True
        assert self._status is not None
        text = line_of(run)
        if waiting is not None:
            run.stage = "ready"
            text = f"The speech is ready, but {waiting}    Esc: Discard It"
        self._status.show(context, text)
        if run.preview is not None and not run.cancelled and run.preview.advance(time.monotonic()):
            self._inset = self._inset or Inset(run.preview)
            self._inset.show()
            redraw_views()
        return False

    def _refuse(self, error: UserError | JobError) -> None:
        if isinstance(error, JobError):
            log.error("The engine failed:\n%s", error.traceback)
        self.report({"ERROR"}, str(error))

    def _end_cancelled(self) -> set[OperatorReturnItems]:
        self.report({"INFO"}, "Cancelled; nothing was changed")
        return self._end("CANCELLED")

    def _end(self, result: OperatorReturnItems) -> set[OperatorReturnItems]:
        if self._run is not None:
            jobs.QUEUE.finish(self._run)
        self._release()
        return {result}

    def _release(self) -> None:
        """Take back what belongs to the window; the queue asks for it when the extension goes."""
        if self._timer is not None:
            bpy.context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        if self._inset is not None:
            self._inset.hide()
            self._inset = None
        if self._status is not None:
            self._status.clear()
            self._status = None

    def _tell(self, written: generation.Written) -> None:
        log.info(
            "%s Scale %.6g, identity %.1f mm from the model's.", written, written.scale, written.residual_mm
        )
        for warning in written.warnings:
            self.report({"WARNING"}, warning)
        self.report({"INFO"}, str(written))
        if self._run is not None:
            self._tell_times(self._run)

    def _tell_times(self, run: jobs.Run) -> None:
        """How long Blender could not answer."""
        drawn_s = self._inset.worst_s if self._inset is not None else 0.0
        log.info(
            "Longest callback %.1f ms, drawing of the preview %.1f ms, delay of the timer %.0f ms",
            *(1000 * seconds for seconds in (run.longest_s, drawn_s, run.late_s)),
        )
        if run.engine.mode == "inside":
            self.report(
                {"INFO"},
                f"The model ran inside Blender, which stood still for up to {run.late_s:.2f} s at a time",
            )


class CODETALKER_OT_rewrite(Button):
    bl_idname = "codetalker.rewrite"
    bl_label = "Apply Settings"
    bl_description = "Write the target's animation anew as Output and Tuning say; the model does not run"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return tuning.obstacle(context.scene.codetalker.target, context.scene)

    def perform(self, context: bpy.types.Context) -> None:
        obj = context.scene.codetalker.target
        outcome = tuning.rewrite(obj, context.scene)
        if outcome.warning:
            self.report({"WARNING"}, outcome.warning)
        self.report({"INFO"}, f"'{obj.name}': {outcome}")


class CODETALKER_OT_reset_tuning(Button):
    bl_idname = "codetalker.reset_tuning"
    bl_label = "Reset"
    bl_description = "Set all tuning sliders back, so that the target moves as the model made it"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return tuning.obstacle(context.scene.codetalker.target, context.scene)

    def perform(self, context: bpy.types.Context) -> None:
        tuning.reset(context.scene.codetalker.target, context.scene)


class CODETALKER_OT_remove(Button):
    bl_idname = "codetalker.remove"
    bl_label = "Remove CodeTalker Animation"
    bl_description = (
        "Remove the keys, curves and sound that this extension added for the target; all else stays as it is"
    )
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return tuning.unanimated(context.scene.codetalker.target, context.scene)

    def perform(self, context: bpy.types.Context) -> None:
        obj = context.scene.codetalker.target
        generation.remove(obj, context.scene)
        self.report({"INFO"}, f"'{obj.name}' is as it was without CodeTalker")
