"""Act with the model inside Blender: how long the window stands still then."""

from __future__ import annotations

import importlib.util
import time

from tests.gui import extension
from tests.gui.hands import Steps
from tests.gui.stage import Stage


def worst_tick(stage: Stage) -> Steps:
    """The face speaks without a worker, and the longest wait of a timer is measured.

    Only where Blender's own Python has torch; elsewhere it is refused in a sentence.
    """
    preferences = extension.module("blender.preferences").stored_preferences()
    preferences.job_mode = "inside"
    try:
        yield from stage.prepare()
        if importlib.util.find_spec("torch") is None:
            reasons = extension.module("blender.preferences").engine_settings().missing()
            assert "torch" in reasons and "in a worker process" in reasons, reasons
            return
        for which in ("first", "second"):
            yield from stage.generate()
            assert not extension.workers(), "a worker process is at work"
            worst, last = 0.0, time.monotonic()
            while extension.is_running():
                yield 0.01
                now = time.monotonic()
                worst, last = max(worst, now - last), now
            stage.measure(f"model inside Blender, {which} run: worst tick", 1000 * worst, "ms")
            yield 1.0  # until the panel tells of the result, which moves its buttons
        assert stage.speaks(stage.head.name), "nothing was written"
    finally:
        preferences.job_mode = "auto"
