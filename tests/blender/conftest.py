"""A fresh Blender for every test, a speaking sheet of quads, and a small real model."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def blender() -> Iterator[None]:
    """An empty scene with the extension registered, and everything taken back afterwards.

    A timer or handler left behind would hang or crash Blender at exit.
    """
    bpy = pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")
    import codetalker_blender

    bpy.ops.wm.read_factory_settings(use_empty=True)
    codetalker_blender.register()
    yield
    codetalker_blender.unregister()
    bpy.ops.wm.read_factory_settings(use_empty=True)


@pytest.fixture
def obj(blender: None) -> Any:
    """A sheet of quads that is the scene's target."""
    import bpy

    from tests.blender import scenes

    sheet = scenes.add_sheet()
    bpy.context.scene.codetalker.target = sheet
    return sheet


@pytest.fixture(scope="session")
def engine_python() -> str:
    """A Python with torch: this one, or the one that CODETALKER_ENGINE_PYTHON names."""
    if importlib.util.find_spec("torch") is not None:
        return sys.executable
    named = os.environ.get("CODETALKER_ENGINE_PYTHON", "")
    if not named:
        pytest.skip("this Python has no torch, and CODETALKER_ENGINE_PYTHON names no other")
    return named


@pytest.fixture(scope="session")
def tiny_model(engine_python: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small bundle with random weights whose face is a bent sheet of 42 vertices."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    code = "import sys, pathlib, tests.engine.tiny as tiny; tiny.tiny_bundle(pathlib.Path(sys.argv[1]))"
    subprocess.run([engine_python, "-c", code, str(folder)], cwd=ROOT, check=True, timeout=300)
    return folder


@pytest.fixture(scope="session")
def speech_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """0.8 s of a swelling buzz at 16 kHz, 16 bits, under a name with a space and a non-ASCII letter."""
    path = tmp_path_factory.mktemp("sounds") / "grüße an alle.wav"
    write_buzz(path, 0.8)
    return path


@pytest.fixture
def recording(blender: None, tmp_path: Path) -> Path:
    """Three seconds of noise that tells every instant."""
    from tests.blender import timeline

    return timeline.write_wav(tmp_path / "grüße an alle.wav", timeline.noise(timeline.DURATION_S))


@pytest.fixture(scope="session")
def long_speech_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three minutes, which take the small model longer than any test waits."""
    path = tmp_path_factory.mktemp("sounds") / "long.wav"
    write_buzz(path, 180.0)
    return path


@pytest.fixture
def settings(
    blender: None, tiny_model: Path, speech_file: Path, engine_python: str, monkeypatch: pytest.MonkeyPatch
) -> Any:
    """``scene.codetalker``, filled in but for the target; jobs run in a Python that has torch."""
    import bpy

    from codetalker_blender.blender.preferences import PYTHON_VARIABLE

    if engine_python != sys.executable:
        monkeypatch.setenv(PYTHON_VARIABLE, engine_python)
    group = bpy.context.scene.codetalker
    group.audio = str(speech_file)
    group.model, group.model_folder = "OTHER_FOLDER", str(tiny_model)
    return group


def write_buzz(path: Path, duration_s: float) -> None:
    """A swelling buzz as a 16 kHz, 16 bit WAV file."""
    time_s = np.arange(round(16000 * duration_s)) / 16000
    samples = 0.3 * np.sin(2 * np.pi * 140 * time_s) * np.sin(2 * np.pi * 2.5 * time_s) ** 2
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(16000)
        stream.writeframes((samples * 32767).astype("<i2").tobytes())
