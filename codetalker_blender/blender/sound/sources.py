"""The settings -> the speech of a run: what the engine reads, and the frame where it is heard.

    File | Strip by Name | Active Strip ─► locate (cheap) ─► Source ─► read ─► AudioSource

A Source holds names, as nothing in the scene is sure to be there when the model is done.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path

import bpy

from ...contracts import AudioSource
from ...errors import AudioError
from .. import compat
from . import heard, mixdown, strips

#: The values of ``scene.codetalker.source``.
ACTIVE_STRIP, STRIP_BY_NAME, FILE = "ACTIVE_STRIP", "STRIP", "FILE"
#: Films and formats that Blender plays and the engine's library does not read.
_FOREIGN = frozenset(
    ".3gp .aac .ac3 .amr .avi .flv .m2ts .m4a .m4v .mka .mkv .mov .mp4 .mpeg .mpg .mts .webm .wma "
    ".wmv".split()
)


@dataclass(frozen=True)
class Source:
    """Speech on the timeline of the scene whose face shall speak.

    path: the sound file
    start_frame: the frame in which the first sample used is heard
    offset_s, duration_s: the part used, in seconds of the file or, where ``is_mixed``, of what is heard;
        None: to its end
    fps: the scene's rate
    name: of the file or the strip
    is_mixed: only Blender can play it, so it is mixed down first
    strip: what is heard of a strip; None for a file
    typed, file_frame: a file as the user wrote it, and the frame in which it starts
    """

    path: Path
    start_frame: int
    offset_s: float
    duration_s: float | None
    fps: float
    name: str
    is_mixed: bool
    strip: heard.Heard | None = None
    typed: str = ""
    file_frame: int = 0

    def __str__(self) -> str:
        """Such as "'Speech', frames 10 to 93 (muted)"."""
        if self.duration_s is None:
            return f"'{self.name}' from frame {self.start_frame}"
        last = self.start_frame + math.ceil(self.duration_s * self.fps - 1e-6) - 1
        silence = f" ({self.strip.silence})" if self.strip is not None and self.strip.silence else ""
        return f"'{self.name}', frames {self.start_frame} to {last}{silence}"

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences about what is odd and does not hinder."""
        if self.strip is None or not self.strip.silence:
            return ()
        return (f"The strip '{self.name}' is {self.strip.silence}, so nobody hears what the face says.",)


def kind(context: bpy.types.Context) -> str:
    """Where the speech comes from: as set, but in the Sequencer always from its active strip."""
    if context.area is not None and context.area.type == "SEQUENCE_EDITOR":
        return ACTIVE_STRIP
    return str(context.scene.codetalker.source)


def locate(context: bpy.types.Context) -> Source:
    """The speech that is set.  Cheap: panels ask on every redraw.

    Raises AudioError for what can be seen without opening the file.
    """
    scene, settings = context.scene, context.scene.codetalker
    chosen = kind(context)
    if chosen == FILE:
        source = _of_file(scene, settings.audio)
    elif chosen == STRIP_BY_NAME:
        source = _of_strip(scene, _scene_with(context, settings.strip), settings.strip)
    else:
        owner = compat.sequencer_scene(context)
        source = _of_strip(scene, owner, _active_name(owner))
    if source.is_mixed and not compat.has_audio():
        raise AudioError(*mixdown.refusal(source.name))
    return _limited(source, scene) if settings.limit_to_scene_range else source


def read(source: Source) -> AudioSource:
    """The sound as the engine takes it; mixed down here where that is needed.  Raises AudioError."""
    data = None
    if source.is_mixed:
        data = mixdown.mix_file(source.path) if source.strip is None else mixdown.mix_strip(source.strip)
    elif source.strip is not None and source.strip.is_packed:
        data = heard.packed_data(source.strip)
    return AudioSource(source.path, data, source.offset_s, source.duration_s)


def place(source: Source, scene: bpy.types.Scene, target: str) -> str | None:
    """Let the timeline play the source once: add a file, leave a strip, drop what we added before.

    target: the object that speaks.  Returns a sentence when the sound could not be added, else None.
    """
    if source.strip is None:
        return strips.add_sound(scene, source.typed, source.file_frame, target)
    strips.replace_sound(scene, target, source.strip.strip if source.strip.scene == scene.name else "")
    return None


def _of_file(scene: bpy.types.Scene, typed: str) -> Source:
    path, frame = strips.audio_source(typed).path, scene.frame_current
    return Source(
        path=path,
        start_frame=frame,
        offset_s=0.0,
        duration_s=None,
        fps=strips.frames_per_second(scene),
        name=path.name,
        is_mixed=path.suffix.lower() in _FOREIGN,
        typed=typed,
        file_frame=frame,
    )


def _of_strip(scene: bpy.types.Scene, owner: bpy.types.Scene, name: str) -> Source:
    found = heard.heard(owner, name)
    is_mixed = bool(found.unreadable) or found.path.suffix.lower() in _FOREIGN
    fps = strips.frames_per_second(scene)
    return Source(
        path=found.path,
        start_frame=found.first + _shift(scene, owner, found),
        # The mixdown of a strip begins where it is heard.
        offset_s=0.0 if is_mixed else found.offset_s,
        duration_s=(found.end - found.first) / fps,
        fps=fps,
        name=name,
        is_mixed=is_mixed,
        strip=found,
    )


def _active_name(owner: bpy.types.Scene) -> str:
    editor = owner.sequence_editor
    strip = editor.active_strip if editor is not None else None
    if strip is None:
        raise AudioError(
            f"No strip is active in the Sequencer of '{owner.name}'.",
            "Click the strip with the speech.",
        )
    return str(strip.name)


def _scene_with(context: bpy.types.Context, name: str) -> bpy.types.Scene:
    """The scene whose sequencer has the named strip: the Sequencer's, else the window's, else any other."""
    if not name:
        raise AudioError("No strip is named.", "Choose the sound strip with the speech under Strip.")
    first = [compat.sequencer_scene(context), context.scene]
    others = [scene for scene in bpy.data.scenes if scene not in first]
    return next((scene for scene in (*first, *others) if heard.find_strip(scene, name)), first[0])


def _shift(scene: bpy.types.Scene, owner: bpy.types.Scene, found: heard.Heard) -> int:
    """Frames to add to those of ``owner``'s timeline to have those of ``scene``'s.

    Where the owner's sequencer shows the scene in a scene strip, that says which frame goes with which.
    Raises AudioError where the two do not run at the same rate.
    """
    if owner == scene:
        return 0
    rates = [strips.frames_per_second(item) for item in (owner, scene)]
    if not math.isclose(*rates, rel_tol=1e-6):
        raise AudioError(
            f"The strip '{found.strip}' plays in the scene '{owner.name}' at {rates[0]:.6g} fps, the face "
            f"is in '{scene.name}' at {rates[1]:.6g} fps.",
            "Give both scenes the same frame rate.",
        )
    for strip in compat.all_strips(owner.sequence_editor):
        left, right = compat.strip_span(strip)
        if strip.type == "SCENE" and strip.scene == scene and left < found.end and right > found.first:
            origin = compat.strip_content_start(strip) - compat.strip_trim_start(strip)
            return scene.frame_start - round(origin)
    return 0


def _limited(source: Source, scene: bpy.types.Scene) -> Source:
    """The part of the source in the scene's frame range, or in its preview range where that is used."""
    if scene.use_preview_range:
        name, first, last = "preview range", scene.frame_preview_start, scene.frame_preview_end
    else:
        name, first, last = "frame range", scene.frame_start, scene.frame_end
    start = max(source.start_frame, first)
    skipped_s, left_s = (start - source.start_frame) / source.fps, (last + 1 - start) / source.fps
    if source.duration_s is not None:
        left_s = min(left_s, source.duration_s - skipped_s)
    # Half a frame, because these are sums of fractions.
    if left_s * source.fps < 0.5:
        raise AudioError(
            f"Nothing of {source} lies in the scene's {name}, {first} to {last}.",
            "Move one of them, or switch off Limit to Scene Range.",
        )
    return replace(source, start_frame=start, offset_s=source.offset_s + skipped_s, duration_s=left_s)
