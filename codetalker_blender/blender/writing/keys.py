"""Shape keys in and out: one key per frame, or a few that are weighted, beside the animator's own.

What belongs to this extension is written down in the custom property ``codetalker`` of the
shape-key datablock; every other key is the animator's and is never touched.  Keys of the animator that
are driven (:class:`KeyValues`) are written down there, too, with the values that they go back to.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import bpy
import numpy as np

from ...contracts import FloatArray
from ...errors import TargetError

#: Evaluation Time between two absolute keys.  Twice Blender's own spacing, because Blender keeps its own
#: (drifting) place for a new key when it lies within 0.1 of the Evaluation Time.
KEY_SPACING = 20.0
#: The custom property that marks what is ours (on shape-key datablocks, actions and strips).
MARK = "codetalker"
PREFIX = "CodeTalker"
#: The entry of our record in which tuning.py notes what was written.
REPORT = "report"


@dataclass(frozen=True)
class FrameKeys:
    """One shape per frame.

    shapes: (T, V, 3) float32 mesh coordinates (not offsets)
    start_frame: scene frame of shapes[0], which may lie between two frames
    """

    shapes: FloatArray
    start_frame: float


@dataclass(frozen=True)
class BasisKeys:
    """A few shapes, and how much of each a frame takes.

    shapes: (K, V, 3) float32 mesh coordinates of each shape at weight 1 (not offsets)
    weights: (T, K) float32 in [-1, 1]
    start_frame: scene frame of weights[0], which may lie between two frames
    labels: what the first of them are called; the others are numbered
    """

    shapes: FloatArray
    weights: FloatArray
    start_frame: float
    labels: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeyValues:
    """Values of keys that the mesh has already.

    names: (K,) of the keys
    values: (T, K) float32
    resting: (K,) what the keys had before we drove them, and have before and after the clip
    start_frame: scene frame of values[0], which may lie between two frames
    """

    names: tuple[str, ...]
    values: FloatArray
    resting: tuple[float, ...]
    start_frame: float


#: What can be written onto a mesh.
Frames = FrameKeys | BasisKeys | KeyValues


@dataclass(frozen=True)
class Origin:
    """What the shape keys were before this extension wrote any, as far as the keys do not tell it.

    made_basis: the Basis is ours, too
    resting_time: Evaluation Time
    """

    made_basis: bool
    resting_time: float


def own_names(key: bpy.types.Key | None) -> list[str]:
    """Names of the keys in the datablock that this extension wrote, the closing rest key included."""
    if key is None or key.get(MARK) is None:
        return []
    present = set(key.key_blocks.keys())  # asking the collection itself compares strings one by one
    return [name for name in str(key[MARK]["names"]).split("\n") if name in present]


def driven_names(key: bpy.types.Key | None) -> list[str]:
    """Names of the animator's keys that this extension drives."""
    if key is None or key.get(MARK) is None:
        return []
    return [name for name in _resting_values(key) if name in key.key_blocks]


def is_animated(key: bpy.types.Key | None) -> bool:
    """Whether there is an animation of ours on the mesh."""
    return bool(own_names(key) or driven_names(key)) or only_carries(key)


def only_carries(key: bpy.types.Key | None) -> bool:
    """Whether our record names no key at all: it is that of a mesh whose rig alone moves."""
    record = key.get(MARK) if key is not None else None
    return record is not None and not (record["names"] or record.get("driven", ""))


def resting(key: bpy.types.Key, names: Iterable[str]) -> tuple[float, ...]:
    """The values of some of the animator's keys without our animation."""
    recorded = _resting_values(key) if key.get(MARK) is not None else {}
    return tuple(recorded.get(name, float(key.key_blocks[name].value)) for name in names)


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


def rest_is_lost(key: bpy.types.Key | None) -> bool:
    """Whether the mesh at rest stands in no key: its Basis was deleted, and ours are no absolute ones."""
    return key is not None and rest_key(key).name in own_names(key) and not key[MARK]["absolute"]


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


def origin(key: bpy.types.Key | None) -> Origin:
    """As written down when our first keys were added, or as it is now where there are none."""
    if key is None:
        return Origin(made_basis=True, resting_time=0.0)
    if key.get(MARK) is None:
        return Origin(made_basis=False, resting_time=key.eval_time)
    record = key[MARK]
    return Origin(bool(record.get("made_basis", 0)), float(record.get("resting_time", 0.0)))


def add_keys(obj: bpy.types.Object, frames: Frames, before: Origin, *, absolute: bool) -> list[str]:
    """Append one key per shape (and a Basis where there is none) and record them as ours.

    Of :class:`KeyValues` all keys are there; only the record is made (on a Basis, where a rig alone moves).

    Absolute keys (of :class:`FrameKeys` only) get one more, equal to the Basis, so that Evaluation Time
    can run on to rest after the last frame instead of back through all of them.  -> the names, in order
    """
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    if mesh.shape_keys is None:
        obj.shape_key_add(name="Basis", from_mix=False)
    if isinstance(frames, KeyValues):
        _record(obj, [], frames, before, absolute=False)
        return list(frames.names)
    key = mesh.shape_keys
    names = []
    # A key added in absolute mode is placed at the current Evaluation Time, by the very division
    # that evaluation makes later (BKE_keyblock_add_ctime).  Keys added in relative mode are spaced
    # by adding 0.1 again and again, which float32 cannot hit exactly on long clips.
    key.use_relative = not absolute
    for index, shape in enumerate(frames.shapes):
        if absolute:
            key.eval_time = KEY_SPACING * (index + 1)
        names.append(_add_key(obj, frames, index, shape))
    if absolute:
        key.eval_time = KEY_SPACING * (len(frames.shapes) + 1)
        closing = obj.shape_key_add(name=f"{PREFIX} rest", from_mix=False)
        closing.points.foreach_set("co", _coordinates(key.reference_key))
        names.append(closing.name)
        key.eval_time = before.resting_time
    _record(obj, names, frames, before, absolute=absolute)
    return names


def update_keys(obj: bpy.types.Object, frames: Frames) -> list[str] | None:
    """Give our keys new shapes where they stand; -> their names, or None where they do not fit.

    :class:`BasisKeys` may be more or fewer than before, with the same labels.  What the animator set on a
    key that stays (muted, a vertex group) stays, too.
    """
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    key = mesh.shape_keys
    if isinstance(frames, KeyValues):
        if tuple(_resting_values(key)) != frames.names:
            return None
        _record(obj, [], frames, origin(key), absolute=False)
        return list(frames.names)
    compact = isinstance(frames, BasisKeys)
    names = own_names(key)
    if not names or names != str(key[MARK]["names"]).split("\n") or key.reference_key.name in names:
        return None
    absolute = bool(key[MARK]["absolute"])
    if isinstance(frames, BasisKeys) and frames.labels != labels(key):
        return None
    if is_compact(key) != compact or (not compact and len(names) != len(frames.shapes) + absolute):
        return None
    active = obj.active_shape_key.name if obj.active_shape_key else ""
    for name in names[len(frames.shapes) + absolute :]:
        obj.shape_key_remove(key.key_blocks[name])
        names.remove(name)
    blocks = dict(key.key_blocks.items())
    for index, shape in enumerate(frames.shapes):
        if index < len(names):
            blocks[names[index]].points.foreach_set("co", np.ascontiguousarray(shape).ravel())
        else:
            names.append(_add_key(obj, frames, index, shape))
    obj.active_shape_key_index = max(key.key_blocks.find(active), 0)
    _record(obj, names, frames, origin(key), absolute=absolute)
    return names


def is_compact(key: bpy.types.Key | None) -> bool:
    """Whether our keys in the datablock are :class:`BasisKeys`."""
    return key is not None and key.get(MARK) is not None and bool(key[MARK].get("compact", 0))


def labels(key: bpy.types.Key) -> tuple[str, ...]:
    """Those of the :class:`BasisKeys` in the datablock."""
    return tuple(str(key[MARK].get("labels", "")).split())


def _add_key(obj: bpy.types.Object, frames: FrameKeys | BasisKeys, index: int, shape: FloatArray) -> str:
    named = frames.labels if isinstance(frames, BasisKeys) else ()
    label = named[index] if index < len(named) else f"{index - len(named) + 1:04d}"
    block = obj.shape_key_add(name=f"{PREFIX} {label}", from_mix=False)
    block.points.foreach_set("co", np.ascontiguousarray(shape, np.float32).ravel())
    if isinstance(frames, BasisKeys):
        block.slider_min = -1.0
    block.value = 0.0
    return str(block.name)


def _record(
    obj: bpy.types.Object,
    names: list[str],
    frames: Frames,
    before: Origin,
    *,
    absolute: bool,
) -> None:
    key = obj.data.shape_keys
    key[MARK] = {
        **(key[MARK].to_dict() if key.get(MARK) is not None else {}),
        "names": "\n".join(names),
        "absolute": int(absolute),
        "compact": int(isinstance(frames, BasisKeys)),
        "labels": " ".join(frames.labels) if isinstance(frames, BasisKeys) else "",
        "driven": "\n".join(frames.names) if isinstance(frames, KeyValues) else "",
        "resting": list(frames.resting) if isinstance(frames, KeyValues) and frames.names else [0.0],
        "start_frame": float(frames.start_frame),
        "object": obj.name,
        "made_basis": int(before.made_basis),
        "resting_time": before.resting_time,
    }


def last_owner(key: bpy.types.Key | None) -> str:
    """The name that the object had when our keys were written; empty where there are none."""
    return str(key[MARK]["object"]) if key is not None and key.get(MARK) is not None else ""


def written_start(key: bpy.types.Key) -> float:
    """The scene frame at which our animation was written to start."""
    return float(key[MARK]["start_frame"])


def read_shapes(obj: bpy.types.Object) -> FloatArray:
    """(n, V, 3) the shapes of our keys as they stand, without the closing one."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    names = own_names(mesh.shape_keys)
    if names and mesh.shape_keys[MARK]["absolute"]:
        names = names[:-1]
    shapes = np.empty((len(names), len(mesh.vertices), 3), np.float32)
    blocks = dict(mesh.shape_keys.key_blocks.items()) if names else {}
    for name, shape in zip(names, shapes, strict=True):
        blocks[name].points.foreach_get("co", shape.ravel())
    return shapes


def restore_origin(obj: bpy.types.Object, before: Origin) -> None:
    """After :func:`remove_own`: take the Basis away, too, where it was ours and nothing builds on it."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    key = mesh.shape_keys
    if key is None:
        return
    key.eval_time = before.resting_time
    if before.made_basis and len(key.key_blocks) == 1 and key.animation_data is None:
        mesh.vertices.foreach_set("co", _coordinates(key.reference_key))
        obj.shape_key_remove(key.reference_key)


def remove_own(obj: bpy.types.Object) -> None:
    """Remove our keys and our record; the animator's keys, their order and the active one stay."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    key = mesh.shape_keys
    if key is None or key.get(MARK) is None:
        return
    for name, value in _resting_values(key).items():
        if name in key.key_blocks:
            key.key_blocks[name].value = value
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


def _resting_values(key: bpy.types.Key) -> dict[str, float]:
    """By name, of the animator's keys that our record, which must be there, says we drive."""
    names = str(key[MARK].get("driven", ""))
    return dict(zip(names.split("\n"), key[MARK]["resting"], strict=True)) if names else {}


def _coordinates(block: bpy.types.ShapeKey) -> FloatArray:
    found = np.empty(3 * len(block.points), np.float32)
    block.points.foreach_get("co", found)
    return found
