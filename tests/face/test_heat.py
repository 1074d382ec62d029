"""Millimetres become colours whose limits read well and hold all of them."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker_blender.face.heat import COLOURS, heat_of

TRIANGLES = np.array([[0, 1, 2], [2, 3, 4]], np.int32)


def test_a_triangle_has_the_colour_of_its_mean() -> None:
    heat = heat_of(np.array([0.0, 0.3, 0.6, 3.0, 2.1]), TRIANGLES)
    assert heat.limits_mm == pytest.approx((0.5, 1.0, 1.5, 2.0, 2.5, 3.0))
    assert heat.colours.tolist() == [0, 3], "means of 0.3 and 1.9 mm"


@pytest.mark.parametrize("most", [0.0, 0.004, 0.31, 6.0, 47.0])
def test_the_largest_is_within_the_last_limit_and_far_from_the_first(most: float) -> None:
    heat = heat_of(np.full(5, most), TRIANGLES)
    assert len(heat.limits_mm) == len(COLOURS) and most <= heat.limits_mm[-1] * (1 + 1e-9)
    if most > 0.01:
        assert heat.colours.min() >= 2, "most of the colours are used"


def test_a_coarsest_step_leaves_the_last_colour_open_and_a_missing_value_without_one() -> None:
    heat = heat_of(np.array([0.0, 0.3, 0.6, 30.0, np.nan]), np.array([[0, 1, 2], [1, 2, 3], [2, 3, 4]]), 0.5)
    assert heat.limits_mm[:5] == pytest.approx((0.5, 1.0, 1.5, 2.0, 2.5)) and np.isinf(heat.limits_mm[5])
    assert heat.colours.tolist() == [0, 5, len(COLOURS)]
    fine = heat_of(np.array([0.0, 0.1, 0.2, 0.1, 0.0]), TRIANGLES, 0.5)
    assert fine.limits_mm[-1] < 0.4, "finer where that is enough"
