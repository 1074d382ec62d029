"""The installed extension as the acts see it: its modules, its job, its worker processes."""

from __future__ import annotations

import importlib
import os
from pathlib import Path
from types import ModuleType

from tests.gui.program import MODULE

_WORKER = "codetalker_blender.job.worker"


def module(name: str) -> ModuleType:
    """A module of the installed extension ("blender.jobs"), under the name it has in Blender."""
    return importlib.import_module(f"{MODULE}.{name}")


def folder() -> Path:
    """Where the extension is installed."""
    return Path(str(importlib.import_module(MODULE).__file__)).parent


def is_running() -> bool:
    """Whether a speech is being generated."""
    return module("blender.runs.jobs").current() is not None


def progress() -> tuple[str, float]:
    """The running job's stage and how far that is, 0 to 1."""
    run = module("blender.runs.jobs").current()
    return ("", 0.0) if run is None else (run.stage, run.fraction)


def workers() -> list[int]:
    """The ids of the worker processes that this Blender has started and that are alive."""
    return [pid for pid in _processes() if _is_worker(pid) and _parent(pid) == os.getpid()]


def alive_workers(pids: list[int]) -> list[int]:
    """Those of the processes that are still there, and still workers."""
    return [pid for pid in pids if _is_worker(pid)]


def _processes() -> list[int]:
    return [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]


def _is_worker(pid: int) -> bool:
    try:
        return _WORKER in Path(f"/proc/{pid}/cmdline").read_text(errors="replace")
    except OSError:
        return False  # it has ended


def _parent(pid: int) -> int:
    try:
        # the name, in brackets, may hold spaces
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    except OSError:
        return 0
