"""Rigs for the tests: an armature, a mesh that it deforms, and how Blender plays their channels."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np

from codetalker_blender.blender.retargeting import rig_settings
from codetalker_blender.contracts import FloatArray
from codetalker_blender.face.rig_channels import RigChannel, Rule
from tests.blender import scenes
from tests.blender.test_existing import FRAMES, START


def add_rig(name: str = "Rig", bones: tuple[str, ...] = ("jaw", "brow", "lip")) -> bpy.types.Object:
    """An armature whose bones lie forwards, and down a little."""
    rig = bpy.data.objects.new(name, bpy.data.armatures.new(f"{name} data"))
    bpy.context.scene.collection.objects.link(rig)
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    for number, bone in enumerate(bones):
        edited = rig.data.edit_bones.new(bone)
        edited.head, edited.tail = (0.0, 0.0, 0.1 * number), (0.0, -0.08, 0.1 * number - 0.02)
    bpy.ops.object.mode_set(mode="OBJECT")
    for posed_bone in rig.pose.bones:
        posed_bone.rotation_mode = "XYZ"
    return rig


def rotation(shape: str, bone: str, axis: int, degrees: float) -> Rule:
    return Rule(shape, RigChannel("ROTATION", bone, axis), output=(0.0, degrees))


def add_head(rig: bpy.types.Object, rules: list[Rule]) -> bpy.types.Object:
    """A mesh without keys that a rig deforms, as the scene's target."""
    sheet = scenes.add_sheet("Head")
    sheet.modifiers.new("Armature", "ARMATURE").object = rig
    bpy.context.scene.codetalker.target = sheet
    sheet.codetalker.output = "EXISTING"
    rig_settings.fill(sheet, rules, clear=True)
    return sheet


def played(owner: Any, path: str, start: int = START) -> FloatArray:
    """(FRAMES, ...) a property as Blender plays it."""
    found = []
    for frame in range(start, start + FRAMES):
        bpy.context.scene.frame_set(frame)
        found.append(np.array(owner.path_resolve(path), np.float32))
    bpy.context.scene.frame_set(1)
    return np.array(found)
