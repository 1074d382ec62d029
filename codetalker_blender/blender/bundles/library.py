"""Buttons of the model library: add a bundle, remove one, look again, open the folder."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy
from bpy.app.translations import pgettext_iface as iface_
from bpy.app.translations import pgettext_rpt as rpt_

from ... import model_library
from ...errors import UserError
from .. import compat
from ..properties import model_path
from ..setup.preferences import models_folder
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


class CODETALKER_OT_add_model(bpy.types.Operator):
    bl_idname = "codetalker.add_model"
    bl_label = "Add Model..."
    bl_description = "Copy a model, a folder or a .zip of one, into your own models, after checking it"
    bl_options = {"UNDO"}

    if TYPE_CHECKING:
        filepath: str
        filter_glob: str
    else:
        filepath: bpy.props.StringProperty(
            name="Model",
            description="A model's config.json or its folder, or a .zip of one",
            subtype="FILE_PATH",
            options={"SKIP_SAVE"} | compat.PATH_OPTIONS,
        )
        filter_glob: bpy.props.StringProperty(default="*.zip;config.json", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        manager = context.window_manager
        manager.progress_begin(0.0, 1.0)
        try:
            if not self.filepath:
                raise UserError("No model is chosen.", "Choose its config.json, or a .zip.")
            added = model_library.add_bundle(
                Path(bpy.path.abspath(self.filepath)),
                own_folder(),
                lambda stage, done, total: manager.progress_update(done / max(total, 1)),
            )
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        finally:
            manager.progress_end()
        choose(context.scene, added)
        self.report({"INFO"}, rpt_("The model '{name}' is among yours now").format(name=added.name))
        return {"FINISHED"}


class CODETALKER_OT_remove_model(bpy.types.Operator):
    bl_idname = "codetalker.remove_model"
    bl_label = "Remove Model"
    bl_description = "Delete the chosen model, one of your own, from the disk"

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if bpy.app.background:
            return True  # execute() says what is wrong
        folder, own = model_path(context.scene.codetalker), models_folder()
        if folder is None or own is None or folder.parent != own:
            cls.poll_message_set("Only models that you added are removed here")
            return False
        return True

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        return context.window_manager.invoke_confirm(
            self,
            event,
            title=iface_("Delete this model from the disk?"),
            message=str(model_path(context.scene.codetalker)),
            confirm_text=iface_("Delete"),
            icon="WARNING",
        )

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        try:
            folder = model_path(context.scene.codetalker)
            if folder is None:
                raise UserError("No model is chosen.", "Choose one under Model.")
            model_library.remove_bundle(folder, models_folder())
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        models.refresh()
        for scene in bpy.data.scenes:
            if model_path(scene.codetalker) is None:
                for name in ("model", "style", "style_b"):
                    scene.codetalker.property_unset(name)
        self.report({"INFO"}, rpt_("The model '{name}' is gone").format(name=folder.name))
        return {"FINISHED"}


class CODETALKER_OT_refresh_models(bpy.types.Operator):
    bl_idname = "codetalker.refresh_models"
    bl_label = "Refresh Models"
    bl_description = "Read the folders of models again"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        models.refresh()
        return {"FINISHED"}


class CODETALKER_OT_open_models_folder(bpy.types.Operator):
    bl_idname = "codetalker.open_models_folder"
    bl_label = "Open Folder"
    bl_description = "Show the folder of your own models in the system's file manager"

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        try:
            folder = own_folder()
            folder.mkdir(parents=True, exist_ok=True)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        except OSError as error:
            self.report({"ERROR"}, f"'{folder}' cannot be made: {error.strerror or error}.")
            return {"CANCELLED"}
        bpy.ops.wm.path_open(filepath=str(folder))
        return {"FINISHED"}


CLASSES = (
    CODETALKER_OT_add_model,
    CODETALKER_OT_remove_model,
    CODETALKER_OT_refresh_models,
    CODETALKER_OT_open_models_folder,
)
