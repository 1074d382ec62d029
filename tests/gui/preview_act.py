"""Act of the live preview: what the screen shows while a run is at work."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from tests.gui import extension
from tests.gui.hands import Steps
from tests.gui.stage import LONG_AUDIO, Stage

#: The lips of an open mouth are further apart than the one, those of a shut one nearer than the other.
_OPEN_M, _SHUT_M = 0.007, 0.001
#: Of the corner's picture: the lowest pixels hold the frame's number, which changes in any case.
_NUMBER_HEIGHT = 40
#: Of the picture's side, with its margin.
_LARGEST = 340
#: A face's changes, of 255; what 256 colours make of one shade is less.
_SHADES = 40


def moves(stage: Stage) -> Steps:
    """In the corner of the 3D View the mouth opens on the screen, and nothing else there changes."""
    yield from stage.prepare()
    stage.settings.audio = LONG_AUDIO
    yield from stage.generate()
    yield from stage.hands.rest()

    def gap() -> float:
        """Between the lips of the frame that is due, less what it is at rest; below 0 before there is one."""
        run = extension.module("blender.runs.jobs").current()
        assert run is not None, "the run was over before its preview showed both"
        due = run.preview.frame() if run.preview is not None else None
        if due is None:
            return -1.0
        upper, lower = run.prepared.face.mid_lips
        apart = [
            float(np.linalg.norm(face[upper] - face[lower])) for face in (due[1], run.preview.portrait.rest)
        ]
        return max(apart[0] - apart[1], 0.0)

    def snap(*names: str) -> None:
        # the frame that is due, and not the one that was drawn last
        bpy.ops.wm.redraw_timer(type="DRAW_WIN_SWAP", iterations=1)
        for name in names:
            stage.snap(name, "" if name == "progress" else "WINDOW")

    yield from stage.wait("the preview", lambda: gap() >= 0, 60)
    yield 1.0  # until it is there
    yield from stage.wait("a shut mouth in the preview", lambda: gap() < _SHUT_M, 60)
    snap("preview-shut")
    yield from stage.wait("an open mouth in the preview", lambda: gap() > _OPEN_M, 60)
    snap("preview-open", "progress")
    shut, opened = (_pixels(stage, name) for name in ("preview-shut", "preview-open"))
    sidebar = stage.hands.region("UI").width
    changed = (np.abs(opened - shut).max(axis=-1) * 255 > _SHADES)[_NUMBER_HEIGHT:, :-sidebar]
    corner = changed[:_LARGEST, -_LARGEST:]
    stage.measure("pixels of the preview that an open mouth changes", int(corner.sum()), "")
    assert 150 < corner.sum() < 6000, f"{corner.sum()} pixels differ between a shut and an open mouth"
    assert corner.sum() > 0.9 * changed.sum(), "more than the corner has changed"
    yield from stage.hands.key("ESC", stage.hands.middle())
    yield from stage.finish()


def _pixels(stage: Stage, name: str) -> NDArray[np.float32]:
    """(height, width, 3) from 0 to 1, the lowest row first."""
    image = bpy.data.images.load(str(stage.pictures / f"{name}.png"))
    try:
        width, height = image.size
        found = np.empty(width * height * 4, np.float32)
        image.pixels.foreach_get(found)
    finally:
        bpy.data.images.remove(image)
    return found.reshape(height, width, 4)[..., :3]
