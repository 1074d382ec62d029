"""The shipped head -> an object of the scene: *Add Demo Head*."""

from __future__ import annotations

import bpy

from ... import resources
from ...errors import UserError
from ..buttons import Button

#: The shipped file, and the object in it.
FILE, NAME = "demo_head.blend", "CodeTalker Head"


def append(collection: bpy.types.Collection) -> bpy.types.Object:
    """Append the head, with its shape keys and materials, to a collection.

    Raises UserError, with nothing added, when the shipped file lacks it.
    """
    path, present = resources.shipped(FILE), set(bpy.data.libraries)
    try:
        with bpy.data.libraries.load(str(path), link=False) as (source, wanted):
            if NAME in source.objects:
                wanted.objects = [NAME]
    except OSError as error:
        raise UserError(f"'{path}' cannot be opened: {error}.", "Install the extension again.") from error
    finally:
        # Nothing is linked, so nobody needs to see where it came from.
        for library in set(bpy.data.libraries) - present:
            bpy.data.libraries.remove(library)
    if not wanted.objects or wanted.objects[0] is None:
        raise UserError(f"'{path}' holds no object called '{NAME}'.", "Install the extension again.")
    head = wanted.objects[0]
    assert isinstance(head, bpy.types.Object)
    collection.objects.link(head)
    return head


class CODETALKER_OT_add_demo_head(Button):
    bl_idname = "codetalker.add_demo_head"
    bl_label = "Add Demo Head"
    bl_description = (
        "Add the head that comes with the extension at the 3D cursor, and choose it as the target; it fits "
        "the default model and has the ARKit and viseme shape keys"
    )
    bl_options = {"REGISTER", "UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return None if context.mode == "OBJECT" else UserError("Switch to Object Mode first.")

    def perform(self, context: bpy.types.Context) -> None:
        head = append(context.collection)
        head.location = context.scene.cursor.location
        for obj in context.selected_objects:
            obj.select_set(False)
        if head.name in context.view_layer.objects:  # not where the collection is hidden
            head.select_set(True)
            context.view_layer.objects.active = head
        context.scene.codetalker.target = head
