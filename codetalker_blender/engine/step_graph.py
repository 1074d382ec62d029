"""A causal model's step as a CUDA graph: recorded once, then started as one.

A step is some hundred small kernels, and on a GPU launching each takes longer than running it.  A graph
holds no numbers that Python knows, so whatever changes from step to step is a tensor on the device.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from .codebook import TrunkState
from .query import QueryState

if TYPE_CHECKING:
    from .code_loop import CodeLoop

#: Steps done for real before recording: libraries choose their kernels and take their memory in them.
WARM_UP = 3


class RecordedStep:
    """A loop's next steps, as far as the speech that the query has heard goes.

    Shares the past (rings, history) with the loop's own states, which it keeps up to date, so that the loop
    can go on without it at any time.  On other devices than CUDA the same step runs unrecorded.
    """

    def __init__(
        self, loop: CodeLoop, query: QueryState, trunk: TrunkState, style: Tensor, last_hidden: Tensor
    ) -> None:
        """query, trunk: of a loop that has done a step; style: (batch, 1 or steps, hidden) style vectors

        last_hidden: (batch, 1, hidden), the newest frame
        """
        assert trunk.history is not None
        device, batch = last_hidden.device, len(last_hidden)
        config = loop.codec.config
        self._loop, self._query, self._trunk, self._style = loop, query, trunk, style
        self._step = torch.tensor([query.step], device=device)
        self._place = torch.tensor([query.step - query.first], device=device)
        self._frame = torch.tensor([trunk.rings[0].count], device=device)
        self._query_rings = [ring.by_counter(self._step) for ring in query.rings]
        self._trunk_rings = [ring.by_counter(self._frame) for ring in trunk.rings]
        self._history = trunk.history = trunk.history.clone()
        self._hidden = last_hidden.repeat(1, config.temporal_unit, 1)
        self._codes = torch.zeros(batch, config.components, dtype=torch.int64, device=device)
        self._draws = torch.zeros(batch, config.components, device=device)
        self._graph: torch.cuda.CUDAGraph | None = None
        self._run = 0

    def run(self) -> tuple[Tensor, Tensor]:
        """The next step: codes (batch, H) and its P frames' hidden states (batch, P, hidden)."""
        if self._loop.sampler.draws_codes:
            self._draws.copy_(self._loop.sampler.draws(*self._draws.shape))
        if self._graph is None and self._step.is_cuda and self._run >= WARM_UP:
            self._graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self._graph):
                self._once()
        if self._graph is not None:
            self._graph.replay()
        else:
            self._once()
        self._run += 1
        self._query.step += 1
        for ring in self._query.rings:
            ring.count += 1
        for ring in self._trunk.rings:
            ring.count += self._hidden.shape[1]
        return self._codes.clone(), self._hidden.clone()

    def _once(self) -> None:
        loop, query = self._loop, self._loop.query
        style = self._style.index_select(1, self._step.clamp_max(self._style.shape[1] - 1))
        x = loop.embedding(style, self._hidden[:, -1:])
        x = x + self._query.positions.index_select(0, self._step % query.config.period)
        heard = [prepared.index_select(1, self._place) for prepared in self._query.heard]
        codes = loop.choose(*query.answer(x, self._query_rings, heard), self._draws)
        decoder = loop.codec.decoder
        spread = decoder.spread(loop.codec.quantiser.lookup(codes)[:, None])
        history, frames = self._history, []
        for frame in spread.split(1, dim=1):
            history, state = decoder.trunk.advance(frame, history, self._trunk_rings)
            self._frame.add_(1)
            frames.append(state)
        self._history.copy_(history)
        torch.cat(frames, dim=1, out=self._hidden)
        self._codes.copy_(codes)
        self._step.add_(1)
        self._place.add_(1)
