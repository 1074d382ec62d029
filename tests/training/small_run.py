"""A small training run as a program of its own, to be killed, resumed and started twice at once.

    python -m tests.training.small_run FOLDER --losses FILE [--resume] [--kill-at N | --tear-at N] ...

Two stages: a network with dropout learns from drawn points, then another learns from the first one.
Every step's loss goes into ``--losses`` in full precision, every process's final
weights into FOLDER/final-INDEX.safetensors.
"""

from __future__ import annotations

import argparse
import os
import resource
import signal
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from training.config import Schedule
from training.loop import optimise
from training.random_states import Stateful
from training.run_folder import RunFolder


def schedule(steps: int, batch: int) -> Schedule:
    return Schedule(steps=steps, batch=batch, window_s=1.0, rate=0.01, warm_up=5, ema=0.9)


def point(index: int) -> Tensor:
    """(9,): point ``index`` of an endless made data set, 8 inputs and a target."""
    values = torch.from_numpy(np.random.default_rng(index).standard_normal(9).astype(np.float32))
    values[8] = values[:8].square().sum() / 8
    return values


class Program:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options = options
        self.run = RunFolder(
            options.folder,
            quiet=True,
            config={"batch": options.batch},
            seed=0,
            resume=options.resume,
            checkpoint_every=options.checkpoint_every,
        )
        self.steps_here = 0
        torch.manual_seed(0)

    def note(self, stage: str, step: int, loss: Tensor) -> None:
        """Write the loss down, and die here when it is time."""
        self.steps_here += 1
        if self.run.processes.is_main:
            with self.options.losses.open("a", encoding="utf-8") as stream:
                stream.write(f"{stage} {step} {float(loss.detach()).hex()}\n")
        if self.steps_here == self.options.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        if self.steps_here == self.options.tear_at:
            # the kernel ends a process in the write that makes a file longer than this
            signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
            resource.setrlimit(resource.RLIMIT_FSIZE, (self.options.tear_bytes, self.options.tear_bytes))

    def train(self) -> None:
        options, processes = self.options, self.run.processes
        dropout = nn.Dropout(options.dropout)
        teacher = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), dropout, nn.Linear(32, 1))
        student = nn.Sequential(nn.Linear(8, 16), nn.Tanh(), nn.Linear(16, 1))
        noise = torch.Generator().manual_seed(1 + processes.index)
        sampler = np.random.default_rng(2 + processes.index)

        def teach(step: int) -> dict[str, Tensor]:
            whole = options.batch * processes.count
            mine = range(step * whole + processes.index, (step + 1) * whole, processes.count)
            points = torch.stack([point(index) for index in mine])
            loss = (teacher(points[:, :8])[:, 0] - points[:, 8]).square().mean()
            self.note("teach", step, loss)
            return {"total": loss}

        def learn(step: int) -> dict[str, Tensor]:
            drawn = torch.from_numpy(sampler.standard_normal((options.batch, 8)).astype(np.float32))
            drawn = drawn + 0.1 * torch.randn(drawn.shape, generator=noise)
            with torch.no_grad():
                wanted = teacher(drawn)
            loss = (student(drawn) - wanted).square().mean()
            self.note("learn", step, loss)
            return {"total": loss}

        stateful: dict[str, Stateful] = {"noise": noise, "sampler": sampler}
        optimise(
            "teach", (teacher,), teach, schedule(options.steps, options.batch), self.run, report_every=10
        )
        sampler.standard_normal(3)  # a draw between two stages, as caching sound does
        self.run.log("between", {"value": 1.0})
        optimise(
            "learn",
            (student,),
            learn,
            schedule(options.steps, options.batch),
            self.run,
            report_every=10,
            stateful=stateful,
        )
        tensors = {f"teacher.{name}": value for name, value in teacher.state_dict().items()}
        tensors |= {f"student.{name}": value for name, value in student.state_dict().items()}
        save_file(tensors, options.folder / f"final-{processes.index}.safetensors")


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--losses", type=Path, required=True)
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--checkpoint-every", type=int, default=7)
    parser.add_argument("--kill-at", type=int, default=0, help="die before this program's n-th step ends")
    parser.add_argument("--tear-at", type=int, default=0, help="die in the first long write after step n")
    parser.add_argument("--tear-bytes", type=int, default=4000)
    Program(parser.parse_args()).train()


if __name__ == "__main__":
    main()
