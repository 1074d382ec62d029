"""Weights of shapes and the settings of an object -> values of its rig's channels, and what is left alone.

What the animator animates, drives or locks is left alone and named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...contracts import ShapeWeights
from ...errors import TargetError, listed
from ...face.rig_channels import (
    EULER_CHANNEL,
    PROPERTY,
    Pose,
    Rule,
    bone_columns,
    property_column,
    rotation_channel,
)
from ...face.rotations import Array
from ..writing import owned_actions, rig_animation
from ..writing.owned_actions import Address
from ..writing.rig_animation import ChannelValues
from . import rig_rules

_ANIMATED = "Left alone, because you animate or drive them"
_LOCKED = "Left alone, because they are locked"
_ABSENT = "Not found on '{rig}'"
_LIMITED = "The range of these properties is too small for the motion and cuts it off"


@dataclass(frozen=True)
class Usable:
    """What of an object's rows can be written.

    left: (reason, channel) of those that cannot
    """

    rules: tuple[Rule, ...]
    left: tuple[tuple[str, str], ...]


def usable(obj: bpy.types.Object) -> Usable:
    """Which rows can be written now."""
    rig, found, left = rig_rules.rig_of(obj), [], []
    rules = rig_rules.rules_of(obj)
    if rig is None:
        return Usable(
            (), tuple(("Without a rig there is none of these", str(rule.channel)) for rule in rules)
        )
    ours = rig_animation.former(obj).resting
    owners: list[bpy.types.ID] = [rig, *([rig.data] if rig.data is not None else [])]
    taken = {owner: owned_actions.animated(owner, set(ours.get(owner, ()))) for owner in owners}
    for rule in rules:
        reason = _reason(rig, rule, taken)
        if reason:
            left.append((reason.format(rig=rig.name), str(rule.channel)))
        else:
            found.append(rule)
    return Usable(tuple(found), tuple(dict.fromkeys(left)))


def check(obj: bpy.types.Object) -> bool:
    """Whether there is anything of a rig to write.  Raises TargetError where that is in the way."""
    rig, found = rig_rules.rig_of(obj), usable(obj)
    if rig is None or not found.rules:
        return False
    if rig.mode == "EDIT":
        raise TargetError(f"'{rig.name}' is in Edit Mode.", "Switch to Object or Pose Mode (Tab).")
    for owner in {_owner(rig, rule) for rule in found.rules}:
        rig_animation.check(obj, owner, nla=obj.codetalker.use_nla)
    return True


def values(
    obj: bpy.types.Object, weights: ShapeWeights, start_frame: float
) -> tuple[tuple[ChannelValues, ...], tuple[str, ...]]:
    """What the rig's object and armature get, and sentences on what does not follow.

    weights: at the scene's frame rate; shapes without any rest
    """
    found, rig = usable(obj), rig_rules.rig_of(obj)
    before, limited = rig_animation.former(obj), []
    columns: dict[bpy.types.ID, dict[Address, Array]] = {}
    if rig is not None:
        for bone in dict.fromkeys(rule.channel.bone for rule in found.rules if rule.channel.kind != PROPERTY):
            own = [
                rule for rule in found.rules if rule.channel.bone == bone and rule.channel.kind != PROPERTY
            ]
            columns.setdefault(rig, {}).update(_bone(rig, own, weights, before))
        for channel in dict.fromkeys(rule.channel for rule in found.rules if rule.channel.kind == PROPERTY):
            own = [rule for rule in found.rules if rule.channel == channel]
            column, cut = _property(rig, own, weights)
            columns.setdefault(_owner(rig, own[0]), {})[_path(own[0]), 0] = column
            limited += [(_LIMITED, str(channel))] if cut else []
    written = tuple(
        ChannelValues(
            owner,
            tuple(here),
            np.stack(list(here.values()), axis=1).astype(np.float32),
            tuple(rig_animation.resting(before, owner, address) for address in here),
            start_frame,
        )
        for owner, here in columns.items()
    )
    return written, _sentences([*found.left, *limited])


def coverage(obj: bpy.types.Object) -> str:
    """How many channels follow; empty where there is no row."""
    rules = rig_rules.rules_of(obj)
    if not rules:
        return ""
    found, rig = usable(obj), rig_rules.rig_of(obj)
    count = len({rule.channel for rule in found.rules})
    text = f"{count} of {len({rule.channel for rule in rules})} channels"
    return f"{text} of '{rig.name}' follow" if rig is not None else f"{text} follow: there is no rig"


def _reason(rig: bpy.types.Object, rule: Rule, taken: dict[bpy.types.ID, set[Address]]) -> str:
    """Why a row cannot be written, or ""."""
    channel = rule.channel
    if channel.kind == PROPERTY:
        holder: Any = rig_rules.holder_of(rig, channel)
        # Arrays, texts and groups are no channels.
        if holder is None or not isinstance(holder.get(channel.name), float | int):
            return _ABSENT
        return _ANIMATED if (_path(rule), 0) in taken[_owner(rig, rule)] else ""
    bone = rig.pose.bones.get(channel.bone) if rig.pose is not None else None
    if bone is None:
        return _ABSENT
    if channel.kind == "ROTATION":
        name, whole = rotation_channel(bone.rotation_mode), bone.rotation_mode in ("QUATERNION", "AXIS_ANGLE")
        locks = [bone.lock_rotation[channel.axis], whole and bone.lock_rotations_4d and bone.lock_rotation_w]
    else:
        name, whole = channel.kind.lower(), False
        locks = [getattr(bone, f"lock_{name}")[channel.axis]]
    if any(locks):
        return _LOCKED
    # A quaternion is one thing: with a part of it animated, none can be written.
    places = range(4) if whole else (channel.axis,)
    path = f"{_bone_path(channel.bone)}.{name}"
    return _ANIMATED if any((path, place) in taken[rig] for place in places) else ""


def _bone(
    rig: bpy.types.Object, rules: list[Rule], weights: ShapeWeights, before: rig_animation.Former
) -> dict[Address, Array]:
    """What the rules of one bone write."""
    name = rules[0].channel.bone
    bone, path = rig.pose.bones[name], _bone_path(name)

    def resting(channel: str, count: int) -> list[float]:
        return [rig_animation.resting(before, rig, (f"{path}.{channel}", place)) for place in range(count)]

    rotation = rotation_channel(bone.rotation_mode)
    pose = Pose(
        bone.rotation_mode,
        resting("location", 3),
        resting(rotation, 3 if rotation == EULER_CHANNEL else 4),
        resting("scale", 3),
    )
    found = bone_columns(rules, weights, pose)
    return {(f"{path}.{channel}", place): column for (channel, place), column in found.items()}


def _property(rig: bpy.types.Object, rules: list[Rule], weights: ShapeWeights) -> tuple[Array, bool]:
    """What a property gets, within its limits, and whether these cut anything off."""
    channel = rules[0].channel
    holder: Any = rig_rules.holder_of(rig, channel)
    wanted, kind = property_column(rules, weights), type(holder[channel.name])
    if kind is bool:
        return np.asarray(wanted >= 0.5, np.float64), False
    limits = holder.id_properties_ui(channel.name).as_dict()
    column = np.clip(wanted, limits.get("min", -np.inf), limits.get("max", np.inf))
    cut = bool(np.abs(column - wanted).max() > 1e-4)
    return (np.rint(column) if kind is int else column), cut


def _owner(rig: bpy.types.Object, rule: Rule) -> bpy.types.ID:
    """The datablock that a channel belongs to."""
    return rig.data if rule.channel.kind == PROPERTY and rule.channel.holder == "DATA" else rig


def _path(rule: Rule) -> str:
    """The data path of a custom property."""
    name = f'["{bpy.utils.escape_identifier(rule.channel.name)}"]'
    return f"{_bone_path(rule.channel.bone)}{name}" if rule.channel.holder == "BONE" else name


def _bone_path(name: str) -> str:
    return f'pose.bones["{bpy.utils.escape_identifier(name)}"]'


def _sentences(left: list[tuple[str, str]]) -> tuple[str, ...]:
    """One sentence per reason."""
    found = []
    for reason in dict.fromkeys(reason for reason, _ in left):
        names = [name for other, name in left if other == reason]
        found.append(f"{reason}: {listed(names)}.")
    return tuple(found)
