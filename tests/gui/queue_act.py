"""Act of two heads that shall speak one after the other."""

from __future__ import annotations

import bpy

from tests.gui import extension
from tests.gui.hands import Steps
from tests.gui.stage import Stage


def two_heads(stage: Stage) -> Steps:
    """While one head is generated a second waits; both speak, each an undo step of its own."""
    yield from stage.prepare()
    first, second = stage.head.name, "Second Head"
    copy = stage.head.copy()
    copy.data, copy.name, copy.location.x = stage.head.data.copy(), second, 0.3
    bpy.context.scene.collection.objects.link(copy)
    yield from stage.generate()
    stage.settings.target = copy
    yield 0.3
    queue = extension.module("blender.runs.jobs").QUEUE
    yield from stage.hands.press("codetalker.generate")
    yield from stage.wait("the second head to be in the queue", lambda: len(queue.waiting) == 1, 5)
    running, waiting = queue.current, queue.waiting[0]
    assert (running.prepared.target, waiting.prepared.target) == (first, second)
    stage.workers.update(extension.workers())
    yield from stage.picture("queue", of="UI")
    workers = extension.workers()
    yield from stage.wait("the second head's turn", lambda: queue.current is waiting, 120)
    yield from stage.finish()
    assert extension.workers() == workers, "the model was loaded anew for the second head"
    yield 0.5
    assert [stage.speaks(name) for name in (first, second)] == [True, True]
    yield from stage.undo()
    assert [stage.speaks(name) for name in (first, second)] == [True, False], "undo takes back more than one"
