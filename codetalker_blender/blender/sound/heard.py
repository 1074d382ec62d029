"""A sound strip -> the part of its file that is heard, and the frames where it is heard.

Reads the strip and the meta strips around it; evaluates nothing and opens no file, so panels may ask
on every redraw.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import bpy

from ...errors import AudioError
from .. import compat

#: What Blender calls the types of strips, where that is not their identifier in small letters.
_TYPE_NAMES = {"SOUND": "sound", "MOVIECLIP": "movie clip", "META": "meta"}
#: Handles are whole frames, the start of the file may be a hair beside one.
_ROUNDING_FRAMES = 1e-3
_RETIMED, _PERHAPS_RETIMED = "retimed", "perhaps retimed"


@dataclass(frozen=True)
class Heard:
    """The audible part of a sound strip.

    scene, strip: the names of the sequencer's scene and of the strip
    path: the strip's file, absolute; is_packed: it lies inside the .blend
    first, end: the frames [first, end) of that scene in which it is heard
    offset_s: the second of the file that is heard at ``first``, where ``unreadable`` is empty
    unreadable: why what is heard is no plain part of the file, or may not be ("retimed"), or ""
    silence: why nothing of it is played at present ("muted"), or ""
    """

    scene: str
    strip: str
    path: Path
    is_packed: bool
    first: int
    end: int
    offset_s: float
    unreadable: str
    silence: str


def find_strip(scene: bpy.types.Scene, name: str) -> list[Any]:
    """The strip of that name behind the meta strips that it lies in, outermost first; empty without one."""
    return _path_to(scene.sequence_editor, name) if scene.sequence_editor is not None else []


def sound_names(scene: bpy.types.Scene) -> list[str]:
    """The names of the scene's sound strips, those inside meta strips too."""
    if scene.sequence_editor is None:
        return []
    return sorted(strip.name for strip in compat.all_strips(scene.sequence_editor) if strip.type == "SOUND")


def heard(scene: bpy.types.Scene, name: str) -> Heard:
    """What is heard of the strip ``name`` of the scene's sequencer.

    Raises AudioError where there is no such strip, it is not a sound strip, its file is gone, or
    nothing of it is heard.
    """
    path = find_strip(scene, name)
    if not path:
        raise AudioError(
            f"There is no strip called '{name}' in the Sequencer of '{scene.name}'.",
            f"Sound strips there: {', '.join(sound_names(scene)[:8]) or 'none'}.",
        )
    strip, metas = path[-1], path[:-1]
    if strip.type != "SOUND":
        kind = _TYPE_NAMES.get(strip.type, strip.type.lower().replace("_", " "))
        raise AudioError(
            f"The strip '{name}' is a {kind} strip, not a sound strip.", "Choose the strip with the sound."
        )
    file, is_packed = _file(strip)
    spans = [compat.strip_span(item) for item in path]
    first, end = max(left for left, _ in spans), min(right for _, right in spans)
    unreadable = _unreadable(strip, metas)
    offset_s = 0.0
    trimmed = compat.strip_trim_start(strip)
    origin = compat.strip_content_start(strip) - trimmed
    if unreadable in ("", _PERHAPS_RETIMED) or (unreadable == _RETIMED and not trimmed):
        # Handles may lie before the sound: there, nothing is heard.
        first = max(first, math.ceil(origin - _ROUNDING_FRAMES))
    if unreadable in ("", _PERHAPS_RETIMED):
        offset_s = max(0.0, (first - origin) * scene.render.fps_base / scene.render.fps)
    if first >= end:
        around = f": the meta strip '{metas[-1].name}' does not show it" if metas else ""
        raise AudioError(f"Nothing of the strip '{name}' is heard{around}.", "Choose another strip.")
    return Heard(
        scene=scene.name,
        strip=name,
        path=file,
        is_packed=is_packed,
        first=first,
        end=end,
        offset_s=offset_s,
        unreadable=unreadable,
        silence=_silence(scene.sequence_editor, path),
    )


def packed_data(source: Heard) -> bytes:
    """The whole file of a packed strip.  Raises AudioError when strip or data have gone since."""
    scene: bpy.types.Scene | None = bpy.data.scenes.get(source.scene)
    path = find_strip(scene, source.strip) if scene is not None else []
    packed = path[-1].sound.packed_file if path and path[-1].sound is not None else None
    if packed is None:
        raise AudioError(f"The packed sound of the strip '{source.strip}' has gone.", "Choose another strip.")
    return bytes(packed.data)


def _path_to(home: Any, name: str) -> list[Any]:
    for strip in compat.strips(home):
        if strip.name == name:
            return [strip]
        inner = _path_to(strip, name) if strip.type == "META" else []
        if inner:
            return [strip, *inner]
    return []


def _file(strip: Any) -> tuple[Path, bool]:
    sound = strip.sound
    if sound is None:
        raise AudioError(f"The strip '{strip.name}' has no sound.", "Choose another strip.")
    path = Path(os.path.normpath(bpy.path.abspath(sound.filepath, library=sound.library)))
    is_packed = sound.packed_file is not None
    if not is_packed and not path.is_file():
        raise AudioError(
            f"The file '{path}' of the strip '{strip.name}' does not exist.",
            "Find it with File > External Data > Find Missing Files.",
        )
    return path, is_packed


def _unreadable(strip: Any, metas: list[Any]) -> str:
    if any(compat.strip_is_retimed(item) for item in (strip, *metas)):
        return _RETIMED
    if compat.strip_sound_offset_s(strip):
        return "shifted by a Sound Offset"
    # Without audio nothing could be mixed, and a strip that cannot be heard is seldom a retimed one.
    return _PERHAPS_RETIMED if compat.has_audio() and not compat.tells_retiming(strip) else ""


def _silence(editor: bpy.types.SequenceEditor, path: list[Any]) -> str:
    """Why the last strip of ``path`` is not played, or ""."""
    home: Any = editor
    for item in path:
        what = "" if item is path[-1] else f" in the meta strip '{item.name}', which is"
        if item.mute:
            return f"{what} muted".strip()
        if home.channels[item.channel].mute:
            return f"{what} in a muted channel".strip()
        home = item
    return "at volume 0" if path[-1].volume == 0 else ""
