"""A decoder that looks both ways, inside the autoregressive loop and over clips of any length.

Every new frame changes all earlier ones, so the loop decodes its past anew at every step.  What of it can
be kept is kept: the convolution's outputs but the last few.  Past :class:`History`'s exact length only the
newest frames are decoded, so that a step's cost stops growing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .codebook import LEAK, Moments, Trunk
from .layers import TIME_EPS
from .quick_trunk import lower_precision, packed

#: "fast" decodes the past in bfloat16; what is returned is never decoded so.
PRECISIONS = ("exact", "fast")
#: Frames that a long clip's last decoding works on at once; shorter clips are done in one go.
BLOCK_FRAMES = 600


@dataclass(frozen=True)
class Reach:
    """How much past networks without a look-back of their own see, in motion frames.

    exact: up to here they see all of it; look_back: what the decoder sees beyond
    """

    exact: int
    look_back: int


@dataclass(frozen=True)
class History:
    """How far back a model without a look-back of its own sees.

    exact_s: up to here nothing is left out: codes are those of the definition, and time grows with the
        square of the length
    look_back_s: seconds that the decoder sees beyond; about what a step up to there costs on average, so
        that a second of sound costs the same in clips of any length
    piece_s: of the last decoding, from codes to motion: up to here it, too, leaves nothing out.  Its
        attention then takes 2 % of the loop's time; shorter pieces would be seen (with random weights a
        tenth of a millimetre at 10 minutes, half a millimetre at 20 s)
    margin_s, fade_s: what a piece sees on either side, and how long one fades into the next
    """

    exact_s: float = 20.0
    look_back_s: float = 10.0
    piece_s: float = 600.0
    margin_s: float = 120.0
    fade_s: float = 1.0

    def reach(self, fps: float, frames: int) -> Reach:
        """For a clip of ``frames`` frames."""
        exact = frames if math.isinf(self.exact_s) else min(frames, max(1, round(self.exact_s * fps)))
        return Reach(exact, min(exact, max(1, round(self.look_back_s * fps))))


class PrefixDecoder:
    """Frame by frame in, the newest frame's hidden state out."""

    def __init__(self, trunk: Trunk, reach: Reach, precision: str = "exact") -> None:
        """precision: of PRECISIONS"""
        self._trunk, self._reach = trunk, reach
        self._blocks = lower_precision(trunk) if precision == "fast" else packed(trunk) or trunk
        #: of all but the convolution and the norm over time
        self._dtype = torch.bfloat16 if precision == "fast" else trunk.linear.weight.dtype
        self._half = trunk.config.kernel // 2
        #: frames seen, and how many of the oldest the buffers have dropped
        self._count = self._dropped = 0
        self._inputs = self._active = torch.zeros(0, 0, 0)

    def keep(self, clips: int) -> None:
        """Forget all but the first ``clips`` of the batch."""
        self._inputs, self._active = self._inputs[:clips], self._active[:clips]

    @property
    def held_bytes(self) -> int:
        """Memory of the buffers."""
        return self._inputs.nbytes + self._active.nbytes

    def step(self, spread: Tensor) -> Tensor:
        """The next P frames, (batch, P, hidden) -> the last one decoded, (batch, 1, hidden)."""
        self._make_room(spread)
        first, self._count = self._count, self._count + spread.shape[1]
        start, end = first - self._dropped, self._count - self._dropped
        self._inputs[:, start:end] = spread
        # outputs that have seen the repeated end are not final yet
        changed = max(start - self._half, 0)
        self._active[:, changed:end] = self._convolved(changed, end)
        seen = self._count if self._count <= self._reach.exact else self._reach.look_back
        active = self._active[:, end - seen : end]
        embed = self._blocks.embed if self._dtype == active.dtype else self._trunk.embed
        return self._blocks.transform_last(embed(active).to(self._dtype)).to(spread.dtype)

    def _convolved(self, first: int, end: int) -> Tensor:
        """Activated outputs of frames ``first`` to ``end``, the newest; both ends are repeated."""
        conv, half = self._trunk.conv.conv, self._half
        inside = self._inputs[:, max(first - half, 0) : end]
        before = max(half - first, 0)
        padded = F.pad(inside.transpose(1, 2), (before, half), mode="replicate")
        windows = padded.unfold(2, 2 * half + 1, 1).permute(0, 2, 1, 3).flatten(2)
        # three frames as one product: a convolution would reorder its 20 MB of weights every time
        return F.leaky_relu(F.linear(windows, conv.weight.flatten(1), conv.bias), LEAK)

    def _make_room(self, spread: Tensor) -> None:
        """Buffers of at most twice the window; what has left it is dropped now and then."""
        batch, new, hidden = spread.shape
        held = self._count - self._dropped
        if held + new <= self._inputs.shape[1]:
            return
        kept = held
        if self._count + new > self._reach.exact:
            kept = min(held, self._reach.look_back + 2 * self._half)
        # at the start the repeated first frame is part of the outputs, which are never made again
        size = max(2 * (kept + new), 64)
        for name in ("_inputs", "_active"):
            old = getattr(self, name)
            buffer = spread.new_empty(batch, size, hidden)
            if kept:
                buffer[:, :kept] = old[:, held - kept : held]
            setattr(self, name, buffer)
        self._dropped += held - kept


def decode_pieces(
    trunk: Trunk,
    spread_of: Callable[[int, int], Tensor],
    frames: int,
    fps: float,
    history: History,
) -> Iterator[Tensor]:
    """The whole clip's hidden states, (1, n, hidden) piece by piece, in order.

    spread_of: (first, end) -> those frames' codes spread out, (1, end - first, hidden)

    Up to ``history.piece_s`` it is one piece.  Beyond, the norm over time still sees the whole clip, and
    attention a piece with its margins.
    """
    if frames <= BLOCK_FRAMES:
        yield trunk(spread_of(0, frames))
        return
    longest = frames if math.isinf(history.piece_s) else max(1, round(history.piece_s * fps))
    margin, fade = round(history.margin_s * fps), max(1, round(history.fade_s * fps))
    core = frames if frames <= longest else max(longest - 2 * margin, fade)
    half = trunk.config.kernel // 2

    def active(first: int, end: int) -> Tensor:
        """The convolution's outputs as in the whole clip."""
        low, high = max(first - half, 0), min(end + half, frames)
        return trunk.activate(spread_of(low, high))[:, first - low : first - low + end - first]

    moments = _moments(active, frames) if trunk.config.time_norm else None

    def embedded(low: int, high: int) -> Tensor:
        """Block by block, so that nothing wider than the result grows with the clip."""
        starts = range(low, high, BLOCK_FRAMES)
        parts = (trunk.embed(active(start, min(start + BLOCK_FRAMES, high)), moments) for start in starts)
        return _filled(parts, high - low)

    tail: Tensor | None = None
    for first in range(0, frames, core):
        end = min(first + core, frames)
        # the next piece begins to fade in where this one's core ends
        stop = min(end + fade, frames)
        low, high = max(first - margin, 0), min(stop + margin, frames)
        piece = trunk.transform_long(embedded(low, high), BLOCK_FRAMES)[:, first - low : stop - low]
        if tail is not None:
            count = tail.shape[1]
            share = (torch.arange(1, count + 1, device=piece.device) / (count + 1))[:, None].to(piece.dtype)
            piece = torch.cat((torch.lerp(tail, piece[:, :count], share), piece[:, count:]), dim=1)
        tail = piece[:, end - first :] if end < frames else None
        yield piece[:, : end - first]


def _filled(parts: Iterable[Tensor], frames: int) -> Tensor:
    """Neighbouring (batch, n, hidden) as one (batch, frames, hidden), never holding both."""
    result, place = torch.zeros(0), 0
    for part in parts:
        if not place:
            result = part.new_empty(part.shape[0], frames, part.shape[2])
        result[:, place : place + part.shape[1]] = part
        place += part.shape[1]
    return result


def _moments(active: Callable[[int, int], Tensor], frames: int) -> Moments:
    """Mean and 1 / deviation over all frames, block by block."""
    total = square = torch.zeros(())
    for first in range(0, frames, BLOCK_FRAMES):
        # float64 where there is one: a difference of large sums
        part = active(first, min(first + BLOCK_FRAMES, frames))
        part = part.double() if part.device.type != "mps" else part
        total = total.to(part) + part.sum(dim=1, keepdim=True)
        square = square.to(part) + part.square().sum(dim=1, keepdim=True)
    mean = total / frames
    variance = (square / frames - mean.square()).clamp_min(0.0)
    return mean.float(), torch.rsqrt(variance + TIME_EPS).float()
