"""Replace this extension's animation on one mesh: all of it or nothing.

offsets + rest shape ─► FrameKeys ─► keys.py (shapes) + curves.py (times)
"""

from __future__ import annotations

import logging

import bpy

from . import curves, keys
from .keys import FrameKeys

log = logging.getLogger(__name__)


def replace_animation(obj: bpy.types.Object, frames: FrameKeys) -> None:
    """Write ``frames`` onto the object's mesh in place of what this extension wrote there before.

    The animator's own keys, values, action, drivers and NLA tracks stay as they are.  Raises
    TargetError before anything is written where that cannot be kept; when a write fails midway the
    earlier state is put back and the error goes on.
    """
    keys.refuse_foreign_absolute(obj)
    curves.refuse_muted_nla(obj)
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    before = keys.read_own(obj)
    had_keys = mesh.shape_keys is not None
    try:
        _remove(obj)
        _write(obj, frames)
    except Exception:
        log.warning("Writing onto '%s' failed; its earlier state is put back", obj.name)
        _remove(obj)
        if before is not None:
            _write(obj, before)
        elif not had_keys and mesh.shape_keys is not None:
            obj.shape_key_clear()
        raise
    finally:
        mesh.update()
        obj.update_tag(refresh={"OBJECT", "DATA", "TIME"})


def _write(obj: bpy.types.Object, frames: FrameKeys) -> None:
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    absolute = keys.wants_absolute(mesh.shape_keys)
    names = keys.add_keys(obj, frames, absolute=absolute)
    curves.animate(mesh.shape_keys, names, frames.start_frame, absolute=absolute)


def _remove(obj: bpy.types.Object) -> None:
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    curves.remove_own_animation(mesh.shape_keys)
    keys.remove_own(obj)
