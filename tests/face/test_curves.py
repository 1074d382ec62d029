"""Another frame rate: same duration, exact on straight lines, no surprise at the ends."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from codetalker_blender.contracts import FloatArray
from codetalker_blender.face.curves import resample_chunks, resample_offsets, resampled_count


@pytest.mark.parametrize("to_fps", [12.0, 23.976, 24.0, 25.0, 30.0, 30000 / 1001, 48.0, 60.0, 120.0])
@pytest.mark.parametrize("from_fps", [25.0, 30.0])
@pytest.mark.parametrize("count", [2, 31, 700])
def test_a_straight_line_in_time_stays_one(count: int, from_fps: float, to_fps: float) -> None:
    slopes = np.array([[1.0, -2.0, 0.5], [0.0, 3.0, 0.25]], np.float32)
    time_s = (np.arange(count) / from_fps).astype(np.float32)
    result = resample_offsets(time_s[:, None, None] * slopes, from_fps, to_fps)
    assert result.dtype == np.float32 and result.shape[1:] == (2, 3)
    new_time_s = np.minimum(np.arange(len(result)) / to_fps, (count - 1) / from_fps)
    np.testing.assert_allclose(result, new_time_s[:, None, None] * slopes, atol=1e-5 * max(1, time_s[-1]))


@pytest.mark.parametrize("to_fps", [10.0, 24.0, 25.0, 29.97, 60.0])
@pytest.mark.parametrize("count", [1, 2, 7, 300, 1801])
def test_the_duration_stays(count: int, to_fps: float) -> None:
    result = resample_offsets(np.zeros((count, 4), np.float32), 30.0, to_fps)
    assert len(result) >= 1
    if len(result) > 1:
        assert abs(len(result) / to_fps - count / 30.0) <= 0.5 / to_fps + 1e-9


def test_the_same_rate_returns_the_same_array() -> None:
    offsets = np.ones((5, 2, 3), np.float32)
    assert resample_offsets(offsets, 30.0, 30.0) is offsets


def test_one_frame_is_held_for_its_duration() -> None:
    offsets = np.full((1, 2, 3), 0.25, np.float32)
    np.testing.assert_array_equal(resample_offsets(offsets, 25.0, 100.0), np.full((4, 2, 3), 0.25))
    np.testing.assert_array_equal(resample_offsets(offsets, 100.0, 25.0), offsets)


def test_frames_that_fall_together_are_kept_exactly() -> None:
    offsets = np.random.default_rng(0).standard_normal((40, 5, 3)).astype(np.float32)
    doubled = resample_offsets(offsets, 30.0, 60.0)
    np.testing.assert_array_equal(doubled[::2], offsets)
    np.testing.assert_array_equal(resample_offsets(doubled, 60.0, 30.0), offsets)


def test_never_outside_the_frames_given() -> None:
    offsets = np.random.default_rng(1).standard_normal((50, 9)).astype(np.float32)
    result = resample_offsets(offsets, 25.0, 59.94)
    assert (result >= offsets.min(axis=0) - 1e-6).all() and (result <= offsets.max(axis=0) + 1e-6).all()


RATES = [(30.0, 24.0), (30.0, 60.0), (30.0, 25.0), (25.0, 30.0), (30.0, 29.97), (25.0, 1000.0), (30.0, 30.0)]


@pytest.mark.parametrize(("from_fps", "to_fps"), RATES)
@pytest.mark.parametrize("count", [1, 2, 31, 700])
@pytest.mark.parametrize("size", [1, 2, 7, 64, 299, 1000])
def test_chunks_give_the_frames_of_the_whole(count: int, size: int, from_fps: float, to_fps: float) -> None:
    offsets = np.random.default_rng(count).standard_normal((count, 3, 3)).astype(np.float32)
    whole = resample_offsets(offsets, from_fps, to_fps)
    chunks = (offsets[first : first + size] for first in range(0, count, size))
    parts = list(resample_chunks(chunks, count, from_fps, to_fps))
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    assert len(whole) == resampled_count(count, from_fps, to_fps)


def test_chunks_may_be_uneven_and_empty() -> None:
    offsets = np.random.default_rng(2).standard_normal((40, 3)).astype(np.float32)
    chunks = np.split(offsets, [0, 0, 5, 5, 6, 30, 40, 40])
    parts = list(resample_chunks(chunks, 40, 30.0, 24.0))
    np.testing.assert_array_equal(np.concatenate(parts), resample_offsets(offsets, 30.0, 24.0))


def test_frames_come_as_early_as_they_can_and_few_at_a_time() -> None:
    """What is made of a chunk is handed out before the next one is asked for; a huge rate is no huge part."""
    asked: list[int] = []

    def chunks() -> Iterator[FloatArray]:
        for first in range(0, 90, 30):
            asked.append(first)
            yield np.full((30, 2, 3), first, np.float32)

    lengths: dict[int, int] = {}
    for part in resample_chunks(chunks(), 90, 30.0, 900.0):
        lengths[asked[-1]] = lengths.get(asked[-1], 0) + len(part)
        assert len(part) <= 300
    # The last 30 frames before a chunk's end lie between its last frame and the next chunk's first.
    assert lengths == {0: 870, 30: 900, 60: 930}


@pytest.mark.parametrize("fps", [0.0, -25.0, float("nan"), float("inf")])
def test_rates_that_are_none(fps: float) -> None:
    with pytest.raises(ValueError, match="frame rate"):
        resample_offsets(np.zeros((3, 3), np.float32), fps, 30.0)
    with pytest.raises(ValueError, match="frame rate"):
        resample_offsets(np.zeros((3, 3), np.float32), 30.0, fps)


def test_no_frame_is_refused() -> None:
    with pytest.raises(ValueError, match="no frame"):
        resample_offsets(np.zeros((0, 4, 3), np.float32), 25.0, 30.0)
