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
    yield from _choose(stage, "codetalker.add_preset", 28)
    folder = extension.module("blender.sidebar.presets").FOLDER
    kept = [path.name for place in bpy.utils.preset_paths(folder) for path in Path(place).glob("*.py")]
    assert len(kept) == 1, f"the menu's plus has kept {kept}"
    stage.settings.property_unset("style")
    for name in ("output", "strength_mouth"):
        group.property_unset(name)
    yield from _choose(stage, "script.execute_preset", -130)
    found = (stage.settings.style, group.output, round(group.strength_mouth, 3))
    assert found == ("lively", "COMPACT", 1.5), f"the preset brings back {found}"


def _choose(stage: Stage, name: str, aside: int) -> Steps:
    """Open the menu by the icon in the panel's title, and click what it has of an operator.

    aside: pixels from the sidebar's right edge
    """
    region = stage.hands.region("UI")
    for _ in range(3):  # where the menu is open still, the first click closes it
        yield from stage.hands.click((region.x + region.width - 68, region.y + region.height - 14))
        yield 0.6
        stage.snap("presets")
        place = yield from _find(stage, name, aside)
        if place is not None:
            yield from stage.hands.click(place)
            yield from stage.hands.rest()  # the menu closes when the mouse is away
            yield 0.5
            return
    raise AssertionError(f"the menu has no '{name}'")


def _find(stage: Stage, name: str, aside: int) -> Search:
    """Where the open menu has an operator, as Ctrl C over its entries tells; None where it has not."""
    region, manager = stage.hands.region("UI"), bpy.context.window_manager
    x, top = region.x + region.width + aside, region.y + region.height
    for y in range(top - 44, top - 108, -9):  # the menu closes when the mouse goes far from it
        manager.clipboard = ""
        yield from stage.hands.key("C", (x, y), ctrl=True)
        yield 0.1
        if name in manager.clipboard:
            return x, y
    return None
