"""Installs a package into a Blender without anything of a person's, and tells what came of it.

    python drive_full_package.py ZIP                     is it enabled, and is its wheel's module there?
    python drive_full_package.py ZIP worker|inside       the demo head speaks with the bundled engine

Leaves answer.json in its home.  A process of its own, with HOME and BLENDER_USER_RESOURCES of its own:
Blender reads them once, and wheels that were imported cannot be taken back.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy

MODULE = "bl_ext.user_default.codetalker_blender"


def install(archive: str) -> bool:
    """Install and enable; -> whether it is."""
    import addon_utils  # it is there once bpy is

    # how it ends says nothing: {"FINISHED"} or an error, and either with the package installed
    with suppress(RuntimeError):
        bpy.ops.extensions.package_install_files(
            filepath=archive, repo="user_default", enable_on_install=True
        )
    return bool(addon_utils.check(MODULE)[1])


def main(archive: str, mode: str = "") -> dict[str, Any]:
    import addon_utils

    enabled = install(archive)
    found = {"enabled": enabled, "made": importlib.util.find_spec("made") is not None}
    if enabled and mode:
        found.update(speak(mode))
    if enabled:
        addon_utils.disable(MODULE)
    return found


def speak(mode: str) -> dict[str, Any]:
    preferences = bpy.context.preferences.addons[MODULE].preferences
    preferences.job_mode = mode
    folder = Path(importlib.import_module(MODULE).__file__ or "").parent
    bpy.ops.wm.open_mainfile(filepath=str(folder / "assets" / "demo_head.blend"))
    settings = bpy.context.scene.codetalker
    settings.target = bpy.data.objects["CodeTalker Head"]
    settings.audio = str(folder / "assets" / "speech" / "demo.flac")
    engine = importlib.import_module(f"{MODULE}.blender.preferences").engine_settings()
    generated = bpy.ops.codetalker.generate()
    checked = bpy.ops.codetalker.check_installation()
    findings = importlib.import_module(f"{MODULE}.blender.setup.examination").current().findings
    torch = importlib.util.find_spec("torch")
    return {
        "mode": engine.mode,
        "missing": engine.missing(),
        "python": str(engine.python),
        "torch": torch.origin if torch else None,
        "generated": sorted(generated),
        "checked": sorted(checked),
        "keys": len(settings.target.data.shape_keys.key_blocks),
        "findings": [str(finding) for finding in findings],
    }


if __name__ == "__main__":
    answer = main(*sys.argv[1:])
    (Path.home() / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
