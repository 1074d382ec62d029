"""A name mapping ⇄ a preset: JSON that a person can read and edit.

    {"format": "codetalker mapping", "version": 1,
     "drives": {"jawOpen": [{"key": "Jaw_Open", "gain": 1.0}], ...}}

Read strictly: a file of somebody else's, or one with a slip in it, is refused in one sentence, whole.
Standard library only.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

from ..errors import UserError
from ..text_files import read_json, write_text
from .names import Drive, NameMapping

_FORMAT = "codetalker mapping"
_VERSION = 1


def write_mapping(path: Path, mapping: NameMapping) -> None:
    """Write a preset, all of it or nothing.  Raises OutputError."""
    drives = {
        shape: [{"key": drive.key, "gain": drive.gain} for drive in driven]
        for shape, driven in mapping.items()
    }
    content = {"format": _FORMAT, "version": _VERSION, "drives": drives}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_mapping(path: Path) -> NameMapping:
    """The mapping in a file of :func:`write_mapping`.  Raises UserError when it is not one."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise UserError(f"'{path}' is not a preset of shape key names.", "Choose one that was saved here.")
    if content.get("version") != _VERSION:
        raise UserError(
            f"'{path}' has version {content.get('version')!r} of the preset format; this extension reads "
            f"{_VERSION}.",
            "Install the version of the extension that saved it.",
        )
    if unknown := sorted(set(content) - {"format", "version", "drives"}):
        raise UserError(f"'{path}' has an unknown field '{unknown[0]}'.")
    drives = content.get("drives")
    if not isinstance(drives, dict):
        raise UserError(f"'{path}': 'drives' must be an object of shapes and their keys.")
    return {shape: _read_drives(path, shape, listed) for shape, listed in drives.items()}


def _read_drives(path: Path, shape: str, listed: object) -> tuple[Drive, ...]:
    if not isinstance(listed, list) or not listed:
        raise UserError(f"'{path}': '{shape}' must have a list of at least one key.")
    found = []
    for entry in listed:
        if not isinstance(entry, dict) or set(entry) != {"key", "gain"}:
            raise UserError(f"'{path}': every key of '{shape}' must be an object with 'key' and 'gain'.")
        key, gain = entry["key"], entry["gain"]
        if not isinstance(key, str) or not key:
            raise UserError(f"'{path}': a key of '{shape}' must be a name, not {key!r:.80}.")
        if isinstance(gain, bool) or not isinstance(gain, int | float) or not _is_finite(gain):
            raise UserError(f"'{path}': the gain of '{key}' must be a finite number, not {gain!r:.80}.")
        found.append(Drive(key, float(gain)))
    if len({drive.key for drive in found}) != len(found):
        raise UserError(f"'{path}': '{shape}' names the same key twice.")
    return tuple(found)


def _is_finite(value: float) -> bool:
    """False for whole numbers beyond all floats, too."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False
