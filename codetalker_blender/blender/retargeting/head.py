"""The head layer of an object → which object turns, around what, and that it does.

The face's axes (x to its left, y to its back, z up) are those of the demo head's template on the mesh; a
mesh of another kind faces Blender's front view.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Matrix, Vector
from numpy.typing import NDArray

from ...contracts import FloatArray
from ...face.blendshapes import is_demo_template
from ...face.fit import fit_similarity
from ..mesh import target as targets
from ..writing import turning

#: Where the demo head's neck bends, metres.
_NECK = (0.0, 0.02, 0.05)


@dataclass(frozen=True, eq=False)
class Head:
    """What turns for an object's head layer, in the axes of its parent.

    axes: (3, 3) columns are the face's axes
    pivot: (3,) from the object's origin to the point that stays where it is
    """

    obj: bpy.types.Object
    axes: NDArray[np.float64]
    pivot: NDArray[np.float64]

    def turns(self, rotations: NDArray[np.float64], start_frame: float) -> turning.Turns:
        """rotations: (T, 3, 3) in the face's axes, see face/head_motion.py"""
        return turning.Turns(self.axes @ rotations @ self.axes.T, self.pivot, start_frame)


def find(obj: bpy.types.Object, template: FloatArray) -> Head | str:
    """What turns, or a sentence why nothing does.  template: (V, 3) metres, the model's face"""
    assert isinstance(obj.data, bpy.types.Mesh)
    chosen, is_face = obj.codetalker.layers.head_object, len(obj.data.vertices) == len(template)
    if chosen is None and not is_face:
        return f"What turns the head of '{obj.name}' is not known: choose it as Turned under Layers."
    head = chosen if chosen is not None else obj
    if not head.users_scene:
        return f"'{head.name}' is in no scene, so it cannot be turned."
    if reason := turning.obstacle(head):
        return reason
    bpy.context.view_layer.update()
    above = head.matrix_world @ head.matrix_basis.inverted()
    rest = above @ turning.rest_basis(head)
    world = obj.matrix_world
    if obj == head or obj in head.children_recursive:
        world = rest @ head.matrix_world.inverted() @ world
    to_parent = above.inverted() @ world
    axes, pivot = Matrix.Identity(3), Vector((0.0, 0.0, 0.0))
    if is_face and is_demo_template(template):
        fit = fit_similarity(template, targets.rest_coordinates(obj.data))
        axes = Matrix(fit.rotation.tolist())
        neck = fit.scale * fit.rotation @ np.array(_NECK) + fit.translation
        if obj == head:
            pivot = to_parent @ Vector(neck.tolist()) - head.location
    turned = np.array(to_parent.to_quaternion().to_matrix() @ axes)
    return Head(head, turned, np.array(pivot))


def apply(
    obj: bpy.types.Object, head: Head | None, rotations: NDArray[np.float64] | None, start_frame: float
) -> None:
    """Let the head turn as it shall; where it shall not, or another one shall, it is as it was."""
    settings = obj.codetalker.layers
    wanted = head.obj if head is not None else None
    turned = former(obj)
    if turned is not None and turned != wanted:
        turning.release(turned)
    if wanted is not None:
        settings.turned = wanted
    else:
        settings.property_unset("turned")
    if head is not None and rotations is not None:
        turns = head.turns(rotations, start_frame)
        turning.turn(head.obj, obj.name, turns, nla=obj.codetalker.use_nla)


def former(obj: bpy.types.Object) -> bpy.types.Object | None:
    """What the object's head layer turns now."""
    turned: bpy.types.Object | None = obj.codetalker.layers.turned
    return turned if turned is not None and _is_ours(turned, obj) else None


def _is_ours(head: bpy.types.Object, obj: bpy.types.Object) -> bool:
    """Whether the object turns it; a copy of the object does not, though its settings say so."""
    name = turning.owner(head)
    return head == obj or name == obj.name or name not in bpy.data.objects
