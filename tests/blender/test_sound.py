"""The sound strip: at the right frame, once, in a free channel, and only ours is ever removed."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.sound import strips
from codetalker_blender.blender.writing import keys
from codetalker_blender.errors import AudioError
from tests.blender import scenes
from tests.blender.conftest import write_buzz

needs_audio = pytest.mark.skipif(not compat.has_audio(), reason="this Blender is built without audio")


def sounds() -> list[tuple[int, int, str]]:
    """(first frame, channel, file) of every sound strip."""
    found = []
    for strip in compat.all_strips(bpy.context.scene.sequence_editor):
        found.append((compat.strip_span(strip)[0], strip.channel, bpy.path.basename(strip.sound.filepath)))
    return sorted(found)


@needs_audio
@pytest.mark.parametrize("start", [1, 77, -20])
def test_sound_starts_at_the_frame_and_is_added_once(blender: None, speech_file: Path, start: int) -> None:
    scene = bpy.context.scene
    assert strips.add_sound(scene, str(speech_file), start, "Face") is None
    once = scenes.dump()
    assert sounds() == [(start, 1, speech_file.name)]
    assert strips.add_sound(scene, str(speech_file), start, "Face") is None
    assert scenes.dump() == once


@needs_audio
@pytest.mark.parametrize(("fps", "base"), [(24, 1.0), (30, 1.001), (60, 1.0)])
def test_strip_is_as_long_as_the_sound(blender: None, speech_file: Path, fps: int, base: float) -> None:
    scene = bpy.context.scene
    scene.render.fps, scene.render.fps_base = fps, base
    strips.add_sound(scene, str(speech_file), 10, "Face")
    assert scene.render.fps == fps
    assert scene.render.fps_base == pytest.approx(base)
    left, right = compat.strip_span(compat.all_strips(scene.sequence_editor)[0])
    assert right - left == pytest.approx(0.8 * fps / base, abs=1)


@needs_audio
def test_other_start_moves_our_strip_and_leaves_the_animators(blender: None, speech_file: Path) -> None:
    scene = bpy.context.scene
    own = compat.strips(scene.sequence_editor_create()).new_sound("Own", str(speech_file), 3, 200)
    strips.add_sound(scene, str(speech_file), 1, "Face")
    strips.add_sound(scene, str(speech_file), 50, "Face")
    assert sounds() == [(50, 1, speech_file.name), (200, 3, speech_file.name)]
    # The animator's strip already plays this file from this frame.
    strips.add_sound(scene, str(speech_file), 200, "Face")
    assert sounds() == [(200, 3, speech_file.name)]
    assert own.name == "Own"
    assert len(bpy.data.sounds) == 1


@needs_audio
def test_two_heads_share_one_strip(blender: None, speech_file: Path) -> None:
    scene = bpy.context.scene
    strips.add_sound(scene, str(speech_file), 1, "First")
    strips.add_sound(scene, str(speech_file), 1, "Second")
    assert len(sounds()) == 1
    strips.add_sound(scene, str(speech_file), 90, "First")
    assert [start for start, *_ in sounds()] == [1, 90]
    strips.add_sound(scene, str(speech_file), 90, "Second")
    assert [start for start, *_ in sounds()] == [90]


@needs_audio
def test_both_parts_of_a_split_strip_stay(blender: None, speech_file: Path) -> None:
    scene = bpy.context.scene
    strips.add_sound(scene, str(speech_file), 1, "Face")
    compat.all_strips(scene.sequence_editor)[0].split(frame=10, split_method="SOFT")
    assert [start for start, *_ in sounds()] == [1, 10]
    before = scenes.dump()
    strips.add_sound(scene, str(speech_file), 1, "Face")
    assert scenes.dump() == before
    # At another frame the sound is put anew, and no part of it keeps playing at the old one.
    strips.add_sound(scene, str(speech_file), 60, "Face")
    assert [start for start, *_ in sounds()] == [60]


@needs_audio
@pytest.mark.parametrize("start", [1, 60])
def test_copy_of_our_strip_that_the_animator_placed_stays(
    blender: None, speech_file: Path, start: int
) -> None:
    scene = bpy.context.scene
    strips.add_sound(scene, str(speech_file), 1, "Face")
    ours = compat.all_strips(scene.sequence_editor)[0]
    copy = compat.strips(scene.sequence_editor).new_sound("Copy", str(speech_file), 4, 300)
    # What Blender's Duplicate does with custom properties.
    mark = ours[keys.MARK]
    copy[keys.MARK] = mark.to_dict() if hasattr(mark, "to_dict") else mark
    strips.add_sound(scene, str(speech_file), start, "Face")
    assert [(found, channel) for found, channel, _ in sounds()] == [(start, 1), (300, 4)]


@needs_audio
def test_new_recording_under_the_same_name_gets_its_own_length(blender: None, tmp_path: Path) -> None:
    pytest.importorskip("aud", reason="without aud Blender does not tell a file's length")
    scene, path = bpy.context.scene, tmp_path / "speech.wav"
    write_buzz(path, 0.5)
    for target in ("First", "Second"):
        strips.add_sound(scene, str(path), 1, target)
    write_buzz(path, 2.0)
    strips.add_sound(scene, str(path), 1, "First")
    (strip,) = compat.all_strips(scene.sequence_editor)
    assert compat.strip_span(strip) == (1, 49)
    assert len(bpy.data.sounds) == 1
    once = scenes.dump()
    strips.add_sound(scene, str(path), 1, "Second")
    assert scenes.dump() == once
    # A length that the animator gave it is left alone.
    compat.set_strip_length(strip, 30)
    strips.add_sound(scene, str(path), 1, "First")
    (strip,) = compat.all_strips(scene.sequence_editor)
    assert compat.strip_span(strip) == (1, 31)


@needs_audio
def test_our_strip_inside_a_meta_strip_is_moved_too(blender: None, speech_file: Path) -> None:
    scene = bpy.context.scene
    strips.add_sound(scene, str(speech_file), 1, "Face")
    (ours,) = compat.all_strips(scene.sequence_editor)
    meta = compat.strips(scene.sequence_editor).new_meta("Meta", 2, 1)
    ours.move_to_meta(meta)
    strips.add_sound(scene, str(speech_file), 1, "Face")
    assert len(compat.strips(meta)) == 1
    strips.add_sound(scene, str(speech_file), 60, "Face")
    assert len(compat.strips(meta)) == 0
    found = [strip for strip in compat.all_strips(scene.sequence_editor) if strip.type == "SOUND"]
    assert [compat.strip_span(strip)[0] for strip in found] == [60]
    assert len(bpy.data.sounds) == 1


@needs_audio
def test_taken_channels_are_avoided(blender: None, speech_file: Path) -> None:
    scene = bpy.context.scene
    collection = compat.strips(scene.sequence_editor_create())
    for channel in (1, 2):
        collection.new_sound(f"Own {channel}", str(speech_file), channel, 5)
    strips.add_sound(scene, str(speech_file), 12, "Face")
    assert [(start, channel) for start, channel, _ in sounds()] == [(5, 1), (5, 2), (12, 3)]


@needs_audio
def test_full_sequencer_is_a_warning(blender: None, speech_file: Path) -> None:
    scene = bpy.context.scene
    collection = compat.strips(scene.sequence_editor_create())
    for channel in range(1, 129):
        collection.new_sound(f"Own {channel}", str(speech_file), channel, 5)
    before = scenes.dump()
    warning = strips.add_sound(scene, str(speech_file), 12, "Face")
    assert warning is not None
    assert "all 128 channels" in warning
    assert scenes.dump() == before


def test_blender_without_audio_says_so(
    blender: None, speech_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compat, "has_audio", lambda: False)
    before = scenes.dump()
    warning = strips.add_sound(bpy.context.scene, str(speech_file), 1, "Face")
    assert warning is not None
    assert "built without audio" in warning
    assert scenes.dump() == before


def test_absent_files_folders_and_empty_names_are_refused(blender: None, tmp_path: Path) -> None:
    for name in ("", "  ", str(tmp_path), str(tmp_path / "absent.wav")):
        with pytest.raises(AudioError):
            strips.audio_source(name)


def test_relative_names_start_at_the_blend(blender: None, speech_file: Path) -> None:
    bpy.ops.wm.save_as_mainfile(filepath=str(speech_file.parent / "scene.blend"))
    assert strips.audio_source("//" + speech_file.name).path == speech_file


@needs_audio
@pytest.mark.parametrize("own", ["nothing", "an empty sequencer", "a strip"])
def test_removing_leaves_what_was_there(blender: None, speech_file: Path, own: str) -> None:
    scene = bpy.context.scene
    if own != "nothing":
        scene.sequence_editor_create()
    if own == "a strip":
        compat.strips(scene.sequence_editor).new_sound("Own", str(speech_file), 3, 200)
    before = scenes.dump()
    strips.add_sound(scene, str(speech_file), 1, "Face")
    strips.add_sound(scene, str(speech_file), 50, "Face")
    strips.remove_sound(scene, "Face")
    assert scenes.differences(before, scenes.dump()) == []


@needs_audio
def test_removing_leaves_a_strip_that_another_head_uses_or_that_was_moved(
    blender: None, speech_file: Path
) -> None:
    scene = bpy.context.scene
    strips.add_sound(scene, str(speech_file), 1, "First")
    strips.add_sound(scene, str(speech_file), 1, "Second")
    strips.remove_sound(scene, "First")
    assert [start for start, *_ in sounds()] == [1]
    strips.add_sound(scene, str(speech_file), 60, "Third")
    moved = next(s for s in compat.all_strips(scene.sequence_editor) if compat.strip_span(s)[0] == 60)
    moved.frame_start += 10
    strips.remove_sound(scene, "Third")
    strips.remove_sound(scene, "Second")
    assert [start for start, *_ in sounds()] == [70]
