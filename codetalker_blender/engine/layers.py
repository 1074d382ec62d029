"""Blocks that both stages share: attention with biased masks, its ring cache, convolution over time.

Turns (batch, time, channels) tensors into tensors of the same layout.  Only torch.
Every layer has a full form (a whole sequence) and, where it looks back only, a step form
(one position, with a cache); the two agree to rounding.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def sinusoid(positions: Tensor, dim: int) -> Tensor:
    """Sinusoidal position codes (Vaswani et al. 2017): (positions, dim) float32.

    Computed, not tabulated, so there is no longest sequence.
    """
    rates = torch.exp(
        torch.arange(0, dim, 2, dtype=torch.float32, device=positions.device) * (-math.log(10000.0) / dim)
    )
    angles = positions.to(torch.float32)[:, None] * rates
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1)[:, :dim]


def head_slopes(heads: int) -> Tensor:
    """The slope of each head's distance bias (ALiBi, Press et al. 2022): 2^(-8k/heads).

    4 heads give the official 1/4, 1/16, 1/64, 1/256; any other number works too.
    """
    return torch.exp2(-8.0 * torch.arange(1, heads + 1, dtype=torch.float32) / heads)


def age_bias(ages: Tensor, slopes: Tensor, period: int) -> Tensor:
    """Attention bias by age in steps: -slope * floor(age / period), (heads, *ages.shape).

    FaceFormer's periodic bias, which CodeTalker keeps: within one period all steps weigh the same.
    """
    periods = torch.div(ages, period, rounding_mode="floor").to(torch.float32)
    return -slopes.to(ages.device).view(-1, *([1] * ages.ndim)) * periods


def step_ages(steps: int, device: torch.device | None = None) -> Tensor:
    """(steps, steps) int64: how many steps key j lies before query i (negative: in its future)."""
    index = torch.arange(steps, device=device)
    return index[:, None] - index[None, :]


def look_back_mask(steps: int, look_back: int | None, device: torch.device | None = None) -> Tensor:
    """(steps, steps) float32, 0 where query i may see key j, -inf elsewhere.

    Visible are the query itself and the ``look_back - 1`` steps before it (None: all before it).
    """
    ages = step_ages(steps, device)
    hidden = ages < 0
    if look_back is not None:
        hidden |= ages >= look_back
    return torch.zeros(steps, steps, device=device).masked_fill(hidden, -math.inf)


class KeyValueRing:
    """Keys and values of the last ``window`` steps, in a buffer that is overwritten in turn.

    Attention does not care about the order of its keys, so nothing is ever moved;
    a bias by age is read from a doubled table at the right offset.
    """

    def __init__(self, window: int, age_biases: Tensor | None = None) -> None:
        """age_biases: (heads, window), the bias of a key that is 0, 1, ... steps old."""
        self.window = window
        self.count = 0
        self._keys: Tensor | None = None
        self._values: Tensor | None = None
        self._table = None
        if age_biases is not None:
            backwards = age_biases.flip(-1)
            self._table = torch.cat((backwards, backwards[:, :-1]), dim=-1)

    def keep(self, clips: int) -> None:
        """Forget all but the first ``clips`` of the batch."""
        if self._keys is not None and self._values is not None:
            self._keys, self._values = self._keys[:clips], self._values[:clips]

    def push(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        """Store one step; return the visible keys, values and their bias.

        key, value: (batch, heads, 1, head_dim); returned: (batch, heads, n, head_dim) and (heads, 1, n).
        """
        if self._keys is None or self._values is None:
            shape = (*key.shape[:2], self.window, key.shape[3])
            # zeros: a counted ring looks at all slots, and what is hidden must be finite
            self._keys, self._values = key.new_zeros(shape), value.new_zeros(shape)
        slot = self.count % self.window
        self._keys[:, :, slot] = key[:, :, 0]
        self._values[:, :, slot] = value[:, :, 0]
        self.count += 1
        filled = min(self.count, self.window)
        bias = None
        if self._table is not None:
            # slot s holds the key that is (slot - s) mod window steps old
            first = self.window - 1 - slot
            bias = self._table[:, None, first : first + filled]
        return self._keys[:, :, :filled], self._values[:, :, :filled], bias

    def by_counter(self, counter: Tensor) -> CountedRing:
        """The same ring, which has been pushed to, for steps numbered by ``counter``."""
        assert self._keys is not None
        assert self._values is not None
        # the doubled table begins with the oldest and ends its first half with the newest
        biases = None if self._table is None else self._table[:, : self.window].flip(-1)
        return CountedRing(self._keys, self._values, biases, counter)


class CountedRing:
    """A :class:`KeyValueRing` without numbers that Python knows, so that a CUDA graph can replay its push.

    All slots are returned, and those not filled yet are hidden by the bias.
    """

    def __init__(self, keys: Tensor, values: Tensor, biases: Tensor | None, counter: Tensor) -> None:
        """keys, values: (batch, heads, window, head_dim), written into; biases: (heads, window) by age

        counter: (1,) int64, the steps pushed before; its owner counts on
        """
        self._keys, self._values, self._biases, self._counter = keys, values, biases, counter
        self._slots = torch.arange(keys.shape[2], device=keys.device)

    def push(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """As :meth:`KeyValueRing.push`."""
        window = len(self._slots)
        slot = self._counter % window
        self._keys.index_copy_(2, slot, key)
        self._values.index_copy_(2, slot, value)
        ages = (slot - self._slots) % window
        hidden = (ages > self._counter)[None, None]
        if self._biases is None:
            bias = torch.zeros_like(hidden, dtype=key.dtype)
        else:
            bias = self._biases.index_select(1, ages)[:, None]
        return self._keys, self._values, bias.masked_fill(hidden, -math.inf)


#: What a step's attention keeps its past in.
Ring = KeyValueRing | CountedRing


class SelfAttention(nn.Module):
    """Multi-head self-attention with one packed q|k|v matrix, head-major.

    The codec scales by hidden^-0.5 and has no qkv bias; the code query scales by
    head_dim^-0.5 and has one: both are the original's, so both are arguments.
    """

    def __init__(self, hidden: int, heads: int, *, qkv_bias: bool, scale: float) -> None:
        super().__init__()
        self.heads = heads
        self.scale = scale
        self.qkv = nn.Linear(hidden, 3 * hidden, bias=qkv_bias)
        self.output = nn.Linear(hidden, hidden)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(batch, time, hidden) -> three of (batch, heads, time, head_dim)."""
        batch, steps, _ = x.shape
        # (batch, time, 3, heads, head_dim) -> (3, batch, heads, time, head_dim)
        packed = self.qkv(x).view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        return packed[0], packed[1], packed[2]

    def join(self, heads: Tensor) -> Tensor:
        """(batch, heads, time, head_dim) -> (batch, time, hidden), through the output matrix."""
        joined: Tensor = self.output(heads.transpose(1, 2).flatten(2))
        return joined

    def forward(self, x: Tensor, bias: Tensor | None = None, last_only: bool = False) -> Tensor:
        """Full form.  bias: broadcastable to (batch, heads, time, time).

        ``last_only`` asks one query, the last step, against all keys: (batch, 1, hidden).
        """
        if last_only:
            return self._last(x, None if bias is None else bias[..., -1:, :])
        query, key, value = self.split(x)
        return self.join(F.scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=self.scale))

    def _last(self, x: Tensor, bias: Tensor | None) -> Tensor:
        """The last step alone, without a key or a value of any other.

        q . (W_k x) = (W_k^T q) . x, and the mean of W_v x is W_v of the mean of x: two products with the
        whole sequence are as narrow as there are heads, in place of two as wide as ``hidden``.
        """
        batch, _, hidden = x.shape
        # (3, heads, head_dim, hidden); a bias of the keys moves all scores alike, which softmax undoes
        matrices = self.qkv.weight.view(3, self.heads, -1, hidden)
        biases = None if self.qkv.bias is None else self.qkv.bias.view(3, self.heads, -1)
        query = torch.einsum("bi,hdi->bhd", x[:, -1], matrices[0])
        if biases is not None:
            query = query + biases[0]
        asked = torch.einsum("bhd,hdi->bhi", query * self.scale, matrices[1])
        scores = asked @ x.transpose(1, 2)
        if bias is not None:
            scores = scores + bias[..., 0, :]
        found = torch.einsum("bhi,hdi->bhd", scores.softmax(dim=-1) @ x, matrices[2])
        if biases is not None:
            found = found + biases[2]
        return torch.as_tensor(self.output(found.reshape(batch, 1, hidden)))

    def keys_values(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, time, hidden) -> two of (batch, heads, time, head_dim)."""
        batch, steps, hidden = x.shape
        bias = None if self.qkv.bias is None else self.qkv.bias[hidden:]
        packed = F.linear(x, self.qkv.weight[hidden:], bias).view(batch, steps, 2, self.heads, -1)
        key, value = packed.permute(2, 0, 3, 1, 4)
        return key, value

    def attend(self, x: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None = None) -> Tensor:
        """What the queries of some steps x (batch, n, hidden) find in :meth:`keys_values` of all."""
        batch, steps, hidden = x.shape
        bias = None if self.qkv.bias is None else self.qkv.bias[:hidden]
        query = F.linear(x, self.qkv.weight[:hidden], bias).view(batch, steps, self.heads, -1).transpose(1, 2)
        return self.join(F.scaled_dot_product_attention(query, keys, values, mask, scale=self.scale))

    def step(self, x: Tensor, ring: Ring) -> Tensor:
        """Step form: (batch, 1, hidden) of the newest step; equals the full form's last row."""
        query, key, value = self.split(x)
        keys, values, bias = ring.push(key, value)
        weights = (query * self.scale) @ keys.transpose(-1, -2)
        if bias is not None:
            weights = weights + bias
        return self.join(weights.softmax(dim=-1) @ values)


class WindowAttention(nn.Module):
    """Cross-attention in which step i sees its own ``window`` speech frames and no others.

    The official alignment masks as an index: VOCASET sees 1 frame, BIWI the 2 frames of its step.
    With a window of 1 the softmax is 1 and the query does not matter.
    """

    def __init__(self, hidden: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.scale = (hidden // heads) ** -0.5
        self.qkv = nn.Linear(hidden, 3 * hidden)
        self.output = nn.Linear(hidden, hidden)

    def prepare(self, memory: Tensor) -> Tensor:
        """All that does not depend on the query, once per clip: memory (batch, steps * window, hidden).

        A window of 1 leaves nothing to weigh: the result itself, (batch, steps, hidden).  Else keys and
        values, (batch, steps, 2, heads, window, head_dim).
        """
        batch, frames, hidden = memory.shape
        weight, bias = self.qkv.weight[hidden:], self.qkv.bias[hidden:]
        if self.window == 1:
            return torch.as_tensor(self.output(F.linear(memory, weight[hidden:], bias[hidden:])))
        packed = F.linear(memory, weight, bias)
        packed = packed.view(batch, frames // self.window, self.window, 2, self.heads, -1)
        return packed.permute(0, 1, 3, 4, 2, 5)

    def forward(self, x: Tensor, prepared: Tensor) -> Tensor:
        """x: (batch, steps, hidden) with the steps' own part of what :meth:`prepare` gave."""
        if self.window == 1:
            return prepared
        batch, steps, hidden = x.shape
        keys, values = prepared.unbind(dim=2)
        query = F.linear(x, self.qkv.weight[:hidden], self.qkv.bias[:hidden])
        query = query.view(batch, steps, self.heads, 1, -1)
        weights = ((query * self.scale) @ keys.transpose(-1, -2)).softmax(dim=-1)
        return torch.as_tensor(self.output((weights @ values).reshape(batch, steps, hidden)))


class TimeConv(nn.Module):
    """Convolution over time with replicated ends; ``causal`` pads at the front alone.

    stride > 1 turns ``stride`` frames into one step (the temporal unit P of the paper).
    """

    def __init__(self, hidden: int, kernel: int, *, causal: bool, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(hidden, hidden, kernel, stride=stride)
        # causal: step i ends at its own last frame, (i + 1) * stride - 1
        self.padding = (kernel - stride, 0) if causal else (kernel // 2, kernel // 2)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, hidden) -> (batch, frames / stride, hidden)."""
        padded = F.pad(x.transpose(1, 2), self.padding, mode="replicate")
        return torch.as_tensor(self.conv(padded).transpose(1, 2))

    def step(self, history: Tensor | None, x: Tensor) -> tuple[Tensor, Tensor]:
        """Causal step form, stride 1: (history, output), both fed back by the caller.

        history: (batch, kernel - 1, hidden), None at the first frame; x, output: (batch, 1, hidden)
        """
        if history is None:
            history = x.expand(-1, self.padding[0], -1)
        window = torch.cat((history, x), dim=1)
        # (batch, kernel, hidden) x (out, in, kernel) as one product
        flat = window.transpose(1, 2).flatten(1)
        output = F.linear(flat, self.conv.weight.flatten(1), self.conv.bias)
        return window[:, 1:], output[:, None]


#: Added to the variance over time.
TIME_EPS = 1e-5


def time_normalise(x: Tensor, eps: float = TIME_EPS) -> Tensor:
    """InstanceNorm over time: every channel to zero mean and unit (biased) variance.

    x: (batch, time, channels).  One frame alone gives zeros, as two equal frames do:
    that is why the original's first decode of [q, q] is a constant of the model.
    """
    variance, mean = torch.var_mean(x, dim=1, correction=0, keepdim=True)
    return (x - mean) * torch.rsqrt(variance + eps)
