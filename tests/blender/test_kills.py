"""The worker is killed at random moments: every time a clear report, and the scene as it was."""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

from codetalker_blender.blender.runs import jobs
from codetalker_blender.errors import EngineError
from tests.blender import running, scenes, speaking

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
#: Where a kill may come: so long after the stage is first seen.
STAGES = ("starting", "libraries", "speech", "codes", "codes")
SIGNALS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM)


@pytest.mark.parametrize("times", [6, pytest.param(50, marks=pytest.mark.slow)])
def test_the_scene_survives_its_worker(
    settings: Any, long_speech_file: Path, speech_file: Path, times: int
) -> None:
    chance = random.Random(times)
    obj = settings.target = scenes.add_sheet()
    speaking.add_own(obj, "nla and driver")
    speaking.speak(obj, speaking.made_motion())  # something of ours, too, that a run would replace
    settings.audio = str(long_speech_file)
    before = scenes.dump()
    killed_at = []
    for count in range(times):
        run = running.add()
        stage = STAGES[count % len(STAGES)]
        running.until_stage(run, stage)
        until = time.monotonic() + chance.uniform(0.0, 0.5)
        while (pid := jobs.QUEUE.worker_pid) is None or time.monotonic() < until:
            assert not run.advance()
            time.sleep(running.TICK_S)
        os.kill(pid, chance.choice(SIGNALS))
        killed_at.append(run.stage)
        with pytest.raises(EngineError, match=r"^The model's process ended by signal \d+ \(SIG[A-Z]+\)"):
            running.finish(run)
        assert run.take is None
        assert scenes.dump() == before, f"kill {count + 1} at {killed_at[-1]}"
    assert len(set(killed_at)) > 2, killed_at
    settings.audio = str(speech_file)
    assert running.finish(running.add()) is not None  # and after all that it works
