"""The job's protocol: messages ⇄ JSON lines, their arrays ⇄ files in the job's folder.

    parent → worker   Generate, Import, Check, Cancel
    worker → parent   Ready, then for each Generate or Import any number of Progress, of Frames
                      where they are asked for, and exactly one of Written (or Imported),
                      Failed, Cancelled; for each Check exactly one of Checked, Failed
    client → caller   Progress, the offsets of Frames, and then Done in place of Written

One message is one line, ``{"codetalker": VERSION, "type": ..., ...}`` in UTF-8.  Arrays and packed
sounds do not pass through the pipe: they lie in the job's folder, and the line names the file.
Decoding is strict and executes nothing.  Standard library and numpy only.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..array_files import read_arrays, write_arrays
from ..contracts import AudioSource, EngineFacts, FloatArray, GenerateRequest, ImportRequest, Motion
from ..errors import OutputError, UserError
from ..motion_files import read_motion

#: Raised whenever a message changes its meaning; both sides must agree.
VERSION = 4


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


def encode(message: Message, folder: Path) -> bytes:
    """One line, with its newline; what a request brings is written into ``folder``.  Raises OutputError."""
    values: dict[str, Any]
    match message:
        case Generate(request, frames):
            values = {**_request_values(request, folder), "frames": frames}
        case Frames(start, path):
            values = {"start": start, "file": path.name}
        case Import(request):
            values = _import_values(request)
        case Written(path, report):
            seconds = {stage: float(value) for stage, value in report.seconds.items()}
            values = {**vars(report), "file": path.name, "seconds": seconds, "notes": list(report.notes)}
        case Checked(facts):
            values = {**vars(facts), "versions": dict(facts.versions)}
        case _:
            values = dict(vars(message))
    head = {"codetalker": VERSION, "type": type(message).__name__}
    return (json.dumps({**head, **values}, ensure_ascii=False) + "\n").encode("utf-8", "surrogatepass")


def decode(line: bytes, folder: Path) -> Message:
    """The message of one line; a request's files are read from ``folder`` and deleted.

    Raises ProtocolError for anything that is not exactly a message of this version.
    """
    try:
        values = json.loads(line.decode("utf-8", "surrogatepass"))
    except ValueError as error:
        raise ProtocolError(f"not a message: {line[:80]!r}") from error
    if not isinstance(values, dict) or "codetalker" not in values:
        raise ProtocolError(f"not a message: {line[:80]!r}")
    version, kind = values.pop("codetalker"), values.pop("type", None)
    if version != VERSION:
        raise ProtocolError(f"the other side speaks version {version!r} of the protocol, this one {VERSION}")
    readers: dict[str, Callable[[dict[str, Any], Path], Message]] = {
        "Generate": _read_generate,
        "Import": lambda values, _: _read_import(values),
        "Frames": _read_frames,
        "Written": _read_written,
        "Imported": lambda values, _: Imported(**_fields(values, {"about": str})),
        "Check": lambda values, _: Check(**_fields(values, {"device": str})),
        "Checked": lambda values, _: _read_checked(values),
        "Cancel": lambda values, _: Cancel(**_fields(values, {})),
        "Cancelled": lambda values, _: Cancelled(**_fields(values, {})),
        "Ready": lambda values, _: Ready(**_fields(values, {"python": str})),
        "Progress": lambda values, _: Progress(**_fields(values, {"stage": str, "done": int, "total": int})),
        "Failed": lambda values, _: Failed(**_fields(values, dict.fromkeys(vars(Failed("")), str))),
    }
    if kind not in readers:
        raise ProtocolError(f"unknown message {kind!r}")
    try:
        return readers[kind](values, folder)
    except UserError as error:
        raise ProtocolError(f"{kind}: {error}") from error


def result_file(folder: Path) -> Path:
    """A new path for the result of a job whose folder is ``folder``."""
    return folder / _new_name("motion.npz")


def write_frames(folder: Path, start: int, offsets: FloatArray) -> Frames:
    """Put offsets (n, V, 3) metres into a new file of the job.  Raises OutputError."""
    path = folder / _new_name("frames.npz")
    write_arrays(path, {"offsets": offsets})
    return Frames(start, path)


def take_frames(frames: Frames) -> FloatArray:
    """The inverse of :func:`write_frames`; deletes the file.  Raises ProtocolError for anything else."""
    try:
        offsets = read_arrays(frames.path).get("offsets")
    except UserError as error:
        raise ProtocolError(f"frames: {error}") from error
    with suppress(PermissionError):  # as below
        frames.path.unlink()
    if offsets is None or offsets.dtype != np.float32 or offsets.ndim != 3 or offsets.shape[2] != 3:
        raise ProtocolError(f"'{frames.path}' holds no offsets")
    return offsets.astype(np.float32, copy=False)


def take(written: Written) -> Done:
    """Read the result and delete its file.  Raises ProtocolError when it is no motion.

    Windows keeps a file that is mapped (long motion): there it goes with the job's folder, if by then the
    motion is no longer used.
    """
    try:
        motion = read_motion(written.path)
    except UserError as error:
        raise ProtocolError(f"the job's result: {error}") from error
    with suppress(PermissionError):
        written.path.unlink()
    return Done(motion, written.report)


def _new_name(name: str) -> str:
    return f"{secrets.token_hex(4)}-{name}"


def _fields(values: dict[str, Any], types: Mapping[str, type | tuple[type, ...]]) -> dict[str, Any]:
    """``values``, if it has exactly the fields of ``types`` with their types."""
    odd = sorted(set(values) ^ set(types))
    if odd:
        raise ProtocolError(f"missing or unknown fields: {', '.join(odd)}")
    for name, wanted in types.items():
        # JSON's true is an int to Python, but never meant as one here.
        if isinstance(values[name], bool) != (wanted is bool) or not isinstance(values[name], wanted):
            raise ProtocolError(f"field {name!r} has the wrong type: {values[name]!r:.80}")
    return values


def _inside(folder: Path, name: str) -> Path:
    """A file of the job's folder; a name that leads elsewhere is refused."""
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise ProtocolError(f"no file of this job: {name!r:.80}")
    return path


_NUMBER = (int, float)
_OPTIONAL_NUMBER = (int, float, type(None))
_GENERATE_FIELDS: dict[str, type | tuple[type, ...]] = {
    "path": str,
    "data": (str, type(None)),
    "start_s": _NUMBER,
    "duration_s": _OPTIONAL_NUMBER,
    "model": str,
    "style": str,
    "device": str,
    "fps": _OPTIONAL_NUMBER,
    "temperature": _OPTIONAL_NUMBER,
    "seed": int,
    "shapes": (str, type(None)),
    "needs_shapes": bool,
    "frames": bool,
}


def _request_values(request: GenerateRequest, folder: Path) -> dict[str, Any]:
    audio, data = request.audio, None
    if audio.data is not None:
        data = _new_name("sound")
        try:
            (folder / data).write_bytes(audio.data)
        except OSError as error:
            raise OutputError(f"The packed sound cannot be handed on: {error}.", "Check the disk.") from error
    style = _new_name("style.npz")
    write_arrays(folder / style, {"style": np.asarray(request.style, np.float32)})
    return {
        # The worker has another current directory.
        "path": str(audio.path.absolute()) if audio.data is None else str(audio.path),
        "data": data,
        "start_s": float(audio.start_s),
        "duration_s": None if audio.duration_s is None else float(audio.duration_s),
        "model": str(request.model.absolute()),
        "style": style,
        "device": request.device,
        "fps": None if request.fps is None else float(request.fps),
        "temperature": None if request.temperature is None else float(request.temperature),
        "seed": int(request.seed),
        "shapes": None if request.shapes is None else str(request.shapes.absolute()),
        "needs_shapes": request.needs_shapes,
    }


def _read_generate(values: dict[str, Any], folder: Path) -> Generate:
    values = _fields(values, _GENERATE_FIELDS)
    data = None
    if values["data"] is not None:
        packed = _inside(folder, values["data"])
        data = packed.read_bytes()
        packed.unlink()
    style_file = _inside(folder, values["style"])
    style = read_arrays(style_file).get("style")
    style_file.unlink()
    if style is None or style.dtype != np.float32:
        raise ProtocolError("the style's file lacks a float32 array 'style'")
    audio = AudioSource(Path(values["path"]), data, values["start_s"], values["duration_s"])
    return Generate(
        GenerateRequest(
            audio=audio,
            model=Path(values["model"]),
            style=style.astype(np.float32, copy=False),
            device=values["device"],
            fps=values["fps"],
            temperature=values["temperature"],
            seed=values["seed"],
            shapes=None if values["shapes"] is None else Path(values["shapes"]),
            needs_shapes=values["needs_shapes"],
        ),
        values["frames"],
    )


def _read_checked(values: dict[str, Any]) -> Checked:
    texts = dict.fromkeys(("python", "device", "device_name", "torch_build"), str)
    values = _fields(values, {**texts, "versions": dict})
    _fields(values["versions"], dict.fromkeys(values["versions"], str))
    return Checked(EngineFacts(**values))


_PATHS = ("stage1", "stage2", "template", "output", "mesh", "regions")
_OPTIONAL_TEXT = (str, type(None))
_IMPORT_FIELDS: dict[str, type | tuple[type, ...]] = {
    **dict.fromkeys(("stage1", "stage2", "template", "output"), str),
    **dict.fromkeys(("mesh", "regions", "subject"), _OPTIONAL_TEXT),
    **dict.fromkeys(("name", "description", "licence", "up_axis"), str),
    "styles": list,
    **dict.fromkeys(("codec_heads", "query_heads", "speech_heads"), int),
    **dict.fromkeys(("metres_per_unit", "fps"), _OPTIONAL_NUMBER),
    "period": (int, type(None)),
}


def _import_values(request: ImportRequest) -> dict[str, Any]:
    values = {**vars(request), "styles": list(request.styles)}
    for name in _PATHS:
        # The worker has another current directory.
        values[name] = None if values[name] is None else str(values[name].absolute())
    return values


def _read_import(values: dict[str, Any]) -> Import:
    values = _fields(values, _IMPORT_FIELDS)
    if not all(isinstance(name, str) for name in values["styles"]):
        raise ProtocolError(f"styles must be names: {values['styles']!r:.80}")
    paths = {name: None if values[name] is None else Path(values[name]) for name in _PATHS}
    return Import(ImportRequest(**{**values, **paths, "styles": tuple(values["styles"])}))


def _read_frames(values: dict[str, Any], folder: Path) -> Frames:
    values = _fields(values, {"start": int, "file": str})
    return Frames(values["start"], _inside(folder, values["file"]))


def _read_written(values: dict[str, Any], folder: Path) -> Written:
    types = {"file": str, "seconds": dict, "device": str, "frames": int, "notes": list}
    values = _fields(values, dict(types))
    seconds = _fields(values["seconds"], dict.fromkeys(values["seconds"], _NUMBER))
    if not all(isinstance(note, str) for note in values["notes"]):
        raise ProtocolError(f"notes must be sentences: {values['notes']!r:.80}")
    report = Report(seconds, values["device"], values["frames"], tuple(values["notes"]))
    return Written(_inside(folder, values["file"]), report)
