"""What belongs to this machine and not to a scene: the engine's Python, how jobs run, model folder.

Read here; setup/preferences_page.py is where it is set.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from dataclasses import dataclass
from pathlib import Path

import bpy

from ..errors import EngineError, UserError
from ..installation.environment import ManagedEnvironment
from ..installation.pins import engine_pins
from ..installation.probe import Probe, probe
from ..job.process import worker_environment

#: The extension's own module name, whatever repository it is installed from.
PACKAGE = __package__.rpartition(".")[0]
#: Names the engine's Python where the preferences do not (render farms, tests).
PYTHON_VARIABLE = "CODETALKER_ENGINE_PYTHON"
#: The folder among Blender's data files where this is no extension.
_OUTSIDE = "codetalker_blender"

DEVICES = (
    ("auto", "Automatic", "The graphics card where torch can use it, else the processor"),
    ("cpu", "CPU", "The processor"),
    ("cuda", "CUDA", "An NVIDIA graphics card"),
    ("mps", "Metal", "An Apple graphics card"),
)


@dataclass(frozen=True)
class EngineSettings:
    """How a job is run.

    engine: "BUNDLED", "OWN" or "MANAGED"
    mode: "worker" or "inside"
    python: the interpreter of the worker process
    device: where the model runs unless the scene says otherwise
    """

    engine: str
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
        if self.mode == "inside" and not _has_torch():
            return "Blender's own Python has no torch: let the model run in a worker process instead"
        if self.mode == "inside":
            return ""
        if self.engine == "MANAGED":
            try:
                return managed_environment().obstacle(engine_pins()).rstrip(".")
            except UserError as error:
                return error.message
        if self.engine == "OWN" and not stored_preferences().engine_python:
            return "No Engine Python is named: name one in the preferences, or choose another engine"
        if not self.python.is_file():
            return f"The engine's Python '{self.python}' does not exist"
        if self.python == Path(sys.executable) and not _has_torch():
            return "There is no engine yet: choose Managed in the preferences, and one is set up for you"
        known = known_python(self.python)
        return known.problem.rstrip(".") if known else ""


def engine_settings() -> EngineSettings:
    """The preferences, or their defaults where the extension was registered without being enabled."""
    stored = stored_preferences()
    engine = stored.engine if stored else "BUNDLED"
    named = ""
    if stored and engine == "OWN":
        named = bpy.path.abspath(stored.engine_python) if stored.engine_python else ""
    elif engine == "MANAGED":
        named = str(managed_environment().python) if user_folder() else ""
    else:
        named = os.environ.get(PYTHON_VARIABLE, "")
    mode = stored.job_mode if stored else "auto"
    if mode == "auto":
        own = engine == "BUNDLED" and not named and _has_torch()
        mode = "inside" if bpy.app.background and own else "worker"
    return EngineSettings(engine, mode, Path(named or sys.executable), stored.device if stored else "auto")


def models_folder() -> Path | None:
    """The folder of the user's own bundles, or None where there is none."""
    stored = stored_preferences()
    if stored and stored.models_folder:
        return Path(bpy.path.abspath(stored.models_folder))
    return None if user_folder() is None else user_folder() / "models"


def user_folder() -> Path | None:
    """The folder that Blender gives the extension for its files; None when it is not an extension."""
    if not PACKAGE.startswith("bl_ext."):
        return None
    return Path(bpy.utils.extension_path_user(PACKAGE))


def data_folder() -> Path:
    """Where this machine keeps what was computed: the extension's folder, or that of Blender's data files."""
    return user_folder() or Path(bpy.utils.user_resource("DATAFILES", path=_OUTSIDE))


def managed_environment() -> ManagedEnvironment:
    """The engine that the extension sets up.  Raises EngineError when it has no folder."""
    folder = user_folder()
    if folder is None:
        raise EngineError(
            "Only an installed extension has a folder for a managed engine.",
            "Install the package in Blender's preferences, or choose Own Environment.",
        )
    return ManagedEnvironment(folder / "engine")


def probe_python(python: Path) -> None:
    """Run a Python that the user named once, to see what it has."""
    _probes[python] = probe(python, engine_pins(), worker_environment())


def known_python(python: Path) -> Probe | None:
    """What is known of a Python that the user named, or None."""
    return _probes.get(python)


def stored_preferences() -> bpy.types.AddonPreferences | None:
    """The extension's preferences; None where it was registered without being enabled."""
    addon: bpy.types.Addon | None = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None


#: What the Pythons answered that were named since Blender started.
_probes: dict[Path, Probe] = {}
