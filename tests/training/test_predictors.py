"""Predictions in files: what is read from them, and what is said about those that do not fit."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.contracts import Motion
from codetalker_blender.errors import UserError
from codetalker_blender.motion_files import write_motion
from training.datasets.clip import Clip, Dataset
from training.datasets.folder import read_folder
from training.predictors import FolderPredictor

from .made import made_dataset
from .made_recordings import folder

Array = NDArray[np.generic]


@pytest.fixture
def dataset() -> Dataset:
    return made_dataset(clips=3, seconds=1.0)


def store(path: Path, dataset: Dataset, clip: Clip, fps: float = 30.0) -> None:
    codes = np.arange(60, dtype=np.int32).reshape(30, 2) % 9
    write_motion(path / f"{clip.name}.npz", Motion(dataset.offsets(clip), fps, codes, 30.0))


def test_a_motion_file_is_read_with_its_codes(dataset: Dataset, tmp_path: Path) -> None:
    clip = dataset.clips[0]
    store(tmp_path, dataset, clip)
    found = FolderPredictor(tmp_path, dataset, [clip])(clip)
    assert np.array_equal(found.offsets, dataset.offsets(clip))
    assert found.codes is not None
    assert found.codes.max() == 8


def test_arrays_are_offsets_or_positions_in_the_units_of_the_data_set(tmp_path: Path) -> None:
    data = read_folder(folder(tmp_path / "data"), "train")
    assert data.units_per_metre == 1000.0
    for clip, flat in zip(data.clips, (True, False, True), strict=True):
        truth = data.offsets(clip)
        positions = 1000.0 * (data.template(clip) + truth)
        np.save(tmp_path / f"{clip.name}.npy", positions.reshape(len(truth), -1) if flat else 1000.0 * truth)
    predict = FolderPredictor(tmp_path, data, data.clips)
    for clip in data.clips:
        assert predict(clip).offsets == pytest.approx(data.offsets(clip), abs=1e-6)
        assert predict(clip).codes is None


def test_a_face_that_never_moves_is_offsets(dataset: Dataset, tmp_path: Path) -> None:
    clip = dataset.clips[0]
    np.save(tmp_path / f"{clip.name}.npy", np.zeros((30, 42, 3), np.float32))
    assert not FolderPredictor(tmp_path, dataset, [clip])(clip).offsets.any()


def test_missing_and_double_predictions_are_named_before_any_is_read(
    dataset: Dataset, tmp_path: Path
) -> None:
    store(tmp_path, dataset, dataset.clips[1])
    with pytest.raises(UserError, match=r"no prediction of 2 of 3 clips: made0, made2\."):
        FolderPredictor(tmp_path, dataset, dataset.clips)
    np.save(tmp_path / "made1.npy", np.zeros((30, 42, 3), np.float32))
    with pytest.raises(UserError, match=r"both made1\.npy and made1\.npz"):
        FolderPredictor(tmp_path, dataset, dataset.clips[1:2])
    with pytest.raises(UserError, match="There is no folder"):
        FolderPredictor(tmp_path / "gone", dataset, dataset.clips)


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        (np.zeros((30, 40, 3), np.float32), "42 vertices are wanted"),
        (
            np.zeros((60, 42, 3), np.float32),
            "60 frames where the clip has 30 at 30 per second. Predictions must",
        ),
        (np.zeros((20, 42, 3), np.float32), "20 frames where the clip has 30"),
        (np.full((30, 42, 3), np.nan, np.float32), "not finite"),
        (np.zeros((30, 42, 3), np.int32), "no positions"),
    ],
)
def test_arrays_that_do_not_fit_are_named(dataset: Dataset, tmp_path: Path, frames: Array, text: str) -> None:
    clip = dataset.clips[0]
    np.save(tmp_path / "made0.npy", frames)
    with pytest.raises(UserError, match=text) as refused:
        FolderPredictor(tmp_path, dataset, [clip])(clip)
    assert "made0.npy" in str(refused.value)


def test_motion_files_that_do_not_fit_are_named(dataset: Dataset, tmp_path: Path) -> None:
    clip, other = dataset.clips[0], made_dataset(clips=1, seconds=1.0)
    store(tmp_path, dataset, clip, fps=25.0)
    predict = FolderPredictor(tmp_path, dataset, [clip])
    with pytest.raises(UserError, match=r"made0\.npz' runs at 25 frames per second where the clip has 30\."):
        predict(clip)
    write_motion(
        tmp_path / "made0.npz",
        Motion(other.offsets(other.clips[0])[:, :7], 30.0, np.zeros((30, 0), np.int32), 30.0),
    )
    with pytest.raises(UserError, match=r"moves 7 vertices where the data set's head has 42\."):
        predict(clip)
    (tmp_path / "made0.npz").write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be read"):
        predict(clip)
