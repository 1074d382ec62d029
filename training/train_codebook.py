"""Stage 1: learn the codebook of motion primitives by self-reconstruction (section 3.2)."""

from __future__ import annotations

import torch
from torch import Tensor

from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery

from .config import CodebookStage
from .gaps import Gaps
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


def fit_scales(codec: Codec, query: CodeQuery, motion: Tensor) -> None:
    """Scale the first and last Linear layers to the data, so that training starts at unit variance.

    motion: (frames, D) of the training set.  Offsets are small numbers of metres; without this the
    networks' random biases drown them and the codebook collapses to a few codes.
    Only initial weights change: the networks stay what they are.
    """
    mean, spread = motion.mean(dim=0), motion.std(dim=0)
    spread = spread.clamp_min(0.1 * float(spread.max()))
    with torch.no_grad():
        for layer in (codec.encoder.input, query.motion_map):
            layer.weight.div_(spread)
            layer.bias.sub_(layer.weight @ mean)
        codec.decoder.output.weight.mul_(spread[:, None])
        if codec.decoder.output.bias is not None:
            codec.decoder.output.bias.copy_(mean)


def lay_codebook(codec: Codec, latent: Tensor, seed: int, rounds: int = 10) -> None:
    """Put the codes on the latents' clusters (k-means from a random start).

    latent: (..., H*C); every component's vectors share the one codebook.
    """
    vectors = latent.detach().reshape(-1, codec.config.code_dim)
    random = torch.Generator().manual_seed(seed)
    codes = vectors[torch.randperm(len(vectors), generator=random)[: codec.config.code_count]].clone()
    for _ in range(rounds):
        nearest = torch.cdist(vectors, codes).argmin(dim=1)
        sums = torch.zeros_like(codes).index_add_(0, nearest, vectors)
        counts = torch.bincount(nearest, minlength=len(codes))[:, None]
        codes = torch.where(counts > 0, sums / counts.clamp_min(1), codes)
    with torch.no_grad():
        codec.quantiser.codebook[: len(codes)] = codes


def set_apart(codec: Codec, query: CodeQuery, distance: float = 400.0) -> None:
    """Scale codes and features so that the median nearest neighbour is ``distance`` away (squared).

    Generation draws codes by softmax(-distance / temperature) and classes by softmax(logit / temperature):
    at the temperature that draws classes as they were learnt (1), features then take their nearest code.
    Nothing else changes: the decoder's first Linear takes the scale back.
    """
    with torch.no_grad():
        codes = codec.quantiser.codebook
        apart = torch.cdist(codes, codes).fill_diagonal_(torch.inf).amin(dim=1)
        scale = (distance**0.5) / apart.median()
        codes.mul_(scale)
        query.feature_map.weight.mul_(scale)
        last, first = codec.encoder.code_projection, codec.decoder.code_projection
        assert isinstance(last, torch.nn.Linear) and isinstance(first, torch.nn.Linear)
        last.weight.mul_(scale)
        last.bias.mul_(scale)
        first.weight.div_(scale)


def train_codebook(
    codec: Codec,
    sampler: WindowSampler,
    metric: Tensor,
    gaps: Gaps,
    stage: CodebookStage,
    run: RunFolder,
    seed: int,
) -> None:
    """Train ``codec`` in place.  metric: see :func:`training.losses.weighted_motion`."""
    schedule = stage.schedule
    frames = round(schedule.window_s * sampler.fps)
    restarts = CodebookRestarts(codec, seed)
    plain_steps = int(stage.plain_share * schedule.steps)
    codec.train(codec.config.dropout > 0)

    def losses(step: int) -> dict[str, Tensor]:
        motion = sampler.draw(schedule.batch, frames).motion
        if step < plain_steps:
            predicted = codec.decoder(codec.encoder(motion))
            error = weighted_motion(predicted, motion, metric)
            speed = weighted_velocity(predicted, motion, metric)
            total = error + stage.velocity_weight * speed + stage.gap_weight * gaps.error(predicted, motion)
            return {"total": total, "plain_mm": error.detach()}
        if step == plain_steps and plain_steps:
            wide = sampler.draw(4 * schedule.batch, frames).motion
            with torch.no_grad():
                lay_codebook(codec, codec.encoder(wide), seed)
        predicted, latent, codes = codec(motion)
        restarts.saw(latent, codes)
        error = weighted_motion(predicted, motion, metric)
        speed = weighted_velocity(predicted, motion, metric)
        quantised = quantiser_loss(latent, codec.quantiser.lookup(codes))
        gap = gaps.error(predicted, motion)
        total = error + stage.velocity_weight * speed + stage.quantiser_weight * quantised
        total = total + stage.gap_weight * gap
        used = perplexity(codes, codec.config.code_count)
        return {
            "total": total,
            "motion_mm": error.detach(),
            "speed_mm": speed.detach(),
            "gap": gap.detach(),
            "quantiser": quantised.detach(),
            "perplexity": used,
        }

    def after_step(step: int) -> None:
        # none in the last fifth, so that every code has time to settle
        due = stage.restart_every and (step + 1) % stage.restart_every == 0
        if due and plain_steps <= step < 0.8 * schedule.steps:
            restarts.restart()

    optimise("codebook", (codec,), losses, schedule, run, after_step)
    codec.eval()
