"""Sound for the tests of sources: noise that tells every instant, strips of it, what Blender plays."""

from __future__ import annotations

import io
import math
import tempfile
import wave
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import bpy
import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.blender import compat
from codetalker_blender.blender.sound import sources
from codetalker_blender.contracts import AudioSource
from codetalker_blender.errors import AudioError
from tests.blender import scenes

Samples = NDArray[np.float64]
#: As Blender mixes, so that nothing is resampled.
RATE_HZ = 48_000
#: Of the recording that the tests of sources are about.
DURATION_S = 3.0


def noise(duration_s: float, seed: int = 0) -> Samples:
    """Noise below some kHz, so that it is alike from one sample to the next and nowhere alike elsewhere."""
    white = np.random.default_rng(seed).normal(size=round(duration_s * RATE_HZ) + 31)
    smooth = np.convolve(white, np.hanning(32) / 16, mode="valid")
    samples: Samples = 0.2 * smooth / smooth.std()
    return np.clip(samples, -0.95, 0.95)


def clicks(times_s: Sequence[float], duration_s: float) -> Samples:
    """A millisecond's click at each of these times."""
    samples = np.zeros(round(duration_s * RATE_HZ))
    for time_s in times_s:
        samples[round(time_s * RATE_HZ) :][:60] = 0.8 * np.hanning(60)
    return samples


def write_wav(path: Path, samples: Samples) -> Path:
    """A mono 16-bit WAV file at RATE_HZ."""
    with wave.open(str(path), "wb") as stream:
        stream.setnchannels(1)
        stream.setsampwidth(2)
        stream.setframerate(RATE_HZ)
        stream.writeframes((samples * 32767).astype("<i2").tobytes())
    return path


def samples_of(source: AudioSource) -> Samples:
    """The part of a mono WAV file that a source names."""
    file: Any = str(source.path) if source.data is None else io.BytesIO(source.data)
    with wave.open(file) as stream:
        assert (stream.getnchannels(), stream.getsampwidth()) == (1, 2)
        rate = stream.getframerate()
        samples = np.frombuffer(stream.readframes(stream.getnframes()), "<i2") / 32767
    assert rate == RATE_HZ
    first = round(source.start_s * rate)
    if source.duration_s is None:
        return samples[first:]
    return samples[first : first + round(source.duration_s * rate)]


def played(scene: bpy.types.Scene, first: int, end: int) -> Samples:
    """What Blender plays in the frames [first, end) of the scene as it is."""
    kept = scene.frame_start, scene.frame_end, scene.use_preview_range
    scene.use_preview_range = False
    scene.frame_start, scene.frame_end = first, end
    try:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "played.wav"
            compat.mix_down(scene, path, RATE_HZ)
            if not path.is_file() or not path.stat().st_size:
                pytest.skip("this Blender's mixdown writes no file")
            mixed = samples_of(AudioSource(path))
    finally:
        scene.frame_start, scene.frame_end, scene.use_preview_range = kept
    return mixed[: round((end - first) * RATE_HZ * scene.render.fps_base / scene.render.fps)]


def lag(one: Samples, other: Samples) -> int:
    """By how many samples ``other`` comes later than ``one``."""
    size = 1 << (len(one) + len(other)).bit_length()
    product = np.fft.irfft(np.fft.rfft(other, size) * np.fft.rfft(one, size).conj(), size)
    best = int(product.argmax())
    return best if best < size // 2 else best - size


def add_strip(path: Path, frame: int, channel: int = 1, name: str = "Speech") -> Any:
    """A sound strip in the scene's sequencer."""
    editor = bpy.context.scene.sequence_editor_create()
    return compat.strips(editor).new_sound(name, str(path), channel, frame)


def set_left(strip: Any, frame: int) -> None:
    """Drag a strip's left handle."""
    setattr(strip, "left_handle" if hasattr(strip, "left_handle") else "frame_final_start", frame)


def set_right(strip: Any, frame: int) -> None:
    """Drag a strip's right handle."""
    setattr(strip, "right_handle" if hasattr(strip, "right_handle") else "frame_final_end", frame)


@contextmanager
def sequencer() -> Iterator[None]:
    """The context of an open Sequencer, for Blender's own operators."""
    window = bpy.context.window_manager.windows[0]
    area = window.screen.areas[0]
    kept, area.type = area.type, "SEQUENCE_EDITOR"
    if hasattr(bpy.context.workspace, "sequencer_scene"):
        bpy.context.workspace.sequencer_scene = bpy.context.scene
    region = next(region for region in area.regions if region.type == "WINDOW")
    try:
        with bpy.context.temp_override(window=window, area=area, region=region):
            yield
    finally:
        area.type = kept


def select(*wanted: Any) -> None:
    """Select these strips alone, the first one active."""
    editor = bpy.context.scene.sequence_editor
    for strip in compat.all_strips(editor):
        strip.select = strip in wanted
    editor.active_strip = wanted[0]


def put_into_meta(*inner: Any, name: str = "Meta") -> Any:
    """Make a meta strip of these strips, as an animator does."""
    select(*inner)
    with sequencer():
        assert bpy.ops.sequencer.meta_make() == {"FINISHED"}
    meta = bpy.context.scene.sequence_editor.active_strip
    assert meta.type == "META"
    meta.name = name
    return meta


def play_faster(strip: Any, factor: float) -> None:
    """Retime a whole strip, as an animator does."""
    select(strip)
    with sequencer():
        assert bpy.ops.sequencer.retiming_segment_speed_set(speed=100 * factor) == {"FINISHED"}


def locate(strip: Any = None, **settings: object) -> sources.Source:
    """The source of the scene's settings, for the named strip or as set."""
    group = bpy.context.scene.codetalker
    if strip is not None:
        group.source, group.strip = sources.STRIP_BY_NAME, strip.name
    for name, value in settings.items():
        setattr(group, name, value)
    return sources.locate(bpy.context)


def dump() -> dict[str, Any]:
    """The file without our own settings, which say what the source is."""
    found = scenes.dump()
    for scene in bpy.data.scenes:
        del found[f"scenes/{scene.name}"]["codetalker"]
        found[f"scenes/{scene.name}"]["custom"].pop("codetalker", None)
    return found


def refused(match: str, strip: Any = None, **settings: object) -> None:
    """The source is refused in one sentence with a hint."""
    with pytest.raises(AudioError, match=match) as caught:
        locate(strip, **settings)
    assert caught.value.hint


def assert_is_what_is_heard(source: sources.Source) -> None:
    """The samples read equal what Blender plays from the start frame on, and around it is silence."""
    scene = bpy.context.scene
    got = samples_of(sources.read(source))
    frames = math.ceil(len(got) / RATE_HZ * source.fps - 1e-3)
    first = source.start_frame - 5
    heard = played(scene, first, source.start_frame + frames + 5)
    start = round(5 / source.fps * RATE_HZ)
    assert np.abs(heard[: start - 12]).max() < 1e-3, "something is heard before it"
    assert np.abs(heard[start + len(got) + round(RATE_HZ / source.fps) :]).max() < 1e-3, "it goes on"
    part = heard[start : start + len(got)]
    late = lag(got, part)
    assert abs(late) <= 10, f"{late / RATE_HZ * 1000:.2f} ms"
    one, other = got[max(0, -late) :], part[max(0, late) :]
    count = min(len(one), len(other)) - 100
    assert count > 0.2 * RATE_HZ
    # Where a sound begins, Blender's mixdown swallows up to two milliseconds of it.
    assert np.mean(np.abs(one[:count] - other[:count]) > 0.02) < 0.005
