"""Buttons of the fit: make it, show it, forget it, and the landmarks that help it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ...contracts import FaceMesh
from ...errors import TargetError, UserError
from ...model_files import ModelCard, read_card, read_face
from ..bundles import models
from ..buttons import Button
from ..mesh import target as targets
from . import bindings, fit_map, fit_preview, fitting, follow, landmarks, mapping

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


#: How often a fit that is being computed is looked at.
TICK_S = 0.1


def model_face(scene: bpy.types.Scene) -> tuple[FaceMesh, ModelCard]:
    """The face of the chosen model.  Raises UserError."""
    folder = models.require_folder(scene.codetalker)
    card = read_card(folder)
    return read_face(folder, card), card


def _unusable(context: bpy.types.Context) -> UserError | None:
    obj, scene = context.scene.codetalker.target, context.scene
    return targets.obstacle(obj, scene) or targets.busy_mode(obj)


class _OnTarget(Button):
    """Does something to the scene's target, which is a mesh that can be written."""

    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return _unusable(context)


class _OnFit(_OnTarget):
    """Does something to the fit that the target keeps."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        refusal, obj = _unusable(context), context.scene.codetalker.target
        if refusal is None and obj.data.get(bindings.PROPERTY) is None:
            return TargetError(f"The model's face is not fitted to '{obj.name}'.", "Press Fit to This Mesh.")
        return refusal


class CODETALKER_OT_fit_mesh(_OnTarget):
    bl_idname = "codetalker.fit_mesh"
    bl_label = "Fit to This Mesh"
    bl_description = (
        "Fit the model's face to a head of another topology, once; the mesh keeps the fit, and every later "
        "run uses it"
    )

    _fitting: fitting.Fitting | None = None
    _timer: bpy.types.Timer | None = None

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        if is_going():
            return TargetError("A face is being fitted.", "Wait for it.")
        return _unusable(context)

    def perform(self, context: bpy.types.Context) -> None:
        """Blocking: scripts and --background."""
        scene = context.scene
        wanted = fitting.read(scene.codetalker.target, scene, *model_face(scene))
        self._keep(context, wanted, fitting.compute(wanted))

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        """In a window: a thread computes, and a timer asks whether it is done."""
        if bpy.app.background:
            return self.execute(context)
        scene = context.scene
        try:
            wanted = fitting.read(scene.codetalker.target, scene, *model_face(scene))
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        self._fitting = fitting.Fitting(wanted)
        self._timer = context.window_manager.event_timer_add(TICK_S, window=context.window)
        _CURRENT.button = self
        context.workspace.status_text_set(
            f"Fitting the model's face to '{wanted.target.name}'    Esc: Cancel"
        )
        context.window_manager.modal_handler_add(self)
        return {"RUNNING_MODAL"}

    def modal(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        assert self._fitting is not None
        if event.type == "ESC" and event.value == "PRESS":
            self.cancel(context)
            self.report({"INFO"}, "Cancelled; nothing was changed")
            return {"CANCELLED"}
        if event.type != "TIMER" or not self._fitting.over:
            return {"PASS_THROUGH"}
        self.cancel(context)
        try:
            self._keep(context, self._fitting.wanted, self._fitting.result())
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}

    def cancel(self, context: bpy.types.Context) -> None:
        """Take back what belongs to the window; a thread that still computes is not listened to."""
        if self._timer is not None:
            context.window_manager.event_timer_remove(self._timer)
            self._timer = None
            context.workspace.status_text_set(None)
        _CURRENT.button = None

    def _keep(self, context: bpy.types.Context, wanted: fitting.Wanted, found: fitting.Found) -> None:
        obj = fitting.keep(wanted, found)
        if fit_preview.of(obj) is not None:
            show(obj, wanted.face)
        if fit_map.of(obj) is not None:
            fit_map.show(obj, context.scene)
        follow.rewrite(obj.codetalker, context)
        names = [other.name for other in mapping.companions(obj) if found.kept.get(other.session_uid)]
        more = f", together with {', '.join(names)}" if names else ""
        self.report({"INFO"}, f"'{obj.name}' is fitted {found.quality.mean_mm:.2f} mm off on average{more}")


class CODETALKER_OT_show_fit(_OnFit):
    bl_idname = "codetalker.show_fit"
    bl_label = "Show Fit"
    bl_description = "Show the fitted face of the model as a wire over the mesh, or remove it again"

    def perform(self, context: bpy.types.Context) -> None:
        obj = context.scene.codetalker.target
        if fit_preview.of(obj) is not None:
            fit_preview.hide(obj)
        else:
            show(obj, model_face(context.scene)[0])


class CODETALKER_OT_show_fit_distance(_OnFit):
    bl_idname = "codetalker.show_fit_distance"
    bl_label = "Show Fit Distance"
    bl_description = (
        "Put a copy of the mesh beside it whose colours say how far each place is from the fitted face, or "
        "remove it again"
    )

    def perform(self, context: bpy.types.Context) -> None:
        obj = context.scene.codetalker.target
        if fit_map.of(obj) is not None:
            fit_map.hide(obj)
        else:
            fit_map.show(obj, context.scene)


class CODETALKER_OT_forget_fit(_OnFit):
    bl_idname = "codetalker.forget_fit"
    bl_label = "Forget Fit"
    bl_description = (
        "Remove the fit, its preview and its landmarks; an animation that was written stays as it is"
    )

    def perform(self, context: bpy.types.Context) -> None:
        obj = context.scene.codetalker.target
        bindings.release(obj)
        bindings.keep(obj, None)
        fit_preview.hide(obj)
        fit_map.hide(obj)
        landmarks.remove(obj)


class CODETALKER_OT_add_landmarks(_OnTarget):
    bl_idname = "codetalker.add_landmarks"
    bl_label = "Add Landmarks"
    bl_description = (
        "Add empties for the mouth and its corners, nose, chin and eyes, where the fit is wrong or fails: "
        "move them to where these are on the mesh and fit again; those that you leave alone do nothing"
    )

    def perform(self, context: bpy.types.Context) -> None:
        obj = context.scene.codetalker.target
        face, card = model_face(context.scene)
        kept = bindings.kept_of(obj)
        preview = kept.preview if kept is not None and len(kept.preview) == face.vertex_count else None
        landmarks.add(obj, face, card, preview)


class CODETALKER_OT_remove_landmarks(_OnTarget):
    bl_idname = "codetalker.remove_landmarks"
    bl_label = "Remove Landmarks"
    bl_description = "Remove the empties again; a fit that was made with them stays"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        refusal, obj = _unusable(context), context.scene.codetalker.target
        if refusal is None and not landmarks.of(obj):
            return TargetError(f"'{obj.name}' has no landmarks.", "Add some.")
        return refusal

    def perform(self, context: bpy.types.Context) -> None:
        landmarks.remove(context.scene.codetalker.target)


def show(obj: bpy.types.Object, face: FaceMesh) -> None:
    """Show what the object's mesh keeps.  Raises TargetError when that is another model's face."""
    kept = bindings.kept_of(obj)
    if kept is None or len(kept.preview) != face.vertex_count:
        raise TargetError(f"'{obj.name}' was fitted to another model's face.", bindings.AGAIN)
    fit_preview.show(obj, kept.preview, face.triangles)


class _Current:
    """The button that computes, of which there is one at a time.

    No attribute of its class: Blender has annotations of that kind evaluated, and Python would then keep the
    class, and Blender, beyond their end.
    """

    def __init__(self) -> None:
        self.button: CODETALKER_OT_fit_mesh | None = None


_CURRENT = _Current()


def is_going() -> bool:
    """Whether a fit is being computed."""
    return _CURRENT.button is not None


def close_current() -> None:
    """End a fit that is being computed: the extension goes."""
    if _CURRENT.button is not None:
        _CURRENT.button.cancel(bpy.context)


CLASSES = (
    CODETALKER_OT_fit_mesh,
    CODETALKER_OT_show_fit,
    CODETALKER_OT_show_fit_distance,
    CODETALKER_OT_forget_fit,
    CODETALKER_OT_add_landmarks,
    CODETALKER_OT_remove_landmarks,
)
