"""The only folder that imports bpy: reads the scene, asks the job, writes the result.

target.py strips.py models.py   scene, sound file, model library → arrays and paths
generation.py jobs.py           read the scene → request; run it; motion → take
takes.py tuning.py              the raw motion in the file; settings of the object + take → shape keys
keys.py curves.py animation.py  shape keys, F-curves, both at once or not at all
operators.py panels.py          buttons and sidebar
properties.py preferences.py    the settings; preferences_layout.py: how the latter look
installation_operators.py       their buttons: engine_setup.py sets the engine up, examination.py checks all
ticker.py                       redraws meanwhile
command.py render.py            the command line inside Blender; preview and video
compat.py                       every Blender version difference
"""

from __future__ import annotations

import bpy


def _classes() -> tuple[type, ...]:
    """In the order of registration.

    Imported here, so that ``python -m ...blender.command`` does not find its own module loaded.
    """
    from . import installation_operators, operators, panels, preferences, properties  # noqa: PLC0415

    return (
        preferences.CODETALKER_AP_preferences,
        properties.CODETALKER_PG_scene,
        properties.CODETALKER_PG_object,
        operators.CODETALKER_OT_generate,
        operators.CODETALKER_OT_cancel,
        operators.CODETALKER_OT_rewrite,
        operators.CODETALKER_OT_reset_tuning,
        operators.CODETALKER_OT_remove,
        *installation_operators.CLASSES,
        panels.CODETALKER_PT_generate,
        panels.CODETALKER_PT_tuning,
        panels.CODETALKER_PT_sampling,
    )


def register() -> None:
    """Register the classes, ``scene.codetalker``, ``object.codetalker`` and the command line."""
    from . import command, properties  # noqa: PLC0415

    for cls in _classes():
        bpy.utils.register_class(cls)
    bpy.types.Scene.codetalker = bpy.props.PointerProperty(type=properties.CODETALKER_PG_scene)
    bpy.types.Object.codetalker = bpy.props.PointerProperty(type=properties.CODETALKER_PG_object)
    command.register()


def unregister() -> None:
    """End a running job, set-up or check, then take everything back."""
    from . import command, engine_setup, examination, jobs, ticker  # noqa: PLC0415

    jobs.close_current()
    engine_setup.close_current()
    examination.close_current()
    ticker.stop()
    command.unregister()
    del bpy.types.Object.codetalker
    del bpy.types.Scene.codetalker
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
