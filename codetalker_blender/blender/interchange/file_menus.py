"""File > Import and File > Export: weights of shapes onto the target, and its animation into a file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ...errors import TargetError, UserError
from ...face.weight_files import read_weights
from ...staging import Staging
from ..buttons import FileButton
from . import exports, shape_weights

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


def _chosen(context: bpy.types.Context) -> bpy.types.Object | None:
    """The panel's Target, or else the active mesh."""
    target: bpy.types.Object | None = context.scene.codetalker.target
    if target is not None:
        return target
    active = context.active_object
    return active if active is not None and active.type == "MESH" else None


class _OnChosen(FileButton):
    """Works on a file and the chosen object."""

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        if _chosen(context) is None:
            return TargetError("No target mesh is chosen.", "Choose the head under Target.")
        return None


class CODETALKER_OT_import_weights(_OnChosen):
    bl_idname = "codetalker.import_weights"
    bl_label = "Import Facial Weights"
    bl_description = (
        "Let the target's keys follow a recording of Live Link Face or Audio2Face, or a file of weights; "
        "it replaces the CodeTalker animation that is there"
    )
    bl_options = {"UNDO"}

    if TYPE_CHECKING:
        start_frame: int
        fps: float
    else:
        filter_glob: bpy.props.StringProperty(default="*.csv;*.json", options={"HIDDEN"})
        start_frame: bpy.props.IntProperty(
            name="Start Frame",
            description="Frame of the scene in which the file's first one is shown",
            default=1,
            options={"SKIP_SAVE"},
        )
        fps: bpy.props.FloatProperty(
            name="Frame Rate",
            description=(
                "Frames per second of a recording whose timecodes do not tell them, or round them; "
                "0 takes what the file says"
            ),
            min=0.0,
            soft_max=120.0,
            options={"SKIP_SAVE"},
        )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        self.start_frame = context.scene.frame_current
        return super().invoke(context, event)

    def perform(self, context: bpy.types.Context) -> None:
        obj, path, scene = _chosen(context), self.path(), context.scene
        weights = read_weights(path, self.fps or None)
        start = self.start_frame if self.properties.is_property_set("start_frame") else scene.frame_current
        outcome, lost = shape_weights.place(obj, scene, weights, start)
        scene.codetalker.target = obj
        if lost:
            self.report({"WARNING"}, lost)
        last = start + outcome.frame_count - 1
        self.report({"INFO"}, f"'{obj.name}' follows '{path.name}' from frame {start} to {last} ({outcome})")


class CODETALKER_OT_export_animation(_OnChosen):
    bl_idname = "codetalker.export_animation"
    bl_label = "Export CodeTalker"
    bl_description = "Write the target's CodeTalker animation into a file for other programs"
    bl_options = set()

    if TYPE_CHECKING:
        format: str
    else:
        filter_glob: bpy.props.StringProperty(
            default=";".join(f"*{ending}" for ending in exports.ENDINGS), options={"HIDDEN"}
        )
        format: bpy.props.EnumProperty(
            name="Format",
            description="Kind of file; its name gets the ending",
            items=tuple((name, kind.label, kind.about) for name, kind in exports.FORMATS.items()),
        )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        obj = _chosen(context)
        assert obj is not None  # polled
        stem = Path(bpy.data.filepath).stem if bpy.data.filepath else "untitled"
        self.filepath = self.filepath or bpy.path.clean_name(f"{stem}_{obj.name}")
        self.check(context)
        return super().invoke(context, event)

    def check(self, context: bpy.types.Context) -> bool:
        """Keep the name's ending that of the format; -> whether it had another."""
        endings = exports.FORMATS[self.format].endings
        found = exports.ending_of(self.filepath)
        if found in endings or self.filepath.endswith(("/", "\\")):
            return False
        self.filepath = f"{self.filepath[: len(self.filepath) - len(found)]}{endings[0]}"
        return True

    def draw(self, context: bpy.types.Context) -> None:
        assert self.layout is not None
        column = self.layout.column()
        column.prop(self, "format", expand=True)
        if reason := exports.FORMATS[self.format].obstacle():
            column.label(text=f"{reason[:1].upper()}{reason[1:]}", icon="ERROR")

    def perform(self, context: bpy.types.Context) -> None:
        path = self.path()
        exports.check(path)
        performance = exports.finished(_chosen(context), context.scene)
        with Staging() as staging:
            exports.export(staging.file(path), performance)
            staging.publish()
        self.report({"INFO"}, f"Wrote '{path}'")


def _draw_import(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    assert menu.layout is not None
    menu.layout.operator(CODETALKER_OT_import_weights.bl_idname, text="Facial Weights (.csv, .json)")


def _draw_export(menu: bpy.types.Menu, context: bpy.types.Context) -> None:
    assert menu.layout is not None
    menu.layout.operator(CODETALKER_OT_export_animation.bl_idname, text="CodeTalker Animation...")


def register() -> None:
    """Add the two entries."""
    bpy.types.TOPBAR_MT_file_import.append(_draw_import)
    bpy.types.TOPBAR_MT_file_export.append(_draw_export)


def unregister() -> None:
    """Take them back."""
    bpy.types.TOPBAR_MT_file_export.remove(_draw_export)
    bpy.types.TOPBAR_MT_file_import.remove(_draw_import)


CLASSES = (CODETALKER_OT_import_weights, CODETALKER_OT_export_animation)
