"""Buttons of the mapping: find it by name, keep and load it as a file, and the character's other meshes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import bpy

from ...errors import TargetError, UserError
from ...face.mapping_files import Preset, write_mapping
from ..buttons import Button, FileButton
from . import existing, follow, mapping, mapping_settings, rig_rules, tuning

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems


class OnMapping(Button):
    """Changes the target's mapping, after which the animation follows."""

    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        obj = context.scene.codetalker.target
        if obj is None or obj.type != "MESH":
            return TargetError("No target mesh is chosen.", "Choose the head to animate under Target.")
        return None

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        """Change the mapping of the target ``obj``.  Raises UserError."""
        raise NotImplementedError

    def perform(self, context: bpy.types.Context) -> None:
        obj = context.scene.codetalker.target
        self.change(context, obj)
        follow.rewrite(obj.codetalker.mapping, context)


class CODETALKER_OT_auto_map(OnMapping):
    bl_idname = "codetalker.auto_map"
    bl_label = "Auto-Map"
    bl_description = "Find the keys by their names, and list them for editing"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        mapping_settings.fill(obj, mapping.by_name(obj).mapping)
        self.report({"INFO"}, existing.coverage(obj))


class CODETALKER_OT_add_drive(OnMapping):
    bl_idname = "codetalker.add_drive"
    bl_label = "Add Key"
    bl_description = "Add a row, so that the chosen shape drives one more key"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        group = obj.codetalker.mapping
        if not group.drives:
            raise UserError("There is no row yet.", "Press Auto-Map first.")
        at = min(max(group.active_drive, 0), len(group.drives) - 1)
        row = group.drives.add()
        row.shape = group.drives[at].shape
        group.drives.move(len(group.drives) - 1, at + 1)
        group.active_drive = at + 1


class _WithFile(FileButton, OnMapping):
    if not TYPE_CHECKING:
        filter_glob: bpy.props.StringProperty(default="*.json", options={"HIDDEN"})

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[OperatorReturnItems]:
        self.filepath = self.filepath or "mapping.json"
        return super().invoke(context, event)


class CODETALKER_OT_save_mapping(_WithFile):
    bl_idname = "codetalker.save_mapping"
    bl_label = "Save Mapping..."
    bl_description = (
        "Write which keys, bones and properties follow which shapes into a file, for other rigs of this kind"
    )
    bl_options = set()

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        path = self.path()
        write_mapping(path, Preset(mapping.of(obj), tuple(rig_rules.rules_of(obj))))
        self.report({"INFO"}, f"Saved '{path.name}'")


class CODETALKER_OT_load_mapping(_WithFile):
    bl_idname = "codetalker.load_mapping"
    bl_label = "Load Mapping..."
    bl_description = "Take from a file which keys, bones and properties follow which shapes"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        mapping_settings.load(obj, self.path())
        self.report({"INFO"}, existing.coverage(obj))


class CODETALKER_OT_add_companions(OnMapping):
    bl_idname = "codetalker.add_companions"
    bl_label = "Add Selected Meshes"
    bl_description = (
        "Drive the selected meshes together with the target; with none selected, those of the same parent "
        "that have keys for it"
    )

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        chosen = [other for other in context.selected_objects if other.type == "MESH" and other != obj]
        known = set(mapping.companions(obj))
        found = [other for other in chosen or _siblings(obj) if other not in known]
        if not found:
            raise UserError(
                "No other mesh is selected, and none with the same parent has keys of such names.",
                "Select teeth, tongue, brows or lashes.",
            )
        for other in found:
            obj.codetalker.mapping.companions.add().object = other
        self.report({"INFO"}, f"Driven together with '{obj.name}': {', '.join(o.name for o in found)}")


class CODETALKER_OT_clear_companions(OnMapping):
    bl_idname = "codetalker.clear_companions"
    bl_label = "Clear Meshes"
    bl_description = "Drive the target alone; the other meshes are as they were"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        tuning.release(obj)


def _siblings(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """Meshes with the same parent, or below the object, that have keys for its shapes."""
    near = [*obj.children_recursive, *(obj.parent.children_recursive if obj.parent else ())]
    found = [other for other in dict.fromkeys(near) if other != obj and other.type == "MESH"]
    return [other for other in found if mapping.matches(other, mapping.shapes_of(obj))]


CLASSES = (
    CODETALKER_OT_auto_map,
    CODETALKER_OT_add_drive,
    CODETALKER_OT_save_mapping,
    CODETALKER_OT_load_mapping,
    CODETALKER_OT_add_companions,
    CODETALKER_OT_clear_companions,
)
