"""Presets of the settings, by Blender's own mechanism: small Python files in its presets folder.

Kept are the scene's settings, without sound and target, and those of the target.  Blender writes such a
file and runs it again; while it sets one value after the other, the target's animation waits for the last.
"""

from __future__ import annotations

from pathlib import Path

import bpy
from bl_operators.presets import AddPresetBase
from bl_ui.utils import PresetPanel

from ...errors import UserError
from ...text_files import write_text
from ..retargeting import follow, tuning

FOLDER = "codetalker/settings"
#: In this order: another model forgets the styles.
SCENE_SETTINGS = (
    *("model", "model_folder", "style", "style_b", "style_mix"),
    *("own_variation", "seed", "device"),
)


class CODETALKER_OT_add_preset(AddPresetBase, bpy.types.Operator):
    bl_idname = "codetalker.add_preset"
    bl_label = "Add Preset"
    bl_description = "Keep the settings of the scene and the target, or remove a kept one"
    preset_menu = "CODETALKER_PT_presets"
    preset_subdir = FOLDER

    def add(self, context: bpy.types.Context, filepath: str) -> None:
        """Write the file.  Blender calls it; its own way relies on locals that Python 3.13 does not share."""
        settings = context.scene.codetalker
        lines = [
            "import bpy",
            "settings = bpy.context.scene.codetalker",
            # without a target, what is meant for one goes to a function that nobody calls
            "target = settings.target.codetalker if settings.target else lambda: None",
            *(f"settings.{name} = {getattr(settings, name)!r}" for name in SCENE_SETTINGS),
        ]
        if settings.target is not None:
            group = settings.target.codetalker
            lines += [f"target.{name} = {getattr(group, name)!r}" for name in _settings_in(group)]
            lines.append("layers = getattr(target, 'layers', target)")
            lines += [
                f"layers.{name} = {getattr(group.layers, name)!r}" for name in _settings_in(group.layers)
            ]
        try:
            write_text(Path(filepath), "\n".join(lines) + "\n")
        except UserError as error:
            self.report({"ERROR"}, str(error))


class CODETALKER_PT_presets(PresetPanel, bpy.types.Panel):
    bl_label = "CodeTalker Presets"
    preset_subdir = FOLDER
    preset_operator = "script.execute_preset"
    preset_add_operator = CODETALKER_OT_add_preset.bl_idname

    def draw(self, context: bpy.types.Context) -> None:
        # until the first preset is kept, Blender's menu would complain of missing paths
        bpy.utils.user_resource("SCRIPTS", path=f"presets/{FOLDER}", create=True)
        super().draw(context)

    @staticmethod
    def reset_cb(context: bpy.types.Context, filepath: str) -> None:
        """Blender calls it before it loads a preset."""
        follow.hold()

    @staticmethod
    def post_cb(context: bpy.types.Context, filepath: str) -> None:
        """Blender calls it afterwards, also when loading has failed."""
        follow.go_on()
        obj = context.scene.codetalker.target
        if obj is not None and not tuning.is_applied(obj):
            follow.apply(obj, context.scene)


def _settings_in(group: bpy.types.PropertyGroup) -> list[str]:
    """The settings of a target: all plain values that its panel can change."""
    return [
        prop.identifier
        for prop in group.bl_rna.properties
        if prop.type in ("BOOLEAN", "INT", "FLOAT", "STRING", "ENUM")
        and prop.identifier != "name"  # every group has one
        and not (prop.is_readonly or prop.is_hidden)
    ]


CLASSES = (
    CODETALKER_OT_add_preset,
    CODETALKER_PT_presets,
)
