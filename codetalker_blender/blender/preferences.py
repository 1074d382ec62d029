"""What belongs to this machine and not to a scene: the engine's Python, how jobs run, model folder."""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from . import compat

#: The extension's own module name, whatever repository it is installed from.
PACKAGE = __package__.rpartition(".")[0]
#: Names the engine's Python where the preferences do not (render farms, tests).
PYTHON_VARIABLE = "CODETALKER_ENGINE_PYTHON"

DEVICES = (
    ("auto", "Automatic", "The graphics card where torch can use it, else the processor"),
    ("cpu", "CPU", "The processor"),
    ("cuda", "CUDA", "An NVIDIA graphics card"),
    ("mps", "Metal", "An Apple graphics card"),
)


class CODETALKER_AP_preferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    if TYPE_CHECKING:
        engine_python: str
        job_mode: str
        device: str
        models_folder: str
    else:
        engine_python: bpy.props.StringProperty(
            name="Engine Python",
            description="Python that has torch and runs the model; empty uses Blender's own",
            subtype="FILE_PATH",
            options=compat.PATH_OPTIONS,
        )
        job_mode: bpy.props.EnumProperty(
            name="Run the Model",
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
        layout = self.layout
        layout.use_property_split = True
        for name in ("job_mode", "engine_python", "device", "models_folder"):
            layout.prop(self, name)


@dataclass(frozen=True)
class EngineSettings:
    """How a job is run.

    mode: "worker" or "inside"
    python: the interpreter of the worker process
    device: where the model runs unless the scene says otherwise
    """

    mode: str
    python: Path
    device: str

    @property
    def extra_paths(self) -> tuple[Path, ...]:
        """Where Blender finds torch: a folder of its extensions, which its Python alone does not search."""
        found = importlib.util.find_spec("torch") if self.python == Path(sys.executable) else None
        return (Path(found.origin).parents[1],) if found and found.origin else ()

    def missing(self) -> str:
        """Why a job cannot run, as far as that can be told without starting Python; "" when it may."""
        if self.mode == "worker" and not self.python.is_file():
            return f"The engine's Python '{self.python}' does not exist"
        if (self.mode == "inside" or self.python == Path(sys.executable)) and not _has_torch():
            return "torch is not installed in Blender's Python: name an Engine Python in the preferences"
        return ""


def engine_settings() -> EngineSettings:
    """The preferences, or their defaults where the extension was registered without being enabled."""
    stored = _stored()
    named = stored.engine_python if stored else ""
    named = bpy.path.abspath(named) if named else os.environ.get(PYTHON_VARIABLE, "")
    python = Path(named or sys.executable)
    mode = stored.job_mode if stored else "auto"
    if mode == "auto":
        mode = "inside" if bpy.app.background and not named and _has_torch() else "worker"
    return EngineSettings(mode, python, stored.device if stored else "auto")


def models_folder() -> Path | None:
    """The folder of the user's own bundles, or None where there is none."""
    stored = _stored()
    if stored and stored.models_folder:
        return Path(bpy.path.abspath(stored.models_folder))
    if not PACKAGE.startswith("bl_ext."):
        return None
    return Path(bpy.utils.extension_path_user(PACKAGE, path="models"))


def _stored() -> CODETALKER_AP_preferences | None:
    addon: bpy.types.Addon | None = bpy.context.preferences.addons.get(PACKAGE)
    stored = addon.preferences if addon else None
    return stored if isinstance(stored, CODETALKER_AP_preferences) else None


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None
