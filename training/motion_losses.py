"""The losses on motion that all stages share, by name and weight; those of weight 0 are not computed."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from .gaps import Gaps
from .losses import motion_mse, reconstruction_l1, weighted_motion, weighted_velocity

#: The paper's two (stage 1 and stage 2), then the additions.
NAMES = ("l1", "mse", "motion_mm", "speed_mm", "gap")


class MotionLosses:
    """Predicted and true motion -> the weighted sum, and every loss by itself for the log."""

    def __init__(
        self, weights: Mapping[str, float], metric: Tensor | None, gaps: Gaps, device: torch.device
    ) -> None:
        """weights: of ``NAMES``; metric: see :func:`training.losses.weighted_motion`, None without it."""
        unknown = set(weights) - set(NAMES)
        if unknown:
            raise ValueError(f"no motion loss is called {', '.join(sorted(unknown))}")
        self._weights = {name: weights[name] for name in NAMES if weights.get(name)}
        if metric is None and {"motion_mm", "speed_mm"} & set(self._weights):
            raise ValueError("region-weighted losses need a vertex basis and its metric")
        self._metric = torch.zeros(0) if metric is None else metric.to(device)
        self._gaps = gaps.to(device)

    def __call__(self, predicted: Tensor, target: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        """Motion (batch, T, D) -> (total, detached losses by name)."""
        total = torch.zeros((), device=predicted.device)
        found = {}
        for name, weight in self._weights.items():
            loss = self._loss(name, predicted, target)
            total = total + weight * loss
            found[name] = loss.detach()
        return total, found

    def _loss(self, name: str, predicted: Tensor, target: Tensor) -> Tensor:
        if name == "l1":
            return reconstruction_l1(predicted, target)
        if name == "mse":
            return motion_mse(predicted, target)
        if name == "motion_mm":
            return weighted_motion(predicted, target, self._metric)
        if name == "speed_mm":
            return weighted_velocity(predicted, target, self._metric)
        return self._gaps.error(predicted, target)
