"""Sources: exactly the sound that is heard, at the frame where it is heard, from strips and files."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.sound import sources, strips
from codetalker_blender.contracts import AudioSource
from codetalker_blender.errors import AudioError
from tests.blender import scenes, timeline
from tests.blender.timeline import DURATION_S, RATE_HZ, assert_is_what_is_heard, dump, locate, refused

needs_audio = pytest.mark.skipif(not compat.has_audio(), reason="this Blender is built without audio")


def whole(strip: Any) -> Any:
    return strip


def moved(strip: Any) -> Any:
    compat.set_strip_content_start(strip, 77)
    return strip


def trimmed(strip: Any) -> Any:
    timeline.set_left(strip, 31)
    timeline.set_right(strip, 60)
    return strip


def soft_split(strip: Any) -> Any:
    right = strip.split(frame=40, split_method="SOFT")
    strip.mute = True
    return right


def hard_split(strip: Any) -> Any:
    right = strip.split(frame=40, split_method="HARD")
    strip.mute = True
    return right


def first_of_a_split(strip: Any) -> Any:
    strip.split(frame=40, split_method="SOFT").mute = True
    return strip


def split_trimmed_and_moved(strip: Any) -> Any:
    right = soft_split(strip)
    timeline.set_left(right, 47)
    compat.set_strip_content_start(right, compat.strip_content_start(right) + 50)
    return right


def with_handles_beyond_the_sound(strip: Any) -> Any:
    timeline.set_left(strip, 12)
    timeline.set_right(strip, 130)
    return strip


def in_a_meta(strip: Any) -> Any:
    timeline.put_into_meta(strip)
    return strip


def in_a_trimmed_meta(strip: Any) -> Any:
    meta = timeline.put_into_meta(strip)
    timeline.set_left(meta, 33)
    timeline.set_right(meta, 61)
    return strip


def in_two_metas_moved(strip: Any) -> Any:
    timeline.set_left(strip, 28)
    inner = timeline.put_into_meta(strip, name="Inner")
    outer = timeline.put_into_meta(inner, name="Outer")
    compat.set_strip_content_start(outer, compat.strip_content_start(outer) + 40)
    timeline.set_left(outer, compat.strip_span(outer)[0] + 5)
    return strip


def trimmed_before_the_rate_changed(strip: Any) -> Any:
    right = strip.split(frame=40, split_method="SOFT")
    strip.mute = True
    bpy.context.scene.render.fps *= 2
    return right


def hard_split_before_the_rate_changed(strip: Any) -> Any:
    right = strip.split(frame=40, split_method="HARD")
    strip.mute = True
    bpy.context.scene.render.fps *= 2
    return right


def packed(strip: Any) -> Any:
    timeline.set_left(strip, 31)
    strip.sound.pack()
    Path(bpy.path.abspath(strip.sound.filepath)).unlink()
    return strip


STRIPS: list[Callable[[Any], Any]] = [
    whole, moved, trimmed, soft_split, hard_split, first_of_a_split, split_trimmed_and_moved,
    with_handles_beyond_the_sound, in_a_meta, in_a_trimmed_meta, in_two_metas_moved,
    trimmed_before_the_rate_changed, hard_split_before_the_rate_changed, packed,
]  # fmt: skip


#: Where the rate is no whole number, Blender itself plays these a frame early, or not, or their whole file.
WAVERING: list[Callable[[Any], Any]] = [hard_split, hard_split_before_the_rate_changed]


@needs_audio
@pytest.mark.parametrize("change", WAVERING, ids=lambda change: change.__name__)
def test_a_hard_split_at_a_rate_that_is_no_whole_number_gives_what_was_split_off(
    recording: Path, change: Callable[[Any], Any]
) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = 30, 1.001
    strip = change(timeline.add_strip(recording, 20))
    if not compat.tells_retiming(strip):
        pytest.skip("this Blender does not tell whether sound is retimed, so that any strip is mixed down")
    source = locate(strip)
    got, whole = timeline.samples_of(sources.read(source)), timeline.samples_of(AudioSource(recording))
    assert source.start_frame == 40 and not source.is_mixed
    first = round((40 - 20) / source.fps * RATE_HZ)
    assert len(got) == len(whole) - first and np.abs(got - whole[first:]).max() < 1e-3


@needs_audio
@pytest.mark.parametrize(("fps", "base"), [(24, 1.0), (25, 1.0), (30, 1.001)])
@pytest.mark.parametrize("change", STRIPS, ids=lambda change: change.__name__)
def test_strip_gives_what_is_heard_where_it_is_heard(
    recording: Path, change: Callable[[Any], Any], fps: int, base: float
) -> None:
    if change in WAVERING and base != 1.0:
        pytest.skip("what Blender plays wavers")
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = fps, base
    strip = change(timeline.add_strip(recording, 20))
    assert_is_what_is_heard(locate(strip))


@needs_audio
def test_active_strip_is_the_source(recording: Path) -> None:
    first, second = timeline.add_strip(recording, 20), timeline.add_strip(recording, 60, 2, "Second")
    editor = bpy.context.scene.sequence_editor
    for strip, start in ((first, 20), (second, 60)):
        editor.active_strip = strip
        source = locate(source=sources.ACTIVE_STRIP)
        assert (source.name, source.start_frame) == (strip.name, start)
        assert str(source) == f"'{strip.name}', frames {start} to {start + 71}"


@needs_audio
def test_in_the_sequencer_the_active_strip_is_the_source_whatever_is_set(recording: Path) -> None:
    bpy.context.scene.sequence_editor_create().active_strip = timeline.add_strip(recording, 20)
    assert bpy.context.scene.codetalker.source == sources.FILE
    with timeline.sequencer():
        assert sources.locate(bpy.context).name == "Speech"


@needs_audio
def test_muted_strips_are_used_and_said_to_be(recording: Path) -> None:
    strip = timeline.add_strip(recording, 20)
    assert locate(strip).notes == ()
    strip.mute = True
    source = locate(strip)
    assert str(source).endswith("(muted)") and "muted" in source.notes[0]
    assert len(timeline.samples_of(sources.read(source))) == DURATION_S * RATE_HZ
    strip.mute = False
    channel = bpy.context.scene.sequence_editor.channels[strip.channel]
    channel.mute = True
    assert "in a muted channel" in str(locate(strip))
    channel.mute = False
    timeline.put_into_meta(strip).mute = True
    assert "the meta strip 'Meta', which is muted" in str(locate(strip))


@needs_audio
@pytest.mark.parametrize("preview", [False, True])
def test_scene_range_cuts_a_strip(recording: Path, preview: bool) -> None:
    scene = bpy.context.scene
    strip = timeline.add_strip(recording, 20)
    scene.frame_start, scene.frame_end = (1, 250) if preview else (30, 59)
    scene.use_preview_range = preview
    scene.frame_preview_start, scene.frame_preview_end = 30, 59
    source = locate(strip, limit_to_scene_range=True)
    assert (source.start_frame, str(source)) == (30, "'Speech', frames 30 to 59")
    audio = sources.read(source)
    assert (audio.start_s, audio.duration_s) == pytest.approx((10 / 24, 30 / 24))
    scene.frame_preview_start, scene.frame_preview_end = 200, 220
    scene.frame_start, scene.frame_end = (1, 250) if preview else (200, 220)
    refused("lies in the scene's.*200 to 220", strip)
    assert locate(strip, limit_to_scene_range=False).start_frame == 20


def test_file_starts_at_the_current_frame(recording: Path) -> None:
    scene = bpy.context.scene
    scene.frame_set(12)
    source = locate(audio=str(recording))
    audio = sources.read(source)
    assert (audio.path, audio.data, audio.start_s, audio.duration_s) == (recording, None, 0.0, None)
    assert (source.start_frame, str(source)) == (12, f"'{recording.name}' from frame 12")
    scene.frame_start, scene.frame_end = 36, 47
    source = locate(limit_to_scene_range=True)
    audio = sources.read(source)
    assert (audio.start_s, audio.duration_s, source.start_frame) == (1.0, 0.5, 36)
    assert source.file_frame == 12
    scene.frame_set(48)
    refused("Nothing of .* lies in the scene's frame range, 36 to 47")


def test_refusals_name_what_is_there(recording: Path) -> None:
    scene = bpy.context.scene
    refused("No strip is active in the Sequencer of 'Scene'", source=sources.ACTIVE_STRIP)
    refused("No strip is named", source=sources.STRIP_BY_NAME)
    bpy.context.scene.codetalker.strip = "Absent"
    refused("no strip called 'Absent' in the Sequencer of 'Scene'", source=sources.STRIP_BY_NAME)
    colour = add_colour()
    scene.sequence_editor.active_strip = colour
    refused("'Colour' is a color strip, not a sound strip", source=sources.ACTIVE_STRIP)
    refused("No audio file", source=sources.FILE, audio="")


def add_colour() -> Any:
    """A strip without sound."""
    new = compat.strips(bpy.context.scene.sequence_editor_create()).new_effect
    try:
        return new("Colour", "COLOR", 1, 1, length=24)
    except TypeError:  # before 5.0
        return new("Colour", "COLOR", 1, 1, frame_end=25)


@needs_audio
def test_absent_file_of_a_strip_is_refused(recording: Path) -> None:
    strip = timeline.add_strip(recording, 20)
    recording.unlink()
    refused("'.*grüße an alle.wav' of the strip 'Speech' does not exist", strip)


@needs_audio
def test_strip_that_its_meta_strip_does_not_show_is_refused(recording: Path) -> None:
    strip = timeline.add_strip(recording, 20)
    late = timeline.add_strip(recording, 120, name="Late")
    meta = timeline.put_into_meta(strip, late)
    timeline.set_left(meta, 130)
    refused("Nothing of the strip 'Speech' is heard: the meta strip 'Meta'", strip)


@needs_audio
def test_strip_of_another_scene(recording: Path) -> None:
    scene = bpy.context.scene
    strip = timeline.add_strip(recording, 20)
    shot = bpy.data.scenes.new("Shot")
    bpy.context.window_manager.windows[0].scene = shot
    shot.render.fps = scene.render.fps
    shot.codetalker.source, shot.codetalker.strip = sources.STRIP_BY_NAME, strip.name
    with bpy.context.temp_override(scene=shot):
        assert sources.locate(bpy.context).start_frame == 20
        # The edit shows the shot's first frame at its own frame 15.
        shot.frame_start = 101
        compat.strips(scene.sequence_editor).new_scene("Shot", shot, 4, 15)
        assert sources.locate(bpy.context).start_frame == 106
        shot.render.fps = 50
        with pytest.raises(AudioError, match="at 24 fps, the face is in 'Shot' at 50 fps"):
            sources.locate(bpy.context)


@needs_audio
@pytest.mark.skipif(
    "sequencer_scene" not in bpy.types.WorkSpace.bl_rna.properties, reason="one scene per window"
)
def test_active_strip_is_that_of_the_scene_in_the_sequencer(recording: Path) -> None:
    edit = bpy.data.scenes.new("Edit")
    edit.render.fps = bpy.context.scene.render.fps
    strip = compat.strips(edit.sequence_editor_create()).new_sound("Speech", str(recording), 1, 33)
    edit.sequence_editor.active_strip = strip
    bpy.context.workspace.sequencer_scene = edit
    assert locate(source=sources.ACTIVE_STRIP).start_frame == 33


@needs_audio
def test_from_a_strip_no_sound_is_added_and_our_own_of_before_goes(recording: Path) -> None:
    scene = bpy.context.scene
    strip = timeline.add_strip(recording, 20)
    before = dump()
    scene.frame_set(90)
    strips.add_sound(scene, str(recording), 90, "Face")
    ours = next(item for item in compat.all_strips(scene.sequence_editor) if item.name != strip.name)
    # From our own strip, also where it is split: all stays.
    kept = dump()
    assert sources.place(locate(ours), scene, "Face") is None
    assert scenes.differences(kept, dump()) == []
    assert sources.place(locate(strip), scene, "Face") is None
    scene.frame_set(1)
    assert scenes.differences(before, dump()) == []
