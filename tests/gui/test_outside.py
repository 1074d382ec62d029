"""What tests.gui does outside Blender: its refusals, what it counts, how it talks to Blender."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gui import chroot, display, suite
from tests.gui.program import ROOT, Program, call
from tests.gui.report import Report


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.gui", *map(str, arguments)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def is_at_work(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"  # that one has ended, and nobody has asked how


def test_what_is_no_blender_is_refused_by_name(tmp_path: Path) -> None:
    for place in (tmp_path / "absent", tmp_path):
        done = run(place, tmp_path / "extension.zip")
        assert (done.returncode, done.stdout) == (2, "")
        assert str(place) in done.stderr and len(done.stderr.splitlines()) == 1


def test_missing_programs_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "Xvfb" in display.missing() and "imagemagick" in display.missing()
    assert chroot.missing()


def test_blender_gets_a_home_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("BLENDER_USER_RESOURCES", "/the/persons/own")
    monkeypatch.setenv("XDG_CONFIG_HOME", "/the/persons/own")
    environment = Program("blender", tmp_path, Path("python")).environment({})
    assert environment["HOME"] == str(tmp_path)
    assert "/the/persons/own" not in environment.values()


def test_a_program_that_hangs_is_ended_with_all_it_started(tmp_path: Path) -> None:
    script = tmp_path / "blender"
    script.write_text(f"#!/bin/sh\nsleep 60 & echo $! > {tmp_path}/pid\nwait\n")
    script.chmod(0o755)
    assert Program(str(script), tmp_path, Path("python")).run([], 0.5) == 124
    child = int((tmp_path / "pid").read_text())
    end = time.monotonic() + 10
    while is_at_work(child) and time.monotonic() < end:
        time.sleep(0.01)
    assert not is_at_work(child)


def test_values_reach_blender_as_they_are(tmp_path: Path) -> None:
    folder = tmp_path / 'it\'s a "folder" \\ grüße'
    statement = ast.parse(call("suite.run", folder, ["-k", "a 'b'"])).body[-1]
    assert isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call)
    given = [ast.literal_eval(argument) for argument in statement.value.args]
    assert given == [str(folder), ["-k", "a 'b'"]]


def test_pytest_can_be_carried_to_another_python(tmp_path: Path) -> None:
    suite.copy_pytest(tmp_path)
    code = f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import pytest; print(pytest.__file__)"
    done = subprocess.run([sys.executable, "-S", "-c", code], capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).parent == tmp_path / "pytest"


def test_results_are_added_up(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    junit = tmp_path / "suite.xml"
    junit.write_text('<testsuites><testsuite tests="9" failures="1" errors="1" skipped="2"/></testsuites>')
    report = Report("4.3.2")
    report.add_suite(junit, status=1)
    figures = [
        {"name": "quick", "value": 0.5, "unit": "s", "bar": 1.0},
        {"name": "slow", "value": 2.0, "unit": "s", "bar": 1.0},
    ]
    acts = [
        {"name": "one", "passed": True, "said": "", "seconds": 1.0},
        {"name": "two", "passed": False, "said": "it broke", "seconds": 1.0},
    ]
    report.add_session({"acts": acts, "figures": figures})
    assert (report.passed, report.failed) == (6, 3)
    assert "it broke" in capsys.readouterr().out
    quick, slow = report.table().splitlines()
    assert "over" in slow and "over" not in quick
    report.write(tmp_path / "report.json")
    assert json.loads((tmp_path / "report.json").read_text())["failed"] == 3


def test_a_suite_that_died_is_a_failure(tmp_path: Path) -> None:
    report = Report("4.3.2")
    report.add_suite(tmp_path / "absent.xml", status=139)
    assert (report.passed, report.failed) == (0, 1)
