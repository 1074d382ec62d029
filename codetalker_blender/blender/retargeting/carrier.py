"""An object → the bone that carries its face, and how that stands without our turns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import bpy
import numpy as np
from mathutils import Euler, Matrix, Quaternion
from numpy.typing import NDArray

from ...face.head_motion import HEAD_ANGLES
from ...face.rig_channels import rotation_channel
from ...face.rig_presets import head_bone
from ..writing import rig_animation
from ..writing.owned_actions import Address
from . import rig_rules

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Carrier:
    """The bone of a rig that a face follows.

    parented: whether the object hangs on the bone; else the rig deforms its mesh
    turns: whether the head layer turns the bone
    rest: (4, 4) of the bone in the rig's axes, unposed
    known: what our channels of the rig have without us
    """

    rig: bpy.types.Object
    bone: str
    parented: bool
    turns: bool
    rest: Floats
    known: Mapping[Address, float]

    def standing(self, rig: bpy.types.Object) -> tuple[Matrix, Matrix]:
        """The bone's matrices in the evaluated rig's axes: as posed, and without our turns."""
        bone = rig.pose.bones[self.bone]
        return bone.matrix, bone.matrix @ bone.matrix_basis.inverted_safe() @ self._resting(bone)

    def carries(self, obj: bpy.types.Object) -> bool:
        """Whether an object hangs on the bone."""
        above: bpy.types.Object | None = obj
        while above is not None:
            if above.parent == self.rig and above.parent_type == "BONE" and above.parent_bone == self.bone:
                return True
            above = above.parent
        return False

    def _resting(self, bone: bpy.types.PoseBone) -> Matrix:
        """The bone's own transform with our channels as they are without us."""
        path = f'pose.bones["{bpy.utils.escape_identifier(self.bone)}"]'

        def values(channel: str) -> list[float]:
            now = enumerate(getattr(bone, channel))
            return [self.known.get((f"{path}.{channel}", at), float(value)) for at, value in now]

        turned, mode = values(rotation_channel(bone.rotation_mode)), bone.rotation_mode
        if mode == "QUATERNION":
            rotation = Quaternion(turned).normalized()
        elif mode == "AXIS_ANGLE":
            rotation = Quaternion(turned[1:], turned[0])
        else:
            rotation = Euler(turned, mode).to_quaternion()
        return Matrix.LocRotScale(values("location"), rotation, values("scale"))


def find(obj: bpy.types.Object) -> Carrier | None:
    """The bone that rows for the head turn, or the rig's head bone by its name; None without an armature."""
    rig = rig_rules.rig_of(obj)
    if rig is None or rig.pose is None:
        return None
    turned = [rule.channel.bone for rule in rig_rules.rules_of(obj) if rule.shape in HEAD_ANGLES]
    turned = [name for name in turned if name in rig.pose.bones] if rig_rules.follows_head(obj) else []
    name = turned[0] if turned else head_bone(rig.pose.bones.keys())
    if not name:
        return None
    known = rig_animation.former(obj).resting.get(rig, {})
    rest = np.array(rig.data.bones[name].matrix_local)
    found = Carrier(rig, name, False, bool(turned), rest, known)
    if found.carries(obj):
        return Carrier(rig, name, True, bool(turned), rest, known)
    deforming = (mod.object for mod in obj.modifiers if isinstance(mod, bpy.types.ArmatureModifier))
    return found if rig in deforming else None
