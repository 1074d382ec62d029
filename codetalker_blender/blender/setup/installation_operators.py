"""The buttons of the preferences: set the engine up, remove it, check the installation."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ... import checkup
from ...errors import EngineError, UserError
from ...installation.installer import LEAST_BYTES, Installer
from ...installation.machine import free_disk, gigabytes
from ...installation.pins import engine_pins
from ...installation.source import PackageSource, package_source
from ..buttons import Button
from ..layout import draw_text
from ..preferences import PACKAGE, managed_environment, stored_preferences
from ..runs import jobs
from . import engine_setup, examination

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

_DIALOG_WIDTH = 560
OFFLINE = EngineError(
    "Blender is not allowed to use the network.",
    "Switch on Preferences > System > Network > Allow Online Access, or name a folder of wheels as "
    "Package Index.",
)


class CODETALKER_OT_set_up_engine(Button):
    bl_idname = "codetalker.set_up_engine"
    bl_label = "Set Up Engine"
    bl_description = (
        "Make an environment for the model in the extension's own folder; asks before it downloads"
    )
    bl_options = {"INTERNAL"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        installer = engine_setup.current()
        if installer is not None and installer.running:
            return EngineError("An engine is being set up already.")
        try:
            managed_environment()
            return OFFLINE if _source().needs_network and not bpy.app.online_access else None
        except UserError as error:
            return error

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        if bpy.app.background:
            return self.execute(context)
        return context.window_manager.invoke_props_dialog(self, width=_DIALOG_WIDTH)

    def draw(self, context: bpy.types.Context) -> None:
        environment = managed_environment()
        pins = ", ".join(pin.label for pin in engine_pins())
        free = gigabytes(free_disk(environment.folder))
        for text in (
            f"What: {pins}, and what they need",
            f"From: {_source()}",
            f"To: '{environment.folder}' ({free} free, {gigabytes(LEAST_BYTES)} needed at least)",
            "First the index is asked for the list of packages and their sizes; they are downloaded only "
            "when you have seen the list and agree.",
        ):
            draw_text(self.layout, context, text, width=_DIALOG_WIDTH)

    def perform(self, context: bpy.types.Context) -> None:
        installer = new_installer()
        engine_setup.begin(installer)
        if bpy.app.background:
            _finish(installer)


class CODETALKER_OT_download_engine(Button):
    bl_idname = "codetalker.download_engine"
    bl_label = "Download and Install"
    bl_description = "Fetch the packages of the list and install them into the extension's own folder"
    bl_options = {"INTERNAL"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        installer = engine_setup.current()
        if installer is None or not installer.running or installer.stage != "agree":
            return EngineError("There is no list of packages to agree to.", "Press Set Up Engine.")
        return None

    def perform(self, context: bpy.types.Context) -> None:
        engine_setup.current().agree()


class CODETALKER_OT_cancel_engine_setup(Button):
    bl_idname = "codetalker.cancel_engine_setup"
    bl_label = "Cancel Set-Up"
    bl_description = "Stop the set-up and remove what it has made so far"
    bl_options = {"INTERNAL"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        installer = engine_setup.current()
        if installer is None or not installer.running:
            return EngineError("No engine is being set up.")
        return None

    def perform(self, context: bpy.types.Context) -> None:
        engine_setup.current().cancel()


class CODETALKER_OT_remove_engine(Button):
    bl_idname = "codetalker.remove_engine"
    bl_label = "Remove Engine"
    bl_description = "Delete the managed environment and all that was installed into it"
    bl_options = {"INTERNAL"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        if jobs.current() is not None:
            return EngineError("The engine is at work.", "Wait for the run's end, or cancel it.")
        return None

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        if bpy.app.background:
            return self.execute(context)
        return context.window_manager.invoke_confirm(self, event)

    def perform(self, context: bpy.types.Context) -> None:
        jobs.QUEUE.close()  # its worker may still be resting after the last run
        engine_setup.close_current()
        examination.close_current()
        environment = managed_environment()
        environment.remove()
        self.report({"INFO"}, f"'{environment.folder}' is removed")


class CODETALKER_OT_check_installation(Button):
    bl_idname = "codetalker.check_installation"
    bl_label = "Check Installation"
    bl_description = "Look at everything a run needs, and generate a second of speech"
    bl_options = {"INTERNAL"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        found = examination.current()
        if found is not None and found.running:
            return EngineError("The installation is being checked already.")
        return None

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        found = examination.begin()
        if not bpy.app.background:
            return {"FINISHED"}
        found.wait()
        for finding in found.findings:
            self.report({"WARNING" if finding.problem else "INFO"}, str(finding))
        failed = any(finding.problem for finding in found.findings)
        return {"CANCELLED"} if failed else {"FINISHED"}


class CODETALKER_OT_copy_report(Button):
    bl_idname = "codetalker.copy_report"
    bl_label = "Copy to Clipboard"
    bl_description = "Copy the report of the check, ready to paste; your home folder's name is left out"
    bl_options = {"INTERNAL"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        found = examination.current()
        if found is None or found.running:
            return EngineError("There is no report yet.", "Press Check Installation.")
        return None

    def perform(self, context: bpy.types.Context) -> None:
        context.window_manager.clipboard = checkup.report(examination.current().findings)


class CODETALKER_OT_open_preferences(Button):
    bl_idname = "codetalker.open_preferences"
    bl_label = "Open Preferences"
    bl_description = "Show the preferences of this extension, where the engine is chosen and set up"
    bl_options = {"INTERNAL"}

    def perform(self, context: bpy.types.Context) -> None:
        if stored_preferences() is None:
            raise EngineError(
                "This extension is not enabled in Blender's preferences.", "Enable it under Add-ons."
            )
        bpy.ops.preferences.addon_show(module=PACKAGE)


CLASSES = (
    CODETALKER_OT_set_up_engine,
    CODETALKER_OT_download_engine,
    CODETALKER_OT_cancel_engine_setup,
    CODETALKER_OT_remove_engine,
    CODETALKER_OT_check_installation,
    CODETALKER_OT_copy_report,
    CODETALKER_OT_open_preferences,
)


def new_installer() -> Installer:
    """The set-up that the preferences describe, not begun.  Raises EngineError."""
    return Installer(managed_environment(), Path(sys.executable), engine_pins(), _source())


def _source() -> PackageSource:
    """Where the packages come from.  Raises EngineError."""
    stored = stored_preferences()
    if stored is None:
        return package_source("auto", "")
    device = stored.setup_device if sys.platform != "darwin" else "auto"
    return package_source(device, bpy.path.abspath(stored.package_index))


def _finish(installer: Installer) -> None:
    """Without a window there is nobody to press a second button: the list is printed, and agreed to.

    Raises what stopped it.
    """
    installer.wait()
    if installer.plan is not None:
        sys.stdout.write(f"To fetch: {installer.plan}. {installer.doubt}\n")
        sys.stdout.writelines(f"  {package}\n" for package in installer.plan.packages)
    installer.agree()
    installer.wait()
    if installer.error is not None:
        raise installer.error
