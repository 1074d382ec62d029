"""Packages with wheels inside: their manifest, and what pip is told for other machines."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import build
import full_zips
import wheels
from codetalker_blender.errors import UserError
from codetalker_blender.installation.pins import engine_pins
from codetalker_blender.installation.source import PackageSource
from tests.installation.made_wheels import make_engine_wheels, make_wheel

ROOT = Path(build.__file__).resolve().parent
MANIFEST = (ROOT / build.MANIFEST).read_text(encoding="utf-8")
SETTINGS = build.read_toml(ROOT / "pyproject.toml")


def test_each_python_has_its_blenders() -> None:
    found = full_zips.blenders(SETTINGS)
    assert {python: (one.first, one.end) for python, one in found.items()} == {
        "3.11": ("4.2.0", "5.1.0"), "3.13": ("5.1.0", ""),
    }  # fmt: skip


def test_a_full_manifest_is_the_slim_one_and_wheels() -> None:
    slim = tomllib.loads(MANIFEST)
    which = full_zips.blenders(SETTINGS)
    full = tomllib.loads(
        full_zips.full_manifest(MANIFEST, "linux-x64", ["a-1-py3-none-any.whl"], which["3.11"])
    )
    assert full.pop("wheels") == ["./wheels/a-1-py3-none-any.whl"] and full.pop("platforms") == ["linux-x64"]
    assert full.pop("blender_version_max") == "5.1.0"
    assert full == slim
    newer = tomllib.loads(full_zips.full_manifest(MANIFEST, "windows-x64", [], which["3.13"]))
    assert newer["blender_version_min"] == "5.1.0" and "blender_version_max" not in newer


def test_wheels_are_chosen_for_the_other_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is needed there is fetched, what is needed here is not, and what Blender has stays out."""
    index = tmp_path / "index"
    needs = [
        'made-win; sys_platform == "win32"',
        f'made-here; sys_platform == "{sys.platform}"',
        "made-deep<2",
        "numpy",
        "made-part[more]",
    ]
    make_wheel(index, "made_engine", "1.0", needs, tag="cp313-cp313-win_amd64")
    make_wheel(index, "made_engine", "1.0", needs, tag="cp311-cp311-win_amd64")
    make_wheel(index, "made_win", "1.0", ["made-deep"])
    make_wheel(index, "made_deep", "1.0")
    make_wheel(index, "made_deep", "2.0")  # too new for one of those that need it
    make_wheel(index, "made_part", "1.0", ['made-extra; extra == "more"', 'made-mac; extra == "less"'])
    make_wheel(index, "made_extra", "1.0")
    make_wheel(index, "numpy", "2.3.0", tag="cp313-cp313-win_amd64")
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(index))
    windows = wheels.PLATFORMS["windows-x64"]
    asked, usual = ["made-engine==1.0"], PackageSource()
    fetched = wheels.fetch(windows, "3.13", asked, tmp_path / "fetched", usual)
    names = {wheel.path.name.partition("-")[0]: wheel.path for wheel in fetched}
    assert set(names) == {"made_engine", "made_win", "made_deep", "made_part", "made_extra"}
    assert names["made_engine"].name == "made_engine-1.0-cp313-cp313-win_amd64.whl"
    record = tmp_path / "record.txt"
    full_zips.write_record(record, tmp_path / "made.zip", fetched)
    again = tmp_path / "again"
    command = [
        sys.executable,
        "-m",
        "pip",
        "download",
        "-q",
        "--no-deps",
        "--require-hashes",
        "-d",
        str(again),
    ]
    machine = ["--only-binary=:all:", "--python-version", "3.13", "--platform", "win_amd64"]
    subprocess.run([*command, *machine, "-r", str(record)], check=True)
    assert {path.name for path in again.iterdir()} == {path.name for path in names.values()}

    with pytest.raises(build.BuildError, match=r"no made-engine==1\.0 for this machine"):
        wheels.fetch(wheels.PLATFORMS["linux-x64"], "3.13", asked, tmp_path / "none", usual)
    monkeypatch.setattr(wheels, "LARGEST_BYTES", 100)
    with pytest.raises(build.BuildError, match=r"no build for processors; name an index .* with --index"):
        wheels.fetch(windows, "3.13", asked, tmp_path / "large", usual)


def linked_checkout(folder: Path) -> Path:
    """A checkout whose build folder is its own."""
    folder.mkdir()
    for name in (build.PACKAGE, build.MANIFEST, "pyproject.toml", "LICENSE", "assets"):
        (folder / name).symlink_to(ROOT / name)
    return folder


def test_a_folder_of_wheels_takes_the_place_of_every_index(tmp_path: Path) -> None:
    """Where no index has torch for processors: `package --full --index FOLDER`."""
    pytest.importorskip("bpy", reason="its extension tool builds the package")
    folder = make_engine_wheels(tmp_path / "wheels")
    make_wheel(folder, "numpy", "2.3.0")
    root, linux = linked_checkout(tmp_path / "checkout"), wheels.PLATFORMS["linux-x64"]
    which = full_zips.blenders(SETTINGS)["3.13"]
    archive = full_zips.make_full(root, linux, which, str(folder))
    assert archive.parent == root / "build" and "linux-x64-py313" in archive.name
    with zipfile.ZipFile(archive) as file:
        names = {Path(name).name.partition("-")[0] for name in file.namelist() if name.endswith(".whl")}
    assert names == {*(pin.name for pin in engine_pins()), "made_need"} - {"numpy"}
    next(folder.glob("torch-*")).unlink()
    with pytest.raises(build.BuildError, match=r"no torch==[\d.]+ for this machine"):
        full_zips.make_full(root, linux, which, str(folder))
    with pytest.raises(UserError, match="neither an https address nor a folder of wheels"):
        full_zips.make_full(root, linux, which, str(tmp_path / "absent"))


def test_every_marker_of_the_platforms_can_be_asked() -> None:
    """A requirement that asks for something unforeseen would stop the build of a package."""
    for platform in wheels.PLATFORMS.values():
        environment = wheels._environment(platform, "3.13")
        for name in environment:
            marker = Requirement(f'x; {name} == "made"').marker
            assert marker is not None and marker.evaluate({**environment, "extra": ""}) is False


def test_the_tracked_manifest_stays_and_blenders_tool_accepts_the_other(tmp_path: Path) -> None:
    pytest.importorskip("bpy", reason="its extension tool builds the package")
    which = full_zips.blenders(SETTINGS)["3.11"]
    wheel = make_wheel(tmp_path, "made", "1.0")
    staged = full_zips.stage_full(ROOT, tmp_path / build.PACKAGE, "linux-x64", [wheel], which)
    archive = tmp_path / "made.zip"
    build.build_zip(Path(sys.executable), staged, archive)
    with zipfile.ZipFile(archive) as file:
        inside = tomllib.loads(file.read(build.MANIFEST).decode())
        assert "wheels/made-1.0-py3-none-any.whl" in file.namelist()
    assert inside["platforms"] == ["linux-x64"]
    assert (ROOT / build.MANIFEST).read_text(encoding="utf-8") == MANIFEST
    assert not re.search(r"(?m)^(wheels|platforms) = ", MANIFEST)
