"""The project's two TOML files -> the engine's pinned libraries, and the extension's version.

Both files come along: in the folder of an installed extension, and above it in a checkout.  So the
pins stand in ``pyproject.toml`` and the version in ``blender_manifest.toml``, and nowhere else.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from ..errors import EngineError

_PACKAGE = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Pin:
    """One library the engine imports.

    name: "torch"; wanted: what pip is asked for, as in "==2.13.0" or ">=1.26,<3"
    """

    name: str
    wanted: str

    def __str__(self) -> str:
        return f"{self.name}{self.wanted}"

    @property
    def label(self) -> str:
        """For people: "torch 2.13.0"."""
        return f"{self.name} {self.wanted.removeprefix('==')}"


@cache
def engine_pins() -> tuple[Pin, ...]:
    """The libraries of the engine, in the order of ``pyproject.toml``.  Raises EngineError."""
    found = []
    for text in _read("pyproject.toml")["project"]["dependencies"]:
        parts = re.fullmatch(r"([\w.-]+?)\s*([=<>!~].*)", text)
        assert parts is not None, text  # our own file
        found.append(Pin(parts[1], parts[2]))
    return tuple(found)


def extension_version() -> str:
    """Such as "0.1.0".  Raises EngineError."""
    return str(_read("blender_manifest.toml")["version"])


def _read(name: str) -> dict[str, Any]:
    for folder in (_PACKAGE, _PACKAGE.parent):
        path = folder / name
        if path.is_file():
            return tomllib.loads(path.read_text(encoding="utf-8"))
    raise EngineError(f"The installation lacks its file '{name}'.", "Install the extension again.")
