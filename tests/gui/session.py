"""Inside a Blender with a window: plays acts, one after the other, and writes down what they find.

Acts are generators of steps: each yields the seconds until its next step, so that Blender draws and
handles events in between, as it does between an animator's clicks.  One timer, which survives the
loading of files, drives them.
"""

from __future__ import annotations

import importlib
import json
import os
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path

import bpy

from tests.gui.hands import Hands
from tests.gui.real_hands import RealHands
from tests.gui.stage import Stage, Steps

Act = Callable[[Stage], Steps]
#: Blender's first picture takes seconds where a processor draws it.
_FIRST_S = 2.0


def start(name: str, acts: list[str], project: str, pictures: str, results: str, simulated: bool) -> None:
    """Play the acts ("tuning_act.sliders") when Blender is up, then quit.

    simulated: by Blender's event simulator, which it must have been started for, or by the X server's mouse
    results: the JSON file that tells what they found; it is written after every act
    """
    bpy.context.preferences.view.show_splash = False
    session = Session(name, acts, Path(results))
    steps = session.play(Stage(Path(project), Path(pictures), Hands() if simulated else RealHands()))
    bpy.app.timers.register(lambda: next(steps, None), first_interval=_FIRST_S, persistent=True)


class Session:
    def __init__(self, name: str, acts: list[str], results: Path) -> None:
        self._name, self._acts, self._results = name, acts, results
        self._found: list[dict[str, object]] = []

    def play(self, stage: Stage) -> Iterator[float]:
        stage.stopwatch.start()
        try:
            for name in self._acts:
                yield from self._play(name, stage)
                self._write(stage)
            stage.stopwatch.stop()
            bpy.ops.wm.quit_blender()
        except Exception:  # noqa: BLE001 - a bug of this machinery: without this the window stays
            traceback.print_exc()
            os._exit(9)

    def _play(self, name: str, stage: Stage) -> Steps:
        module, _, function = name.partition(".")
        act: Act = getattr(importlib.import_module(f"tests.gui.{module}"), function)
        began, said = time.monotonic(), ""
        print(f"tests.gui: {name}", flush=True)
        try:
            yield from act(stage)
        except Exception as error:  # noqa: BLE001 - a failed act is a finding, and the next one goes on
            traceback.print_exc()
            said = f"{type(error).__name__}: {error}"
            stage.snap(f"failure-{self._name}-{name}")
        seconds = time.monotonic() - began
        self._found.append({"name": name, "passed": not said, "said": said, "seconds": seconds})

    def _write(self, stage: Stage) -> None:
        found = {
            "session": self._name,
            "blender": bpy.app.version_string,
            "acts": self._found,
            "figures": stage.plain_figures(),
            "workers": sorted(stage.workers),
        }
        partial = self._results.with_suffix(".part")
        partial.write_text(json.dumps(found, indent=1), encoding="utf-8")
        partial.replace(self._results)
