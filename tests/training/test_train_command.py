"""The commands: stages one by one or all at once, resumed, exported, refused in one sentence."""

from __future__ import annotations

import dataclasses
import json
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from transformers import Wav2Vec2Config, Wav2Vec2Model

from codetalker_blender.engine.bundle import load_bundle
from training import config, export, train
from training.previews import mouth_curve

from . import made_recordings
from .made import made_dataset, small_preset
from .test_train_data import small_paper, wave

STEPS = {"codebook": 8, "speech": 4, "query": 4}


@pytest.fixture
def presets(monkeypatch: pytest.MonkeyPatch) -> None:
    """The presets' own names with networks that a test can wait for."""
    monkeypatch.setitem(config.PRESETS, "tiny", small_preset(**STEPS))
    paper = small_paper("vocaset")
    stages = {
        name: dataclasses.replace(stage, schedule=dataclasses.replace(stage.schedule, epochs=2))
        for name in ("speech_stage", "codebook_stage", "query_stage")
        if (stage := getattr(paper, name)) is not None
    }
    monkeypatch.setitem(config.PRESETS, "vocaset", dataclasses.replace(paper, **stages))


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return wave(made_recordings.folder(tmp_path / "data"))


def options(data: Path, run: Path, *more: str, preset: str = "tiny") -> list[str]:
    return ["--preset", preset, "--data", "folder", str(data), "--run", str(run), "--cpu", *more]


def last_line(capsys: pytest.CaptureFixture[str]) -> str:
    return capsys.readouterr().err.strip().splitlines()[-1]


@pytest.mark.usefixtures("presets")
def test_all_stages_and_the_bundle_with_its_card(data: Path, tmp_path: Path) -> None:
    run, output = tmp_path / "run", tmp_path / "mine"
    assert train.main(options(data, run, "--output", str(output), "--licence", "CC BY 4.0")) == 0
    card = load_bundle(output).card
    assert (card.name, card.licence, card.fps) == ("mine", "CC BY 4.0", 25.0)
    assert card.notes["clips"] == 3
    assert card.notes["voices"] == ["anna", "anna_b"]
    assert set(card.notes["training_seconds"]) == {"codebook_s", "speech_s", "query_s"}
    assert sorted(path.name for path in run.iterdir()) == [
        "checkpoints", "face.npz", "log.jsonl", "model.json", "run.json", "tensorboard",
    ]  # fmt: skip


@pytest.mark.usefixtures("presets")
def test_stage_by_stage_gives_the_same_model(data: Path, tmp_path: Path) -> None:
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    licence = ("--licence", "CC0-1.0")
    assert train.main(options(data, whole, "--output", str(tmp_path / "a"), *licence)) == 0
    for stage in STEPS:
        assert train.main(options(data, parts), stage=stage) == 0
    assert export.main(["--run", str(parts), "--output", str(tmp_path / "b"), *licence]) == 0
    one, other = (load_bundle(tmp_path / name).state_dict() for name in "ab")
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.usefixtures("presets")
def test_a_missing_stage_is_named(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = tmp_path / "run"
    assert train.main(options(data, run), stage="query") == 2
    assert "stage 'codebook'" in last_line(capsys)
    assert train.main(options(data, run), stage="codebook") == 0
    assert train.main(options(data, run), stage="query") == 2
    assert "training.train_speech" in last_line(capsys)
    assert export.main(["--run", str(run), "--output", str(tmp_path / "b"), "--licence", "x"]) == 2
    assert "stage 'speech'" in last_line(capsys)
    assert train.main(options(data, run), stage="codebook") == 2
    assert "--resume" in last_line(capsys)


@pytest.mark.usefixtures("presets")
@pytest.mark.parametrize(
    ("more", "told"),
    [
        ((), "needs a licence"),
        (("--licence", "x", "--minutes", "3"), "--minutes is for the made corpus"),
        (("--licence", "x", "--wav2vec", "nowhere"), "hears whole clips of raw sound"),
        (("--licence", "x", "--preset", "biwi", "--data", "blendshapes", "{data}"), "splits.json"),
        (("--licence", "x", "--data", "folder", "{data}/none"), "There is no folder"),
    ],
)
def test_what_cannot_be_is_told_before_any_work(
    more: tuple[str, ...], told: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    filled = [word.format(data=data) for word in more]
    assert train.main(options(data, run, "--output", str(tmp_path / "b"), *filled)) == 2
    assert told in last_line(capsys)
    assert not run.exists()


@pytest.mark.usefixtures("presets")
def test_a_run_on_changed_data_is_refused(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    assert train.main(options(data, run), stage="codebook") == 0
    splits = made_recordings.FOLDER_SPLITS | {"splits": {"train": ["anna_0*"]}}
    made_recordings.write_splits(data, splits)
    assert train.main(options(data, run), stage="speech") == 2
    assert "other data" in last_line(capsys)


@pytest.mark.usefixtures("presets")
def test_a_resume_with_another_setting_names_it(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run = tmp_path / "run"
    assert train.main(options(data, run), stage="codebook") == 0
    held = json.loads((run / "run.json").read_text())
    assert held["config"]["preset"]["codebook_stage"]["schedule"]["steps"] == STEPS["codebook"]
    assert held["config"]["data"]["kind"] == "folder"
    other = dataclasses.replace(small_preset(**STEPS), region_weights={"lips": 3.0})
    monkeypatch.setitem(config.PRESETS, "tiny", other)
    assert train.main(options(data, run), stage="speech") == 2
    assert "config.preset.region_weights" in last_line(capsys)


@pytest.mark.usefixtures("presets")
def test_scores_go_onto_the_card(data: Path, tmp_path: Path) -> None:
    run, scores = tmp_path / "run", tmp_path / "scores.json"
    assert train.main(options(data, run, "--output", str(tmp_path / "a"), "--licence", "x")) == 0
    totals = {"all": {"lve_mm": 1.23456, "mtm_ms": None}, "voice anna": {"lve_mm": 9.0}}
    scores.write_text(json.dumps({"split": "test", "totals": totals}))
    more = ["--licence", "CC0-1.0", "--metrics", str(scores), "--name", "scored"]
    assert export.main(["--run", str(run), "--output", str(tmp_path / "b"), *more]) == 0
    card = load_bundle(tmp_path / "b").card
    assert card.name == "scored"
    assert card.notes["metrics"] == {"split": "test", "lve_mm": 1.235}
    scores.write_text("{}")
    assert export.main(["--run", str(run), "--output", str(tmp_path / "b"), *more]) == 2


# Pretrained speech encoders -----------------------------------------------------------------


def wav2vec_folder(path: Path, **changes: object) -> Path:
    """A small wav2vec 2.0 with random weights, as transformers saves it."""
    sizes: dict[str, object] = {
        "conv_dim": (8,) * 7, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2,
        "intermediate_size": 16, "num_conv_pos_embeddings": 8, "num_conv_pos_embedding_groups": 4,
    }  # fmt: skip
    torch.manual_seed(7)
    Wav2Vec2Model(Wav2Vec2Config(**(sizes | changes))).save_pretrained(path)
    return path


@pytest.mark.usefixtures("presets")
def test_a_run_starts_from_the_users_wav2vec(data: Path, tmp_path: Path) -> None:
    """Without a speech stage; the convolutions stay what they were, the rest is tuned."""
    folder = wav2vec_folder(tmp_path / "wav2vec")
    run, output = tmp_path / "run", tmp_path / "b"
    more = ("--output", str(output), "--licence", "x", "--wav2vec", str(folder))
    assert train.main(options(data, run, *more, preset="vocaset")) == 0
    assert not (run / "checkpoints" / "speech").exists()
    bundle = load_bundle(output)
    assert bundle.speech.config.layers == 2
    given, kept = Wav2Vec2Model.from_pretrained(folder).state_dict(), bundle.speech.network.state_dict()
    changed = {name for name in given if not torch.equal(given[name], kept[name])}
    assert not {name for name in changed if name.startswith("feature_extractor")}
    assert {name for name in changed if name.startswith("encoder.layers")}


@pytest.mark.usefixtures("presets")
@pytest.mark.parametrize(
    ("changes", "told"),
    [({"do_stable_layer_norm": True}, "normalisation before its layers"), ({"conv_bias": True}, "biases")],
)
def test_other_wav2vecs_are_refused(
    changes: dict[str, object], told: str, data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = wav2vec_folder(tmp_path / "wav2vec", **changes)
    more = ("--output", str(tmp_path / "b"), "--licence", "x", "--wav2vec", str(folder))
    assert train.main(options(data, tmp_path / "run", *more, preset="vocaset")) == 2
    assert told in last_line(capsys)


@pytest.mark.usefixtures("presets")
def test_a_missing_wav2vec_is_told(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    more = ("--output", str(tmp_path / "b"), "--licence", "x", "--wav2vec", str(tmp_path / "none"))
    assert train.main(options(data, tmp_path / "run", *more, preset="vocaset")) == 2
    assert "cannot be loaded" in last_line(capsys)


# Pictures -----------------------------------------------------------------------------------


@pytest.mark.usefixtures("presets")
def test_the_board_holds_pictures_and_the_codebooks_use(data: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    for stage in STEPS:
        assert train.main(options(data, run), stage=stage) == 0
    for stage in ("codebook", "query"):
        board = EventAccumulator(str(run / "tensorboard" / stage))
        board.Reload()
        tags = board.Tags()
        assert sorted(tags["images"]) == ["codes", "error", "opening"]
        assert [event.step for event in board.Images("opening")] == [STEPS[stage]]
        assert "total" in tags["scalars"]
        if stage == "codebook":
            assert 1.0 <= board.Scalars("perplexity")[-1].value <= 16.0


def test_the_mouths_curve_is_its_opening() -> None:
    dataset = made_dataset(clips=1, seconds=1.0)
    offsets = dataset.offsets(dataset.clips[0])
    curve, name = mouth_curve(dataset.face, offsets)
    assert name.startswith("mouth opening")
    upper, lower = (dataset.face.vertices[v] + offsets[7, v] for v in dataset.face.mid_lips)
    assert curve.shape == (30,)
    assert curve[7] == pytest.approx(1e3 * np.linalg.norm(upper - lower), rel=1e-5)
    bare = dataclasses.replace(dataset.face, mid_lips=dataset.face.mid_lips[:0])
    assert mouth_curve(bare, offsets)[1].startswith("mean offset")


@pytest.mark.slow
@pytest.mark.skipif(not (shutil.which("flite") and shutil.which("espeak-ng")), reason="no synthesisers")
def test_the_tiny_preset_shows_in_two_minutes_that_everything_works(tmp_path: Path) -> None:
    """From nothing: corpus, three stages, bundle."""
    output = tmp_path / "bundle"
    started = time.monotonic()
    more = ["--data", "synthetic", str(tmp_path / "corpus"), "--run", str(tmp_path / "run"), "--cpu"]
    assert train.main(["--preset", "tiny", "--output", str(output), *more]) == 0
    assert time.monotonic() - started < 120.0
    bundle = load_bundle(output)
    assert bundle.card.licence == "CC0-1.0"
    assert "streamable" in bundle.card.description
