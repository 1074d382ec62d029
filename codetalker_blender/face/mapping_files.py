"""A name mapping and a rig's rules ⇄ a preset: JSON that a person can read and edit.

    {"format": "codetalker mapping", "version": 2,
     "drives": {"jawOpen": [{"key": "Jaw_Open", "gain": 1.0}], ...},
     "channels": [{"shape": "jawOpen", "channel": "rotation", "bone": "jaw", "axis": "X",
                   "input": [0.0, 1.0], "output": [0.0, 15.0]},
                  {"shape": "jawOpen", "channel": "property", "of": "object", "name": "open", ...}, ...]}

Version 1 had no channels.  Read strictly: a file of somebody else's, or one with a slip in it, is refused in
one sentence, whole.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

from ..errors import UserError
from ..text_files import read_json, write_text
from .names import Drive, NameMapping
from .rig_channels import HOLDERS, PROPERTY, TRANSFORMS, RigChannel, Rule

_FORMAT = "codetalker mapping"
_VERSION = 2
_AXES = "XYZ"


@dataclass(frozen=True)
class Preset:
    """Which keys follow which shapes, and what of a rig does."""

    drives: NameMapping
    rules: tuple[Rule, ...] = ()


def write_mapping(path: Path, preset: Preset) -> None:
    """Write a preset, all of it or nothing.  Raises OutputError."""
    drives = {
        shape: [{"key": drive.key, "gain": drive.gain} for drive in driven]
        for shape, driven in preset.drives.items()
    }
    channels = [_entry(rule) for rule in preset.rules]
    content = {"format": _FORMAT, "version": _VERSION, "drives": drives, "channels": channels}
    write_text(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")


def read_mapping(path: Path) -> Preset:
    """The preset in a file of :func:`write_mapping`.  Raises UserError when it is not one."""
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise UserError(f"'{path}' is not a preset of shape key names.", "Choose one that was saved here.")
    version = content.get("version")
    if version not in (1, _VERSION) or isinstance(version, bool):
        raise UserError(
            f"'{path}' has version {version!r:.80} of the preset format; this extension reads 1 and "
            f"{_VERSION}.",
            "Install the version of the extension that saved it.",
        )
    known = {"format", "version", "drives", *(["channels"] if version == _VERSION else [])}
    if unknown := sorted(set(content) - known):
        raise UserError(f"'{path}' has an unknown field '{unknown[0]}'.")
    drives = content.get("drives")
    if not isinstance(drives, dict):
        raise UserError(f"'{path}': 'drives' must be an object of shapes and their keys.")
    channels = content.get("channels", [])
    if not isinstance(channels, list):
        raise UserError(f"'{path}': 'channels' must be a list.")
    return Preset(
        {shape: _read_drives(path, shape, listed) for shape, listed in drives.items()},
        tuple(_read_rule(path, number, entry) for number, entry in enumerate(channels, 1)),
    )


def _entry(rule: Rule) -> dict[str, object]:
    channel = rule.channel
    entry: dict[str, object] = {"shape": rule.shape, "channel": channel.kind.lower()}
    if channel.kind == PROPERTY:
        entry |= {"of": channel.holder.lower(), "name": channel.name}
        entry |= {"bone": channel.bone} if channel.holder == "BONE" else {}
    else:
        entry |= {"bone": channel.bone, "axis": _AXES[channel.axis]}
    return {**entry, "input": list(rule.input), "output": list(rule.output)}


def _read_rule(path: Path, number: int, entry: object) -> Rule:
    """The inverse of :func:`_entry`; number: from 1, for words."""
    where = f"'{path}': channel {number}"
    if not isinstance(entry, dict):
        raise UserError(f"{where} must be an object, not {entry!r:.80}.")
    kind, holder = str(entry.get("channel")).upper(), str(entry.get("of")).upper()
    if kind not in (*TRANSFORMS, PROPERTY):
        allowed = ", ".join(name.lower() for name in (*TRANSFORMS, PROPERTY))
        raise UserError(f"{where}: 'channel' must be one of {allowed}, not {entry.get('channel')!r:.80}.")
    if kind == PROPERTY and holder not in HOLDERS:
        allowed = ", ".join(name.lower() for name in HOLDERS)
        raise UserError(f"{where}: 'of' must be one of {allowed}, not {entry.get('of')!r:.80}.")
    words = ["shape", *(["name"] if kind == PROPERTY else ["axis"])]
    words += ["bone"] if kind != PROPERTY or holder == "BONE" else []
    expected = {"channel", "input", "output", *words, *(["of"] if kind == PROPERTY else [])}
    if different := sorted(expected.symmetric_difference(entry)):
        raise UserError(f"{where}: '{different[0]}' is missing or does not belong there.")
    for name in words:
        if not isinstance(entry[name], str) or not entry[name]:
            raise UserError(f"{where}: '{name}' must be a name, not {entry[name]!r:.80}.")
    if kind != PROPERTY and entry["axis"] not in tuple(_AXES):
        raise UserError(f"{where}: 'axis' must be X, Y or Z, not {entry['axis']!r:.80}.")
    ranges = {name: _read_range(where, name, entry[name]) for name in ("input", "output")}
    bone = entry.get("bone", "")
    if kind == PROPERTY:
        channel = RigChannel(kind, bone, holder=holder, name=entry["name"])
    else:
        channel = RigChannel(kind, bone, _AXES.index(entry["axis"]))
    return Rule(entry["shape"], channel, ranges["input"], ranges["output"])


def _read_range(where: str, name: str, found: object) -> tuple[float, float]:
    if not isinstance(found, list) or len(found) != 2 or not all(_is_number(number) for number in found):
        raise UserError(f"{where}: '{name}' must be two finite numbers, not {found!r:.80}.")
    return float(found[0]), float(found[1])


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
        if not _is_number(gain):
            raise UserError(f"'{path}': the gain of '{key}' must be a finite number, not {gain!r:.80}.")
        found.append(Drive(key, float(gain)))
    if len({drive.key for drive in found}) != len(found):
        raise UserError(f"'{path}': '{shape}' names the same key twice.")
    return tuple(found)


def _is_number(value: object) -> bool:
    """Whether it is a finite number; false for whole numbers beyond all floats, too."""
    try:
        return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    except OverflowError:
        return False
