"""The evaluation command: every kind of data, both sources of motion, what it writes and what it refuses."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.image import imread

from training import evaluate
from training.data_source import survey
from training.datasets.clip import Dataset
from training.datasets.recordings import read_split
from training.datasets.speakers import missing_synthesisers

from ..engine.tiny import STYLES, tiny_bundle
from . import made_recordings as made
from .made import made_dataset
from .made_recordings import write_motion, write_pickle, write_sound
from .test_metrics import GOLDEN

FEW = ("--vertices", str(made.VERTICES))


def run(*arguments: object) -> int:
    return evaluate.main([str(argument) for argument in arguments])


def refusal(capsys: pytest.CaptureFixture[str], *arguments: object) -> str:
    """What the command says when it exits with 2."""
    assert run(*arguments) == 2
    message = capsys.readouterr().err
    assert len(message.splitlines()) == 1
    return message


def scores(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    return content


def as_folder(root: Path, dataset: Dataset) -> Path:
    """A data set of kind "folder" with the motion of ``dataset``, speakers named by their styles."""
    names = [f"{dataset.styles[clip.style]}_{number}" for number, clip in enumerate(dataset.clips)]
    for name, clip in zip(names, dataset.clips, strict=True):
        write_motion(root / "vertices_npy" / f"{name}.npy", dataset.face.vertices + dataset.offsets(clip))
        write_sound(root / "wav" / f"{name}.wav", clip.waveform.samples, clip.waveform.rate_hz)
    np.savez(root / "templates.npz", **dict.fromkeys(dataset.styles, dataset.face.vertices))
    splits = {"train": [f"{style}_*" for style in dataset.styles[1:]], "test": [f"{dataset.styles[0]}_*"]}
    corners = [dataset.face.mid_lips.tolist(), dataset.face.lip_corners.tolist()]
    content = {"format": 1, "fps": 30, "units_per_metre": 1, "up_axis": "Z", "splits": splits}
    content |= {"styles": list(dataset.styles), "mid_lips": corners[0], "lip_corners": corners[1]}
    made.write_splits(root, content)
    return root


# A model --------------------------------------------------------------------------------------


def test_a_model_is_scored_on_any_folder_with_tables_and_plots(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = as_folder(tmp_path / "data", made_dataset(clips=6, seconds=1.5))
    tiny_bundle(tmp_path / "bundle", "streamable")
    out = tmp_path / "new" / "out"
    command = ("--model", tmp_path / "bundle", "--data", "folder", root, "--split", "train")
    assert run(*command, "--output", out, "--json", tmp_path / "same.json") == 0
    assert {path.name for path in out.iterdir()} == {
        "scores.json", "clips.csv", "totals.csv", "openings.png", "face_error.png", "codes.png",
    }  # fmt: skip
    content = scores(out)
    assert json.loads((tmp_path / "same.json").read_text(encoding="utf-8")) == content
    assert content["settings"]["split"] == "train"
    assert content["totals"]["all"]["clips"] == 4
    assert set(content["totals"]) == {
        "all", "voice lively", "voice calm", "style lively", "style calm",
    }  # fmt: skip
    assert content["totals"]["all"]["bilabial_closure_percent"] is None, "recordings have no phones"
    assert "no clip has phone times" in " ".join(content["notes"])
    clips = list(csv.DictReader((out / "clips.csv").open(encoding="utf-8")))
    assert [row["clip"] for row in clips] == ["calm_2", "calm_5", "lively_1", "lively_4"]
    frames = np.array([float(row["frames"]) for row in clips])
    errors = np.array([float(row["mve_mm"]) for row in clips])
    assert (errors @ frames) / frames.sum() == pytest.approx(content["totals"]["all"]["mve_mm"], rel=1e-4)
    assert clips[0]["bilabial_closure_percent"] == ""
    assert "fdd_rel_percent" not in clips[0], "one clip has no pooled deviation"
    totals = list(csv.DictReader((out / "totals.csv").open(encoding="utf-8")))
    assert [row["group"] for row in totals] == list(content["totals"])
    table = capsys.readouterr().out
    assert "mouth_opening_r" in table
    assert "note: " in table
    for plot in out.glob("*.png"):
        assert imread(plot)[..., :3].std() > 0.02, f"{plot.name} is blank"


def test_samples_of_several_styles_or_seeds_have_a_diversity(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = as_folder(tmp_path / "data", made_dataset(clips=3, seconds=1.0))
    tiny_bundle(tmp_path / "bundle", "streamable")
    command = ("--model", tmp_path / "bundle", "--data", "folder", root, "--split", "test")
    found = {}
    for name, options in {
        "none": (),
        "styles": ("--samples", 3, "--samples-by", "style"),
        "seeds": ("--samples", 2, "--temperature", 5.0),
        "seeds again": ("--samples", 2, "--temperature", 5.0),
        "other seeds": ("--samples", 2, "--temperature", 5.0, "--seed", 7),
    }.items():
        assert run(*command, *options, "--json", tmp_path / "scores.json") == 0
        found[name] = scores(tmp_path)["totals"]["all"]["diversity_mm"]
    assert found["none"] is None
    assert found["styles"] > 0.0
    assert found["seeds"] > 0.0
    assert found["seeds again"] == found["seeds"] != found["other seeds"]
    capsys.readouterr()
    text = refusal(capsys, *command, "--samples", 2, "--temperature", 0)
    assert "At temperature 0 samples of different seeds are all the same. Give --temperature" in text
    text = refusal(capsys, *command, "--samples", len(STYLES) + 1, "--samples-by", "style")
    assert "4 samples by style are asked for, but the model has 3 styles." in text
    assert "at least two samples" in refusal(capsys, *command, "--samples", 1)


def test_a_model_that_does_not_fit_is_refused_before_it_generates(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made_dataset(clips=3, seconds=1.0)
    root = as_folder(tmp_path / "data", data)
    tiny_bundle(tmp_path / "biwi", "biwi")
    command = ("--data", "folder", root, "--split", "test")
    text = refusal(capsys, "--model", tmp_path / "biwi", *command)
    assert "The model runs at 25 frames per second where clip 'neutral_0' has 30." in text
    tiny_bundle(tmp_path / "bundle", "streamable")
    text = refusal(capsys, "--model", tmp_path / "bundle", *command, "--style", "shouting")
    assert "has no style called 'shouting'. It has: neutral, lively, calm." in text
    other = made.folder(tmp_path / "other")
    text = refusal(capsys, "--model", tmp_path / "bundle", "--data", "folder", other, "--split", "train")
    assert "moves 42 vertices where the data set's head has 12." in text


def test_a_style_that_the_model_lacks_needs_another_for_all_clips(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = made_dataset(clips=3, seconds=1.5)
    strange = Dataset(data.face, data.shape_names, data.deltas, ("anna", "lively", "calm"), data.clips)
    root = as_folder(tmp_path / "data", strange)
    tiny_bundle(tmp_path / "bundle", "streamable")
    command = ("--model", tmp_path / "bundle", "--data", "folder", root, "--split")
    assert "has no style called 'anna'" in refusal(capsys, *command, "test")
    assert run(*command, "train") == 0
    assert run(*command, "test", "--style", "calm", "--json", tmp_path / "scores.json") == 0
    assert scores(tmp_path)["totals"]["all"]["clips"] == 1


# A folder of predictions ----------------------------------------------------------------------


def test_lve_and_fdd_of_a_folder_of_predictions_equal_the_reference(tmp_path: Path) -> None:
    """The golden motion as a data set in other units than metres, its predictions as files."""
    with np.load(GOLDEN, allow_pickle=False) as archive:
        golden = {name: archive[name] for name in archive.files}
    data, predictions, units = tmp_path / "data", tmp_path / "predictions", 5.0
    templates, styles = {}, [f"s{number}" for number in range(int(golden["n"]))]
    for number, style in enumerate(styles):
        truth, predicted = golden[f"gt{number}"], golden[f"pred{number}"]
        write_motion(data / "vertices_npy" / f"{style}_01.npy", truth)
        write_sound(data / "wav" / f"{style}_01.wav", made.tone(len(truth) / 30.0))
        # one speaker's as offsets: both forms are read
        stored = predicted - golden[f"tpl{number}"] if number == 1 else predicted.reshape(len(predicted), -1)
        write_motion(predictions / f"{style}_01.npy", stored)
        templates[style] = golden[f"tpl{number}"]
    np.savez(data / "templates.npz", **templates)
    made.write_splits(
        data,
        {"format": 1, "fps": 30, "units_per_metre": units, "splits": {"train": ["s*"]}, "styles": styles},
    )
    for name, region in (("lve", "mouth"), ("fdd", "upper")):
        path = data / "regions" / f"{name}.txt"
        path.parent.mkdir(exist_ok=True)
        path.write_text(",".join(map(str, golden[region])), encoding="utf-8")
    command = ("--predictions", predictions, "--data", "folder", data, "--split", "train")
    assert run(*command, "--output", tmp_path / "out") == 0
    whole = scores(tmp_path / "out")["totals"]["all"]
    assert whole["clips"] == 4
    assert whole["lve_codetalker"] == pytest.approx(float(golden["lve"]), abs=2e-7)
    assert whole["fdd_codetalker"] == pytest.approx(float(golden["fdd"]), abs=2e-7)
    assert whole["mouth_opening_r"] is None, "the face names no mid-lip vertices"
    assert whole["codebook_perplexity"] is None
    assert {path.name for path in (tmp_path / "out").glob("*.png")} == {"face_error.png"}


@pytest.mark.parametrize(
    ("kind", "make", "split", "clips", "options"),
    [
        ("vocaset", made.vocaset_raw, "validation", (f"{made.VOCASET_VALIDATION}_sentence21",), FEW),
        ("vocaset", made.vocaset_processed, "test", (f"{made.VOCASET_TEST}_sentence33",), FEW),
        ("biwi", made.biwi, "test_a", ("M3_e37",), FEW),
        ("blendshapes", made.curves, "test", ("anna_02",), ()),
    ],
)
def test_every_kind_of_data_set_is_opened(
    tmp_path: Path, kind: str, make: Any, split: str, clips: tuple[str, ...], options: tuple[str, ...]
) -> None:
    """The truth as prediction: positions at the data set's rate and in its units score 0."""
    root = make(tmp_path / "data")
    options = ("--head", str(root / "head")) if kind == "blendshapes" else options
    parsed = evaluate.parser().parse_args(["--predictions", "x", *options])
    data = read_split(survey(kind, root, parsed), split)
    for clip in data.clips:
        positions = (data.template(clip) + data.offsets(clip)) * data.units_per_metre
        write_motion(tmp_path / "truth" / f"{clip.name}.npy", positions.astype(np.float32))
    command = ("--predictions", tmp_path / "truth", "--data", kind, root, "--split", split, *options)
    assert run(*command, "--output", tmp_path / "out") == 0
    rows = list(csv.DictReader((tmp_path / "out" / "clips.csv").open(encoding="utf-8")))
    assert tuple(row["clip"] for row in rows) == clips
    assert float(rows[0]["mve_mm"]) < 1e-3


@pytest.mark.skipif(bool(missing_synthesisers()), reason="flite and espeak-ng are not installed")
def test_the_made_corpus_is_made_where_its_cache_lacks_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "none").mkdir()
    text = refusal(
        capsys, "--predictions", tmp_path / "none", "--data", "synthetic", tmp_path / "cache",
        "--minutes", 0.1, "--split", "validation", "--limit", 1,
    )  # fmt: skip
    assert "holds no prediction of 1 of 1 clips: validation-0000." in text


def test_what_cannot_be_is_refused_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = made.folder(tmp_path / "data")
    (tmp_path / "none").mkdir()
    here = ("--predictions", tmp_path / "none")
    assert "no kind of data set called 'movies'. There are synthetic," in refusal(
        capsys, *here, "--data", "movies", root
    )
    assert "--data folder takes one folder, not 0." in refusal(capsys, *here, "--data", "folder")
    text = refusal(capsys, *here, "--data", "folder", root, "--split", "exam")
    assert "There is no split called 'exam'. There are train, validation." in text
    assert "There is no folder" in refusal(capsys, *here, "--data", "folder", tmp_path / "gone")
    text = refusal(capsys, *here, "--data", "folder", root, "--style", "anna")
    assert "--style is for --model" in text
    write_pickle(root / "templates.pkl", {"anna": np.zeros((3, 3), np.float32)})
    assert "cannot be used" in refusal(capsys, *here, "--data", "folder", root)
