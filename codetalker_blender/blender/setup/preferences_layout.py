"""How the preferences look: the engine and its set-up, the settings of jobs, the check.  Computes nothing."""

from __future__ import annotations

import sys
import textwrap
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ...errors import UserError
from ...installation.installer import Installer
from ...installation.machine import gigabytes
from ...installation.pins import engine_pins
from ..sidebar.base import for_properties
from . import engine_setup, examination
from .preferences import (
    PYTHON_VARIABLE,
    CODETALKER_AP_preferences,
    engine_settings,
    known_python,
    managed_environment,
)

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

#: Pixels of a character, and of what stands beside a sentence, at Blender's own scale of 1.
_CHARACTER, _BESIDE = 6.6, 80


def draw(layout: bpy.types.UILayout, preferences: CODETALKER_AP_preferences) -> None:
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


def sentence(
    layout: bpy.types.UILayout, text: str, icon: IconItems = "NONE", width: float | None = None
) -> None:
    """A text of any length, in as many lines as it needs; labels do not wrap by themselves.

    width: pixels at a scale of 1; None takes the region's
    """
    if width is None:
        width = bpy.context.region.width / bpy.context.preferences.system.ui_scale
    characters = max(30, int((width - _BESIDE) / _CHARACTER))
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(text, characters) or [""]):
        column.label(text=line, icon="BLANK1" if number and icon != "NONE" else icon, translate=False)


def _draw_bundled(box: bpy.types.UILayout, preferences: CODETALKER_AP_preferences, missing: str) -> None:
    if missing:
        sentence(box, f"{missing}.", "ERROR")
        sentence(box, "Managed sets an engine up for you; Own Environment takes one that you have.", "INFO")
    elif engine_settings().python != Path(sys.executable):
        sentence(box, f"{PYTHON_VARIABLE} names '{engine_settings().python}'.", "CHECKMARK")
    else:
        sentence(box, "The engine is part of this installation.", "CHECKMARK")


def _draw_own(box: bpy.types.UILayout, preferences: CODETALKER_AP_preferences, missing: str) -> None:
    box.prop(preferences, "engine_python")
    known = known_python(Path(bpy.path.abspath(preferences.engine_python)))
    if missing:
        sentence(box, f"{missing}.", "ERROR")
        if known is not None and known.cure:
            sentence(box, known.cure, "INFO")
    elif known is not None:
        sentence(box, f"{known}.", "CHECKMARK")


def _draw_managed(box: bpy.types.UILayout, preferences: CODETALKER_AP_preferences, missing: str) -> None:
    installer = engine_setup.current()
    if installer is not None and installer.running:
        _draw_set_up(box, installer)
        return
    if installer is not None and installer.error is not None:
        sentence(box, installer.error.message, "ERROR")
        sentence(box, installer.error.hint, "INFO")
    elif missing:
        sentence(box, f"{missing}.", "INFO")
    try:
        environment = managed_environment()
    except UserError:  # said above
        return
    if missing:
        if sys.platform != "darwin":
            box.prop(preferences, "setup_device")
        box.prop(preferences, "package_index")
        box.operator("codetalker.set_up_engine", icon="IMPORT")
    else:
        packages = environment.packages()
        named = ", ".join(f"{pin.name} {packages.get(pin.name, '')}".strip() for pin in engine_pins())
        sentence(box, f"Ready: {named}, in '{environment.folder}'.", "CHECKMARK")
    if environment.exists:
        box.operator("codetalker.remove_engine", icon="TRASH")


def _draw_set_up(box: bpy.types.UILayout, installer: Installer) -> None:
    """What goes on, and what it wants to know."""
    if installer.stage == "agree" and installer.plan is not None:
        sentence(box, f"To fetch: {installer.plan}.", "QUESTION")
        grid = box.grid_flow(columns=3, even_columns=True)
        for package in installer.plan.packages:
            grid.label(text=str(package), translate=False)
        sentence(box, f"They go into '{installer.environment.folder}' and nowhere else.", "INFO")
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
            sentence(box, f"{finding.subject}: {finding.problem}", "ERROR")
            sentence(box, finding.cure, "BLANK1")
        else:
            sentence(box, f"{finding.subject}: {finding.value}", "CHECKMARK")
    if found.running:
        box.label(text="Checking...", icon="SORTTIME")
