"""A job's progress → the seconds that are left, as a number that a person can watch.  Standard library only.

Only what was measured counts: the rate of the stage that is going, and, for the stages behind it, what
they took beside that one in an earlier job of the same model.  Until that is known there is no number.
With a new stage the number is made anew: what the one before was thought to take is over with it.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Mapping

#: The stages that take long, in their order.
STAGES = ("speech", "codes", "motion", "take")
#: A stage's rate counts after so many seconds and reports, and this share of its units.
_MEASURED_S, _REPORTS, _SHARE = 1.0, 4, 0.02
#: The rate is that of the last so many reports: some come ten times a second.
_WINDOW = 150
#: The rest of a stage is taken to be slower than its last reports by no more than this factor.
_SLOWING = 2.0
#: Before this share of a stage's units is done, a change of its rate is noise.
_STEADY_SHARE = 0.15
#: News moves the expected end by 63 % in this time.
_SETTLING_S = 3.0
#: What is shown goes up only when the estimate is this much above it: a number that dithers is no help.
_RISE = 1.25


class Estimate:
    """Takes progress reports; ``remaining_s`` is what is left.

    former: stage -> seconds of an earlier job of the same model, if there was one
    now, in every call: a clock's seconds, never going back
    """

    def __init__(self, former: Mapping[str, float] | None = None) -> None:
        self._former = former or {}
        self._stage = ""
        self._began = 0.0
        self._spent: dict[str, float] = {}  # on the stages before
        self._reports: deque[tuple[float, int]] = deque(maxlen=_WINDOW)
        self._end: float | None = None
        self._moved = 0.0
        self._shown = math.inf

    def progress(self, stage: str, done: int, total: int, now: float) -> None:
        """``done`` of ``total`` units of a stage are over; stages that take no time are passed over."""
        if stage not in STAGES:
            return
        if stage != self._stage:
            self._begin(stage, now)
        self._reports.append((now, done))
        own = self._rest_of_stage(done, total)
        later = None if own is None else self._later(now - self._began + own)
        if own is None or later is None:
            return
        end = now + own + later
        if self._end is None:
            self._end = end
        else:
            self._end += (end - self._end) * (1.0 - math.exp((self._moved - now) / _SETTLING_S))
        self._moved = now

    def remaining_s(self, now: float) -> float | None:
        """Seconds to the end, or None as long as that is not known."""
        if self._end is None:
            return None
        left = max(self._end - now, 0.0)
        if left < self._shown or left > self._shown * _RISE + 2.0:
            self._shown = left
        return self._shown

    def _begin(self, stage: str, now: float) -> None:
        """A stage that nothing is known of yet but what it took in the earlier job, if there was one."""
        if self._stage:
            self._spent[self._stage] = now - self._began
        self._stage, self._began, self._moved = stage, now, now
        self._reports.clear()
        left = sum(self._former.get(name, 0.0) for name in STAGES[STAGES.index(stage) :])
        before = sum(self._former.get(name, 0.0) for name in self._spent)
        known = left > 0.0 and before > 0.0
        self._end = now + left / before * sum(self._spent.values()) if known else None
        self._shown = math.inf

    def _rest_of_stage(self, done: int, total: int) -> float | None:
        """Seconds for what is left of this stage, or None.

        A model that looks both ways slows down while the clip grows: the rest is taken to be slower than the
        last reports, as those are slower than the ones before.
        """
        if done >= total:
            return 0.0
        (first_s, first), (last_s, last) = self._reports[0], self._reports[-1]
        enough = len(self._reports) >= _REPORTS and last_s - first_s >= _MEASURED_S
        if not enough or last - first < _SHARE * total or last == first:
            return None
        middle_s, middle = self._reports[len(self._reports) // 2]
        if not first < middle < last or done < _STEADY_SHARE * total:
            return (total - done) * (last_s - first_s) / (last - first)
        early, late = (middle_s - first_s) / (middle - first), (last_s - middle_s) / (last - middle)
        return (total - done) * late * min(max(late / early, 1.0), _SLOWING)

    def _later(self, this_s: float) -> float | None:
        """Seconds for the stages behind this one, which takes ``this_s`` in all; None before the main one."""
        former = self._former.get(self._stage, 0.0)
        if former <= 0.0:
            return None if self._stage == "speech" else 0.0
        behind = STAGES[STAGES.index(self._stage) + 1 :]
        return this_s / former * sum(self._former.get(stage, 0.0) for stage in behind)


def in_words(seconds: float, translate: Callable[[str], str] = str) -> str:
    """Remaining time for people: coarse where it is long.

    translate: English words with a place for the number -> the same in another language
    """
    if seconds >= 5400:
        return translate("about {hours} h left").format(hours=f"{seconds / 3600:.1f}")
    if seconds >= 90:
        return translate("about {minutes} min left").format(minutes=math.ceil(seconds / 60))
    if seconds >= 10:
        return translate("about {seconds} s left").format(seconds=math.ceil(seconds / 5) * 5)
    return translate("a few seconds left")
