"""Numbers of the command line against what Blender keeps: it would cut them off, or end in a traceback."""

from __future__ import annotations

import math

from ...errors import UserError


def check_bounds(flag: str, number: float, low: float, high: float) -> None:
    """Raises UserError for a number outside; whole numbers are told in full."""
    if math.isfinite(number) and low <= number <= high:
        return
    if isinstance(number, int):
        raise UserError(f"{flag} is {number}.", f"It must be from {low:,} to {high:,}.")
    raise UserError(f"{flag} is {number:g}.", f"It must be from {low:g} to {high:g}.")
