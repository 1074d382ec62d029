"""CodeTalker: speech in, facial animation out.

    contracts.py errors.py       what flows between the stages, and what a user can cure
    model_files.py resources.py  model bundles on disk; shipped files and the list of models
    model_library.py             the user's own bundles: added, removed
    disk.py staging.py           new files that appear whole; all of a run's together
    array_files.py text_files.py arrays ⇄ .npz; text and JSON
    motion_files.py street.py    motion ⇄ .npz; one request in, one motion out
    official_import.py           official checkpoints → a model bundle
    cli.py __main__.py           the command line without Blender
    installation/ checkup.py     pins, environments for the engine; can this installation run?
    engine/                      sound → features → codes → motion (torch, no bpy)
    face/                        meshes: recognise, fit, carry motion over, resample (numpy)
    job/                         runs the engine in a worker process, or in a thread
    blender/                     panel, operators, shape keys, curves (the only folder with bpy)

Importing this package does nothing: Blender calls register() and unregister().
"""

from __future__ import annotations


def register() -> None:
    """Called by Blender when the extension is switched on."""
    from . import blender

    blender.register()


def unregister() -> None:
    """Called by Blender when the extension is switched off; ends a running job."""
    from . import blender

    blender.unregister()
