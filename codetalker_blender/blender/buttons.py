"""What buttons have in common: why one is grey, and one sentence when it could not do its work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ..errors import UserError
from . import compat

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class Button(bpy.types.Operator):
    """Does one thing at once, or says why not; never registered itself."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        """Why it cannot be pressed now, or None.  Cheap: asked on every redraw."""
        return None

    def perform(self, context: bpy.types.Context) -> None:
        """Do it.  Raises UserError, with nothing changed."""
        raise NotImplementedError

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if bpy.app.background:
            # There is nobody to read why a button is grey: let execute() say it.
            return True
        refusal = cls.obstacle(context)
        if refusal is not None:
            cls.poll_message_set(str(refusal).rstrip("."))
        return refusal is None

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        try:
            refusal = self.obstacle(context)
            if refusal is not None:
                raise refusal
            self.perform(context)
        except UserError as error:
            self.report({"ERROR"}, str(error))
            return {"CANCELLED"}
        return {"FINISHED"}


class FileButton(Button):
    """Lets a file be chosen first; never registered itself."""

    if TYPE_CHECKING:
        filepath: str
        filter_glob: str
    else:
        filepath: bpy.props.StringProperty(
            name="File",
            description="Path of the file",
            subtype="FILE_PATH",
            options={"SKIP_SAVE"} | compat.PATH_OPTIONS,
        )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        context.window_manager.fileselect_add(self)
        return {"RUNNING_MODAL"}

    def path(self) -> Path:
        """The chosen file, absolute.  Raises UserError when none is."""
        if not self.filepath:
            raise UserError("No file is named.", "Choose one.")
        return Path(bpy.path.abspath(self.filepath)).absolute()
