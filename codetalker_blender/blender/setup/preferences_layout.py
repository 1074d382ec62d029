"""How the preferences look: the engine and its set-up, the settings of jobs, the check.  Computes nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import bpy

from ...errors import UserError
from ...installation.installer import Installer
from ...installation.machine import gigabytes
from ...installation.pins import engine_pins
from ..layout import draw_text, for_properties
from ..preferences import PYTHON_VARIABLE, engine_settings, known_python, managed_environment
from . import engine_setup, examination
from .installation_operators import CODETALKER_OT_set_up_engine


def draw(layout: bpy.types.UILayout, preferences: bpy.types.AddonPreferences) -> None:
    """All of it."""
    missing = engine_settings().missing()
    for_properties(layout).row().prop(preferences, "engine", expand=True)
    box = layout.box()
    draw_engine = {"BUNDLED": _draw_bundled, "OWN": _draw_own, "MANAGED": _draw_managed}
    draw_engine[preferences.engine](box, preferences, missing)
    column = layout.column()
    for name in ("job_mode", "device", "models_folder"):
        column.prop(preferences, name)
    _draw_check(layout)


def _draw_bundled(box: bpy.types.UILayout, preferences: bpy.types.AddonPreferences, missing: str) -> None:
    if missing:
        draw_text(box, bpy.context, f"{missing}.", "ERROR")
        draw_text(box, bpy.context, "Own Environment takes a Python with torch, if you have one.", "INFO")
    elif engine_settings().python != Path(sys.executable):
        draw_text(box, bpy.context, f"{PYTHON_VARIABLE} names '{engine_settings().python}'.", "CHECKMARK")
    else:
        draw_text(box, bpy.context, "The engine is part of this installation.", "CHECKMARK")


def _draw_own(box: bpy.types.UILayout, preferences: bpy.types.AddonPreferences, missing: str) -> None:
    box.prop(preferences, "engine_python")
    known = known_python(Path(bpy.path.abspath(preferences.engine_python)))
    if missing:
        draw_text(box, bpy.context, f"{missing}.", "ERROR")
        if known is not None and known.cure:
            draw_text(box, bpy.context, known.cure, "INFO")
    elif known is not None:
        draw_text(box, bpy.context, f"{known}.", "CHECKMARK")


def _draw_managed(box: bpy.types.UILayout, preferences: bpy.types.AddonPreferences, missing: str) -> None:
    installer = engine_setup.current()
    if installer is not None and installer.running:
        _draw_set_up(box, installer)
        return
    if installer is not None and installer.error is not None:
        draw_text(box, bpy.context, installer.error.message, "ERROR")
        draw_text(box, bpy.context, installer.error.hint, "INFO")
    elif missing:
        draw_text(box, bpy.context, f"{missing}.", "INFO")
    try:
        environment = managed_environment()
    except UserError:  # said above
        return
    if missing:
        if sys.platform != "darwin":
            box.prop(preferences, "setup_device")
        box.prop(preferences, "package_index")
        refusal = CODETALKER_OT_set_up_engine.obstacle(bpy.context)
        if refusal is not None:
            draw_text(box, bpy.context, str(refusal), "ERROR")
        box.operator(CODETALKER_OT_set_up_engine.bl_idname, icon="IMPORT")
    else:
        packages = environment.packages()
        named = ", ".join(f"{pin.name} {packages.get(pin.name, '')}".strip() for pin in engine_pins())
        draw_text(box, bpy.context, f"Ready: {named}, in '{environment.folder}'.", "CHECKMARK")
    if environment.exists:
        box.operator("codetalker.remove_engine", icon="TRASH")


def _draw_set_up(box: bpy.types.UILayout, installer: Installer) -> None:
    """What goes on, and what it wants to know."""
    if installer.stage == "agree" and installer.plan is not None:
        draw_text(box, bpy.context, f"To fetch: {installer.plan}.", "QUESTION")
        if installer.doubt:
            draw_text(box, bpy.context, installer.doubt, "ERROR")
        grid = box.grid_flow(columns=3, even_columns=True)
        for package in installer.plan.packages:
            grid.label(text=str(package), translate=False)
        draw_text(
            box, bpy.context, f"They go into '{installer.environment.folder}' and nowhere else.", "INFO"
        )
        row = box.row()
        label = f"Download and Install ({gigabytes(installer.plan.size)})"
        row.operator("codetalker.download_engine", text=label, icon="IMPORT")
    else:
        share = installer.fraction
        text = engine_setup.STAGES[installer.stage]
        if share is None:
            box.label(text=f"{text}...", icon="SORTTIME")
        else:
            box.progress(factor=share, text=f"{text}: {share:.0%}")
        row = box.row()
    row.operator("codetalker.cancel_engine_setup", icon="CANCEL")


def _draw_check(layout: bpy.types.UILayout) -> None:
    found = examination.current()
    row = layout.row()
    row.operator("codetalker.check_installation", icon="VIEWZOOM")
    if found is None:
        return
    if not found.running:
        row.operator("codetalker.copy_report", icon="COPYDOWN")
    box = layout.box()
    for finding in tuple(found.findings):
        if finding.problem:
            draw_text(box, bpy.context, f"{finding.subject}: {finding.problem}", "ERROR")
            draw_text(box, bpy.context, finding.cure, "BLANK1")
        else:
            draw_text(box, bpy.context, f"{finding.subject}: {finding.value}", "CHECKMARK")
    if found.running:
        box.label(text="Checking...", icon="SORTTIME")
