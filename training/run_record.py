"""What a run was started with, for ``run.json``: command line, code, libraries, machine.

Reads only; the code's state comes from git where there is one.
"""

from __future__ import annotations

import dataclasses
import json
import platform
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_LIBRARIES = ("torch", "numpy", "transformers", "accelerate", "safetensors", "tensorboard")


def git_state(folder: Path) -> dict[str, Any] | None:
    """{"commit", "changed": tracked files differ from it} of ``folder``'s checkout; None without git."""
    command = ("git", "-C", str(folder))
    try:
        commit = subprocess.run(
            (*command, "rev-parse", "HEAD"), capture_output=True, text=True, check=True, timeout=30
        )
        changes = subprocess.run(
            (*command, "status", "--porcelain", "--untracked-files=no"),
            capture_output=True,
            text=True,
            check=True,
            timeout=30,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return {"commit": commit.stdout.strip(), "changed": bool(changes.stdout.strip())}


def versions() -> dict[str, str]:
    """Python's and the libraries' versions; a library that is not installed is left out."""
    found = {"python": platform.python_version()}
    for name in _LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def start_record(device: str, processes: int, precision: str) -> dict[str, Any]:
    """One start of a run, as plain values."""
    return {
        "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "command": sys.argv,
        "git": git_state(Path(__file__).resolve().parent),
        "versions": versions(),
        "platform": platform.platform(),
        "device": device,
        "processes": processes,
        "mixed_precision": precision,
    }


def plain(config: Any) -> Any:
    """A config dataclass (or dict, or None) as JSON would give it back."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        config = dataclasses.asdict(config)
    return json.loads(json.dumps(config, default=str))


def first_difference(old: Any, new: Any, place: str = "") -> str:
    """Where two plain values differ first: "codec.hidden is 64 there, 128 here"; "" when they agree."""
    if isinstance(old, dict) and isinstance(new, dict):
        missing = "nothing"
        for name in (*old, *(name for name in new if name not in old)):
            inside = f"{place}.{name}" if place else name
            found = first_difference(old.get(name, missing), new.get(name, missing), inside)
            if found:
                return found
        return ""
    return "" if old == new else f"{place} is {old!r:.60} there, {new!r:.60} here"
