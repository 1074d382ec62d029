"""Blendshape curves through a head that has the shapes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codetalker_blender.errors import UserError
from training.datasets.blendshapes import read_blendshapes
from training.datasets.clip import Dataset, problems

from .made_head import made_head
from .made_recordings import CURVE_NAMES, CURVE_SPLITS, curve_weights, curves, write_csv, write_splits


def read(root: Path, split: str = "train") -> Dataset:
    return read_blendshapes(root, split, root / "head")


def test_csv_and_npy_drive_the_shapes_that_they_name(tmp_path: Path) -> None:
    dataset, head = read(curves(tmp_path)), made_head()
    assert problems(dataset) == []
    assert [(clip.name, clip.voice, clip.style) for clip in dataset.clips] == [
        ("anna_01", "anna", 0),
        ("bob_01", "bob", 1),
    ]
    for clip in dataset.clips:
        weights = curve_weights(clip.name)
        deltas = np.stack([head.deltas[head.shape_names.index(name)] for name in CURVE_NAMES])
        assert clip.fps == 30.0
        assert dataset.offsets(clip) == pytest.approx(np.tensordot(weights, deltas, 1), abs=1e-7)
    assert dataset.styles == ("anna", "bob")
    assert [clip.name for clip in read(tmp_path, "test").clips] == ["anna_02"]


def rewrite(root: Path, names: tuple[str, ...], *columns: Any) -> None:
    """anna_01.csv with other columns before its own."""
    values = curve_weights("anna_01").astype(np.float64)
    extra = [np.broadcast_to(np.asarray(column, np.float64), len(values))[:, None] for column in columns]
    write_csv(root / "curves" / "anna_01.csv", (*names, *CURVE_NAMES), np.hstack([*extra, values]))


def test_columns_of_time_and_frame_are_no_shapes(tmp_path: Path) -> None:
    root = curves(tmp_path)
    before = read(root).clips[0].weights
    count = np.arange(len(before))
    rewrite(root, ("Time", "frame"), 7.0 + count / 30, 100 + count)
    assert np.array_equal(read(root).clips[0].weights, before)


@pytest.mark.parametrize(
    ("name", "step", "told"),
    [
        ("time", 1 / 25, "column 'time' is"),
        ("Frame", 2.0, "column 'Frame' is 2 in row 1"),
        ("time", np.nan, "nan"),
    ],
)
def test_a_rate_other_than_the_splits_file_says_is_refused(
    tmp_path: Path, name: str, step: float, told: str
) -> None:
    root = curves(tmp_path)
    rewrite(root, (name,), step * np.arange(len(curve_weights("anna_01"))))
    with pytest.raises(UserError, match=told):
        read(root)


def test_shapes_that_the_head_lacks_are_refused_by_name(tmp_path: Path) -> None:
    root = curves(tmp_path)
    rewrite(root, ("tongueOut", "HeadYaw"), 0.1, 0.2)
    with pytest.raises(UserError, match="no shape called tongueOut, HeadYaw"):
        read(root)
    write_splits(root, CURVE_SPLITS | {"ignore": ["tongueOut", "HeadYaw"]})
    assert np.array_equal(read(root).clips[0].weights[:, 0], curve_weights("anna_01")[:, 0])


def test_a_wrong_name_of_an_npy_column_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no shape called JawOpen"):
        read(curves(tmp_path, shapes=["JawOpen", "mouthPucker", "browInnerUp"]))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("jawOpen,mouthPucker\n", "no frame"),
        ("jawOpen,mouthPucker\n0.1,0.2\n0.3\n", "frame 1 has 1 values under 2 names"),
        ("jawOpen,mouthPucker\n0.1,wide\n", "frame 0.*wide"),
        ("jawOpen,mouthPucker\n0.1,0.2\n0.1,nan\n", "'mouthPucker' in frame 1 is not finite"),
        ("jawOpen,jawOpen\n0.1,0.2\n", "there twice"),
        ("jawOpen,mouthPucker\n10,85\n", "weights reach 85"),
    ],
)
def test_a_curve_with_a_mistake_is_refused(tmp_path: Path, text: str, told: str) -> None:
    root = curves(tmp_path)
    (root / "curves" / "anna_01.csv").write_text(text, encoding="utf-8")
    with pytest.raises(UserError, match=told):
        read(root)


@pytest.mark.parametrize(
    ("array", "told"),
    [
        (np.zeros((18, 2), np.float32), "2 columns, but 'shapes' names 3"),
        (np.zeros((18, 3), np.int32), "no weights"),
        (np.zeros(18, np.float32), "no weights"),
        (np.zeros((0, 3), np.float32), "no frame"),
    ],
)
def test_an_array_with_a_mistake_is_refused(tmp_path: Path, array: np.ndarray[Any, Any], told: str) -> None:
    root = curves(tmp_path)
    np.save(root / "curves" / "bob_01.npy", array)
    with pytest.raises(UserError, match=told):
        read(root)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"units_per_metre": 1}, "unknown field 'units_per_metre'"),
        ({"speakers": ["anna"]}, "beginning of 'bob_01'"),
        ({"styles": ["carl"]}, "style 'carl'"),
    ],
)
def test_a_splits_file_with_a_mistake_is_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        read(curves(tmp_path, **change))


def test_two_files_of_one_clip_are_refused(tmp_path: Path) -> None:
    root = curves(tmp_path)
    np.save(root / "curves" / "anna_01.npy", curve_weights("anna_01"))
    with pytest.raises(UserError, match="both"):
        read(root)
