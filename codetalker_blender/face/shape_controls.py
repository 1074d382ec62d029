"""What the animator sets about the weights of shapes, and how strictly a motion is met.  Numpy only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from ..contracts import FloatArray


@dataclass(frozen=True)
class ShapeControl:
    """What the animator sets for one shape.

    enabled: whether it is solved for at all; the others then take over what it would have done
    low, high: limits of the weight, in the solution and in the result
    multiplier, offset: the result is ``multiplier · weight + offset``, within the limits.  For a corrective
        the weight is counted as its share of the other shape, so that it keeps up with that one's multiplier.
    """

    enabled: bool = True
    low: float = 0.0
    high: float = 1.0
    multiplier: float = 1.0
    offset: float = 0.0

    def __post_init__(self) -> None:
        numbers = (self.low, self.high, self.multiplier, self.offset)
        if not np.isfinite(numbers).all() or self.low > self.high:
            raise ValueError(f"limits must be finite and in order, multiplier and offset finite: {self}")

    def applied(self, weights: FloatArray) -> FloatArray:
        """Weights that were not solved but recorded, as this control has them; by default as they are."""
        if self == ShapeControl():
            return weights
        asked = self.multiplier * weights + self.offset if self.enabled else np.zeros_like(weights)
        return np.clip(asked, self.low, self.high).astype(np.float32)


@dataclass(frozen=True)
class SolveSettings:
    """Factors of the terms above, 0 or more, and the controls of the shapes that are not left as they are."""

    lips: float = 0.2
    l2: float = 1e-5
    temporal: float = 3e-4
    symmetry: float = 1e-4
    controls: Mapping[str, ShapeControl] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("lips", "l2", "temporal", "symmetry"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value >= 0):
                raise ValueError(f"{name} must be 0 or more, not {value}")

    def control(self, name: str) -> ShapeControl:
        return self.controls.get(name, ShapeControl())
