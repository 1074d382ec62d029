"""The command that checks a data set: what it reports, and that it finds each kind of problem by file."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from training import prepare
from training.datasets.speakers import missing_synthesisers

from .made_recordings import (
    SECONDS,
    VERTICES,
    VOCASET_TRAINED,
    Trap,
    biwi,
    curves,
    folder,
    template,
    tone,
    vocaset_processed,
    vocaset_raw,
    write_motion,
    write_pickle,
    write_sound,
)

FEW = ("--vertices", str(VERTICES))


def run(*arguments: object) -> int:
    return prepare.main([str(argument) for argument in arguments])


def found(tmp_path: Path, *arguments: object, code: int = 2) -> list[tuple[str, str]]:
    """(file, text) of the problems in the JSON report."""
    report = tmp_path / "report.json"
    assert run(*arguments, "--json", report) == code
    content = json.loads(report.read_text(encoding="utf-8"))
    assert content["usable"] is (code == 0)
    return [(problem["file"], problem["text"]) for problem in content["problems"]]


# Sound data sets --------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [vocaset_raw, vocaset_processed])
def test_vocaset_is_usable(
    tmp_path: Path, make: Callable[[Path], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    root, report = make(tmp_path / "data"), tmp_path / "out" / "report.json"
    assert run("vocaset", root, *FEW, "--json", report) == 0
    content = json.loads(report.read_text(encoding="utf-8"))
    assert (content["clips"], content["fps"], content["vertices"]) == (4, 30.0, VERTICES)
    assert content["hours"] == pytest.approx(4 * SECONDS / 3600, rel=1e-3)
    assert {name: split["clips"] for name, split in content["splits"].items()} == {
        "train": 2, "validation": 1, "test": 1,
    }  # fmt: skip
    assert content["speakers"][VOCASET_TRAINED[1]]["clips"] == 1
    assert content["styles"][3] == VOCASET_TRAINED[1]
    told = capsys.readouterr().out
    assert "4 clips" in told
    assert "The data set is usable." in told
    assert "recordings in no split: 1 (" in told
    assert "style 0" in told


def test_the_other_layouts_are_usable(tmp_path: Path) -> None:
    assert run("biwi", biwi(tmp_path / "biwi"), *FEW) == 0
    assert run("folder", folder(tmp_path / "folder")) == 0
    root = curves(tmp_path / "curves")
    assert run("blendshapes", root, "--head", root / "head") == 0


def test_the_real_vertex_count_is_wanted_by_default(tmp_path: Path) -> None:
    (problem,) = found(tmp_path, "vocaset", vocaset_processed(tmp_path / "data"))
    assert problem[0] == "templates.pkl"
    assert "5023" in problem[1]


@pytest.mark.skipif(bool(missing_synthesisers()), reason="no speech synthesisers")
def test_the_made_corpus_is_usable(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    head = Path(__file__).resolve().parents[2] / "assets" / "head"
    assert run("synthetic", tmp_path, "--minutes", 0.05, "--head", head, "--json", report) == 0
    content = json.loads(report.read_text(encoding="utf-8"))
    assert list(content["splits"]) == ["train", "validation", "test"]
    assert all(split["clips"] for split in content["splits"].values())


def test_without_synthesisers_the_made_corpus_is_not(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    problems = found(tmp_path, "synthetic", tmp_path / "cache", "--minutes", 0.05)
    assert {file for file, _ in problems} >= {"train", "validation", "test"}


# Problems of single files -----------------------------------------------------------------------


def without(name: str) -> Callable[[Path], None]:
    return lambda root: (root / name).unlink()


def with_frames(change: Callable[[np.ndarray[Any, Any]], np.ndarray[Any, Any]]) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        path = root / "vertices_npy" / "anna_02.npy"
        write_motion(path, change(np.load(path)))

    return apply


def with_nan(frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    frames[4, 3, 1] = np.nan
    return frames


def with_templates(**changes: Any) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        with np.load(root / "templates.npz") as archive:
            templates = dict(archive) | changes
        np.savez(root / "templates.npz", **{k: v for k, v in templates.items() if v is not None})

    return apply


def with_sound(samples: Any, rate_hz: int = 48_000) -> Callable[[Path], None]:
    return lambda root: write_sound(root / "wav" / "anna_02.wav", np.asarray(samples), rate_hz)


def truncated(name: str) -> Callable[[Path], None]:
    def apply(root: Path) -> None:
        content = (root / name).read_bytes()
        (root / name).write_bytes(content[: len(content) // 2])

    return apply


WAV, MOTION, BOB = "wav/anna_02.wav", "vertices_npy/anna_02.npy", "vertices_npy/bob_01.npy"


@pytest.mark.parametrize(
    ("spoil", "file", "told"),
    [
        (without(WAV), WAV, "the sound is missing"),
        (without(MOTION), MOTION, "the motion is missing"),
        (with_templates(bob=None), BOB, "templates.npz has no template of 'bob'"),
        (with_templates(bob=template("bob")[:7]), BOB, "'bob' has 7 vertices, but 12 are wanted"),
        (with_frames(with_nan), MOTION, "not finite, the first in row 4"),
        (with_frames(lambda frames: frames[:, :11]), MOTION, "(11, 3), but 12 vertices"),
        (with_frames(lambda frames: frames.astype(int)), MOTION, "holds no positions"),
        (with_frames(lambda frames: frames[:0]), MOTION, "holds no frame"),
        (with_frames(lambda frames: frames[:16]), MOTION, "lasts 0.32 s (8 frames at 25 per second)"),
        (with_sound(tone(SECONDS + 0.3, 48_000)), MOTION, "but the sound 0.90 s"),
        (with_sound(np.zeros(28_800)), WAV, "silent"),
        (with_sound(tone(0.01, 48_000)), WAV, "0.01 s long"),
        (truncated(MOTION), MOTION, "cannot be read"),
        (lambda root: (root / MOTION).write_bytes(b"PK\x03\x04 cut short"), MOTION, "cannot be read"),
        (lambda root: (root / WAV).write_bytes(b"no sound at all"), WAV, "cannot be read as sound"),
    ],
)  # fmt: skip
def test_each_problem_of_a_clip_is_found_in_its_file(
    tmp_path: Path, spoil: Callable[[Path], None], file: str, told: str
) -> None:
    root = folder(tmp_path / "data")
    spoil(root)
    ((where, text),) = found(tmp_path, "folder", root)
    assert where == file
    assert told in text


def test_an_offset_that_both_files_allow_is_no_problem(tmp_path: Path) -> None:
    root = folder(tmp_path / "data")
    write_sound(root / WAV, tone(SECONDS + 0.2, 48_000), 48_000)
    assert found(tmp_path, "folder", root, code=0) == []


def test_every_problem_is_told_not_only_the_first(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(tmp_path / "data")
    without(WAV)(root)
    with_frames(with_nan)(root)
    with_templates(bob=None)(root)
    assert [file for file, _ in found(tmp_path, "folder", root)] == [WAV, MOTION, BOB]
    told = capsys.readouterr().out
    assert told.count("problem: ") == 3
    assert "not usable: 3 problems" in told


def test_bad_clips_may_be_left_out(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = folder(tmp_path / "data")
    without(WAV)(root)
    assert found(tmp_path, "folder", root, "--skip-bad", code=0) == []
    told = capsys.readouterr().out
    assert f"left out: {WAV}: the sound is missing" in told
    assert "4 clips" not in told
    assert "3 clips" in told


def test_a_data_set_without_a_good_training_clip_is_not_usable(tmp_path: Path) -> None:
    root = biwi(tmp_path / "data")
    for name in ("F3_e01", "M5_e32"):
        (root / "wav" / f"{name}.wav").unlink()
    assert found(tmp_path, "biwi", root, *FEW, "--skip-bad") == [
        (".", "there is no usable clip in the split 'train'.")
    ]


def test_curves_with_problems_are_found_in_their_files(tmp_path: Path) -> None:
    root = curves(tmp_path / "data")
    (root / "curves" / "anna_02.csv").unlink()
    write_sound(root / "wav" / "bob_01.wav", np.zeros(20_000))
    problems = found(tmp_path, "blendshapes", root, "--head", root / "head")
    assert [file for file, _ in problems] == ["curves/anna_02.csv", "wav/bob_01.wav", "curves/bob_01.npy"]
    assert "lasts 0.60 s" in problems[2][1]


def test_wrong_units_are_noted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("folder", folder(tmp_path, units_per_metre=1)) == 0
    assert "check the units" in capsys.readouterr().out


# Raw VOCASET, and files of the whole set --------------------------------------------------------


def with_table(name: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], None]:
    """Change the entry of the first trained speaker's sequence in a pickle."""

    def apply(root: Path) -> None:
        table = pickle.loads((root / name).read_bytes())  # noqa: S301 - our own
        change(table[VOCASET_TRAINED[0]])
        write_pickle(root / name, table)

    return apply


SOUNDS, ROWS = "raw_audio_fixed.pkl", "subj_seq_to_idx.pkl"
ENTRY = f"[{VOCASET_TRAINED[0]}][sentence01]"


@pytest.mark.parametrize(
    ("spoil", "file", "told"),
    [
        (with_table(SOUNDS, lambda t: t.pop("sentence01")), SOUNDS + ENTRY, "sound is missing"),
        (with_table(ROWS, lambda t: t.pop("sentence01")), ROWS + ENTRY, "motion is missing"),
        (with_table(ROWS, lambda t: t["sentence01"].pop(7)), ROWS + ENTRY, "frame 7 of 36 is missing"),
        (with_table(ROWS, lambda t: t["sentence01"].update({0: 999})), ROWS + ENTRY, "row 999"),
        (with_table(ROWS, lambda t: t.update(sentence01=[1, 2])), ROWS + ENTRY, "no table of rows"),
        (with_table(ROWS, lambda t: t.update(sentence01={0: 3})), ROWS + ENTRY, "but the sound 0.60 s"),
        (with_table(SOUNDS, lambda t: t["sentence01"].update(audio=[1])), SOUNDS + ENTRY, "no array"),
        (
            with_table(SOUNDS, lambda t: t["sentence01"].update(sample_rate=0)),
            SOUNDS + ENTRY,
            "'sample_rate' is 0",
        ),
        (
            with_table(SOUNDS, lambda t: t["sentence01"].update(audio=np.full(13200, np.nan))),
            SOUNDS + ENTRY,
            "not finite",
        ),
        (
            with_table(SOUNDS, lambda t: t["sentence01"].update(audio=np.zeros(13200, np.int16))),
            SOUNDS + ENTRY,
            "silent",
        ),
        (truncated(SOUNDS), SOUNDS, "is not a pickle of plain arrays"),
        (truncated("data_verts.npy"), "data_verts.npy", "cannot be read"),
        (without("templates.pkl"), "templates.pkl", "no such file"),
        (lambda root: write_pickle(root / ROWS, [1, 2]), ROWS, "no sequences by speaker"),
    ],
)  # fmt: skip
def test_each_problem_of_raw_vocaset_is_found(
    tmp_path: Path, spoil: Callable[[Path], None], file: str, told: str
) -> None:
    root = vocaset_raw(tmp_path / "data")
    spoil(root)
    ((where, text),) = found(tmp_path, "vocaset", root, *FEW)
    assert where == file
    assert told in text


def test_nan_in_the_mapped_vertices_is_found(tmp_path: Path) -> None:
    root = vocaset_raw(tmp_path / "data")
    vertices = np.load(root / "data_verts.npy")
    vertices[-36] = np.inf  # the first frame of the clip that was written last
    np.save(root / "data_verts.npy", vertices)
    ((where, text),) = found(tmp_path, "vocaset", root, *FEW)
    assert where == ROWS + ENTRY
    assert f"row {len(vertices) - 36}" in text


@pytest.mark.parametrize("name", ["templates.pkl", SOUNDS, ROWS])
def test_a_pickle_that_would_run_something_is_refused_unrun(tmp_path: Path, name: str) -> None:
    root, written = vocaset_raw(tmp_path / "data"), tmp_path / "written"
    write_pickle(root / name, {"FaceTalk": Trap(written)})
    ((where, text),) = found(tmp_path, "vocaset", root, *FEW)
    assert where == name
    assert "refused without running anything" in text
    assert not written.exists()


def test_an_array_of_objects_is_refused_unrun(tmp_path: Path) -> None:
    root, written = folder(tmp_path / "data"), tmp_path / "written"
    np.save(root / MOTION, np.array([Trap(written)], object), allow_pickle=True)
    ((where, text),) = found(tmp_path, "folder", root)
    assert where == MOTION
    assert "cannot be read as an .npy of positions" in text
    assert not written.exists()


def test_every_unreadable_file_is_told(tmp_path: Path) -> None:
    root = vocaset_raw(tmp_path / "data")
    for name in (SOUNDS, ROWS):
        truncated(name)(root)
    (root / "data_verts.npy").unlink()
    assert [file for file, _ in found(tmp_path, "vocaset", root, *FEW)] == [SOUNDS, ROWS, "data_verts.npy"]


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("vocaset", "no such file"),
        ("biwi", "no such file"),
        ("folder", "splits.json"),
        ("blendshapes", "splits.json"),
    ],
)
def test_an_empty_or_absent_folder_is_a_problem(tmp_path: Path, kind: str, told: str) -> None:
    assert told in str(found(tmp_path, kind, tmp_path))
    assert "There is no folder" in str(found(tmp_path, kind, tmp_path / "absent"))


def test_a_report_that_cannot_be_written_is_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("", encoding="utf-8")
    assert run("folder", folder(tmp_path / "data"), "--json", tmp_path / "file" / "report.json") == 2
    assert "cannot be written" in capsys.readouterr().err
