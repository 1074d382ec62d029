"""Packed products give what the Linear gives that they are made from."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from codetalker_blender.engine.quick_trunk import ROWS, PackedLinear

pytestmark = pytest.mark.skipif(
    not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN to pack for"
)


@pytest.mark.parametrize("rows", [1, ROWS - 1, ROWS, ROWS + 1, 5 * ROWS + 3])
@pytest.mark.parametrize("bias", [True, False])
@torch.inference_mode()
def test_a_packed_linear_gives_every_row_and_no_more(rows: int, bias: bool) -> None:
    torch.manual_seed(rows)
    linear = nn.Linear(48, 80, bias=bias)
    x = torch.randn(2, rows, 48)
    got = PackedLinear(linear)(x)
    assert got.shape == (2, rows, 80)
    torch.testing.assert_close(got, linear(x), rtol=1e-5, atol=1e-5)
