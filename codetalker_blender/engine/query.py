"""Stage 2: the code query, speech features + past motion + style → codes (CodeTalker section 3.3).

Turns speech frames into one feature (or logits) per face component and step; the quantiser of
stage 1 makes codes of them.  Only torch; the full form serves training, the step form generation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config_checks import check_divides, check_numbers
from .layers import (
    KeyValueRing,
    Ring,
    SelfAttention,
    WindowAttention,
    age_bias,
    head_slopes,
    look_back_mask,
    sinusoid,
    step_ages,
)


@dataclass(frozen=True)
class QueryConfig:
    """Sizes and variants of the code query.  The defaults are the official VOCASET model.

    motion_dim: numbers per frame of past motion that are fed back (3V, or the basis's rank)
    speech_dim: channels of the speech encoder's output
    hidden, layers, heads, mlp: of the transformer decoder
    components, code_dim, code_count: H, C and N of the codec
    categorical: the last n of the H components are predicted as classes (cross-entropy over N codes),
        the others as features that are quantised (the paper's way: 0)
    styles: rows of the speaking-style embedding
    period: steps of the periodic position code and of the attention bias
    look_back: steps that self-attention sees, itself included; None = all
    speech_frames: speech frames per step (VOCASET 1, BIWI 2)
    temporal_unit: P, motion frames per step
    bias_free_start: in generation the first embedding is the style alone.  The original
        does so although it was trained with the bias of ``motion_map`` there
    dropout: in training, as in torch's TransformerDecoderLayer
    """

    motion_dim: int
    speech_dim: int = 768
    hidden: int = 1024
    layers: int = 6
    heads: int = 4
    mlp: int = 2048
    components: int = 16
    code_dim: int = 64
    code_count: int = 256
    categorical: int = 0
    styles: int = 8
    period: int = 30
    look_back: int | None = None
    speech_frames: int = 1
    temporal_unit: int = 1
    bias_free_start: bool = True
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_numbers(
            self,
            positive=(
                *(
                    "motion_dim",
                    "speech_dim",
                    "hidden",
                    "heads",
                    "mlp",
                    "components",
                    "code_dim",
                    "code_count",
                ),
                *("styles", "period", "look_back", "speech_frames", "temporal_unit"),
            ),
            not_negative=("layers", "categorical"),
            shares=("dropout",),
        )
        check_divides(self, "hidden", "heads")
        if self.categorical > self.components:
            raise ValueError(f"categorical must be 0 to {self.components}, not {self.categorical}")

    @property
    def feature_dim(self) -> int:
        """Output numbers per step that are quantised by distance."""
        return (self.components - self.categorical) * self.code_dim


class QueryLayer(nn.Module):
    """torch's TransformerDecoderLayer (post-norm, ReLU) with the cross-attention cut to a window."""

    def __init__(self, config: QueryConfig) -> None:
        super().__init__()
        hidden = config.hidden
        scale = (hidden // config.heads) ** -0.5
        self.self_attention = SelfAttention(hidden, config.heads, qkv_bias=True, scale=scale)
        self.cross_attention = WindowAttention(
            hidden, config.heads, config.speech_frames * config.temporal_unit
        )
        self.mlp_in = nn.Linear(hidden, config.mlp)
        self.mlp_out = nn.Linear(config.mlp, hidden)
        self.norms = nn.ModuleList(nn.LayerNorm(hidden) for _ in range(3))
        self.dropout = nn.Dropout(config.dropout)

    def _after(self, x: Tensor, attended: Tensor, heard: Tensor) -> Tensor:
        x = self.norms[0](x + self.dropout(attended))
        x = self.norms[1](x + self.dropout(self.cross_attention(x, heard)))
        inner = self.dropout(F.relu(self.mlp_in(x)))
        return torch.as_tensor(self.norms[2](x + self.dropout(self.mlp_out(inner))))

    def forward(self, x: Tensor, bias: Tensor, heard: Tensor) -> Tensor:
        """heard: of ``cross_attention.prepare``"""
        return self._after(x, self.self_attention(x, bias), heard)

    def step(self, x: Tensor, ring: Ring, heard: Tensor) -> Tensor:
        return self._after(x, self.self_attention.step(x, ring), heard)


class QueryState:
    """What the step form remembers of a batch of clips.

    rings: per layer, of past steps' keys and values; positions: (period, hidden), the position code
    heard: per layer, the prepared speech of steps ``first`` to ``first + ready``; step: the next one
    """

    def __init__(self, rings: list[KeyValueRing], positions: Tensor) -> None:
        self.rings = rings
        self.positions = positions
        self.heard: list[Tensor] = []
        self.first = self.ready = self.step = 0

    def keep(self, clips: int) -> None:
        """Forget all but the first ``clips`` of the batch."""
        for ring in self.rings:
            ring.keep(clips)
        self.heard = [heard[:clips] for heard in self.heard]


class CodeQuery(nn.Module):
    """The whole of stage 2 but the speech encoder and the codec.

    Past motion is relative to rest (zero offsets are the zero vector).
    """

    def __init__(self, config: QueryConfig) -> None:
        super().__init__()
        self.config = config
        self.speech_map = nn.Linear(config.speech_dim, config.hidden)
        self.motion_map = nn.Linear(config.motion_dim, config.hidden)
        self.style_embedding = nn.Parameter(torch.randn(config.styles, config.hidden))
        self.layers = nn.ModuleList(QueryLayer(config) for _ in range(config.layers))
        if config.feature_dim:
            self.feature_map = nn.Linear(config.hidden, config.feature_dim, bias=False)
            nn.init.zeros_(self.feature_map.weight)
        if config.categorical:
            self.class_map = nn.Linear(config.hidden, config.categorical * config.code_count)

    @property
    def stack(self) -> list[QueryLayer]:
        """The layers, with their type."""
        return cast("list[QueryLayer]", list(self.layers))

    def style_vectors(self, weights: Tensor) -> Tensor:
        """Mix weights (batch, 1 or steps, styles) -> style vectors (batch, 1 or steps, hidden)."""
        return weights @ self.style_embedding

    def positions(self, first: int, steps: int, device: torch.device) -> Tensor:
        """The periodic position code of steps first, first + 1, ...: (steps, hidden)."""
        return sinusoid(
            torch.arange(first, first + steps, device=device) % self.config.period, self.config.hidden
        )

    def heads_out(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Features (batch, steps, (H-n)*C) and logits (batch, steps, n, N); None where there are none."""
        features = self.feature_map(x) if self.config.feature_dim else None
        logits = None
        if self.config.categorical:
            logits = self.class_map(x).unflatten(-1, (self.config.categorical, self.config.code_count))
        return features, logits

    def forward(self, speech: Tensor, past: Tensor, style: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Teacher forcing: all steps at once.

        speech: (batch, steps * speech_frames * P, speech_dim)
        past: (batch, steps, motion_dim), the motion before each step; zeros before the first
        style: (batch, 1 or steps, styles) mix weights
        returns features and logits as :meth:`heads_out`
        """
        config, steps = self.config, past.shape[1]
        x = self.motion_map(past) + self.style_vectors(style)
        x = x + self.positions(0, steps, x.device)
        memory = self.speech_map(speech)
        ages = step_ages(steps, x.device).clamp_min(0)
        bias = age_bias(ages, head_slopes(config.heads), config.period)
        bias = bias + look_back_mask(steps, config.look_back, x.device)
        for layer in self.stack:
            x = layer(x, bias.to(x.dtype), layer.cross_attention.prepare(memory))
        return self.heads_out(x)

    def start(self, longest: int) -> QueryState:
        """Begin clips of which self-attention sees ``longest`` steps at most, itself included."""
        config, device = self.config, self.style_embedding.device
        window = max(1, min(config.look_back or longest, longest))
        ages = torch.arange(window, device=device)
        biases = age_bias(ages, head_slopes(config.heads), config.period).to(self.style_embedding.dtype)
        positions = self.positions(0, config.period, device).to(self.style_embedding.dtype)
        return QueryState([KeyValueRing(window, biases) for _ in self.layers], positions)

    def hear(self, speech: Tensor, state: QueryState) -> None:
        """Prepare the speech of the next steps, (batch, steps * speech_frames * P, speech_dim).

        What was heard before must be used up; so a long clip's speech is prepared part by part.
        """
        if state.step != state.first + state.ready:
            raise ValueError("the steps heard before are not over")
        memory = self.speech_map(speech)
        state.heard = [layer.cross_attention.prepare(memory) for layer in self.stack]
        state.first = state.step
        state.ready = memory.shape[1] // (self.config.speech_frames * self.config.temporal_unit)

    def step(self, embedding: Tensor, state: QueryState) -> tuple[Tensor | None, Tensor | None]:
        """The next step.  embedding: (batch, 1, hidden) = mapped past motion + style, no position yet.

        Equals the last step of :meth:`forward` on the same past.
        """
        index = state.step - state.first
        x = embedding + state.positions[state.step % self.config.period]
        heard = [prepared[:, index : index + 1] for prepared in state.heard]
        state.step += 1
        return self.answer(x, state.rings, heard)

    def answer(
        self, x: Tensor, rings: Sequence[Ring], heard: Sequence[Tensor]
    ) -> tuple[Tensor | None, Tensor | None]:
        """One step through all layers.  x: (batch, 1, hidden) with its position.

        rings, heard: per layer, the past and the step's own prepared speech
        """
        for layer, ring, own in zip(self.stack, rings, heard, strict=True):
            x = layer.step(x, ring, own)
        return self.heads_out(x)
