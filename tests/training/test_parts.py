"""Mouth, brows and lids keep to their own weights, codes and classes, whatever training does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from codetalker_blender.engine.code_loop import CodeSampler
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery
from training.articulation_head import read_head
from training.config import PRESETS
from training.parts import PARTS, PartSizes, keep_apart, shape_parts
from training.train_codebook import set_apart

from ..engine.tiny import tiny_configs, tiny_networks
from .made_head import made_head

SIZES = PartSizes(components=(2, 1, 1), hidden=(16, 8, 8))
#: Of the tiny codec's 16 basis rows.
MOTION_PART = torch.tensor([0] * 9 + [1] * 4 + [2] * 3)
LATENT_PART = torch.tensor([0] * 16 + [1] * 8 + [2] * 8)


def tiny_pair(categorical: int = 2) -> tuple[Codec, CodeQuery]:
    codec, query, speech = tiny_configs("streamable", 42)
    codec = dataclasses.replace(codec, code_projection=True, dropout=0.0)
    query = dataclasses.replace(query, categorical=categorical)
    made, asked, _ = tiny_networks(codec, query, speech)
    return made, asked


def motion(batch: int = 4, frames: int = 20, seed: int = 0) -> Tensor:
    return torch.randn(batch, frames, 16, generator=torch.Generator().manual_seed(seed))


def train_a_little(codec: Codec, steps: int = 8) -> None:
    """As stage 1 does, with weight decay, and a loss that every weight is in."""
    optimiser = torch.optim.AdamW(codec.parameters(), lr=1e-2, weight_decay=0.1)
    for step in range(steps):
        optimiser.zero_grad()
        predicted, latent, codes = codec(motion(seed=step))
        distance = (codec.quantiser.lookup(codes) - latent).square().mean()
        ((predicted - motion(seed=step)).square().mean() + distance).backward()
        optimiser.step()


def without_norms(codec: Codec) -> None:
    """Take out the blocks' LayerNorms: their mean and variance over all channels are all that parts share."""
    for trunk in (codec.encoder.trunk, codec.decoder.trunk):
        for block in trunk.blocks:
            block.attention_norm = nn.Identity()
            block.mlp_norm = nn.Identity()


# Which shape belongs where ----------------------------------------------------------------------


def test_the_heads_shapes_go_to_the_parts_of_their_names() -> None:
    head = read_head(Path(__file__).parents[2] / "assets" / "head")
    of = dict(zip(head.shape_names, (PARTS[row] for row in shape_parts(head.deltas, head.face)), strict=True))
    for name, part in of.items():
        if name.startswith(("eyeBlink", "eyeLook", "eyeWide", "eyeSquint")):
            assert part == "lids", name
        if name.startswith("brow"):
            assert part == "brows", name
        if name.startswith(("jaw", "mouth", "tongue", "cheekPuff")):
            assert part == "mouth", name


def test_a_face_that_names_no_eyes_has_no_lids() -> None:
    head = made_head()
    of = dict(zip(head.shape_names, shape_parts(head.deltas, head.face).tolist(), strict=True))
    assert of["browInnerUp"] == of["eyeBlinkLeft"] == PARTS.index("brows")
    assert {part for name, part in of.items() if name.startswith(("jaw", "mouth"))} == {0}


# Weights ----------------------------------------------------------------------------------------


def test_weights_between_parts_stay_exactly_zero_in_training() -> None:
    codec, _ = tiny_pair()
    keep_apart(codec, SIZES, MOTION_PART)
    before = {name: weight.detach().clone() for name, weight in codec.named_parameters()}
    train_a_little(codec)
    matrices = [name for name, weight in before.items() if weight.ndim > 1 and "codebook" not in name]
    # input, output and two projections; two trunks of conv, linear and two blocks of four
    assert len(matrices) == 4 + 2 * (2 + 2 * 4)
    for name in matrices:
        zero, now = before[name] == 0, codec.get_parameter(name).detach()
        assert 0.3 < float(zero.float().mean()) < 0.8, name
        assert torch.equal(now == 0, zero), name
        assert not torch.equal(now, before[name]), name


@pytest.mark.parametrize("part", range(3))
def test_one_parts_motion_moves_only_its_own_latent_but_for_layer_norm(part: int) -> None:
    codec, _ = tiny_pair()
    keep_apart(codec, SIZES, MOTION_PART)
    train_a_little(codec)
    changed = motion()
    changed[..., part == MOTION_PART] += 1.0

    def moved() -> Tensor:
        with torch.no_grad():
            difference: Tensor = codec.encoder(changed) - codec.encoder(motion())
            return difference.abs().amax(dim=(0, 1))

    # LayerNorm's mean and variance run over all channels: with it the others feel something
    assert moved()[part != LATENT_PART].max() > 0
    without_norms(codec)
    alone = moved()
    assert alone[part != LATENT_PART].max() == 0
    assert alone[part == LATENT_PART].min() > 0


@pytest.mark.parametrize("part", range(3))
def test_one_parts_codes_move_only_its_own_motion_but_for_layer_norm(part: int) -> None:
    codec, _ = tiny_pair()
    keep_apart(codec, SIZES, MOTION_PART)
    train_a_little(codec)
    without_norms(codec)
    codes = torch.randint(32, (2, 10, 4), generator=torch.Generator().manual_seed(0))
    other = codes.clone()
    component = torch.tensor([0, 0, 1, 2]) == part
    other[..., component] = (other[..., component] + 7) % 32
    with torch.no_grad():
        difference = (codec.decode(other) - codec.decode(codes)).abs().amax(dim=(0, 1))
    assert difference[part != MOTION_PART].max() == 0
    assert difference[part == MOTION_PART].min() > 0


def test_a_codec_in_parts_still_decodes_step_by_step() -> None:
    """Heads lie within parts, so the streamed form sees the same split."""
    codec, _ = tiny_pair()
    keep_apart(codec, SIZES, MOTION_PART)
    train_a_little(codec)
    codes = torch.randint(32, (1, 10, 4), generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        spread = codec.decoder.spread(codec.quantiser.lookup(codes))
        state = codec.decoder.trunk.start(10)
        steps = [codec.decoder.trunk.step(spread[:, i : i + 1], state) for i in range(10)]
        streamed = codec.decoder.output(torch.cat(steps, dim=1))
        torch.testing.assert_close(streamed, codec.decode(codes), rtol=1e-4, atol=1e-5)


def test_sizes_that_do_not_fit_are_refused() -> None:
    codec, _ = tiny_pair()
    with pytest.raises(ValueError, match="whole heads"):
        keep_apart(codec, PartSizes((2, 1, 1), (20, 4, 8)), MOTION_PART)
    with pytest.raises(ValueError, match=r"components of the parts, .* must sum to 4"):
        keep_apart(codec, PartSizes((2, 2, 1), (16, 8, 8)), MOTION_PART)
    with pytest.raises(ValueError, match=r"hidden of the parts, .* must sum to 32"):
        keep_apart(codec, PartSizes((2, 1, 1), (16, 8, 16)), MOTION_PART)
    with pytest.raises(ValueError, match="code_projection"):
        keep_apart(tiny_networks(*tiny_configs("streamable", 42))[0], SIZES, MOTION_PART)


# Codes that are drawn ---------------------------------------------------------------------------


def nearest_squared(codec: Codec) -> Tensor:
    codes = codec.quantiser.codebook.detach().double()
    apart = (codes[:, None] - codes).square().sum(-1).fill_diagonal_(torch.inf)
    return apart.amin(dim=1)


@torch.no_grad()
def test_setting_codes_apart_changes_neither_codes_nor_motion() -> None:
    codec, query = tiny_pair()
    past, style = motion(seed=1), torch.eye(3)[[0, 1, 2, 0]][:, None]
    speech = torch.randn(4, 20, 32, generator=torch.Generator().manual_seed(2))

    def outcome() -> tuple[Tensor, Tensor, Tensor, Tensor]:
        features, logits = query(speech, past, style)
        codes = codec.encode(motion())
        return codes, codec.quantiser.nearest(features), codec.decode(codes), logits

    before = outcome()
    set_apart(codec, query)
    after = outcome()
    assert torch.equal(after[0], before[0])
    assert torch.equal(after[1], before[1])
    torch.testing.assert_close(after[2], before[2], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(after[3], before[3])
    assert len(set(before[0].flatten().tolist())) > 4
    assert float(nearest_squared(codec).median()) == pytest.approx(400.0, rel=0.05)


@torch.no_grad()
def test_features_near_a_code_always_take_it_while_classes_are_drawn() -> None:
    """A quarter of the way to the neighbour is near; half way between two codes either may come."""
    codec, query = tiny_pair()
    set_apart(codec, query)
    codes = codec.quantiser.codebook
    wide = (nearest_squared(codec) >= 200.0).nonzero().flatten()[:4]
    assert len(wide) == 4
    random = torch.Generator().manual_seed(0)
    draws = 500
    picks = wide.repeat(draws, 1)[:, :2]
    away = nn.functional.normalize(torch.randn(draws, 2, 8, generator=random), dim=-1)
    features = codes[picks] + 0.25 * nearest_squared(codec)[picks].sqrt().float()[..., None] * away
    scores = -codec.quantiser.distances(features.flatten(1))
    logits = torch.full((draws, 1, 32), -torch.inf)
    logits[..., :2] = torch.tensor([0.75, 0.25]).log()
    chosen = CodeSampler(1.0, seed=0).choose(torch.cat((scores, logits), dim=1))
    assert torch.equal(chosen[:, :2], picks)
    assert float((chosen[:, 2] == 0).float().mean()) == pytest.approx(0.75, abs=0.06)
    assert set(chosen[:, 2].tolist()) == {0, 1}


@pytest.mark.parametrize("name", sorted(name for name, preset in PRESETS.items() if preset.parts))
def test_a_preset_draws_the_components_of_all_parts_but_the_mouth(name: str) -> None:
    preset = PRESETS[name]
    assert preset.parts is not None
    assert preset.query.categorical == sum(preset.parts.components[1:])
    assert (preset.query.components, preset.query.code_dim) == (
        preset.codec.components,
        preset.codec.code_dim,
    )
    keep_apart(Codec(preset.codec), preset.parts, torch.zeros(preset.codec.motion_dim, dtype=torch.int64))
