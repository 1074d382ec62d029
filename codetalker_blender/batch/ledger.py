"""What is finished: a record beside the outputs of each row, by content and not by time.

``NAME.batch.json`` holds the row's fingerprint and size and hash of each output.  It goes before
the outputs are replaced and comes back after them, so at any moment of a crash a row is either
finished, or counts as not begun.
"""

from __future__ import annotations

import enum
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ..disk import explained
from ..errors import OutputError
from ..model_files import FileRecord, file_record
from ..staging import Staging
from .tasks import Task


class State(enum.Enum):
    """TO_DO: run it; FINISHED: its outputs are there, from the same inputs and settings."""

    TO_DO = "to do"
    FINISHED = "finished"


def state_of(task: Task) -> State:
    """Raises OutputError when somebody has changed an output since, which a new run would overwrite."""
    record = _read(Path(task.record))
    if record is None:
        return State.TO_DO
    folder, missing = Path(task.record).parent, False
    for name, expected in record["outputs"].items():
        path = folder / name
        if not path.is_file():
            missing = True
        elif asdict(file_record(path)) != expected:
            raise OutputError(
                f"'{path}' was changed after it was made.",
                "Save the changed file under another name, or delete it to have it made again.",
            )
    same = record["fingerprint"] == task.fingerprint and not missing
    return State.FINISHED if same else State.TO_DO


def forget(task: Task) -> None:
    """The row is not finished any more.  Raises OutputError."""
    path = Path(task.record)
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.unlink(missing_ok=True)


def remember(task: Task, outputs: Iterable[str], report: Mapping[str, object]) -> None:
    """The row is finished.  Raises OutputError."""
    path = Path(task.record)
    with explained(path):
        files = {
            _relative(Path(output), path.parent): asdict(file_record(Path(output))) for output in outputs
        }
    values = {"fingerprint": task.fingerprint, "outputs": files, "report": dict(report)}
    with Staging() as staging, explained(path):
        staging.file(path).write_text(json.dumps(values, indent=1), encoding="utf-8")
        staging.publish()


def outputs_of(task: Task) -> list[str]:
    """The files of a finished row."""
    record = _read(Path(task.record))
    folder = Path(task.record).parent
    return [str(folder / name) for name in record["outputs"]] if record else []


def _read(path: Path) -> dict[str, Any] | None:
    """None for no record, and for one that is damaged: the row is run again."""
    try:
        values: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        for expected in values["outputs"].values():
            FileRecord(**expected)
        str(values["fingerprint"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return values


def _relative(path: Path, folder: Path) -> str:
    """From the record to an output; outputs may lie in other folders of the batch, so with `..` parts."""
    return Path(os.path.relpath(path, folder)).as_posix()
