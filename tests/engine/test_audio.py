"""Sound in: everything that must animate is read right, everything else is refused with a reason."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codetalker_blender.contracts import LOUDNESS_HZ, AudioSource, FloatArray, Waveform
from codetalker_blender.engine.audio import RATE_HZ, loudness, read_waveform
from codetalker_blender.engine.resampling import Resampler, resample
from codetalker_blender.errors import AudioError

TONE_HZ = 440.0


def tone(rate: int, duration_s: float = 0.5, hz: float = TONE_HZ, level: float = 0.5) -> FloatArray:
    time_s = np.arange(round(rate * duration_s)) / rate
    return np.asarray(level * np.sin(2 * np.pi * hz * time_s), np.float32)


def refusal(source: AudioSource) -> str:
    with pytest.raises(AudioError) as caught:
        read_waveform(source)
    text = str(caught.value)
    assert "\n" not in text and text.endswith(".")
    assert caught.value.hint
    return text


def test_loudness_is_the_root_mean_square_of_each_moment() -> None:
    samples = np.concatenate([tone(RATE_HZ, 1.0, 400.0, 0.5), np.zeros(RATE_HZ, np.float32), [0.25]])
    found = loudness(Waveform(samples.astype(np.float32), RATE_HZ))
    assert found.shape == (2 * LOUDNESS_HZ + 1,) and found.dtype == np.float32
    np.testing.assert_allclose(found[:50], 0.5 / np.sqrt(2.0), rtol=1e-3)
    assert not found[50:100].any()
    assert found[100] == 0.25


# --- what must animate -----------------------------------------------------------------------

FORMATS = [
    ("wav", "PCM_U8", 0.01),
    ("wav", "PCM_16", 1e-4),
    ("wav", "PCM_24", 1e-5),
    ("wav", "PCM_32", 1e-5),
    ("wav", "FLOAT", 1e-5),
    ("wav", "DOUBLE", 1e-5),
    ("flac", "PCM_16", 1e-4),
    ("flac", "PCM_24", 1e-5),
    ("ogg", "VORBIS", 0.02),
    ("ogg", "OPUS", 0.02),
    ("mp3", "MPEG_LAYER_III", 0.02),
    ("aiff", "PCM_16", 1e-4),
]


@pytest.mark.parametrize(("suffix", "subtype", "tolerance"), FORMATS)
def test_every_format_gives_the_same_sound(
    tmp_path: Path, suffix: str, subtype: str, tolerance: float
) -> None:
    path = tmp_path / f"speech.{suffix}"
    soundfile.write(path, tone(48_000), 48_000, subtype=subtype)
    waveform = read_waveform(AudioSource(path))
    assert waveform.rate_hz == RATE_HZ and waveform.samples.dtype == np.float32
    assert len(waveform.samples) == 8_000
    inner = slice(800, 7_200)  # lossy codecs smear the edges
    assert np.abs(waveform.samples - tone(RATE_HZ))[inner].max() < tolerance


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000, 96_000])
def test_every_rate_gives_the_same_sound_at_the_same_time(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "speech.wav"
    soundfile.write(path, tone(rate), rate, subtype="FLOAT")
    samples = read_waveform(AudioSource(path)).samples
    assert abs(len(samples) - 8_000) <= 2  # 11,025 Hz has no whole number of frames in half a second
    inner = slice(400, 7_600)
    assert np.abs(samples[inner] - tone(RATE_HZ)[inner]).max() < 1e-5


def test_channels_are_averaged(tmp_path: Path) -> None:
    mono = tone(RATE_HZ)
    for gains in ([1.0, 0.0], [0.5, 0.1, 0.2, 0.3, 0.4, 0.9]):
        path = tmp_path / f"{len(gains)} channels.wav"
        soundfile.write(path, mono[:, None] * np.array(gains, np.float32), RATE_HZ, subtype="FLOAT")
        samples = read_waveform(AudioSource(path)).samples
        np.testing.assert_allclose(samples, mono * np.mean(gains), atol=1e-6)


def test_spaces_and_letters_of_any_script_in_names(tmp_path: Path) -> None:
    folder = tmp_path / "Ordner mit Leerzeichen" / "речь 話"
    folder.mkdir(parents=True)
    path = folder / "Señor Müller 'très bien' 声.flac"
    soundfile.write(path, tone(44_100), 44_100)
    assert len(read_waveform(AudioSource(path)).samples) == 8_000


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_100, 48_000, 96_000])
def test_a_tenth_of_a_second_is_enough(tmp_path: Path, rate: int) -> None:
    path = tmp_path / "short.wav"
    soundfile.write(path, tone(rate, 0.1), rate)
    assert abs(len(read_waveform(AudioSource(path)).samples) - 1_600) <= 2


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_packed_bytes_read_like_the_file(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"speech.{suffix}"
    soundfile.write(path, tone(44_100), 44_100)
    packed = AudioSource(Path("//packed name"), data=path.read_bytes())
    np.testing.assert_array_equal(read_waveform(packed).samples, read_waveform(AudioSource(path)).samples)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
@pytest.mark.parametrize("rate", [16_000, 22_050, 44_100])
def test_a_range_is_that_part_of_the_whole(tmp_path: Path, suffix: str, rate: int) -> None:
    noise = np.random.default_rng(1).standard_normal(rate * 6).astype(np.float32) * 0.1
    path = tmp_path / f"noise.{suffix}"
    soundfile.write(path, noise, rate)
    whole = read_waveform(AudioSource(path)).samples
    for start_s, duration_s in ((0.0, 0.5), (1.234567, 2.0), (5.5, 0.25), (0.004, None), (3.3, 100.0)):
        part = read_waveform(AudioSource(path, start_s=start_s, duration_s=duration_s)).samples
        first = round(start_s * RATE_HZ)
        last = len(whole) if duration_s is None else min(len(whole), round((start_s + duration_s) * RATE_HZ))
        assert len(part) == last - first
        np.testing.assert_allclose(part, whole[first:last], atol=2e-6)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_long_files_have_no_seams_between_blocks(tmp_path: Path, suffix: str) -> None:
    noise = np.random.default_rng(5).standard_normal(16_000 * 40).astype(np.float32) * 0.1
    path = tmp_path / f"noise.{suffix}"
    soundfile.write(path, noise, 16_000)
    whole, _ = soundfile.read(path, dtype="float32")
    np.testing.assert_allclose(read_waveform(AudioSource(path)).samples, whole, atol=2e-6)


def test_silence_and_sound_above_full_scale_are_kept(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", np.zeros(16_000), RATE_HZ)
    assert not read_waveform(AudioSource(tmp_path / "silence.wav")).samples.any()
    soundfile.write(tmp_path / "loud.wav", tone(RATE_HZ, level=3.0), RATE_HZ, subtype="FLOAT")
    assert read_waveform(AudioSource(tmp_path / "loud.wav")).samples.max() > 2.9


@pytest.mark.parametrize("suffix", ["wav", "aiff", "mp3"])
def test_a_file_cut_short_is_read_as_far_as_it_goes(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"cut.{suffix}"
    soundfile.write(path, tone(48_000, 2.0), 48_000)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    samples = read_waveform(AudioSource(path)).samples
    assert 0.8 * RATE_HZ < len(samples) < 1.2 * RATE_HZ
    assert np.abs(samples[800:12_000] - tone(RATE_HZ, 2.0)[800:12_000]).max() < 0.02


# --- what must be refused --------------------------------------------------------------------


def test_absent_folder_and_empty_files_are_named(tmp_path: Path) -> None:
    absent = tmp_path / "absent.wav"
    assert re.search(r"absent\.wav' does not exist", refusal(AudioSource(absent)))
    assert "does not exist" in refusal(AudioSource(tmp_path / "folder" / "absent.wav"))
    assert "too long" in refusal(AudioSource(tmp_path / f"{'a' * 300}.wav"))
    assert "is a folder" in refusal(AudioSource(tmp_path))
    (tmp_path / "empty.wav").touch()
    assert "empty (0 bytes)" in refusal(AudioSource(tmp_path / "empty.wav"))
    assert "empty (0 bytes)" in refusal(AudioSource(Path("packed.wav"), data=b""))


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3", "txt", "raw", ""])
def test_what_is_not_audio(tmp_path: Path, suffix: str) -> None:
    for content in (
        b"This is a letter, not a sound.\n" * 40,
        b"\x00" * 4_000,
        b"\x89PNG\r\n\x1a\n" + bytes(99),
    ):
        path = tmp_path / f"letter.{suffix}"
        path.write_bytes(content)
        assert "not audio" in refusal(AudioSource(path))
        assert "not audio" in refusal(AudioSource(Path("letter"), data=content))


@pytest.mark.parametrize("length", [4, 20, 40])
@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "aiff", "mp3"])
def test_truncated_headers(tmp_path: Path, suffix: str, length: int) -> None:
    whole = tmp_path / f"whole.{suffix}"
    soundfile.write(whole, tone(48_000), 48_000)
    cut = tmp_path / f"cut.{suffix}"
    cut.write_bytes(whole.read_bytes()[:length])
    assert "header is damaged" in refusal(AudioSource(cut))


def test_zero_samples(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    soundfile.write(path, np.zeros(0), 44_100)
    assert "no samples (0 frames at 44100 Hz)" in refusal(AudioSource(path))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 1e300])
def test_samples_that_are_no_numbers_are_counted_and_placed(tmp_path: Path, value: float) -> None:
    sound = np.zeros((96_000, 2))
    sound[72_000, 1] = sound[80_000, 0] = sound[80_000, 1] = value
    path = tmp_path / "bad.wav"
    soundfile.write(path, sound, 48_000, subtype="DOUBLE")
    text = refusal(AudioSource(path))
    assert "3 NaN or infinite samples" in text and "first at 1.5 s" in text
    # A range that does not touch them animates.
    assert len(read_waveform(AudioSource(path, duration_s=1.0)).samples) == RATE_HZ


def test_ranges_outside_the_sound_say_its_length(tmp_path: Path) -> None:
    path = tmp_path / "two seconds.wav"
    soundfile.write(path, tone(RATE_HZ, 2.0), RATE_HZ)
    assert "starts at 2.5 s" in (text := refusal(AudioSource(path, start_s=2.5))) and "is 2 s long" in text
    assert "Only 0.05 s" in refusal(AudioSource(path, start_s=1.95))
    assert "starts at -1 s" in refusal(AudioSource(path, start_s=-1))
    assert "lasts 0.05 s" in refusal(AudioSource(path, duration_s=0.05))
    for number in (float("nan"), float("inf")):
        refusal(AudioSource(path, start_s=number))
        refusal(AudioSource(path, duration_s=number))


def test_too_short_a_sound_says_both_lengths(tmp_path: Path) -> None:
    path = tmp_path / "click.wav"
    soundfile.write(path, tone(RATE_HZ, 0.05), RATE_HZ)
    text = refusal(AudioSource(path))
    assert "0.05 s long" in text and "at least 0.1 s" in text


def test_m4a_and_video_say_what_to_convert_to(tmp_path: Path) -> None:
    heads = (b"\x00\x00\x00 ftypM4A \x00\x00", b"\xff\xf1\x50\x80", b"\x1aE\xdf\xa3\x01\x00")
    for number, head in enumerate(heads):
        path = tmp_path / f"voice {number}.m4a"
        path.write_bytes(head + bytes(2_000))
        assert "Convert it to WAV, FLAC, OGG or MP3" in refusal(AudioSource(path))


def test_damage_that_the_decoder_finds_is_placed(tmp_path: Path) -> None:
    path = tmp_path / "damaged.flac"
    noise = np.random.default_rng(2).standard_normal(48_000 * 8) * 0.1
    soundfile.write(path, noise, 48_000)
    content = bytearray(path.read_bytes())
    path.write_bytes(bytes(content[: len(content) // 2]))
    text = refusal(AudioSource(path))
    assert (found := re.search(r"stops at about ([\d.]+) s", text)) and 0 <= float(found[1]) <= 4
    # What lies before the damage can still be used.
    assert len(read_waveform(AudioSource(path, duration_s=1.0)).samples) == RATE_HZ


def test_a_rate_beyond_use_is_refused() -> None:
    stream = io.BytesIO()
    soundfile.write(stream, np.zeros(400_000), 400_000, format="WAV")
    assert "400000 samples per second" in refusal(AudioSource(Path("fast.wav"), data=stream.getvalue()))


# --- resampling ------------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_099, 44_100, 48_000, 96_000])
def test_the_pass_band_is_flat_and_without_delay(rate: int) -> None:
    time_s = np.arange(2 * RATE_HZ) / RATE_HZ
    for hz in (100.0, 1_000.0, 0.89 * min(8_000, rate / 2)):
        out = resample(tone(rate, 2.0, hz, level=1.0), rate, RATE_HZ)
        error = np.abs(out - np.sin(2 * np.pi * hz * time_s))[1_000:-1_000].max()
        assert error < 1e-4  # 0.001 dB, or 0.0001 samples of delay at the upper end


@pytest.mark.parametrize("rate", [22_050, 44_100, 48_000, 96_000])
def test_what_would_alias_is_gone(rate: int) -> None:
    for hz in np.linspace(8_001, rate / 2 - 1, 7):
        out = resample(tone(rate, 1.0, float(hz), level=1.0), rate, RATE_HZ)[1_000:-1_000]
        assert 20 * np.log10(np.abs(out).max()) < -95


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 44_099, 44_100, 96_000])
def test_pieces_equal_the_whole(rate: int) -> None:
    rng = np.random.default_rng(3)
    sound = rng.standard_normal(rate * 2 + 37).astype(np.float32)
    whole = resample(sound, rate, RATE_HZ)
    assert len(whole) == -(-len(sound) * RATE_HZ // rate)
    resampler, pieces, position = Resampler(rate, RATE_HZ), [], 0
    while position < len(sound):
        size = int(rng.integers(1, 9_000))
        pieces.append(resampler.push(sound[position : position + size]))
        position += size
    pieces.append(resampler.finish())
    np.testing.assert_allclose(np.concatenate(pieces), whole, atol=1e-5)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
@pytest.mark.parametrize("first", [1, 777, 16_001, 31_999])
def test_starting_late_gives_the_rest_of_the_whole(rate: int, first: int) -> None:
    sound = np.random.default_rng(4).standard_normal(rate * 2).astype(np.float32)
    resampler = Resampler(rate, RATE_HZ, first_output=first)
    rest = np.concatenate([resampler.push(sound[resampler.first_input :]), resampler.finish()])
    np.testing.assert_allclose(rest, resample(sound, rate, RATE_HZ)[first:], atol=1e-5)


def test_a_sound_without_samples_stays_empty() -> None:
    assert len(resample(np.zeros(0, np.float32), 44_100, RATE_HZ)) == 0
