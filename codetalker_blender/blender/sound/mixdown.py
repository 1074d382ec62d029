"""Sound that only Blender can play (a retimed strip, a movie's sound) -> a WAV file's bytes.

Blender's own mixdown evaluates its scene at every frame, objects and all, and mixes whatever sounds
in it.  So it runs in a scene of its own, which holds nothing but the one strip and is gone
afterwards; the animator's scene is never touched, whatever fails.
"""

from __future__ import annotations

import logging
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy

from ...errors import AudioError, reason_of
from .. import compat
from . import heard

log = logging.getLogger(__name__)
#: What most recordings have, so that Blender need not resample them.
RATE_HZ = 48_000
#: The first frame that every scene may start at.
_FIRST_FRAME = 1


def mix_strip(source: heard.Heard) -> bytes:
    """What is heard of a strip from its first audible frame on, as a mono WAV file.

    The file is a little longer than the strip is heard.  Raises AudioError.
    """
    scene: bpy.types.Scene | None = bpy.data.scenes.get(source.scene)
    if scene is None or not heard.find_strip(scene, source.strip):
        raise AudioError(f"The strip '{source.strip}' has gone.", "Choose another strip.")
    _check_audio(source.strip)
    _check_sound(heard.find_strip(scene, source.strip)[-1].sound, source.strip)
    with _copy_of(scene) as copy:
        path = heard.find_strip(copy, source.strip)
        # A scene cannot start before frame 0, a strip can.
        late = max(0, _FIRST_FRAME - source.first)
        if not compat.strip_trim_start(path[-1]):
            # Blender 4.5 and others look up a retimed strip's speed one frame before its sound begins, where
            # nothing is written unless it is frame 0: they play wrong samples there, or divide by zero and
            # crash (Blender's issue 155719).  What a hard split took off lies there else.
            late = _FIRST_FRAME - min(source.first, math.floor(compat.strip_content_start(path[-1])))
        if late:
            compat.set_strip_content_start(path[0], compat.strip_content_start(path[0]) + late)
        _isolate(copy, path)
        return _mix(copy, source.first + late, source.end + late, source.strip)


def mix_file(path: Path) -> bytes:
    """The sound of a file that Blender can play, as a mono WAV file.  Raises AudioError."""
    _check_audio(path.name)
    scene = bpy.data.scenes.new("CodeTalker Mixdown")
    sound = None
    try:
        collection = compat.strips(scene.sequence_editor_create())
        strip = collection.new_sound(name=path.name, filepath=str(path), channel=1, frame_start=_FIRST_FRAME)
        sound = strip.sound
        _check_sound(sound, path.name)
        left, right = compat.strip_span(strip)
        # Blender rounds the strip to whole frames.
        compat.set_strip_length(strip, right - left + 1)
        return _mix(scene, left, right + 1, path.name)
    except RuntimeError as error:
        raise _failed(path.name, error) from error
    finally:
        bpy.data.scenes.remove(scene)
        if sound is not None and not sound.users:
            bpy.data.sounds.remove(sound)


def _check_audio(name: str) -> None:
    if not compat.has_audio():
        raise AudioError(*refusal(name))


def _check_sound(sound: bpy.types.Sound, name: str) -> None:
    """Blender plays a file that it cannot read as silence."""
    if not sound.samplerate:
        raise AudioError(
            f"Blender cannot read '{name}' as sound.", "Convert its file to WAV, FLAC, OGG or MP3."
        )


def refusal(name: str) -> tuple[str, str]:
    """The sentence, and its hint, for a Blender that cannot mix sound."""
    return (
        f"'{name}' would have to be mixed down, and this Blender is built without audio.",
        "Use a WAV, FLAC, OGG or MP3 file of it.",
    )


@contextmanager
def _copy_of(scene: bpy.types.Scene) -> Iterator[bpy.types.Scene]:
    """A copy of the scene with its sequencer, without its objects and animation."""
    copy = scene.copy()
    try:
        copy.animation_data_clear()
        for child in list(copy.collection.children):
            copy.collection.children.unlink(child)
        for obj in list(copy.collection.objects):
            copy.collection.objects.unlink(obj)
        yield copy
    finally:
        bpy.data.scenes.remove(copy)


def _isolate(scene: bpy.types.Scene, path: list[Any]) -> None:
    """Let nothing in the sequencer sound but the strip at the end of ``path``, at full volume."""
    home: Any = scene.sequence_editor
    for item in path:
        for strip in compat.strips(home):
            strip.mute = strip != item
        home.channels[item.channel].mute = False
        home = item
    scene.audio_volume = 1.0
    path[-1].volume, path[-1].pan = 1.0, 0.0


def _mix(scene: bpy.types.Scene, first: int, end: int, name: str) -> bytes:
    """The frames [first, end) of the scene, and a little more."""
    scene.use_preview_range = False
    scene.frame_start, scene.frame_end = first, end
    with tempfile.TemporaryDirectory(prefix="codetalker-") as folder:
        path = Path(folder) / "mixdown.wav"
        try:
            compat.mix_down(scene, path, RATE_HZ)
            data = path.read_bytes() if path.is_file() else b""
        except (RuntimeError, OSError) as error:
            raise _failed(name, error) from error
    if not data:  # some Linux packages say that it is done, and write nothing
        raise _failed(name, RuntimeError("it writes no sound file"))
    return data


def _failed(name: str, error: Exception) -> AudioError:
    log.warning("The mixdown of '%s' failed: %s", name, error)
    return AudioError(
        f"Blender cannot mix '{name}' down: {reason_of(error)}.", "Use a WAV, FLAC, OGG or MP3 file."
    )
