"""The autoregressive loop: prepared speech and style → codes, one step at a time.

A cache of keys and values, prepared speech and fused feedback make a causal model's step a constant
cost; a codec that looks both ways decodes its past anew (see ``prefix_decoder.py``).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from .codebook import Codec
from .prefix_decoder import PRECISIONS, PrefixDecoder, Reach
from .query import CodeQuery
from .step_graph import RecordedStep

#: Below this temperature only the nearest code has a chance, and the division would overflow.
COLDEST = 1e-6
#: Steps whose speech is prepared in one go: bounds the memory of a long clip.
PREPARED_STEPS = 512


class CodeSampler:
    """How a code is chosen: the nearest one, or drawn by softmax(-squared distance / temperature).

    Draws come from CPU generators whatever the device, so a seed gives the same draws everywhere.
    """

    def __init__(self, temperature: float, seed: int | Sequence[int]) -> None:
        """seed: of one clip, or of every clip of a batch."""
        self.temperature = temperature
        seeds = [seed] if isinstance(seed, int) else seed
        self._random = [torch.Generator().manual_seed(number) for number in seeds]

    def choose(self, scores: Tensor, draws: Tensor | None = None) -> Tensor:
        """scores: (batch, H, N), higher is better (-distance or logit) -> codes (batch, H).

        A batch has at most as many clips as seeds, or is one clip's several steps.
        draws: those of :meth:`draws`, where they were made beforehand
        """
        if not self.draws_codes:
            return scores.argmax(dim=-1)
        relative = scores - scores.amax(dim=-1, keepdim=True)
        shares = (relative / self.temperature).softmax(dim=-1).cumsum(dim=-1)
        if draws is None:
            draws = self.draws(scores.shape[0], scores.shape[1])
        return (shares < draws.to(shares)[..., None]).sum(dim=-1).clamp_max(scores.shape[-1] - 1)

    @property
    def draws_codes(self) -> bool:
        """Whether chance has a say."""
        return self.temperature >= COLDEST

    def draws(self, rows: int, components: int) -> Tensor:
        """The next uniform numbers, (rows, components)."""
        if len(self._random) == 1:
            return torch.rand(rows, components, generator=self._random[0])
        return torch.cat([torch.rand(1, components, generator=own) for own in self._random[:rows]])


class CodeLoop:
    """The loop over one batch of clips.

    Each step maps the last decoded frame and the style to an embedding, asks the query for the next
    codes and decodes them far enough to feed back.  The feedback never visits 3V numbers: the codec's
    last Linear and the query's first are multiplied into one (hidden x hidden) matrix beforehand.
    """

    def __init__(
        self,
        codec: Codec,
        query: CodeQuery,
        speech: Tensor,
        style: Tensor,
        sampler: CodeSampler,
        *,
        reach: Reach | None = None,
        precision: str = "exact",
        replay: bool | None = None,
    ) -> None:
        """speech: (batch, steps * speech_frames * P, channels); style: (batch, 1 or steps, styles).

        reach: how much past networks without a look-back of their own see (None: all)
        precision: of PRECISIONS; a causal codec decodes every frame once and is always exact
        replay: whether a causal model's steps are recorded and replayed; None where that pays, on CUDA
        """
        if precision not in PRECISIONS:
            raise ValueError(f"precision must be one of {', '.join(PRECISIONS)}, not {precision!r}")
        self.codec, self.query, self.sampler = codec, query, sampler
        #: the speech that is known, and how many speech frames before it are forgotten
        self._speech, self._forgotten = speech, 0
        #: steps whose speech is known
        self.steps = speech.shape[1] // self._speech_unit
        unit = codec.config.temporal_unit
        if reach is None:
            reach = Reach(self.steps * unit, self.steps * unit)
        self._state = query.start(query.config.look_back or max(1, reach.exact // unit))
        self._style = query.style_vectors(style)
        output, to_hidden = codec.decoder.output, query.motion_map
        self._feedback = (to_hidden.weight @ output.weight).t().contiguous()
        rest = -codec.still() if output.bias is None else output.bias - codec.still()
        self._feedback_bias = to_hidden.bias + to_hidden.weight @ rest
        trunk = codec.decoder.trunk
        if codec.config.causal:
            self._trunk = trunk.start(codec.config.look_back or reach.exact)
        else:
            self._prefix = PrefixDecoder(trunk, reach, precision)
        self._replay = codec.config.causal and (speech.is_cuda if replay is None else replay)
        self._recorded: RecordedStep | None = None
        self.done = 0
        #: the decoder's hidden state of the newest frame, (batch, 1, hidden), before ``decoder.output``
        self.last_hidden: Tensor | None = None

    @property
    def _speech_unit(self) -> int:
        """Speech frames of one step."""
        return self.query.config.speech_frames * self.query.config.temporal_unit

    def hear(self, speech: Tensor) -> None:
        """More of the clips' speech, for whole steps: what came before stays as it is."""
        used = (self._state.first + self._state.ready) * self._speech_unit
        self._speech = torch.cat((self._speech[:, used - self._forgotten :], speech), dim=1)
        self._forgotten = used
        self.steps += speech.shape[1] // self._speech_unit

    def keep(self, clips: int) -> None:
        """Go on with the first ``clips`` of the batch alone."""
        self._recorded = None
        self._speech, self._style = self._speech[:clips], self._style[:clips]
        self._state.keep(clips)
        (self._trunk if self.codec.config.causal else self._prefix).keep(clips)
        if self.last_hidden is not None:
            self.last_hidden = self.last_hidden[:clips]

    def step(self) -> tuple[Tensor, Tensor | None]:
        """The next step: codes (batch, H), and for a causal codec its P frames' hidden states."""
        if self._state.step == self._state.first + self._state.ready:
            self._recorded = None
            first = self.done * self._speech_unit - self._forgotten
            part = self._speech[:, first : first + PREPARED_STEPS * self._speech_unit]
            self.query.hear(part, self._state)
        hidden: Tensor | None
        # the first step fills the past that the others share
        if self._replay and self.last_hidden is not None:
            if self._recorded is None:
                self._recorded = RecordedStep(self, self._state, self._trunk, self._style, self.last_hidden)
            codes, hidden = self._recorded.run()
            self.last_hidden = hidden[:, -1:]
        else:
            style = self._style[:, min(self.done, self._style.shape[1] - 1)][:, None]
            codes = self.choose(*self.query.step(self.embedding(style, self.last_hidden), self._state))
            hidden = self._decode(self.codec.quantiser.lookup(codes)[:, None])
        self.done += 1
        return codes, hidden

    def embedding(self, style: Tensor, last_hidden: Tensor | None) -> Tensor:
        """What a step begins with: style and newest frame, (batch, 1, hidden) each."""
        if last_hidden is not None:
            return style + last_hidden @ self._feedback + self._feedback_bias
        return style if self.query.config.bias_free_start else style + self.query.motion_map.bias

    def choose(self, features: Tensor | None, logits: Tensor | None, draws: Tensor | None = None) -> Tensor:
        """Codes of one step's features (batch, 1, (H-n)*C) and logits (batch, 1, n, N): (batch, H)."""
        parts = []
        if features is not None:
            parts.append(-self.codec.quantiser.distances(features[:, 0]))
        if logits is not None:
            parts.append(logits[:, 0])
        return self.sampler.choose(torch.cat(parts, dim=1), draws)

    def _decode(self, latent: Tensor) -> Tensor | None:
        decoder = self.codec.decoder
        spread = decoder.spread(latent)
        if self.codec.config.causal:
            frames = [decoder.trunk.step(spread[:, i : i + 1], self._trunk) for i in range(spread.shape[1])]
            self.last_hidden = frames[-1]
            return torch.cat(frames, dim=1)
        # what is fed back is never returned: later frames change it
        self.last_hidden = self._prefix.step(spread)
        return None
