"""Act of File > Export and File > Import: weights go into a file, and from the file onto the keys again."""

from __future__ import annotations

import csv

import bpy
import numpy as np

from tests.gui import extension
from tests.gui.hands import Search, Steps
from tests.gui.stage import Stage

_FRAMES = range(1, 140, 3)
#: Pixels: of the two submenus below the word File, and of their entries from the window's left edge.
_IMPORT, _EXPORT, _SUBMENU = 296, 317, 320


def export_and_import(stage: Stage) -> Steps:
    """A CSV of weights has a row per frame; imported, it moves the keys as they moved before."""
    view = bpy.context.preferences.view
    view.filebrowser_display_type = "SCREEN"  # the file browser takes the window over: one to look at
    yield from stage.prepare()
    stage.head.codetalker.output = "EXISTING"
    yield from stage.generate()
    yield from stage.finish()
    yield 0.5
    outcome = extension.module("blender.retargeting.outcomes").outcome_of(stage.head)
    before = np.stack([stage.coordinates(frame) for frame in _FRAMES])
    path = stage.project / "spoken.csv"
    yield from _choose(stage, _EXPORT, "codetalker.export_animation", "menu-export")
    yield from _in_browser(stage, "export", str(path), format="CSV")
    assert path.is_file(), f"{path.name} was not written"
    with path.open(encoding="utf-8", newline="") as stream:
        rows = list(csv.reader(line for line in stream if not line.startswith("#")))
    assert len(rows) == outcome.frame_count + 1, f"{len(rows)} lines for {outcome.frame_count} frames"
    yield from stage.hands.press("codetalker.remove")
    yield 0.5
    bpy.context.scene.frame_set(1)
    yield from _choose(stage, _IMPORT, "codetalker.import_weights", "menu-import")
    yield from _in_browser(stage, "import", str(path))
    after = np.stack([stage.coordinates(frame) for frame in _FRAMES])
    off = float(np.linalg.norm(after - before, axis=-1).max())
    assert off < 0.0005, f"the face is {1000 * off:.2f} mm off after export and import"
    yield from stage.picture("imported")


def _choose(stage: Stage, below: int, name: str, picture: str) -> Steps:
    """Open File, then the submenu that lies so many pixels below, and click the operator's entry."""
    top = stage.hands.window.height - 14
    yield from stage.hands.click((46, top))
    yield 0.6
    yield from stage.hands.click((80, top - below))
    yield 0.6
    stage.snap(picture)
    place = yield from _entry(stage, name, top - below)
    assert place is not None, f"File has no entry for {name}"
    yield from stage.hands.click(place)
    yield 1.0


def _entry(stage: Stage, name: str, top: int) -> Search:
    """Where the open submenu has an operator, as Ctrl C over its entries tells; None where it has not."""
    manager = bpy.context.window_manager
    for y in range(top, top - 400, -10):
        manager.clipboard = ""
        stage.hands.move((_SUBMENU, y))
        yield 0.1
        yield from stage.hands.key("C", (_SUBMENU, y), ctrl=True)
        if name in manager.clipboard:
            return _SUBMENU, y
    return None


def _in_browser(stage: Stage, picture: str, path: str, **values: str) -> Steps:
    """Set the file browser's name and options, and confirm."""
    area = stage.hands.area("FILE_BROWSER")
    space = area.spaces.active
    for name, value in values.items():
        setattr(space.active_operator, name, value)
    yield 0.3
    folder, _, name = path.rpartition("/")
    space.params.directory, space.params.filename = folder.encode(), name
    area.tag_redraw()
    yield 0.8
    stage.snap(picture)
    with bpy.context.temp_override(window=stage.hands.window, area=area, region=area.regions[-1]):
        bpy.ops.file.execute()
    yield 1.0
