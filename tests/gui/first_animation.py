"""Acts of a first use: choose sound and face, press the button, see the face speak; undo, redo."""

from __future__ import annotations

import time

import bpy
import numpy as np

from tests.blender import scenes
from tests.gui import extension
from tests.gui.hands import Steps
from tests.gui.stage import AUDIO, Stage
from tests.gui.stopwatch import Timing

SPOKEN = "spoken.blend"
#: A mouth that speaks moves by more than this; half the head's keys would move it by centimetres.
_MOVES_M = 0.004
#: Before the speech, which starts at frame 1.
_REST_FRAME = -20


def button(stage: Stage) -> Steps:
    """From a fresh Blender to a finished animation, by mouse; the result is saved for the other acts."""
    yield from stage.open()
    yield from stage.look()
    yield from stage.hands.paste("codetalker.audio", AUDIO)
    assert stage.settings.audio == AUDIO, f"Audio holds '{stage.settings.audio}' after pasting"
    yield from stage.hands.paste("codetalker.target", stage.head.name)
    assert stage.settings.target == stage.head, f"Target is {stage.settings.target} after pasting"
    yield from stage.picture("panel")
    keys = len(stage.head.data.shape_keys.key_blocks)
    place = yield from stage.hands.find("codetalker.generate")
    stage.stopwatch.clear()
    began = time.monotonic()
    yield from stage.hands.click(place)
    yield from stage.wait("a speech to be generated", extension.is_running, 5)
    yield from stage.finish()
    stage.measure("button to finished animation, first use", time.monotonic() - began, "s", 10.0)
    _measure_callbacks(stage)
    yield 0.5
    assert len(stage.head.data.shape_keys.key_blocks) > keys, "no shape keys were added"
    _check_speaks(stage)
    bpy.context.scene.frame_set(_widest(stage))
    yield from stage.picture("result")
    yield from _play(stage)
    bpy.context.scene.frame_set(1)
    bpy.ops.wm.save_as_mainfile(filepath=str(stage.project / SPOKEN), copy=True)


def undo_and_redo(stage: Stage) -> Steps:
    """The result of a run is one undo step, and comes back by one redo."""
    yield from stage.prepare()
    before = scenes.dump()
    yield from stage.generate()
    yield from stage.finish()
    yield 0.5
    after = stage.coordinates(40)
    bpy.context.scene.frame_set(1)
    yield from stage.undo()
    changes = stage.changes_since(before)
    assert not changes, f"one undo leaves {len(changes)} changes: {changes[:3]}"
    yield from stage.undo(redo=True)
    np.testing.assert_allclose(stage.coordinates(40), after, atol=1e-6)


def _play(stage: Stage) -> Steps:
    """Play goes back to where the speech begins; the same button, which is in sight, stops it."""
    bpy.context.scene.frame_set(77)
    place = yield from stage.hands.find("codetalker.play")
    screen = stage.hands.window.screen
    yield from stage.hands.click(place)
    yield from stage.wait("the speech to be played", lambda: screen.is_animation_playing, 5)
    assert bpy.context.scene.frame_current < 77, "it goes on from where the playhead was"
    yield 1.0
    yield from stage.hands.click(place)
    yield from stage.wait("playing to stop", lambda: not screen.is_animation_playing, 5)


def _measure_callbacks(stage: Stage) -> None:
    drawing = stage.stopwatch.callbacks.pop("inset.Inset._draw", Timing())
    stage.measure("drawing of the preview, on the processor", 1000 * drawing.worst_s, "ms")
    name, timing = stage.stopwatch.worst
    stage.measure(f"worst other callback while running ({name})", 1000 * timing.worst_s, "ms", 50.0)
    stage.measure("callback with the final write, demo clip", 1000 * stage.stopwatch.writes.worst_s, "ms")


def _check_speaks(stage: Stage) -> None:
    """An action animates keys, the face moves with the speech and rests before it, the sound is there."""
    compat = extension.module("blender.compat")
    animation = stage.head.data.shape_keys.animation_data
    curves = [len(found) for found in compat.fcurve_collections(animation.action)]
    assert sum(curves) > 0, "the action holds no curves"
    rest = stage.coordinates(_REST_FRAME)
    moved = [float(np.abs(stage.coordinates(frame) - rest).max()) for frame in range(1, 100, 3)]
    assert max(moved) > _MOVES_M, f"the face moves by {1000 * max(moved):.1f} mm at most"
    assert np.ptp(moved) > _MOVES_M / 2, "the face moves to one place and stays there"
    sounds = [strip for strip in _strips(compat) if strip.type == "SOUND"]
    if compat.has_audio():
        assert len(sounds) == 1, f"{len(sounds)} sound strips on the timeline"


def _strips(compat: object) -> list[bpy.types.Strip]:
    editor = bpy.context.scene.sequence_editor
    return list(compat.strips(editor)) if editor else []


def _widest(stage: Stage) -> int:
    """The frame that is furthest from rest."""
    rest = stage.coordinates(_REST_FRAME)
    return max(range(1, 140, 3), key=lambda frame: float(np.abs(stage.coordinates(frame) - rest).max()))
