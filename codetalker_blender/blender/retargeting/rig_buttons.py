"""Buttons of the rig's channels: rows for a jaw bone or a Rigify face, rows one by one."""

from __future__ import annotations

import bpy
import numpy as np

from ...errors import TargetError
from ...face.blendshapes import viseme_mixtures
from ...face.rig_channels import RigChannel, Rule
from ...face.rig_presets import RestBone, as_visemes, jaw_bone, jaw_rules, rigify_rules
from ...face.rotations import Array
from . import mapping, rig_rules, rig_settings, rig_values
from .mapping_buttons import OnMapping


class CODETALKER_OT_add_channel(OnMapping):
    bl_idname = "codetalker.add_channel"
    bl_label = "Add Channel"
    bl_description = "Add a row, like the chosen one, for a bone or a custom property"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        group = obj.codetalker.rig
        rule = Rule(mapping.shapes_of(obj)[0], RigChannel("ROTATION"))
        if 0 <= group.active_channel < len(group.channels):
            rule = rig_rules.rule_of(group.channels[group.active_channel])
        rig_settings.fill(obj, [rule], clear=False)
        group.active_channel = len(group.channels) - 1


class CODETALKER_OT_remove_channel(OnMapping):
    bl_idname = "codetalker.remove_channel"
    bl_label = "Remove Channel"
    bl_description = "Remove the chosen row; what it moved is as it was"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        group = obj.codetalker.rig
        if not 0 <= group.active_channel < len(group.channels):
            raise TargetError("No row is chosen.", "Choose one in the list.")
        group.channels.remove(group.active_channel)
        group.active_channel = max(0, group.active_channel - 1)


class CODETALKER_OT_clear_channels(OnMapping):
    bl_idname = "codetalker.clear_channels"
    bl_label = "Clear Channels"
    bl_description = "Remove all rows; what they moved is as it was"

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        obj.codetalker.rig.channels.clear()


class _Preset(OnMapping):
    """Replaces the rows by those of a kind of rig."""

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        rig = rig_rules.rig_of(obj)
        if rig is None or rig.pose is None:
            raise TargetError(
                f"'{obj.name}' has no armature.",
                "Choose one under Rig, or give the mesh an Armature modifier.",
            )
        rules = self.rules(rig)
        if obj.codetalker.mapping.shape_set == "VISEMES":
            rules = as_visemes(rules, viseme_mixtures())
        rig_settings.fill(obj, rules, clear=True)
        self.report({"INFO"}, rig_values.coverage(obj))

    def rules(self, rig: bpy.types.Object) -> list[Rule]:
        """Those of the rig, for ARKit shapes.  Raises TargetError."""
        raise NotImplementedError


class CODETALKER_OT_jaw_channels(_Preset):
    bl_idname = "codetalker.jaw_channels"
    bl_label = "Jaw Bone"
    bl_description = "Let the rig's jaw bone open and go aside, in place of the rows that there are"

    def rules(self, rig: bpy.types.Object) -> list[Rule]:
        """In the world's space: the rig of another program may stand upright by its object alone."""
        name = jaw_bone(rig.data.bones.keys())
        if not name:
            raise TargetError(f"No bone of '{rig.name}' has a name with \"jaw\" in it.", "Add a row by hand.")
        turned = np.array(rig.matrix_world.to_3x3().normalized())
        return jaw_rules(name, _rest(rig.data.bones[name], turned))


class CODETALKER_OT_rigify_channels(_Preset):
    bl_idname = "codetalker.rigify_channels"
    bl_label = "Rigify Face"
    bl_description = (
        "Let jaw, lips, lids, brows and eyes of a rig that Rigify generated follow, in place of the present "
        "rows"
    )

    def rules(self, rig: bpy.types.Object) -> list[Rule]:
        return rigify_rules({bone.name: _rest(bone, np.eye(3)) for bone in rig.data.bones})


def _rest(bone: bpy.types.Bone, turned: Array) -> RestBone:
    """turned: (3, 3) from the armature's axes to those with Z up and the face towards -Y"""
    return RestBone(turned @ np.array(bone.head_local), turned @ np.array(bone.matrix_local.to_3x3()))


CLASSES = (
    CODETALKER_OT_add_channel,
    CODETALKER_OT_remove_channel,
    CODETALKER_OT_clear_channels,
    CODETALKER_OT_jaw_channels,
    CODETALKER_OT_rigify_channels,
)
