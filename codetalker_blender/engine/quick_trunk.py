"""Copies of a trunk whose matrix products are faster on a CPU.

The loop of a model that looks both ways spends nine tenths of its time in products of a few hundred rows.
"""

from __future__ import annotations

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .codebook import Block, Trunk

#: oneDNN compiles and keeps code for every number of rows that it meets, and a loop's past meets all up to
#: hundreds; with multiples of this there are few, for some percent more work on short pasts.
ROWS = 16


class PackedLinear(nn.Module):
    """A float32 Linear by oneDNN, its weights laid out for it once.

    torch's own Linear calls MKL, which takes up to half as long again for so few rows; same precision.
    """

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self._weight = linear.weight.detach().to_mkldnn()
        self._bias = None if linear.bias is None else linear.bias.detach()

    def forward(self, x: Tensor) -> Tensor:
        """(..., rows, in) -> (..., rows, out)"""
        rows = x.flatten(0, -2)
        padded = F.pad(rows, (0, 0, 0, -len(rows) % ROWS))
        product = torch.ops.aten.mkldnn_linear(padded.to_mkldnn(), self._weight, self._bias)
        dense: Tensor = product.to_dense()
        return dense[: len(rows)].view(*x.shape[:-1], -1)


def packed(trunk: Trunk) -> Trunk | None:
    """The same float32 network with packed weights; None where torch has no oneDNN for it.

    Everything but the packed matrices is shared with ``trunk``.  For inference alone.
    """
    weight = trunk.linear.weight
    if (
        weight.device.type != "cpu"
        or weight.dtype != torch.float32
        or not torch.backends.mkldnn.is_available()
    ):
        return None
    blocks = [block for block in trunk.blocks if isinstance(block, Block)]
    linears = [trunk.linear]
    for block in blocks:
        linears += [block.mlp_in, block.mlp_out]
        # the last block reads its packed q, k and v apart, for a single query
        if block is not blocks[-1]:
            linears += [block.attention.qkv, block.attention.output]
    # deepcopy takes what it finds here for the copies it has made already
    made: dict[int, object] = {id(parameter): parameter for parameter in trunk.parameters()}
    made |= {id(linear): PackedLinear(linear) for linear in linears}
    return copy.deepcopy(trunk, made)


def lower_precision(trunk: Trunk) -> Trunk:
    """A copy in bfloat16, whose products take half the time where the processor has them."""
    return copy.deepcopy(trunk).to(torch.bfloat16)
