"""What an act works with: the window, the scene as the acts need it, waiting, pictures, figures."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

from tests.blender import scenes
from tests.gui import extension
from tests.gui.display import take_picture
from tests.gui.hands import Hands, Search, Steps
from tests.gui.stopwatch import Stopwatch

#: Relative, so that no picture shows where this machine keeps its files.
AUDIO = "//speech/demo.flac"
#: The same sentence several times: there is time to look while it is generated.
LONG_AUDIO = "//speech/long.wav"
#: Of the sidebar's folded sub-panels: from the last button to the first one's title, from title to title.
_FIRST_TITLE, _NEXT_TITLE = 31, 27


@dataclass(frozen=True)
class Figure:
    """One measured number; bar: what it should not exceed, None where there is no such promise."""

    name: str
    value: float
    unit: str
    bar: float | None = None


class Stage:
    """project: a folder with demo_head.blend and speech/, the animator's; pictures: where screenshots go."""

    def __init__(self, project: Path, pictures: Path, hands: Hands) -> None:
        self.project, self.pictures = project, pictures
        self.hands = hands
        self.stopwatch = Stopwatch(extension.folder())
        self.figures: list[Figure] = []
        self.workers: set[int] = set()

    # the scene

    def open(self, name: str = "demo_head.blend") -> Steps:
        """Open one of the project's files and the sidebar's tab."""
        with bpy.context.temp_override(window=self.hands.window):
            bpy.ops.wm.open_mainfile(filepath=str(self.project / name))
        yield 0.8
        yield from self.open_tab()

    def empty(self) -> Steps:
        """A new file without any object."""
        with bpy.context.temp_override(window=self.hands.window):
            bpy.ops.wm.read_homefile(use_empty=True)
        yield 0.5

    def open_tab(self, area: str = "VIEW_3D") -> Steps:
        """Open the sidebar's tab, a little wider than it comes."""
        self.hands.area(area).spaces.active.show_region_ui = True
        yield 0.4
        region: Any = self.hands.region("UI", area)
        while region.active_panel_category != "CodeTalker":  # it can be set once the tabs were drawn
            region.active_panel_category = "CodeTalker"
            region.tag_redraw()
            yield 0.3
        region.tag_redraw()
        yield 0.3
        if region.width < 300:
            edge = (region.x, region.y + region.height // 3)
            yield from self.hands.drag(edge, (edge[0] - 110, edge[1]))
            yield 0.3

    @property
    def settings(self) -> Any:
        return bpy.context.scene.codetalker

    @property
    def head(self) -> bpy.types.Object:
        """The head; asked for anew each time, because undo and loading replace every object."""
        meshes = (obj for obj in bpy.context.scene.objects if obj.type == "MESH")
        return max(meshes, key=lambda obj: len(obj.data.vertices))

    def prepare(self) -> Steps:
        """The demo head with everything set, by script, and the camera's view of it."""
        yield from self.open()
        self.settings.audio, self.settings.target = AUDIO, self.head
        yield from self.look()
        with self.hands.over():
            bpy.ops.ed.undo_push(message="Prepare")

    def changes_since(self, before: dict[str, object]) -> list[str]:
        """Where the file differs from what ``scenes.dump()`` told before."""
        lines = scenes.differences(before, scenes.dump())
        # the setting Target, seen as a custom property, is told by its place in memory
        return [line for line in lines if not re.match(r"[^:]*custom[^:]*\.target:", line)]

    def look(self) -> Steps:
        """See the head through the camera."""
        space = self.hands.area().spaces.active
        space.region_3d.view_perspective = "CAMERA"
        space.region_3d.view_camera_zoom = 10.0
        yield 0.3

    def speaks(self, name: str) -> bool:
        """Whether an object has an animation of ours."""
        return extension.module("blender.retargeting.outcomes").outcome_of(bpy.data.objects[name]) is not None

    def unfold(self, number: int, *, below: str = "codetalker.remove") -> Steps:
        """Click the title of a sub-panel that is folded as those above it are; the first is 1.

        below: the button above the first title
        """
        _, y = yield from self.hands.find(below)
        yield from self.hands.click(
            (self.hands.middle("UI")[0], y - _FIRST_TITLE - (number - 1) * _NEXT_TITLE)
        )
        yield 0.4

    def coordinates(self, frame: int) -> NDArray[np.float32]:
        """(V, 3) the head as Blender deforms it at a frame."""
        bpy.context.scene.frame_set(frame)
        instance = self.head.evaluated_get(bpy.context.evaluated_depsgraph_get())
        mesh = instance.to_mesh()
        found = np.empty((len(mesh.vertices), 3), np.float32)
        mesh.vertices.foreach_get("co", found.ravel())
        instance.to_mesh_clear()
        return found

    def undo(self, *, redo: bool = False) -> Steps:
        """Ctrl Z over the 3D View, or Shift Ctrl Z."""
        yield from self.hands.key("Z", self.hands.middle(), ctrl=True, shift=redo)
        yield 1.0

    # the job

    def generate(self) -> Steps:
        """Press the button; ends when the worker is at work."""
        yield from self.hands.press("codetalker.generate")
        yield from self.wait("a speech to be generated", extension.is_running, 5)

    def reach_the_middle(self, share: float = 0.15) -> Steps:
        """Wait until the model itself is at work, and that share of it done."""

        def at_work() -> bool:
            stage, fraction = extension.progress()
            return not extension.is_running() or (stage == "codes" and fraction > share)

        yield from self.wait("the model to be at work", at_work, 120)
        self.workers.update(extension.workers())
        assert extension.is_running(), "the run was over before its middle"

    def finish(self) -> Steps:
        """Wait until nothing is being generated."""
        yield from self.wait("the run to end", lambda: not extension.is_running(), 180)

    def no_worker_left(self) -> Steps:
        """Wait until no worker process is there any more."""
        yield from self.wait("the worker process to end", lambda: not extension.workers(), 10)

    # waiting, pictures, figures

    def wait(self, what: str, condition: Callable[[], bool], limit_s: float) -> Steps:
        end = time.monotonic() + limit_s
        while not condition():
            assert time.monotonic() < end, f"waited {limit_s:g} s for {what}"
            self.workers.update(extension.workers())
            yield 0.05

    def picture(self, name: str, *, of: str = "") -> Search:
        """Save a picture of the window, or of one region of the 3D View ("UI")."""
        yield from self.hands.rest()
        yield 0.5
        self.snap(name, of)
        return None

    def snap(self, name: str, of: str = "") -> None:
        """Save a picture at once."""
        box = None
        if of:
            region, height = self.hands.region(of), self.hands.window.height
            box = (region.x, height - region.y - region.height, region.width, region.height)
        take_picture(self.pictures / f"{name}.png", os.environ["DISPLAY"], box)

    def measure(self, name: str, value: float, unit: str, bar: float | None = None) -> None:
        self.figures.append(Figure(name, value, unit, bar))

    def plain_figures(self) -> list[dict[str, object]]:
        return [asdict(figure) for figure in self.figures]
