"""Shape keys in and out: one key per frame beside the animator's own.

What belongs to this extension is written down in the custom property ``codetalker`` of the
shape-key datablock; every other key is the animator's and is never touched.
"""

from __future__ import annotations

from dataclasses import dataclass

import bpy
import numpy as np

from ..contracts import FloatArray
from ..errors import TargetError

#: Evaluation Time between two absolute keys.  Twice Blender's own spacing, because Blender keeps its own
#: (drifting) place for a new key when it lies within 0.1 of the Evaluation Time.
KEY_SPACING = 20.0
#: The custom property that marks what is ours (on shape-key datablocks, actions and strips).
MARK = "codetalker"
PREFIX = "CodeTalker"


@dataclass(frozen=True)
class FrameKeys:
    """One shape per frame.

    shapes: (T, V, 3) float32 mesh coordinates (not offsets)
    start_frame: scene frame of shapes[0]
    """

    shapes: FloatArray
    start_frame: int


def own_names(key: bpy.types.Key | None) -> list[str]:
    """Names of the keys in the datablock that this extension wrote, the closing rest key included."""
    if key is None or key.get(MARK) is None:
        return []
    recorded = str(key[MARK]["names"]).split("\n")
    return [name for name in recorded if name in key.key_blocks]


def rest_key(key: bpy.types.Key) -> bpy.types.ShapeKey:
    """The key with the mesh at rest: the reference key, or our closing one.

    Where the animator deleted the Basis, Blender takes the next key for it, which is our first frame;
    the shape at rest then stands only in the key that closes our absolute ones.
    """
    own = own_names(key)
    if key.reference_key.name not in own or not key[MARK]["absolute"]:
        return key.reference_key
    closing = str(key[MARK]["names"]).split("\n")[-1]
    return key.key_blocks[closing] if closing in own else key.reference_key


def wants_absolute(key: bpy.types.Key | None) -> bool:
    """True when the mesh has no keys and no key animation of its own: absolute keys then disturb nobody."""
    if key is None:
        return True
    if len(key.key_blocks) > 1 + len(own_names(key)):
        return False
    if key.reference_key.frame > 0:
        # Blender sorts absolute keys by their times, which cannot be set: it would come after ours.
        return False
    animation = key.animation_data
    return animation is None or not (animation.action or animation.nla_tracks or animation.drivers)


def refuse_foreign_absolute(obj: bpy.types.Object) -> None:
    """Raises TargetError when the animator's own keys are absolute: ours would change their timing."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    key = mesh.shape_keys
    if key is None or key.use_relative or len(key.key_blocks) < 2:
        return
    if own_names(key) and key[MARK]["absolute"]:
        return
    raise TargetError(
        f"The {len(key.key_blocks)} shape keys of '{obj.name}' are absolute (played by Evaluation Time).",
        "Switch on Relative in the Shape Keys panel, or animate a copy of the mesh.",
    )


def add_keys(obj: bpy.types.Object, frames: FrameKeys, *, absolute: bool) -> list[str]:
    """Append one key per frame (and a Basis where there is none) and record them as ours.

    Absolute keys get one more, equal to the Basis, so that Evaluation Time can run on to rest after
    the last frame instead of back through all of them.  -> the names, in order
    """
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    if mesh.shape_keys is None:
        obj.shape_key_add(name="Basis", from_mix=False)
    key = mesh.shape_keys
    names = []
    if absolute:
        # A key added in absolute mode is placed at the current Evaluation Time, by the very division
        # that evaluation makes later (BKE_keyblock_add_ctime).  Keys added in relative mode are spaced
        # by adding 0.1 again and again, which float32 cannot hit exactly on long clips.
        resting_time = key.eval_time
        key.use_relative = False
    for index, shape in enumerate(frames.shapes):
        if absolute:
            key.eval_time = KEY_SPACING * (index + 1)
        block = obj.shape_key_add(name=f"{PREFIX} {index + 1:04d}", from_mix=False)
        block.points.foreach_set("co", np.ascontiguousarray(shape, np.float32).ravel())
        block.value = 0.0
        names.append(block.name)
    if absolute:
        key.eval_time = KEY_SPACING * (len(frames.shapes) + 1)
        closing = obj.shape_key_add(name=f"{PREFIX} rest", from_mix=False)
        closing.points.foreach_set("co", _coordinates(key.reference_key))
        names.append(closing.name)
        key.eval_time = resting_time
    key[MARK] = {
        "names": "\n".join(names),
        "absolute": int(absolute),
        "start_frame": int(frames.start_frame),
        "object": obj.name,
    }
    return names


def last_owner(key: bpy.types.Key | None) -> str:
    """The name that the object had when our keys were written; empty where there are none."""
    return str(key[MARK]["object"]) if key is not None and key.get(MARK) is not None else ""


def read_own(obj: bpy.types.Object) -> FrameKeys | None:
    """The inverse of :func:`add_keys`: our keys as they stand, or None where there are none."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    names = own_names(mesh.shape_keys)
    if not names:
        return None
    record = mesh.shape_keys[MARK]
    if record["absolute"]:
        names = names[:-1]
    shapes = np.empty((len(names), len(mesh.vertices), 3), np.float32)
    for name, shape in zip(names, shapes, strict=True):
        mesh.shape_keys.key_blocks[name].points.foreach_get("co", shape.ravel())
    return FrameKeys(shapes, int(record["start_frame"]))


def remove_own(obj: bpy.types.Object) -> None:
    """Remove our keys and our record; the animator's keys, their order and the active one stay."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    key = mesh.shape_keys
    if key is None or key.get(MARK) is None:
        return
    active = obj.active_shape_key.name if obj.active_shape_key else ""
    absolute = bool(key[MARK]["absolute"])
    basis = rest_key(key)
    names = [name for name in own_names(key) if name != basis.name]
    # Removing a key may rename or reorder nothing else, but keeps an index: restore the active key by name.
    for name in names:
        obj.shape_key_remove(key.key_blocks[name])
    if mesh.shape_keys is None:
        # Ours were the only keys left: Blender has freed the whole datablock.
        return
    if basis.name in own_names(key):
        if len(key.key_blocks) == 1:
            mesh.vertices.foreach_set("co", _coordinates(basis))
            obj.shape_key_remove(basis)
            return
        basis.name = "Basis"
    if not key.use_relative and absolute:
        key.use_relative = True
    del key[MARK]
    obj.active_shape_key_index = max(key.key_blocks.find(active), 0)


def _coordinates(block: bpy.types.ShapeKey) -> FloatArray:
    found = np.empty(3 * len(block.points), np.float32)
    block.points.foreach_get("co", found)
    return found
