"""Stage 2: teach the code query to choose codes from speech, past motion and style (section 3.3)."""

from __future__ import annotations

import torch
from torch import Tensor

from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import SpeechEncoder

from .config import QueryStage
from .loop import RunFolder, optimise
from .losses import code_cross_entropy, feature_mse, weighted_motion, weighted_velocity
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
    stage: QueryStage,
    run: RunFolder,
    seed: int,
) -> None:
    """Train ``query`` and the transformer of ``encoder`` in place; its convolutions and the codec are frozen.

    metric: see :func:`training.losses.weighted_motion`
    """
    schedule, config = stage.schedule, query.config
    chunks = round(schedule.window_s / encoder.config.chunk_s)
    random = torch.Generator().manual_seed(seed)
    sampler.cache_convolutions(stage.sound_variants)
    sampler.codes = true_codes(codec, sampler)
    frozen = (encoder.network.feature_extractor, codec)
    for network in frozen:
        network.requires_grad_(False)
    noise = stage.past_noise * torch.cat([torch.from_numpy(m) for m in sampler.motion]).std(dim=0)
    target_variance = codec.quantiser.lookup(torch.cat(sampler.codes)).var(dim=0).mean().clamp_min(1e-8)

    def share(probability: float) -> Tensor:
        """(batch, 1, 1) of 0 and 1, ones with ``probability``."""
        return (torch.rand(schedule.batch, 1, 1, generator=random) < probability).float()

    def decoded(features: Tensor | None, logits: Tensor | None) -> Tensor:
        """Motion (batch, T, R) of predictions; gradients pass the quantiser straight through."""
        parts = []
        if features is not None:
            parts.append(codec.quantiser(features)[0])
        if logits is not None:
            parts.append(codec.quantiser.lookup(logits.argmax(-1)))
        return torch.as_tensor(codec.decoder(torch.cat(parts, dim=-1)))

    def losses(step: int) -> dict[str, Tensor]:
        batch = sampler.draw(schedule.batch, chunks)
        speech = encoder.chunk_features(batch.chunks).reshape(schedule.batch, -1, encoder.config.hidden)
        past = shifted(batch.before, batch.motion)
        if stage.self_share and step > schedule.steps // 10:
            with torch.no_grad():
                own = decoded(*query(speech.detach(), past, batch.style))
            chosen = share(stage.self_share)
            past = past * (1 - chosen) + shifted(batch.before, own) * chosen
        past = past + noise * torch.randn(past.shape, generator=random)
        past = past * (1 - share(stage.past_drop))
        features, logits = query(speech, past, batch.style)
        result: dict[str, Tensor] = {}
        total = torch.zeros(())
        regressed = config.components - config.categorical
        if features is not None:
            wanted = codec.quantiser.lookup(batch.codes[..., :regressed])
            result["feature"] = feature_mse(features, wanted) / target_variance
            total = total + stage.feature_weight * result["feature"]
        if logits is not None:
            result["classes"] = code_cross_entropy(logits, batch.codes[..., regressed:])
            total = total + stage.feature_weight * result["classes"]
        predicted = decoded(features, logits)
        result["motion_mm"] = weighted_motion(predicted, batch.motion, metric)
        result["speed_mm"] = weighted_velocity(predicted, batch.motion, metric)
        total = total + stage.motion_weight * result["motion_mm"] + stage.velocity_weight * result["speed_mm"]
        return {"total": total} | {name: value.detach() for name, value in result.items()}

    encoder.train()
    query.train()
    optimise("query", (encoder, query), losses, schedule, run)
    encoder.eval()
    query.eval()
