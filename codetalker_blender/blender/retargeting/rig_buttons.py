"""Buttons of the rig's channels: rows for a jaw bone or a Rigify face, rows one by one."""

from __future__ import annotations

import bpy
import numpy as np

from ...errors import TargetError
from ...face.blendshapes import viseme_mixtures
from ...face.head_motion import HEAD_ANGLES
from ...face.rig_channels import RigChannel, Rule
from ...face.rig_presets import (
    RestBone,
    as_visemes,
    head_bone,
    head_rules,
    jaw_bone,
    jaw_rules,
    rigify_rules,
)
from ...face.rotations import Array
from . import mapping, rig_rules, rig_settings, rig_values
from .follow import pause
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
        rules = self.rules(_armature_of(obj))
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


class CODETALKER_OT_head_channels(OnMapping):
    bl_idname = "codetalker.head_channels"
    bl_label = "Head Bone"
    bl_description = (
        "Let the rig's head bone turn as the layer Head Motion says, which is switched on; other rows stay"
    )

    def change(self, context: bpy.types.Context, obj: bpy.types.Object) -> None:
        rig = _armature_of(obj)
        name = head_bone(rig.data.bones.keys())
        if not name:
            raise TargetError(f"No bone of '{rig.name}' has a name with \"head\" in it.", "Add rows by hand.")
        rules = head_rules(name, _rest(rig.data.bones[name], _upright(rig)))
        channels = obj.codetalker.rig.channels
        for place in reversed([at for at, row in enumerate(channels) if row.shape in HEAD_ANGLES]):
            channels.remove(place)
        rig_settings.fill(obj, rules, clear=False)
        with pause():
            obj.codetalker.layers.use_head = True
        self.report({"INFO"}, rig_values.coverage(obj))


def _armature_of(obj: bpy.types.Object) -> bpy.types.Object:
    """Raises TargetError where the object has no rig with bones."""
    rig = rig_rules.rig_of(obj)
    if rig is None or rig.pose is None:
        raise TargetError(
            f"'{obj.name}' has no armature.", "Choose one under Rig, or give the mesh an Armature modifier."
        )
    return rig


def _upright(rig: bpy.types.Object) -> Array:
    """(3, 3) from a rig's axes to those of a character: to its left, to its back, up.

    Up is the one of the rig's own axes that points most up in the world, be the character turned or tilted;
    X is to the left in all programs.
    """
    heights = np.array(rig.matrix_world.to_3x3().normalized())[2]
    heights[0] = 0.0
    up = np.zeros(3)
    axis = int(np.abs(heights).argmax())
    up[axis] = np.sign(heights[axis]) or 1.0
    left = np.array([1.0, 0.0, 0.0])
    return np.stack([left, np.cross(up, left), up])


def _rest(bone: bpy.types.Bone, turned: Array) -> RestBone:
    """turned: (3, 3) from the armature's axes to those with Z up and the face towards -Y"""
    return RestBone(turned @ np.array(bone.head_local), turned @ np.array(bone.matrix_local.to_3x3()))


CLASSES = (
    CODETALKER_OT_add_channel,
    CODETALKER_OT_remove_channel,
    CODETALKER_OT_clear_channels,
    CODETALKER_OT_jaw_channels,
    CODETALKER_OT_rigify_channels,
    CODETALKER_OT_head_channels,
)
