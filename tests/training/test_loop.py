"""The optimiser loop does what its schedule says, on small real networks."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from training.checkpoints import CheckpointError
from training.config import Schedule
from training.loop import optimise, rate_at
from training.losses import quantiser_loss, reconstruction_l1
from training.run_folder import RunFolder

from ..engine.tiny import tiny_configs, tiny_networks


def plan(steps: int = 1, **changes: float) -> Schedule:
    """A schedule without warm-up, decay of weights, averages or clipping, unless asked for."""
    values = {"rate": 0.01, "warm_up": 0, "weight_decay": 0.0, "clip": 0.0, "ema": 0.0} | changes
    return Schedule(steps=steps, batch=1, window_s=1.0, **values)  # type: ignore[arg-type]


def run_at(folder: Path, resume: bool = False, every: int = 0) -> RunFolder:
    return RunFolder(folder, quiet=True, resume=resume, checkpoint_every=every)


class Line:
    """One weight w, pulled towards 1 by the loss size * (w - 1)² / 2."""

    def __init__(self, start: float = 0.0, size: float = 1.0) -> None:
        self.layer = nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.layer.weight, start)
        self.size = size
        #: after every step, before averaging
        self.weights: list[float] = []
        self.gradients: list[float] = []

    def losses(self, step: int) -> dict[str, Tensor]:
        return {"total": self.size * (self.layer.weight - 1).square().sum() / 2}

    def after_step(self, step: int) -> None:
        assert self.layer.weight.grad is not None
        self.weights.append(float(self.layer.weight.detach()))
        self.gradients.append(float(self.layer.weight.grad))

    def train(self, folder: Path, schedule: Schedule) -> float:
        optimise("line", (self.layer,), self.losses, schedule, run_at(folder), self.after_step)
        return float(self.layer.weight.detach())


def test_one_step_lowers_the_loss_of_a_codec(tmp_path: Path) -> None:
    codec = tiny_networks(*tiny_configs("streamable", 42))[0].train()
    torch.manual_seed(0)
    motion = 0.01 * torch.randn(2, 12, codec.config.motion_dim)

    def losses(step: int) -> dict[str, Tensor]:
        predicted, latent, codes = codec(motion)
        error = reconstruction_l1(predicted, motion)
        return {
            "total": error + quantiser_loss(latent, codec.quantiser.lookup(codes)),
            "motion": error.detach(),
        }

    before = float(losses(0)["total"].detach())
    optimise("codec", (codec,), losses, plan(1, rate=1e-4), run_at(tmp_path))
    assert float(losses(1)["total"].detach()) < before


def test_the_rate_warms_up_and_follows_half_a_cosine_down_to_two_percent() -> None:
    schedule = plan(110, rate=2e-3, warm_up=10)
    wanted = {
        0: 2e-3 / 10,
        4: 2e-3 / 2,
        9: 2e-3,
        10: 2e-3,
        35: 2e-3 * (0.02 + 0.98 * (2 + math.sqrt(2)) / 4),  # a quarter of the way: (1 + cos 45°) / 2
        60: 2e-3 * (0.02 + 0.98 / 2),
        110: 2e-3 * 0.02,
    }
    assert {step: rate_at(step, schedule) for step in wanted} == pytest.approx(wanted)


def test_the_optimiser_moves_at_the_rate_of_its_step(tmp_path: Path) -> None:
    """Adam's steps on a steady gradient are as long as the rate."""
    line = Line()
    line.losses = lambda step: {"total": -line.layer.weight.sum()}  # type: ignore[method-assign]
    line.train(tmp_path, plan(4, rate=0.1, warm_up=2))
    moves = [b - a for a, b in zip([0.0, *line.weights], line.weights, strict=False)]
    third = 0.1 * (0.02 + 0.98 / 2)  # half-way down the cosine of two steps
    assert moves == pytest.approx([0.05, 0.1, 0.1, third], rel=1e-5)


def test_the_kept_weights_are_the_moving_average(tmp_path: Path) -> None:
    line = Line()
    kept = line.train(tmp_path, plan(30, rate=0.1, ema=0.7))
    average = 0.0
    for step, weight in enumerate(line.weights):
        keep = min(0.7, (1 + step) / (10 + step))  # 0.1 at first, so that the start is soon forgotten
        average = keep * average + (1 - keep) * weight
    assert kept == pytest.approx(average, rel=1e-5)
    assert kept != pytest.approx(line.weights[-1], rel=1e-5)


def test_without_averaging_the_last_weights_are_kept(tmp_path: Path) -> None:
    line = Line()
    assert line.train(tmp_path, plan(5, ema=0.0)) == line.weights[-1]


@pytest.mark.parametrize(
    ("size", "clip", "wanted"), [(100.0, 0.5, -0.5), (0.25, 0.5, -0.25), (100.0, 0.0, -100.0)]
)
def test_gradients_are_cut_to_the_limit_and_not_below_it(
    tmp_path: Path, size: float, clip: float, wanted: float
) -> None:
    """The third: a limit of 0 is none."""
    line = Line(size=size)
    line.train(tmp_path, plan(1, clip=clip))
    assert line.gradients == pytest.approx([wanted], rel=1e-4)


def test_a_gradient_that_is_not_finite_stops_the_run_with_its_step_and_loss(tmp_path: Path) -> None:
    line = Line(start=3.0)

    def losses(step: int) -> dict[str, Tensor]:
        fine = line.layer.weight.sum()
        lips = fine * (math.inf if step == 2 else 1.0)
        return {"total": fine + lips, "lips": lips.detach(), "jaw": fine.detach()}

    seen: list[float] = []
    with pytest.raises(FloatingPointError, match=r"line: .* at step 2 \(not finite: total, lips\)"):
        optimise(
            "line",
            (line.layer,),
            losses,
            plan(5),
            run_at(tmp_path),
            lambda step: seen.append(float(line.layer.weight.detach())),
        )
    assert len(seen) == 2
    assert float(line.layer.weight.detach()) == seen[-1]


def test_bfloat16_is_the_schedules_choice(tmp_path: Path) -> None:
    layer = nn.Linear(4, 4)
    seen: list[torch.dtype] = []

    def losses(step: int) -> dict[str, Tensor]:
        out = layer(torch.ones(1, 4))
        seen.append(out.dtype)
        return {"total": out.float().square().sum()}

    for name, half in (("a", True), ("b", False)):
        schedule = Schedule(steps=1, batch=1, window_s=1.0, rate=0.01, bfloat16=half)
        optimise("layer", (layer,), losses, schedule, run_at(tmp_path / name))
    assert seen == [torch.bfloat16, torch.float32]
    assert layer.weight.dtype == torch.float32


def test_frozen_weights_stay(tmp_path: Path) -> None:
    network = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    network[0].requires_grad_(False)
    before = [p.detach().clone() for p in network.parameters()]
    data = torch.ones(3, 2)
    optimise(
        "x", (network,), lambda step: {"total": network(data).square().mean()}, plan(3), run_at(tmp_path)
    )
    same = [torch.equal(old, new) for old, new in zip(before, network.parameters(), strict=True)]
    assert same == [True, True, False, False]


def test_a_finished_stage_comes_back_without_a_step(tmp_path: Path) -> None:
    first = Line()
    kept = first.train(tmp_path, plan(6, ema=0.9))
    again = Line()
    optimise("line", (again.layer,), again.losses, plan(6, ema=0.9), run_at(tmp_path, True), again.after_step)
    assert again.weights == []
    assert float(again.layer.weight.detach()) == kept


def stopped_run(folder: Path) -> None:
    """A run that fails in its fourth step and leaves the checkpoint of its third."""
    line = Line()

    def losses(step: int) -> dict[str, Tensor]:
        if step == 3:
            raise KeyboardInterrupt
        return line.losses(step)

    with pytest.raises(KeyboardInterrupt):
        optimise("line", (line.layer,), losses, plan(6), run_at(folder, every=1))


def test_another_schedule_is_refused_and_named(tmp_path: Path) -> None:
    stopped_run(tmp_path)
    line = Line()
    with pytest.raises(CheckpointError, match=r"another schedule: rate is 0\.01 there, 0\.5 here"):
        optimise("line", (line.layer,), line.losses, plan(6, rate=0.5), run_at(tmp_path, True))


def test_other_networks_are_refused(tmp_path: Path) -> None:
    stopped_run(tmp_path)
    line = Line()
    generator = torch.Generator()
    for networks, stateful in (((line.layer, nn.Linear(1, 1)), {}), ((line.layer,), {"noise": generator})):
        with pytest.raises(CheckpointError, match="hold other networks"):
            optimise("line", networks, line.losses, plan(6), run_at(tmp_path, True), stateful=stateful)
