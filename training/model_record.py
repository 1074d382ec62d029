"""What the networks of a run are and what they learn from, as plain values beside its checkpoints.

``model.json`` and ``face.npz`` in the run's folder: with the checkpoints they are all that an export needs.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from codetalker_blender.contracts import FaceMesh
from codetalker_blender.disk import new_file
from codetalker_blender.errors import BundleError, UserError
from codetalker_blender.model_files import FACE_FILE, read_face_file, write_face_file
from codetalker_blender.text_files import write_text

from .run_record import first_difference, plain

RECORD_FILE = "model.json"
RECORD_FORMAT = 1


@dataclass(frozen=True)
class ModelRecord:
    """codec, query, speech: the networks' configs as plain values
    stages: stage -> its steps; units_per_metre: of the motion that the networks see
    data: what they learn from, in words; hours, clips, voices: how much of it
    licence: of a model of that data; "" where its maker must say
    temperature: the bundle's own
    streamable, half: whether it generates on the fly; whether it is saved in half precision
    """

    codec: dict[str, Any]
    query: dict[str, Any]
    speech: dict[str, Any]
    stages: dict[str, int]
    fps: float
    units_per_metre: float
    up_axis: str
    styles: tuple[str, ...]
    data: str
    hours: float
    clips: int
    voices: tuple[str, ...]
    seed: int
    licence: str
    temperature: float
    streamable: bool
    half: bool
    format: int = RECORD_FORMAT


def write_record(folder: Path, record: ModelRecord, face: FaceMesh) -> None:
    """Write both files, or check that a resumed run has the same.

    face: in the networks' units.  Raises UserError when the run has learnt from other data.
    """
    path, values = folder / RECORD_FILE, plain(record)
    if path.exists():
        difference = first_difference(_read(path), values)
        if difference:
            raise UserError(
                f"'{folder}' holds a run on other data: {difference}.",
                "Resume it with its own data, or choose another folder.",
            )
        return
    # the record comes last: with it the pair is whole
    with new_file(folder / FACE_FILE) as draft:
        write_face_file(draft, face)
    write_text(path, json.dumps(values, indent=1) + "\n")


def read_record(folder: Path) -> tuple[ModelRecord, FaceMesh]:
    """The inverse of :func:`write_record`.  Raises UserError when the folder is no run's."""
    path = folder / RECORD_FILE
    if not path.is_file():
        raise UserError(
            f"'{folder}' is no run's folder: it holds no {RECORD_FILE}.", "Give the folder of --run."
        )
    values = _read(path)
    known = {item.name for item in fields(ModelRecord)}
    if set(values) != known or values["format"] != RECORD_FORMAT:
        raise UserError(f"'{path}' was written by another version of the training.")
    lists = {name: tuple(values[name]) for name in ("styles", "voices")}
    try:
        face = read_face_file(folder / FACE_FILE)
    except BundleError as error:
        raise UserError(str(error)) from error
    return ModelRecord(**{**values, **lists}), face


def _read(path: Path) -> dict[str, Any]:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' cannot be read: {error}.") from error
    if not isinstance(values, dict):
        raise UserError(f"'{path}' must hold one JSON object.")
    return values
