"""Redraws the preferences while something of ours works beside Blender, and only then."""

from __future__ import annotations

from collections.abc import Callable

import bpy

_INTERVAL_S = 0.2
_workers: list[Callable[[], bool]] = []


def watch(is_working: Callable[[], bool]) -> None:
    """Redraw until ``is_working()`` is False, and once more."""
    if bpy.app.background:  # timers never fire there
        return
    _workers.append(is_working)
    if not bpy.app.timers.is_registered(_tick):
        bpy.app.timers.register(_tick, first_interval=_INTERVAL_S, persistent=True)


def stop() -> None:
    """Take the timer back."""
    _workers.clear()
    if bpy.app.timers.is_registered(_tick):
        bpy.app.timers.unregister(_tick)


def _tick() -> float | None:
    _workers[:] = [is_working for is_working in _workers if is_working()]
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in ("PREFERENCES", "VIEW_3D"):
                area.tag_redraw()
    return _INTERVAL_S if _workers else None
