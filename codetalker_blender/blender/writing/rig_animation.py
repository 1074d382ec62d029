"""Channels of a rig (its bones, its custom properties) that follow the speech: written, kept, taken away.

They play from actions of ours on the rig and its armature, beside the animator's (owned_actions.py).  What
they are, and the values that they go back to, is written down with the keys of the mesh that speaks.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import bpy
import numpy as np

from ...contracts import FloatArray
from ...errors import TargetError
from .. import compat
from . import keys, owned_actions
from .owned_actions import Address, Channel

log = logging.getLogger(__name__)
#: The custom property of the shape-key datablock with our record.
PROPERTY = "codetalker_rig"
#: The path of a custom property: that of whose it is, and its name.
_CUSTOM = re.compile(r'^(.*)\["((?:[^"\\]|\\.)*)"\]$')


@dataclass(frozen=True)
class ChannelValues:
    """What channels of one datablock get.

    owner: the rig's object or its armature
    addresses: (C,) of the channels
    values: (T, C); resting: (C,) what they had before we drove them, and have before and after the clip
    start_frame: scene frame of values[0], which may lie between two frames
    """

    owner: bpy.types.ID
    addresses: tuple[Address, ...]
    values: FloatArray
    resting: tuple[float, ...]
    start_frame: float

    def channels(self) -> list[Channel]:
        """The curves that play the values from the start frame on, linear, at rest outside."""
        around = np.asarray(self.resting)[None]
        times = self.start_frame - 1 + np.arange(len(self.values) + 2.0)
        values = np.concatenate([around, self.values, around], dtype=np.float64)
        return [(one, np.stack([times, values[:, at]], axis=1)) for at, one in enumerate(self.addresses)]


@dataclass(frozen=True)
class Former:
    """What a rig has of ours.

    resting: of each datablock, by channel; start_frame, nla: as it was written
    """

    resting: Mapping[bpy.types.ID, Mapping[Address, float]]
    start_frame: float
    nla: bool


def former(obj: bpy.types.Object | None) -> Former:
    """Our record of the rig that an object moves; an empty one for a copy of an object that moves it."""
    record = _record(obj)
    if not record or _is_copy(obj, record):
        return Former({}, 0.0, nla=False)
    found = {}
    for entry in record["owners"].values():
        if entry["owner"] is not None:  # else the animator has deleted it
            places = [line.rsplit(" ", 1) for line in str(entry["channels"]).split("\n")]
            found[entry["owner"]] = {
                (path, int(index)): float(value)
                for (path, index), value in zip(places, entry["resting"], strict=True)
            }
    return Former(found, float(record["start_frame"]), nla=bool(record["nla"]))


def resting(before: Former, owner: bpy.types.ID, address: Address) -> float:
    """The value of a channel without our animation."""
    recorded = before.resting.get(owner, {})
    return recorded[address] if address in recorded else value(owner, address)


def value(owner: bpy.types.ID, address: Address) -> float:
    """The value of a channel now.  Raises ValueError when there is none."""
    path, index = address
    if custom := _custom(owner, path):
        holder, name = custom
        return float(holder[name])  # the path would give it in single precision
    found: Any = owner.path_resolve(path)
    return float(found[index])


def check(obj: bpy.types.Object, owner: bpy.types.ID, *, nla: bool) -> None:
    """Raises TargetError when channels of a rig's object or armature cannot be written now."""
    if owner.library is not None:
        raise TargetError(
            f"'{owner.name}' is linked from '{bpy.path.basename(owner.library.filepath)}'.",
            "Make a library override of it, or make it local.",
        )
    animation = getattr(owner, "animation_data", None)
    if animation is not None and animation.use_tweak_mode:
        raise TargetError(
            f"An NLA strip of '{owner.name}' is being tweaked.",
            "Leave Tweak Mode in the Nonlinear Animation editor (Tab).",
        )
    owned_actions.refuse_muted_nla(owner, f"the channels of '{owner.name}'", nla=nla)
    for other in bpy.data.objects:
        if other != obj and other.users_scene and owner in former(other).resting:
            raise TargetError(
                f"'{owner.name}' follows the speech of '{other.name}' already.",
                "Remove that animation first, or choose another Rig.",
            )


@contextmanager
def all_or_nothing(obj: bpy.types.Object, values: Sequence[ChannelValues]) -> Iterator[Former]:
    """Gives what the rig had; puts it back when the block, which may :func:`write` ``values``, fails."""
    before = former(obj)
    # As they stand, with what the animator did to them.
    curves = {owner: _curves(owner, set(known)) for owner, known in before.resting.items()}
    touched: dict[bpy.types.ID, dict[Address, float]] = {one.owner: _resting(one) for one in values}
    for owner, known in before.resting.items():
        touched[owner] = {**touched.get(owner, {}), **known}
    try:
        yield before
    except Exception:
        log.warning("Moving the rig of '%s' failed; its earlier state is put back", obj.name)
        for owner, known in touched.items():
            _remove(owner, known)
        for owner, channels in curves.items():
            if channels:
                owned_actions.animate(owner, obj.name, channels, nla=before.nla)
        _store(obj, before.resting, before.start_frame, nla=before.nla)
        raise
    finally:
        for owner in touched:
            owner.update_tag()


def write(
    obj: bpy.types.Object, before: Former, values: Sequence[ChannelValues], *, nla: bool, keep: bool
) -> None:
    """Let the rig of an object move, in place of what it had of ours; nothing where ``values`` are none.

    Within :func:`all_or_nothing`, which gives ``before``.
    keep: actions and NLA strips stay where the animator has put them, with the keys' timing
    """
    written = {one.owner: one for one in values}
    for owner, known in before.resting.items():
        player = owned_actions.holder(owner) if keep and owner in written and before.nla == nla else None
        if player is None:
            _remove(owner, known)
            continue
        one = written.pop(owner)
        for address in known.keys() - set(one.addresses):
            _set(owner, address, known[address])
        late = one.start_frame - before.start_frame
        owned_actions.update(player, set(known), one.channels(), late, shared_times=True)
    for owner, one in written.items():
        owned_actions.animate(owner, obj.name, one.channels(), nla=nla)
    start_frame = values[0].start_frame if values else 0.0
    _store(obj, {one.owner: _resting(one) for one in values}, start_frame, nla=nla)


def _remove(owner: bpy.types.ID, known: Mapping[Address, float]) -> None:
    """Take our curves of these channels away, and give them the values that they had."""
    owned_actions.remove(owner, set(known))
    for address, resting in known.items():
        _set(owner, address, resting)


def _set(owner: bpy.types.ID, address: Address, number: float) -> None:
    path, index = address
    try:
        if custom := _custom(owner, path):
            holder, name = custom
            kind = type(holder[name])
            holder[name] = kind(number if kind is float else round(number))
        else:
            place: Any = owner.path_resolve(path)
            place[index] = number
    except (ValueError, KeyError):  # the bone or the property is gone
        log.info("'%s' has no %s any more", owner.name, path)


def _custom(owner: bpy.types.ID, path: str) -> tuple[Any, str] | None:
    """Whose custom property a path means, and its name; None for other paths.  Raises ValueError."""
    found = _CUSTOM.match(path)
    if found is None:
        return None
    holder = owner.path_resolve(found[1]) if found[1] else owner
    return holder, bpy.utils.unescape_identifier(found[2])


def _curves(owner: bpy.types.ID, ours: set[Address]) -> list[Channel]:
    player = owned_actions.holder(owner)
    if player is None:
        return []
    played = compat.played_fcurves(player.action, compat.action_slot(player))
    return [
        (address, owned_actions.points_of(curve))
        for fcurves in played
        for curve in fcurves
        if (address := owned_actions.address_of(curve)) in ours
    ]


def _resting(values: ChannelValues) -> dict[Address, float]:
    return dict(zip(values.addresses, values.resting, strict=True))


def _record(obj: bpy.types.Object | None) -> dict[str, Any]:
    mesh = obj.data if obj is not None else None
    key = mesh.shape_keys if isinstance(mesh, bpy.types.Mesh) else None
    return key[PROPERTY].to_dict() if key is not None and key.get(PROPERTY) is not None else {}


def _is_copy(obj: bpy.types.Object | None, record: Mapping[str, Any]) -> bool:
    """Whether the record came along from another object, which still moves the same rig."""
    assert obj is not None
    other: bpy.types.Object | None = bpy.data.objects.get(keys.last_owner(obj.data.shape_keys))
    if other is None or other == obj:
        return False
    known = _owners(_record(other))
    return any(owner in known for owner in _owners(record))


def _owners(record: Mapping[str, Any]) -> list[bpy.types.ID]:
    return [entry["owner"] for entry in record.get("owners", {}).values() if entry["owner"] is not None]


def _store(
    obj: bpy.types.Object,
    resting: Mapping[bpy.types.ID, Mapping[Address, float]],
    start_frame: float,
    *,
    nla: bool,
) -> None:
    key = obj.data.shape_keys
    if resting:
        key[PROPERTY] = {
            "owners": {str(at): _entry(owner, known) for at, (owner, known) in enumerate(resting.items())},
            "start_frame": start_frame,
            "nla": int(nla),
        }
    elif key is not None and key.get(PROPERTY) is not None:
        del key[PROPERTY]


def _entry(owner: bpy.types.ID, known: Mapping[Address, float]) -> dict[str, object]:
    lines: Iterable[str] = (f"{path} {index}" for path, index in known)
    return {"owner": owner, "channels": "\n".join(lines), "resting": list(known.values())}
