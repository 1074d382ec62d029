"""Acts after a result is there: sliders, undo of a slider, the other output, removing."""

from __future__ import annotations

import time

import bpy
import numpy as np

from tests.blender import scenes
from tests.gui import extension
from tests.gui.first_animation import SPOKEN
from tests.gui.hands import Steps
from tests.gui.stage import Stage

_FRAMES = range(1, 140, 6)
_REST_FRAME = -20


def slider(stage: Stage) -> Steps:
    """A slider moves the face at once; Ctrl Z brings slider and face back together."""
    yield from stage.open(SPOKEN)
    yield from stage.look()
    rest = stage.coordinates(_REST_FRAME)
    spoken = {frame: stage.coordinates(frame) for frame in _FRAMES}
    frame = max(spoken, key=lambda frame: float(np.abs(spoken[frame] - rest).max()))
    bpy.context.scene.frame_set(frame)
    yield from stage.hands.paste("codetalker.strength_mouth", "1.8")
    assert abs(stage.head.codetalker.strength_mouth - 1.8) < 1e-6, "the slider did not take 1.8"
    moved, wider = spoken[frame] - rest, stage.coordinates(frame) - rest
    grown = float(np.abs(wider).max() / np.abs(moved).max())
    assert grown > 1.3, f"at 1.8 the mouth moves {grown:.2f} times as far"
    yield from stage.picture("tuning")
    yield from stage.undo()
    assert stage.head.codetalker.strength_mouth == 1.0, "one undo does not bring the slider back"
    np.testing.assert_allclose(stage.coordinates(frame), spoken[frame], atol=1e-6)


def compact(stage: Stage) -> Steps:
    """Compact shows what Per Frame shows, within the error that was asked for."""
    yield from stage.open(SPOKEN)
    yield from stage.look()
    spoken = {frame: stage.coordinates(frame) for frame in _FRAMES}
    began = time.monotonic()
    stage.head.codetalker.output = "COMPACT"
    stage.measure("Per Frame to Compact, demo clip", time.monotonic() - began, "s", 0.5)
    yield 0.5
    limit_m = stage.head.codetalker.max_error_mm / 1000 * 1.05
    for frame, expected in spoken.items():
        off = float(np.linalg.norm(stage.coordinates(frame) - expected, axis=-1).max())
        assert off <= limit_m, f"frame {frame} is {1000 * off:.3f} mm off"
    yield from stage.picture("compact", of="UI")


def remove(stage: Stage) -> Steps:
    """The button takes everything away that a run has added; Ctrl Z brings it back."""
    yield from stage.open(SPOKEN)
    spoken = scenes.dump()
    keys = len(stage.head.data.shape_keys.key_blocks)
    yield from stage.hands.press("codetalker.remove")
    yield 0.5
    left = [block.name for block in stage.head.data.shape_keys.key_blocks if "CodeTalker" in block.name]
    assert not left, f"{len(left)} keys are still there"
    assert extension.module("blender.retargeting.outcomes").outcome_of(stage.head) is None
    animation = stage.head.data.shape_keys.animation_data
    assert animation is None or animation.action is None, "the action is still there"
    yield from stage.undo()
    assert len(stage.head.data.shape_keys.key_blocks) == keys
    changes = stage.changes_since(spoken)
    assert not changes, f"undo leaves {len(changes)} changes: {changes[:3]}"
