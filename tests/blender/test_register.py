"""The extension comes and goes cleanly, and importing it does nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

import codetalker_blender

ROOT = Path(__file__).resolve().parents[2]


def test_registers_three_times_and_leaves_nothing() -> None:
    def state() -> tuple[bool, bool, bool, int]:
        handlers = sum(len(getattr(bpy.app.handlers, name)) for name in ("load_post", "frame_change_post"))
        return (
            hasattr(bpy.types.Scene, "codetalker"),
            hasattr(bpy.types, "CODETALKER_PT_generate"),
            hasattr(bpy.types, "CODETALKER_OT_generate"),
            handlers,
        )

    before = state()
    for _ in range(3):
        codetalker_blender.register()
        assert state()[:3] == (True, True, True)
        assert bpy.context.scene.codetalker.audio == ""
        codetalker_blender.unregister()
        assert state() == before


@pytest.mark.skipif(bool(bpy.app.binary_path), reason="this Blender's Python is none without Blender")
def test_a_process_that_had_it_ends_and_frees_all() -> None:
    """Whatever keeps a class beyond unregister keeps Blender, whose own exit then waits for ever."""
    code = "import codetalker_blender as it; it.register(); it.unregister()"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, timeout=120, capture_output=True, text=True)
    assert done.returncode == 0 and "Not freed memory" not in done.stdout + done.stderr


def test_package_imports_neither_bpy_nor_torch() -> None:
    code = "import sys, codetalker_blender; sys.exit('bpy' in sys.modules or 'torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_scene_keeps_its_settings_in_the_file(blender: None, tmp_path: Path, tiny_model: Path) -> None:
    settings = bpy.context.scene.codetalker
    settings.audio, settings.seed = "//speech.wav", 7
    settings.model, settings.model_folder = "OTHER_FOLDER", str(tiny_model)
    settings.style = "calm"
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "kept.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "kept.blend"))
    settings = bpy.context.scene.codetalker
    assert (settings.audio, settings.seed, settings.model, settings.style) == (
        "//speech.wav", 7, "OTHER_FOLDER", "calm",
    )  # fmt: skip


def test_another_model_resets_the_style(blender: None, tiny_model: Path, tmp_path: Path) -> None:
    settings = bpy.context.scene.codetalker
    settings.model, settings.model_folder = "OTHER_FOLDER", str(tiny_model)
    settings.style = "calm"
    settings.model_folder = str(tmp_path)
    assert settings.style == "NOTHING"
    settings.model_folder = str(tiny_model)
    assert settings.style == "neutral"
