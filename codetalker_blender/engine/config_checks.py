"""What every config dataclass of the engine refuses: numbers that no network can have.

Raises ValueError that names the field and its value; ``bundle.py`` makes one sentence of it.
"""

from __future__ import annotations

import math


def check_numbers(
    config: object,
    *,
    positive: tuple[str, ...] = (),
    not_negative: tuple[str, ...] = (),
    shares: tuple[str, ...] = (),
) -> None:
    """Fields that must be finite and above 0, 0 or above, or in [0, 1)."""
    for name in (*positive, *not_negative, *shares):
        value = getattr(config, name)
        if value is not None and not math.isfinite(value):
            raise ValueError(f"{name} must be finite, not {value}")
    for name in positive:
        value = getattr(config, name)
        if value is not None and value <= 0:
            raise ValueError(f"{name} must be above 0, not {value}")
    for name in not_negative:
        if getattr(config, name) < 0:
            raise ValueError(f"{name} must be 0 or above, not {getattr(config, name)}")
    for name in shares:
        if not 0 <= getattr(config, name) < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, not {getattr(config, name)}")


def check_divides(config: object, whole: str, part: str) -> None:
    """``whole`` must be a multiple of ``part`` (both checked to be positive before)."""
    a, b = getattr(config, whole), getattr(config, part)
    if a % b:
        raise ValueError(f"{whole} ({a}) must be a multiple of {part} ({b})")
