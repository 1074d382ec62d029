"""The step that a CUDA graph records does what the loop's own step does."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from codetalker_blender.engine import code_loop
from codetalker_blender.engine.code_loop import CodeLoop, CodeSampler
from tests.engine.variants import CAUSAL, variant_networks

STEPS = 40
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")),
]


def loops(name: str, batch: int, temperature: float, device: str) -> list[CodeLoop]:
    """The same clips twice: by the loop's own step, and by the recorded one."""
    codec, query, _ = variant_networks(name)
    config, random = query.config, torch.Generator().manual_seed(3)
    frames = STEPS * config.speech_frames * config.temporal_unit
    speech = 3.0 * torch.randn(batch, frames, config.speech_dim, generator=random)
    style = torch.rand(batch, STEPS // 2, config.styles, generator=random)
    return [
        CodeLoop(
            codec.to(device),
            query.to(device),
            speech.to(device),
            style.to(device),
            CodeSampler(temperature, list(range(batch))),
            replay=replay,
        )
        for replay in (False, True)
    ]


def steps(loop: CodeLoop, keep: dict[int, int]) -> tuple[list[Tensor], list[Tensor]]:
    """All codes and hidden states; keep: step -> clips that go on from there."""
    codes, states = [], []
    for index in range(loop.steps):
        if index in keep:
            loop.keep(keep[index])
        step_codes, hidden = loop.step()
        assert hidden is not None
        codes.append(step_codes.cpu())
        states.append(hidden.cpu())
    return codes, states


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("temperature", [0.0, 0.5])
@pytest.mark.parametrize("name", CAUSAL)
@torch.inference_mode()
def test_the_recorded_step_equals_the_loop_s_own(
    name: str, temperature: float, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Over several parts of prepared speech, past the rings' length, with clips that leave the batch."""
    monkeypatch.setattr(code_loop, "PREPARED_STEPS", 16)
    try:
        own, recorded = (steps(loop, {20: 2, 33: 1}) for loop in loops(name, 3, temperature, device))
    finally:
        for network in variant_networks(name):
            network.to("cpu")
    for index, (wanted, found) in enumerate(zip(own[0], recorded[0], strict=True)):
        assert torch.equal(wanted, found), f"step {index}"
    torch.testing.assert_close(torch.cat(recorded[1][33:]), torch.cat(own[1][33:]), rtol=1e-5, atol=1e-5)
    assert len(torch.cat([part.flatten() for part in own[0]]).unique()) > 2
