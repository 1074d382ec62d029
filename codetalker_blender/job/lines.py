"""Messages ⇄ JSON lines.

One message is one line, ``{"codetalker": VERSION, "type": ..., ...}`` in UTF-8.  Arrays and packed
sounds do not pass through the pipe: they lie in the job's folder, and the line names the file.
Decoding is strict and executes nothing.  Standard library only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ..contracts import AudioSource, EngineFacts, GenerateRequest, ImportRequest
from ..errors import UserError
from .job_files import file_of, take_sound, take_style, write_sound, write_style
from .messages import (
    Cancel,
    Cancelled,
    Check,
    Checked,
    Failed,
    Frames,
    Generate,
    Import,
    Imported,
    Message,
    Progress,
    ProtocolError,
    Ready,
    Report,
    Written,
)

#: Raised whenever a message changes its meaning; both sides must agree.
VERSION = 4


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
    if not isinstance(kind, str) or kind not in readers:
        raise ProtocolError(f"unknown message {kind!r}")
    try:
        return readers[kind](values, folder)
    except UserError as error:
        raise ProtocolError(f"{kind}: {error}") from error


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
    audio = request.audio
    return {
        # The worker has another current directory.
        "path": str(audio.path.absolute()) if audio.data is None else str(audio.path),
        "data": None if audio.data is None else write_sound(folder, audio.data).name,
        "start_s": float(audio.start_s),
        "duration_s": None if audio.duration_s is None else float(audio.duration_s),
        "model": str(request.model.absolute()),
        "style": write_style(folder, request.style).name,
        "device": request.device,
        "fps": None if request.fps is None else float(request.fps),
        "temperature": None if request.temperature is None else float(request.temperature),
        "seed": int(request.seed),
        "shapes": None if request.shapes is None else str(request.shapes.absolute()),
        "needs_shapes": request.needs_shapes,
    }


def _read_generate(values: dict[str, Any], folder: Path) -> Generate:
    values = _fields(values, _GENERATE_FIELDS)
    data = None if values["data"] is None else take_sound(file_of(folder, values["data"]))
    audio = AudioSource(Path(values["path"]), data, values["start_s"], values["duration_s"])
    return Generate(
        GenerateRequest(
            audio=audio,
            model=Path(values["model"]),
            style=take_style(file_of(folder, values["style"])),
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
    return Frames(values["start"], file_of(folder, values["file"]))


def _read_written(values: dict[str, Any], folder: Path) -> Written:
    types = {"file": str, "seconds": dict, "device": str, "frames": int, "notes": list}
    values = _fields(values, dict(types))
    seconds = _fields(values["seconds"], dict.fromkeys(values["seconds"], _NUMBER))
    if not all(isinstance(note, str) for note in values["notes"]):
        raise ProtocolError(f"notes must be sentences: {values['notes']!r:.80}")
    report = Report(seconds, values["device"], values["frames"], tuple(values["notes"]))
    return Written(file_of(folder, values["file"]), report)
