"""A Python is judged by running it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from codetalker_blender.installation.pins import Pin
from codetalker_blender.installation.probe import probe

posix = pytest.mark.skipif(sys.platform == "win32", reason="a shell script stands in for a Python")


def test_what_is_there_is_told() -> None:
    found = probe(Path(sys.executable), [Pin("pytest", ">=1"), Pin("json", ">=1")])
    assert not found.problem
    assert found.found["pytest"] == pytest.__version__
    assert str(found).startswith("Python 3.") and f"pytest {pytest.__version__}" in str(found)


def test_what_is_missing_is_named_with_the_cure() -> None:
    found = probe(
        Path(sys.executable), [Pin("no_such_a", "==1.0"), Pin("pytest", ""), Pin("no_such_b", ">2")]
    )
    assert "lacks no_such_a and no_such_b" in found.problem
    assert f'\'{sys.executable}\' -m pip install "no_such_a==1.0" "no_such_b>2"' in found.cure
    one = probe(Path(sys.executable), [Pin("no_such_a", "==1.0")])
    assert one.problem.endswith("lacks no_such_a.")


def test_the_environment_of_the_worker_counts(tmp_path: Path) -> None:
    (tmp_path / "no_such_a.py").write_text("")
    variables = {**os.environ, "PYTHONPATH": str(tmp_path)}
    assert not probe(Path(sys.executable), [Pin("no_such_a", "")], variables).problem


@posix
@pytest.mark.parametrize(
    ("script", "problem"),
    [
        ('echo \'{"python": [3, 9, 2], "found": {"pytest": "1"}}\'', "is 3.9.2, and the model needs 3.11"),
        ("echo hello", "did not answer as a Python does"),
        ("echo 'no such option' >&2; exit 1", "did not answer as a Python does (no such option)"),
    ],
)
def test_what_is_no_python_for_the_model(tmp_path: Path, script: str, problem: str) -> None:
    program = tmp_path / "python"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    found = probe(program, [Pin("pytest", "")])
    assert problem in found.problem and found.cure and "\n" not in found.problem


def test_a_path_that_leads_nowhere(tmp_path: Path) -> None:
    assert "cannot be started" in probe(tmp_path / "absent", []).problem
