"""The set-up of an engine with real pip, from a folder of made wheels: its end, its stops, its failures."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from codetalker_blender.errors import EngineError
from codetalker_blender.installation import installer as installers
from codetalker_blender.installation.environment import ManagedEnvironment
from codetalker_blender.installation.installer import Installer
from codetalker_blender.installation.pins import Pin
from codetalker_blender.installation.source import CPU_INDEX, PackageSource, package_source
from tests.installation.made_wheels import make_wheel

WAIT_S = 120.0  # far more than a set-up needs
BASE = Path(sys.executable)
posix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for a Python")


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManagedEnvironment]:
    """In a folder of its own; nothing may be written beside it but the log, and no process may stay."""
    home, scratch = tmp_path / "home", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    for name in ("HOME", "USERPROFILE", "APPDATA", "LOCALAPPDATA"):
        monkeypatch.setenv(name, str(home))
    monkeypatch.setenv("TMPDIR", str(scratch))
    monkeypatch.setenv("PATH", os.defpath)  # pip asks a rustc for its version, and rustup writes at home
    yield ManagedEnvironment(tmp_path / "user folder" / "engine")
    assert not list(home.iterdir()) and not list(scratch.iterdir())
    assert {path.name for path in (tmp_path / "user folder").glob("*")} <= {"engine", "engine-setup.log"}
    assert not processes_in(tmp_path)


def processes_in(folder: Path) -> list[str]:
    """Command lines of the processes that have to do with the folder."""
    listed = subprocess.run(["ps", "-eo", "args="], capture_output=True, text=True, check=False).stdout
    return [line for line in listed.splitlines() if str(folder) in line and "pytest" not in line]


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    make_wheel(tmp_path / "wheels", "made_engine", "2.0", ["made-need>=1"])
    make_wheel(tmp_path / "wheels", "made_engine", "3.0")
    make_wheel(tmp_path / "wheels", "made_need", "1.5")
    return tmp_path / "wheels"


PINS = (Pin("made_engine", "==2.0"),)


def begun(
    environment: ManagedEnvironment, wheels: Path, pins: tuple[Pin, ...] = PINS, base: Path = BASE
) -> Installer:
    installer = Installer(environment, base, pins, package_source("cpu", str(wheels)))
    installer.start()
    return installer


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + WAIT_S
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_an_engine_is_set_up_kept_and_removed(environment: ManagedEnvironment, wheels: Path) -> None:
    assert "not set up yet" in environment.obstacle(PINS)
    installer = begun(environment, wheels)
    installer.wait()
    assert installer.stage == "agree" and installer.plan is not None, installer.error
    listed = {package.name.replace("-", "_"): package for package in installer.plan.packages}
    assert {name: package.version for name, package in listed.items()} == {
        "made_engine": "2.0", "made_need": "1.5",
    }  # fmt: skip
    assert listed["made_need"].size == (wheels / "made_need-1.5-py3-none-any.whl").stat().st_size
    assert installer.plan.hosts == ("this computer",)
    assert not list((environment.folder / "wheels").iterdir()), "nothing is fetched before it is agreed to"
    assert "did not come to its end" in environment.obstacle(PINS)
    installer.agree()
    installer.wait()
    assert (installer.stage, installer.error) == ("ready", None)
    assert environment.obstacle(PINS) == ""
    assert sorted(path.name for path in environment.folder.iterdir()) == ["ready.json", "venv"]
    code = "import made_engine, made_need; print(made_engine.__version__)"
    done = subprocess.run([environment.python, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "2.0"

    assert "another version of the extension" in environment.obstacle((Pin("made_engine", "==3.0"),))
    environment.python.unlink()
    assert "is gone" in environment.obstacle(PINS)
    environment.remove()
    assert not environment.exists and environment.packages() == {}
    environment.remove()


def test_declining_leaves_nothing(environment: ManagedEnvironment, wheels: Path) -> None:
    installer = begun(environment, wheels)
    installer.wait()
    assert installer.stage == "agree"
    installer.cancel()
    until(lambda: not installer.running)
    assert (installer.stage, installer.error) == ("cancelled", None)
    assert not environment.exists


def test_closing_at_once_leaves_nothing(environment: ManagedEnvironment, wheels: Path) -> None:
    installer = begun(environment, wheels)
    until(environment.folder.exists)
    installer.close()
    assert installer.stage == "cancelled" and not environment.exists
    never_begun = Installer(environment, BASE, PINS, PackageSource())
    never_begun.close()


def test_the_large_torch_is_no_surprise(
    environment: ManagedEnvironment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where only the usual index answers, torch for Linux is the one with CUDA."""
    make_wheel(tmp_path / "wheels", "made_engine", "2.0", ["nvidia-made"])
    make_wheel(tmp_path / "wheels", "nvidia_made", "1.0")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "wheels"))
    for source, doubtful in ((PackageSource(CPU_INDEX), True), (PackageSource(), False)):
        installer = Installer(environment, BASE, PINS, source)
        assert not installer.doubt
        installer.start()
        installer.wait()
        assert installer.stage == "agree", installer.error
        assert (CPU_INDEX in installer.doubt) == doubtful
        installer.close()


def test_an_index_that_hangs_can_be_cancelled(
    environment: ManagedEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def swallow() -> None:
            with server.accept()[0]:
                asked.set()
                until(lambda: not asked.is_set())

        silent = threading.Thread(target=swallow)
        silent.start()
        for name in [name for name in os.environ if name.startswith("PIP_")]:
            monkeypatch.delenv(name)
        monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{server.getsockname()[1]}/simple")
        installer = Installer(environment, BASE, PINS, PackageSource())
        installer.start()
        assert asked.wait(WAIT_S)
        assert installer.stage == "list"
        started = time.monotonic()
        installer.close()
        assert time.monotonic() - started < 10
        asked.clear()
        silent.join()
    assert installer.stage == "cancelled" and not environment.exists


def failure(installer: Installer) -> str:
    """What it failed with, after agreeing to everything."""
    installer.agree()
    installer.wait()
    assert installer.stage == "failed" and installer.error is not None
    assert "\n" not in str(installer.error)
    assert not installer.environment.exists, "a half-made environment stayed"
    return str(installer.error)


def test_what_the_index_lacks_is_named(environment: ManagedEnvironment, wheels: Path) -> None:
    said = failure(begun(environment, wheels, (Pin("made_engine", "==9.9"),)))
    assert "has no made_engine==9.9 for this machine" in said and str(environment.log) in said
    assert "No matching distribution" in environment.log.read_text()


def test_another_file_than_agreed_to_is_refused(environment: ManagedEnvironment, wheels: Path) -> None:
    installer = begun(environment, wheels)
    installer.wait()
    assert installer.stage == "agree"
    make_wheel(wheels, "made_need", "1.5", code="import os  # not what was listed")
    assert "could not be fetched" in failure(installer)
    assert "do not match" in environment.log.read_text().lower()


def test_packages_that_cannot_be_imported_are_no_engine(
    environment: ManagedEnvironment, wheels: Path
) -> None:
    make_wheel(wheels, "made_broken", "1.0", code="raise OSError('c10.dll is missing')")
    said = failure(begun(environment, wheels, (Pin("made_broken", "==1.0"),)))
    assert "cannot be imported (OSError: c10.dll is missing)" in said


@posix
def test_a_python_without_venv_is_explained(
    environment: ManagedEnvironment, wheels: Path, tmp_path: Path
) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\necho \"ModuleNotFoundError: No module named 'ensurepip'\" >&2\nexit 1\n")
    program.chmod(0o755)
    said = failure(begun(environment, wheels, base=program))
    assert "cannot make environments" in said and "ensurepip" in said and "python3-venv" in said


def test_a_full_disk_is_said_before_anything_is_made(
    environment: ManagedEnvironment, wheels: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(installers, "LEAST_BYTES", 10**18)
    with pytest.raises(EngineError, match=r"needs 1000000000\.0 GB more in .*, and \d+\.\d GB are free"):
        begun(environment, wheels)
    assert not environment.exists
