"""What every test shares: a Blender without the person's own preferences."""

from __future__ import annotations

import atexit
import os
import shutil
import sys
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

# Before anything imports bpy, which reads it once: tests must neither see nor change the preferences,
# extensions and caches of the person who runs them.
# (Inside a Blender program, which tests.gui starts, bpy is there already, and so is a folder of its own.)
if "bpy" not in sys.modules:
    _BLENDER_FOLDER = tempfile.mkdtemp(prefix="codetalker-blender-")
    os.environ["BLENDER_USER_RESOURCES"] = _BLENDER_FOLDER
    atexit.register(shutil.rmtree, _BLENDER_FOLDER, ignore_errors=True)


@pytest.hookimpl(optionalhook=True)  # of pytest-xdist, which a Blender program's Python lacks
def pytest_xdist_auto_num_workers() -> int:
    """One per core, four at most, since each may hold torch and a Blender; they share the cores."""
    cores = os.cpu_count() or 1
    workers = min(cores, 4)
    os.environ.setdefault("OMP_NUM_THREADS", str(cores // workers))
    return workers


@pytest.fixture(scope="session")
def default_bundle() -> Path:
    """The shipped model; skips in a checkout from before it was trained."""
    folder = ROOT / "assets" / "models" / "default"
    if not (folder / "config.json").is_file():
        pytest.skip(f"there is no default model in {folder}")
    return folder
