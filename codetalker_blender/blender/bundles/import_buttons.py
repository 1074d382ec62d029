"""The buttons that import official checkpoints and stop doing so."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ...errors import Cancelled, UserError
from ...job.failures import JobError
from ..buttons import Button
from ..preferences import engine_settings
from . import imports, library

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

log = logging.getLogger(__name__)
TICK_S = 0.1


class CODETALKER_OT_import_model(bpy.types.Operator):
    bl_idname = "codetalker.import_model"
    bl_label = "Import Checkpoints"
    bl_description = "Make the two checkpoints and the template a model of yours, and choose it"
    bl_options = {"UNDO"}

    _timer: bpy.types.Timer | None = None
    _scene = ""

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if imports.current() is not None:
            cls.poll_message_set("Checkpoints are being imported already")
            return False
        if bpy.app.background:
            return True  # execute() says what is wrong
        reason = obstacle(context)
        if reason:
            cls.poll_message_set(reason.rstrip("."))
        return not reason

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        """Blocking: scripts and --background."""
        self._scene = context.scene.name
        try:
            self._finish(self._begin(context).wait())
        except (UserError, JobError, Cancelled) as error:
            return self._refuse(error)
        finally:
            imports.close_current()
        return {"FINISHED"}

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """In a window: the job runs beside Blender, and a timer asks how far it is."""
        if bpy.app.background:
            return self.execute(context)  # timers never fire there
        self._scene = context.scene.name
        try:
            self._begin(context)
        except UserError as error:
            return self._refuse(error)
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        run = imports.current()
        if run is None:
            return self._end(context, "CANCELLED")
        if event.type != "TIMER":
            return {"PASS_THROUGH"}
        _redraw(context)
        try:
            folder = run.advance()
            if folder is None:
                return {"PASS_THROUGH"}
            self._finish(folder)
        except (UserError, JobError, Cancelled) as error:
            self._refuse(error)
            return self._end(context, "CANCELLED")
        except Exception:
            self._end(context, "CANCELLED")
            raise
        return self._end(context, "FINISHED")

    def cancel(self, context: bpy.types.Context) -> None:
        """Blender ends the operator: it quits or loads another file."""
        self._end(context, "CANCELLED")

    def _begin(self, context: bpy.types.Context) -> imports.Importing:
        request = imports.request_of(context.window_manager.codetalker_import)
        return imports.begin(request, library.own_folder(), engine_settings())

    def _finish(self, folder: Path) -> None:
        run = imports.current()
        scene: bpy.types.Scene | None = bpy.data.scenes.get(self._scene)
        if scene is not None:
            library.choose(scene, folder)
        self.report({"INFO"}, run.about if run is not None else str(folder))

    def _refuse(self, error: UserError | JobError | Cancelled) -> set[OperatorReturnItems]:
        if isinstance(error, Cancelled):
            self.report({"WARNING"}, "Cancelled; no model was added")
            return {"CANCELLED"}
        if isinstance(error, JobError):
            log.error("The engine failed:\n%s", error.traceback)
        self.report({"ERROR"}, str(error))
        return {"CANCELLED"}

    def _end(self, context: bpy.types.Context, result: OperatorReturnItems) -> set[OperatorReturnItems]:
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
        imports.close_current()
        _redraw(context)
        return {result}


class CODETALKER_OT_cancel_import(Button):
    bl_idname = "codetalker.cancel_import"
    bl_label = "Cancel Import"
    bl_description = "Stop importing; no model is added"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return UserError("Nothing is being imported.") if imports.current() is None else None

    def perform(self, context: bpy.types.Context) -> None:
        imports.current().cancel()


def obstacle(context: bpy.types.Context) -> str:
    """Why nothing can be imported now, as far as can be told without reading a checkpoint; "" when it can."""
    try:
        imports.request_of(context.window_manager.codetalker_import)
        library.own_folder()
    except UserError as error:
        return error.message
    return engine_settings().missing()


def _redraw(context: bpy.types.Context) -> None:
    for window in context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                area.tag_redraw()


CLASSES = (
    CODETALKER_OT_import_model,
    CODETALKER_OT_cancel_import,
)
