"""The street's middle: speech → features → codes → motion, as one function.

``generate`` is the whole of it; ``CodeLoop`` is the autoregressive part, one step at a time,
with a key/value cache and fused feedback.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from ..contracts import (
    CancelCheck,
    FloatArray,
    Motion,
    MotionChunk,
    Progress,
    Waveform,
    never_cancelled,
    no_progress,
)
from ..errors import BundleError, Cancelled, EngineError
from .bundle import Bundle
from .codebook import Codec
from .query import CodeQuery
from .speech import SAMPLE_RATE_HZ

#: Frames per block when hidden states become vertices, so that no second copy of the motion is held.
VERTEX_BLOCK = 512
#: Below this temperature only the nearest code has a chance, and the division would overflow.
COLDEST = 1e-6


def choose_device(name: str) -> torch.device:
    """The device called ``name``; "auto" takes CUDA, then MPS, then the CPU.  Raises EngineError."""
    there = {
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
        "cpu": True,
    }
    if name == "auto":
        return torch.device(next(kind for kind, available in there.items() if available))
    if name not in there:
        raise EngineError(f"There is no device called '{name}'.", "Choose auto, cpu, cuda or mps.")
    if not there[name]:
        raise EngineError(
            f"The device '{name}' is not available to torch {torch.__version__} on this machine.",
            "Choose auto or cpu.",
        )
    return torch.device(name)


class CodeSampler:
    """How a code is chosen: the nearest one, or drawn by softmax(-squared distance / temperature).

    Draws come from a CPU generator whatever the device, so a seed gives the same draws everywhere.
    """

    def __init__(self, temperature: float, seed: int) -> None:
        self.temperature = temperature
        self._random = torch.Generator().manual_seed(seed)

    def choose(self, scores: Tensor) -> Tensor:
        """scores: (batch, H, N), higher is better (-distance or logit) -> codes (batch, H)."""
        if self.temperature < COLDEST:
            return scores.argmax(dim=-1)
        relative = scores - scores.amax(dim=-1, keepdim=True)
        shares = (relative / self.temperature).softmax(dim=-1).cumsum(dim=-1)
        draws = torch.rand(shares.shape[:-1], generator=self._random).to(shares)
        return (shares < draws[..., None]).sum(dim=-1).clamp_max(scores.shape[-1] - 1)


class CodeLoop:
    """The autoregressive loop over one batch of clips of equal length.

    Each step maps the last decoded frame and the style to an embedding, asks the query for the next
    codes and decodes them far enough to feed back.  The feedback never visits 3V numbers: the codec's
    last Linear and the query's first are multiplied into one (hidden x hidden) matrix beforehand.
    """

    def __init__(
        self, codec: Codec, query: CodeQuery, speech: Tensor, style: Tensor, sampler: CodeSampler
    ) -> None:
        """speech: (batch, steps * speech_frames * P, channels); style: (batch, 1 or steps, styles)."""
        self.codec, self.query, self.sampler = codec, query, sampler
        unit = query.config.speech_frames * query.config.temporal_unit
        self.steps = speech.shape[1] // unit
        self._state = query.start(speech)
        self._style = query.style_vectors(style)
        output, to_hidden = codec.decoder.output, query.motion_map
        self._feedback = to_hidden.weight @ output.weight
        rest = -codec.still() if output.bias is None else output.bias - codec.still()
        self._feedback_bias = to_hidden.bias + to_hidden.weight @ rest
        self._trunk = codec.decoder.trunk.start(self.steps * codec.config.temporal_unit)
        self._prefix: Tensor | None = None
        self.done = 0
        #: the decoder's hidden state of the newest frame, (batch, 1, hidden), before ``decoder.output``
        self.last_hidden: Tensor | None = None

    def step(self) -> tuple[Tensor, Tensor | None]:
        """The next step: codes (batch, H), and for a causal codec its P frames' hidden states."""
        style = self._style[:, min(self.done, self._style.shape[1] - 1)][:, None]
        if self.last_hidden is not None:
            embedding = style + self.last_hidden @ self._feedback.t() + self._feedback_bias
        elif self.query.config.bias_free_start:
            embedding = style
        else:
            embedding = style + self.query.motion_map.bias
        codes = self.choose(*self.query.step(embedding, self._state))
        hidden = self._decode(self.codec.quantiser.lookup(codes)[:, None])
        self.done += 1
        return codes, hidden

    def choose(self, features: Tensor | None, logits: Tensor | None) -> Tensor:
        """Codes of one step's features (batch, 1, (H-n)*C) and logits (batch, 1, n, N): (batch, H)."""
        parts = []
        if features is not None:
            parts.append(-self.codec.quantiser.distances(features[:, 0]))
        if logits is not None:
            parts.append(logits[:, 0])
        return self.sampler.choose(torch.cat(parts, dim=1))

    def _decode(self, latent: Tensor) -> Tensor | None:
        decoder = self.codec.decoder
        spread = decoder.spread(latent)
        if self.codec.config.causal:
            frames = [decoder.trunk.step(spread[:, i : i + 1], self._trunk) for i in range(spread.shape[1])]
            self.last_hidden = frames[-1]
            return torch.cat(frames, dim=1)
        # a codec that looks both ways decodes the prefix anew; what was fed back is never returned
        if self._prefix is None:
            total = self.steps * spread.shape[1]
            self._prefix = spread.new_empty(spread.shape[0], total, spread.shape[2])
        first = self.done * spread.shape[1]
        self._prefix[:, first : first + spread.shape[1]] = spread
        self.last_hidden = decoder.trunk.last(self._prefix[:, : first + spread.shape[1]])
        return None


def style_rows(style: FloatArray, styles: int, device: torch.device) -> Tensor:
    """Check a request's style mix: (frames or 1, styles) -> (1, frames or 1, styles)."""
    if style.ndim != 2 or style.shape[1] != styles or not len(style) or not np.isfinite(style).all():
        raise BundleError(
            f"The style mix has shape {style.shape}; "
            f"this model needs finite numbers of shape (frames or 1, {styles})."
        )
    return torch.from_numpy(np.ascontiguousarray(style, np.float32)).to(device)[None]


class MotionStream:
    """One clip's motion, handed out in chunks while it is made.

    Iterate once: every frame comes exactly once, in order.  For a causal codec chunks come while the codes
    are still being chosen; one that looks both ways must choose them all first.

    frame_count: frames of the whole motion; vertex_count: V; fps: the model's own
    Iterating raises Cancelled within one step of ``cancelled()`` saying so.
    """

    def __init__(
        self,
        bundle: Bundle,
        waveform: Waveform,
        style: FloatArray,
        *,
        device: str = "auto",
        temperature: float | None = None,
        seed: int = 0,
        progress: Progress = no_progress,
        cancelled: CancelCheck = never_cancelled,
    ) -> None:
        """As :func:`generate`.  Raises EngineError for a device that is not there."""
        if waveform.rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"generate needs {SAMPLE_RATE_HZ} Hz, not {waveform.rate_hz}")
        self._bundle, self._samples, self._style = bundle, waveform.samples, style
        self._device, self._seed = choose_device(device), seed
        self._temperature = bundle.card.temperature if temperature is None else temperature
        self._progress, self._cancelled = progress, cancelled
        self.frame_count = bundle.speech.motion_frames(len(waveform.samples))
        self.vertex_count = bundle.codec.config.vertex_count
        self.fps = bundle.card.fps

    def __iter__(self) -> Iterator[MotionChunk]:
        motion = generate(
            self._bundle,
            Waveform(self._samples, SAMPLE_RATE_HZ),
            self._style,
            device=str(self._device),
            temperature=self._temperature,
            seed=self._seed,
            progress=self._progress,
            cancelled=self._cancelled,
        )
        for first in range(0, motion.frame_count, VERTEX_BLOCK):
            part = slice(first, first + VERTEX_BLOCK)
            yield MotionChunk(first, motion.offsets[part], motion.codes[part])


@torch.inference_mode()
def generate(
    bundle: Bundle,
    waveform: Waveform,
    style: FloatArray,
    *,
    device: str = "auto",
    temperature: float | None = None,
    seed: int = 0,
    progress: Progress = no_progress,
    cancelled: CancelCheck = never_cancelled,
) -> Motion:
    """Speech to motion at the model's own frame rate.

    waveform: mono at 16 kHz; style: (frames or 1, styles) mix weights
    temperature: None takes the bundle's default; 0 the nearest code
    returns offsets in metres in the template's axes, and the codes
    Raises Cancelled within one step of ``cancelled()`` saying so, EngineError for a device that is not there.
    """
    if waveform.rate_hz != SAMPLE_RATE_HZ:
        raise ValueError(f"generate needs {SAMPLE_RATE_HZ} Hz, not {waveform.rate_hz}")
    place = choose_device(device)
    bundle.to(place)
    codec, query = bundle.codec, bundle.query
    # one row per frame, and a step of P frames takes its first frame's
    mix = style_rows(style, query.config.styles, place)[:, :: codec.config.temporal_unit]
    samples = torch.from_numpy(np.ascontiguousarray(waveform.samples, np.float32)).to(place)
    frames = bundle.speech.motion_frames(len(samples))

    def speech_step(done: int, total: int) -> None:
        if cancelled():
            raise Cancelled
        progress("speech", done, total)

    speech = bundle.speech.features(samples, speech_step)
    unit = codec.config.temporal_unit
    short = (-frames % unit) * bundle.speech.config.speech_frames
    if short:
        speech = torch.cat((speech, speech[:, -1:].expand(-1, short, -1)), dim=1)
    if temperature is None:
        temperature = bundle.card.temperature
    loop = CodeLoop(codec, query, speech, mix, CodeSampler(temperature, seed))
    codes, hidden = [], []
    for index in range(loop.steps):
        if cancelled():
            raise Cancelled
        step_codes, step_hidden = loop.step()
        codes.append(step_codes[0])
        if step_hidden is not None:
            hidden.append(step_hidden[0])
        progress("codes", index + 1, loop.steps)
    all_codes = torch.stack(codes)
    if hidden:
        states = torch.cat(hidden)[:frames]
    else:
        latent = codec.quantiser.lookup(all_codes)[None]
        states = codec.decoder.trunk(codec.decoder.spread(latent))[0, :frames]
    return Motion(
        offsets=_vertices(bundle, states, progress, cancelled),
        fps=bundle.card.fps,
        # a step's codes stand for its P frames, so that row t of codes is frame t
        codes=all_codes.repeat_interleave(unit, dim=0)[:frames].cpu().numpy().astype(np.int32),
        model_fps=bundle.card.fps,
    )


def _vertices(bundle: Bundle, states: Tensor, progress: Progress, cancelled: CancelCheck) -> FloatArray:
    """The decoder's hidden states (frames, hidden) -> offsets (frames, V, 3) in metres."""
    frames = len(states)
    offsets = np.empty((frames, bundle.codec.config.vertex_count, 3), np.float32)
    for first in range(0, frames, VERTEX_BLOCK):
        if cancelled():
            raise Cancelled
        block = bundle.codec.to_offsets(bundle.codec.decoder.output(states[first : first + VERTEX_BLOCK]))
        block = block.cpu() / bundle.card.units_per_metre
        offsets[first : first + len(block)] = block.unflatten(-1, (-1, 3)).numpy()
        progress("motion", min(first + VERTEX_BLOCK, frames), frames)
    return offsets
