"""The audio file -> what the engine reads, and its sound strip on the sequencer's timeline."""

from __future__ import annotations

import logging
import math
import os
from pathlib import Path
from typing import Any

import bpy

from ...contracts import AudioSource
from ...errors import AudioError
from .. import compat
from ..writing.keys import MARK

log = logging.getLogger(__name__)
#: How many channels Blender's sequencer has.
CHANNELS = 128


def audio_path(filepath: str) -> Path:
    """The absolute path of a file property (``//`` is the .blend's folder).  Raises AudioError when empty."""
    if not filepath.strip():
        raise AudioError("No audio file is chosen.", "Choose a speech recording under Audio.")
    return Path(os.path.normpath(bpy.path.abspath(filepath)))


def audio_source(filepath: str) -> AudioSource:
    """The whole file as the engine's source.  Raises AudioError when it is absent or a folder."""
    path = audio_path(filepath)
    if path.is_dir():
        raise AudioError(f"'{path}' is a folder, not an audio file.", "Choose a file in it.")
    if not path.is_file():
        raise AudioError(f"The audio file '{path}' does not exist.", "Choose another file under Audio.")
    return AudioSource(path)


def frames_per_second(scene: bpy.types.Scene) -> float:
    """The scene's own rate."""
    return float(scene.render.fps / scene.render.fps_base)


def add_sound(scene: bpy.types.Scene, filepath: str, start_frame: int, target: str) -> str | None:
    """Put the file on the timeline at ``start_frame``, once; drop the strip we added for this target before.

    filepath: as the user typed it (a relative path stays relative)
    target: name of the animated object, noted on the strip

    Returns a sentence when the sound could not be added, else None.  A strip that plays the same
    file from the same frame, ours or not, counts as already added; so do all parts of a split one.
    """
    path = audio_path(filepath)
    fps = frames_per_second(scene)
    editor = scene.sequence_editor
    owners, made_editor = [target], False
    if editor is not None:
        present = [
            strip
            for strip in compat.all_strips(editor)
            if strip.type == "SOUND"
            and _plays(strip, path)
            and round(compat.strip_content_start(strip)) == start_frame
        ]
        made_editor = _made_editor(editor, target)
        _forget(editor, target, keep=present)
        for strip in present:
            if MARK in strip and target not in _owners(strip):
                _sign(strip, [*_owners(strip), target], int(strip[MARK]["start_frame"]))
        if present and not _is_outdated(present, path, fps):
            return None
        for strip in present:
            owners = _owners(strip)
            _remove(editor, strip)
    if not compat.has_audio():
        return "The sound was not added to the timeline: this Blender is built without audio."
    had_editor = editor is not None
    editor = editor or scene.sequence_editor_create()
    # An upper bound; generous where the length is not known: that only costs a free channel.
    end_frame = start_frame + math.ceil((_duration_s(path) or 600) * fps) + 1
    channel = _free_channel(editor, start_frame, end_frame)
    if channel is None:
        return (
            f"The sound was not added to the timeline: all {CHANNELS} channels of the sequencer are taken "
            f"between frame {start_frame} and {end_frame - 1}."
        )
    try:
        strip = compat.strips(editor).new_sound(
            name=path.name,
            filepath=filepath,
            channel=channel,
            frame_start=start_frame,
        )
    except RuntimeError as error:
        if not had_editor:
            scene.sequence_editor_clear()
        log.warning("Blender could not add '%s': %s", path, error)
        return f"The sound was not added to the timeline: {error}".strip()
    _sign(strip, owners, start_frame)
    if not had_editor or made_editor:
        strip[MARK]["made_editor"] = 1
    return None


def remove_sound(scene: bpy.types.Scene, target: str) -> None:
    """Drop the strip that we added for this target where it still is as we put it.

    The sequence editor goes with it where we made that for a strip and nothing else has come into it.
    """
    editor = scene.sequence_editor
    if editor is None:
        return
    made_editor = _made_editor(editor, target)
    _forget(editor, target, keep=[])
    if made_editor and not compat.all_strips(editor):
        scene.sequence_editor_clear()


def replace_sound(scene: bpy.types.Scene, target: str, used: str) -> None:
    """The target's speech now comes from a strip: drop what we added for it before.

    used: the name of that strip in the scene's sequencer, or "" where another scene has it.  Where it
    is one of ours, a part of one, or gone, all stays.
    """
    editor = scene.sequence_editor
    if editor is None:
        return
    strip = next((item for item in compat.all_strips(editor) if item.name == used), None)
    if used and (strip is None or target in _owners(strip)):
        return
    remove_sound(scene, target)


def rename_owner(scene: bpy.types.Scene, former: str, name: str) -> None:
    """Let the strips we added for the object ``former`` count as added for ``name``."""
    for strip in compat.all_strips(scene.sequence_editor) if scene.sequence_editor is not None else []:
        owners = _owners(strip)
        if former in owners:
            renamed = [name if owner == former else owner for owner in owners]
            _sign(strip, list(dict.fromkeys(renamed)), int(strip[MARK]["start_frame"]))


def _plays(strip: Any, path: Path) -> bool:
    sound = strip.sound
    return (
        sound is not None
        and Path(os.path.normpath(bpy.path.abspath(sound.filepath, library=sound.library))) == path
    )


def _sign(strip: Any, owners: list[str], start_frame: int) -> None:
    """Note on a strip that we put it at this frame, for these objects."""
    made_editor = MARK in strip and bool(strip[MARK].get("made_editor"))
    strip[MARK] = {"objects": "\n".join(owners), "start_frame": start_frame}
    if made_editor:
        strip[MARK]["made_editor"] = 1


def _made_editor(editor: bpy.types.SequenceEditor, target: str) -> bool:
    """Whether there was no sequence editor before we added sound for this target."""
    ours = [strip for strip in compat.all_strips(editor) if target in _owners(strip)]
    return any(bool(strip[MARK].get("made_editor")) for strip in ours)


def _owners(strip: Any) -> list[str]:
    return str(strip[MARK]["objects"]).split("\n") if MARK in strip else []


def _forget(editor: bpy.types.SequenceEditor, target: str, keep: list[Any]) -> None:
    """Remove the strips we added for ``target``, unless another target of ours uses them too.

    A strip that is not where we put it has been moved, or is the animator's copy of ours: it stays.
    """
    for strip in compat.all_strips(editor):
        owners = _owners(strip)
        if target not in owners or strip in keep:
            continue
        start_frame = int(strip[MARK]["start_frame"])
        if round(compat.strip_content_start(strip)) != start_frame:
            continue
        owners.remove(target)
        if owners:
            _sign(strip, owners, start_frame)
            continue
        _remove(editor, strip)


def _remove(editor: bpy.types.SequenceEditor, strip: Any) -> None:
    """Remove a strip, also from inside a meta strip, and its sound where nothing else plays it."""
    sound = strip.sound
    metas = [meta for meta in compat.all_strips(editor) if meta.type == "META"]
    homes = [compat.strips(editor), *(compat.strips(meta) for meta in metas)]
    next(home for home in homes if strip in list(home)).remove(strip)
    if sound is not None and sound.users == 0:
        bpy.data.sounds.remove(sound)


def _is_outdated(present: list[Any], path: Path, fps: float) -> bool:
    """Whether our strip shows a file that has been recorded anew, at another length, since it was added.

    A strip that was split or trimmed is the animator's choice of length.
    """
    if len(present) != 1 or MARK not in present[0] or compat.strip_is_trimmed(present[0]):
        return False
    duration_s = _duration_s(path)
    left, right = compat.strip_span(present[0])
    return duration_s is not None and abs(right - left - duration_s * fps) > 1


def _duration_s(path: Path) -> float | None:
    """The file's length in seconds, or None where Blender cannot tell."""
    try:
        import aud  # noqa: PLC0415 - only inside Blender, and not in every build

        sound: Any = aud.Sound(str(path))  # type: ignore[call-arg]
        duration_s = float(sound.length / sound.specs[0])
    except Exception as error:  # noqa: BLE001 - any failure to look ahead has a fallback
        log.info("The length of '%s' is not known beforehand: %s", path, error)
        return None
    return duration_s if duration_s > 0 else None


def _free_channel(editor: bpy.types.SequenceEditor, first: int, end: int) -> int | None:
    """The lowest channel without a strip in the frames [first, end), or None."""
    taken = set()
    for strip in compat.strips(editor):
        left, right = compat.strip_span(strip)
        if left < end and right > first:
            taken.add(strip.channel)
    return next((channel for channel in range(1, CHANNELS + 1) if channel not in taken), None)
