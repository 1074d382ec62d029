"""Stage 2: teach the code query to choose codes from speech, past motion and style (section 3.3).

python -m training.train_query --run DIR --preset P --data KIND [PATH]
"""

from __future__ import annotations

import torch
from torch import Tensor

from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import SpeechEncoder

from .config import QueryStage
from .gaps import Gaps
from .loop import RunFolder, optimise
from .losses import code_cross_entropy, feature_mse
from .motion_losses import MotionLosses
from .processes import PROCESS_SEED
from .random_states import Stateful
from .train_codebook import Preview
from .whole_clips import Sampler
from .windows import Batch, window_size


def shifted(before: Tensor, motion: Tensor) -> Tensor:
    """The motion one frame earlier: before (batch, R), motion (batch, T, R) -> (batch, T, R)."""
    return torch.cat((before[:, None], motion[:, :-1]), dim=1)


def train_query(
    encoder: SpeechEncoder,
    codec: Codec,
    query: CodeQuery,
    sampler: Sampler,
    metric: Tensor | None,
    gaps: Gaps,
    regressed_rows: Tensor,
    stage: QueryStage,
    run: RunFolder,
    seed: int,
    preview: Preview | None = None,
) -> None:
    """Train ``query`` and ``encoder`` in place; the codec (and convolutions on raw sound) are frozen.

    metric: see :func:`training.losses.weighted_motion`; None where the stage weighs no regions
    regressed_rows: (R,) 1 where a motion coefficient belongs to the regressed components, 0 where to classes
    """
    schedule, config, device = stage.schedule, query.config, run.processes.device
    frames, chunks = window_size(schedule, encoder.config)
    random = torch.Generator().manual_seed(seed + PROCESS_SEED * run.processes.index)
    for network in (encoder, codec):
        network.to(device)
    codec.requires_grad_(False).eval()
    if sampler.freeze(stage.sound_variants):
        encoder.network.feature_extractor.requires_grad_(False)
    sampler.find_codes(codec)
    noise = stage.past_noise * torch.from_numpy(sampler.sample_motion()).std(dim=0).to(device)
    feature_scale = _feature_scale(codec, sampler) if stage.feature_scaled else torch.ones(())
    feature_scale, regressed_rows = feature_scale.to(device), regressed_rows.to(device)
    motion_losses = MotionLosses(stage.motion_losses, metric, gaps, device)
    regressed = config.components - config.categorical

    def share(probability: float) -> Tensor:
        """(batch, 1, 1) of 0 and 1, ones with ``probability``."""
        return (torch.rand(schedule.batch, 1, 1, generator=random) < probability).float().to(device)

    def decoded(features: Tensor | None, codes: Tensor) -> Tensor:
        """Motion (batch, T, R) of predicted features; gradients pass the quantiser straight through.

        Classes give no gradient that way, so theirs are the true codes.
        """
        known = codec.quantiser.lookup(codes[..., regressed:])
        parts = [known] if features is None else [codec.quantiser(features)[0], known]
        return torch.as_tensor(codec.decoder(torch.cat(parts, dim=-1)))

    @torch.no_grad()
    def own_motion(speech: Tensor, past: Tensor, style: Tensor, codes: Tensor) -> Tensor:
        features, _ = query(speech, past, style)
        return decoded(None if features is None else features.float(), codes).float()

    def past_of(batch: Batch, speech: Tensor, codes: Tensor, step: int) -> Tensor:
        """(batch, T, D): what the query reads as past motion, spoilt as generation will spoil it."""
        past = shifted(batch.before, batch.motion)
        if stage.self_share:
            own_turn = float(torch.rand((), generator=random)) < stage.self_share
            if own_turn and step > schedule.steps // 10:
                passes = int(torch.randint(1, stage.self_passes + 1, (), generator=random))
                for _ in range(passes):
                    past = shifted(batch.before, own_motion(speech.detach(), past, batch.style, codes))
        if stage.past_noise:
            past = past + noise * torch.randn(past.shape, generator=random).to(device)
        if stage.past_drop:
            past = past * (1 - share(stage.past_drop) * regressed_rows)
        return past

    def losses(step: int) -> dict[str, Tensor]:
        batch = sampler.draw(schedule.batch, frames, chunks=chunks).to(device)
        codes = batch.codes
        if not sampler.codes:
            with torch.no_grad():
                codes = codec.encode(batch.motion)
        speech = sampler.speech(batch)
        if step < stage.hold_share * schedule.steps:
            speech = speech.detach()
        features, logits = query(speech, past_of(batch, speech, codes, step), batch.style)
        result: dict[str, Tensor] = {}
        total = torch.zeros((), device=device)
        if features is not None:
            features = features.float()
            wanted = codec.quantiser.lookup(codes[..., :regressed])
            result["feature"] = feature_mse(features, wanted) / feature_scale
            total = total + stage.feature_weight * result["feature"]
        if logits is not None:
            result["classes"] = code_cross_entropy(logits.float(), codes[..., regressed:])
            total = total + stage.class_weight * result["classes"]
        moved, found = motion_losses(decoded(features, codes).float(), batch.motion)
        return {"total": total + moved} | {name: value.detach() for name, value in (result | found).items()}

    encoder.train(encoder.config.dropout > 0 or encoder.config.mask_probability > 0)
    query.train(config.dropout > 0)
    stateful: dict[str, Stateful] = {"past": random, **sampler.stateful()}
    optimise("query", (encoder, query), losses, schedule, run, stateful=stateful, preview=preview)
    encoder.eval()
    query.eval()


def _feature_scale(codec: Codec, sampler: Sampler) -> Tensor:
    """The variance of the code vectors that the data chooses."""
    if not sampler.codes:
        raise ValueError("feature_scaled needs windows, whose codes are known beforehand")
    place = codec.quantiser.codebook.device
    return codec.quantiser.lookup(torch.cat(sampler.codes).to(place)).var(dim=0).mean().clamp_min(1e-8)


if __name__ == "__main__":
    from .train import main

    raise SystemExit(main(stage="query"))
