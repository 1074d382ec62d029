"""Stage 1: causality, step form, round trips, shapes and bases."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from codetalker_blender.engine.codebook import Codec, CodecConfig, Quantiser
from tests.engine.tiny import grid_face, tiny_configs, tiny_networks
from tests.engine.variants import CAUSAL, VARIANTS, variant_networks
from training.losses import quantiser_loss, reconstruction_l1


def made_motion(frames: int, width: int, seed: int = 0) -> Tensor:
    """Smooth motion of rank 3: (1, frames, width)."""
    random = torch.Generator().manual_seed(seed)
    time = torch.arange(frames)[:, None] * torch.tensor([0.21, 0.13, 0.34])
    return (time.sin() @ torch.randn(3, width, generator=random))[None]


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("frames", [1, 2, 7, 30])
@torch.inference_mode()
def test_shapes_for_any_length(name: str, frames: int) -> None:
    codec = variant_networks(name)[0]
    config, motion = codec.config, made_motion(frames, codec.config.motion_dim)
    steps = -(-frames // config.temporal_unit)
    codes = codec.encode(motion)
    assert codes.shape == (1, steps, config.components)
    assert codec.decode(codes).shape == (1, steps * config.temporal_unit, config.motion_dim)
    predicted, latent, same = codec(motion)
    assert predicted.shape == motion.shape
    assert latent.shape == (1, steps, config.latent_dim)
    assert torch.equal(codes, same)
    torch.testing.assert_close(codec.decode(codes)[:, :frames], predicted, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", CAUSAL)
@torch.inference_mode()
def test_the_future_cannot_change_the_past(name: str) -> None:
    codec = variant_networks(name)[0]
    unit, steps, cut = codec.config.temporal_unit, 30, 17
    codes = torch.randint(codec.config.code_count, (1, steps, codec.config.components))
    changed = codes.clone()
    changed[:, cut:] = (changed[:, cut:] + 1) % codec.config.code_count
    one, other = codec.decode(codes), codec.decode(changed)
    assert torch.equal(one[:, : cut * unit], other[:, : cut * unit])
    assert not torch.equal(one[:, cut * unit :], other[:, cut * unit :])
    motion = made_motion(steps * unit, codec.config.motion_dim)
    latent = codec.encoder(motion)
    motion[:, cut * unit :] += 1.0
    torch.testing.assert_close(codec.encoder(motion)[:, :cut], latent[:, :cut])


@pytest.mark.parametrize("name", CAUSAL)
@torch.inference_mode()
def test_stepped_decoding_equals_the_whole(name: str) -> None:
    codec = variant_networks(name)[0]
    decoder, frames = codec.decoder, 40
    codes = torch.randint(codec.config.code_count, (2, frames, codec.config.components))
    spread = decoder.spread(codec.quantiser.lookup(codes))[:, :frames]
    state = decoder.trunk.start(frames)
    steps = torch.cat([decoder.trunk.step(spread[:, t : t + 1], state) for t in range(frames)], dim=1)
    torch.testing.assert_close(steps, decoder.trunk(spread), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_last_frame_alone_is_the_last_of_all(name: str) -> None:
    trunk = variant_networks(name)[0].decoder.trunk
    x = torch.randn(1, 19, trunk.config.hidden)
    last = trunk.transform_last(trunk.embed(trunk.activate(x)))
    torch.testing.assert_close(last, trunk(x)[:, -1:], rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_finite_look_back_forgets() -> None:
    codec = variant_networks("streamable")[0]
    config = codec.config
    assert config.look_back is not None
    # every block reaches look_back - 1 steps back, the convolution kernel - 1
    reach = config.layers * (config.look_back - 1) + config.kernel - 1
    codes = torch.randint(config.code_count, (1, reach + 6, config.components))
    changed = codes.clone()
    changed[:, 0] = (changed[:, 0] + 1) % config.code_count
    moved = (codec.decode(codes) - codec.decode(changed)).abs().amax(dim=(0, 2))
    assert moved[0] > 0
    assert not moved[reach + 1 :].any()


def test_quantiser_finds_its_own_codes() -> None:
    quantiser = Quantiser(tiny_configs("vocaset", 42)[0])
    torch.nn.init.normal_(quantiser.codebook)
    codes = torch.randint(32, (3, 5, 4))
    assert torch.equal(quantiser.nearest(quantiser.lookup(codes)), codes)
    latent = torch.randn(3, 5, 32, requires_grad=True)
    brute = (latent.unflatten(-1, (4, 8))[..., None, :] - quantiser.codebook).square().sum(-1)
    torch.testing.assert_close(quantiser.distances(latent), brute, rtol=1e-4, atol=1e-4)
    # straight through: the gradient of the output is the gradient of the input
    quantiser(latent)[0].sum().backward()
    assert latent.grad is not None
    assert torch.equal(latent.grad, torch.ones_like(latent))


def test_the_first_of_equal_codes_is_taken() -> None:
    quantiser = Quantiser(tiny_configs("vocaset", 42)[0])
    with torch.no_grad():
        quantiser.codebook[9] = quantiser.codebook[4]
    assert (quantiser.nearest(quantiser.codebook[9].repeat(4)[None]) == 4).all()


@pytest.mark.parametrize("name", ["shapes", "basis", "shapes on a basis", "streamable", "vocaset"])
@torch.inference_mode()
def test_offsets_to_motion_and_back(name: str) -> None:
    codec = variant_networks(name)[0]
    width = 3 * codec.config.vertex_count
    offsets = torch.randn(2, 5, width)
    if codec.config.basis_rank:
        offsets = offsets @ codec.vertex_basis.t() @ codec.vertex_basis
    torch.testing.assert_close(codec.to_offsets(codec.to_motion(offsets)), offsets, rtol=1e-4, atol=1e-5)
    # rest is the motion of no offset at all
    torch.testing.assert_close(codec.to_motion(torch.zeros(width)), codec.still())
    torch.testing.assert_close(codec.to_offsets(codec.still()), torch.zeros(width), rtol=0.0, atol=1e-6)


@torch.inference_mode()
def test_still_shapes_are_the_template() -> None:
    codec = variant_networks("shapes")[0]
    torch.testing.assert_close(codec.still(), torch.from_numpy(grid_face().vertices).flatten())


@pytest.mark.parametrize("flavour", ["vocaset", "streamable"])
def test_a_few_steps_of_training_make_a_round_trip(flavour: str) -> None:
    config, query, speech = tiny_configs(flavour, 42)
    codec = tiny_networks(dataclasses.replace(config, dropout=0.0), query, speech)[0]
    motion = made_motion(60, config.motion_dim)
    optimiser = torch.optim.AdamW(codec.parameters(), lr=3e-3)
    errors = []
    for _ in range(80):
        predicted, latent, codes = codec(motion)
        error = reconstruction_l1(predicted, motion)
        (error + quantiser_loss(latent, codec.quantiser.lookup(codes))).backward()
        optimiser.step()
        optimiser.zero_grad()
        errors.append(float(error.detach()))
    with torch.inference_mode():
        back = codec.decode(codec.encode(motion))
    left = float(reconstruction_l1(back, motion) / motion.abs().mean())
    assert left < 0.5
    assert errors[-1] < 0.5 * errors[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"causal": True},
        {"look_back": 5},
        {"causal": True, "time_norm": False, "look_back": 0},
        {"components": 5},
        {"heads": 3},
        {"temporal_unit": 0},
        {"temporal_unit": 6},
        {"basis_rank": 129},
    ],
)
def test_configs_that_make_no_codec_are_refused(changes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        dataclasses.replace(CodecConfig(vertex_count=20), **changes)  # type: ignore[arg-type]


def test_training_dropout_leaves_evaluation_alone() -> None:
    codec = Codec(dataclasses.replace(tiny_configs("vocaset", 42)[0], dropout=0.5)).eval()
    motion = made_motion(9, 126)
    assert torch.equal(codec(motion)[0], codec(motion)[0])
    codec.train()
    assert not torch.equal(codec(motion)[0], codec(motion)[0])
