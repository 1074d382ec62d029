"""The optimiser loop every stage shares: Adam, warm-up and cosine, clipping, averaged weights, checkpoints.

Turns a function that gives losses into trained networks; knows nothing of speech or faces.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from codetalker_blender.engine.bundle import load_strictly

from .checkpoints import CheckpointError
from .config import Schedule
from .processes import Processes
from .random_states import Stateful, global_states, restore, restore_global_states, state_of
from .run_folder import RunFolder
from .run_record import first_difference

__all__ = ["Losses", "RunFolder", "optimise", "rate_at"]

_OPTIMISERS = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}

#: losses(step) -> name -> scalar; the entry "total" is minimised, the others are logged.
Losses = Callable[[int], dict[str, Tensor]]


def rate_at(step: int, schedule: Schedule) -> float:
    """Learning rate at ``step``: linear warm-up, then a cosine down to 2 % of the peak, or none.

    With ``halvings`` the steps are cut into as many equal parts, each at half the rate of the one before.
    """
    if step < schedule.warm_up:
        return schedule.rate * (step + 1) / schedule.warm_up
    if not schedule.cosine:
        return schedule.rate * float(0.5 ** (step * schedule.halvings // max(schedule.steps, 1)))
    share = (step - schedule.warm_up) / max(schedule.steps - schedule.warm_up, 1)
    return schedule.rate * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * share)))


class _Training:
    """Everything of a stage that its next step depends on."""

    def __init__(
        self,
        networks: Sequence[nn.Module],
        schedule: Schedule,
        processes: Processes,
        stateful: Mapping[str, Stateful],
    ) -> None:
        self.networks, self.schedule, self.stateful = networks, schedule, stateful
        self.processes = processes
        self.parameters = [p for network in networks for p in network.parameters() if p.requires_grad]
        self.optimiser = _OPTIMISERS[schedule.optimiser](
            self.parameters, lr=schedule.rate, weight_decay=schedule.weight_decay
        )
        self.averages = [p.detach().clone() for p in self.parameters] if schedule.ema else []
        self.done = 0
        self.seconds = 0.0
        #: of every loss since the last report: its sum, and how many steps had it
        self.sums: dict[str, list[float]] = {}

    def state(self, log_lines: int) -> dict[str, Any]:
        """For a checkpoint; every process must call it.  A finished stage needs no optimiser any more."""
        going = self.done < self.schedule.steps
        moments = self.optimiser.state_dict()["state"]
        scaler = self.processes.scaler
        own = {
            "sums": self.sums,
            "random": global_states(self.processes.device),
            "stateful": {name: state_of(thing) for name, thing in self.stateful.items()},
        }
        return {
            "schedule": dataclasses.asdict(self.schedule),
            "done": self.done,
            "seconds": self.seconds,
            "log_lines": log_lines,
            "networks": [dict(network.state_dict()) for network in self.networks],
            "averages": self.averages if going else [],
            "moments": {str(index): dict(value) for index, value in moments.items()} if going else {},
            "scaler": scaler.state_dict() if scaler is not None else None,
            "processes": self.processes.gathered(own),
        }

    def restore(self, state: dict[str, Any], where: str) -> None:
        """The inverse of :meth:`state`.  Raises UserError when it is another run's."""
        difference = first_difference(state["schedule"], dataclasses.asdict(self.schedule))
        if difference:
            raise CheckpointError(
                f"The checkpoints in '{where}' were made with another schedule: {difference}.",
                "Resume the run with its own settings, or choose another folder.",
            )
        count = len(state["processes"])
        if count != self.processes.count:
            raise CheckpointError(
                f"The checkpoints in '{where}' were made by {count} process(es), "
                f"this run has {self.processes.count}.",
                "Resume it with as many processes, so that every one finds its own random numbers.",
            )
        own = state["processes"][self.processes.index]
        if len(state["networks"]) != len(self.networks) or set(own["stateful"]) != set(self.stateful):
            raise CheckpointError(f"The checkpoints in '{where}' hold other networks than this stage has.")
        for network, tensors in zip(self.networks, state["networks"], strict=True):
            load_strictly(network, tensors, where)
        device = self.processes.device
        if state["done"] < self.schedule.steps:
            moments = {int(index): value for index, value in state["moments"].items()}
            groups = self.optimiser.state_dict()["param_groups"]
            self.optimiser.load_state_dict({"state": moments, "param_groups": groups})
            self.averages = [average.to(device) for average in state["averages"]]
        if self.processes.scaler is not None and state["scaler"] is not None:
            self.processes.scaler.load_state_dict(state["scaler"])
        self.done, self.seconds, self.sums = state["done"], state["seconds"], dict(own["sums"])
        for name, thing in self.stateful.items():
            restore(thing, own["stateful"][name])
        restore_global_states(own["random"], device)

    def step(self, stage: str, losses: Losses) -> None:
        """One step of the optimiser.  Raises FloatingPointError when the gradient is not finite."""
        for group in self.optimiser.param_groups:
            group["lr"] = rate_at(self.done, self.schedule)
        with self.processes.autocast(self.schedule.bfloat16):
            values = losses(self.done)
        self.optimiser.zero_grad(set_to_none=True)
        self.processes.backward(values["total"])
        self.processes.average_gradients(self.parameters)
        scaler = self.processes.scaler
        if scaler is not None:
            scaler.unscale_(self.optimiser)
        norm = float(nn.utils.clip_grad_norm_(self.parameters, self.schedule.clip or math.inf))
        # float16's scaler finds its scale by overflowing: it skips such a step and halves the scale
        if not math.isfinite(norm) and (scaler is None or scaler.get_scale() <= 1.0):
            odd = [name for name, value in values.items() if not bool(value.isfinite().all())]
            blamed = f" (not finite: {', '.join(odd)})" if odd else ""
            raise FloatingPointError(
                f"{stage}: the gradient's norm is {norm} at step {self.done}{blamed}; lower the rate"
            )
        if scaler is None:
            self.optimiser.step()
        else:
            scaler.step(self.optimiser)
            scaler.update()
        found = {name: float(value.detach()) for name, value in values.items()}
        if math.isfinite(norm):
            found["gradient_norm"] = norm
        for name, number in found.items():
            total, count = self.sums.get(name, (0.0, 0.0))
            self.sums[name] = [total + number, count + 1.0]

    def average(self) -> None:
        """Move the averaged weights on by one step."""
        # early averages would remember the random start: the horizon grows with the steps
        keep = min(self.schedule.ema, (1 + self.done) / (10 + self.done))
        for average, parameter in zip(self.averages, self.parameters, strict=False):
            average.lerp_(parameter.detach(), 1 - keep)

    def report(self, step_s: float) -> dict[str, float]:
        """The means of all losses since the last report, and the time; every process must call it.

        step_s: seconds that a step takes
        """
        means = self.processes.mean({name: total / count for name, (total, count) in self.sums.items()})
        self.sums.clear()
        left_s = step_s * (self.schedule.steps - self.done)
        clock = {"step": float(self.done), "of": float(self.schedule.steps), "seconds": self.seconds}
        return clock | {"left_s": left_s, "rate": rate_at(self.done - 1, self.schedule)} | means

    def keep_averages(self) -> None:
        """The averaged weights take the weights' place."""
        with torch.no_grad():
            for average, parameter in zip(self.averages, self.parameters, strict=False):
                parameter.copy_(average)


def optimise(
    stage: str,
    networks: Sequence[nn.Module],
    losses: Losses,
    schedule: Schedule,
    run: RunFolder,
    after_step: Callable[[int], None] = lambda step: None,
    report_every: int | None = None,
    *,
    stateful: Mapping[str, Stateful] | None = None,
    preview: Callable[[int], None] | None = None,
) -> float:
    """Train the parameters of ``networks`` that require a gradient; they end with averaged weights.

    Every process of the run calls this with its own windows in ``losses``; gradients are averaged over
    them, so that N processes with a batch each are one process with all of them in its batch.
    ``after_step`` may change weights outside the optimiser (codebook restarts), the same in every process:
    see ``Processes.share_weights``.
    report_every: steps between two lines of the log; None takes the run's
    stateful: whatever else the losses depend on and change (their random generators, counts)
    preview: draws pictures after so many steps, in the main process; it must change nothing and draw
        nothing by chance
    Returns the seconds that the stage took, those before a kill counted in.  In a resumed run a finished
    stage comes back as it ended, and the others go on from their newest checkpoint.
    Raises FloatingPointError when the gradient is not finite, UserError when the checkpoints do not fit.
    """
    processes, checkpoints = run.processes, run.checkpoints(stage)
    every = run.report_every if report_every is None else report_every
    for network in networks:
        network.to(processes.device)
    saved = processes.from_main(checkpoints.newest() if run.resume and processes.is_main else None)
    processes.share_weights(networks)
    training = _Training(networks, schedule, processes, stateful or {})
    if saved is not None:
        training.restore(saved, str(checkpoints.folder))
        if training.done == schedule.steps:
            run.pass_over(saved["log_lines"])
            return training.seconds
        run.begin(stage, schedule.steps, training.done, saved["log_lines"])
    else:
        processes.draw_apart()
        run.begin(stage, schedule.steps, 0)

    def save(keep: int) -> None:
        state = training.state(run.log_lines)
        if processes.is_main:
            checkpoints.save(training.done, state, keep)

    started, before, first = time.monotonic(), training.seconds, training.done
    try:
        while training.done < schedule.steps:
            step = training.done
            training.step(stage, losses)
            after_step(step)
            training.average()
            training.done += 1
            training.seconds = before + time.monotonic() - started
            run.advance()
            if training.done % every == 0 or training.done == schedule.steps:
                each = (time.monotonic() - started) / (training.done - first)
                run.log(stage, training.report(each))
            if preview is not None and run.picture_due(training.done, schedule.steps):
                preview(training.done)
            due = run.checkpoint_every and training.done % run.checkpoint_every == 0
            if due and training.done < schedule.steps:
                save(keep=2)
        training.keep_averages()
        save(keep=1)
    finally:
        run.end(stage)
    return training.seconds
