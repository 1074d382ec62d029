"""Makes a .blend with the face of a rig that Rigify generates: ``drive_rigify.py -- FILE.blend``.

In a process of its own, which ends without Blender's farewell: the add-on keeps what Blender then waits for
(4.5) or has already freed (4.2).  Exit code 3 where there is no Rigify.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import bpy  # first: the modules beside it come with it

import addon_utils  # isort: skip


def main(path: str) -> int:
    """Rigify's human face, generated from its own template."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    if addon_utils.enable("rigify", default_set=True) is None:
        return 3
    bpy.ops.object.armature_human_metarig_add()
    template = bpy.context.object
    bpy.ops.object.mode_set(mode="EDIT")
    bones: Any = template.data.edit_bones
    face = {"face", *(bone.name for bone in bones["face"].children_recursive)}
    for bone in list(bones):
        if bone.name not in face:
            bones.remove(bone)
    bpy.ops.object.mode_set(mode="OBJECT")
    bpy.ops.pose.rigify_generate()
    bpy.ops.wm.save_as_mainfile(filepath=path)
    return 0


if __name__ == "__main__":
    status = main(sys.argv[-1])
    sys.stdout.flush()
    os._exit(status)
