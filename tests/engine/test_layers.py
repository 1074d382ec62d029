"""Attention, its cache, convolution and normalisation over time: step form = full form."""

from __future__ import annotations

import pytest
import torch

from codetalker_blender.engine.layers import (
    KeyValueRing,
    SelfAttention,
    TimeConv,
    WindowAttention,
    age_bias,
    head_slopes,
    look_back_mask,
    sinusoid,
    step_ages,
    time_normalise,
)

HIDDEN, HEADS, STEPS, PERIOD = 16, 4, 23, 5


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(3)


def test_head_slopes_are_the_original_s() -> None:
    assert head_slopes(4).tolist() == [1 / 4, 1 / 16, 1 / 64, 1 / 256]
    assert len(head_slopes(3)) == 3


def test_positions_are_the_same_wherever_they_are_computed() -> None:
    whole = sinusoid(torch.arange(9000), HIDDEN)
    torch.testing.assert_close(sinusoid(torch.tensor([8123]), HIDDEN), whole[8123:8124])
    assert whole[0].tolist() == [0.0, 1.0] * (HIDDEN // 2)


def test_age_bias_is_flat_within_a_period() -> None:
    bias = age_bias(torch.arange(2 * PERIOD + 1), head_slopes(HEADS), PERIOD)
    assert bias[0].tolist() == [-0.0] * PERIOD + [-0.25] * PERIOD + [-0.5]


def test_look_back_mask_shows_exactly_the_newest_steps() -> None:
    seen = (look_back_mask(6, 3) == 0).int()
    assert seen[4].tolist() == [0, 0, 1, 1, 1, 0]
    assert (look_back_mask(6, None) == 0).sum(dim=1).tolist() == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("look_back", [1, 2, 7, STEPS - 1, STEPS, None])
@pytest.mark.parametrize("biased", [False, True])
@torch.inference_mode()
def test_ring_equals_masked_attention_beyond_its_window(look_back: int | None, biased: bool) -> None:
    attention = SelfAttention(HIDDEN, HEADS, qkv_bias=True, scale=0.5)
    x = torch.randn(2, STEPS, HIDDEN)
    mask = look_back_mask(STEPS, look_back)
    window = look_back or STEPS
    biases = None
    if biased:
        slopes = head_slopes(HEADS)
        mask = mask + age_bias(step_ages(STEPS).clamp_min(0), slopes, PERIOD)
        biases = age_bias(torch.arange(window), slopes, PERIOD)
    ring = KeyValueRing(window, biases)
    steps = torch.cat([attention.step(x[:, t : t + 1], ring) for t in range(STEPS)], dim=1)
    torch.testing.assert_close(steps, attention(x, mask), rtol=1e-4, atol=1e-5)


@torch.inference_mode()
@pytest.mark.parametrize("qkv_bias", [False, True])
def test_last_query_alone_is_the_last_row(qkv_bias: bool) -> None:
    attention = SelfAttention(HIDDEN, HEADS, qkv_bias=qkv_bias, scale=HIDDEN**-0.5)
    x, mask = torch.randn(2, STEPS, HIDDEN), look_back_mask(STEPS, 4)
    for bias in (None, mask, torch.randn(HEADS, STEPS, STEPS), torch.randn(2, HEADS, STEPS, STEPS)):
        torch.testing.assert_close(attention(x, bias, last_only=True), attention(x, bias)[:, -1:])


@pytest.mark.parametrize("window", [1, 2, 3])
@torch.inference_mode()
def test_window_attention_sees_its_own_frames_alone(window: int) -> None:
    attention = WindowAttention(HIDDEN, HEADS, window)
    x, memory = torch.randn(1, STEPS, HIDDEN), torch.randn(1, STEPS * window, HIDDEN)
    before = attention(x, attention.prepare(memory))
    changed = memory.clone()
    changed[:, 8 * window : 9 * window] += 1.0
    moved = (attention(x, attention.prepare(changed)) - before).abs().amax(dim=(0, 2))
    assert moved.nonzero().flatten().tolist() == [8]
    # one step by itself is the same step of the whole
    part = attention.prepare(memory[:, 5 * window : 6 * window])
    torch.testing.assert_close(attention(x[:, 5:6], part), before[:, 5:6])


@torch.inference_mode()
def test_causal_convolution_steps_equal_the_whole() -> None:
    conv = TimeConv(HIDDEN, 5, causal=True)
    x = torch.randn(2, STEPS, HIDDEN)
    history, outputs = None, []
    for t in range(STEPS):
        history, y = conv.step(history, x[:, t : t + 1])
        outputs.append(y)
    torch.testing.assert_close(torch.cat(outputs, dim=1), conv(x), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@torch.inference_mode()
def test_strided_convolution_gives_whole_steps(causal: bool, stride: int) -> None:
    conv = TimeConv(HIDDEN, 5, causal=causal, stride=stride)
    x = torch.randn(1, 6 * stride, HIDDEN)
    assert conv(x).shape == (1, 6, HIDDEN)
    if causal:
        changed = x.clone()
        changed[:, 4 * stride :] += 1.0
        assert torch.equal(conv(changed)[:, :4], conv(x)[:, :4])


@torch.inference_mode()
def test_normalising_one_frame_equals_two_equal_frames() -> None:
    frame = torch.randn(2, 1, HIDDEN)
    alone = time_normalise(frame)
    torch.testing.assert_close(alone, time_normalise(frame.expand(-1, 2, -1))[:, :1])
    assert not alone.any()


def test_normalising_equals_instance_norm() -> None:
    x = torch.randn(2, STEPS, HIDDEN) * 3.0 + 5.0
    theirs = torch.nn.InstanceNorm1d(HIDDEN)(x.transpose(1, 2)).transpose(1, 2)
    torch.testing.assert_close(time_normalise(x), theirs, rtol=1e-4, atol=1e-5)
