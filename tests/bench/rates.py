"""What this machine computes and moves, measured: products at the shapes in use, and memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from codetalker_blender.engine.codebook import CodecConfig
from codetalker_blender.engine.quick_trunk import PackedLinear

#: Numbers of the matrix that memory is measured with: more than any cache holds.
_BIG = 8192
_LEAST_S = 0.15


@dataclass(frozen=True)
class Rates:
    """One number format's rates.

    gemm_rows: rows of the products measured, rising; gemm_macs_per_s: multiply-adds per second there
    bytes_per_s: of memory, the better of a copy and of a matrix times a vector
    """

    dtype: str
    number_bytes: int
    gemm_rows: tuple[int, ...]
    gemm_macs_per_s: tuple[float, ...]
    bytes_per_s: float

    def macs_per_s(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The rate of products of so many rows, between those measured by straight lines."""
        return np.asarray(np.interp(rows, self.gemm_rows, self.gemm_macs_per_s), np.float64)

    def __str__(self) -> str:
        speeds = zip(self.gemm_rows, self.gemm_macs_per_s, strict=True)
        listed = ", ".join(f"{rate / 1e9:.3g} at {rows} rows" for rows, rate in speeds)
        return (
            f"{self.dtype} products, 10^9 multiply-adds per second: {listed}; "
            f"memory {self.bytes_per_s / 1e9:.3g} GB/s"
        )


def wait_for(device: str) -> None:
    """Until the device has done what it was given."""
    if torch.device(device).type == "cuda":
        torch.cuda.synchronize()


def best_s(call: Callable[[], object], device: str = "cpu", least_s: float = _LEAST_S) -> float:
    """The shortest of at least five runs, after one to warm up."""
    call()
    wait_for(device)
    best, begin, runs = float("inf"), time.perf_counter(), 0
    while runs < 5 or time.perf_counter() - begin < least_s:
        before = time.perf_counter()
        call()
        wait_for(device)
        best, runs = min(best, time.perf_counter() - before), runs + 1
    return best


@torch.inference_mode()
def gemm_macs_per_s(codec: CodecConfig, rows: int, dtype: torch.dtype, device: str = "cpu") -> float:
    """Multiply-adds per second of one block's four products for ``rows`` frames, the better way of two."""
    h, m = codec.hidden, codec.mlp
    macs, seconds = 0, 0.0
    for wide, narrow in ((h, 3 * h), (h, h), (h, m), (m, h)):
        x = torch.randn(rows, wide, device=device).to(dtype)
        linear = torch.nn.Linear(wide, narrow, bias=False, device=device, dtype=dtype)
        ways: list[torch.nn.Module] = [linear]
        if dtype == torch.float32 and device == "cpu" and torch.backends.mkldnn.is_available():
            ways.append(PackedLinear(linear))
        macs += rows * wide * narrow
        seconds += min(best_s(lambda x=x, way=way: way(x), device) for way in ways)  # type: ignore[misc]
    return macs / seconds


@torch.inference_mode()
def memory_bytes_per_s(device: str = "cpu", size: int = _BIG) -> float:
    """The better of a copy (read and write) and of a matrix times a vector (read)."""
    source = torch.ones(size, size, device=device)
    target, vector = torch.empty_like(source), torch.ones(size, device=device)
    held = source.numel() * source.element_size()
    copied = 2 * held / best_s(lambda: target.copy_(source), device)
    return max(copied, held / best_s(lambda: source @ vector, device))


def measure_rates(
    codec: CodecConfig, steps: int, dtypes: Sequence[torch.dtype], device: str = "cpu"
) -> list[Rates]:
    """Rates for the prefixes of a clip of ``steps`` frames, in each number format."""
    rows = tuple(sorted({1, *(max(1, steps * share // 8) for share in (1, 2, 4, 8))}))
    moved = memory_bytes_per_s(device)
    return [
        Rates(
            dtype=str(dtype).removeprefix("torch."),
            number_bytes=dtype.itemsize,
            gemm_rows=rows,
            gemm_macs_per_s=tuple(gemm_macs_per_s(codec, count, dtype, device) for count in rows),
            bytes_per_s=moved,
        )
        for dtype in dtypes
    ]
