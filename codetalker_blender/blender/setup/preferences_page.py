"""The extension's page in Blender's preferences: its properties; preferences_layout.py draws it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from .. import compat
from ..preferences import DEVICES, PACKAGE, probe_python
from . import preferences_layout

ENGINES = (
    ("BUNDLED", "Bundled", "The libraries in Blender's own Python, as a full package brings them"),
    ("OWN", "Own Environment", "A Python of your own that has the libraries"),
    ("MANAGED", "Managed", "An environment that the extension sets up, on demand, in its own folder"),
)
SETUP_DEVICES = (
    ("cpu", "CPU", "The smallest download, for any computer"),
    (
        "cuda",
        "NVIDIA",
        "Several GB, for NVIDIA graphics cards; on Windows it needs a package index that has it",
    ),
)


def _name_python(preferences: CODETALKER_AP_preferences, context: bpy.types.Context) -> None:
    """Naming a Python means to use it; it is run once, to see what it has."""
    if preferences.engine_python:
        preferences.engine = "OWN"
        probe_python(Path(bpy.path.abspath(preferences.engine_python)))


class CODETALKER_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    if TYPE_CHECKING:
        engine: str
        engine_python: str
        setup_device: str
        package_index: str
        job_mode: str
        device: str
        models_folder: str
    else:
        engine: bpy.props.EnumProperty(
            name="Engine",
            description="Where the libraries that run the model (torch and others) come from",
            items=ENGINES,
            default="BUNDLED",
        )
        engine_python: bpy.props.StringProperty(
            name="Engine Python",
            description="Python that has torch and the other libraries; it is run once to see what it has",
            subtype="FILE_PATH",
            options=compat.PATH_OPTIONS,
            update=_name_python,
        )
        setup_device: bpy.props.EnumProperty(
            name="Set Up For",
            description="The processor or graphics card that the managed engine is going to use",
            items=SETUP_DEVICES,
            default="cpu",
        )
        package_index: bpy.props.StringProperty(
            name="Package Index",
            description=(
                "Where torch comes from: the address of an index, such as PyTorch's own for NVIDIA cards on "
                "Windows, or a folder of wheels, which needs no network; empty is PyPI's, or the CPU's own "
                "on Linux"
            ),
        )
        job_mode: bpy.props.EnumProperty(
            name="Run the Model",
            description="Which process the model runs in",
            items=(
                ("auto", "Automatic", "In a worker process, or inside Blender when it runs without a window"),
                ("worker", "In a Worker Process", "A crash or lack of memory cannot harm the open scene"),
                ("inside", "Inside Blender", "Needs torch in Blender's own Python"),
            ),
            default="auto",
        )
        device: bpy.props.EnumProperty(
            name="Device", description="Where the model runs", items=DEVICES, default="auto"
        )
        models_folder: bpy.props.StringProperty(
            name="Models",
            description="Folder of your own model bundles; empty uses the extension's user folder",
            subtype="DIR_PATH",
            options=compat.PATH_OPTIONS,
        )

    def draw(self, context: bpy.types.Context) -> None:
        preferences_layout.draw(self.layout, self)
