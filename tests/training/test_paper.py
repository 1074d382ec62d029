"""The presets of the paper: our stages take the original's steps, loss for loss and gradient for gradient.

The golden files were made by the original (tests/golden/README.md); its dropout was off.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from torch import nn

from codetalker_blender.contracts import REGION_NAMES, FaceMesh, Waveform
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.official import codec_names, query_names, speech_names
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ, SpeechEncoder
from training.config import PRESETS, Schedule
from training.datasets.clip import Clip, Dataset, VertexMotion
from training.gaps import no_gaps
from training.loop import rate_at
from training.run_folder import RunFolder
from training.train_codebook import train_codebook
from training.train_query import train_query
from training.whole_clips import WholeClips

from ..engine import golden

STEPS = 6


def one_clip(flavour: str, index: int, kind: str, folder: Path) -> Dataset:
    """A data set of one golden sequence.  kind: "s1" or "tf"."""
    values = golden.arrays(flavour)
    template = values[f"{kind}_{index}_template"].reshape(-1, 3).astype(np.float32)
    frames = values[f"{kind}_{index}_vert"].astype(np.float32)
    path = folder / "frames.npy"
    np.save(path, frames)
    rows = np.arange(len(frames))
    sound = values.get(f"{kind}_{index}_audio", np.ones(SAMPLE_RATE_HZ))
    styles = tuple(f"speaker {row}" for row in range(golden.networks(flavour).query.config.styles))
    clip = Clip(
        "clip",
        int(values[f"{kind}_{index}_style"]) if kind == "tf" else 0,
        "voice",
        Waveform(sound.astype(np.float32), SAMPLE_RATE_HZ),
        golden.networks(flavour).speech.config.fps,
        np.zeros((len(frames), 0), np.float32),
        vertices=VertexMotion(path, rows, template),
    )
    empty = np.zeros(0, np.int32)
    face = FaceMesh(template, np.zeros((0, 3), np.int32), empty, empty, dict.fromkeys(REGION_NAMES, empty))
    return Dataset(face, (), np.zeros((0, len(template), 3), np.float32), styles, (clip,))


def still_networks(flavour: str) -> tuple[Codec, CodeQuery, SpeechEncoder]:
    """The golden networks without dropout and masks."""
    model = golden.networks(flavour)
    codec = Codec(replace(model.codec.config, dropout=0.0))
    query = CodeQuery(replace(model.query.config, dropout=0.0))
    speech = SpeechEncoder(replace(model.speech.config, dropout=0.0, mask_probability=0.0))
    for ours, theirs in ((codec, model.codec), (query, model.query), (speech, model.speech)):
        state = {name: value.clone() for name, value in theirs.state_dict().items()}
        # the vector that stands for masked frames
        state.pop("network.masked_spec_embed", None)
        ours.load_state_dict(state)
    return codec, query, speech


def constant(schedule: Schedule, steps: int) -> Schedule:
    """The golden steps were taken at one rate."""
    return replace(schedule, steps=steps, epochs=0, halvings=0)


def totals(folder: Path, stage: str) -> list[float]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line["total"] for line in lines if line["stage"] == stage]


def norms(network: nn.Module, names: dict[str, str]) -> Iterator[tuple[str, float]]:
    for ours, weight in network.named_parameters():
        yield names[ours], -1.0 if weight.grad is None else float(weight.grad.norm())


def assert_norms(ours: dict[str, float], values: dict[str, Any], prefix: str) -> None:
    wanted = dict(zip(values[f"{prefix}_grad_names"].tolist(), values[f"{prefix}_grad_norms"], strict=True))
    wanted.pop("audio_encoder.masked_spec_embed", None)
    trained = {name: norm for name, norm in ours.items() if norm >= 0 or name in wanted}
    assert sorted(trained) == sorted(wanted)
    np.testing.assert_allclose(
        [trained[name] for name in sorted(wanted)], [wanted[name] for name in sorted(wanted)],
        rtol=1e-3, atol=1e-6,
    )  # fmt: skip


def teach_codebook(flavour: str, steps: int, folder: Path) -> Codec:
    codec, _, encoder = still_networks(flavour)
    stage = PRESETS[flavour].codebook_stage
    stage = replace(stage, schedule=constant(stage.schedule, steps))
    clips = WholeClips(one_clip(flavour, 1, "s1", folder), encoder, 1.0, seed=0)
    run = RunFolder(folder / "run", quiet=True, report_every=1)
    train_codebook(codec, clips, None, no_gaps(), stage, run, seed=0)
    return codec


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_stage_1_takes_the_originals_steps(flavour: str, tmp_path: Path) -> None:
    teach_codebook(flavour, STEPS, tmp_path)
    losses = totals(tmp_path / "run", "codebook")
    np.testing.assert_allclose(losses, golden.arrays(flavour)["s1_adamw_losses"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_stage_1_has_the_originals_gradients(flavour: str, tmp_path: Path) -> None:
    codec = teach_codebook(flavour, 1, tmp_path)
    ours = dict(norms(codec, codec_names(codec.config)))
    assert_norms(ours, golden.arrays(flavour), "s1")


def teach_query(flavour: str, index: int, steps: int, folder: Path) -> tuple[CodeQuery, SpeechEncoder]:
    codec, query, encoder = still_networks(flavour)
    stage = PRESETS[flavour].query_stage
    stage = replace(stage, schedule=constant(stage.schedule, steps))
    clips = WholeClips(one_clip(flavour, index, "tf", folder), encoder, 1.0, seed=0)
    run = RunFolder(folder / "run", quiet=True, report_every=1)
    everything = clips.draw(1, 0).motion[0, 0] * 0 + 1
    train_query(encoder, codec, query, clips, None, no_gaps(), everything, stage, run, seed=0)
    return query, encoder


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_stage_2_takes_the_originals_steps(flavour: str, tmp_path: Path) -> None:
    teach_query(flavour, 0, STEPS, tmp_path)
    losses = totals(tmp_path / "run", "query")
    np.testing.assert_allclose(losses, golden.arrays(flavour)["tf_adam_losses"], rtol=0, atol=1e-4)


@pytest.mark.parametrize("index", golden.SEQUENCES)
@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_stage_2_has_the_originals_losses_and_gradients(flavour: str, index: int, tmp_path: Path) -> None:
    query, encoder = teach_query(flavour, index, 1, tmp_path)
    values = golden.arrays(flavour)
    line = json.loads((tmp_path / "run" / "log.jsonl").read_text().splitlines()[0])
    for name, theirs in (("mse", "motion"), ("feature", "reg"), ("total", "loss")):
        assert line[name] == pytest.approx(float(values[f"tf_{index}_{theirs}"]), rel=1e-4, abs=1e-5)
    ours = dict(norms(query, query_names(query.config))) | dict(norms(encoder, speech_names(encoder)))
    assert_norms(ours, values, f"tf_{index}")


def test_the_papers_schedules() -> None:
    """AdamW and Adam at 1e-4, one clip a step, 200 and 100 epochs; VOCASET halves stage 1's rate."""
    vocaset, biwi = (PRESETS[name].codebook_stage.schedule.for_clips(314) for name in ("vocaset", "biwi"))
    assert vocaset.steps == biwi.steps == 200 * 314
    assert [rate_at(epoch * 314, vocaset) for epoch in (0, 19, 20, 199)] == [1e-4, 1e-4, 5e-5, 1e-4 / 2**9]
    assert rate_at(biwi.steps - 1, biwi) == 1e-4
    assert (vocaset.optimiser, vocaset.weight_decay) == ("adamw", 0.01)
    query = PRESETS["biwi"].query_stage.schedule.for_clips(190, processes=2)
    assert (query.optimiser, query.weight_decay, query.steps) == ("adam", 0.0, 100 * 95)
    assert rate_at(query.steps - 1, query) == 1e-4


def test_every_clip_comes_once_before_any_comes_again(tmp_path: Path) -> None:
    """Two processes share the order between them."""
    flavour = "vocaset"
    dataset = one_clip(flavour, 0, "tf", tmp_path)
    styles = range(8)[: len(dataset.styles)]
    clips = tuple(replace(dataset.clips[0], style=style, name=str(style)) for style in styles)
    dataset = replace(dataset, clips=clips)
    encoder = golden.networks(flavour).speech
    one = WholeClips(dataset, encoder, 1.0, seed=3)
    drawn = [int(one.draw(1, 0).style.argmax()) for _ in range(2 * len(clips))]
    for epoch in (drawn[: len(clips)], drawn[len(clips) :]):
        assert sorted(epoch) == list(styles)
    both = [WholeClips(dataset, encoder, 1.0, seed=3, index=i, processes=2) for i in (0, 1)]
    shared = [int(half.draw(1, 0).style.argmax()) for _ in range(len(clips)) for half in both]
    assert shared == drawn
