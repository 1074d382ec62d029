"""Act of presets: settings are kept by the menu in the panel's header, and come back by it."""

from __future__ import annotations

from pathlib import Path

import bpy

from tests.gui import extension
from tests.gui.hands import Search, Steps
from tests.gui.stage import Stage


def kept_and_loaded(stage: Stage) -> Steps:
    """The plus in the menu keeps what is set; a click on the name brings it back, for another head, too."""
    yield from stage.prepare()
    group = stage.head.codetalker
    stage.settings.style, group.output, group.strength_mouth = "lively", "COMPACT", 1.5
    yield from _open(stage)
    plus = yield from _find(stage, "codetalker.add_preset", 28)
    yield from stage.hands.click(plus)
    yield from stage.hands.rest()  # the menu closes when the mouse is away
    yield 0.5
    folder = extension.module("blender.sidebar.presets").FOLDER
    kept = [path.name for place in bpy.utils.preset_paths(folder) for path in Path(place).glob("*.py")]
    assert len(kept) == 1, f"the menu's plus has kept {kept}"
    stage.settings.property_unset("style")
    for name in ("output", "strength_mouth"):
        group.property_unset(name)
    yield from _open(stage)
    name = yield from _find(stage, "script.execute_preset", -130)
    yield from stage.hands.click(name)
    yield 0.5
    found = (stage.settings.style, group.output, round(group.strength_mouth, 3))
    assert found == ("lively", "COMPACT", 1.5), f"the preset brings back {found}"


def _open(stage: Stage) -> Steps:
    """Click the menu's icon, in the title of the panel."""
    region = stage.hands.region("UI")
    yield from stage.hands.click((region.x + region.width - 68, region.y + region.height - 14))
    yield 0.6
    stage.snap("presets")


def _find(stage: Stage, name: str, aside: int) -> Search:
    """Where the open menu has an operator: Ctrl C over an entry tells which one it is.

    aside: pixels from the sidebar's right edge; the menu closes when the mouse goes far from it
    """
    region, manager = stage.hands.region("UI"), bpy.context.window_manager
    x, top = region.x + region.width + aside, region.y + region.height
    seen = []
    for y in range(top - 44, top - 108, -9):
        manager.clipboard = ""
        yield from stage.hands.key("C", (x, y), ctrl=True)
        yield 0.1
        seen.append(manager.clipboard)
        if name in manager.clipboard:
            return x, y
    raise AssertionError(f"the menu has no '{name}'; seen: {sorted(set(seen))}")
