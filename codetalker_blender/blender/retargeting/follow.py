"""A setting of an object has changed -> its animation follows at once, where there is one that can."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

import bpy

from ...errors import UserError
from . import tuning

log = logging.getLogger(__name__)

# Blender calls a setting's ``update`` with nothing of ours: whoever sets many must say so here.
_pauses = 0


def rewrite(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """The ``update`` of the settings in ``object.codetalker``."""
    obj = group.id_data
    assert isinstance(obj, bpy.types.Object)
    if not _pauses:
        apply(obj, context.scene)


def apply(obj: bpy.types.Object, scene: bpy.types.Scene) -> None:
    """Write the object's animation as its settings say, where there is one that can be written."""
    if tuning.obstacle(obj, scene) is not None:
        return
    try:
        tuning.rewrite(obj, scene)
    except UserError as error:  # the panel, too, says that the settings are not applied
        log.warning("The settings of '%s' are not applied: %s", obj.name, error)


@contextmanager
def pause() -> Iterator[None]:
    """Nothing follows within the block, which sets many settings one after the other."""
    hold()
    try:
        yield
    finally:
        go_on()


def hold() -> None:
    """Nothing follows until :func:`go_on`."""
    global _pauses  # noqa: PLW0603
    _pauses += 1


def go_on() -> None:
    """Take :func:`hold` back."""
    global _pauses  # noqa: PLW0603
    _pauses -= 1
