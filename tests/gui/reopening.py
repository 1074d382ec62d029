"""Acts in a Blender that has not made the animation: the saved file speaks there as well."""

from __future__ import annotations

import json

import numpy as np

from tests.gui import extension
from tests.gui.first_animation import SPOKEN
from tests.gui.hands import Steps
from tests.gui.stage import Stage

_FRAMES = (-20, 1, 25, 50, 75, 100)
_MADE = "spoken.json"


def remember(stage: Stage) -> Steps:
    """Writes down how the face looks in the Blender that made the file."""
    yield from stage.open(SPOKEN)
    looks = {frame: _look(stage, frame) for frame in _FRAMES}
    assert max(max(look) for look in looks.values()) > 0
    (stage.project / _MADE).write_text(json.dumps(looks), encoding="utf-8")


def speaks_as_before(stage: Stage) -> Steps:
    """Every frame looks as in the Blender that made it, and the sliders still work."""
    yield from stage.open(SPOKEN)
    looks = json.loads((stage.project / _MADE).read_text(encoding="utf-8"))
    for frame, look in looks.items():
        np.testing.assert_allclose(_look(stage, int(frame)), look, atol=1e-6)
    tuning = extension.module("blender.retargeting.tuning")
    assert tuning.is_applied(stage.head)
    yield from stage.hands.paste("codetalker.closure", "0.5")
    assert stage.head.codetalker.closure == 0.5
    assert tuning.is_applied(stage.head), "the slider is not applied"


def _look(stage: Stage, frame: int) -> list[float]:
    """Every 97th coordinate of the head at a frame."""
    return [float(value) for value in stage.coordinates(frame).ravel()[::97]]
