"""Stage 0: teach the speech encoder phones and mouth motion, frame by frame.

From scratch there is no pretrained wav2vec 2.0 to start from; the corpus knows its phone times, so
the encoder first learns to name the phone at every motion frame and to regress the mouth.  Both
heads are thrown away: phone times are never seen in generation.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from codetalker_blender.engine.speech import SpeechEncoder

from .config import SpeechStage
from .loop import RunFolder, optimise
from .losses import code_cross_entropy, weighted_motion
from .windows import WindowSampler


def train_speech(
    encoder: SpeechEncoder, sampler: WindowSampler, metric: Tensor, stage: SpeechStage, run: RunFolder
) -> None:
    """Train ``encoder`` in place.  metric: see :func:`training.losses.weighted_motion`."""
    hidden, schedule = encoder.config.hidden, stage.schedule
    phone_head = nn.Linear(hidden, len(sampler.labels))
    motion_head = nn.Linear(hidden, metric.shape[0])
    # motion in units of its own spread: metres are too small beside a random bias
    seen = torch.from_numpy(np.concatenate(sampler.motion))
    mean, spread = seen.mean(dim=0), seen.std(dim=0)
    chunks = round(schedule.window_s / encoder.config.chunk_s)
    encoder.train()

    def losses(_step: int) -> dict[str, Tensor]:
        batch = sampler.draw(schedule.batch, chunks)
        features = encoder.chunks(batch.chunks).reshape(schedule.batch, -1, hidden)
        logits = phone_head(features).float()
        phone = code_cross_entropy(logits, batch.phones)
        moved = mean + spread * motion_head(features).float()
        motion = weighted_motion(moved, batch.motion, metric)
        right = (logits.argmax(-1) == batch.phones).float().mean()
        total = phone + stage.motion_weight * motion
        return {
            "total": total,
            "phone": phone.detach(),
            "motion_mm": motion.detach(),
            "phone_accuracy": right,
        }

    optimise("speech", (encoder, phone_head, motion_head), losses, schedule, run)
    encoder.eval()
    with torch.no_grad():
        report = losses(schedule.steps)
    run.log("speech-done", {name: float(value.detach()) for name, value in report.items()})
