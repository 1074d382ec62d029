"""The only folder that imports bpy: reads the scene, asks the job, writes the result.

From below to above; what may import what is in docs/architecture.md.

compat.py     every Blender version difference
preferences.py  what belongs to this machine: the engine's Python, how jobs run, model folder
buttons.py layout.py  what buttons have in common; texts and properties in panels
writing/      keys.py curves.py animation.py  shape keys, F-curves, both at once or not at all
              owned_actions.py                curves in an action of ours beside the animator's
              turning.py                      an object's delta transform in such an action
              rig_animation.py                bones and custom properties, at once or not at all
              takes.py                        raw motion in the file
bundles/      models.py library.py imports.py the model library; official checkpoints → a model
              import_buttons.py               the buttons of that
mesh/         target.py readiness.py          mesh → arrays; is it the model's face?
              demo_head.py                    the shipped head as an object
sound/        sources.py heard.py mixdown.py  what the engine reads, and where it is heard
              strips.py                       our sound strip on the timeline
retargeting/  mapping.py existing.py          which shapes the target's own keys follow, and their values
              bases.py error_map.py           the shapes of the model's face; what keys miss, in colours
              mapping_settings.py mapping_buttons.py  editing that
              fitting.py bindings.py          another topology: fit the model's face to it, keep the fit
              landmarks.py fit_preview.py     points that help a fit; the fit as an object to look at
              fit_map.py heat_maps.py         how far the mesh is from it; millimetres as coloured objects
              fit_operators.py                their buttons
              tuning.py follow.py             raw motion and an object's settings → its keys
              rig_rules.py rig_values.py      which bones and properties of its rig follow, and their values
              rig_settings.py rig_buttons.py  editing that
              laying.py head.py layer_settings.py  blinks, head motion and gaze on top of it
              sight.py eyes.py carrier.py sampling.py  whom the eyes look at, and from where, frame by frame
properties.py the settings in the scene and the object
runs/         generation.py jobs.py           read the scene → request; run it; motion → take
              kept_engine.py                  many runs in one host
              styles.py variation.py          mix of two styles → rows; how freely codes are drawn
              queue_operators.py status.py    the runs that go and wait: their buttons and progress
              preview.py inset.py             the face while the model runs, in a corner
interchange/  exports.py file_menus.py        the animation as files; File > Import and Export
              shape_weights.py                weights of shapes from other programs and for them
setup/        preferences_page.py preferences_layout.py  the page in Blender's preferences
              engine_setup.py examination.py installation_operators.py  the engine's set-up, the check of all
              ticker.py                       redraws meanwhile
sidebar/      operators.py                    the main buttons
              panels.py sequencer_panel.py model_panels.py mapping_panel.py layers_panel.py
              rig_panel.py runs_panels.py     the runs that go and wait
              fit_panel.py base.py            of other topologies; the place of panels
              presets.py                      settings kept by name
              translations.py german.py       words in other languages
headless/     clip.py console.py outputs.py render.py  one clip without a window and what it leaves
              demo.py layer_options.py bounds.py  the demo; flags of layers; what numbers may be
command_line.py  the command line inside Blender; command.py: of the bpy module
"""

from __future__ import annotations

import bpy


def _classes() -> tuple[type, ...]:
    """In the order of registration.

    Imported here, so that a module of this folder can be had without all the others.
    """
    from . import properties  # noqa: PLC0415
    from .bundles import import_buttons, imports, library  # noqa: PLC0415
    from .interchange import file_menus  # noqa: PLC0415
    from .mesh import demo_head  # noqa: PLC0415
    from .retargeting import (  # noqa: PLC0415
        error_map,
        fit_operators,
        layer_settings,
        mapping_buttons,
        mapping_settings,
        rig_buttons,
        rig_settings,
    )
    from .runs import queue_operators, variation  # noqa: PLC0415
    from .setup import installation_operators, preferences_page  # noqa: PLC0415
    from .sidebar import (  # noqa: PLC0415
        error_panel,
        fit_panel,
        layers_panel,
        mapping_panel,
        model_panels,
        operators,
        panels,
        play,
        presets,
        rig_panel,
        runs_panels,
        sequencer_panel,
    )

    return (
        preferences_page.CODETALKER_AP_preferences,
        properties.CODETALKER_PG_scene,
        *mapping_settings.GROUPS,
        layer_settings.CODETALKER_PG_layers,
        *rig_settings.GROUPS,
        properties.CODETALKER_PG_object,
        imports.CODETALKER_PG_import,
        operators.CODETALKER_OT_generate,
        queue_operators.CODETALKER_OT_cancel,
        queue_operators.CODETALKER_OT_cancel_all,
        operators.CODETALKER_OT_rewrite,
        operators.CODETALKER_OT_reset_tuning,
        operators.CODETALKER_OT_remove,
        play.CODETALKER_OT_play,
        *installation_operators.CLASSES,
        *library.CLASSES,
        *import_buttons.CLASSES,
        *variation.CLASSES,
        *presets.CLASSES,
        demo_head.CODETALKER_OT_add_demo_head,
        panels.CODETALKER_PT_generate,
        runs_panels.CODETALKER_PT_runs,
        *model_panels.CLASSES,
        *mapping_buttons.CLASSES,
        *mapping_panel.CLASSES,
        *rig_buttons.CLASSES,
        *rig_panel.CLASSES,
        *error_map.CLASSES,
        error_panel.CODETALKER_PT_error,
        *file_menus.CLASSES,
        *fit_operators.CLASSES,
        *fit_panel.CLASSES,
        panels.CODETALKER_PT_tuning,
        layers_panel.CODETALKER_PT_layers,
        panels.CODETALKER_PT_sampling,
        sequencer_panel.CODETALKER_PT_sequencer,
        runs_panels.CODETALKER_PT_sequencer_runs,
    )


def register() -> None:
    """Register the classes, ``scene.codetalker``, ``object.codetalker`` and the command line."""
    from . import command_line, properties  # noqa: PLC0415
    from .bundles import imports  # noqa: PLC0415
    from .interchange import file_menus  # noqa: PLC0415
    from .sidebar import translations  # noqa: PLC0415

    for cls in _classes():
        bpy.utils.register_class(cls)
    bpy.types.Scene.codetalker = bpy.props.PointerProperty(type=properties.CODETALKER_PG_scene)
    bpy.types.Object.codetalker = bpy.props.PointerProperty(type=properties.CODETALKER_PG_object)
    bpy.types.WindowManager.codetalker_import = bpy.props.PointerProperty(type=imports.CODETALKER_PG_import)
    translations.register()
    file_menus.register()
    command_line.register()


def unregister() -> None:
    """End all runs, an import, a set-up and a check, then take everything back."""
    from . import command_line  # noqa: PLC0415
    from .bundles import imports  # noqa: PLC0415
    from .interchange import file_menus  # noqa: PLC0415
    from .retargeting import fit_operators  # noqa: PLC0415
    from .runs import jobs  # noqa: PLC0415
    from .setup import engine_setup, examination, ticker  # noqa: PLC0415
    from .sidebar import translations  # noqa: PLC0415

    jobs.QUEUE.close()
    imports.close_current()
    fit_operators.close_current()
    engine_setup.close_current()
    examination.close_current()
    ticker.stop()
    command_line.unregister()
    file_menus.unregister()
    translations.unregister()
    del bpy.types.WindowManager.codetalker_import
    del bpy.types.Object.codetalker
    del bpy.types.Scene.codetalker
    for cls in reversed(_classes()):
        bpy.utils.unregister_class(cls)
