"""Official checkpoints: names both ways, what a file may carry besides, what is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from codetalker_blender.engine.official import (
    BIWI_STYLES,
    VOCASET_STYLES,
    OfficialOptions,
    codec_names,
    is_biwi,
    load_stage1,
    load_stage2,
    query_names,
    read_checkpoint,
    speech_names,
)
from codetalker_blender.errors import BundleError
from tests.engine import golden

FLAVOUR = pytest.mark.parametrize("flavour", golden.FLAVOURS)


def write(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"state_dict": state}, path)
    return path


@FLAVOUR
def test_every_tensor_has_one_name(flavour: str) -> None:
    model = golden.networks(flavour)
    for network, names, stage in (
        (model.codec, codec_names(model.codec.config), 1),
        (model.query, query_names(model.query.config), 2),
        (model.speech, speech_names(model.speech), 2),
    ):
        assert set(names) == set(network.state_dict())
        assert len(set(names.values())) == len(names)
        state = read_checkpoint(golden.checkpoint(flavour, stage))
        for ours, tensor in network.state_dict().items():
            assert torch.equal(tensor, state[names[ours]])


def test_flavours_are_told_apart() -> None:
    assert is_biwi(golden.networks("biwi").codec.config)
    assert not is_biwi(golden.networks("vocaset").codec.config)
    for flavour, styles, fps, frames in (
        ("biwi", BIWI_STYLES, 25.0, 2),
        ("vocaset", VOCASET_STYLES, 30.0, 1),
    ):
        model = golden.networks(flavour)
        assert model.query.config.styles == len(styles)
        assert (model.speech.config.fps, model.query.config.period) == (fps, int(fps))
        assert model.query.config.speech_frames == model.speech.config.speech_frames == frames


@FLAVOUR
def test_a_stage_2_file_may_carry_stage_1(tmp_path: Path, flavour: str) -> None:
    codec = golden.networks(flavour).codec.config
    state = read_checkpoint(golden.checkpoint(flavour, 2))
    first = read_checkpoint(golden.checkpoint(flavour, 1))
    path = write(tmp_path / "both.pth.tar", state | {f"autoencoder.{n}": t for n, t in first.items()})
    query, _ = load_stage2(path, codec, golden.OPTIONS)
    plain = golden.networks(flavour).query.state_dict()
    assert all(torch.equal(tensor, plain[name]) for name, tensor in query.state_dict().items())


@FLAVOUR
def test_tables_are_computed_so_they_may_be_absent(tmp_path: Path, flavour: str) -> None:
    states = [read_checkpoint(golden.checkpoint(flavour, stage)) for stage in (1, 2)]
    lean = [{name: t for name, t in state.items() if not name.endswith(".pe")} for state in states]
    assert [len(state) - len(part) for state, part in zip(states, lean, strict=True)] == [2, 1]
    paths = [write(tmp_path / f"{index}.pth.tar", state) for index, state in enumerate(lean)]
    codec = load_stage1(paths[0], golden.OPTIONS)
    query, _ = load_stage2(paths[1], codec.config, golden.OPTIONS)
    assert query.config.period == golden.networks(flavour).query.config.period


def test_a_period_may_be_asked_for() -> None:
    codec = golden.networks("vocaset").codec.config
    options = OfficialOptions(codec_heads=4, query_heads=4, speech_heads=4, period=25)
    query, _ = load_stage2(golden.checkpoint("biwi", 2), codec, options)
    assert query.config.period == 25


def test_half_precision_files_are_read_as_float32(tmp_path: Path) -> None:
    state = {name: t.half() for name, t in read_checkpoint(golden.checkpoint("vocaset", 1)).items()}
    codec = load_stage1(write(tmp_path / "half.pth.tar", state), golden.OPTIONS)
    assert {tensor.dtype for tensor in codec.state_dict().values()} == {torch.float32}


@pytest.mark.parametrize("missing", ["quantize.embedding.weight", "encoder.squasher.0.0.weight"])
def test_a_tensor_that_sizes_are_read_from(tmp_path: Path, missing: str) -> None:
    state = read_checkpoint(golden.checkpoint("vocaset", 1))
    del state[missing]
    with pytest.raises(BundleError, match=f"'{missing}' is missing"):
        load_stage1(write(tmp_path / "lacking.pth.tar", state), golden.OPTIONS)


def test_a_missing_layer_is_named(tmp_path: Path) -> None:
    state = read_checkpoint(golden.checkpoint("biwi", 1))
    lean = {name: t for name, t in state.items() if not name.startswith("decoder.decoder_transformer.net.2.")}
    with pytest.raises(BundleError, match=r"decoder\.decoder_transformer\.net\.2\..* is missing"):
        load_stage1(write(tmp_path / "lacking.pth.tar", lean), golden.OPTIONS)


@pytest.mark.parametrize("name", ["codec_heads", "query_heads", "speech_heads", "fps", "period"])
@pytest.mark.parametrize("value", [0, -3, float("nan")])
def test_options_must_be_positive(name: str, value: float) -> None:
    with pytest.raises(BundleError, match="--" + name.replace("_", "-")):
        OfficialOptions(**{name: value})  # type: ignore[arg-type]
