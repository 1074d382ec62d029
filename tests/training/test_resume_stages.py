"""The real stages, killed at any time, end as if nothing had happened; two processes end as one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from training.checkpoints import CheckpointFolder

from .test_resume import LIMIT_S, ROOT, log_of

PROGRAM = "tests.training.real_run"
LAUNCH_TWO = (
    "-m accelerate.commands.launch --multi_gpu --num_processes 2 --num_machines 1 --mixed_precision no "
    "--dynamo_backend no --main_process_port 0"
)


def start(folder: Path, *arguments: str, two: bool = False) -> int:
    launcher = LAUNCH_TWO.split() if two else []
    command = [sys.executable, *launcher, "-m", PROGRAM, str(folder), *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True,
        timeout=LIMIT_S,
    )  # fmt: skip
    assert done.returncode <= 0 or two, done.stderr[-2000:]
    return done.returncode


def assert_same_end(folder: Path, whole: Path, process: int = 0) -> None:
    """Weights and log are those of the run ``whole``, which nothing disturbed."""
    name = f"final-{process}.safetensors"
    wanted, got = load_file(whole / name), load_file(folder / name)
    different = [key for key in wanted if not torch.equal(wanted[key], got[key])]
    assert not different
    assert log_of(folder) == log_of(whole)


@pytest.mark.parametrize("kind", ["--raw", ""])
def test_every_stage_resumes_to_the_very_same_weights(kind: str, tmp_path: Path) -> None:
    """Killed in the codebook's quantised part, in the speech stage and in the query stage."""
    kinds = [kind] if kind else []
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert start(whole, *kinds) == 0
    # 24 codebook, 10 speech and 12 query steps, a checkpoint every fifth
    assert start(folder, *kinds, "--kill-at", "18") == -signal.SIGKILL
    assert start(folder, *kinds, "--resume", "--kill-at", "17") == -signal.SIGKILL
    assert CheckpointFolder(folder / "checkpoints" / "speech").paths()
    assert start(folder, *kinds, "--resume", "--kill-at", "13") == -signal.SIGKILL
    assert CheckpointFolder(folder / "checkpoints" / "query").paths()
    assert start(folder, *kinds, "--resume") == 0
    assert_same_end(folder, whole)


@pytest.mark.slow
def test_two_processes_stay_equal_and_resume_together(tmp_path: Path) -> None:
    whole, folder = tmp_path / "whole", tmp_path / "run"
    assert start(whole, two=True) == 0
    first, second = (load_file(whole / f"final-{index}.safetensors") for index in (0, 1))
    assert all(torch.equal(first[key], second[key]) for key in first)
    assert start(folder, "--kill-at", "40", two=True) != 0
    assert not (folder / "final-0.safetensors").exists()
    assert start(folder, "--resume", two=True) == 0
    assert_same_end(folder, whole, process=0)
    assert_same_end(folder, whole, process=1)
