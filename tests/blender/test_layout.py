"""Sentences in panels: whole, no wider than there is room, and no last word alone."""

from __future__ import annotations

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import blf

from codetalker_blender.blender import layout

POINTS = 11.0
SENTENCE = (
    "Frames 1 to 141: 52 keys, which miss the model's motion by 0.18 mm on average and 1.02 mm at most 1"
)


def width(text: str) -> float:
    blf.size(0, POINTS)
    return float(blf.dimensions(0, text)[0])


@pytest.mark.parametrize("room", [90.0, 150.0, 240.0, 400.0, 5000.0])
def test_every_line_has_room_and_all_words_are_there(room: float) -> None:
    lines = layout._lines(SENTENCE, room, POINTS)
    assert " ".join(lines) == SENTENCE
    assert max(map(width, lines)) <= room
    assert len(lines) <= 1.5 * width(SENTENCE) / room + 1


@pytest.mark.parametrize("room", [150.0, 240.0, 400.0])
def test_no_last_word_stands_alone(room: float) -> None:
    lines = layout._lines(SENTENCE, room, POINTS)
    assert len(lines) > 1 and width(lines[-1]) > 0.4 * max(map(width, lines))


def test_a_word_that_is_too_long_is_broken() -> None:
    lines = layout._lines("/a/folder" * 40, 150.0, POINTS)
    assert "".join(lines) == "/a/folder" * 40 and max(map(width, lines)) <= 150.0


def test_nothing_takes_one_line() -> None:
    assert layout._lines("", 150.0, POINTS) == ("",)
