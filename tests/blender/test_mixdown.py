"""Sound that only Blender can play is mixed down: that strip alone, and nothing in the scene changes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.sound import mixdown, sources
from codetalker_blender.errors import AudioError
from tests.blender import scenes, timeline
from tests.blender.timeline import DURATION_S, RATE_HZ, assert_is_what_is_heard, dump, locate, refused

ROOT = Path(__file__).parents[2]
needs_audio = pytest.mark.skipif(not compat.has_audio(), reason="this Blender is built without audio")


@pytest.fixture
def recording(recording: Path) -> Path:
    """As for the other tests, in a Blender whose mixdown works."""
    if compat.has_audio():
        sound = timeline.add_strip(recording, 1).sound
        try:
            timeline.played(bpy.context.scene, 1, 3)
        finally:
            bpy.context.scene.sequence_editor_clear()
            bpy.data.sounds.remove(sound)
    return recording


def test_a_mixdown_that_writes_nothing_is_said_to(blender: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compat, "mix_down", lambda scene, path, rate_hz: path.write_bytes(b""))
    with pytest.raises(AudioError, match="cannot mix 'Speech' down: it writes no sound file"):
        mixdown._mix(bpy.context.scene, 1, 2, "Speech")


#: Reads the .blend and mixes its strip down into a file, in a process of its own: arguments .blend, output.
MIX = """
import sys
from pathlib import Path
import bpy
from codetalker_blender.blender.sound import heard, mixdown
bpy.ops.wm.open_mainfile(filepath=sys.argv[1])
Path(sys.argv[2]).write_bytes(mixdown.mix_strip(heard.heard(bpy.context.scene, "Speech")))
"""


@needs_audio
@pytest.mark.skipif(bool(bpy.app.binary_path), reason="needs a Python that can import bpy")
@pytest.mark.parametrize("left", [20, 30, 5])
def test_what_lay_in_memory_before_a_retimed_strip_is_not_heard(
    recording: Path, tmp_path: Path, left: int
) -> None:
    """Blender 4.5 crashed here, by a speed that nobody had set one frame before the sound."""
    strip = timeline.add_strip(recording, 20)
    timeline.play_faster(strip, 1.5)
    timeline.set_left(strip, left)
    assert round(compat.strip_content_start(strip)) == 20
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "retimed.blend"))
    mixed = []
    for filling in ("0", "165", "128"):  # what the C library fills fresh memory with
        output = tmp_path / f"{filling}.wav"
        done = subprocess.run(
            [sys.executable, "-c", MIX, str(tmp_path / "retimed.blend"), str(output)],
            env={**os.environ, "PYTHONPATH": str(ROOT), "MALLOC_PERTURB_": filling},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{done.returncode} {done.stderr[-1000:]}"
        mixed.append(output.read_bytes())
    assert len(mixed[0]) > 48_000 and mixed[1:] == mixed[:1] * 2


@needs_audio
@pytest.mark.parametrize("start", [20, -400])
@pytest.mark.parametrize("factor", [1.5, 0.75])
def test_retimed_strip_is_mixed_down_alone(
    recording: Path, tmp_path: Path, start: int, factor: float
) -> None:
    """Clicks come when the retimed strip plays them, and of a strip beside it nothing is heard."""
    scene = bpy.context.scene
    times_s = [0.25 * index for index in range(1, 11)]
    timeline.write_wav(recording, timeline.clicks(times_s, DURATION_S))
    loud = timeline.write_wav(tmp_path / "loud.wav", 4 * timeline.noise(8.0, seed=1))
    timeline.add_strip(loud, start - 30, 2, "Loud")
    strip = timeline.add_strip(recording, start)
    timeline.play_faster(strip, factor)
    scene.frame_start, scene.frame_end, scene.audio_volume = 3, 44, 0.25
    before = dump()
    source = locate(strip)
    assert source.is_mixed and source.start_frame == start
    audio = sources.read(source)
    assert scenes.differences(before, dump()) == []
    # Blender rounds the strip to whole frames, up to 4.4 at times one too many, and plays it accordingly
    assert audio.duration_s == pytest.approx(DURATION_S / factor, abs=1.01 / 24)
    # and up to 4.5 that wavers by some milliseconds
    late_s = 0.02 if compat.tells_retiming(strip) else 0.03
    got = np.abs(timeline.samples_of(audio))
    around = round(0.05 * RATE_HZ)
    for time_s in times_s:
        first = round(time_s / DURATION_S * audio.duration_s * RATE_HZ) - around
        window = got[first : first + 2 * around]
        assert window.max() > 0.3 and abs(int(window.argmax()) - around) < late_s * RATE_HZ
        window[:] = 0
    assert got.max() < 0.1


@needs_audio
def test_retimed_strip_in_a_meta_strip_is_cut_with_it(recording: Path) -> None:
    strip = timeline.add_strip(recording, 20)
    timeline.play_faster(strip, 0.75)
    neighbour = timeline.add_strip(recording, 30, 2, "Neighbour")
    meta = timeline.put_into_meta(strip, neighbour)
    timeline.set_left(meta, 33)
    timeline.set_right(meta, 61)
    neighbour.mute = True
    source = locate(strip)
    assert source.is_mixed and source.start_frame == 33
    got, heard = timeline.samples_of(sources.read(source)), timeline.played(bpy.context.scene, 28, 66)
    assert timeline.lag(got, heard) == pytest.approx(5 / 24 * RATE_HZ, abs=0.02 * RATE_HZ)
    assert len(got) == 28 / 24 * RATE_HZ and np.abs(heard[: RATE_HZ // 6]).max() < 1e-3
    neighbour.mute = False
    np.testing.assert_array_equal(
        timeline.samples_of(sources.read(source)), timeline.samples_of(sources.read(locate(strip)))
    )


@needs_audio
@pytest.mark.parametrize("offset_s", [0.31, -0.6])
def test_sound_offset_is_mixed_down(recording: Path, offset_s: float) -> None:
    strip = timeline.add_strip(recording, 20)
    if not hasattr(strip, "sound_offset"):
        pytest.skip("this Blender has no Sound Offset")
    strip.sound_offset = offset_s
    if offset_s < 0:
        timeline.set_left(strip, 14)  # heard from there on: it plays earlier than where it lies
    source = locate(strip)
    assert source.is_mixed
    assert_is_what_is_heard(source)


@needs_audio
def test_mixing_down_evaluates_none_of_the_animators_objects(recording: Path) -> None:
    strip = timeline.add_strip(recording, 20)
    timeline.play_faster(strip, 1.5)
    sheet = scenes.add_sheet()
    sheet.select_set(True)
    seen: list[str] = []

    def note(scene: bpy.types.Scene, depsgraph: bpy.types.Depsgraph) -> None:
        seen.extend(obj.name for obj in depsgraph.objects)

    handlers: Any = bpy.app.handlers.frame_change_post
    handlers.append(note)
    try:
        sources.read(locate(strip))
    finally:
        handlers.remove(note)
    assert sheet.name not in seen
    assert list(bpy.context.scene.objects) == bpy.context.selected_objects == [sheet]
    assert list(bpy.data.scenes) == [bpy.context.scene]


@needs_audio
def test_failed_mixdown_leaves_the_scene_and_says_so(
    recording: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    strip = timeline.add_strip(recording, 20)
    timeline.play_faster(strip, 1.5)
    source = locate(strip)
    before = dump()

    def fail(*arguments: object) -> None:
        raise RuntimeError("Error: no space left\n")

    monkeypatch.setattr(compat, "mix_down", fail)
    with pytest.raises(AudioError, match="cannot mix 'Speech' down: no space left"):
        sources.read(source)
    assert scenes.differences(before, dump()) == []


@needs_audio
def test_without_audio_a_retimed_strip_is_refused(recording: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    strip = timeline.add_strip(recording, 20)
    if not compat.tells_retiming(strip):
        pytest.skip("this Blender does not tell whether sound is retimed")
    assert locate(strip).start_frame == 20
    timeline.play_faster(strip, 1.5)
    monkeypatch.setattr(compat, "has_audio", lambda: False)
    refused("'Speech'.*built without audio", strip)


@needs_audio
def test_film_is_mixed_down(recording: Path, tmp_path: Path) -> None:
    """What Blender can play and the engine's library cannot: AAC in a Matroska file."""
    timeline.add_strip(recording, 1)
    scene, film = bpy.context.scene, tmp_path / "film.mkv"
    try:
        bpy.ops.sound.mixdown(
            filepath=str(film), check_existing=False, container="MATROSKA", codec="AAC", format="F32"
        )
    except (RuntimeError, TypeError) as error:
        pytest.skip(f"this Blender writes no AAC: {error}")
    before = dump()
    scene.frame_set(7)
    source = locate(source=sources.FILE, audio=str(film))
    assert source.is_mixed and source.start_frame == 7
    got = timeline.samples_of(sources.read(source))
    expected = timeline.noise(DURATION_S)
    late = timeline.lag(expected, got)
    assert abs(late) < 0.06 * RATE_HZ  # the encoder's own delay
    count = min(len(got), len(expected)) - abs(late) - 2000
    assert np.corrcoef(expected[:count], got[late : late + count])[0, 1] > 0.95
    scene.frame_set(1)
    assert scenes.differences(before, dump()) == []
    strip = timeline.add_strip(film, 40, 3, "Film")
    source = locate(strip)
    assert source.is_mixed and source.start_frame == 40
    assert abs(timeline.lag(got, timeline.samples_of(sources.read(source)))) <= 10


@needs_audio
def test_muted_retimed_strip_is_heard_in_its_mixdown(recording: Path) -> None:
    strip = timeline.add_strip(recording, 20)
    timeline.play_faster(strip, 1.5)
    loud = timeline.samples_of(sources.read(locate(strip)))
    strip.mute, strip.volume = True, 0.0
    _sounds_like(timeline.samples_of(sources.read(locate(strip))), loud)


@needs_audio
def test_scene_range_cuts_a_mixdown(recording: Path) -> None:
    scene = bpy.context.scene
    strip = timeline.add_strip(recording, 20)
    timeline.play_faster(strip, 0.75)
    everything = timeline.samples_of(sources.read(locate(strip)))
    scene.frame_start, scene.frame_end = 32, 55
    part = timeline.samples_of(sources.read(locate(strip, limit_to_scene_range=True)))
    _sounds_like(part, everything[RATE_HZ // 2 : RATE_HZ // 2 + RATE_HZ])


def _sounds_like(got: timeline.Samples, expected: timeline.Samples) -> None:
    """As loud and at the same time; stretched sound does not come out the same to the sample every time."""
    assert len(got) == len(expected)
    assert abs(timeline.lag(expected, got)) <= 0.01 * RATE_HZ
    assert got.std() == pytest.approx(expected.std(), rel=0.1)


def test_blender_without_audio_refuses_films(blender: None, tmp_path: Path) -> None:
    film = tmp_path / "film.m4a"
    film.write_bytes(b"\0\0\0\x20ftypM4A ")
    if compat.has_audio():
        with pytest.raises(AudioError, match=r"Blender cannot read 'film\.m4a'"):
            mixdown.mix_file(film)
        assert not [scene for scene in bpy.data.scenes if scene != bpy.context.scene]
        assert not bpy.data.sounds
    else:
        refused(r"'film\.m4a'.*built without audio", audio=str(film))
