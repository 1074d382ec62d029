"""Stage 1: learn the codebook of motion primitives by self-reconstruction (section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from codetalker_blender.engine.codebook import Codec

from .config import CodebookStage
from .loop import RunFolder, optimise
from .losses import perplexity, quantiser_loss, weighted_motion, weighted_velocity
from .windows import WindowSampler


class CodebookRestarts:
    """Replaces codes that nothing has chosen for a while by encoder outputs of the newest batch."""

    def __init__(self, codec: Codec, seed: int) -> None:
        self._codec = codec
        self._random = torch.Generator().manual_seed(seed)
        self._used = torch.zeros(codec.config.code_count)
        self._latent: Tensor | None = None

    def saw(self, latent: Tensor, codes: Tensor) -> None:
        self._used += torch.bincount(codes.flatten(), minlength=len(self._used))
        self._latent = latent.detach().reshape(-1, self._codec.config.code_dim)

    def restart(self) -> int:
        """Restart all dead codes and forget the counts; returns how many there were."""
        dead = (self._used == 0).nonzero().flatten()
        if len(dead) and self._latent is not None:
            picks = torch.randint(len(self._latent), (len(dead),), generator=self._random)
            with torch.no_grad():
                self._codec.quantiser.codebook[dead] = self._latent[picks]
        self._used.zero_()
        return len(dead)


def train_codebook(
    codec: Codec, sampler: WindowSampler, metric: Tensor, stage: CodebookStage, run: RunFolder, seed: int
) -> None:
    """Train ``codec`` in place.  metric: see :func:`training.losses.weighted_motion`."""
    schedule = stage.schedule
    chunks = round(schedule.window_s / sampler.encoder.config.chunk_s)
    restarts = CodebookRestarts(codec, seed)
    codec.train()

    def losses(step: int) -> dict[str, Tensor]:
        motion = sampler.draw(schedule.batch, chunks, sound=False).motion
        predicted, latent, codes = codec(motion)
        restarts.saw(latent, codes)
        error = weighted_motion(predicted, motion, metric)
        speed = weighted_velocity(predicted, motion, metric)
        quantised = quantiser_loss(latent, codec.quantiser.lookup(codes))
        total = error + stage.velocity_weight * speed + stage.quantiser_weight * quantised
        used = perplexity(codes, codec.config.code_count)
        return {
            "total": total,
            "motion_mm": error.detach(),
            "speed_mm": speed.detach(),
            "quantiser": quantised.detach(),
            "perplexity": used,
        }

    def after_step(step: int) -> None:
        # none in the last fifth, so that every code has time to settle
        due = stage.restart_every and (step + 1) % stage.restart_every == 0
        if due and step < 0.8 * schedule.steps:
            restarts.restart()

    optimise("codebook", (codec,), losses, schedule, run, after_step)
    codec.eval()
