"""The job's protocol: what its two sides say to each other.

    parent → worker   Generate, Import, Check, Cancel
    worker → parent   Ready, then for each Generate or Import any number of Progress, of Frames
                      where they are asked for, and exactly one of Written (or Imported),
                      Failed, Cancelled; for each Check exactly one of Checked, Failed
    client → caller   Progress, the offsets of Frames, and then Done in place of Written

How they cross the pipe is in ``lines.py``, what lies in files in ``job_files.py``.  Standard library only.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..contracts import EngineFacts, GenerateRequest, ImportRequest, Motion


class ProtocolError(Exception):
    """A line that is no message of this version: a bug, or two versions talking."""


@dataclass(frozen=True)
class Generate:
    """Run the street for one request.  frames: send frames while the others are being made."""

    request: GenerateRequest
    frames: bool = False


@dataclass(frozen=True)
class Import:
    """Make official checkpoints a model bundle."""

    request: ImportRequest


@dataclass(frozen=True)
class Check:
    """Tell what the worker's Python has, and which device ``device`` comes to there."""

    device: str = "auto"


@dataclass(frozen=True)
class Cancel:
    """Stop the running job; one that is over is not disturbed."""


@dataclass(frozen=True)
class Ready:
    """The worker is up and waits for requests.  python: its version, such as "3.11.7"."""

    python: str


@dataclass(frozen=True)
class Progress:
    """``done`` of ``total`` units (chunks, frames) of the stage are over."""

    stage: str
    done: int
    total: int


@dataclass(frozen=True)
class Frames:
    """Frames from number ``start`` on are final; their offsets are a file in the job's folder."""

    start: int
    path: Path


@dataclass(frozen=True)
class Report:
    """Where the time went.

    seconds: stage -> seconds, in the order in which they ran
    device: where the model ran in the end: "cpu", "cuda" or "mps"
    frames: frames of the motion
    notes: sentences for the user, such as why it was another device
    """

    seconds: Mapping[str, float] = field(default_factory=dict)
    device: str = ""
    frames: int = 0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Written:
    """The job's result, as a motion file in the job's folder."""

    path: Path
    report: Report


@dataclass(frozen=True)
class Done:
    """The job's result, taken out of its file."""

    motion: Motion
    report: Report


@dataclass(frozen=True)
class Imported:
    """The bundle that was asked for is written.  about: one line about it."""

    about: str


@dataclass(frozen=True)
class Checked:
    """The answer to a Check."""

    facts: EngineFacts


@dataclass(frozen=True)
class Failed:
    """The job ended with an error.

    message, hint: as in UserError
    kind: the error's class: a name of ``errors.py`` for what the user can cure
    traceback: for the log when it is a bug, else ""
    """

    message: str
    hint: str = ""
    kind: str = "UserError"
    traceback: str = ""


@dataclass(frozen=True)
class Cancelled:
    """The job was cancelled."""


Request = Generate | Import | Check | Cancel
#: What a client can be asked to do, and what of it is a job with progress.
Job = GenerateRequest | ImportRequest
Task = Job | Check
#: What the job says, and what becomes of it for the client's caller.
Reply = Progress | Frames | Written | Imported | Checked | Failed | Cancelled
LastReply = Written | Imported | Checked | Failed | Cancelled
Said = Progress | Done | Imported | Checked | Failed | Cancelled
Message = Request | Ready | Reply
#: What ends a job for the client's caller.
FINAL = (Done, Imported, Checked, Failed, Cancelled)


def asking(task: Task, frames: bool = False) -> Generate | Import | Check:
    """The message that asks for it; frames: as in :class:`Generate`."""
    match task:
        case GenerateRequest():
            return Generate(task, frames)
        case ImportRequest():
            return Import(task)
    return task
