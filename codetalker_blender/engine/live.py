"""Sound that arrives piece by piece → motion as soon as it can be known.

For causal models with a chunked encoder.  The features come from the bundle's own grid of chunks, so the
frames are those of the whole clip however the sound is cut.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from ..contracts import FloatArray, MotionChunk
from ..errors import BundleError
from .bundle import Bundle
from .code_loop import CodeLoop, CodeSampler
from .devices import choose_device
from .generate import HISTORY, frame_codes, held, step_styles, vertices
from .prefix_decoder import History
from .speech import SAMPLE_RATE_HZ, SpeechEncoder

#: Frames of a clip that has no known end: a ring for more than an hour.
LONGEST = 120_000


class ChunkFeeder:
    """Samples in, the features of every chunk whose sound is complete out."""

    def __init__(self, encoder: SpeechEncoder, device: torch.device) -> None:
        self._encoder, self._device = encoder, device
        #: the sound that later chunks still need; it begins where chunk ``_forgotten`` does
        self._samples = torch.zeros(0, device=device)
        self._forgotten = self._next = 0
        #: samples that have arrived
        self.count = 0

    @property
    def held(self) -> int:
        """Samples that are kept."""
        return len(self._samples)

    def push(self, samples: FloatArray) -> list[Tensor]:
        """(n,) more samples -> features of whole chunks, (1, chunk frames * speech_frames, channels)."""
        more = torch.from_numpy(np.ascontiguousarray(samples, np.float32)).to(self._device)
        self._samples = torch.cat((self._samples, more))
        self.count += len(more)
        found = []
        while self.count >= self._needed(self._next):
            found.append(self._take())
        return found

    def finish(self) -> list[Tensor]:
        """The chunks that the end of the sound leaves incomplete: silence follows it."""
        total = -(-self._encoder.motion_frames(self.count) // self._encoder.chunk_frames)
        return [self._take() for _ in range(total - self._next)]

    def _start(self, chunk: int) -> int:
        """The first sample that belongs to ``chunk`` itself, without its context."""
        return round(chunk * self._encoder.config.chunk_s * SAMPLE_RATE_HZ)

    def _needed(self, chunk: int) -> int:
        """Samples that must have arrived for ``chunk``, its right-hand context included."""
        context = round(self._encoder.config.context_s * SAMPLE_RATE_HZ)
        return self._start(chunk) - context + self._encoder.chunk_samples

    def _take(self) -> Tensor:
        sound = self._encoder.chunk_of(self._samples, self._next - self._forgotten)
        features = self._encoder.chunks(sound[None])
        self._next += 1
        # the next chunk's left-hand context stays
        config = self._encoder.config
        unneeded = self._next - math.ceil(config.context_s / config.chunk_s)
        if unneeded > self._forgotten:
            self._samples = self._samples[self._start(unneeded) - self._start(self._forgotten) :]
            self._forgotten = unneeded
        return features


class LiveMotion:
    """One clip whose sound arrives in pieces of any length.

    latency_s: how long after its sound a frame is known at the latest: a chunk and its right-hand context
    """

    def __init__(
        self,
        bundle: Bundle,
        style: FloatArray,
        *,
        device: str = "auto",
        temperature: float | None = None,
        seed: int = 0,
        history: History = HISTORY,
    ) -> None:
        """As :func:`codetalker_blender.engine.generate.generate`.

        Raises BundleError for a model that needs the whole clip, EngineError for a device that is not there.
        """
        encoder, codec = bundle.speech, bundle.codec
        if not (encoder.config.chunked and codec.config.causal):
            raise BundleError(
                f"The model '{bundle.card.name}' needs the whole sound at once.",
                "Choose a streamable model for live sound.",
            )
        self._bundle, self._style = bundle, style
        self._device = choose_device(device)
        bundle.to(self._device)
        self._sampler = CodeSampler(bundle.card.temperature if temperature is None else temperature, seed)
        self._reach = history.reach(bundle.card.fps, LONGEST)
        self._feeder = ChunkFeeder(encoder, self._device)
        self._unit = codec.config.temporal_unit
        #: speech frames of one step, and those that do not make one yet
        self._step = encoder.config.speech_frames * self._unit
        self._waiting = torch.zeros(1, 0, encoder.config.hidden, device=self._device)
        self._loop: CodeLoop | None = None
        self._frames = 0
        self.latency_s = encoder.config.chunk_s + encoder.config.latency_s

    @property
    def held_samples(self) -> int:
        """Samples of sound that are kept because later frames need them."""
        return self._feeder.held

    def push(self, samples: FloatArray) -> list[MotionChunk]:
        """(n,) more samples, mono at 16 kHz -> the frames that they complete."""
        with torch.inference_mode():
            speech = torch.cat((self._waiting, *self._feeder.push(samples)), dim=1)
            whole = speech.shape[1] // self._step * self._step
            self._waiting = speech[:, whole:]
            return self._frames_of(speech[:, :whole], whole // self._step * self._unit)

    def finish(self) -> list[MotionChunk]:
        """The sound is over: the last frames."""
        with torch.inference_mode():
            speech = torch.cat((self._waiting, *self._feeder.finish()), dim=1)
            left = self._bundle.speech.motion_frames(self._feeder.count) - self._frames
            steps = -(-left // self._unit)
            # a last step that the sound does not fill holds on to its last features
            speech = held(speech[:, : left * self._step // self._unit], steps * self._step)
            return self._frames_of(speech, left)

    def _frames_of(self, speech: Tensor, count: int) -> list[MotionChunk]:
        """Go on over the speech of whole steps, of which ``count`` frames are wanted."""
        if not count:
            return []
        if self._loop is None:
            codec, query = self._bundle.codec, self._bundle.query
            style = step_styles(self._bundle, self._style, self._device)
            self._loop = CodeLoop(codec, query, speech, style, self._sampler, reach=self._reach)
        else:
            self._loop.hear(speech)
        codes, states = [], []
        while self._loop.done < self._loop.steps:
            step_codes, hidden = self._loop.step()
            assert hidden is not None
            codes.append(step_codes)
            states.append(hidden)
        first, self._frames = self._frames, self._frames + count
        offsets = vertices(self._bundle, torch.cat(states, dim=1)[0, :count])
        return [MotionChunk(first, offsets, frame_codes(torch.cat(codes), self._unit, count))]
