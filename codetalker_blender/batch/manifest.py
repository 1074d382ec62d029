"""A manifest (CSV, JSON or a folder of sounds) → its rows.  Standard library only.

    name,audio,blend,object,style        one row per clip; the columns are `generate`'s flags
    s01/a,takes/a.wav,head.blend,Head,calm

Semicolons or tabs may stand between the cells, too.  JSON is a list of objects with the same names; a
folder stands for one row per sound file in it.
Files to read are found from the manifest's folder, files to write from the output folder.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from ..errors import UserError
from ..model_files import CONFIG_FILE
from ..text_files import read_json

#: What a folder's files must end in to be taken for speech.
SOUND_SUFFIXES = (".wav", ".flac", ".ogg", ".mp3", ".aif", ".aiff")
#: Columns that name files to read.
INPUTS = ("audio", "blend", "mapping")
#: What stands between several values in one cell.
SEPARATOR = ";"
NAME = "name"
#: What may stand between the cells of a CSV file, as its heading has it.
_BETWEEN = {",": "a comma", ";": "a semicolon", "\t": "a tab"}


@dataclass(frozen=True)
class Row:
    """One clip.

    number: from 1, in the order of the manifest; name: its own, a relative path without a suffix
    options: flag of `generate`, without its dashes → value; paths to read are absolute
    """

    number: int
    name: str
    options: Mapping[str, str]


def read_manifest(path: Path, known: Iterable[str], defaults: Mapping[str, str]) -> list[Row]:
    """The rows of a manifest.

    known: the options that a row may set; defaults: for those that it leaves open
    Raises UserError for anything that is wrong in it, with the row.
    """
    folder = path if path.is_dir() else path.parent
    try:
        if path.is_dir():
            records = [(f"'{file}'", _of_sound(path, file)) for file in _sounds(path)]
        elif path.suffix.lower() == ".json":
            records = list(_json_records(path))
        else:
            records = list(_csv_records(path))
    except OSError as error:
        raise UserError(
            f"The manifest '{path}' cannot be read: {error.strerror or error}.",
            "Name a CSV or JSON file, or a folder of sound files.",
        ) from error
    if not records:
        needed = f"sounds in {' '.join(SOUND_SUFFIXES)}" if path.is_dir() else "a heading, and a row per clip"
        raise UserError(f"The manifest '{path}' holds no rows.", f"It needs {needed}.")
    allowed = {NAME, "audio", *known}
    rows = []
    for number, (where, record) in enumerate(records, start=1):
        unknown = sorted(set(record) - allowed)
        if unknown:
            raise UserError(
                f"'{path}', {where}: there is no option called '{unknown[0]}'.",
                f"There are: {', '.join(sorted(allowed))}.",
            )
        given = {**defaults, **{name: value for name, value in record.items() if value}}
        rows.append(_row(number, given, folder.absolute(), f"'{path}', {where}"))
    _refuse_same_names(rows, path)
    return rows


def select(rows: list[Row], numbers: str) -> list[Row]:
    """The rows "5" or "5-20"; a range may go past the end.  Raises UserError for one without any row."""
    first, dash, last = numbers.partition("-")
    if not (first.isdecimal() and (last.isdecimal() if dash else True)) or int(first) < 1:
        raise UserError(f"The rows '{numbers}' are no range.", "Name one like 5, or several like 1-20.")
    low, high = int(first), int(last) if dash else int(first)
    chosen = [row for row in rows if low <= row.number <= high]
    if not chosen:
        raise UserError(f"There are no rows {numbers}: the manifest has {len(rows)}.")
    return chosen


def _sounds(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.suffix.lower() in SOUND_SUFFIXES)


def _of_sound(folder: Path, file: Path) -> dict[str, str]:
    relative = file.relative_to(folder)
    return {NAME: relative.with_suffix("").as_posix(), "audio": relative.as_posix()}


def _csv_records(path: Path) -> Iterable[tuple[str, dict[str, str]]]:
    with path.open(newline="", encoding="utf-8-sig") as stream:
        try:
            heading = stream.readline()
            stream.seek(0)
            # What spreadsheets write where the comma stands in numbers.
            between = next((mark for mark in _BETWEEN if mark in heading), ",")
            reader = csv.reader(stream, delimiter=between, strict=True)
            header = [_option(cell) for cell in next(reader, [])]
            if len(set(header)) != len(header) or "" in header:
                raise UserError(f"'{path}': every column needs a name of its own.")
            for cells in reader:
                if not any(cell.strip() for cell in cells):
                    continue
                where = f"line {reader.line_num}"
                if len(cells) > len(header):
                    raise UserError(
                        f"'{path}', {where} has {len(cells)} cells under {len(header)} columns.",
                        f"Put cells with {_BETWEEN[between]} in them into double quotes.",
                    )
                yield where, {name: cell.strip() for name, cell in zip(header, cells, strict=False)}
        except UnicodeDecodeError as error:
            raise UserError(f"'{path}' cannot be read as CSV: {error}.", "Save it as UTF-8.") from error
        except csv.Error as error:
            raise UserError(
                f"'{path}' cannot be read as CSV: {error}.", "Look for a double quote without its other half."
            ) from error


def _json_records(path: Path) -> Iterable[tuple[str, dict[str, str]]]:
    found = read_json(path)
    if not isinstance(found, list) or not all(isinstance(record, dict) for record in found):
        raise UserError(f"'{path}' must hold a list of objects, one per row.")
    for number, record in enumerate(found, start=1):
        where = f"row {number}"
        yield (
            where,
            {_option(name): _text(value, f"'{path}', {where}, '{name}'") for name, value in record.items()},
        )


def _option(name: str) -> str:
    """A column's name as a flag: ``Output_Mode`` and ``--output-mode`` are the same."""
    return name.strip().lower().lstrip("-").replace("_", "-").replace(" ", "-")


def _text(value: Any, where: str) -> str:
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case str() | int() | float():
            return str(value).strip()
        case list():
            return SEPARATOR.join(_text(part, where) for part in value)
    raise UserError(f"{where} must be text, a number, true or false, or a list of them.")


def _is_text(value: str) -> bool:
    """Whether a file, or something in a .blend, can be called so: JSON has zeros and halves of characters."""
    try:
        value.encode("utf-8", "surrogateescape")  # as names are that the disk has in another encoding
    except UnicodeEncodeError:
        return False
    return "\0" not in value


def _row(number: int, given: Mapping[str, str], folder: Path, where: str) -> Row:
    options = {name: value for name, value in given.items() if name != NAME}
    for option, value in given.items():
        if not _is_text(value):
            raise UserError(f"{where}: '{option}' is no text: {value!a}.", "Write it again.")
    name = given.get(NAME, "") or PurePosixPath(given.get("audio", "").replace("\\", "/")).stem
    if not name:
        raise UserError(f"{where} names no audio.", "Fill in the column 'audio', or 'name' and 'strip'.")
    if not is_inside(name):
        raise UserError(
            f"{where}: the name '{name}' does not stay in the output folder.", "Use a relative path."
        )
    for kind in INPUTS:
        if options.get(kind):
            options[kind] = str(folder / options[kind])
    model = options.get("model")
    if model and (folder / model / CONFIG_FILE).is_file():
        options["model"] = str(folder / model)
    return Row(number, name, options)


def is_inside(name: str) -> bool:
    """Whether a relative path with either kind of slash names something below the folder it starts from."""
    path = PurePosixPath(name.replace("\\", "/"))
    hidden = any(part == ".." or part.startswith(".") for part in path.parts)
    return bool(path.parts) and not path.is_absolute() and not hidden and ":" not in name


def _refuse_same_names(rows: list[Row], path: Path) -> None:
    seen: dict[str, Row] = {}
    for row in rows:
        other = seen.setdefault(row.name.lower(), row)  # some disks do not tell capital letters apart
        if other is not row:
            raise UserError(
                f"'{path}': rows {other.number} and {row.number} are both called '{row.name}'.",
                f"Give them different names in a column '{NAME}'.",
            )
