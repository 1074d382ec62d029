"""Stage 1: the VQ autoencoder, motion ⇄ codes (CodeTalker section 3.2).

Turns offsets into H codes per step out of a codebook of N motion primitives, and codes back
into offsets.  Only torch; loads nothing, chooses no device, returns no losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .config_checks import check_divides, check_numbers
from .layers import KeyValueRing, Ring, SelfAttention, TimeConv, look_back_mask, sinusoid, time_normalise

#: Slope of LeakyReLU below zero.
LEAK = 0.2
#: (mean, 1 / standard deviation) over time, (batch or 1, 1, hidden) each.
Moments = tuple[Tensor, Tensor]


@dataclass(frozen=True)
class CodecConfig:
    """Sizes and variants of the codec.  The defaults are the official VOCASET model.

    vertex_count: V; motion has 3V numbers per frame
    hidden, layers, heads, mlp: of the encoder's and the decoder's transformer
    code_count, components, code_dim: N codes of C numbers, H components per step
    temporal_unit: P, motion frames per step of codes
    causal: look back only, and normalise nothing over time: one step of decoding per frame
    look_back: positions that causal self-attention sees, itself included; None = all.  The decoder's
        positions are frames, the encoder's are steps of P frames
    time_norm: InstanceNorm over time (never with ``causal``)
    code_projection: a Linear between hidden and H*C on both sides (BIWI; else hidden = H*C)
    output_bias: bias of the last Linear (VOCASET has one, BIWI none)
    constant_position: add position 0's code to every frame.  The original indexes its
        position table by batch, so every frame of a batch of one gets row 0
    shape_input: work on vertices (template + offsets) in place of offsets (the paper's ablation)
    basis_rank: R > 0 puts a fixed linear basis between 3V numbers and the networks
    dropout: in training, after attention and MLP
    """

    vertex_count: int
    hidden: int = 1024
    layers: int = 6
    heads: int = 8
    mlp: int = 1536
    code_count: int = 256
    components: int = 16
    code_dim: int = 64
    temporal_unit: int = 1
    kernel: int = 5
    causal: bool = False
    look_back: int | None = None
    time_norm: bool = True
    code_projection: bool = False
    output_bias: bool = True
    constant_position: bool = True
    shape_input: bool = False
    basis_rank: int = 0
    dropout: float = 0.1

    def __post_init__(self) -> None:
        check_numbers(
            self,
            positive=(
                *("vertex_count", "hidden", "heads", "mlp", "code_count", "components", "code_dim"),
                *("temporal_unit", "kernel", "look_back"),
            ),
            not_negative=("layers", "basis_rank"),
            shares=("dropout",),
        )
        check_divides(self, "hidden", "heads")
        if self.causal and self.time_norm:
            raise ValueError("a causal codec cannot normalise over time: set time_norm to false")
        if self.look_back is not None and not self.causal:
            raise ValueError("look_back needs causal")
        if not self.code_projection and self.hidden != self.components * self.code_dim:
            raise ValueError(
                f"without code_projection hidden ({self.hidden}) must be components x code_dim "
                f"({self.components} x {self.code_dim})"
            )
        if self.temporal_unit > self.kernel:
            raise ValueError(f"temporal_unit must be 1 to {self.kernel}, not {self.temporal_unit}")
        if self.kernel % 2 == 0 and not self.causal:
            raise ValueError(f"kernel must be odd in a codec that looks both ways, not {self.kernel}")
        if self.basis_rank > 128:
            raise ValueError(f"basis_rank must be 0 to 128, not {self.basis_rank}")

    @property
    def motion_dim(self) -> int:
        """Numbers per frame that the networks see: 3V, or the basis's rank."""
        return self.basis_rank or 3 * self.vertex_count

    @property
    def latent_dim(self) -> int:
        """H * C: the numbers per step that are quantised."""
        return self.components * self.code_dim


class Block(nn.Module):
    """Pre-norm transformer block: x += Attn(LN(x)); x += W2 gelu(W1 LN(x)), tanh GELU."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        hidden = config.hidden
        self.attention_norm = nn.LayerNorm(hidden)
        # the original scales by the whole width, not by the head's
        self.attention = SelfAttention(hidden, config.heads, qkv_bias=False, scale=hidden**-0.5)
        self.mlp_norm = nn.LayerNorm(hidden)
        self.mlp_in = nn.Linear(hidden, config.mlp)
        self.mlp_out = nn.Linear(config.mlp, hidden)
        self.dropout = nn.Dropout(config.dropout)

    def _mlp(self, x: Tensor) -> Tensor:
        inner = F.gelu(self.mlp_in(self.mlp_norm(x)), approximate="tanh")
        return torch.add(x, self.dropout(self.mlp_out(inner)))

    def forward(self, x: Tensor, mask: Tensor | None, last_only: bool = False) -> Tensor:
        attended = self.attention(self.attention_norm(x), mask, last_only)
        return self._mlp((x[:, -1:] if last_only else x) + self.dropout(attended))

    def all_rows(self, x: Tensor, parts: list[slice]) -> None:
        """:meth:`forward` without a mask, part by part, in place."""
        batch, frames, hidden = x.shape
        heads = self.attention.heads
        keys, values = (x.new_empty(batch, heads, frames, hidden // heads) for _ in range(2))
        for part in parts:
            keys[:, :, part], values[:, :, part] = self.attention.keys_values(self.attention_norm(x[:, part]))
        for part in parts:
            attended = self.attention.attend(self.attention_norm(x[:, part]), keys, values)
            x[:, part] = self._mlp(x[:, part] + attended)

    def step(self, x: Tensor, ring: Ring) -> Tensor:
        return self._mlp(x + self.attention.step(self.attention_norm(x), ring))


class TrunkState:
    """What a causal trunk remembers: the convolution's last inputs and each block's keys and values."""

    def __init__(self, rings: list[KeyValueRing]) -> None:
        self.history: Tensor | None = None
        self.rings = rings

    def keep(self, clips: int) -> None:
        """Forget all but the first ``clips`` of the batch."""
        for ring in self.rings:
            ring.keep(clips)
        if self.history is not None:
            self.history = self.history[:clips]


class Trunk(nn.Module):
    """What encoder and decoder share: conv → LeakyReLU → norm over time → Linear → blocks."""

    def __init__(self, config: CodecConfig, stride: int) -> None:
        super().__init__()
        self.config = config
        self.conv = TimeConv(config.hidden, config.kernel, causal=config.causal, stride=stride)
        self.linear = nn.Linear(config.hidden, config.hidden)
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.layers))

    def activate(self, x: Tensor) -> Tensor:
        """Convolution and LeakyReLU: (batch, frames, hidden) -> (batch, frames / stride, hidden)."""
        return F.leaky_relu(self.conv(x), LEAK)

    def embed(self, active: Tensor, moments: Moments | None = None) -> Tensor:
        """What the blocks see, of :meth:`activate`'s result; ``moments`` in place of its own."""
        x = active
        if self.config.time_norm:
            x = time_normalise(x) if moments is None else (x - moments[0]) * moments[1]
        x = torch.as_tensor(self.linear(x))
        if self.config.constant_position:
            x = x + sinusoid(torch.zeros(1, device=x.device), self.config.hidden).to(x.dtype)
        return x

    def mask(self, steps: int, device: torch.device) -> Tensor | None:
        if not self.config.causal:
            return None
        return look_back_mask(steps, self.config.look_back, device)

    def forward(self, x: Tensor) -> Tensor:
        """(batch, frames, hidden) -> (batch, frames / stride, hidden)."""
        return self.transform(self.embed(self.activate(x)))

    def transform(self, x: Tensor) -> Tensor:
        """All blocks."""
        mask = self.mask(x.shape[1], x.device)
        for block in self.blocks:
            x = block(x, mask)
        return x

    def transform_long(self, x: Tensor, rows: int) -> Tensor:
        """:meth:`transform` of a codec that looks both ways, ``rows`` frames at a time, in ``x`` itself.

        Beside ``x`` only one block's keys and values grow with the clip.  For inference alone.
        """
        if x.shape[1] <= rows:
            return self.transform(x)
        parts = [slice(first, first + rows) for first in range(0, x.shape[1], rows)]
        for block in cast("list[Block]", list(self.blocks)):
            block.all_rows(x, parts)
        return x

    def transform_last(self, x: Tensor) -> Tensor:
        """The last frame of :meth:`transform` alone, (batch, 1, hidden), in less time."""
        mask = self.mask(x.shape[1], x.device)
        for index, block in enumerate(self.blocks):
            x = block(x, mask, last_only=index == len(self.blocks) - 1)
        return x[:, -1:]

    def start(self, longest: int) -> TrunkState:
        window = min(self.config.look_back or longest, longest)
        return TrunkState([KeyValueRing(window) for _ in self.blocks])

    def step(self, x: Tensor, state: TrunkState) -> Tensor:
        """Causal step form, stride 1: one frame in, one frame out."""
        state.history, x = self.advance(x, state.history, state.rings)
        return x

    def advance(self, x: Tensor, history: Tensor | None, rings: Sequence[Ring]) -> tuple[Tensor, Tensor]:
        """:meth:`step` with its past apart: (history for the next frame, one frame)."""
        history, x = self.conv.step(history, x)
        x = self.embed(F.leaky_relu(x, LEAK))
        for block, ring in zip(cast("list[Block]", list(self.blocks)), rings, strict=True):
            x = block.step(x, ring)
        return history, x


class MotionEncoder(nn.Module):
    """Motion (batch, frames, D) -> latent (batch, steps, H*C), before quantisation."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.input = nn.Linear(config.motion_dim, config.hidden)
        self.trunk = Trunk(config, config.temporal_unit)
        self.code_projection = (
            nn.Linear(config.hidden, config.latent_dim) if config.code_projection else nn.Identity()
        )

    def forward(self, motion: Tensor) -> Tensor:
        return torch.as_tensor(self.code_projection(self.trunk(F.leaky_relu(self.input(motion), LEAK))))


class MotionDecoder(nn.Module):
    """Quantised latent (batch, steps, H*C) -> motion (batch, frames, D)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.temporal_unit = config.temporal_unit
        self.code_projection = (
            nn.Linear(config.latent_dim, config.hidden) if config.code_projection else nn.Identity()
        )
        self.trunk = Trunk(config, stride=1)
        self.output = nn.Linear(config.hidden, config.motion_dim, bias=config.output_bias)

    def spread(self, latent: Tensor) -> Tensor:
        """(batch, steps, H*C) -> (batch, steps * P, hidden): every step stands for P frames."""
        return torch.as_tensor(self.code_projection(latent)).repeat_interleave(self.temporal_unit, dim=1)

    def forward(self, latent: Tensor) -> Tensor:
        return torch.as_tensor(self.output(self.trunk(self.spread(latent))))


class Quantiser(nn.Module):
    """The codebook: (N, C) codes, and the nearest one to a vector (equation 2)."""

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.codebook = nn.Parameter(torch.empty(config.code_count, config.code_dim))
        nn.init.uniform_(self.codebook, -1.0 / config.code_count, 1.0 / config.code_count)

    def distances(self, latent: Tensor) -> Tensor:
        """Squared distances to every code: (..., H*C) -> (..., H, N)."""
        vectors = latent.unflatten(-1, (-1, self.codebook.shape[1]))
        norms: Tensor = vectors.square().sum(-1, keepdim=True) + self.codebook.square().sum(-1)
        return torch.sub(norms, vectors @ self.codebook.t(), alpha=2.0)

    def nearest(self, latent: Tensor) -> Tensor:
        """Codes, (..., H*C) -> (..., H) int64; the first of equals."""
        return self.distances(latent).argmin(dim=-1)

    def lookup(self, codes: Tensor) -> Tensor:
        """The inverse of :meth:`nearest` on code vectors: (..., H) -> (..., H*C)."""
        return F.embedding(codes, self.codebook).flatten(-2)

    def forward(self, latent: Tensor) -> tuple[Tensor, Tensor]:
        """(quantised (..., H*C), codes (..., H)); the gradient passes straight through to ``latent``."""
        codes = self.nearest(latent)
        quantised = self.lookup(codes)
        return latent + (quantised - latent).detach(), codes


class Codec(nn.Module):
    """The whole of stage 1.

    Buffers: ``vertex_basis`` (R, 3V) with orthonormal rows when the config asks for one, and
    ``template`` (3V,) when it works on shapes; both travel with the weights.
    """

    vertex_basis: Tensor
    template: Tensor

    def __init__(self, config: CodecConfig) -> None:
        super().__init__()
        self.config = config
        self.encoder = MotionEncoder(config)
        self.quantiser = Quantiser(config)
        self.decoder = MotionDecoder(config)
        width = 3 * config.vertex_count
        if config.basis_rank:
            self.register_buffer("vertex_basis", torch.eye(config.basis_rank, width))
        if config.shape_input:
            self.register_buffer("template", torch.zeros(width))

    def to_motion(self, offsets: Tensor) -> Tensor:
        """Offsets (..., 3V) in template units -> what the networks see, (..., D)."""
        if self.config.shape_input:
            offsets = offsets + self.template
        return offsets @ self.vertex_basis.t() if self.config.basis_rank else offsets

    def to_offsets(self, motion: Tensor) -> Tensor:
        """The inverse of :meth:`to_motion`, for offsets in the basis's span.

        Rest is taken off before the basis: the template itself need not lie in its span.
        """
        if self.config.shape_input:
            motion = motion - self.still()
        return motion @ self.vertex_basis if self.config.basis_rank else motion

    def still(self) -> Tensor:
        """The motion vector of zero offsets, (D,)."""
        return self.to_motion(self.encoder.input.weight.new_zeros(3 * self.config.vertex_count))

    def encode(self, motion: Tensor) -> Tensor:
        """Codes of motion (batch, frames, D) -> (batch, ceil(frames / P), H) int64."""
        return self.quantiser.nearest(self.encoder(self.whole_units(motion)))

    def decode(self, codes: Tensor) -> Tensor:
        """Motion of codes (batch, steps, H) -> (batch, steps * P, D)."""
        return torch.as_tensor(self.decoder(self.quantiser.lookup(codes)))

    def whole_units(self, motion: Tensor) -> Tensor:
        """Pad to a multiple of P frames by repeating the last one."""
        short = -motion.shape[1] % self.config.temporal_unit
        return torch.cat((motion, motion[:, -1:].expand(-1, short, -1)), dim=1) if short else motion

    def forward(self, motion: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Reconstruction (batch, frames, D), latent before quantisation, codes."""
        latent = self.encoder(self.whole_units(motion))
        quantised, codes = self.quantiser(latent)
        return self.decoder(quantised)[:, : motion.shape[1]], latent, codes
