"""The plain regressor that a two-stage model is measured against: the same networks without codes.

    python -m training.train_regressor --run DIR --preset P --data KIND [PATH]

It starts from the run's speech encoder, as the code query does, and trains the query's transformer to
predict motion itself, with the same losses, windows and steps; its past motion is always blank.
``training.ladder`` puts it beside the whole model.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch
from torch import Tensor, nn

from codetalker_blender.engine.bundle import Bundle, load_strictly
from codetalker_blender.engine.query import CodeQuery, QueryConfig
from codetalker_blender.engine.speech import SpeechEncoder
from codetalker_blender.errors import UserError

from .checkpoints import CheckpointFolder
from .config import QueryStage
from .gaps import Gaps
from .loop import RunFolder, optimise
from .motion_losses import MotionLosses
from .whole_clips import Sampler
from .windows import window_size

#: The name of its stage in a run's folder.
REGRESSOR = "regressor"


class Regressor(nn.Module):
    """Sound and style -> motion, by the query's transformer on blank past motion."""

    mean: Tensor
    spread: Tensor

    def __init__(self, speech: SpeechEncoder, config: QueryConfig) -> None:
        """config: of the code query that it stands beside."""
        super().__init__()
        self.speech = speech
        # one "component" that is the motion itself
        self.query = CodeQuery(
            dataclasses.replace(config, components=1, code_dim=config.motion_dim, categorical=0)
        )
        # motion in units of its own spread; train_regressor sets them
        self.register_buffer("mean", torch.zeros(config.motion_dim))
        self.register_buffer("spread", torch.ones(config.motion_dim))

    def forward(self, samples: Tensor, style: Tensor) -> Tensor:
        """A clip (n,), style (1, 1, styles) -> motion (1, T, D)."""
        return self.of_features(self.speech.features(samples), style)

    def of_features(self, features: Tensor, style: Tensor) -> Tensor:
        """features: (batch, T * speech_frames, channels) -> motion (batch, T, D)."""
        steps = features.shape[1] // self.query.config.speech_frames
        blank = features.new_zeros(features.shape[0], steps, len(self.mean))
        motion, _ = self.query(features, blank, style)
        assert motion is not None
        return torch.as_tensor(self.mean + self.spread * motion.float())


def train_regressor(
    regressor: Regressor,
    sampler: Sampler,
    metric: Tensor | None,
    gaps: Gaps,
    stage: QueryStage,
    run: RunFolder,
) -> None:
    """Train in place, with the code query's schedule and the motion losses of stage 2."""
    schedule, config, device = stage.schedule, regressor.speech.config, run.processes.device
    frames, chunks = window_size(schedule, config)
    seen = torch.from_numpy(sampler.sample_motion())
    regressor.mean.copy_(seen.mean(dim=0))
    regressor.spread.copy_(seen.std(dim=0))
    motion_losses = MotionLosses(stage.motion_losses, metric, gaps, device)

    def losses(_step: int) -> dict[str, Tensor]:
        batch = sampler.draw(schedule.batch, frames, chunks=chunks).to(device)
        predicted = regressor.of_features(sampler.speech(batch), batch.style)
        total, found = motion_losses(predicted, batch.motion)
        return {"total": total} | found

    regressor.train(config.dropout > 0 or regressor.query.config.dropout > 0)
    optimise(REGRESSOR, (regressor,), losses, schedule, run, stateful=sampler.stateful())
    regressor.eval()


def load_regressor(run: Path, bundle: Bundle) -> Regressor:
    """The regressor that was trained in the folder ``run``, beside ``bundle``.  Raises UserError."""
    checkpoints = CheckpointFolder(run / "checkpoints" / REGRESSOR)
    state = checkpoints.newest()
    if state is None:
        raise UserError(
            f"'{run}' holds no regressor.", "Run `python -m training.train_regressor` on that folder first."
        )
    regressor = Regressor(SpeechEncoder(bundle.speech.config), bundle.query.config)
    load_strictly(regressor, state["networks"][0], str(checkpoints.folder))
    return regressor.eval()


if __name__ == "__main__":
    from .train import main

    raise SystemExit(main(stage=REGRESSOR))
