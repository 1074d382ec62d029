"""Acts in which a run does not get to its end."""

from __future__ import annotations

import time

import bpy

from tests.blender import scenes
from tests.gui import extension
from tests.gui.hands import Steps
from tests.gui.stage import LONG_AUDIO, Stage

#: Pixels from the middle of the button that generates down to the middle of Cancel.
_CANCEL_BELOW = 87


def escape_then_again(stage: Stage) -> Steps:
    """ESC in the middle leaves the scene as it was; the same button then works to the end."""
    yield from stage.prepare()
    before = scenes.dump()
    yield from stage.generate()
    yield from stage.reach_the_middle()
    began = time.monotonic()
    yield from stage.hands.key("ESC", stage.hands.middle())
    yield from stage.finish()
    stage.measure("ESC to idle", time.monotonic() - began, "s")
    yield 0.3
    _unchanged(stage, before)
    yield from stage.generate()
    yield from stage.finish()
    yield 0.3
    assert extension.module("blender.retargeting.outcomes").outcome_of(stage.head) is not None, (
        "the second run wrote nothing"
    )


def cancel_button(stage: Stage) -> Steps:
    """A click on Cancel in the panel does what ESC does."""
    yield from stage.prepare()
    stage.settings.audio = LONG_AUDIO
    stage.settings.use_preview = False  # a processor that draws it has no time for the mouse
    before = scenes.dump()
    yield from stage.generate()
    yield from stage.reach_the_middle(0.05)
    # by its place: what lies under the mouse cannot be asked of a panel that is drawn anew all the time
    x, y = yield from stage.hands.find("codetalker.generate")
    assert extension.is_running(), "the run was over before the button was found"
    stage.snap("running")
    began = time.monotonic()
    yield from stage.hands.click((x, y - _CANCEL_BELOW))
    yield from stage.finish()
    stage.measure("click on Cancel to idle", time.monotonic() - began, "s")
    yield 0.5
    stage.snap("cancelled")
    _unchanged(stage, before)


def another_file(stage: Stage) -> Steps:
    """Another file is opened in the middle of a run: the run ends, and the file is as it was saved."""
    yield from stage.prepare()
    bpy.ops.wm.save_as_mainfile(filepath=str(stage.project / "prepared.blend"), copy=True)
    yield from stage.open("prepared.blend")
    before = scenes.dump()
    yield from stage.generate()
    yield from stage.reach_the_middle()
    yield from stage.open("prepared.blend")
    assert not extension.is_running(), "the run goes on in the other file"
    yield from stage.no_worker_left()
    yield 1.0
    _unchanged(stage, before)


def target_removed(stage: Stage) -> Steps:
    """The target is deleted in the middle of a run: the run ends, and nothing is written."""
    yield from stage.prepare()
    yield from stage.generate()
    yield from stage.reach_the_middle()
    bpy.data.objects.remove(stage.head)
    before = scenes.dump()
    yield from stage.finish()
    yield 0.3
    _unchanged(stage, before)


def quit_in_the_middle(stage: Stage) -> Steps:
    """Ends with a run at work, and the session quits Blender then; __main__ looks at what is left."""
    yield from stage.prepare()
    yield from stage.generate()
    yield from stage.reach_the_middle()
    assert stage.workers, "no worker process was seen"


def _unchanged(stage: Stage, before: dict[str, object]) -> None:
    changes = stage.changes_since(before)
    assert not changes, f"{len(changes)} changes: {changes[:3]}"
