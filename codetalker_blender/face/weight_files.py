"""Weights of shapes ⇄ files of this and other programs.

| file | written | read |
|---|---|---|
| Live Link Face CSV: Timecode, BlendShapeCount, 52 ARKit shapes, 9 rotations | yes | yes |
| plain CSV: time_s and a column per shape | yes | yes |
| plain JSON: format, version, fps, names, weights | yes | yes |
| Audio2Face CSV: timeCode and blendShapes.NAME columns; others (emotions) are passed over | | yes |
| Audio2Face JSON: exportFps, facsNames, weightMat and more | | yes |

Files are written whole or not at all.  One that is damaged is refused in a sentence that says where.
ARKit shapes come back under ARKit's own names, however a file spells them.  Numpy only.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..contracts import ShapeWeights
from ..errors import UserError
from ..text_files import read_json, write_text
from .csv_tables import Table, table_text
from .shape_names import ARKIT, arkit_name
from .timecodes import format_timecode, frames_of_timecodes

Floats = NDArray[np.float64]

#: The rotations that Live Link Face writes behind the shapes.
LIVE_LINK_ROTATIONS = tuple(
    f"{part}{axis}" for part in ("Head", "LeftEye", "RightEye") for axis in ("Yaw", "Pitch", "Roll")
)
_LIVE_LINK_SHAPES = tuple(name[0].upper() + name[1:] for name in ARKIT)
_LIVE_LINK_COUNT = len(ARKIT) + len(LIVE_LINK_ROTATIONS)
_LIVE_LINK_HEADER = ("Timecode", "BlendShapeCount", *_LIVE_LINK_SHAPES, *LIVE_LINK_ROTATIONS)
_TIME = "time_s"
_AUDIO2FACE_TIME = "timeCode"
_AUDIO2FACE_SHAPE = "blendShapes."
_FORMAT = "codetalker weights"
_VERSION = 1
#: Rows may stray this far, in frames, from an even spacing (clocks jitter) before a file counts as damaged.
_JITTER_FRAMES = 0.45
#: Nor is one whole that would have so many times as many frames as rows.
_MOST_DROPPED = 10


def write_live_link(path: Path, weights: ShapeWeights, rotations: Floats | None = None) -> None:
    """Write the CSV of Epic's Live Link Face app.  Raises OutputError.

    rotations: (T, 9) radians of LIVE_LINK_ROTATIONS with ARKit's signs (to the face's left, down, to its
        right shoulder), or None for head and eyes that hold still

    ARKit shapes without weights are written as 0; weights of other shapes have no column.
    """
    columns = [weights.of(name) for name in ARKIT]
    turned = np.zeros((weights.frame_count, len(LIVE_LINK_ROTATIONS))) if rotations is None else rotations
    rows = [
        [format_timecode(frame, weights.fps), str(_LIVE_LINK_COUNT), *map(_number, row)]
        for frame, row in enumerate(np.column_stack([*columns, turned]).tolist())
    ]
    write_text(path, table_text(_LIVE_LINK_HEADER, rows))


def write_csv(path: Path, weights: ShapeWeights) -> None:
    """Write a plain CSV: the time of every frame in seconds, then its weights.  Raises OutputError."""
    rows = [
        [repr(frame / weights.fps), *map(_number, row)] for frame, row in enumerate(weights.values.tolist())
    ]
    write_text(path, table_text((_TIME, *weights.names), rows))


def write_json(path: Path, weights: ShapeWeights) -> None:
    """Write a plain JSON, one line per frame.  Raises OutputError."""
    rows = ",\n  ".join("[" + ", ".join(map(_number, row)) + "]" for row in weights.values.tolist())
    head = {"format": _FORMAT, "version": _VERSION, "fps": weights.fps, "names": list(weights.names)}
    text = json.dumps(head, ensure_ascii=False)[:-1]
    write_text(path, f'{text},\n "weights": [\n  {rows}\n ]}}\n')


def read_weights(path: Path, fps: float | None = None) -> ShapeWeights:
    """Read any of the files above; which one it is, its content says.

    fps: frames per second of a file that does not tell: a single row, or less than a second of Live Link
        Face's timecodes.  Those may round it (29.97 to 30), so where it is given it wins over them.

    Rows that a recording dropped are filled in between their neighbours.  Raises UserError.
    """
    if path.suffix.lower() == ".json":
        return _read_json(path)
    table = Table(path)
    if table.header[:1] == ["Timecode"]:
        return _read_live_link(table, fps)
    if any(name.startswith(_AUDIO2FACE_SHAPE) for name in table.header):
        return _read_audio2face_csv(table, fps)
    if table.header[:1] == [_TIME]:
        values = table.numbers(range(1, len(table.header)))
        return _evenly(table, table.header[1:], table.numbers([0])[:, 0], values, fps)
    raise UserError(
        f"'{path}' is no known file of shape weights: its first line begins '{table.header[0]:.40}'.",
        "Choose a CSV or JSON of Live Link Face, of Audio2Face, or written by this extension.",
    )


def read_live_link_rotations(path: Path) -> Floats:
    """(T, 9) of LIVE_LINK_ROTATIONS in a Live Link Face CSV, row by row.  Raises UserError."""
    table = Table(path)
    return table.numbers([table.column(name) for name in LIVE_LINK_ROTATIONS])


def _read_live_link(table: Table, fps: float | None) -> ShapeWeights:
    shapes = [table.column(name) for name in _LIVE_LINK_SHAPES]
    table.column("BlendShapeCount")
    if unknown := [name for name in table.header if name not in _LIVE_LINK_HEADER]:
        raise UserError(
            f"'{table.path}' has the column '{unknown[0]:.40}', which Live Link Face does not write."
        )
    values = table.numbers(shapes)
    frames, rate = frames_of_timecodes(table.path, [row[0] for row in table.rows], fps)
    return _at_every_frame(table.path, ARKIT, frames, values, rate)


def _read_audio2face_csv(table: Table, fps: float | None) -> ShapeWeights:
    columns = [place for place, name in enumerate(table.header) if name.startswith(_AUDIO2FACE_SHAPE)]
    names = [table.header[column].removeprefix(_AUDIO2FACE_SHAPE) for column in columns]
    times = table.numbers([table.column(_AUDIO2FACE_TIME)])[:, 0]
    return _evenly(table, names, times, table.numbers(columns), fps)


def _evenly(
    table: Table, names: Sequence[str], times_s: Floats, values: Floats, fps: float | None
) -> ShapeWeights:
    """Rows with times in seconds -> weights at an even rate."""
    if len(times_s) < 2:
        if fps is None:
            raise UserError(
                f"'{table.path}' holds a single frame and does not tell its frames per second.",
                "Say how many they are.",
            )
    else:
        spacing = float(np.median(np.diff(times_s)))
        if spacing <= 0:
            raise _disorder(table.path, int(np.argmin(np.diff(times_s))) + 3)
        fps = 1.0 / spacing
        whole = len(times_s) - 1
        if abs((times_s[-1] - times_s[0]) * fps - whole) < 0.5:  # no row is missing: the ends tell it best
            fps = whole / float(times_s[-1] - times_s[0])
        fps = round(fps, 6)
    frames = _frames(table.path, (times_s - times_s[0]) * fps)
    return _at_every_frame(table.path, _named(table.path, names), frames, values, fps)


def _frames(path: Path, places: Floats) -> NDArray[np.int64]:
    """Frame numbers of rows at ``places`` (in frames, from 0)."""
    found = np.rint(places).astype(np.int64)
    wrong = np.flatnonzero((np.abs(places - found) > _JITTER_FRAMES) | (np.diff(found, prepend=-1) <= 0))
    if len(wrong):
        raise _disorder(path, int(wrong[0]) + 2)
    return found


def _at_every_frame(
    path: Path, names: Sequence[str], frames: NDArray[np.int64], values: Floats, fps: float
) -> ShapeWeights:
    """Rows that a recording dropped are filled in between their neighbours."""
    count = int(frames[-1]) + 1
    if count > _MOST_DROPPED * len(frames):
        raise UserError(
            f"'{path}' holds {len(frames)} rows where its times span {count} frames at {fps:g} per second."
        )
    if count != len(frames):
        wanted = np.arange(count)
        values = np.stack([np.interp(wanted, frames, column) for column in values.T], axis=1)
    return ShapeWeights(tuple(names), values.astype(np.float32), fps)


def _read_json(path: Path) -> ShapeWeights:
    content = read_json(path)
    if not isinstance(content, dict):
        raise UserError(f"'{path}' must hold one JSON object.")
    if "weightMat" in content or "facsNames" in content:
        return _weights_of(path, content, "exportFps", "facsNames", "weightMat")
    if content.get("format") == _FORMAT:
        if content.get("version") != _VERSION:
            raise UserError(
                f"'{path}' has version {content.get('version')!r:.40} of its format, not {_VERSION}.",
                "Install the version of the extension that wrote it.",
            )
        return _weights_of(path, content, "fps", "names", "weights")
    raise UserError(
        f"'{path}' is no known file of shape weights.",
        "Choose a JSON of Audio2Face, or one written by this extension.",
    )


def _weights_of(path: Path, content: dict[str, object], rate: str, names: str, rows: str) -> ShapeWeights:
    """The weights under these three fields."""
    for name in (rate, names, rows):
        if name not in content:
            raise UserError(f"'{path}' lacks the field '{name}'.", "The file is cut short; export it again.")
    fps, listed, matrix = content[rate], content[names], content[rows]
    if isinstance(fps, bool) or not isinstance(fps, int | float) or not 0 < fps < 1e6:
        raise UserError(f"'{path}': '{rate}' must be a positive number, not {fps!r:.40}.")
    if not isinstance(listed, list) or not all(isinstance(name, str) for name in listed):
        raise UserError(f"'{path}': '{names}' must be a list of names.")
    if not isinstance(matrix, list) or not matrix:
        raise UserError(f"'{path}': '{rows}' must be a list of at least one frame.")
    for number, row in enumerate(matrix):
        if not isinstance(row, list) or len(row) != len(listed):
            found = f"{len(row)} numbers" if isinstance(row, list) else f"{row!r:.40}"
            raise UserError(f"'{path}': frame {number} of '{rows}' has {found}, not {len(listed)} numbers.")
        for value in row:
            if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e6:
                raise UserError(f"'{path}': frame {number} of '{rows}' holds {value!r:.40}, not a weight.")
    values = np.array(matrix, np.float64).reshape(len(matrix), len(listed))
    return ShapeWeights(_named(path, listed), values.astype(np.float32), float(fps))


def _named(path: Path, names: Sequence[str]) -> tuple[str, ...]:
    """ARKit's spelling where it is an ARKit shape; names must differ."""
    found = tuple(arkit_name(name) or name for name in names)
    if len(set(found)) != len(found):
        twice = next(name for name in found if found.count(name) > 1)
        raise UserError(f"'{path}' has the shape '{twice}' twice.")
    return found


def _disorder(path: Path, row: int) -> UserError:
    return UserError(f"'{path}', row {row}: its time does not follow the row before at an even rate.")


def _number(value: float) -> str:
    return f"{value:.7f}"
