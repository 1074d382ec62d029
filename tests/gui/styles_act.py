"""Act of a second style that the speech changes to."""

from __future__ import annotations

import bpy
import numpy as np

from tests.gui.first_animation import SPOKEN
from tests.gui.hands import Steps
from tests.gui.stage import Stage

_KEPT, _CHANGED = range(1, 45, 4), range(75, 130, 4)
_SAME_M, _OTHER_M = 1e-4, 2e-3


def keyframed_mix(stage: Stage) -> Steps:
    """Keyed by hovering over Mix and pressing I: until the first key the face speaks as without, then not."""
    yield from stage.open(SPOKEN)
    plain = {frame: stage.coordinates(frame) for frame in (*_KEPT, *_CHANGED)}
    yield from stage.prepare()
    scene = bpy.context.scene
    stage.settings.style_b = "lively"
    mix = "codetalker.style_mix"
    for frame, value in ((50, 0.0), (60, 1.0)):
        scene.frame_set(frame)
        yield from stage.hands.paste(mix, str(value))
        place = yield from stage.hands.find(mix)
        yield from stage.hands.key("I", place)
    scene.frame_set(55)
    assert abs(stage.settings.style_mix - 0.5) < 0.2, f"Mix is {stage.settings.style_mix} between its keys"
    yield from stage.picture("styles", of="UI")
    scene.frame_set(1)
    yield from stage.generate()
    yield from stage.finish()
    yield 0.3
    off = {frame: float(np.abs(stage.coordinates(frame) - face).max()) for frame, face in plain.items()}
    assert max(off[frame] for frame in _KEPT) < _SAME_M, f"before the first key it speaks otherwise: {off}"
    assert max(off[frame] for frame in _CHANGED) > _OTHER_M, f"the second style changes nothing: {off}"
