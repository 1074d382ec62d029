"""Act of the output that adds no keys: the demo head's own ARKit shapes speak."""

from __future__ import annotations

import numpy as np

from tests.gui.hands import Steps
from tests.gui.stage import Stage

_FRAMES = range(1, 140, 5)


def demo_head(stage: Stage) -> Steps:
    """The keys that the head has are animated, and come back as they were."""
    yield from stage.prepare()
    stage.head.codetalker.output = "EXISTING"
    names = [block.name for block in stage.head.data.shape_keys.key_blocks]
    rest = stage.coordinates(1)
    yield from stage.generate()
    yield from stage.finish()
    yield 0.5
    blocks = stage.head.data.shape_keys.key_blocks
    assert [block.name for block in blocks] == names, "keys came or went"
    moved = {frame: float(np.abs(stage.coordinates(frame) - rest).max()) for frame in _FRAMES}
    widest = max(moved, key=lambda frame: moved[frame])
    assert moved[widest] > 0.004, f"the face moves by {1000 * moved[widest]:.1f} mm at most"
    stage.coordinates(widest)
    moving = [block.name for block in blocks if block.value > 0.1]
    assert "jawOpen" in moving, f"at its widest only {moving} move"
    yield from stage.look()
    yield from stage.unfold(2)
    yield from stage.picture("existing")
    yield from stage.hands.press("codetalker.remove")
    yield 0.5
    np.testing.assert_allclose(stage.coordinates(widest), rest, atol=1e-6)
    assert [block.name for block in stage.head.data.shape_keys.key_blocks] == names
