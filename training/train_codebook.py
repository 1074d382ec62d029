"""Stage 1: learn the codebook of motion primitives by self-reconstruction (section 3.2).

python -m training.train_codebook --run DIR --preset P --data KIND [PATH]
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery

from .config import CodebookStage
from .gaps import Gaps
from .loop import RunFolder, optimise
from .losses import perplexity, quantiser_loss
from .motion_losses import MotionLosses
from .processes import PROCESS_SEED, Processes
from .whole_clips import Sampler

#: Standard deviation of the latents when the codebook is laid on them.  The quantiser's loss grows with its
#: square: much smaller, and the latents run away from the codes; much larger, and the motion is not learnt.
LATENT_SPREAD = 2.0
#: Draws pictures after so many steps.
Preview = Callable[[int], None]


class CodebookRestarts:
    """Replaces codes that nothing has chosen for a while by encoder outputs that no code is near.

    Outputs of the newest batch are drawn by their squared distance from their codes, so that rare motion
    (a blink fills a twelfth of the time) gets codes as well.
    """

    def __init__(self, codec: Codec, seed: int) -> None:
        self._codec = codec
        self._random = torch.Generator().manual_seed(seed)
        self._used = torch.zeros(codec.config.code_count)
        self._latent: Tensor | None = None
        self._far = torch.zeros(0)

    def saw(self, latent: Tensor, codes: Tensor) -> None:
        self._used += torch.bincount(codes.flatten(), minlength=len(self._used)).to(self._used)
        self._latent = latent.detach().float().reshape(-1, self._codec.config.code_dim)
        own = self._codec.quantiser.lookup(codes).detach().reshape(self._latent.shape)
        self._far = (self._latent - own).square().sum(-1).cpu()

    def restart(self, processes: Processes | None = None) -> int:
        """Restart all dead codes and forget the counts; returns how many there were.

        With several processes all call it: a code is dead when none of them chose it, and all take the
        main process's latents.
        """
        used = self._used if processes is None else processes.total(self._used)
        dead = (used == 0).nonzero().flatten()
        if len(dead) and self._latent is not None:
            # a small batch may have fewer outputs than there are dead codes
            count = min(len(dead), len(self._far))
            picks = torch.multinomial(self._far + 1e-12, count, generator=self._random)
            codebook = self._codec.quantiser.codebook
            with torch.no_grad():
                found = self._latent[picks.to(codebook.device)].to(codebook)
                codebook[dead[:count].to(codebook.device)] = found
            if processes is not None:
                processes.share_weights([self._codec.quantiser])
        self._used.zero_()
        return len(dead)

    def state_dict(self) -> dict[str, Any]:
        """The latents are left out: every step sees new ones before it may restart."""
        return {"random": self._random.get_state(), "used": self._used}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self._random.set_state(state["random"])
        self._used.copy_(state["used"])


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
    """Put the codes on the latents' clusters, an equal share of them on each component's.

    latent: (..., H*C); every component's vectors share the one codebook.  k-means++ (Arthur and
    Vassilvitskii 2007): far-off vectors become centres too, so that blinks are not lost among open lids.
    """
    config = codec.config
    random = torch.Generator().manual_seed(seed)
    # means of thousands of vectors need the full precision
    vectors = latent.detach().float().reshape(-1, config.components, config.code_dim)
    count = config.code_count // config.components
    with torch.no_grad():
        for component in range(config.components):
            codes = _clusters(vectors[:, component], count, random, rounds)
            codec.quantiser.codebook[component * count : (component + 1) * count] = codes


def _clusters(vectors: Tensor, count: int, random: torch.Generator, rounds: int) -> Tensor:
    """k-means centres (count, C) of ``vectors`` (n, C)."""

    def draw(weights: Tensor) -> Tensor:
        return vectors[torch.multinomial(weights.cpu(), 1, generator=random).to(vectors.device)]

    centres = draw(torch.ones(len(vectors)))
    for _ in range(count - 1):
        far = torch.cdist(vectors, centres).amin(dim=1).square() + 1e-12
        centres = torch.cat((centres, draw(far)))
    for _ in range(rounds):
        nearest = torch.cdist(vectors, centres).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, vectors)
        members = torch.bincount(nearest, minlength=count)[:, None]
        centres = torch.where(members > 0, sums / members.clamp_min(1), centres)
    return centres


def scale_latent(codec: Codec, scale: float) -> None:
    """Latents and codes ``scale`` times as large; the decoder's first Linear takes it back.

    Does nothing to a codec without projections around its codes.
    """
    last, first = codec.encoder.code_projection, codec.decoder.code_projection
    if not (isinstance(last, nn.Linear) and isinstance(first, nn.Linear)):
        return
    with torch.no_grad():
        codec.quantiser.codebook.mul_(scale)
        last.weight.mul_(scale)
        last.bias.mul_(scale)
        first.weight.div_(scale)


def set_apart(codec: Codec, query: CodeQuery, distance: float = 400.0) -> None:
    """Scale codes and features so that the median nearest neighbour is ``distance`` away (squared).

    Generation draws codes by softmax(-distance / temperature) and classes by softmax(logit / temperature):
    at a temperature that draws classes about as they were learnt (1), features then take their nearest
    code, but where two codes are as good as equally near.
    """
    with torch.no_grad():
        codes = codec.quantiser.codebook
        apart = torch.cdist(codes, codes).fill_diagonal_(torch.inf).amin(dim=1)
        scale = float(distance**0.5 / apart.median())
        scale_latent(codec, scale)
        query.feature_map.weight.mul_(scale)


def train_codebook(
    codec: Codec,
    sampler: Sampler,
    metric: Tensor | None,
    gaps: Gaps,
    stage: CodebookStage,
    run: RunFolder,
    seed: int,
    preview: Preview | None = None,
) -> None:
    """Train ``codec`` in place.

    metric: see :func:`training.losses.weighted_motion`; None where the stage weighs no regions
    """
    schedule, processes = stage.schedule, run.processes
    device = processes.device
    frames = round(schedule.window_s * sampler.fps)
    restarts = CodebookRestarts(codec, seed + PROCESS_SEED * processes.index)
    plain_steps = int(stage.plain_share * schedule.steps)
    motion_losses = MotionLosses(stage.motion_losses, metric, gaps, device)
    codec.train(codec.config.dropout > 0)

    def losses(step: int) -> dict[str, Tensor]:
        motion = sampler.draw(schedule.batch, frames).motion.to(device)
        if step < plain_steps:
            total, found = motion_losses(codec.decoder(codec.encoder(motion)), motion)
            return {"total": total} | {f"plain_{name}": value for name, value in found.items()}
        if step == plain_steps and plain_steps:
            wide = sampler.draw(4 * schedule.batch, frames).motion.to(device)
            with torch.no_grad():
                scale_latent(codec, LATENT_SPREAD / float(codec.encoder(wide).std()))
                lay_codebook(codec, codec.encoder(wide), seed)
            processes.share_weights([codec])
        predicted, latent, codes = codec(motion)
        restarts.saw(latent, codes)
        total, found = motion_losses(predicted, motion)
        if stage.quantiser_weight:
            quantised = quantiser_loss(latent, codec.quantiser.lookup(codes))
            total = total + stage.quantiser_weight * quantised
            found["quantiser"] = quantised.detach()
        found["perplexity"] = perplexity(codes, codec.config.code_count)
        return {"total": total} | found

    def after_step(step: int) -> None:
        # none in the last fifth, so that every code has time to settle
        due = stage.restart_every and (step + 1) % stage.restart_every == 0
        if due and plain_steps <= step < 0.8 * schedule.steps:
            restarts.restart(processes)

    optimise(
        "codebook",
        (codec,),
        losses,
        schedule,
        run,
        after_step,
        stateful={"restarts": restarts, **sampler.stateful()},
        preview=preview,
    )
    codec.eval()


if __name__ == "__main__":
    from .train import main

    raise SystemExit(main(stage="codebook"))
