"""Stage 0: teach the speech encoder phones and mouth motion, frame by frame.

From scratch there is no pretrained wav2vec 2.0 to start from; the corpus knows its phone times, so
the encoder first learns to name the phone at every motion frame and to regress the motion.  Both
heads are thrown away: phone times are never seen in generation.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from codetalker_blender.engine.speech import SpeechEncoder

from .config import SpeechStage
from .gaps import Gaps
from .loop import RunFolder, optimise
from .losses import code_cross_entropy, weighted_motion, weighted_velocity
from .windows import WindowSampler


class MotionHead(nn.Module):
    """Speech features and style -> motion coefficients, frame by frame: a plain regressor.

    motion in units of its own spread: metres are too small beside a random bias
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, hidden: int, styles: int, motion: Tensor) -> None:
        """motion: (frames, R), for its mean and spread."""
        super().__init__()
        self.style = nn.Linear(styles, hidden, bias=False)
        self.inner = nn.Linear(hidden, hidden)
        self.output = nn.Linear(hidden, motion.shape[1])
        self.register_buffer("mean", motion.mean(dim=0))
        self.register_buffer("spread", motion.std(dim=0))

    def forward(self, features: Tensor, style: Tensor) -> Tensor:
        """features: (batch, T, hidden); style: (batch, 1, styles) -> (batch, T, R)."""
        inner = torch.relu(self.inner(features) + self.style(style))
        return self.mean + self.spread * self.output(inner).float()


def train_speech(
    encoder: SpeechEncoder,
    sampler: WindowSampler,
    metric: Tensor,
    gaps: Gaps,
    stage: SpeechStage,
    run: RunFolder,
) -> MotionHead:
    """Train ``encoder`` in place; returns the head, with which it is a plain regressor of motion.

    metric: see :func:`training.losses.weighted_motion`
    """
    hidden, schedule = encoder.config.hidden, stage.schedule
    phone_head = nn.Linear(hidden, len(sampler.labels))
    motion_head = MotionHead(hidden, sampler.style_count, torch.from_numpy(np.concatenate(sampler.motion)))
    chunks = round(schedule.window_s / encoder.config.chunk_s)
    frames = chunks * encoder.chunk_frames
    encoder.train(encoder.config.dropout > 0 or encoder.config.mask_probability > 0)

    def losses(_step: int) -> dict[str, Tensor]:
        batch = sampler.draw(schedule.batch, frames, chunks=chunks)
        features = sampler.sounds.features(batch.chunks).reshape(schedule.batch, -1, hidden)
        logits = phone_head(features).float()
        phone = code_cross_entropy(logits, batch.phones)
        moved = motion_head(features, batch.style)
        motion = weighted_motion(moved, batch.motion, metric)
        speed = weighted_velocity(moved, batch.motion, metric)
        gap = gaps.error(moved, batch.motion)
        right = (logits.argmax(-1) == batch.phones).float().mean()
        total = phone + stage.motion_weight * (motion + stage.velocity_weight * speed)
        return {
            "total": total + stage.gap_weight * gap,
            "phone": phone.detach(),
            "motion_mm": motion.detach(),
            "speed_mm": speed.detach(),
            "gap": gap.detach(),
            "phone_accuracy": right,
        }

    optimise("speech", (encoder, phone_head, motion_head), losses, schedule, run)
    encoder.eval()
    motion_head.eval()
    return motion_head
