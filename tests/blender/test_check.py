"""Check Installation: by button and by command, when all is well and when something is not."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender import checkup
from codetalker_blender.blender.preferences import PYTHON_VARIABLE
from codetalker_blender.blender.setup import examination
from codetalker_blender.installation.pins import extension_version

ROOT = Path(__file__).resolve().parents[2]
posix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for NVIDIA's tool")


@pytest.fixture
def engine(engine_python: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if engine_python != sys.executable:
        monkeypatch.setenv(PYTHON_VARIABLE, engine_python)
    monkeypatch.setenv("OMP_NUM_THREADS", "1")


@pytest.fixture
def bare_python(tmp_path: Path) -> Path:
    """A Python that has nothing."""
    venv.create(tmp_path / "bare", with_pip=False)
    return tmp_path / "bare" / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def by_subject(findings: list[checkup.Finding]) -> dict[str, checkup.Finding]:
    return {finding.subject: finding for finding in findings}


def test_an_installation_that_can_run(blender: None, engine: None, default_bundle: Path) -> None:
    assert bpy.ops.codetalker.check_installation() == {"FINISHED"}
    found = examination.current()
    assert found is not None and not [one for one in found.findings if one.problem]
    lines = by_subject(found.findings)
    assert extension_version() in lines["Extension"].value
    assert bpy.app.version_string in lines["Blender"].value
    assert "verified" in lines["Model 'default'"].value
    assert "torch" in lines["Engine"].value and "soundfile" in lines["Engine"].value
    assert "25 frames" in lines["Self-test"].value or "30 frames" in lines["Self-test"].value
    report = checkup.report(found.findings)
    assert report.endswith(f"all {len(found.findings)} are well\n")
    assert str(Path.home()) not in report
    assert bpy.ops.codetalker.copy_report() == {"FINISHED"}


def test_a_python_without_the_libraries(
    blender: None, bare_python: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, str(bare_python))
    monkeypatch.setenv("HOME", str(bare_python.parents[2]))
    assert bpy.ops.codetalker.check_installation() == {"CANCELLED"}
    found = examination.current()
    assert found is not None
    lines = by_subject(found.findings)
    assert "lacks torch, transformers," in lines["Engine"].problem
    assert "-m pip install" in lines["Engine"].cure
    assert "Self-test" not in lines, "without an engine there is nothing to test"
    report = checkup.report(found.findings)
    assert "FAIL  Engine: " in report and str(bare_python.parents[2]) not in report and "'~" in report


@posix
def test_an_nvidia_card_that_this_torch_cannot_use(
    blender: None, engine: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text("#!/bin/sh\necho 'NVIDIA GeForce RTX 4090'\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    bpy.ops.codetalker.check_installation()
    found = examination.current()
    assert found is not None
    device = by_subject(found.findings)["Device"]
    if "built for CPU" not in device.value:
        pytest.skip(f"this torch is no build for processors: {device.value}")
    assert "There is NVIDIA GeForce RTX 4090, but this torch has no CUDA" in device.problem
    assert "Set the engine up for NVIDIA" in device.cure


def test_a_damaged_model_is_found(tmp_path: Path, default_bundle: Path, bare_python: Path) -> None:
    shutil.copytree(default_bundle, tmp_path / "models" / "mine")
    with (tmp_path / "models" / "mine" / "model.safetensors").open("r+b") as stream:
        stream.seek(1000)
        stream.write(b"damage")
    engine = checkup.Engine("worker", bare_python, (), "cpu", tmp_path, tmp_path / "models")
    lines = by_subject(list(checkup.check_installation(engine)))
    assert "sha256" in lines["Model 'mine'"].problem and not lines["Model 'default'"].problem


@pytest.mark.skipif(bool(bpy.app.binary_path), reason="needs a Python that can import bpy")
def test_the_command_tells_the_same(engine_python: str, bare_python: Path, default_bundle: Path) -> None:
    def run(python: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "codetalker_blender.blender", "check"],
            cwd=ROOT,
            env={**os.environ, PYTHON_VARIABLE: python, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )

    well = run(engine_python)
    assert (well.returncode, well.stderr) == (0, "") and "ok    Self-test: " in well.stdout
    ill = run(str(bare_python))
    assert ill.returncode == 2 and "FAIL  Engine: " in ill.stdout
    assert ill.stderr == "Not in order: Engine. The report says what to do.\n"
