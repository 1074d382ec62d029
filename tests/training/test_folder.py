"""Any folder of vertices, sounds, templates and a splits.json."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from codetalker_blender.errors import UserError
from training.datasets.clip import problems
from training.datasets.folder import FaceSources, read_folder, survey_folder
from training.datasets.splits import CURVE_FIELDS, VERTEX_FIELDS, read_splits_file

from .made_recordings import FOLDER_SPLITS, VERTICES, folder, positions, template, write_pickle, write_splits


def test_what_the_splits_file_says_is_what_is_read(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path), "train")
    assert problems(dataset) == []
    assert [clip.name for clip in dataset.clips] == ["anna_01", "anna_02", "anna_b_01"]
    # the longest speaker's name that fits
    assert [clip.voice for clip in dataset.clips] == ["anna", "anna", "anna_b"]
    assert dataset.styles == ("anna", "anna_b")
    assert [clip.style for clip in dataset.clips] == [0, 0, 1]
    assert [clip.name for clip in read_folder(tmp_path, "validation").clips] == ["bob_01"]
    assert survey_folder(tmp_path).outside == ("bob_02",)
    assert dataset.face.mid_lips.tolist() == [3, 4]
    assert (dataset.up_axis, dataset.units_per_metre) == ("Z", 1000.0)


def test_millimetres_become_metres_and_frames_are_stepped_over(tmp_path: Path) -> None:
    dataset = read_folder(folder(tmp_path), "train")
    clip = dataset.clips[2]
    assert clip.fps == 25.0
    wanted = positions("anna_b", "anna_b_01", 50.0)[::2] - template("anna_b")
    assert dataset.offsets(clip) == pytest.approx(wanted, abs=1e-6)
    mean = (template("anna") + template("anna_b")) / 2
    assert dataset.face.vertices == pytest.approx(mean, abs=1e-6)


def test_a_pickle_of_templates_and_other_sounds_do_as_well(tmp_path: Path) -> None:
    root = folder(tmp_path, styles=["bob", "anna", "anna_b"])
    (root / "templates.npz").unlink()
    write_pickle(root / "templates.pkl", {name: 1000 * template(name) for name in ("anna", "anna_b", "bob")})
    dataset = read_folder(root, "validation")
    assert dataset.styles == ("bob", "anna", "anna_b")
    assert dataset.clips[0].style == 0


def test_a_mesh_gives_triangles(tmp_path: Path) -> None:
    root = folder(tmp_path)
    lines = [f"v {x} {y} {z}" for x, y, z in template("anna")] + ["f 1 2 3", "f 4 5 6 7"]
    (root / "face.obj").write_text("\n".join(lines), encoding="utf-8")
    face = read_folder(root, "train", FaceSources(mesh=root / "face.obj")).face
    assert face.triangles.tolist() == [[0, 1, 2], [3, 4, 5], [3, 5, 6]]
    assert face.vertex_count == VERTICES


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"fps": 0}, "'fps' must be a positive number"),
        ({"fps": True}, "'fps' must be"),
        ({"fps": "30"}, "'fps' must be"),
        ({"frame_step": 0}, "'frame_step' must be"),
        ({"units_per_metre": -1}, "'units_per_metre' must be"),
        ({"up_axis": "y"}, "'up_axis' must be"),
        ({"splits": {"test": ["anna_01"]}}, "one of them 'train'"),
        ({"splits": {"train": "anna_01"}}, "lists of clip names"),
        ({"splits": {"train": ["anna_01", "anna_01"]}}, "lists of clip names"),
        ({"mid_lips": [1]}, "two vertex numbers"),
        ({"styles": [1]}, "list of names"),
        ({"format": 2}, "'format' must be 1"),
        ({"framerate": 30}, "unknown field 'framerate'"),
    ],
)
def test_a_splits_file_with_a_mistake_is_refused(tmp_path: Path, change: dict[str, Any], told: str) -> None:
    with pytest.raises(UserError, match=told):
        survey_folder(folder(tmp_path, **change))


def test_a_missing_field_is_named(tmp_path: Path) -> None:
    root = folder(tmp_path)
    write_splits(root, {name: value for name, value in FOLDER_SPLITS.items() if name != "units_per_metre"})
    with pytest.raises(UserError, match="missing field 'units_per_metre'"):
        survey_folder(root)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"splits": {"train": ["anna_*"], "test": ["carol_*"]}}, "'carol_*' in split 'test' names no clip"),
        ({"splits": {"train": ["anna_*"], "test": ["anna_01"]}}, "'anna_01' is in the splits"),
        ({"styles": ["anna", "dora"]}, "style 'dora' is no speaker"),
        ({"lip_corners": [3, VERTICES]}, f"beyond the {VERTICES}"),
    ],
)
def test_a_splits_file_that_does_not_fit_the_clips_is_a_problem(
    tmp_path: Path, change: dict[str, Any], told: str
) -> None:
    survey = survey_folder(folder(tmp_path, **change))
    assert [problem.file for problem in survey.problems] == ["splits.json"]
    assert told in survey.problems[0].text
    with pytest.raises(UserError, match="cannot be used"):
        read_folder(tmp_path, "train")


def test_the_guides_examples_can_be_read(tmp_path: Path) -> None:
    guide = (Path(__file__).resolve().parents[2] / "training" / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"^    (\{\"format\".*?\})$", guide, re.MULTILINE | re.DOTALL)
    assert len(examples) == 2
    for example, fields in zip(examples, (VERTEX_FIELDS, CURVE_FIELDS), strict=True):
        (tmp_path / "splits.json").write_text(example, encoding="utf-8")
        about = read_splits_file(tmp_path / "splits.json", fields)
        assert about.fps == 60.0
        assert set(json.loads(example)) == {*fields[0], *fields[1]}


def test_frames_may_be_flat_or_not(tmp_path: Path) -> None:
    root = folder(tmp_path)
    before = read_folder(root, "train")
    path = root / "vertices_npy" / "anna_01.npy"
    frames = np.load(path)
    np.save(path, frames.reshape(len(frames), -1).astype(np.float64))
    after = read_folder(root, "train")
    assert after.offsets(after.clips[0]) == pytest.approx(before.offsets(before.clips[0]), abs=1e-7)
