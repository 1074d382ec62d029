"""The pins and the version come from the project's own files, in a checkout and when installed."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

from codetalker_blender.installation.pins import engine_pins, extension_version

ROOT = Path(__file__).resolve().parents[2]


def test_the_pins_are_those_of_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert [str(pin) for pin in engine_pins()] == project["dependencies"]
    torch = engine_pins()[0]
    assert torch.name == "torch" and torch.label == f"torch {torch.wanted[2:]}"


def test_an_installed_package_reads_its_own_copies(tmp_path: Path) -> None:
    package = tmp_path / "codetalker_blender"
    for name in ("__init__.py", "errors.py", "installation/__init__.py", "installation/pins.py"):
        (package / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / "codetalker_blender" / name, package / name)
    code = "from codetalker_blender.installation.pins import *; print(extension_version(), *engine_pins())"

    def ask() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)

    assert "lacks its file 'blender_manifest.toml'. Install the extension again." in ask().stderr
    for name in ("blender_manifest.toml", "pyproject.toml"):
        shutil.copy(ROOT / name, package / name)
    assert ask().stdout.split() == [extension_version(), *map(str, engine_pins())]
