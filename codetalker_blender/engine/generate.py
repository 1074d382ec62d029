"""The street's middle: speech → features → codes → motion.

``generate`` gives a whole clip, ``generate_batch`` several at once, and :class:`MotionStream` one clip's
frames while they become known; ``live.py`` takes the sound piece by piece, too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

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
from ..errors import BundleError, Cancelled
from .bundle import Bundle
from .code_loop import CodeLoop, CodeSampler
from .codebook import Codec
from .devices import choose_device, is_devices_fault
from .prefix_decoder import History, decode_pieces
from .speech import SAMPLE_RATE_HZ

#: Frames per block when hidden states become vertices, so that no second copy of the motion is held.
VERTEX_BLOCK = 128
#: Frames that a causal model's stream hands out at once.
STREAM_FRAMES = 64
#: How much past a model without a look-back sees.
HISTORY = History()


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
    device: where it runs; notes: sentences for the user's report, such as a change of device
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
        precision: str = "exact",
        history: History = HISTORY,
        progress: Progress = no_progress,
        cancelled: CancelCheck = never_cancelled,
    ) -> None:
        """As :func:`generate`.  Raises EngineError for a device that is not there."""
        if waveform.rate_hz != SAMPLE_RATE_HZ:
            raise ValueError(f"generate needs {SAMPLE_RATE_HZ} Hz, not {waveform.rate_hz}")
        style_rows(style, bundle.query.config.styles, torch.device("cpu"))
        self._bundle, self._samples = bundle, waveform.samples
        self.device = choose_device(device)
        self._sampling = (bundle.card.temperature if temperature is None else temperature, seed)
        self._precision, self._history = precision, history
        self._progress, self._cancelled = progress, cancelled
        self.frame_count = bundle.speech.motion_frames(len(waveform.samples))
        self._style = style[: max(self.frame_count, 1)]  # there may be more rows than the clip has frames
        self.vertex_count = bundle.codec.config.vertex_count
        self.fps = bundle.card.fps
        self.notes: list[str] = []

    def __iter__(self) -> Iterator[MotionChunk]:
        given = 0
        try:
            for chunk in self._chunks():
                given = chunk.first + len(chunk.codes)
                yield chunk
            return
        except RuntimeError as error:  # NotImplementedError is one
            if not is_devices_fault(error, self.device):
                raise
            reason = str(error).partition("\n")[0].rstrip(".") or type(error).__name__
            self.notes.append(f"The device '{self.device.type}' failed ({reason}); the CPU did the work.")
        # outside the handler: the error's traceback would hold the device's memory
        self.device = torch.device("cpu")
        for chunk in self._chunks():
            skipped = min(max(given - chunk.first, 0), len(chunk.codes))
            if skipped < len(chunk.codes):
                yield MotionChunk(chunk.first + skipped, chunk.offsets[skipped:], chunk.codes[skipped:])

    @torch.inference_mode()
    def _chunks(self) -> Iterator[MotionChunk]:
        bundle = self._bundle
        bundle.to(self.device)
        codec = bundle.codec
        samples = torch.from_numpy(np.ascontiguousarray(self._samples, np.float32)).to(self.device)
        loop = CodeLoop(
            codec,
            bundle.query,
            heard(bundle, samples, self._each("speech")),
            step_styles(bundle, self._style, self.device),
            CodeSampler(*self._sampling),
            precision=self._precision,
            reach=self._history.reach(bundle.card.fps, self.frame_count),
        )
        if codec.config.causal:
            yield from self._causal(loop)
        else:
            each, codes = self._each("codes"), []
            for index in range(loop.steps):
                each(index, loop.steps)
                codes.append(loop.step()[0])
            each(loop.steps, loop.steps)
            del loop
            yield from self._both_ways(torch.stack(codes, dim=1))

    def _causal(self, loop: CodeLoop) -> Iterator[MotionChunk]:
        """Chunks while the loop goes on."""
        each, unit = self._each("codes"), loop.codec.config.temporal_unit
        first, codes, states = 0, [], []
        for index in range(loop.steps):
            each(index, loop.steps)
            step_codes, hidden = loop.step()
            assert hidden is not None
            codes.append(step_codes)
            states.append(hidden)
            if len(codes) * unit >= STREAM_FRAMES or index == loop.steps - 1:
                count = min(len(codes) * unit, self.frame_count - first)
                offsets = vertices(self._bundle, torch.cat(states, dim=1)[0, :count])
                yield MotionChunk(first, offsets, frame_codes(torch.cat(codes), unit, count))
                first, codes, states = first + count, [], []
        each(loop.steps, loop.steps)
        self._progress("motion", self.frame_count, self.frame_count)

    def _both_ways(self, codes: Tensor) -> Iterator[MotionChunk]:
        """codes: (1, steps, H)"""
        each, first, codec = self._each("motion"), 0, self._bundle.codec
        unit = codec.config.temporal_unit
        for states in decode_states(codec, codes, self.frame_count, self.fps, self._history):
            for start in range(0, states.shape[1], VERTEX_BLOCK):
                each(first, self.frame_count)
                offsets = vertices(self._bundle, states[0, start : start + VERTEX_BLOCK])
                rows = codes[0, first // unit : -(-(first + len(offsets)) // unit)]
                all_rows = frame_codes(rows, unit, len(rows) * unit)[first % unit :][: len(offsets)]
                yield MotionChunk(first, offsets, all_rows)
                first += len(offsets)
        each(self.frame_count, self.frame_count)

    def _each(self, stage: str) -> Callable[[int, int], None]:
        def each(done: int, total: int) -> None:
            if done < total and self._cancelled():
                raise Cancelled
            if done:
                self._progress(stage, done, total)

        return each


def generate(
    bundle: Bundle,
    waveform: Waveform,
    style: FloatArray,
    *,
    device: str = "auto",
    temperature: float | None = None,
    seed: int = 0,
    precision: str = "exact",
    history: History = HISTORY,
    progress: Progress = no_progress,
    cancelled: CancelCheck = never_cancelled,
) -> Motion:
    """Speech to motion at the model's own frame rate, the whole of it in memory.

    waveform: mono at 16 kHz; style: (frames or 1, styles) mix weights
    temperature: None takes the bundle's default; 0 the nearest code
    precision: "fast" chooses the codes of a codec that looks both ways by bfloat16 decodings
    history: how much past a model without a look-back of its own sees
    returns offsets in metres in the template's axes, and the codes
    Raises Cancelled within one step of ``cancelled()`` saying so, EngineError for a device that is not there.
    """
    stream = MotionStream(
        bundle,
        waveform,
        style,
        device=device,
        temperature=temperature,
        seed=seed,
        precision=precision,
        history=history,
        progress=progress,
        cancelled=cancelled,
    )
    offsets = np.empty((stream.frame_count, stream.vertex_count, 3), np.float32)
    codes = np.empty((stream.frame_count, bundle.codec.config.components), np.int32)
    for chunk in stream:
        part = slice(chunk.first, chunk.first + len(chunk.codes))
        offsets[part], codes[part] = chunk.offsets, chunk.codes
    return Motion(offsets=offsets, fps=stream.fps, codes=codes, model_fps=stream.fps)


@torch.inference_mode()
def generate_batch(
    bundle: Bundle,
    waveforms: Sequence[Waveform],
    styles: Sequence[FloatArray],
    *,
    device: str = "auto",
    temperature: float | None = None,
    seeds: Sequence[int] | None = None,
    history: History = HISTORY,
    cancelled: CancelCheck = never_cancelled,
) -> list[Motion]:
    """Several clips of any lengths as one batch through query and codec; codes as each alone would get.

    waveforms, styles, seeds: one per clip, as in :func:`generate`

    All clips begin together, and one that ends leaves the batch, so nothing is padded or masked.  A batch
    that would need more past than ``history.exact_s`` sees it as each clip alone would.
    """
    if any(waveform.rate_hz != SAMPLE_RATE_HZ for waveform in waveforms):
        raise ValueError(f"generate_batch needs {SAMPLE_RATE_HZ} Hz")
    if not waveforms:
        return []
    place = choose_device(device)
    bundle.to(place)
    codec, fps, unit = bundle.codec, bundle.card.fps, bundle.codec.config.temporal_unit
    frames = [bundle.speech.motion_frames(len(waveform.samples)) for waveform in waveforms]
    # the longest first, so that those who end leave from the back
    order = sorted(range(len(frames)), key=lambda clip: -frames[clip])
    speech = [
        heard(bundle, torch.from_numpy(np.ascontiguousarray(waveforms[clip].samples, np.float32)).to(place))
        for clip in order
    ]
    steps = [-(-frames[clip] // unit) for clip in order]
    loop = CodeLoop(
        codec,
        bundle.query,
        torch.cat([held(part, speech[0].shape[1]) for part in speech]),
        torch.cat(
            [held(step_styles(bundle, styles[clip], place), steps[0])[:, : steps[0]] for clip in order]
        ),
        CodeSampler(
            bundle.card.temperature if temperature is None else temperature,
            [(seeds[clip] if seeds is not None else 0) for clip in order],
        ),
        reach=history.reach(fps, max(frames)),
    )
    del speech
    codes: list[list[Tensor]] = [[] for _ in order]
    states: list[list[Tensor]] = [[] for _ in order]
    going = len(steps)
    for index in range(loop.steps):
        if cancelled():
            raise Cancelled
        if steps[going - 1] <= index:
            going = sum(count > index for count in steps)
            loop.keep(going)
        step_codes, hidden = loop.step()
        for row in range(going):
            codes[row].append(step_codes[row])
            if hidden is not None:
                states[row].append(hidden[row])
    motions: dict[int, Motion] = {}
    for row, clip in enumerate(order):
        own = torch.stack(codes[row])
        if states[row]:
            offsets = vertices(bundle, torch.cat(states[row])[: frames[clip]])
        else:
            pieces = decode_states(codec, own[None], frames[clip], fps, history)
            offsets = np.concatenate([vertices(bundle, piece[0]) for piece in pieces])
        motions[clip] = Motion(offsets, fps, frame_codes(own, unit, frames[clip]), fps)
    return [motions[clip] for clip in range(len(frames))]


# -- the pieces that every way of generating shares ----------------------------------------------


def heard(
    bundle: Bundle, samples: Tensor, each: Callable[[int, int], None] = lambda done, total: None
) -> Tensor:
    """Sound (n,) -> speech features for whole steps, (1, steps * speech_frames * P, channels)."""
    speech = bundle.speech.features(samples, each)
    frames, unit = bundle.speech.motion_frames(len(samples)), bundle.codec.config.temporal_unit
    return held(speech, speech.shape[1] + (-frames % unit) * bundle.speech.config.speech_frames)


def held(rows: Tensor, count: int) -> Tensor:
    """(1, n, ...) -> (1, count, ...): the last row holds on."""
    short = count - rows.shape[1]
    return torch.cat((rows, rows[:, -1:].expand(-1, short, -1)), dim=1) if short > 0 else rows


def step_styles(bundle: Bundle, style: FloatArray, device: torch.device) -> Tensor:
    """One row per frame, of which a step of P frames takes its first: (1, steps, styles); the last holds."""
    rows = style_rows(style, bundle.query.config.styles, device)
    unit = bundle.codec.config.temporal_unit
    # one step more than the rows make: what holds on is the last row, even where no step begins with it
    return held(rows, -(-rows.shape[1] // unit) * unit + 1)[:, ::unit]


def decode_states(codec: Codec, codes: Tensor, frames: int, fps: float, history: History) -> Iterator[Tensor]:
    """Codes (1, steps, H) -> the decoder's hidden states (1, n, hidden), piece by piece."""
    unit, decoder = codec.config.temporal_unit, codec.decoder

    def spread_of(first: int, end: int) -> Tensor:
        low = first // unit
        spread = decoder.spread(codec.quantiser.lookup(codes[:, low : -(-end // unit)]))
        return spread[:, first - low * unit : end - low * unit]

    # a step that is not used to its end is decoded all the same: it is what the networks learned
    total = codes.shape[1] * unit
    done = 0
    for piece in decode_pieces(decoder.trunk, spread_of, total, fps, history):
        yield piece[:, : max(frames - done, 0)]
        done += piece.shape[1]


def frame_codes(codes: Tensor, unit: int, frames: int) -> np.ndarray[tuple[int, int], np.dtype[np.int32]]:
    """Steps' codes (steps, H) -> one row per frame (frames, H): a step's codes stand for its P frames."""
    return codes.repeat_interleave(unit, dim=0)[:frames].cpu().numpy().astype(np.int32)


def vertices(bundle: Bundle, states: Tensor) -> FloatArray:
    """The decoder's hidden states (frames, hidden) -> offsets (frames, V, 3) in metres."""
    offsets = np.empty((len(states), bundle.codec.config.vertex_count, 3), np.float32)
    for first in range(0, len(states), VERTEX_BLOCK):
        block = bundle.codec.to_offsets(bundle.codec.decoder.output(states[first : first + VERTEX_BLOCK]))
        block = block.cpu() / bundle.card.units_per_metre
        offsets[first : first + len(block)] = block.unflatten(-1, (-1, 3)).numpy()
    return offsets
