"""Replace this extension's animation on one mesh: all of it or nothing.

offsets + rest shape ─► FrameKeys or BasisKeys, weights ─► KeyValues ─► keys.py (shapes) + curves.py (times)
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

import bpy

from . import curves, keys, owned_actions, takes
from .keys import BasisKeys, FrameKeys, Frames, KeyValues
from .takes import Placed

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Former:
    """What we wrote earlier, for putting it back.

    frames: None where there was nothing of ours
    take: the raw motion beside it; nla: whether it plays from an NLA track; report: of what was written
    """

    frames: Frames | None
    take: Placed | None
    nla: bool
    report: dict[str, object] | None
    origin: keys.Origin


def check(obj: bpy.types.Object, *, nla: bool) -> None:
    """Raises TargetError when something of the animator's stands in the way of our animation."""
    keys.refuse_foreign_absolute(obj)
    refuse_muted_nla(obj, nla=nla)


def refuse_muted_nla(obj: bpy.types.Object, *, nla: bool) -> None:
    """As :func:`owned_actions.refuse_muted_nla`, of the object's shape keys."""
    assert isinstance(obj.data, bpy.types.Mesh)
    owned_actions.refuse_muted_nla(obj.data.shape_keys, f"the shape keys of '{obj.name}'", nla=nla)


def replace_animation(
    obj: bpy.types.Object, frames: Frames, *, nla: bool = False, take: Placed | None = None
) -> None:
    """Write ``frames`` onto the object's mesh in place of what this extension wrote there before.

    nla: play from an NLA track of its own, even where nothing else is animated
    take: the raw motion that it was made from, kept beside the keys

    The animator's own keys, values, action, drivers and NLA tracks stay as they are.  Raises
    TargetError before anything is written where that cannot be kept; when a write fails midway the
    earlier state is put back and the error goes on.
    """
    check(obj, nla=nla)
    with _all_or_nothing(obj) as former:
        _remove(obj)
        _write(obj, frames, nla=nla, take=take, origin=former.origin)


def update_animation(obj: bpy.types.Object, frames: Frames, *, nla: bool) -> None:
    """As :func:`replace_animation`, of an animation made from the same take: a slider has moved.

    Keys, action and NLA strip are kept where that is possible, so that what the animator did to them
    (moved or stretched keys, a strip placed elsewhere) stays.
    """
    check(obj, nla=nla)
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    with _all_or_nothing(obj) as former:
        key = mesh.shape_keys
        player = owned_actions.holder(key)
        # Where the animator has pushed our action down it stays in the NLA: what counts is the setting.
        if player is not None and bool(key[keys.MARK].get("nla", 0)) == nla:
            late_frames = frames.start_frame - keys.written_start(key)
            former_own, absolute = curves.own(key), bool(key[keys.MARK]["absolute"])
            names = keys.update_keys(obj, frames)
            if names is not None:
                written = curves.channels(names, frames, absolute=absolute)
                shared = not isinstance(frames, FrameKeys)
                owned_actions.update(player, former_own, written, late_frames, shared_times=shared)
                return
        _remove(obj)
        _write(obj, frames, nla=nla, take=former.take, origin=former.origin)


def remove_animation(obj: bpy.types.Object) -> None:
    """Remove all that this extension wrote on the mesh; what is left is the animator's."""
    with _all_or_nothing(obj) as former:
        _remove(obj)
        keys.restore_origin(obj, former.origin)


@contextmanager
def together(objects: Iterable[bpy.types.Object]) -> Iterator[None]:
    """What is written in the block is written onto all of these objects, or onto none."""
    with ExitStack() as stack:
        for obj in objects:
            stack.enter_context(_all_or_nothing(obj))
        yield


def read_own(obj: bpy.types.Object) -> Frames | None:
    """What this extension wrote on the mesh, as it stands, or None where there is nothing."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    key = mesh.shape_keys
    driven = tuple(keys.driven_names(key))
    if driven or keys.only_carries(key):
        resting, start = keys.resting(key, driven), keys.written_start(key)
        return KeyValues(driven, curves.read_weights(key), resting, start)
    if not keys.own_names(key):
        return None
    shapes, start = keys.read_shapes(obj), keys.written_start(key)
    if keys.is_compact(key):
        return BasisKeys(shapes, curves.read_weights(key), start, keys.labels(key))
    return FrameKeys(shapes, start)


@contextmanager
def _all_or_nothing(obj: bpy.types.Object) -> Iterator[_Former]:
    """Put the earlier state back when the block fails; tell Blender that the mesh has changed."""
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    key = mesh.shape_keys
    record = key[keys.MARK].to_dict() if key is not None and key.get(keys.MARK) is not None else {}
    former = _Former(
        frames=read_own(obj),
        take=takes.stored(key),
        nla=bool(record.get("nla", 0)),
        report=record.get(keys.REPORT),
        origin=keys.origin(key),
    )
    try:
        yield former
    except Exception:
        log.warning("Writing onto '%s' failed; its earlier state is put back", obj.name)
        _remove(obj)
        if former.frames is not None:
            _write(obj, former.frames, nla=former.nla, take=former.take, origin=former.origin)
            if former.report is not None:
                mesh.shape_keys[keys.MARK][keys.REPORT] = former.report
        else:
            keys.restore_origin(obj, former.origin)
        raise
    finally:
        mesh.update()
        obj.update_tag(refresh={"OBJECT", "DATA", "TIME"})


def _write(
    obj: bpy.types.Object,
    frames: Frames,
    *,
    nla: bool,
    take: Placed | None,
    origin: keys.Origin,
) -> None:
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    absolute = isinstance(frames, FrameKeys) and keys.wants_absolute(mesh.shape_keys)
    names = keys.add_keys(obj, frames, origin, absolute=absolute)
    takes.store(mesh.shape_keys, take)
    curves.animate(mesh.shape_keys, curves.channels(names, frames, absolute=absolute), nla=nla)
    mesh.shape_keys[keys.MARK]["nla"] = int(nla)


def _remove(obj: bpy.types.Object) -> None:
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    # While our keys are still recorded.
    owned_actions.remove(mesh.shape_keys, curves.own(mesh.shape_keys))
    keys.remove_own(obj)
    if mesh.shape_keys is not None:
        takes.store(mesh.shape_keys, None)
