"""Where the engine's loop spends its time: the ten costliest operations of one clip.

A program of its own (``python -m tests.bench.hotspots SIZE SECONDS DEVICE``), as every row is.
"""

from __future__ import annotations

import sys

import torch
from torch.profiler import ProfilerActivity, profile

from .row import fast_clip, use_device
from .sizes import SIZES, noise, random_networks

_LINES = 10


def hotspots(size: str, seconds: float, device: str = "cpu") -> str:
    """torch's own table, by time spent in an operation itself."""
    codec, query = random_networks(*SIZES[size], device)
    fast_clip(codec, query, noise(query.config, 0.1, device))
    drive = noise(query.config, seconds, device)
    on_gpu = torch.device(device).type == "cuda"
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with profile(activities=activities) as record:
        fast_clip(codec, query, drive)
    order = "self_cuda_time_total" if on_gpu else "self_cpu_time_total"
    return str(record.key_averages().table(sort_by=order, row_limit=_LINES, max_name_column_width=44))


if __name__ == "__main__":
    use_device(sys.argv[3])
    print(hotspots(sys.argv[1], float(sys.argv[2]), sys.argv[3]))
