"""Runs as the window's operators drive them, without a window."""

from __future__ import annotations

import dataclasses
import threading
import time

import bpy

from codetalker_blender.blender.preferences import engine_settings
from codetalker_blender.blender.runs import generation, jobs

WAIT_S = 120.0  # far more than a run needs: only a hanging one meets it
TICK_S = 0.02


def add() -> jobs.Run:
    """Press the button, with the preference that a window has: the model runs in a worker."""
    engine = dataclasses.replace(engine_settings(), mode="worker")
    return jobs.QUEUE.add(generation.prepare(bpy.context), engine)


def until_over(run: jobs.Run) -> None:
    """Look at the run, which is the first, until it is over.  Raises what it raises."""
    deadline = time.monotonic() + WAIT_S
    jobs.QUEUE.proceed()
    while not run.advance():
        assert time.monotonic() < deadline, f"it hangs at stage {run.stage}"
        time.sleep(TICK_S)


def finish(run: jobs.Run) -> generation.Written | None:
    """Let the run end, write its result, and forget it; None for one that was cancelled."""
    try:
        until_over(run)
        if run.take is None:
            return None
        return generation.write(run.prepared, run.take, run.notes)
    finally:
        jobs.QUEUE.finish(run)


def until_stage(run: jobs.Run, stage: str) -> None:
    """Look at the run until its job has come to a stage."""
    deadline = time.monotonic() + WAIT_S
    jobs.QUEUE.proceed()
    while run.stage != stage:
        assert not run.advance(), f"it is over, and was never at stage {stage}"
        assert time.monotonic() < deadline, f"it hangs at stage {run.stage}"
        time.sleep(TICK_S)


def threads() -> list[str]:
    """Ours that are alive."""
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("codetalker")]
