"""Models that look both ways on clips longer than their exact history: the loop and the last decoding."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from codetalker_blender.engine import prefix_decoder
from codetalker_blender.engine.code_loop import CodeLoop, CodeSampler
from codetalker_blender.engine.codebook import Codec, Trunk
from codetalker_blender.engine.prefix_decoder import History, PrefixDecoder, Reach, decode_pieces
from codetalker_blender.engine.query import CodeQuery
from tests.engine.variants import variant_networks

FPS = 30.0
BOTH_WAYS = ("vocaset", "biwi", "pairs")
SHORT = History(exact_s=2.0, look_back_s=1.0, piece_s=2.0, margin_s=0.5, fade_s=0.2)


def trunk_and_frames(name: str, frames: int, seed: int = 0) -> tuple[Trunk, Tensor]:
    trunk = variant_networks(name)[0].decoder.trunk
    random = torch.Generator().manual_seed(seed)
    return trunk, torch.randn(1, frames, trunk.config.hidden, generator=random)


def stepped(trunk: Trunk, spread: Tensor, reach: Reach, per_step: int = 1) -> Tensor:
    decoder = PrefixDecoder(trunk, reach)
    parts = [decoder.step(spread[:, t : t + per_step]) for t in range(0, spread.shape[1], per_step)]
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("name", BOTH_WAYS)
@pytest.mark.parametrize("per_step", [1, 2])
@torch.inference_mode()
def test_every_prefix_is_decoded_as_by_definition(name: str, per_step: int) -> None:
    trunk, spread = trunk_and_frames(name, 100)
    found = stepped(trunk, spread, Reach(100, 100), per_step)
    wanted = [trunk(spread[:, : t + per_step])[:, -1:] for t in range(0, 100, per_step)]
    torch.testing.assert_close(found, torch.cat(wanted, dim=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", BOTH_WAYS)
@torch.inference_mode()
def test_beyond_the_exact_length_the_newest_frames_are_decoded(name: str) -> None:
    """By their own definition: the window's frames with the convolution's true neighbours."""
    trunk, spread = trunk_and_frames(name, 200)
    found = stepped(trunk, spread, Reach(70, 40))
    for frame in (69, 70, 71, 110, 141, 199):
        seen = frame + 1 if frame < 70 else 40
        active = trunk.activate(spread[:, : frame + 1])[:, -seen:]
        wanted = trunk.transform(trunk.embed(active))[:, -1]
        torch.testing.assert_close(found[:, frame], wanted, rtol=1e-4, atol=1e-4)


@torch.inference_mode()
def test_the_loop_s_memory_stays_flat() -> None:
    trunk, spread = trunk_and_frames("vocaset", 2000)
    decoder = PrefixDecoder(trunk, Reach(60, 30))
    sizes = []
    for t in range(2000):
        decoder.step(spread[:, t : t + 1])
        sizes.append(decoder.held_bytes)
    assert max(sizes[500:]) <= max(sizes[:500])
    assert max(sizes) < 6 * 60 * trunk.config.hidden * 4


@torch.inference_mode()
def test_lower_precision_is_near_the_exact_one_and_not_the_same() -> None:
    codec, query, _ = variant_networks("vocaset")
    exact, fast = (codes_of(codec, query, 60, precision=name) for name in ("exact", "fast"))
    assert float((exact == fast).float().mean()) > 0.5
    with pytest.raises(ValueError, match="exact, fast"):
        codes_of(codec, query, 2, precision="sloppy")


def codes_of(
    codec: Codec, query: CodeQuery, steps: int, reach: Reach | None = None, precision: str = "exact"
) -> Tensor:
    random = torch.Generator().manual_seed(5)
    unit = query.config.speech_frames * query.config.temporal_unit
    speech = torch.randn(1, steps * unit, query.config.speech_dim, generator=random)
    style = torch.eye(query.config.styles)[None, :1]
    loop = CodeLoop(codec, query, speech, style, CodeSampler(0.0, 0), reach=reach, precision=precision)
    return torch.cat([loop.step()[0] for _ in range(loop.steps)])


@pytest.mark.parametrize("name", BOTH_WAYS)
@torch.inference_mode()
def test_up_to_the_exact_length_no_code_changes(name: str) -> None:
    codec, query, _ = variant_networks(name)
    unit = codec.config.temporal_unit
    whole = codes_of(codec, query, 120)
    limited = codes_of(codec, query, 120, Reach(80 * unit, 40 * unit))
    assert torch.equal(limited[:80], whole[:80])
    assert len(limited[80:].unique(dim=0)) > 3


def pieces(trunk: Trunk, spread: Tensor, history: History) -> list[Tensor]:
    def spread_of(first: int, end: int) -> Tensor:
        assert 0 <= first < end <= spread.shape[1]
        return spread[:, first:end]

    return list(decode_pieces(trunk, spread_of, spread.shape[1], FPS, history))


@pytest.mark.parametrize("frames", [1, 599, 600, 601, 1200, 1999])
@pytest.mark.parametrize("name", BOTH_WAYS)
@torch.inference_mode()
def test_clips_of_minutes_are_decoded_whole(name: str, frames: int) -> None:
    """Block by block, but nothing is left out."""
    trunk, spread = trunk_and_frames(name, frames)
    (piece,) = pieces(trunk, spread, History())
    torch.testing.assert_close(piece, trunk(spread), rtol=1e-4, atol=1e-4)


@pytest.fixture
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(prefix_decoder, "BLOCK_FRAMES", 40)


@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("frames", [61, 89, 90, 91, 97, 250, 1000])
@pytest.mark.parametrize("name", BOTH_WAYS)
@torch.inference_mode()
def test_pieces_make_the_clip(name: str, frames: int) -> None:
    """Every frame once; near the whole clip's, whose attention sees further."""
    trunk, spread = trunk_and_frames(name, frames)
    found = torch.cat(pieces(trunk, spread, SHORT), dim=1)
    whole = trunk(spread)
    assert found.shape == whole.shape
    assert float((found - whole).square().mean() / whole.var()) < 0.02
    # a piece whose margins hold the whole clip is the whole clip
    wide = replace(SHORT, margin_s=frames / FPS)
    torch.testing.assert_close(torch.cat(pieces(trunk, spread, wide), dim=1), whole, rtol=1e-3, atol=1e-3)


@pytest.mark.usefixtures("small_blocks")
@torch.inference_mode()
def test_joins_cannot_be_seen() -> None:
    """Acceleration at the joins is as elsewhere."""
    trunk, spread = trunk_and_frames("vocaset", 1500)
    smooth = torch.nn.functional.avg_pool1d(spread.transpose(1, 2), 9, 1, 4).transpose(1, 2)
    parts = pieces(trunk, smooth, SHORT)
    states = torch.cat(parts, dim=1)[0]
    speed = states.diff(n=2, dim=0).norm(dim=1).numpy()
    joins = np.cumsum([part.shape[1] for part in parts])[:-1]
    near = np.unique(np.concatenate([joins + shift for shift in range(-2, 8)]))
    near = near[near < len(speed)]
    elsewhere = np.delete(speed, near)
    assert speed[near].mean() <= 1.1 * speed.mean()
    assert speed[near].max() <= elsewhere.max()


def test_history_in_frames() -> None:
    assert History().reach(30.0, 90) == Reach(90, 90)
    assert History().reach(30.0, 10_000) == Reach(600, 300)
    assert History(exact_s=math.inf).reach(25.0, 10_000) == Reach(10_000, 250)
