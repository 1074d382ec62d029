"""The managed engine through Blender's buttons: set up from a folder of wheels, used, removed, refused."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.installation.pins import engine_pins
from tests.blender.installed import MODULE, installed
from tests.blender.test_panels import Layout
from tests.installation.made_wheels import make_engine_wheels


@pytest.fixture
def makes_environments() -> None:
    """Debian keeps part of venv in a package of its own; the set-up then says so (tests/installation)."""
    pytest.importorskip("ensurepip", reason="this Blender's Python cannot make environments")


@pytest.fixture
def preferences(tmp_path: Path) -> Iterator[Any]:
    with installed(tmp_path / "staged") as found:
        yield found


def module(name: str) -> Any:
    """A module of the extension under the name by which Blender knows it."""
    return importlib.import_module(f"{MODULE}.blender.{name}")


def settings() -> Any:
    return module("preferences").engine_settings()


def test_naming_a_python_means_to_use_it(preferences: Any, tmp_path: Path) -> None:
    preferences.engine = "OWN"
    assert "No Engine Python is named" in settings().missing()
    preferences.engine = "BUNDLED"
    preferences.engine_python = str(tmp_path / "absent")
    assert preferences.engine == "OWN"
    assert f"'{tmp_path / 'absent'}' does not exist" in settings().missing()
    # a Python is run when it is named, so that what it lacks is known before a job is
    bare = tmp_path / "bare"
    import venv

    venv.create(bare, with_pip=False)
    python = bare / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    preferences.engine_python = str(python)
    assert settings().python == python and "lacks torch" in settings().missing()


def test_the_managed_engine_comes_and_goes(
    makes_environments: None, preferences: Any, tmp_path: Path
) -> None:
    user_folder = Path(bpy.utils.extension_path_user(MODULE))
    preferences.engine = "MANAGED"
    assert "not set up yet" in settings().missing()
    assert bpy.ops.codetalker.check_installation() == {"CANCELLED"}
    findings = {one.subject: one.problem for one in module("setup.examination").current().findings}
    assert "not set up yet: press Set Up Engine" in findings["Engine"] and "Self-test" not in findings
    preferences.package_index = str(make_engine_wheels(tmp_path / "wheels"))
    assert not bpy.app.online_access, "a folder of wheels needs no network"
    assert bpy.ops.codetalker.set_up_engine() == {"FINISHED"}
    python = settings().python
    assert settings().missing() == "" and python.is_file() and user_folder in python.parents
    versions = module("preferences").managed_environment().packages()
    assert {pin.name for pin in engine_pins()} | {"made-need"} == {n.replace("_", "-") for n in versions}
    assert bpy.ops.codetalker.remove_engine() == {"FINISHED"}
    assert not (user_folder / "engine").exists() and "not set up yet" in settings().missing()


def test_the_page_says_why_nothing_can_be_set_up(preferences: Any) -> None:
    preferences.engine = "MANAGED"
    layout = Layout([], [])
    module("setup.preferences_layout").draw(layout, preferences)
    text = " ".join(layout.shown)
    assert "not set up yet" in text and "Allow Online Access" in text
    preferences.engine = "BUNDLED"
    layout = Layout([], [])
    module("setup.preferences_layout").draw(layout, preferences)
    shown = " ".join(layout.shown)
    if settings().missing():
        assert settings().missing() in shown and "Own Environment takes a Python" in shown
    else:
        assert "part of this installation" in shown or "CODETALKER_ENGINE_PYTHON names" in shown


def test_without_leave_to_use_the_network_nothing_begins(preferences: Any) -> None:
    assert not bpy.app.online_access
    with pytest.raises(RuntimeError, match=r"not allowed to use the network.*Allow Online Access"):
        bpy.ops.codetalker.set_up_engine()
    assert not (Path(bpy.utils.extension_path_user(MODULE)) / "engine").exists()


def test_what_stops_pip_is_one_sentence(makes_environments: None, preferences: Any, tmp_path: Path) -> None:
    wheels = make_engine_wheels(tmp_path / "wheels")
    next(wheels.glob("torch-*")).unlink()
    preferences.package_index = str(wheels)
    with pytest.raises(RuntimeError, match=r"the package index has no torch==[\d.]+ for this machine"):
        bpy.ops.codetalker.set_up_engine()
    assert not (Path(bpy.utils.extension_path_user(MODULE)) / "engine").exists()


def test_leaving_in_the_middle_leaves_nothing(
    makes_environments: None, preferences: Any, tmp_path: Path
) -> None:
    """As in a window, where the button returns at once; the extension is then switched off."""
    import addon_utils

    environment = module("preferences").managed_environment()
    installation = importlib.import_module(f"{MODULE}.installation.installer")
    sources = importlib.import_module(f"{MODULE}.installation.source")
    source = sources.package_source("cpu", str(make_engine_wheels(tmp_path / "wheels")))
    installer = installation.Installer(environment, Path(sys.executable), engine_pins(), source)
    module("setup.engine_setup").begin(installer)
    while not environment.exists:
        assert installer.running
    addon_utils.disable(MODULE)
    assert not installer.running and installer.stage == "cancelled" and not environment.exists
    addon_utils.enable(MODULE)
