"""Frames ⇄ the timecodes of Live Link Face: HH:MM:SS:FF.fff, FF counting frames of the app's own rate.

A file says nowhere what that rate is, nor does a row come at every one of its frames: both are found in the
timecodes themselves.  Numpy only.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError

#: HH:MM:SS:FF, with thousandths of a frame behind a point.
_TIMECODE = re.compile(r"^(\d{1,2}):(\d{2}):(\d{2}):(\d{2,3}(?:\.\d+)?)$")
#: Rates that are no whole number are written on this one's grid, with fractions of frames.
_FINE_RATE = 60
_DAY_S = 24 * 3600
_HINT = "Export the take again."


def format_timecode(frame: int, fps: float) -> str:
    """The timecode of frame number ``frame`` (from 0) at ``fps`` frames per second."""
    whole = round(fps)
    if whole >= 1 and abs(fps - whole) < 1e-6:
        seconds, number = divmod(frame, whole)
        rest = f"{number:02d}.000"
    else:
        thousandths = round(frame / fps * _FINE_RATE * 1000)
        seconds, number = divmod(thousandths, _FINE_RATE * 1000)
        rest = f"{number // 1000:02d}.{number % 1000:03d}"
    minutes, second = divmod(seconds, 60)
    return f"{minutes // 60 % 24:02d}:{minutes % 60:02d}:{second:02d}:{rest}"


def frames_of_timecodes(
    path: Path, timecodes: Sequence[str], fps: float | None
) -> tuple[NDArray[np.int64], float]:
    """Frame numbers from 0, with gaps where rows are missing, and the rows' rate.

    fps: the rate of the rows where it is known; else the clip must run over the turn of a second
    path: to quote in messages
    Raises UserError.
    """
    seconds, numbers = _parsed(path, timecodes)
    # A take may run over midnight.
    seconds = seconds + _DAY_S * np.cumsum(np.diff(seconds, prepend=seconds[0]) < -_DAY_S / 2)
    if len(timecodes) == 1:
        if fps is None:
            raise _unknown(path)
        return np.zeros(1, np.int64), fps
    same = np.diff(seconds) == 0
    spacing = float(np.median(np.diff(numbers)[same])) if same.any() else 0.0
    if same.any() and spacing <= 0:
        raise UserError(f"'{path}': its timecodes stand still or run backwards.", _HINT)
    turns = np.flatnonzero(np.diff(seconds) == 1)
    if len(turns):
        # Rows at 1 fps have no second row in a second.
        counted = numbers[turns] - numbers[turns + 1] + spacing if same.any() else np.ones(1)
        # Where rows were dropped at the turn, it seems to come early.
        rate = max(1.0, float(np.rint(counted.max())))
    elif fps is not None:
        rate = fps * (spacing or 1.0)
    else:
        raise _unknown(path)
    places = (seconds - seconds[0]) * rate + numbers - numbers[0]
    spacing = spacing or rate
    count = np.rint(places / spacing)
    # Thousandths of a frame are rounded; over the whole take that averages out.
    if count[-1] > 0:
        spacing = float(places[-1] / count[-1])
    frames = np.rint(places / spacing).astype(np.int64)
    wrong = np.flatnonzero(np.diff(frames) <= 0)
    if len(wrong):
        row = int(wrong[0]) + 3
        raise UserError(f"'{path}', row {row}: its timecode does not come after the row before.", _HINT)
    return frames, fps if fps is not None else round(rate / spacing, 3)


def _parsed(path: Path, timecodes: Sequence[str]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Seconds of the day, and frames within the second."""
    seconds, numbers = [], []
    for row, text in enumerate(timecodes, start=2):
        found = _TIMECODE.match(text.strip())
        if not found:
            raise UserError(
                f"'{path}', row {row}: '{text:.40}' is no timecode such as 01:02:03:04.000.", _HINT
            )
        hours, minutes, second = (int(part) for part in found.groups()[:3])
        seconds.append((hours * 60 + minutes) * 60 + second)
        numbers.append(float(found[4]))
    return np.array(seconds, np.int64), np.array(numbers)


def _unknown(path: Path) -> UserError:
    return UserError(
        f"'{path}' does not tell its frames per second: it takes less than a second.",
        "Say how many they are.",
    )
