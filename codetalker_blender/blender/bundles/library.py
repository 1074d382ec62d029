"""Buttons of the model library: add a bundle, remove one, look again, open the folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from ... import model_library
from ...errors import OutputError, UserError
from ..buttons import Button, FileButton
from ..preferences import models_folder
from . import models

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


def own_folder() -> Path:
    """The folder of the user's own models.  Raises UserError when there is none."""
    folder = models_folder()
    if folder is None:
        raise UserError("There is no folder for your own models.", "Name one in the extension's preferences.")
    return folder


def choose(scene: bpy.types.Scene, folder: Path) -> None:
    """Make a bundle of the library the scene's model."""
    models.refresh()
    scene.codetalker.model = folder.name


class CODETALKER_OT_add_model(FileButton):
    bl_idname = "codetalker.add_model"
    bl_label = "Add Model..."
    bl_description = "Copy a model, a folder or a .zip of one, into your own models, after checking it"
    bl_options = {"UNDO"}

    if not TYPE_CHECKING:
        filter_glob: bpy.props.StringProperty(default="*.zip;config.json", options={"HIDDEN"})

    def perform(self, context: bpy.types.Context) -> None:
        path = self.path()
        manager = context.window_manager
        manager.progress_begin(0.0, 1.0)
        try:
            added = model_library.add_bundle(
                path,
                own_folder(),
                lambda stage, done, total: manager.progress_update(done / max(total, 1)),
            )
        finally:
            manager.progress_end()
        choose(context.scene, added)
        self.report({"INFO"}, rpt_("The model '{name}' is among yours now").format(name=added.name))


class CODETALKER_OT_remove_model(Button):
    bl_idname = "codetalker.remove_model"
    bl_label = "Remove Model"
    bl_description = "Delete the chosen model, one of your own, from the disk"

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        folder, own = models.chosen_folder(context.scene.codetalker), models_folder()
        if folder is None or own is None or folder.parent != own:
            return UserError("Only models that you added are removed here.")
        return None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=iface_("Delete this model from the disk?"),
            message=str(models.chosen_folder(context.scene.codetalker)),
            confirm_text=iface_("Delete"),
            icon="WARNING",
        )

    def perform(self, context: bpy.types.Context) -> None:
        folder = models.require_folder(context.scene.codetalker)
        model_library.remove_bundle(folder, models_folder())
        models.refresh()
        for scene in bpy.data.scenes:
            if models.chosen_folder(scene.codetalker) is None:
                for name in ("model", "style", "style_b"):
                    scene.codetalker.property_unset(name)
        self.report({"INFO"}, rpt_("The model '{name}' is gone").format(name=folder.name))


class CODETALKER_OT_refresh_models(Button):
    bl_idname = "codetalker.refresh_models"
    bl_label = "Refresh Models"
    bl_description = "Read the folders of models again"

    def perform(self, context: bpy.types.Context) -> None:
        models.refresh()


class CODETALKER_OT_open_models_folder(Button):
    bl_idname = "codetalker.open_models_folder"
    bl_label = "Open Folder"
    bl_description = "Show the folder of your own models in the system's file manager"

    def perform(self, context: bpy.types.Context) -> None:
        folder = own_folder()
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(
                f"'{folder}' cannot be made: {error.strerror or error}.",
                "Choose another folder for Models in the preferences.",
            ) from error
        bpy.ops.wm.path_open(filepath=str(folder))


CLASSES = (
    CODETALKER_OT_add_model,
    CODETALKER_OT_remove_model,
    CODETALKER_OT_refresh_models,
    CODETALKER_OT_open_models_folder,
)
