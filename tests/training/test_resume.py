"""Runs as programs of their own: killed and resumed, and in two processes at once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from codetalker_blender.errors import UserError
from training.checkpoints import CheckpointFolder
from training.loop import optimise
from training.run_folder import RunFolder

from .small_run import schedule

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = "tests.training.small_run"
#: One process of the program takes some seconds, nearly all of them imports.
LIMIT_S = 180


def start(folder: Path, losses: Path, *arguments: str) -> int:
    """Run the program to its end, or to its death; returns its exit code."""
    command = [sys.executable, "-m", PROGRAM, str(folder), "--losses", str(losses), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode <= 0, done.stderr[-2000:]
    return done.returncode


def start_two(folder: Path, losses: Path, *arguments: str) -> int:
    """The same in two processes.  `--multi_gpu` names Accelerate's launcher of several processes on one
    machine; on CPUs too, where `--cpu` alone starts a single one."""
    launcher = "--multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no --dynamo_backend no"
    command = [
        sys.executable,
        "-m",
        "accelerate.commands.launch",
        *launcher.split(),
        "--main_process_port",
        "0",
    ]
    command += ["-m", PROGRAM, str(folder), "--losses", str(losses), *arguments]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=LIMIT_S)
    return done.returncode


def curve(losses: Path) -> dict[str, str]:
    """{"teach 12": loss in hexadecimal}; a step that was done twice must have lost the same both times."""
    found: dict[str, str] = {}
    for line in losses.read_text(encoding="utf-8").splitlines():
        place, _, loss = line.rpartition(" ")
        assert found.setdefault(place, loss) == loss, f"{place} differs after a resume"
    return found


def log_of(folder: Path) -> list[dict[str, Any]]:
    """The log's lines without the clock."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    return [{name: line[name] for name in line if name not in ("seconds", "left_s")} for line in lines]


def assert_same_end(folder: Path, losses: Path, whole: Path, process: int = 0) -> None:
    """The loss curve, the final weights and the log are those of the run ``whole`` that nothing disturbed."""
    assert curve(losses) == curve(whole.with_suffix(".txt"))
    name = f"final-{process}.safetensors"
    wanted, got = load_file(whole / name), load_file(folder / name)
    assert all(torch.equal(wanted[key], got[key]) for key in wanted)
    assert log_of(folder) == log_of(whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that nothing disturbed; its losses lie beside it as .txt."""
    folder = tmp_path_factory.mktemp("whole") / "run"
    assert start(folder, folder.with_suffix(".txt")) == 0
    assert len(curve(folder.with_suffix(".txt"))) == 80
    return folder


def test_a_run_killed_again_and_again_ends_as_if_undisturbed(whole: Path, tmp_path: Path) -> None:
    """Killed before the first checkpoint, between two, soon after the next stage began, and late in it."""
    folder, losses = tmp_path / "run", tmp_path / "losses.txt"
    assert start(folder, losses, "--kill-at", "3") == -signal.SIGKILL
    assert start(folder, losses, "--resume", "--kill-at", "24") == -signal.SIGKILL
    assert [path.name for path in CheckpointFolder(folder / "checkpoints" / "teach").paths()] == [
        "step-00000014.safetensors",
        "step-00000021.safetensors",
    ]
    assert start(folder, losses, "--resume", "--kill-at", "22") == -signal.SIGKILL
    assert start(folder, losses, "--resume", "--kill-at", "31") == -signal.SIGKILL
    assert start(folder, losses, "--resume") == 0
    assert_same_end(folder, losses, whole)
    assert len(losses.read_text().splitlines()) > 80, "no step was repeated: nothing was tested"


def test_a_kill_in_the_middle_of_writing_a_checkpoint_loses_nothing(whole: Path, tmp_path: Path) -> None:
    folder, losses = tmp_path / "run", tmp_path / "losses.txt"
    assert start(folder, losses, "--tear-at", "24") == -signal.SIGXFSZ
    checkpoints = CheckpointFolder(folder / "checkpoints" / "teach")
    torn = list((checkpoints.folder / ".draft").iterdir())
    assert len(torn) == 1, "nothing was being written"
    assert torn[0].stat().st_size <= 4000 < checkpoints.paths()[-1].stat().st_size
    assert start(folder, losses, "--resume") == 0
    assert_same_end(folder, losses, whole)
    assert [path.name for path in checkpoints.folder.iterdir()] == ["step-00000040.safetensors"]


def test_two_processes_with_half_a_batch_each_learn_what_one_learns(tmp_path: Path) -> None:
    """Four points per step, all in one process or two in each: only rounding may differ."""
    one, two = tmp_path / "one", tmp_path / "two"
    arguments = ("--dropout", "0", "--steps", "20")
    assert start(one, tmp_path / "one.txt", "--batch", "4", *arguments) == 0
    assert start_two(two, tmp_path / "two.txt", "--batch", "2", *arguments) == 0
    wanted = load_file(one / "final-0.safetensors")
    first, second = (load_file(two / f"final-{index}.safetensors") for index in range(2))
    assert all(torch.equal(first[key], second[key]) for key in first)
    for key in (key for key in wanted if key.startswith("teacher.")):
        torch.testing.assert_close(first[key], wanted[key], rtol=1e-5, atol=1e-6)
    for name in ("total", "gradient_norm"):
        pairs = [
            (a[name], b[name]) for a, b in zip(log_of(one), log_of(two), strict=True) if a["stage"] == "teach"
        ]
        assert len(pairs) == 2
        assert all(a == pytest.approx(b, rel=1e-4) for a, b in pairs)
    assert json.loads((two / "run.json").read_text())["starts"][0]["processes"] == 2
    refuses_another_number_of_processes(two)


def refuses_another_number_of_processes(folder: Path) -> None:
    run = RunFolder(folder, quiet=True, config={"batch": 2}, seed=0, resume=True)
    network = torch.nn.Linear(1, 1)

    def never(step: int) -> dict[str, Tensor]:
        raise AssertionError("a step was done")

    with pytest.raises(UserError, match=r"made by 2 process\(es\), this run has 1"):
        optimise("teach", (network,), never, schedule(20, 2), run)


@pytest.mark.slow
def test_two_processes_resume_together(tmp_path: Path) -> None:
    """With dropout and noise that differ between the two."""
    whole, folder, losses = tmp_path / "whole", tmp_path / "run", tmp_path / "losses.txt"
    assert start_two(whole, tmp_path / "whole.txt") == 0
    assert start_two(folder, losses, "--kill-at", "52") != 0
    assert not (folder / "final-0.safetensors").exists()
    assert start_two(folder, losses, "--resume") == 0
    assert_same_end(folder, losses, whole, process=0)
    assert_same_end(folder, losses, whole, process=1)
