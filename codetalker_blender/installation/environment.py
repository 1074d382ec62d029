"""The folder of the engine that the extension set up: whether it is ready, what is in it, its end.

engine/venv/        a virtual environment
engine/ready.json   written last: what is in it
engine/wheels/ tmp/ while it is being made
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..errors import OutputError
from .pins import Pin

_READY = "ready.json"
_TRIES = 10


class ManagedEnvironment:
    """An environment for the engine in ``folder``, which belongs to it alone."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def python(self) -> Path:
        parts = ("Scripts", "python.exe") if os.name == "nt" else ("bin", "python")
        return self.folder.joinpath("venv", *parts)

    @property
    def log(self) -> Path:
        """What the last set-up said; stays when the folder goes."""
        return self.folder.with_name(f"{self.folder.name}-setup.log")

    @property
    def exists(self) -> bool:
        return self.folder.exists()

    def obstacle(self, pins: Sequence[Pin]) -> str:
        """Why it cannot run the model, as one sentence; "" when it can."""
        if not self.exists:
            return "The managed engine is not set up yet: press Set Up Engine in the preferences."
        ready = self._ready()
        if ready is None:
            return "The managed engine's set-up did not come to its end: press Set Up Engine once more."
        if not self.python.is_file():  # its Python was another Blender's, and that is gone
            return (
                f"The Python of the managed engine, '{self.python}', is gone: press Set Up Engine once more."
            )
        if ready.get("pins") != [str(pin) for pin in pins]:
            return "The managed engine was made for another version of the extension: press Set Up Engine."
        return ""

    def packages(self) -> Mapping[str, str]:
        """Library -> version, as it was set up; empty when it is not ready."""
        ready = self._ready() or {}
        packages = ready.get("packages")
        return packages if isinstance(packages, dict) else {}

    def mark_ready(self, pins: Sequence[Pin], packages: Mapping[str, str]) -> None:
        """Say that it is complete."""
        text = json.dumps({"pins": [str(pin) for pin in pins], "packages": dict(packages)}, indent=1)
        partial = self.folder / f"{_READY}.part"
        partial.write_text(text, encoding="utf-8")
        partial.replace(self.folder / _READY)

    def remove(self) -> None:
        """Delete the folder, whatever is in it.  Raises OutputError.

        The mark goes first, so that what is left of an interrupted removal does not count as ready.
        """
        try:
            (self.folder / _READY).unlink(missing_ok=True)
            for more in range(_TRIES - 1, -1, -1):
                try:
                    if self.exists:
                        shutil.rmtree(self.folder)
                    return
                except OSError:
                    # Windows holds on to a program's files for a moment after its end.
                    if not more:
                        raise
                    time.sleep(0.3 if sys.platform == "win32" else 0.05)
        except OSError as error:
            raise OutputError(
                f"The folder '{self.folder}' cannot be removed: {error.strerror or error}.",
                "Stop the running job, or restart Blender and try again.",
            ) from error

    def _ready(self) -> dict[str, object] | None:
        try:
            ready = json.loads((self.folder / _READY).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None
        return ready if isinstance(ready, dict) else None
