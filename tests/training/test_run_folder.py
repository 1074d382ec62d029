"""A run's folder says what was run and how it went, once, and is never mistaken for another run's."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from torch import Tensor, nn

from codetalker_blender.errors import UserError
from training.config import Schedule
from training.loop import optimise
from training.run_folder import RunFolder
from training.run_record import first_difference, git_state

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Config:
    hidden: int
    regions: dict[str, float]
    folder: Path = Path("data")


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=A", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false")
    done = subprocess.run(
        ("git", "-C", str(folder), *identity, *arguments), capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def train(folder: Path, steps: int = 6, stop_at: int = -1, resume: bool = False, quiet: bool = True) -> None:
    """A run of one stage with a report every second step and a checkpoint every third."""
    torch.manual_seed(0)
    layer = nn.Linear(2, 1)
    run = RunFolder(folder, quiet, resume=resume, checkpoint_every=3)

    def losses(step: int) -> dict[str, Tensor]:
        if step == stop_at:
            raise KeyboardInterrupt
        loss = (layer(torch.ones(1, 2)) - step).square().mean()
        return {"total": loss, "perplexity": torch.tensor(float(step))}

    def after_step(step: int) -> None:
        run.picture("fit/preview", np.full((4, 5, 3), step, np.uint8), step + 1)

    schedule = Schedule(steps=steps, batch=1, window_s=1.0, rate=0.01)
    optimise("fit", (layer,), losses, schedule, run, after_step, report_every=2)


def events(folder: Path, stage: str) -> EventAccumulator:
    reader = EventAccumulator(str(folder / "tensorboard" / stage), size_guidance={"images": 0, "scalars": 0})
    reader.Reload()
    return reader


def test_the_record_holds_config_seed_command_and_versions(tmp_path: Path) -> None:
    RunFolder(tmp_path / "run", config=Config(8, {"lips": 2.0}), seed=5)
    record = json.loads((tmp_path / "run" / "run.json").read_text())
    assert record["config"] == {"hidden": 8, "regions": {"lips": 2.0}, "folder": "data"}
    assert record["seed"] == 5
    start = record["starts"][0]
    assert start["command"] == sys.argv
    assert start["versions"]["torch"] == torch.__version__
    assert start["versions"]["numpy"] == np.__version__
    assert (start["device"], start["processes"], start["mixed_precision"]) == ("cpu", 1, "no")
    if (ROOT / ".git").exists():
        assert start["git"]["commit"] == git(ROOT, "rev-parse", "HEAD")


def test_git_state_tells_changed_from_clean_and_lacking(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "code"
    folder.mkdir()
    assert git_state(folder) is None
    git(folder, "init", "-q")
    assert git_state(folder) is None, "there is no commit yet"
    (folder / "a.py").write_text("a")
    git(folder, "add", "a.py")
    git(folder, "commit", "-q", "-m", "a")
    commit = git(folder, "rev-parse", "HEAD")
    assert git_state(folder) == {"commit": commit, "changed": False}
    (folder / "a.py").write_text("b")
    assert git_state(folder) == {"commit": commit, "changed": True}
    monkeypatch.setenv("PATH", "")
    assert git_state(folder) is None


def test_a_used_folder_is_not_overwritten(tmp_path: Path) -> None:
    train(tmp_path / "run")
    before = (tmp_path / "run" / "log.jsonl").read_text()
    with pytest.raises(UserError, match=r"holds a run already. Choose another folder, or resume"):
        RunFolder(tmp_path / "run")
    assert (tmp_path / "run" / "log.jsonl").read_text() == before


def test_a_run_is_resumed_only_with_its_own_settings(tmp_path: Path) -> None:
    RunFolder(tmp_path, config=Config(8, {"lips": 2.0}), seed=5)
    RunFolder(tmp_path, config=Config(8, {"lips": 2.0}), seed=5, resume=True)
    assert len(json.loads((tmp_path / "run.json").read_text())["starts"]) == 2
    with pytest.raises(UserError, match=r"other settings: config\.regions\.lips is 2\.0 there, 3\.0 here"):
        RunFolder(tmp_path, config=Config(8, {"lips": 3.0}), seed=5, resume=True)
    with pytest.raises(UserError, match="other settings: seed is 5 there, 6 here"):
        RunFolder(tmp_path, config=Config(8, {"lips": 2.0}), seed=6, resume=True)


@pytest.mark.parametrize("text", ["", "[]", '{"config": null}', '{"config": null, "seed": 1, "starts": 2}'])
def test_a_foreign_record_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(UserError, match="is no run's record"):
        RunFolder(tmp_path, seed=1, resume=True)


def test_differences_are_named_where_they_are() -> None:
    old = {"a": {"b": [1, 2]}, "c": 1}
    assert first_difference(old, {"a": {"b": [1, 2]}, "c": 1}) == ""
    assert first_difference(old, {"a": {"b": [1, 3]}, "c": 1}) == "a.b is [1, 2] there, [1, 3] here"
    assert first_difference(old, {"a": {"b": [1, 2]}}) == "c is 1 there, 'nothing' here"
    assert first_difference(old, old | {"d": None}) == "d is 'nothing' there, None here"


def test_resuming_an_empty_folder_starts_a_run(tmp_path: Path) -> None:
    train(tmp_path / "new", resume=True)
    assert len((tmp_path / "new" / "log.jsonl").read_text().splitlines()) == 3


def test_reports_are_means_over_their_steps_in_log_and_tensorboard(tmp_path: Path) -> None:
    train(tmp_path, steps=5)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 5]
    assert [line["perplexity"] for line in lines] == [0.5, 2.5, 4]
    reader = events(tmp_path, "fit")
    scalars = [(event.step, event.value) for event in reader.Scalars("perplexity")]
    assert scalars == [(2, 0.5), (4, 2.5), (5, 4)]
    assert set(reader.Tags()["scalars"]) == {"total", "perplexity", "rate", "gradient_norm"}


def test_a_resumed_run_reports_every_step_once(tmp_path: Path) -> None:
    """Stopped after the report of step 4, resumed from the checkpoint of step 3."""
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    train(whole, steps=8)
    with pytest.raises(KeyboardInterrupt):
        train(stopped, steps=8, stop_at=5)
    with (stopped / "log.jsonl").open("a") as stream:
        stream.write('{"stage": "fit", "st')  # as a kill leaves it
    train(stopped, steps=8, resume=True)
    clock = ("seconds", "left_s")
    logs = [
        [
            {name: value for name, value in json.loads(line).items() if name not in clock}
            for line in (folder / "log.jsonl").read_text().splitlines()
        ]
        for folder in (whole, stopped)
    ]
    assert logs[0] == logs[1]
    scalars, pictures = (events(stopped, "fit").Scalars("total"), events(stopped, "fit").Images("preview"))
    assert [event.step for event in scalars] == [2, 4, 6, 8]
    assert [event.step for event in pictures] == list(range(1, 9))


def test_pictures_are_checked(tmp_path: Path) -> None:
    run = RunFolder(tmp_path, quiet=True)
    odds: list[Any] = [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros((3, 4, 4), np.uint8)]
    for odd in odds:
        with pytest.raises(ValueError, match="is not"):
            run.picture("fit/preview", odd, 1)


def test_a_terminal_shows_a_bar_with_the_time_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outer, inner = pty.openpty()
    fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))  # rows, columns
    with os.fdopen(inner, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        train(tmp_path, steps=4, quiet=False)
        monkeypatch.undo()
        shown = os.read(outer, 100_000).decode()
    os.close(outer)
    assert "fit:" in shown
    assert "0/4 [00:00<?" in shown  # steps, time taken, time left
    assert "stage fit  step 4.0  of 4.0" in shown


def test_a_file_gets_plain_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    train(tmp_path / "loud", steps=4, quiet=False)
    shown = capsys.readouterr().err
    assert [line.split("  ")[1] for line in shown.splitlines()] == ["step 2.0", "step 4.0"]
    assert "left_s 0.0" in shown
    train(tmp_path / "quiet", steps=4)
    assert capsys.readouterr().err == ""
