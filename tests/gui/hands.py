"""Mouse and keyboard of an animator, through Blender's own event simulator (--enable-event-simulate).

A button has no address.  It is found as a person finds it: the mouse goes down the sidebar, and Blender
is asked what lies under it.  Coordinates are pixels of the window from its lower left corner.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any

import bpy

#: What a step yields: seconds until the next one.
Steps = Iterator[float]
#: Steps that find something.
Search = Generator[float, None, Any]
#: Long enough for Blender to take an event in, and for a button to notice the mouse.
_EVENT_S, _HOVER_S = 0.08, 0.04
_STRIDE = 14  # pixels; a button is about 20 high


class Hands:
    def __init__(self) -> None:
        self._known: dict[str, tuple[int, int]] = {}

    @property
    def window(self) -> bpy.types.Window:
        return bpy.context.window_manager.windows[0]

    def area(self, kind: str = "VIEW_3D") -> bpy.types.Area:
        return next(area for area in self.window.screen.areas if area.type == kind)

    def region(self, kind: str, area: str = "VIEW_3D") -> bpy.types.Region:
        return next(region for region in self.area(area).regions if region.type == kind)

    def over(self, kind: str = "WINDOW", area: str = "VIEW_3D") -> Any:
        """A context as if the mouse were over a region."""
        return bpy.context.temp_override(
            window=self.window, area=self.area(area), region=self.region(kind, area)
        )

    def middle(self, kind: str = "WINDOW", area: str = "VIEW_3D") -> tuple[int, int]:
        region = self.region(kind, area)
        return region.x + region.width // 2, region.y + region.height // 2

    def move(self, place: tuple[int, int]) -> None:
        self.window.event_simulate(type="MOUSEMOVE", value="NOTHING", x=place[0], y=place[1])

    def click(self, place: tuple[int, int]) -> Steps:
        self.move(place)
        yield _EVENT_S
        yield from self.key("LEFTMOUSE", place)

    def drag(self, start: tuple[int, int], end: tuple[int, int]) -> Steps:
        self.move(start)
        yield _EVENT_S
        self.hold(start)
        yield _EVENT_S
        for part in range(1, 6):
            x, y = (round(a + (b - a) * part / 5) for a, b in zip(start, end, strict=True))
            self.move((x, y))
            yield _EVENT_S
        self.release(end)
        yield _EVENT_S

    def hold(self, place: tuple[int, int]) -> None:
        """Press the left button."""
        self.window.event_simulate(type="LEFTMOUSE", value="PRESS", x=place[0], y=place[1])

    def release(self, place: tuple[int, int]) -> None:
        """Let the left button go."""
        self.window.event_simulate(type="LEFTMOUSE", value="RELEASE", x=place[0], y=place[1])

    def key(self, name: Any, place: tuple[int, int], *, ctrl: bool = False, shift: bool = False) -> Steps:
        """Press and release a key or a mouse button with the mouse at a place."""
        for value in ("PRESS", "RELEASE"):
            self.window.event_simulate(type=name, value=value, x=place[0], y=place[1], ctrl=ctrl, shift=shift)
            yield _EVENT_S

    def press(self, name: str, area: str = "VIEW_3D") -> Steps:
        """Click the button of an operator ("codetalker.generate") in the sidebar."""
        place = yield from self.find(name, area)
        yield from self.click(place)

    def paste(self, name: str, text: str, area: str = "VIEW_3D") -> Steps:
        """Paste into the field of a property ("codetalker.audio") in the sidebar."""
        place = yield from self.find(name, area)
        bpy.context.window_manager.clipboard = text
        self.move(place)
        yield _EVENT_S
        yield from self.key("V", place, ctrl=True)
        yield 2 * _EVENT_S

    def rest(self) -> Steps:
        """Take the mouse where it covers nothing and lights nothing up."""
        self.move((self.window.width // 2, 4))
        yield 4 * _EVENT_S

    def find(self, name: str, area: str = "VIEW_3D") -> Search:
        """Where an operator's button or a property's field is; scrolls when it is out of sight."""
        if name in self._known:
            self.move(self._known[name])
            yield 2 * _EVENT_S
            if self._under_mouse(area) == name:
                return self._known[name]
        seen: set[str] = set()
        for _ in range(3):
            region = self.region("UI", area)
            top, bottom = region.y + region.height - 6, region.y + 6
            # a button that shares its row lies left
            places = ((share, y) for share in (0.62, 0.28) for y in range(top, bottom, -_STRIDE))
            for share, y in places:
                x = region.x + round(share * region.width)
                self.move((x, y))
                yield _HOVER_S
                found = self._under_mouse(area)
                if found:
                    seen.add(found)
                    self._known[found] = (x, y)
                if found == name:
                    # a busy machine may tell of where the mouse was before
                    for above in (0, _STRIDE, 2 * _STRIDE):
                        self.move((x, y + above))
                        yield 4 * _HOVER_S
                        if self._under_mouse(area) == name:
                            return x, y + above
            for _ in range(8):
                yield from self.key("WHEELDOWNMOUSE", self.middle("UI", area))
            self._known.clear()
        raise AssertionError(f"no '{name}' can be found in the sidebar; seen: {sorted(seen)}")

    def _under_mouse(self, area: str) -> str:
        """The operator or property of the button that the mouse has lit up, or ""."""
        manager, of_button = bpy.context.window_manager, bpy.ops.ui
        manager.clipboard = ""
        with self.over("UI", area):
            if of_button.copy_python_command_button.poll():  # type: ignore[call-arg]
                of_button.copy_python_command_button()  # bpy.ops.codetalker.generate()
            elif of_button.copy_data_path_button.poll():  # type: ignore[call-arg]
                of_button.copy_data_path_button(full_path=True)  # bpy.data.scenes["Scene"].codetalker.audio
        said = manager.clipboard
        if said.startswith("bpy.ops."):
            return said.removeprefix("bpy.ops.").partition("(")[0]
        return said.rpartition('"].')[2]
