"""Our numbers against the original's, case by case (tests/golden/README.md states the tolerances)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codetalker_blender.contracts import Waveform
from codetalker_blender.engine.bundle import load_bundle
from codetalker_blender.engine.code_loop import CodeLoop, CodeSampler
from codetalker_blender.engine.codebook import Codec, CodecConfig
from codetalker_blender.engine.generate import generate
from codetalker_blender.engine.official import codec_names, query_names, speech_names
from codetalker_blender.engine.query import CodeQuery, QueryConfig
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ, SpeechConfig, SpeechEncoder
from tests.engine import golden
from training import import_official
from training.losses import feature_mse, motion_mse, perplexity, quantiser_loss, reconstruction_l1

TOLERANCE, LOSS_TOLERANCE = 1e-4, 1e-5
EVERY_CASE = [(flavour, case) for flavour in golden.FLAVOURS for case in golden.CASES]
EVERY_SEQUENCE = [(flavour, index) for flavour in golden.FLAVOURS for index in golden.SEQUENCES]


def close(ours: Tensor | NDArray[Any], theirs: NDArray[Any], tolerance: float = TOLERANCE) -> None:
    np.testing.assert_allclose(np.asarray(ours), theirs, rtol=0.0, atol=tolerance)


# -- generation ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("flavour", "case"), EVERY_CASE)
@torch.inference_mode()
def test_generation_equals_the_original(flavour: str, case: int) -> None:
    values, model = golden.arrays(flavour), golden.networks(flavour)
    audio = golden.tensor(flavour, f"c{case}_audio")[None]
    frames = model.speech.motion_frames(audio.shape[1])
    hidden = model.speech.whole(audio, frames)
    close(hidden[0], values[f"c{case}_hidden"])

    style = torch.from_numpy(golden.style_mix(flavour, case))[None]
    loop = CodeLoop(model.codec, model.query, hidden, style, CodeSampler(0.0, 0))
    codes, fed_back = [], []
    for _ in range(loop.steps):
        codes.append(loop.step()[0][0])
        assert loop.last_hidden is not None
        fed_back.append(model.codec.decoder.output(loop.last_hidden)[0, 0])
    np.testing.assert_array_equal(torch.stack(codes), values[f"c{case}_codes"])
    np.testing.assert_array_equal(torch.stack(codes), values[f"c{case}_step_codes"])
    close(torch.stack(fed_back), values[f"c{case}_step_vertex"])
    out = model.codec.decode(torch.stack(codes)[None])[0] + golden.tensor(flavour, f"c{case}_template")
    close(out, values[f"c{case}_out"])


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_levelling_equals_the_original(flavour: str) -> None:
    raw = golden.tensor(flavour, "c0_audio_raw")[None]
    close(golden.networks(flavour).speech.levelled(raw)[0], golden.arrays(flavour)["c0_audio"], 1e-5)


@pytest.fixture(scope="module", params=golden.FLAVOURS)
def imported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Path]:
    """The small model as a bundle, made by the import command."""
    flavour: str = request.param
    folder = tmp_path_factory.mktemp(flavour)
    template = folder / "template.npy"
    np.save(template, golden.arrays(flavour)["c0_template"])
    files = [f"--stage{n}={golden.checkpoint(flavour, n)}" for n in (1, 2)]
    arguments = [*files, f"--template={template}", f"--output={folder / 'bundle'}", *golden.HEAD_OPTIONS]
    assert import_official.main(arguments) == 0
    return flavour, folder / "bundle"


def test_imported_bundle_equals_the_original(imported: tuple[str, Path]) -> None:
    flavour, folder = imported
    bundle = load_bundle(folder)
    for case in golden.CASES:
        values = golden.arrays(flavour)
        # levelling what is level already changes it by less than the tolerance; case 0 has the raw sound too
        sound = values["c0_audio_raw" if case == 0 else f"c{case}_audio"]
        motion = generate(
            bundle, Waveform(sound, SAMPLE_RATE_HZ), golden.style_mix(flavour, case), device="cpu"
        )
        np.testing.assert_array_equal(motion.codes, values[f"c{case}_codes"])
        assert motion.fps == motion.model_fps == bundle.card.fps
        # the bundle's face is case 0's template, in which a unit is a metre; each case has its own
        offsets = motion.offsets.reshape(len(motion.offsets), -1)
        close(offsets + values[f"c{case}_template"], values[f"c{case}_out"])
    close(bundle.face.vertices.reshape(1, -1), golden.arrays(flavour)["c0_template"], 0.0)


# -- stage 1 -------------------------------------------------------------------------------------


def stage1_offsets(flavour: str, index: int) -> Tensor:
    """(1, frames, 3V)"""
    return (golden.tensor(flavour, f"s1_{index}_vert") - golden.tensor(flavour, f"s1_{index}_template"))[None]


def stage1_losses(codec: Codec, offsets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Total, reconstruction and quantiser loss."""
    predicted, latent, codes = codec(offsets)
    reconstruction = reconstruction_l1(predicted, offsets)
    quantiser = quantiser_loss(latent, codec.quantiser.lookup(codes))
    return reconstruction + quantiser, reconstruction, quantiser


@pytest.mark.parametrize(("flavour", "index"), EVERY_SEQUENCE)
@torch.inference_mode()
def test_codec_equals_the_original(flavour: str, index: int) -> None:
    values, codec = golden.arrays(flavour), golden.networks(flavour).codec
    offsets = stage1_offsets(flavour, index)
    predicted, latent, codes = codec(offsets)
    close(latent[0], values[f"s1_{index}_enc"])
    np.testing.assert_array_equal(codes[0], values[f"s1_{index}_idx"])
    np.testing.assert_array_equal(codec.encode(offsets), codes)
    close(predicted[0] + golden.tensor(flavour, f"s1_{index}_template"), values[f"s1_{index}_rec"])

    total, reconstruction, quantiser = stage1_losses(codec, offsets)
    close(total, values[f"s1_{index}_loss"], LOSS_TOLERANCE)
    close(reconstruction, values[f"s1_{index}_rec_loss"], LOSS_TOLERANCE)
    close(quantiser, values[f"s1_{index}_emb_loss"], LOSS_TOLERANCE)
    close(perplexity(codes, codec.config.code_count), values[f"s1_{index}_perplexity"], TOLERANCE)


def gradient_norms(network: nn.Module, names: dict[str, str]) -> dict[str, float]:
    """The checkpoint's name of each tensor -> norm of its gradient, -1 where it has none."""
    return {
        names[ours]: -1.0 if parameter.grad is None else float(parameter.grad.norm())
        for ours, parameter in network.named_parameters()
        if parameter.requires_grad
    }


def assert_norms(ours: dict[str, float], names: NDArray[Any], norms: NDArray[Any]) -> None:
    assert sorted(ours) == sorted(names)
    # gradients that are zero but for rounding have no meaningful relative error
    np.testing.assert_allclose([ours[name] for name in names], norms, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_codec_trains_as_the_original(flavour: str) -> None:
    values, codec = golden.arrays(flavour), golden.fresh_networks(flavour).codec
    offsets = stage1_offsets(flavour, 1)
    optimiser = torch.optim.AdamW(codec.parameters(), lr=1e-4, weight_decay=0.01)
    trajectory = []
    for step in range(6):
        total = stage1_losses(codec, offsets)[0]
        optimiser.zero_grad()
        total.backward()
        if step == 0:
            norms = gradient_norms(codec, codec_names(codec.config))
            assert_norms(norms, values["s1_grad_names"], values["s1_grad_norms"])
        optimiser.step()
        trajectory.append(float(total.detach()))
    close(np.array(trajectory), values["s1_adamw_losses"])
    assert trajectory[-1] < trajectory[0]


# -- stage 2 -------------------------------------------------------------------------------------


def teacher_forced(model: golden.Networks, flavour: str, index: int) -> tuple[Tensor, Tensor]:
    """Motion and feature loss of one sequence."""
    codec, query, speech = model.codec, model.query, model.speech
    audio = golden.tensor(flavour, f"tf_{index}_audio")[None]
    vertices = golden.tensor(flavour, f"tf_{index}_vert")
    offsets = (vertices - golden.tensor(flavour, f"tf_{index}_template"))[None]
    frames = offsets.shape[1]
    if query.config.speech_frames == 2:
        # the sound decides where it is the shorter of the two
        frames = min(frames, speech.motion_frames(audio.shape[1]))
    offsets = offsets[:, :frames]
    past = torch.cat((torch.zeros_like(offsets[:, :1]), offsets[:, :-1]), dim=1)
    style = torch.zeros(1, 1, query.config.styles)
    style[0, 0, int(golden.arrays(flavour)[f"tf_{index}_style"])] = 1.0

    features, logits = query(speech.whole(audio, frames), past, style)
    assert logits is None
    quantised, _ = codec.quantiser(features)
    with torch.no_grad():
        target = codec.quantiser.lookup(codec.encode(offsets))
    return motion_mse(codec.decoder(quantised), offsets), feature_mse(features, target)


def freeze(model: golden.Networks) -> list[nn.Parameter]:
    """Freeze what stage 2 leaves alone; returns what it trains."""
    model.codec.requires_grad_(False)
    model.speech.network.feature_extractor.requires_grad_(False)
    both = [*model.query.parameters(), *model.speech.parameters()]
    return [parameter for parameter in both if parameter.requires_grad]


@pytest.mark.parametrize(("flavour", "index"), EVERY_SEQUENCE)
def test_teacher_forcing_equals_the_original(flavour: str, index: int) -> None:
    values, model = golden.arrays(flavour), golden.fresh_networks(flavour)
    freeze(model)
    motion, feature = teacher_forced(model, flavour, index)
    close(motion.detach(), values[f"tf_{index}_motion"], LOSS_TOLERANCE)
    close(feature.detach(), values[f"tf_{index}_reg"], LOSS_TOLERANCE)
    close((motion + feature).detach(), values[f"tf_{index}_loss"], LOSS_TOLERANCE)
    (motion + feature).backward()
    norms = gradient_norms(model.query, query_names(model.query.config))
    norms |= gradient_norms(model.speech, speech_names(model.speech))
    assert_norms(norms, values[f"tf_{index}_grad_names"], values[f"tf_{index}_grad_norms"])


@pytest.mark.parametrize("flavour", golden.FLAVOURS)
def test_query_trains_as_the_original(flavour: str) -> None:
    values, model = golden.arrays(flavour), golden.fresh_networks(flavour)
    optimiser = torch.optim.Adam(freeze(model), lr=1e-4)
    trajectory = []
    for _ in range(6):
        total = sum(teacher_forced(model, flavour, 0), torch.zeros(()))
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        trajectory.append(float(total.detach()))
    close(np.array(trajectory), values["tf_adam_losses"])
    assert trajectory[-1] < trajectory[0]


# -- full size -----------------------------------------------------------------------------------

VOCASET = (
    CodecConfig(vertex_count=5023),
    QueryConfig(motion_dim=15069),
    SpeechConfig(),
)
BIWI = (
    CodecConfig(vertex_count=23370, components=8, code_dim=128, code_projection=True, output_bias=False),
    QueryConfig(
        motion_dim=70110, layers=12, components=8, code_dim=128, styles=6, period=25, speech_frames=2
    ),
    SpeechConfig(fps=25.0, speech_frames=2),
)
TABLES = {"encoder.encoder_pos_embedding.pe", "decoder.decoder_pos_embedding.pe", "PPE.pe"}


@pytest.mark.parametrize(("flavour", "configs"), [("vocaset", VOCASET), ("biwi", BIWI)])
def test_full_size_networks_have_the_released_tensors(
    flavour: str, configs: tuple[CodecConfig, QueryConfig, SpeechConfig]
) -> None:
    with torch.device("meta"):  # shapes without memory
        codec, query, speech = Codec(configs[0]), CodeQuery(configs[1]), SpeechEncoder(configs[2])
    ours = {}
    for network, names in (
        (codec, codec_names(configs[0])),
        (query, query_names(configs[1])),
        (speech, speech_names(speech)),
    ):
        for name, weights in network.state_dict().items():
            ours[names[name]] = tuple(weights.shape)
    files = golden.official_shapes()
    theirs = files[f"{flavour}_stage1"] | files[f"{flavour}_stage2"]
    assert ours == {name: shape for name, shape in theirs.items() if name not in TABLES}


def test_golden_sizes_are_those_of_the_files() -> None:
    for flavour in golden.FLAVOURS:
        config = json.loads(str(golden.arrays(flavour)["config"]))
        codec, query = golden.networks(flavour).codec.config, golden.networks(flavour).query.config
        assert (3 * codec.vertex_count, codec.hidden, codec.layers) == (
            config["in_dim"],
            config["hidden_size"],
            config["num_hidden_layers"],
        )
        assert (codec.components, codec.code_dim, codec.code_count) == (
            config["face_quan_num"],
            config["zquant_dim"],
            config["n_embed"],
        )
        assert (query.hidden, query.layers, query.period) == (
            config["feature_dim"],
            config["num_layers"],
            config["period"],
        )
