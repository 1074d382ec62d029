"""Runs inside Blender: tests/blender, against the installed extension and not the checkout's.

Blender brings no pytest; it and what it needs are pure Python, so the project's copy serves here.
"""

from __future__ import annotations

import importlib
import importlib.util
import shutil
import sys
from importlib import metadata
from pathlib import Path

PACKAGE = "codetalker_blender"
_PYTEST = ("pytest", "_pytest", "py", "pluggy", "iniconfig", "packaging", "pygments")
_DISTRIBUTIONS = ("pytest", "pluggy", "iniconfig", "packaging", "pygments")


def copy_pytest(destination: Path) -> None:
    """Outside Blender: pytest and what it needs, and nothing else of this Python, into a folder."""
    destination.mkdir(exist_ok=True)
    for name in _PYTEST:
        found = importlib.util.find_spec(name)
        if found is None or found.origin is None:
            raise OSError(f"{sys.executable} has no '{name}': run this by build.py")
        source = Path(found.origin)
        if source.name == "__init__.py":
            unwanted = shutil.ignore_patterns("__pycache__")
            shutil.copytree(source.parent, destination / name, ignore=unwanted)
        else:
            shutil.copy2(source, destination / source.name)
    # they ask for their own versions
    for name in _DISTRIBUTIONS:
        files = metadata.distribution(name).files or []
        record = next(Path(str(file.locate())) for file in files if file.name == "METADATA")
        shutil.copytree(record.parent, destination / record.parent.name)


def run(pytest_folder: str, arguments: list[str]) -> None:
    """Inside Blender: run pytest and end Blender with its exit status."""
    import bpy

    installed = Path(bpy.utils.user_resource("EXTENSIONS")) / "user_default"
    sys.path[:0] = [pytest_folder, str(installed)]
    # The tests import the package by its plain name.  Once it is loaded from here, so are its modules.
    package = importlib.import_module(PACKAGE)
    assert Path(str(package.__file__)).parent == installed / PACKAGE, package.__file__
    status = importlib.import_module("pytest").main(arguments)
    sys.stdout.flush()
    sys.exit(int(status))
