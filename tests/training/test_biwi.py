"""BIWI on a small made copy of its layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.errors import UserError
from training.datasets.biwi import read_biwi, survey_biwi
from training.datasets.clip import Dataset, problems
from training.datasets.splits import BIWI_SPLITS

from .made_recordings import VERTICES, biwi, positions, template


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return biwi(tmp_path)


def read(root: Path, split: str) -> Dataset:
    return read_biwi(root, split, vertex_count=VERTICES)


def test_splits_are_by_speaker_and_sentence(root: Path) -> None:
    names = {split: [clip.name for clip in read(root, split).clips] for split in BIWI_SPLITS}
    assert names == {
        "train": ["F3_e01", "M5_e32"],
        "validation": ["F2_e33"],
        "test_a": ["M3_e37"],
        "test_b": ["F1_e40"],
    }
    # F1 is not trained on, and neutral readings are not used
    assert survey_biwi(root, vertex_count=VERTICES).outside == ("F1_e01", "F3_01")


def test_offsets_are_metres_at_25_frames_per_second(root: Path) -> None:
    dataset = read(root, "train")
    assert problems(dataset) == []
    clip = dataset.clips[0]
    in_units = positions("F3", "F3_e01", 25.0) - template("F3")
    assert clip.fps == 25.0
    assert dataset.offsets(clip) == pytest.approx(0.187 * in_units, abs=1e-8)
    assert dataset.offsets(clip) * dataset.units_per_metre == pytest.approx(in_units, abs=1e-7)
    assert dataset.template(clip) == pytest.approx(0.187 * template("F3"), abs=1e-8)


def test_styles_are_the_official_rows(root: Path) -> None:
    assert read(root, "train").styles == ("F2", "F3", "F4", "M3", "M4", "M5")
    assert [clip.style for clip in read(root, "train").clips] == [1, 5]
    assert [(clip.voice, clip.style) for clip in read(root, "test_b").clips] == [("F1", 0)]


def test_regions_in_the_data_set_are_taken(root: Path) -> None:
    regions = read(root, "train").face.regions
    assert regions["lips"].tolist() == [0, 1, 2, 5]
    assert regions["upper_face"].tolist() == [7, 8]


def test_the_real_size_is_what_is_read_unless_told_otherwise(root: Path) -> None:
    with pytest.raises(UserError, match="23370"):
        read_biwi(root, "train")


def test_bad_clips_are_left_out_only_when_asked(root: Path) -> None:
    path = root / "vertices_npy" / "F3_e01.npy"
    frames = np.load(path)
    frames[5, 2] = np.nan
    np.save(path, frames)
    (root / "wav" / "F2_e33.wav").unlink()
    with pytest.raises(UserError, match=r"wav/F2_e33\.wav: the sound is missing"):
        read(root, "validation")
    with pytest.raises(UserError, match="row 5"):
        read(root, "train").offsets(read(root, "train").clips[0])
    kept = read_biwi(root, "train", vertex_count=VERTICES, skip_bad=True)
    assert [clip.name for clip in kept.clips] == ["M5_e32"]
    with pytest.raises(UserError, match="no clip in the split 'validation'"):
        read_biwi(root, "validation", vertex_count=VERTICES, skip_bad=True)
