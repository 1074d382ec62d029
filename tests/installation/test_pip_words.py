"""pip's words become one sentence."""

from __future__ import annotations

import pytest

from codetalker_blender.installation.pip_words import why_pip_stopped


@pytest.mark.parametrize(
    ("log", "meaning"),
    [
        ("ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device", "disk"),
        ("WARNING: Retrying after connection broken by 'NewConnectionError'\nERROR: No matching", "network"),
        ("Failed to establish a new connection: [Errno -3] Temporary failure in name resolution", "network"),
        ("ERROR: No matching distribution found for bpy==4.5.15", "no bpy==4.5.15 for this machine"),
        ("some words\nERROR: Invalid requirement: 'x y'", "Invalid requirement"),
        ("", "without a word"),
    ],
)
def test_what_stopped_pip_is_told(log: str, meaning: str) -> None:
    sentence = why_pip_stopped(log)
    assert meaning in sentence
    assert sentence.endswith(".") and "\n" not in sentence
