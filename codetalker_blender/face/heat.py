"""Millimetres on a face's vertices -> steps of a few colours, with the millimetres that each stands for.

Numpy only; no bpy.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import IntArray

#: From nothing to the most: red, green, blue, 0 to 1, as they are shown.
COLOURS = (
    (0.13, 0.33, 0.72),
    (0.16, 0.62, 0.74),
    (0.30, 0.70, 0.35),
    (0.93, 0.82, 0.25),
    (0.93, 0.52, 0.17),
    (0.80, 0.16, 0.14),
)
#: Where there is no value.
GREY = (0.45, 0.45, 0.45)
#: Lengths that read well, millimetres; the largest is what one colour may span.
_STEPS_MM = tuple(factor * 10.0**power for power in range(-3, 3) for factor in (1.0, 2.0, 5.0))


@dataclass(frozen=True)
class Heat:
    """How a surface is coloured.

    limits_mm: up to where each colour of COLOURS goes; inf for the last where it stands for all above
    colours: (F,) int32, of each triangle the number of its colour; one more than there are where a value is
        missing
    """

    limits_mm: tuple[float, ...]
    colours: IntArray


def heat_of(values_mm: NDArray[Any], triangles: IntArray, coarsest_mm: float = _STEPS_MM[-1]) -> Heat:
    """Colour a surface by the means of its triangles.

    values_mm: (V,) 0 or more, NaN where there is none; triangles: (F, 3)
    coarsest_mm: what one colour may span at most
    """
    means = np.asarray(values_mm, np.float64)[triangles].mean(axis=1)
    known = np.isfinite(means)
    most = float(means[known].max(initial=0.0))
    count = len(COLOURS)
    steps = [step for step in _STEPS_MM if step <= coarsest_mm]
    step = next((step for step in steps if count * step >= most), steps[-1])
    found = np.full(len(means), count, np.int32)
    found[known] = np.clip((means[known] / step).astype(np.int32), 0, count - 1)
    last = count * step if count * step >= most else math.inf
    return Heat((*(step * number for number in range(1, count)), last), found)
