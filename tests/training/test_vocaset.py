"""VOCASET, raw and processed, on small made copies of its layout."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.errors import UserError
from training.datasets.clip import Dataset, problems
from training.datasets.splits import VOCASET_SPLITS, published_split
from training.datasets.vocaset import STYLES, read_vocaset, survey_vocaset

from .made_recordings import (
    SECONDS,
    TONE_HZ,
    VERTICES,
    VOCASET_TEST,
    VOCASET_TRAINED,
    VOCASET_VALIDATION,
    positions,
    template,
    tone,
    vocaset_processed,
    vocaset_raw,
    write_motion,
    write_pickle,
    write_sound,
)

MAKERS = {"raw": vocaset_raw, "processed": vocaset_processed}


@pytest.fixture(params=list(MAKERS))
def root(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return MAKERS[request.param](tmp_path / "vocaset")


def read(root: Path, split: str) -> Dataset:
    return read_vocaset(root, split, vertex_count=VERTICES)


def test_splits_are_by_speaker_and_sentence(root: Path) -> None:
    names = {split: [clip.name for clip in read(root, split).clips] for split in VOCASET_SPLITS}
    assert names == {
        "train": sorted([f"{VOCASET_TRAINED[0]}_sentence01", f"{VOCASET_TRAINED[1]}_sentence40"]),
        "validation": [f"{VOCASET_VALIDATION}_sentence21"],
        "test": [f"{VOCASET_TEST}_sentence33"],
    }
    assert survey_vocaset(root, vertex_count=VERTICES).outside == (f"{VOCASET_VALIDATION}_sentence05",)


@pytest.mark.parametrize(
    ("speaker", "first", "last"),
    [(VOCASET_TRAINED[0], 1, 40), (VOCASET_VALIDATION, 21, 40), (VOCASET_TEST, 21, 40)],
)
def test_sentences_of_a_split_are_the_published_ones(speaker: str, first: int, last: int) -> None:
    numbers = [n for n in range(100) if published_split(VOCASET_SPLITS, speaker, f"sentence{n:02d}")]
    assert numbers == list(range(first, last + 1))


def test_every_second_frame_is_read_as_offsets_from_the_speakers_template(root: Path) -> None:
    dataset = read(root, "train")
    assert problems(dataset) == []
    for clip in dataset.clips:
        frames = positions(clip.voice, clip.name, 60.0)[::2]
        offsets = dataset.offsets(clip)
        assert clip.fps == 30.0
        assert clip.frame_count == len(frames) == len(offsets)
        assert np.array_equal(offsets, frames - template(clip.voice))
        assert np.array_equal(dataset.template(clip), template(clip.voice))


def test_part_of_a_clip_is_that_part_of_the_whole(root: Path) -> None:
    clip = read(root, "train").clips[0]
    assert clip.vertices is not None
    assert np.array_equal(clip.vertices.offsets(4, 9), clip.vertices.offsets()[4:9])


def test_a_clip_can_be_sent_to_another_process(root: Path) -> None:
    dataset = read(root, "train")
    clip = pickle.loads(pickle.dumps(dataset.clips[0]))  # noqa: S301 - our own
    assert np.array_equal(dataset.offsets(clip), dataset.offsets(dataset.clips[0]))


def test_sound_is_resampled_to_16_khz(root: Path) -> None:
    waveform = read(root, "train").clips[0].waveform
    assert waveform.rate_hz == 16_000
    assert waveform.duration_s == pytest.approx(SECONDS, abs=1e-3)
    assert np.abs(waveform.samples).max() == pytest.approx(0.25, abs=0.02)
    spectrum = np.abs(np.fft.rfft(waveform.samples))
    assert np.argmax(spectrum) * 16_000 / len(waveform.samples) == pytest.approx(TONE_HZ, abs=2.0)


def test_both_forms_are_the_same_data(tmp_path: Path) -> None:
    raw, processed = (
        read(vocaset_raw(tmp_path / "a"), "test"),
        read(vocaset_processed(tmp_path / "b"), "test"),
    )
    assert np.array_equal(raw.offsets(raw.clips[0]), processed.offsets(processed.clips[0]))
    sounds = raw.clips[0].waveform.samples, processed.clips[0].waveform.samples
    assert sounds[0] == pytest.approx(sounds[1], abs=1e-4)


def test_style_rows_are_the_official_ones_and_strangers_have_the_first(root: Path) -> None:
    train, test = read(root, "train"), read(root, "test")
    assert train.styles == test.styles == STYLES
    assert {clip.voice: clip.style for clip in train.clips} == {VOCASET_TRAINED[0]: 0, VOCASET_TRAINED[1]: 3}
    assert [(clip.voice, clip.style) for clip in test.clips] == [(VOCASET_TEST, 0)]


def test_the_face_is_the_mean_of_the_trained_speakers(root: Path) -> None:
    dataset = read(root, "validation")
    mean = (template(VOCASET_TRAINED[0]) + template(VOCASET_TRAINED[1])) / 2
    assert dataset.face.vertices == pytest.approx(mean, abs=1e-7)
    assert (dataset.units_per_metre, dataset.up_axis) == (1.0, "Y")


def test_flame_is_what_is_read_unless_told_otherwise(root: Path) -> None:
    with pytest.raises(UserError, match="5023"):
        read_vocaset(root, "train")


def test_a_face_of_the_real_size_is_recognised(tmp_path: Path) -> None:
    name = f"{VOCASET_TRAINED[0]}_sentence07"
    write_motion(tmp_path / "vertices_npy" / f"{name}.npy", np.full((36, 15069), 0.001, np.float32))
    write_sound(tmp_path / "wav" / f"{name}.wav", tone())
    write_pickle(tmp_path / "templates.pkl", {VOCASET_TRAINED[0]: np.zeros((5023, 3))})
    dataset = read_vocaset(tmp_path, "train")
    assert dataset.offsets(dataset.clips[0]).shape == (18, 5023, 3)
    assert dataset.face.mid_lips.tolist() == [3546, 3504]


def test_an_unknown_split_is_refused_with_those_there_are(root: Path) -> None:
    with pytest.raises(UserError, match="train, validation, test"):
        read(root, "testing")


def test_float_samples_of_16_bits_are_brought_to_full_scale(tmp_path: Path) -> None:
    root = vocaset_raw(tmp_path)
    table = pickle.loads((root / "raw_audio_fixed.pkl").read_bytes())  # noqa: S301 - our own
    before = read(root, "train").clips[0].waveform.samples
    for sequences in table.values():
        for entry in sequences.values():
            stereo = np.stack([entry["audio"]] * 2, axis=1)
            entry["audio"] = stereo.astype(np.float64)
    (root / "raw_audio_fixed.pkl").write_bytes(pickle.dumps(table, protocol=2))
    assert read(root, "train").clips[0].waveform.samples == pytest.approx(before, abs=1e-4)


def test_motion_that_vanishes_after_reading_is_a_plain_error(root: Path) -> None:
    dataset = read(root, "train")
    motion = dataset.clips[0].vertices
    assert motion is not None
    motion.path.unlink()
    with pytest.raises(UserError, match="cannot be read"):
        dataset.offsets(dataset.clips[0])
