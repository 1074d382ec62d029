"""The optimiser loop every stage shares: AdamW, warm-up and cosine, clipping, averaged weights, a log.

Turns a function that gives losses into trained networks; knows nothing of speech or faces.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from .config import Schedule

#: losses(step) -> name -> scalar; the entry "total" is minimised, the others are logged.
Losses = Callable[[int], dict[str, Tensor]]


class RunFolder:
    """A run's folder: ``log.jsonl`` with a line per report, and the stages' weights."""

    def __init__(self, folder: Path, quiet: bool = False) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.quiet = quiet

    def log(self, stage: str, values: dict[str, float]) -> None:
        line = {"stage": stage, **{name: round(value, 5) for name, value in values.items()}}
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        if not self.quiet:
            print("  ".join(f"{name} {value}" for name, value in line.items()), file=sys.stderr, flush=True)


def rate_at(step: int, schedule: Schedule) -> float:
    """Learning rate at ``step``: linear warm-up, then a cosine down to 2 % of the peak."""
    if step < schedule.warm_up:
        return schedule.rate * (step + 1) / schedule.warm_up
    share = (step - schedule.warm_up) / max(schedule.steps - schedule.warm_up, 1)
    return schedule.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


def optimise(
    stage: str,
    networks: Sequence[nn.Module],
    losses: Losses,
    schedule: Schedule,
    run: RunFolder,
    after_step: Callable[[int], None] = lambda step: None,
    report_every: int = 50,
) -> None:
    """Train the parameters of ``networks`` that require a gradient; they end with averaged weights.

    ``after_step`` may change weights outside the optimiser (codebook restarts).
    """
    parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=schedule.rate, weight_decay=schedule.weight_decay)
    averages = [p.detach().clone() for p in parameters] if schedule.ema else []
    sums: dict[str, float] = {}
    started = time.monotonic()
    for step in range(schedule.steps):
        for group in optimiser.param_groups:
            group["lr"] = rate_at(step, schedule)
        with torch.autocast("cpu", torch.bfloat16, enabled=schedule.bfloat16):
            values = losses(step)
        optimiser.zero_grad(set_to_none=True)
        values["total"].backward()
        norm = torch.nn.utils.clip_grad_norm_(parameters, schedule.clip)
        if not math.isfinite(norm):
            raise FloatingPointError(f"{stage}: the gradient's norm is {norm} at step {step}; lower the rate")
        optimiser.step()
        after_step(step)
        # early averages would remember the random start: the horizon grows with the steps
        keep = min(schedule.ema, (1 + step) / (10 + step))
        for average, parameter in zip(averages, parameters, strict=False):
            average.lerp_(parameter.detach(), 1 - keep)
        for name, value in values.items():
            sums[name] = sums.get(name, 0.0) + float(value.detach())
        if (step + 1) % report_every == 0 or step + 1 == schedule.steps:
            count = (step % report_every) + 1
            seconds = time.monotonic() - started
            report = {"step": step + 1.0, "of": float(schedule.steps), "seconds": seconds}
            run.log(stage, report | {name: total / count for name, total in sums.items()})
            sums.clear()
    with torch.no_grad():
        for average, parameter in zip(averages, parameters, strict=False):
            parameter.copy_(average)
