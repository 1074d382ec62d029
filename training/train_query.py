"""Stage 2: teach the code query to choose codes from speech, past motion and style (section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import SpeechEncoder

from .config import QueryStage
from .gaps import Gaps
from .loop import RunFolder, optimise
from .losses import code_cross_entropy, feature_mse, weighted_motion, weighted_velocity
from .sounds import RawSounds
from .windows import WindowSampler


def true_codes(codec: Codec, sampler: WindowSampler) -> list[Tensor]:
    """Codes (frames, H) of every whole clip, as the trained codec gives them."""
    with torch.inference_mode():
        return [codec.encode(torch.from_numpy(motion)[None])[0] for motion in sampler.motion]


def shifted(before: Tensor, motion: Tensor) -> Tensor:
    """The motion one frame earlier: before (batch, R), motion (batch, T, R) -> (batch, T, R)."""
    return torch.cat((before[:, None], motion[:, :-1]), dim=1)


def train_query(
    encoder: SpeechEncoder,
    codec: Codec,
    query: CodeQuery,
    sampler: WindowSampler,
    metric: Tensor,
    gaps: Gaps,
    regressed_rows: Tensor,
    stage: QueryStage,
    run: RunFolder,
    seed: int,
) -> None:
    """Train ``query`` and ``encoder`` in place; the codec (and convolutions on raw sound) are frozen.

    metric: see :func:`training.losses.weighted_motion`
    regressed_rows: (R,) 1 where a motion coefficient belongs to the regressed components, 0 where to classes
    """
    schedule, config = stage.schedule, query.config
    chunks = round(schedule.window_s / encoder.config.chunk_s)
    frames = chunks * encoder.chunk_frames
    random = torch.Generator().manual_seed(seed)
    if isinstance(sampler.sounds, RawSounds):
        sampler.sounds.freeze(stage.sound_variants)
        encoder.network.feature_extractor.requires_grad_(False)
    sampler.codes = true_codes(codec, sampler)
    codec.requires_grad_(False)
    noise = stage.past_noise * torch.cat([torch.from_numpy(m) for m in sampler.motion]).std(dim=0)
    target_variance = codec.quantiser.lookup(torch.cat(sampler.codes)).var(dim=0).mean().clamp_min(1e-8)
    regressed = config.components - config.categorical

    def share(probability: float) -> Tensor:
        """(batch, 1, 1) of 0 and 1, ones with ``probability``."""
        return (torch.rand(schedule.batch, 1, 1, generator=random) < probability).float()

    def decoded(features: Tensor | None, codes: Tensor) -> Tensor:
        """Motion (batch, T, R) of predicted features; gradients pass the quantiser straight through.

        Classes give no gradient that way, so theirs are the true codes.
        """
        known = codec.quantiser.lookup(codes[..., regressed:])
        parts = [known] if features is None else [codec.quantiser(features)[0], known]
        return torch.as_tensor(codec.decoder(torch.cat(parts, dim=-1)))

    def losses(step: int) -> dict[str, Tensor]:
        batch = sampler.draw(schedule.batch, frames, chunks=chunks)
        speech = sampler.sounds.features(batch.chunks).reshape(schedule.batch, -1, encoder.config.hidden)
        past = shifted(batch.before, batch.motion)
        own_turn = float(torch.rand((), generator=random)) < stage.self_share
        if own_turn and step > schedule.steps // 10:
            with torch.no_grad():
                features, _ = query(speech.detach(), past, batch.style)
                own = decoded(None if features is None else features.float(), batch.codes)
            # what is drawn by chance has no single prediction that could stand in for the truth
            past = torch.where(regressed_rows > 0, shifted(batch.before, own.float()), past)
        past = past + noise * torch.randn(past.shape, generator=random)
        past = past * (1 - share(stage.past_drop) * regressed_rows)
        features, logits = query(speech, past, batch.style)
        result: dict[str, Tensor] = {}
        total = torch.zeros(())
        if features is not None:
            features = features.float()
            wanted = codec.quantiser.lookup(batch.codes[..., :regressed])
            result["feature"] = feature_mse(features, wanted) / target_variance
            total = total + stage.feature_weight * result["feature"]
        if logits is not None:
            result["classes"] = code_cross_entropy(logits.float(), batch.codes[..., regressed:])
            total = total + stage.class_weight * result["classes"]
        predicted = decoded(features, batch.codes).float()
        result["motion_mm"] = weighted_motion(predicted, batch.motion, metric)
        result["speed_mm"] = weighted_velocity(predicted, batch.motion, metric)
        result["gap"] = gaps.error(predicted, batch.motion)
        total = total + stage.motion_weight * result["motion_mm"] + stage.velocity_weight * result["speed_mm"]
        total = total + stage.gap_weight * result["gap"]
        return {"total": total} | {name: value.detach() for name, value in result.items()}

    encoder.train(encoder.config.dropout > 0 or encoder.config.mask_probability > 0)
    query.train(config.dropout > 0)
    optimise("query", (encoder, query), losses, schedule, run)
    encoder.eval()
    query.eval()
