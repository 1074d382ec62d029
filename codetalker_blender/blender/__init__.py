"""The only folder that imports bpy: reads the scene, asks the job, writes the result.

target.py readiness.py models.py  mesh, model library → arrays and paths; does the one fit the other
sources.py heard.py mixdown.py  sound file or strip → what the engine reads, and where it is heard
strips.py                       our sound strip on the timeline
styles.py variation.py          the keyframed mix of two styles → rows; how freely motions are drawn
library.py imports.py           models added and removed; official checkpoints → a model (import_buttons.py)
generation.py jobs.py           read the scene → request; run it; motion → take
takes.py tuning.py              the raw motion in the file; settings of the object + take → shape keys
mapping.py existing.py follow.py  which shapes the target's own keys follow, and their values
mapping_buttons.py mapping_panel.py  editing that
keys.py curves.py animation.py  shape keys, F-curves, both at once or not at all
operators.py panels.py sequencer_panel.py  buttons and sidebars (model_panels.py: models)
sidebar.py                      what the panels have in common
demo_head.py                    the shipped head as an object
queue_operators.py status.py    the runs that go and wait: their buttons, how far they are
preview.py inset.py             the face while the model runs, in a corner of the 3D View
properties.py preferences.py    the settings; preferences_layout.py: how the latter look
presets.py                      settings kept by name
installation_operators.py       their buttons: engine_setup.py sets the engine up, examination.py checks all
ticker.py                       redraws meanwhile
command.py render.py            the command line inside Blender; preview and video
translations.py                 the panel's words in other languages
compat.py                       every Blender version difference
"""

from __future__ import annotations

import bpy


def _classes() -> tuple[type, ...]:
    """In the order of registration.

    Imported here, so that ``python -m ...blender.command`` does not find its own module loaded.
    """
    from . import (  # noqa: PLC0415
        demo_head,
        import_buttons,
        imports,
        installation_operators,
        library,
        mapping,
        mapping_buttons,
        mapping_panel,
        model_panels,
        operators,
        panels,
        preferences,
        presets,
        properties,
        queue_operators,
        sequencer_panel,
        variation,
    )

    return (
        preferences.CODETALKER_AP_preferences,
        properties.CODETALKER_PG_scene,
        *mapping.GROUPS,
        properties.CODETALKER_PG_object,
        imports.CODETALKER_PG_import,
        operators.CODETALKER_OT_generate,
        queue_operators.CODETALKER_OT_cancel,
        queue_operators.CODETALKER_OT_cancel_all,
        operators.CODETALKER_OT_rewrite,
        operators.CODETALKER_OT_reset_tuning,
        operators.CODETALKER_OT_remove,
        *installation_operators.CLASSES,
        *library.CLASSES,
        *import_buttons.CLASSES,
        *variation.CLASSES,
        *presets.CLASSES,
        demo_head.CODETALKER_OT_add_demo_head,
        panels.CODETALKER_PT_generate,
        *model_panels.CLASSES,
        *mapping_buttons.CLASSES,
        *mapping_panel.CLASSES,
        panels.CODETALKER_PT_tuning,
        panels.CODETALKER_PT_sampling,
        sequencer_panel.CODETALKER_PT_sequencer,
    )


def register() -> None:
    """Register the classes, ``scene.codetalker``, ``object.codetalker`` and the command line."""
    from . import command, imports, properties, translations  # noqa: PLC0415

    for cls in _classes():
        bpy.utils.register_class(cls)
    bpy.types.Scene.codetalker = bpy.props.PointerProperty(type=properties.CODETALKER_PG_scene)
    bpy.types.Object.codetalker = bpy.props.PointerProperty(type=properties.CODETALKER_PG_object)
    bpy.types.WindowManager.codetalker_import = bpy.props.PointerProperty(type=imports.CODETALKER_PG_import)
    translations.register()
    command.register()


def unregister() -> None:
    """End all runs, an import, a set-up and a check, then take everything back."""
    from . import command, engine_setup, examination, imports, jobs, ticker, translations  # noqa: PLC0415

    jobs.QUEUE.close()
    imports.close_current()
    engine_setup.close_current()
    examination.close_current()
    ticker.stop()
    command.unregister()
    translations.unregister()
    del bpy.types.WindowManager.codetalker_import
    del bpy.types.Object.codetalker
    del bpy.types.Scene.codetalker
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
