"""Stage 0: teach the speech encoder phones and mouth motion, frame by frame.

From scratch there is no pretrained wav2vec 2.0 to start from; the corpus knows its phone times, so
the encoder first learns to name the phone at every motion frame and to regress the motion.  Both
heads are thrown away: phone times are never seen in generation.

    python -m training.train_speech --run DIR --preset P --data KIND [PATH]
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from codetalker_blender.engine.speech import SpeechEncoder

from .config import SpeechStage
from .gaps import Gaps
from .loop import RunFolder, optimise
from .losses import code_cross_entropy
from .motion_losses import MotionLosses
from .whole_clips import Sampler
from .windows import window_size


class MotionHead(nn.Module):
    """Speech features and style -> motion coefficients, frame by frame.

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
        return torch.as_tensor(self.mean + self.spread * self.output(inner).float())


def train_speech(
    encoder: SpeechEncoder,
    sampler: Sampler,
    metric: Tensor | None,
    gaps: Gaps,
    stage: SpeechStage,
    run: RunFolder,
) -> None:
    """Train ``encoder`` in place.

    metric: see :func:`training.losses.weighted_motion`; None where the stage weighs no regions
    """
    config, schedule, device = encoder.config, stage.schedule, run.processes.device
    phone_head = nn.Linear(config.hidden, len(sampler.labels))
    motion_head = MotionHead(config.hidden, sampler.style_count, torch.from_numpy(sampler.sample_motion()))
    frames, chunks = window_size(schedule, config)
    motion_losses = MotionLosses(stage.motion_losses, metric, gaps, device)
    named = stage.phone_weight > 0 and len(sampler.labels) > 1
    encoder.train(config.dropout > 0 or config.mask_probability > 0)

    def losses(_step: int) -> dict[str, Tensor]:
        batch = sampler.draw(schedule.batch, frames, chunks=chunks).to(device)
        features = sampler.speech(batch)
        if config.speech_frames > 1:  # (batch, 2 T, hidden) -> (batch, T, hidden)
            features = features.unflatten(1, (-1, config.speech_frames)).mean(dim=2)
        result = {}
        total = torch.zeros((), device=device)
        if named:
            logits = phone_head(features).float()
            phone = code_cross_entropy(logits, batch.phones)
            total = stage.phone_weight * phone
            right = (logits.argmax(-1) == batch.phones).float().mean()
            result = {"phone": phone.detach(), "phone_accuracy": right}
        moved, found = motion_losses(motion_head(features, batch.style), batch.motion)
        return {"total": total + moved} | result | found

    networks = (encoder, phone_head, motion_head)
    optimise("speech", networks, losses, schedule, run, stateful=sampler.stateful())
    encoder.eval()


if __name__ == "__main__":
    from .train import main

    raise SystemExit(main(stage="speech"))
