"""Installs the slim package into a Blender without anything, sets the managed engine up, uses and removes it.

    python drive_managed_engine.py ZIP INDEX

INDEX: a folder of wheels, or "" for the network.  First a set-up is cancelled in its middle.
Leaves answer.json in its home: what each step came to, seconds and bytes.
"""

from __future__ import annotations

import importlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import bpy
from drive_full_package import MODULE, install, speak  # type: ignore[import-not-found]  # beside it


def main(archive: str, index: str) -> dict[str, Any]:
    install(archive)
    preferences = bpy.context.preferences.addons[MODULE].preferences
    engine_settings = importlib.import_module(f"{MODULE}.blender.preferences").engine_settings
    before = engine_settings().missing()
    bpy.context.preferences.system.use_online_access = not index
    preferences.engine, preferences.package_index = "MANAGED", index
    folder = Path(bpy.utils.extension_path_user(MODULE))
    found: dict[str, Any] = {"before": before, "cancelled": cancel_in_the_middle(folder)}

    started = time.perf_counter()
    bpy.ops.codetalker.set_up_engine()
    found["set_up_s"] = time.perf_counter() - started
    found["unpacked"] = size_of(folder / "engine")
    found["left_over"] = sorted(path.name for path in (folder / "engine").iterdir())
    found.update(speak("worker"))
    bpy.ops.codetalker.remove_engine()
    found["after"] = sorted(path.name for path in folder.iterdir())
    found["missing_again"] = engine_settings().missing()
    return found


def cancel_in_the_middle(folder: Path) -> dict[str, Any]:
    """As in a window: the button begins it, another agrees, a third cancels."""
    setup = importlib.import_module(f"{MODULE}.blender.setup.engine_setup")
    operators = importlib.import_module(f"{MODULE}.blender.setup.installation_operators")
    installer = operators.new_installer()
    setup.begin(installer)
    installer.wait()
    assert installer.plan is not None, installer.error
    plan = installer.plan
    bpy.ops.codetalker.download_engine()
    scratch = [folder / "engine" / part for part in ("tmp", "wheels")]
    while installer.stage in ("agree", "download") and sum(map(size_of, scratch)) < 1_000_000:
        time.sleep(0.01)
    stage, size = installer.stage, size_of(folder)
    bpy.ops.codetalker.cancel_engine_setup()
    setup.close_current()
    return {
        "stage": stage,
        "bytes": size,
        "ended": installer.stage,
        "left": sorted(path.name for path in folder.iterdir()),
        "packages": len(plan.packages),
        "download": plan.size,
        "hosts": plan.hosts,
    }


def size_of(folder: Path) -> int:
    sizes = 0
    for path in folder.rglob("*"):
        try:
            sizes += path.lstat().st_size
        except OSError:  # pip moves its files meanwhile
            continue
    return sizes


if __name__ == "__main__":
    answer = main(*sys.argv[1:])
    (Path.home() / "answer.json").write_text(json.dumps(answer), encoding="utf-8")
