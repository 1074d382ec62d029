"""A Blender, as a Python module, that knows nothing of this environment: no engine, a home of its own."""

from __future__ import annotations

import importlib.metadata
import json
import os
import re
import subprocess
import venv
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def bare_blender(folder: Path) -> Path:
    """The Python of a new environment that holds bpy and what bpy needs, and nothing of the engine."""
    environment = folder / "bare"
    venv.create(environment, with_pip=False, symlinks=True)
    library = next(environment.glob("lib/python*/site-packages"))
    for distribution in _with_needs("bpy", set()):
        tops = {
            file.parts[0] for file in distribution.files or () if file.parts[0] not in ("..", "__pycache__")
        }
        for top in tops:
            source = Path(str(distribution.locate_file(top)))
            if source.exists() and not (library / top).exists():
                (library / top).symlink_to(source, target_is_directory=source.is_dir())
    return environment / "bin" / "python"


def drive(python: str | Path, driver: Path, home: Path, *arguments: object) -> dict[str, Any]:
    """Run a driver with a home of its own; -> the answer.json that it leaves there, and what it said."""
    home.mkdir()
    words = ("PATH", "LD_LIBRARY_PATH", "LANG", "OMP_NUM_THREADS")
    # where pip looks belongs to the machine
    environment = {
        name: text for name, text in os.environ.items() if name in words or name.startswith("PIP_")
    }
    environment.update(HOME=str(home), BLENDER_USER_RESOURCES=str(home / "blender"), PYTHONNOUSERSITE="1")
    done = subprocess.run(
        [python, str(driver), *map(str, arguments)],
        cwd=home,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: dict[str, Any] = json.loads((home / "answer.json").read_text(encoding="utf-8"))
    return {**answer, "said": done.stdout + done.stderr}


def _with_needs(name: str, seen: set[str]) -> Iterator[importlib.metadata.Distribution]:
    plain = re.sub(r"[-_.]+", "-", name).lower()
    if plain in seen:
        return
    seen.add(plain)
    distribution = importlib.metadata.distribution(name)
    yield distribution
    for need in distribution.requires or ():
        if "extra ==" not in need:
            found = re.match(r"[\w.-]+", need)
            assert found is not None
            yield from _with_needs(found[0], seen)
