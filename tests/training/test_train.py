"""Training lowers its losses, sees what generation sees, and ends in a bundle that runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from codetalker_blender.engine.bundle import load_bundle, save_bundle
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.generate import generate
from training.checkpoints import CheckpointFolder
from training.config import PRESETS, Preset
from training.parts import keep_apart, shape_parts
from training.run_folder import RunFolder
from training.train import fitted, train
from training.train_codebook import CodebookRestarts, fit_scales, lay_codebook
from training.train_query import shifted
from training.windows import vertex_basis

from ..engine.tiny import tiny_configs, tiny_networks
from .made import made_dataset, small_preset


def stage_lines(folder: Path, stage: str) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["stage"] == stage]


def ended(folder: Path, stage: str) -> list[dict[str, Tensor]]:
    """The weights of each network as the stage left them."""
    state = CheckpointFolder(folder / "checkpoints" / stage).newest()
    assert state is not None
    networks: list[dict[str, Tensor]] = state["networks"]
    return networks


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three stages on made tones, saved as a bundle beside the run's log."""
    folder = tmp_path_factory.mktemp("run")
    dataset = made_dataset()
    bundle = train(
        small_preset(codebook=300, speech=150, query=150), dataset, RunFolder(folder, quiet=True), "made"
    )
    save_bundle(folder / "bundle", bundle, half=True)
    return folder


@pytest.mark.parametrize(
    ("stage", "name"), [("codebook", "motion_mm"), ("speech", "phone"), ("query", "motion_mm")]
)
def test_every_stage_lowers_its_own_loss(trained: Path, stage: str, name: str) -> None:
    # the codebook's first lines are the plain autoencoder's
    values = [line[name] for line in stage_lines(trained, stage) if name in line]
    assert len(values) >= 2
    assert values[-1] < 0.8 * values[0]


def test_the_trained_bundle_loads_and_follows_the_sound(trained: Path) -> None:
    bundle = load_bundle(trained / "bundle")
    dataset = made_dataset()
    clip = dataset.clips[0]
    style = np.eye(3, dtype=np.float32)[clip.style][None]
    motion = generate(bundle, clip.waveform, style)
    truth = dataset.offsets(clip)
    lips = dataset.face.regions["lips"]
    moved, wanted = motion.offsets[:, lips, 2].mean(1), truth[: motion.frame_count, lips, 2].mean(1)
    assert motion.frame_count == clip.frame_count
    assert np.corrcoef(moved, wanted[: len(moved)])[0, 1] > 0.5


def test_the_trained_codec_keeps_its_parts_and_its_codes_apart(trained: Path) -> None:
    """A weight that a codec in parts has not is zero in the bundle too."""
    bundle, dataset = load_bundle(trained / "bundle"), made_dataset()
    basis = vertex_basis(dataset.deltas, shape_parts(dataset.deltas, dataset.face))
    assert sorted(set(basis.part.tolist())) == [0, 1]
    preset = fitted(small_preset(), dataset, basis)
    assert preset.parts is not None
    fresh = Codec(preset.codec)
    keep_apart(fresh, preset.parts, torch.from_numpy(basis.part))
    for name, weight in fresh.named_parameters():
        if weight.ndim > 1 and "codebook" not in name:
            assert (weight == 0).any(), name
            assert bundle.codec.get_parameter(name)[weight == 0].abs().max() == 0, name
    assert bundle.card.temperature == PRESETS["tiny"].temperature > 0
    codes = bundle.codec.quantiser.codebook.detach().double()
    apart = (codes[:, None] - codes).square().sum(-1).fill_diagonal_(torch.inf).amin(dim=1)
    assert float(apart.median()) == pytest.approx(400.0, rel=0.05)


def test_the_query_leaves_the_codec_as_it_was(trained: Path) -> None:
    """But for the scale of its codes, and half precision on the disk."""
    bundle = load_bundle(trained / "bundle")
    before, after = ended(trained, "codebook")[0], bundle.codec.state_dict()
    for name in ("encoder.input.weight", "decoder.output.weight", "decoder.trunk.linear.weight"):
        torch.testing.assert_close(after[name], before[name].half().float())
    ratio = after["quantiser.codebook"] / before["quantiser.codebook"]
    torch.testing.assert_close(ratio, ratio.median().expand_as(ratio), rtol=5e-3, atol=0)


def test_a_run_is_reproducible_by_its_seed(tmp_path: Path) -> None:
    states = []
    for name in ("a", "b"):
        bundle = train(small_preset(10, 5, 5), made_dataset(), RunFolder(tmp_path / name, quiet=True), name)
        states.append(bundle.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_dead_codes_are_replaced_by_encoder_outputs() -> None:
    codec = tiny_networks(*tiny_configs("streamable", 42))[0]
    restarts = CodebookRestarts(codec, seed=0)
    latent = torch.randn(1, 6, 32)
    codes = codec.quantiser.nearest(latent)
    restarts.saw(latent, codes)
    used = set(codes.flatten().tolist())
    before = codec.quantiser.codebook.detach().clone()
    assert restarts.restart() == 32 - len(used)
    changed = (codec.quantiser.codebook.detach() != before).any(dim=1)
    assert {i for i in range(32) if not changed[i]} == used
    vectors = latent.reshape(-1, 8)
    assert all((vectors == row).all(dim=1).any() for row in codec.quantiser.codebook.detach()[changed])


def test_presets_take_their_sizes_from_the_data() -> None:
    dataset = made_dataset()
    preset = fitted(small_preset(), dataset, vertex_basis(dataset.deltas))
    assert (preset.codec.vertex_count, preset.codec.basis_rank, preset.query.motion_dim) == (42, 3, 3)
    assert Codec(preset.codec).config.causal


def on_raw_sound(preset: Preset) -> Preset:
    return dataclasses.replace(preset, speech=dataclasses.replace(preset.speech, front_end="conv"))


def test_convolutions_on_raw_sound_learn_in_the_speech_stage_alone(tmp_path: Path) -> None:
    """The query stage reads their cached output, so they must stay what they were."""
    preset = on_raw_sound(small_preset(codebook=3, speech=3, query=3))
    bundle = train(preset, made_dataset(), RunFolder(tmp_path, quiet=True), "raw")
    before, after = ended(tmp_path, "speech")[0], bundle.speech.state_dict()
    frozen = [name for name in before if "feature_extractor" in name]
    assert len(frozen) >= 7
    assert all(torch.equal(after[name], before[name]) for name in frozen)
    assert any(not torch.equal(after[name], before[name]) for name in before.keys() - set(frozen))
    assert all(weight.requires_grad for weight in bundle.parameters())


def test_without_parts_all_components_may_be_regressed(tmp_path: Path) -> None:
    preset = small_preset(codebook=3, speech=3, query=3)
    preset = dataclasses.replace(preset, parts=None, query=dataclasses.replace(preset.query, categorical=0))
    bundle = train(preset, made_dataset(), RunFolder(tmp_path, quiet=True), "plain")
    assert bundle.card.temperature == 0.0
    assert all(weight.isfinite().all() for weight in bundle.state_dict().values())


def test_scales_are_fitted_to_motion_of_metres() -> None:
    """Networks that expect numbers near 1 begin with offsets of millimetres as if they were."""
    codec, query, _ = tiny_networks(*tiny_configs("streamable", 42))
    random = torch.Generator().manual_seed(0)
    spread = torch.logspace(-3, -2, 16)
    motion = 0.01 + spread * torch.randn(4000, 16, generator=random)
    plain = {layer: layer.weight.detach().clone() for layer in (codec.encoder.input, query.motion_map)}
    biases = {layer: layer.bias.detach().clone() for layer in plain}
    fit_scales(codec, query, motion)
    unit = (motion - motion.mean(dim=0)) / motion.std(dim=0)
    with torch.no_grad():
        for layer, weight in plain.items():
            torch.testing.assert_close(layer(motion), unit @ weight.t() + biases[layer], rtol=0, atol=2e-3)
        hidden = torch.zeros(1, 32)
        torch.testing.assert_close(codec.decoder.output(hidden)[0], motion.mean(dim=0))


def test_codes_are_laid_on_the_latents_clusters() -> None:
    codec = tiny_networks(*tiny_configs("streamable", 42))[0]
    random = torch.Generator().manual_seed(0)
    centres = 5.0 * torch.randn(8, 8, generator=random)
    vectors = centres.repeat(50, 1) + 0.01 * torch.randn(400, 8, generator=random)
    lay_codebook(codec, vectors.reshape(1, 100, 32), seed=0)
    nearest = torch.cdist(vectors, codec.quantiser.codebook.detach()).amin(dim=1)
    assert nearest.max() < 0.1


def test_fewer_latents_than_codes_are_all_met() -> None:
    """And in a restart, which has no more latents to give than the batch had."""
    codec = tiny_networks(*tiny_configs("streamable", 42))[0]
    latent = torch.randn(1, 2, 32)
    lay_codebook(codec, latent, seed=0)
    codes = codec.quantiser.codebook.detach()
    assert codes.isfinite().all()
    assert torch.cdist(latent.reshape(-1, 8), codes).amin(dim=1).max() < 1e-3
    restarts = CodebookRestarts(codec, seed=0)
    restarts.saw(latent[:, :1], codec.quantiser.nearest(latent[:, :1]))
    assert restarts.restart() > 4


def test_past_motion_is_the_frame_before() -> None:
    motion, before = torch.arange(12.0).reshape(2, 3, 2), -torch.ones(2, 2)
    past = shifted(before, motion)
    assert torch.equal(past[:, 0], before)
    assert torch.equal(past[:, 1:], motion[:, :-1])
