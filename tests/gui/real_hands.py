"""Mouse and keyboard of the X server, as hardware would be: Blender knows no difference.

Slower than the event simulator, and there is one pointer per screen.  A Blender that is started for the
simulator ignores these, and the other way round.
"""

from __future__ import annotations

import subprocess
from typing import Any

from tests.gui.hands import Hands, Steps

_BUTTONS = {"LEFTMOUSE": "1", "WHEELUPMOUSE": "4", "WHEELDOWNMOUSE": "5"}
_KEYS = {"ESC": "Escape"}


class RealHands(Hands):
    def move(self, place: tuple[int, int]) -> None:
        # the X server counts from the upper edge
        _xdotool("mousemove", str(place[0]), str(self.window.height - 1 - place[1]))

    def hold(self, place: tuple[int, int]) -> None:
        _xdotool("mousedown", "1")

    def release(self, place: tuple[int, int]) -> None:
        _xdotool("mouseup", "1")

    def key(self, name: Any, place: tuple[int, int], *, ctrl: bool = False, shift: bool = False) -> Steps:
        self.move(place)
        yield 0.08
        if name in _BUTTONS:
            for half in ("mousedown", "mouseup"):
                _xdotool(half, _BUTTONS[name])
                yield 0.08
            return
        held = "ctrl+" * ctrl + "shift+" * shift
        _xdotool("key", held + _KEYS.get(name, str(name).lower()))
        yield 0.08


def _xdotool(*words: str) -> None:
    subprocess.run(["xdotool", *words], check=True, timeout=20)
