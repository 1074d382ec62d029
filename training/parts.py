"""The face in parts that move by themselves: mouth, brows, lids.

Speech tells the mouth what to do, and brows and lids only when they may move.  A codec whose components
each carry one part lets generation choose the mouth's nearest codes and draw the others', so that drawing
a blink hardly moves the lips (under 0.1 mm; the decoder's layer norms see all parts).  The parts are kept
apart by weights that stay zero in training; the trained codec is an ordinary one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.engine.codebook import Block, Codec, Trunk

PARTS = ("mouth", "brows", "lids")
_REGIONS = {"brows": ("upper_face",), "lids": ("eyelids", "eyes")}


@dataclass(frozen=True)
class PartSizes:
    """What each of ``PARTS`` gets of the codec: components (summing to H) and hidden channels (to hidden).

    The components of the first part are regressed and quantised, those of the others are classes.
    """

    components: tuple[int, ...] = (6, 1, 1)
    hidden: tuple[int, ...] = (96, 32, 32)


def shape_parts(deltas: FloatArray, face: FaceMesh) -> NDArray[np.int64]:
    """(K,) row of ``PARTS`` for each shape (K, V, 3): where it moves the most."""
    energy = (deltas.astype(np.float64) ** 2).sum(-1)
    shares = np.zeros((len(PARTS), len(deltas)))
    for row, name in enumerate(PARTS[1:], 1):
        vertices = [face.regions[region] for region in _REGIONS[name] if region in face.regions]
        if vertices:
            shares[row] = energy[:, np.concatenate(vertices)].sum(axis=1)
    shares[0] = energy.sum(axis=1) - shares[1:].sum(axis=0)
    return np.asarray(shares.argmax(axis=0))


def keep_apart(codec: Codec, sizes: PartSizes, motion_part: Tensor) -> None:
    """Zero every weight between two parts of ``codec``, now and in all training to come.

    motion_part: (R,) int64, the part of each row of the vertex basis
    """
    config = codec.config
    if not config.code_projection:
        raise ValueError("parts need a codec with code_projection")
    hidden = _spread(sizes.hidden, config.hidden, "hidden")
    if any(width % (config.hidden // config.heads) for width in sizes.hidden):
        raise ValueError(f"hidden channels of parts must be whole heads, not {sizes.hidden}")
    inner = _spread(tuple(w * config.mlp // config.hidden for w in sizes.hidden), config.mlp, "mlp")
    latent = _spread(sizes.components, config.components, "components").repeat_interleave(config.code_dim)

    def join(layer: nn.Module, outputs: Tensor, inputs: Tensor) -> None:
        weight = layer.weight
        assert isinstance(weight, nn.Parameter)
        same = (outputs[:, None] == inputs).to(weight)
        mask = same.view(*same.shape, *([1] * (weight.ndim - 2)))
        with torch.no_grad():
            weight.mul_(mask)
        weight.register_hook(lambda gradient: gradient * mask.to(gradient))

    def join_trunk(trunk: Trunk) -> None:
        join(trunk.conv.conv, hidden, hidden)
        join(trunk.linear, hidden, hidden)
        for block in cast("list[Block]", list(trunk.blocks)):
            join(block.attention.qkv, hidden.repeat(3), hidden)
            join(block.attention.output, hidden, hidden)
            join(block.mlp_in, inner, hidden)
            join(block.mlp_out, hidden, inner)

    join(codec.encoder.input, hidden, motion_part)
    join_trunk(codec.encoder.trunk)
    join(codec.encoder.code_projection, latent, hidden)
    join(codec.decoder.code_projection, hidden, latent)
    join_trunk(codec.decoder.trunk)
    join(codec.decoder.output, motion_part, hidden)


def _spread(sizes: tuple[int, ...], total: int, what: str) -> Tensor:
    """(total,) int64: part 0 ``sizes[0]`` times, then part 1, ..."""
    if sum(sizes) != total:
        raise ValueError(f"{what} of the parts, {sizes}, must sum to {total}")
    return torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes))
