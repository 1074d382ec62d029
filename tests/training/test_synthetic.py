"""The made corpus: words, voices, phone times, splits and the cache."""

from __future__ import annotations

import ctypes
import dataclasses
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.errors import UserError
from training import metrics
from training.datasets import synthetic
from training.datasets.augment import augment_audio, resample
from training.datasets.clip import Dataset, problems
from training.datasets.phones import BILABIALS, OPEN_VOWELS, PHONES, SILENCE, from_espeak, from_flite
from training.datasets.sentences import HELD_OUT_SENTENCES, draw_sentence, is_held_out
from training.datasets.speakers import (
    HELD_OUT_SPEAKERS,
    TRAINING_SPEAKERS,
    TRAINING_TURNS,
    Speaker,
    Synthesisers,
    missing_synthesisers,
)

HEAD = Path(__file__).resolve().parents[2] / "assets" / "head"
needs_voices = pytest.mark.skipif(
    bool(missing_synthesisers()), reason=f"not installed: {', '.join(missing_synthesisers())}"
)


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("corpus")


@pytest.fixture(scope="module")
def synthesisers() -> Synthesisers:
    return Synthesisers()


@pytest.fixture(scope="module", params=["train", "test"])
def dataset(request: pytest.FixtureRequest, cache: Path) -> Dataset:
    return synthetic.build(0, 1.2, split=request.param, cache_dir=cache, head_dir=HEAD)


# Words ----------------------------------------------------------------------------------------


def test_held_out_sentences_are_never_drawn_for_training() -> None:
    rng = np.random.default_rng(0)
    training = {draw_sentence(rng, held_out=False) for _ in range(3000)}
    held_out = {draw_sentence(rng, held_out=True) for _ in range(500)}
    assert not training & held_out
    assert not training & set(HELD_OUT_SENTENCES)
    assert held_out & set(HELD_OUT_SENTENCES)
    assert all(is_held_out(sentence) for sentence in held_out)
    assert len(training) > 2800  # varied


def test_sentences_follow_the_seed() -> None:
    first, again, other = (
        [draw_sentence(np.random.default_rng(seed), held_out=False) for _ in range(3)] for seed in (1, 1, 2)
    )
    assert first == again
    assert first != other


def test_unknown_phones_are_errors_and_not_silence() -> None:
    assert from_flite("aa1") == "aa"
    assert from_espeak("w#") == ("hh", "w")
    with pytest.raises(UserError, match="xq"):
        from_flite("xq")
    with pytest.raises(UserError, match="Q9"):
        from_espeak("Q9")


# Sound ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("step", [0.85, 1.18, 22050 / 16000])
def test_resampling_moves_a_tone_and_keeps_its_level(step: float) -> None:
    tone = np.sin(2 * np.pi * 440.0 * np.arange(16000) / 16000).astype(np.float32)
    moved = resample(tone, step)
    assert len(moved) == int(16000 / step)
    peak_hz = np.argmax(np.abs(np.fft.rfft(moved))) * 16000 / len(moved)
    assert peak_hz == pytest.approx(440.0 * step, abs=2.0)
    assert np.abs(moved[500:-500]).max() == pytest.approx(1.0, abs=0.01)


def test_downsampling_folds_no_high_tone_back() -> None:
    hiss = np.sin(2 * np.pi * 7500.0 * np.arange(16000) / 16000).astype(np.float32)
    assert np.abs(resample(hiss, 1.4)[500:-500]).max() < 0.02


def test_augmented_sound_keeps_its_length_and_stays_in_range() -> None:
    speech = (0.3 * np.sin(np.arange(24000) / 9.0)).astype(np.float32)
    versions = [augment_audio(speech, np.random.default_rng(seed)) for seed in range(40)]
    for version in versions:
        assert version.shape == speech.shape
        assert version.dtype == np.float32
        assert np.isfinite(version).all()
        assert np.abs(version).max() <= 1.0
    level_db = [10 * np.log10(np.mean(v.astype(np.float64) ** 2) / np.mean(speech**2)) for v in versions]
    assert max(level_db) - min(level_db) > 15.0
    assert np.array_equal(augment_audio(speech, np.random.default_rng(5)), versions[5])


# Voices ---------------------------------------------------------------------------------------


@needs_voices
@pytest.mark.parametrize("speaker", TRAINING_SPEAKERS + HELD_OUT_SPEAKERS, ids=lambda speaker: speaker.name)
def test_every_voice_speaks_with_phones_that_cover_the_sound(
    synthesisers: Synthesisers, speaker: Speaker
) -> None:
    spoken = synthesisers.speak(speaker, "Papa bought a big map, and my mother saw it.")
    phones = spoken.phones
    assert spoken.waveform.rate_hz == 16000
    assert 1.5 < spoken.waveform.duration_s < 7.0
    assert phones[0].start_s == 0.0
    assert phones[-1].end_s == pytest.approx(spoken.waveform.duration_s, abs=1e-6)
    assert all(a.end_s == pytest.approx(b.start_s) for a, b in pairwise(phones))
    labels = [phone.label for phone in phones]
    assert set(labels) <= PHONES
    assert [label for label in labels if label in BILABIALS] == ["p", "p", "b", "b", "m", "m", "m"] or [
        label for label in labels if label in BILABIALS
    ] == ["p", "p", "b", "b", "m", "p", "m", "m"]


@needs_voices
@pytest.mark.parametrize("speaker", TRAINING_SPEAKERS + HELD_OUT_SPEAKERS, ids=lambda speaker: speaker.name)
def test_phone_times_fit_the_sound(synthesisers: Synthesisers, speaker: Speaker) -> None:
    """Open vowels are louder than the p between them: the times are not shifted."""
    spoken = synthesisers.speak(speaker, "Happy papa, happy papa, happy papa.")
    samples = spoken.waveform.samples.astype(np.float64)

    def level(start_s: float, end_s: float) -> float:
        piece = samples[int(start_s * 16000) : max(int(end_s * 16000), int(start_s * 16000) + 1)]
        return float(np.sqrt(np.mean(piece**2)))

    phones = spoken.phones
    stops = [
        level(p.start_s, p.end_s)
        for before, p in pairwise(phones)
        if p.label == "p" and before.label != SILENCE
    ]
    vowels = [level(p.start_s, p.end_s) for p in phones if p.label in OPEN_VOWELS]
    assert len(stops) >= 5
    assert np.median(vowels) > 2.0 * np.median(stops)


# The corpus -----------------------------------------------------------------------------------


@needs_voices
def test_the_corpus_is_sound_and_its_clips_have_speech_and_pauses(dataset: Dataset) -> None:
    assert problems(dataset) == []
    assert dataset.duration_s >= 72.0
    assert dataset.styles[0] == "neutral"
    for clip in dataset.clips:
        assert 2.0 <= clip.waveform.duration_s <= 10.0
        assert clip.phones[-1].end_s == pytest.approx(clip.waveform.duration_s, abs=0.01)
    labels = [phone.label for clip in dataset.clips for phone in clip.phones]
    assert SILENCE in labels
    assert len(set(labels)) >= 30


@needs_voices
def test_the_corpus_passes_the_models_own_lip_tests(dataset: Dataset) -> None:
    closures, falsely, rest = [], [], metrics.rest_opening_mm(dataset.face)
    for clip in dataset.clips:
        opening = metrics.mouth_opening_mm(dataset.offsets(clip), dataset.face)
        closures += metrics.bilabial_closures(opening, rest, clip.phones, clip.fps)
        falsely += metrics.false_closures(opening, rest, clip.phones, clip.fps)
        for phone in clip.phones:
            own = metrics.phone_frames(phone, clip.fps, len(opening))
            if phone.label in OPEN_VOWELS and len(own):
                assert opening[own].max() >= rest + 2.9, (clip.name, phone)
            if phone.label == SILENCE and phone.duration_s > 0.15:
                assert opening[own].min() <= rest + 0.3, (clip.name, phone)
    assert len(closures) > 30
    assert all(closures)
    assert not any(falsely)


@needs_voices
def test_held_out_voices_speak_in_the_test_split_alone(cache: Path) -> None:
    held_out = {speaker.name for speaker in HELD_OUT_SPEAKERS}
    for split, wanted in (("train", False), ("validation", False), ("test", True)):
        built = synthetic.build(0, 1.2, split=split, cache_dir=cache, head_dir=HEAD)
        voices = {clip.voice for clip in built.clips}
        assert bool(voices & held_out) == wanted
        assert not wanted or voices <= held_out


@needs_voices
def test_silences_of_the_corpus_are_still(cache: Path) -> None:
    built = synthetic.build(0, 4.0, split="validation", cache_dir=cache, head_dir=HEAD)
    opening, speed = [], []
    for clip in built.clips:
        offsets = built.offsets(clip)
        silent = metrics.silent_frames(clip.phones, clip.fps, len(offsets))
        above = metrics.mouth_opening_mm(offsets, built.face) - metrics.rest_opening_mm(built.face)
        opening.append(above[silent])
        speed.append(metrics.lip_speed_mm_s(offsets, built.face.regions["lips"], clip.fps)[silent])
    assert np.concatenate(opening).mean() <= 0.25
    assert np.concatenate(speed).mean() <= 2.0


@needs_voices
def test_styles_take_equal_turns_where_models_are_measured(cache: Path) -> None:
    built = synthetic.build(0, 4.0, split="validation", cache_dir=cache, head_dir=HEAD)
    seconds = np.zeros(len(built.styles))
    for clip in built.clips:
        seconds[clip.style] += clip.waveform.duration_s
    assert len(built.styles) == 8
    assert seconds.min() >= 4.0 * 60.0 / len(built.styles)


def test_half_of_the_training_turns_are_voices_cut_from_recordings() -> None:
    held_out = {speaker.name for speaker in HELD_OUT_SPEAKERS}
    assert len(TRAINING_SPEAKERS) >= 20
    assert len({speaker.name for speaker in TRAINING_SPEAKERS}) == len(TRAINING_SPEAKERS)
    assert not held_out & {speaker.name for speaker in TRAINING_SPEAKERS}
    assert set(TRAINING_TURNS) == set(TRAINING_SPEAKERS)
    assert np.mean([turn.engine == "flite" for turn in TRAINING_TURNS]) == pytest.approx(0.5)


@needs_voices
def test_the_number_of_processes_changes_nothing(tmp_path: Path) -> None:
    one, two = (
        synthetic.build(5, 0.4, cache_dir=tmp_path / str(n), head_dir=HEAD, processes=n) for n in (1, 2)
    )
    assert len(one.clips) == len(two.clips) > 2
    for a, b in zip(one.clips, two.clips, strict=True):
        assert (a.name, a.style, a.voice, a.phones) == (b.name, b.style, b.voice, b.phones)
        assert np.array_equal(a.waveform.samples, b.waveform.samples)
        assert np.array_equal(a.weights, b.weights)


@needs_voices
def test_made_again_it_is_the_same_and_stored_it_is_the_same(tmp_path: Path) -> None:
    fresh = synthetic.build(3, 0.1, cache_dir=tmp_path / "a", head_dir=HEAD)
    stored = synthetic.build(3, 0.1, cache_dir=tmp_path / "a", head_dir=HEAD)
    again = synthetic.build(3, 0.1, cache_dir=tmp_path / "b", head_dir=HEAD)
    other = synthetic.build(4, 0.1, cache_dir=tmp_path / "b", head_dir=HEAD)
    for a, b, c in zip(fresh.clips, stored.clips, again.clips, strict=True):
        assert np.array_equal(a.weights, b.weights)
        assert np.array_equal(a.waveform.samples, b.waveform.samples)
        assert a.phones == b.phones == c.phones
        assert np.array_equal(a.weights, c.weights)
        assert np.array_equal(a.waveform.samples, c.waveform.samples)
    assert other.clips[0].phones != fresh.clips[0].phones


@needs_voices
def test_a_damaged_cache_is_made_again(tmp_path: Path) -> None:
    fresh = synthetic.build(3, 0.1, cache_dir=tmp_path, head_dir=HEAD)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:1000])
    again = synthetic.build(3, 0.1, cache_dir=tmp_path, head_dir=HEAD)
    assert np.array_equal(again.clips[0].weights, fresh.clips[0].weights)


@needs_voices
@pytest.mark.parametrize("speaker", TRAINING_SPEAKERS + HELD_OUT_SPEAKERS, ids=lambda speaker: speaker.name)
def test_what_was_said_before_changes_nothing(synthesisers: Synthesisers, speaker: Speaker) -> None:
    random_numbers = ctypes.CDLL(None)  # of C, in whatever state the libraries of this process left them
    random_numbers.srand(3)
    first = synthesisers.speak(speaker, "Papa bought a big map.")
    synthesisers.speak(TRAINING_SPEAKERS[4], "Hello there.")
    random_numbers.srand(7)
    again = synthesisers.speak(speaker, "Papa bought a big map.")
    assert np.array_equal(first.waveform.samples, again.waveform.samples)
    assert first.phones == again.phones


@needs_voices
def test_an_absent_voice_is_named(synthesisers: Synthesisers) -> None:
    absent = dataclasses.replace(TRAINING_SPEAKERS[-1], voice="no-such-voice")
    with pytest.raises(UserError, match="no-such-voice"):
        synthesisers.speak(absent, "Hello.")


def test_an_unknown_split_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no split called 'all'"):
        synthetic.build(split="all", cache_dir=tmp_path, head_dir=HEAD)


def test_absent_synthesisers_are_named_with_their_packages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(UserError, match=r"flite.*Debian packages"):
        Synthesisers()
