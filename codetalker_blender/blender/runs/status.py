"""How far the runs are: in the sidebars, and in the status bar of every workspace they were seen in."""

from __future__ import annotations

import bpy

from . import jobs
from .queue_operators import CODETALKER_OT_cancel, CODETALKER_OT_cancel_all

#: Editors whose sidebar shows runs.
EDITORS = {"VIEW_3D", "SEQUENCE_EDITOR"}


class StatusText:
    """What one run writes into the status bar, and takes away in the end."""

    def __init__(self) -> None:
        self._text: str | None = None
        self._workspaces: set[str] = set()

    def show(self, context: bpy.types.Context, text: str) -> None:
        """Write it, and have the sidebars drawn again, if there is anything new; others write there, too."""
        workspace = context.workspace
        if workspace is None or (text == self._text and workspace.name in self._workspaces):
            return
        self._text = text
        self._workspaces.add(workspace.name)
        workspace.status_text_set(text)
        redraw_sidebars()

    def clear(self) -> None:
        """Give the status bar back; a second call changes nothing."""
        for name in self._workspaces:
            workspace: bpy.types.WorkSpace | None = bpy.data.workspaces.get(name)
            if workspace is not None:
                workspace.status_text_set(None)
        self._workspaces.clear()
        self._text = None
        redraw_sidebars()


def line_of(run: jobs.Run) -> str:
    """A run in the status bar."""
    waiting = len(jobs.QUEUE.waiting)
    more = f"    {waiting} waiting" if waiting else ""
    return f"CodeTalker: '{run.prepared.target}': {run.label} ({run.fraction:.0%}){more}    Esc: Cancel"


def redraw_sidebars() -> None:
    """Have the sidebars drawn again, and nothing else."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type in EDITORS:
                for region in area.regions:
                    if region.type == "UI":
                        region.tag_redraw()


def draw_runs(layout: bpy.types.UILayout) -> None:
    """The run that goes, with its progress, and those that wait, each with a button to stop it."""
    run, waiting = jobs.QUEUE.current, jobs.QUEUE.waiting
    for name in jobs.QUEUE.dropped:
        layout.label(text=f"The speech of '{name}' was dropped with its file or window", icon="INFO")
    if run is None:
        return
    column = layout.column(align=True)
    if waiting:
        column.label(text=f"{run.prepared.target}", icon="PLAY_SOUND")
    column.progress(factor=run.fraction, text=run.label)
    column.operator(CODETALKER_OT_cancel.bl_idname, icon="CANCEL")
    if not waiting:
        return
    column = layout.column(align=True)
    for other in waiting:
        row = column.row()
        row.label(text=f"{other.prepared.target}: waiting", icon="TIME")
        row.operator(CODETALKER_OT_cancel.bl_idname, text="", icon="X").run = other.number
    column.operator(CODETALKER_OT_cancel_all.bl_idname, icon="CANCEL")
