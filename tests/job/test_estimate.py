"""Time left: hidden until known, right where the work is even, and calm to watch."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from codetalker_blender.job.estimate import Estimate, in_words


def shown(estimate: Estimate, stage: str, times: Iterable[float]) -> list[tuple[float, float | None]]:
    """(now, what is shown) while the units of a stage are reported at these times."""
    clock = list(times)
    found = []
    for done, now in enumerate(clock, start=1):
        estimate.progress(stage, done, len(clock), now)
        found.append((now, estimate.remaining_s(now)))
    return found


def test_even_work_is_foretold_and_the_number_only_falls() -> None:
    rng = np.random.default_rng(0)
    clock = 5.0 + np.cumsum(rng.uniform(0.05, 0.15, 400))
    found = shown(Estimate(), "codes", clock)
    assert found[5][1] is None
    known = [(now, left) for now, left in found if left is not None]
    assert known[0][0] - clock[0] < 2.0
    for now, left in known[30:]:
        assert left == pytest.approx(clock[-1] - now, rel=0.3, abs=1.5)
    values = np.array([left for _, left in known])
    assert (np.diff(values) <= 1e-9).mean() > 0.99
    assert values[-1] < 0.5


def test_work_that_slows_down_is_not_foretold_as_even() -> None:
    """As where a model looks at all frames so far for each new one."""
    steps = np.arange(1, 601)
    clock = np.cumsum(0.01 + 0.0004 * steps)
    found = dict(shown(Estimate(), "codes", clock))
    at = clock[199]
    left, even = found[at], at / 200 * 400
    actual = clock[-1] - at
    assert left is not None
    assert abs(left - actual) < abs(even - actual)
    assert left == pytest.approx(actual, rel=0.45)


def test_the_first_run_shows_nothing_before_its_main_stage() -> None:
    estimate = Estimate()
    for stage in ("audio", "libraries", "model", "speech"):
        assert all(left is None for _, left in shown(estimate, stage, np.arange(0, 5, 0.1)))


def test_an_earlier_run_tells_what_comes_behind_a_stage() -> None:
    """Twice as long a sound: everything takes twice as long."""
    former = {"libraries": 4.0, "speech": 2.0, "codes": 10.0, "take": 1.0}
    estimate = Estimate(former)
    found = shown(estimate, "speech", np.linspace(0.04, 4.0, 100))
    known = [(now, left) for now, left in found if left is not None]
    assert known
    for now, left in known:
        assert now + left == pytest.approx(4.0 + 20.0 + 2.0, rel=0.05)
    (*_, (_, last)) = shown(estimate, "codes", np.linspace(4.1, 24.0, 200))
    assert last == pytest.approx(2.0, abs=0.5)


def test_what_a_stage_was_thought_to_take_is_over_with_it() -> None:
    """A short sound: the first codes are slow, the rest is there at once, and then the keys are prepared."""
    clock = [0.0, 1.0, 2.0, 3.0, 4.0, *np.linspace(4.01, 4.3, 30)]
    first = Estimate()
    (*_, (_, left)) = shown(first, "codes", clock)
    assert left is not None and left > 5.0, "the number settles more slowly than this"
    first.progress("take", 0, 1, 4.3)
    assert first.remaining_s(4.3) is None, "nothing is known of this stage yet"
    second = Estimate({"codes": 8.6, "take": 2.0})
    shown(second, "codes", clock)
    second.progress("take", 0, 1, 4.3)
    assert second.remaining_s(4.3) == pytest.approx(1.0)
    assert second.remaining_s(6.0) == 0.0


def test_slow_first_steps_do_not_count_double() -> None:
    """Loading and warming up make them uneven; the work is even."""
    steps = np.random.default_rng(1).uniform(0.02, 0.18, 400)
    steps[10:30] *= 2.0
    clock = np.cumsum(steps)
    for now, left in shown(Estimate(), "codes", clock)[:50]:
        assert left is None or left < 2.0 * (clock[-1] - now)


def test_words_in_another_language() -> None:
    table = {"about {seconds} s left": "noch etwa {seconds} s"}
    assert in_words(61.0, lambda english: table[english]) == "noch etwa 65 s"


def test_words() -> None:
    assert [in_words(seconds) for seconds in (0.2, 9.0, 11.0, 61.0, 100.0, 3000.0, 9000.0)] == [
        "a few seconds left", "a few seconds left", "about 15 s left", "about 65 s left",
        "about 2 min left", "about 50 min left", "about 2.5 h left",
    ]  # fmt: skip
