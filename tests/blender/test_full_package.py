"""Packages with wheels inside, installed by Blender itself into a home that has nothing."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

if bpy.app.binary_path:
    pytest.skip("needs a Python that can import bpy", allow_module_level=True)


import build
import full_zips
import wheels
from tests.blender.bare import bare_blender, drive
from tests.installation.made_wheels import make_wheel

ROOT = Path(build.__file__).resolve().parent
DRIVER = Path(__file__).with_name("drive_full_package.py")
THIS_PYTHON = f"{sys.version_info[0]}.{sys.version_info[1]}"
LINUX = pytest.mark.skipif(sys.platform != "linux", reason="the packages that are made here are for Linux")


def which_blenders() -> full_zips.Blenders:
    return full_zips.blenders(build.read_toml(ROOT / "pyproject.toml"))[THIS_PYTHON]


def made_package(folder: Path, wheel: Path) -> Path:
    staged = full_zips.stage_full(ROOT, folder / build.PACKAGE, "linux-x64", [wheel], which_blenders())
    archive = folder / "made.zip"
    build.build_zip(Path(sys.executable), staged, archive)
    return archive


@LINUX
def test_blender_installs_the_wheels_of_a_full_package(tmp_path: Path) -> None:
    archive = made_package(tmp_path, make_wheel(tmp_path, "made", "1.0"))
    found = drive(sys.executable, DRIVER, tmp_path / "home", archive)
    assert found["enabled"] and found["made"], found["said"]


@LINUX
def test_wheels_for_another_python_are_refused(tmp_path: Path) -> None:
    """The installation itself says nothing of it, so the add-on is asked."""
    if bpy.app.version < (5, 2, 0):
        pytest.skip("older Blenders look at the wheels' platform alone")
    archive = made_package(tmp_path, make_wheel(tmp_path, "made", "1.0", tag="cp39-cp39-linux_x86_64"))
    found = drive(sys.executable, DRIVER, tmp_path / "home", archive)
    assert not found["enabled"] and not found["made"], found["said"]


@LINUX
def test_another_blenders_package_is_refused(tmp_path: Path) -> None:
    """By its versions, in every Blender: its wheels are for another Python."""
    others = full_zips.blenders(build.read_toml(ROOT / "pyproject.toml"))
    other = next(one for python, one in others.items() if python != THIS_PYTHON)
    wheel = make_wheel(tmp_path, "made", "1.0")
    staged = full_zips.stage_full(ROOT, tmp_path / build.PACKAGE, "linux-x64", [wheel], other)
    build.build_zip(Path(sys.executable), staged, tmp_path / "made.zip")
    found = drive(sys.executable, DRIVER, tmp_path / "home", tmp_path / "made.zip")
    assert not found["enabled"], found["said"]


@LINUX
@pytest.mark.slow
@pytest.mark.parametrize("mode", ["worker", "inside"])
def test_the_demo_speaks_with_the_bundled_engine(tmp_path: Path, mode: str) -> None:
    """The real package; fetches 200 MB of wheels the first time."""
    label = f"linux-x64-py{THIS_PYTHON.replace('.', '')}"
    archive = ROOT / "build" / f"{build.PACKAGE}-{build.project_version(ROOT)}-{label}.zip"
    if not archive.is_file():
        try:
            full_zips.make_full(ROOT, wheels.PLATFORMS["linux-x64"], which_blenders())
        except build.BuildError as error:
            pytest.skip(f"the package cannot be made here: {error}")
    found = drive(bare_blender(tmp_path), DRIVER, tmp_path / "home", archive, mode)
    assert found["enabled"], found["said"]
    assert (found["mode"], found["missing"], found["generated"]) == (mode, "", ["FINISHED"]), found["said"]
    assert str(tmp_path / "home") in found["torch"], "torch is not the bundled one"
    assert found["keys"] > 60 and found["checked"] == ["FINISHED"], "\n".join(found["findings"])
