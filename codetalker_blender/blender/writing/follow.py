"""A setting of an object has changed -> its animation follows at once, where there is one that can."""

from __future__ import annotations

import logging

import bpy

from ...errors import UserError
from ..sidebar import presets
from . import tuning

log = logging.getLogger(__name__)


def rewrite(group: bpy.types.PropertyGroup, context: bpy.types.Context) -> None:
    """The ``update`` of the settings in ``object.codetalker``."""
    obj = group.id_data
    assert isinstance(obj, bpy.types.Object)
    if presets.CODETALKER_PT_presets.loading or tuning.obstacle(obj, context.scene) is not None:
        return
    try:
        tuning.rewrite(obj, context.scene)
    except UserError as error:  # the panel, too, says that the settings are not applied
        log.warning("The settings of '%s' are not applied: %s", obj.name, error)
