"""Rows → tasks: the command that makes a clip, what it reads and writes, and a hash of all that decides it.

The hash is of content: the bytes of sound and .blend, the hashes in the model's card, and the
options.  Where and how fast a row is run (device, jobs, folder) is not part of it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from .. import resources
from ..errors import OutputError, UserError
from ..model_files import CONFIG_FILE, file_record, read_card
from .manifest import INPUTS, NAME, SEPARATOR, Row, is_inside

#: Changes when the same inputs and options shall count as something new.
_VERSION = 1
#: Options that do not change what is made.
_IRRELEVANT = ("device",)
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0")


@dataclass(frozen=True)
class Program:
    """The command `generate` of one of the two command lines, as a batch sees it.

    options: flags a row may set, without dashes; switches: those of them that take no value
    outputs: those that name files to write; default_output: (option, suffix) where a row names none
    check: raises UserError for arguments that make no sense, before anything is run
    worker: the command that starts a process which runs tasks (see worker.py); its first part may be
        empty, for the Python of whoever starts it
    models: folder of the user's own bundles
    """

    options: tuple[str, ...]
    switches: tuple[str, ...]
    outputs: tuple[str, ...]
    default_output: tuple[str, str]
    check: Callable[[Sequence[str]], object]
    worker: tuple[str, ...]
    models: Path | None = None


@dataclass(frozen=True)
class Task:
    """One row, ready to be run anywhere that sees the same folders.

    arguments: of `generate`; outputs: what it will write; record: file that says it is finished
    fingerprint: hash of inputs and settings; "" until known
    """

    number: int
    name: str
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    record: str
    inputs: tuple[str, ...]
    settings: Mapping[str, str]
    fingerprint: str = ""

    def as_json(self) -> str:
        """One line; the inverse of :meth:`from_json`."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, line: str | bytes) -> Task:
        """A task as :meth:`as_json` wrote it."""
        read: dict[str, Any] = json.loads(line)
        values: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in read.items()}
        return cls(**values)


def make_tasks(rows: Iterable[Row], program: Program, folder: Path) -> list[Task]:
    """Raises UserError for a row whose options make no sense, or when two rows would write the same file."""
    tasks = [_task(row, program, folder.absolute()) for row in rows]
    writers: dict[str, Task] = {}
    for task in tasks:
        if task.record.lower() in (output.lower() for output in task.outputs):
            raise OutputError(
                f"Row {task.number} would write '{task.record}', where its own record goes.",
                "Name it otherwise.",
            )
        for output in (*task.outputs, task.record):
            other = writers.setdefault(output.lower(), task)
            if other is not task:
                raise OutputError(
                    f"Rows {other.number} and {task.number} would both write '{output}'.",
                    f"Give them different names in a column '{NAME}'.",
                )
    return tasks


def _task(row: Row, program: Program, folder: Path) -> Task:
    options = dict(row.options)
    if not any(options.get(name) for name in program.outputs):
        option, suffix = program.default_output
        options[option] = f"{row.name}{suffix}"
    outputs = []
    for name in program.outputs:
        for part in _parts(options, name, row):
            if not is_inside(part):
                raise OutputError(
                    f"Row {row.number}: '{part}' is not inside the output folder.", "Use a relative path."
                )
            outputs.append(str(folder / part))
    arguments = _arguments(row, options, program, folder)
    try:
        program.check(arguments)
    except UserError as error:
        raise UserError(f"Row {row.number} ('{row.name}'): {error.message}", error.hint) from error
    settings = {
        name: value
        for name, value in options.items()
        if name not in (*INPUTS, "model", *_IRRELEVANT) and name in program.options
    }
    return Task(
        number=row.number,
        name=row.name,
        arguments=tuple(arguments),
        outputs=tuple(outputs),
        record=str(folder / f"{row.name}.batch.json"),
        inputs=tuple(options.get(name, "") for name in (*INPUTS, "model")),
        settings=dict(sorted(settings.items())),
    )


def _arguments(row: Row, options: Mapping[str, str], program: Program, folder: Path) -> list[str]:
    arguments = []
    for name in program.options:
        value = options.get(name, "")
        if not value:
            continue
        if name in program.switches:
            if value.lower() not in (*_TRUE, *_FALSE):
                raise UserError(f"Row {row.number}: '{name}' must be true or false, not '{value}'.")
            arguments += [f"--{name}"] if value.lower() in _TRUE else []
        elif name in program.outputs:
            arguments += [f"--{name}={folder / part}" for part in _parts(options, name, row)]
        else:
            arguments.append(f"--{name}={value}")
    return arguments + ([options["audio"]] if options.get("audio") else [])


def _parts(options: Mapping[str, str], name: str, row: Row) -> list[str]:
    """The files that an option names; {name} in them is the row's name."""
    parts = (part.strip() for part in options.get(name, "").split(SEPARATOR))
    return [part.replace("{name}", row.name) for part in parts if part]


class Fingerprints:
    """Hashes tasks, each file that they share only once."""

    def __init__(self, models: Path | None) -> None:
        self._models = models
        self._files: dict[str, str] = {}

    def of(self, task: Task) -> str:
        """Raises UserError when an input is missing or cannot be read."""
        *files, model = task.inputs
        return _digest(
            {
                "version": _VERSION,
                "files": [self._file(path) if path else "" for path in files],
                "model": self._model(model),
                "settings": dict(task.settings),
            }
        )

    def _file(self, path: str) -> str:
        if path not in self._files:
            try:
                self._files[path] = file_record(Path(path)).sha256
            except OSError as error:
                raise UserError(
                    f"'{path}' cannot be read: {error.strerror or error}.", "Check the manifest."
                ) from error
        return self._files[path]

    def _model(self, name: str) -> str:
        """The card's own hash, which holds those of weights and face."""
        folder = resources.find_model(name, self._models) if name else resources.default_model()
        read_card(folder)
        return self._file(str(folder / CONFIG_FILE))


def _digest(values: object) -> str:
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()
