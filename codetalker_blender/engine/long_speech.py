"""Long sound → speech features, piece by piece: time grows with the sound, memory only with the features.

For the speech encoders that hear a clip as a whole (``chunk_s`` 0: official weights).  Statistics of
the whole file (level, the first convolution's norm), its 50 Hz frames and their places among the motion
frames come out as they do from the whole clip.  The transformer alone differs: it attends to windows
instead of the clip.  No clip that the official weights were trained on was longer than a window.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from .speech import SpeechEncoder

#: Clips up to here are encoded at once, as the original does; its own limit is 20 s at 30 fps.
EXACT_S = 20.0
#: 50 Hz frames convolved at once, 5 s: some 100 MB at the official size, and enough to keep a GPU busy.
PIECE_FRAMES = 250
#: 50 Hz frames beyond a piece's sides that are thrown away: the log-mel front end pads its ends.
EDGE_FRAMES = 1
#: Samples whose level is measured at once, about a minute: nothing but a sum, so larger than a piece.
LEVEL_SAMPLES = 1 << 20
#: Sound that a window hears on both sides of what it contributes, longer than a clause.  The reach of the
#: positional convolution (2.1 s of official frames at 30 fps), which takes a window's end for the clip's,
#: comes on top.
CONTEXT_S = 3.0
#: From one window to the next.  With the context an official window lasts 19.8 s at 30 fps, as long as
#: the clips that are encoded at once, and each frame is computed about twice.
HOP_S = 9.0
#: Neighbouring windows are blended over this time: longer than a syllable, so that no join is seen.
FADE_S = 0.5
#: What a piece of the norm's statistics, a piece of frames and a window take, roughly: for even progress.
NORM_COST, PIECE_COST, WINDOW_COST = 1, 4, 12


class Moments:
    """Mean and population variance over time of values that come in pieces.

    A piece is summed on its own device; pieces are joined in float64 on the CPU (MPS has no float64).
    Chan, Golub and LeVeque, "Updating formulae and a pairwise algorithm for sample variances", 1979.
    """

    def __init__(self) -> None:
        self._count = 0
        self._mean = torch.zeros((), dtype=torch.float64)
        self._squares = torch.zeros((), dtype=torch.float64)

    def add(self, values: Tensor) -> None:
        """values: (channels, time), one mean and variance per row."""
        variance, mean = (value.cpu().double() for value in torch.var_mean(values, dim=-1, correction=0))
        count = values.shape[-1]
        total = self._count + count
        step = mean - self._mean
        self._squares = self._squares + variance * count + step**2 * (self._count * count / total)
        self._mean = self._mean + step * (count / total)
        self._count = total

    def result(self) -> tuple[Tensor, Tensor]:
        """Mean and variance, (channels,) float64 on the CPU."""
        return self._mean, self._squares / self._count


def _normed_over_time(encoder: SpeechEncoder) -> bool:
    """Whether the first convolution has wav2vec 2.0's group norm: each channel over the whole clip."""
    return encoder.config.front_end == "conv" and encoder.config.feature_norm == "group"


class LongSound:
    """The 50 Hz frames of a clip, (length, conv_dim), convolved piece by piece in rising order."""

    def __init__(
        self,
        encoder: SpeechEncoder,
        samples: Tensor,
        spent: Callable[[int], None] = lambda cost: None,
    ) -> None:
        """samples: (n,)

        spent: called with its cost after each piece of the statistics (here) and of the frames; may raise
        """
        self._encoder, self._samples, self._spent = encoder, samples, spent
        self.length = encoder.frame_count(len(samples))
        self._level = self._file_level() if encoder.config.level == "utterance" else None
        self._norm = self._file_norm() if _normed_over_time(encoder) else None
        self._first = 0
        self._kept = samples.new_zeros(1, 0, encoder.config.conv_dim)

    def frames(self, start: int, stop: int) -> Tensor:
        """Frames start .. stop, (1, stop - start, conv_dim).

        ``start`` never falls from call to call and leaves no gap: what lies before it is gone.
        """
        if not self._first <= start <= self._first + self._kept.shape[1]:
            raise ValueError(f"frames from {start} do not follow on those from {self._first}")
        parts = [self._kept[:, start - self._first :]]
        after = self._first + self._kept.shape[1]
        while after < stop:
            end = min(after + PIECE_FRAMES, self.length)
            parts.append(self._piece(after, end))
            after = end
            self._spent(PIECE_COST)
        self._first, self._kept = start, torch.cat(parts, dim=1)
        return self._kept[:, : stop - start]

    def _piece(self, start: int, stop: int) -> Tensor:
        """Frames start .. stop from their own sound, as the whole clip's."""
        first = max(start - EDGE_FRAMES, 0)
        levelled = self._levelled(self._encoder.frame_sound(first, stop + EDGE_FRAMES))
        frames = (
            self._encoder.convolve(levelled) if self._norm is None else self._normed(levelled, *self._norm)
        )
        return frames[:, start - first : stop - first]

    def _normed(self, levelled: Tensor, scale: Tensor, shift: Tensor) -> Tensor:
        """SpeechEncoder.convolve with the file's statistics in its group norm."""
        first, *others = self._encoder.network.feature_extractor.conv_layers
        hidden = first.activation(first.conv(levelled[:, None]).mul_(scale).add_(shift))
        for layer in others:
            hidden = layer(hidden)
        return torch.as_tensor(hidden).transpose(1, 2)

    def _levelled(self, part: slice) -> Tensor:
        """(1, n) at the level that the network expects; the part is cut at the clip's end."""
        samples = self._samples[None, part]
        if self._level is None:
            return self._encoder.levelled(samples)
        mean, deviation = self._level
        return (samples - mean) / deviation

    def _file_level(self) -> tuple[float, float]:
        """Mean of the samples and what SpeechEncoder.levelled divides by."""
        moments = Moments()
        for part in self._samples.split(LEVEL_SAMPLES):
            moments.add(part[None])
            self._spent(0)
        mean, variance = (float(value) for value in moments.result())
        return mean, math.sqrt(variance + self._encoder.config.level_eps)

    def _file_norm(self) -> tuple[Tensor, Tensor]:
        """Scale and shift (channels, 1) that are the first convolution's group norm (a channel a group)."""
        layer = self._encoder.network.feature_extractor.conv_layers[0]
        (kernel,), (stride,) = layer.conv.kernel_size, layer.conv.stride
        outputs = (len(self._samples) - kernel) // stride + 1
        per_frame = self._encoder.frame_sound(1, 2).start // stride
        moments = Moments()
        for first in range(0, self.length, PIECE_FRAMES):
            # no output twice, and none forgotten at the end, where those of less than a frame are left
            after = first + PIECE_FRAMES
            stop = after * per_frame if after < self.length else outputs
            levelled = self._levelled(slice(first * per_frame * stride, (stop - 1) * stride + kernel))
            moments.add(layer.conv(levelled[:, None])[0])
            self._spent(NORM_COST)
        mean, variance = moments.result()
        norm = layer.layer_norm
        scale = norm.weight.cpu().double() / torch.sqrt(variance + norm.eps)
        shift = norm.bias.cpu().double() - mean * scale
        return scale[:, None].to(norm.weight), shift[:, None].to(norm.bias)


def aligned_part(
    sound: LongSound, encoder: SpeechEncoder, motion_frames: int, start: int, stop: int
) -> Tensor:
    """Frames start .. stop of SpeechEncoder.aligned of the whole clip, (1, stop - start, conv_dim).

    Their places among the 50 Hz frames are computed in float64: the whole clip's float32 is off by up to a
    thousandth of a frame after three minutes.
    """
    if encoder.config.speech_frames == 2:
        return sound.frames(start, stop)
    place = torch.arange(start, stop, dtype=torch.float64) * ((sound.length - 1) / max(motion_frames - 1, 1))
    left = place.floor().long().clamp_max(sound.length - 2)
    first = int(left[0])
    frames = sound.frames(first, int(left[-1]) + 2)
    share = (place - left)[None, :, None].to(frames)
    left = (left - first).to(frames.device)
    return torch.lerp(frames[:, left], frames[:, left + 1], share)


@dataclass(frozen=True)
class Windows:
    """Windows of equal length, evenly spread from a clip's start to its end: none is a short remainder.

    starts: each window's first frame
    length, fade: frames of a window, and of the blend of two neighbours
    joins: the first frame of each blend, one fewer than windows; in the middle of what both windows hold
    """

    starts: tuple[int, ...]
    length: int
    fade: int
    joins: tuple[int, ...]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        """First frame and the one after the last, of each window."""
        return ((start, start + self.length) for start in self.starts)


def windows_of(count: int, rate_hz: float, reach: int) -> Windows:
    """Windows on ``count`` frames; reach: frames beyond a window's end that its outer frames miss.

    Every blend lies CONTEXT_S and ``reach`` inside both of its windows.
    """
    hop, fade = math.ceil(HOP_S * rate_hz), math.ceil(FADE_S * rate_hz)
    length = min(2 * (math.ceil(CONTEXT_S * rate_hz) + reach) + fade + hop, count)
    steps = -(-(count - length) // hop)
    starts = [round(index * (count - length) / max(steps, 1)) for index in range(steps + 1)]
    joins = [(left + length + right - fade) // 2 for left, right in itertools.pairwise(starts)]
    return Windows(tuple(starts), length, fade, tuple(joins))


def long_features(encoder: SpeechEncoder, samples: Tensor, each: Callable[[int, int], None]) -> Tensor:
    """A clip (n,) beyond EXACT_S -> (1, motion_frames * speech_frames, hidden), as SpeechEncoder.features.

    each(done, total): called after every piece with the share of the work that is done; it may raise
    Run it under torch.inference_mode: gradients would keep every piece.
    """
    config = encoder.config
    motion_frames = encoder.motion_frames(len(samples))
    count = motion_frames * config.speech_frames
    windows = windows_of(count, config.fps * config.speech_frames, config.position_kernel // 2)
    pieces = -(-encoder.frame_count(len(samples)) // PIECE_FRAMES)
    total = pieces * PIECE_COST + len(windows.starts) * WINDOW_COST
    total += pieces * NORM_COST if _normed_over_time(encoder) else 0
    done = 0

    def spent(cost: int) -> None:
        nonlocal done
        done += cost
        each(done, total)

    spent(0)
    sound = LongSound(encoder, samples, spent)
    features = samples.new_empty(1, count, config.hidden)
    blend = torch.linspace(0.0, 1.0, windows.fade + 2, device=samples.device)[1:-1, None]
    joins = (0, *windows.joins, count)
    for index, (start, stop) in enumerate(windows):
        hidden = encoder.transform(aligned_part(sound, encoder, motion_frames, start, stop))
        # what this window contributes: from its blend with the last window to its blend with the next
        first, last = joins[index], min(joins[index + 1] + windows.fade, count)
        if index > 0:
            mixed = slice(first, first + windows.fade)
            features[:, mixed] = torch.lerp(
                features[:, mixed], hidden[:, first - start :][:, : windows.fade], blend
            )
            first += windows.fade
        features[:, first:last] = hidden[:, first - start : last - start]
        spent(WINDOW_COST)
    return features
