"""The managed engine with the real, pinned libraries, in a Blender that has none: set up, used, removed."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

if bpy.app.binary_path:
    pytest.skip("needs a Python that can import bpy", allow_module_level=True)

import build
from codetalker_blender.installation.pins import engine_pins
from tests.blender.bare import bare_blender, drive

ROOT = Path(build.__file__).resolve().parent
DRIVER = Path(__file__).with_name("drive_managed_engine.py")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="the bare Blender is made of links")
def test_a_real_engine_is_set_up_speaks_and_goes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], record_property: Callable[[str, object], None]
) -> None:
    """Fetches some 200 MB, from the network or from the folder of wheels that CODETALKER_WHEELS names."""
    archive = tmp_path / "slim.zip"
    build.build_zip(Path(sys.executable), build.stage(ROOT, tmp_path / build.PACKAGE), archive)
    index = os.environ.get("CODETALKER_WHEELS", "")
    found = drive(bare_blender(tmp_path), DRIVER, tmp_path / "home", archive, index)
    said = found["said"]
    assert "There is no engine yet" in found["before"]

    cancelled = found["cancelled"]
    # a folder of wheels is copied so fast that it may be a stage further
    assert cancelled["stage"] in ("download", "install") and cancelled["ended"] == "cancelled", said
    assert cancelled["left"] == ["engine-setup.log"], "a cancelled set-up left something"

    assert found["left_over"] == ["ready.json", "venv"], said
    assert (found["missing"], found["generated"], found["checked"]) == ("", ["FINISHED"], ["FINISHED"]), said
    assert found["keys"] > 60 and str(tmp_path / "home") in found["python"]
    (engine,) = (line for line in found["findings"] if "Engine:" in line)
    for pin in engine_pins():
        assert f"{pin.name} {pin.wanted.removeprefix('==') if '==' in pin.wanted else ''}" in engine
    assert found["after"] == ["engine-setup.log"] and "not set up yet" in found["missing_again"]
    figures = (
        f"{cancelled['packages']} packages, {cancelled['download'] / 1e6:.0f} MB to fetch, "
        f"{found['unpacked'] / 1e6:.0f} MB unpacked, set up in {found['set_up_s']:.0f} s"
    )
    record_property("figures", figures)
    with capsys.disabled():
        print(f"\n{figures}\n" + "\n".join(found["findings"]))
