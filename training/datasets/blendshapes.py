"""Blendshape curves: named weights per frame, driven through a head that has those shapes.

    PATH/curves/NAME.csv     a header of shape names, one row per frame; a column "time" (seconds) or
                             "frame" (counted by one) is checked and not used
    PATH/curves/NAME.npy     or weights (T, K), whose columns ``shapes`` in splits.json names
    PATH/wav/NAME.wav        the sound (.flac and .ogg too)
    PATH/splits.json         see :class:`training.datasets.splits.SplitsFile`

The face and its motion are the head's, so every speaker is a style of the same head.  A shape that the
head lacks is refused by its name: leaving it out silently would train a face that never moves there.
"""

from __future__ import annotations

import csv
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FloatArray
from codetalker_blender.errors import UserError
from training.articulation_head import Head, read_head

from .clip import Dataset
from .folder import SOUND_FOLDER, read_sound, sound_file, sound_names, style_row
from .recordings import DatasetProblems, Problem, Recording, Survey, read_split
from .splits import CURVE_FIELDS, SPLITS_FILE, TRAIN, SplitsFile, assign, read_splits_file, speaker_of

CURVE_FOLDER = "curves"
DEFAULT_HEAD = Path("assets/head")
TIME_COLUMN, FRAME_COLUMN = "time", "frame"
#: Weights run from 0 to 1 with some room for exaggeration; percents are beyond this.
LARGEST_WEIGHT = 2.0
#: A time column may wander by this part of a frame.
_TIME_TOLERANCE = 0.5


@dataclass(frozen=True)
class _Curves:
    """What every curve file is read with."""

    root: Path
    about: SplitsFile
    head: Head


def survey_blendshapes(root: Path, head_folder: Path = DEFAULT_HEAD) -> Survey:
    """List ``root``; ``head_folder`` holds face.npz and shapes.npz.  Raises UserError."""
    about = read_splits_file(root / SPLITS_FILE, CURVE_FIELDS)
    curves = _Curves(root, about, read_head(head_folder))
    missing = [folder for folder in (CURVE_FOLDER, SOUND_FOLDER) if not (root / folder).is_dir()]
    if missing:
        raise DatasetProblems(root, [Problem(f"{folder}/", "there is no such folder.") for folder in missing])
    names = {path.stem for path in (root / CURVE_FOLDER).iterdir() if path.suffix in (".csv", ".npy")}
    names |= sound_names(root / SOUND_FOLDER)
    placed, wrong = assign(about.splits, sorted(names))
    problems = [Problem(SPLITS_FILE, text) for text in wrong]
    speakers = {name: speaker_of(name, about.speakers) for name in placed}
    problems += [
        Problem(SPLITS_FILE, f"none of 'speakers' is the beginning of '{name}'.")
        for name, speaker in speakers.items()
        if speaker is None
    ]
    trained = sorted({s for name, s in speakers.items() if s is not None and placed[name] == TRAIN})
    styles = about.styles or tuple(trained)
    problems += [
        Problem(SPLITS_FILE, f"style '{style}' is none of 'speakers'.")
        for style in styles
        if style not in about.speakers
    ]
    recordings = [
        _recording(curves, name, speaker, styles, placed[name])
        for name, speaker in sorted(speakers.items())
        if speaker is not None
    ]
    head = curves.head
    return Survey(
        root=root, face=head.face, shape_names=head.shape_names, deltas=head.deltas, styles=styles,
        fps=about.fps, splits=tuple(about.splits), recordings=tuple(recordings),
        outside=tuple(sorted(names - set(placed))), problems=tuple(problems), up_axis="Z",
    )  # fmt: skip


def read_blendshapes(
    root: Path, split: str, head_folder: Path = DEFAULT_HEAD, *, skip_bad: bool = False
) -> Dataset:
    """One split, see :func:`training.datasets.recordings.read_split`.  Raises UserError."""
    return read_split(survey_blendshapes(root, head_folder), split, skip_bad=skip_bad)


def _recording(curves: _Curves, name: str, speaker: str, styles: Sequence[str], split: str) -> Recording:
    sound = sound_file(curves.root / SOUND_FOLDER, name)
    paths = [curves.root / CURVE_FOLDER / f"{name}{suffix}" for suffix in (".csv", ".npy")]
    path = next((path for path in paths if path.exists()), paths[0])
    return Recording(
        name=name, speaker=speaker, style=style_row(styles, speaker), split=split,
        sound_file=f"{SOUND_FOLDER}/{sound.name}", motion_file=f"{CURVE_FOLDER}/{path.name}",
        open_sound=partial(read_sound, sound),
        open_motion=partial(_weights, curves, path, all(p.exists() for p in paths)),
    )  # fmt: skip


def _weights(curves: _Curves, path: Path, twice: bool) -> FloatArray:
    """(T, K) float32 weights of the head's shapes; shapes that the file does not name stay 0."""
    if not path.exists():
        raise UserError("the motion is missing.")
    if twice:
        raise UserError(f"there are both {path.stem}.csv and {path.stem}.npy.", "Keep one of them.")
    about, head = curves.about, curves.head
    names, values = _read_csv(path, about) if path.suffix == ".csv" else _read_array(path, about.shapes)
    unknown = [name for name in names if head.index(name) is None]
    if unknown:
        raise UserError(
            f"the head has no shape called {', '.join(unknown)}.",
            f"Give a head that has it, or name the column in 'ignore' of {SPLITS_FILE}.",
        )
    if len(set(names)) != len(names):
        raise UserError("a shape name is there twice.")
    if not len(values):
        raise UserError("it holds no frame.")
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise UserError(f"'{names[column]}' in frame {row} is not finite.")
    largest = float(np.abs(values).max(initial=0.0))
    if largest > LARGEST_WEIGHT:
        raise UserError(f"weights reach {largest:g}; they should run from 0 to 1.", "Divide percents by 100.")
    weights = np.zeros((len(values), len(head.shape_names)), np.float32)
    weights[:, [head.shape_names.index(name) for name in names]] = values
    return weights


def _read_array(path: Path, shapes: tuple[str, ...]) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    try:
        values = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"it cannot be read as an array: {error}.") from error
    if not shapes:
        raise UserError(f"{SPLITS_FILE} does not name its columns.", "Add the field 'shapes'.")
    if not isinstance(values, np.ndarray) or values.dtype.kind != "f" or values.ndim != 2:
        raise UserError("it holds no weights (frames, shapes).")
    if values.shape[1] != len(shapes):
        raise UserError(f"it has {values.shape[1]} columns, but 'shapes' names {len(shapes)}.")
    return shapes, values.astype(np.float64)


def _read_csv(path: Path, about: SplitsFile) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """Names and values (T, K) without the columns of time, frame and those to ignore."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as stream:
            lines = [line for line in csv.reader(stream) if line]
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"it cannot be read as CSV: {error}.") from error
    if not lines:
        raise UserError("it is empty.")
    header = [word.strip() for word in lines[0]]
    ignored = set(about.ignore)
    kept = [place for place, name in enumerate(header) if name not in ignored]
    table = np.empty((len(lines) - 1, len(kept)))
    for row, line in enumerate(lines[1:]):
        if len(line) != len(header):
            raise UserError(f"frame {row} has {len(line)} values under {len(header)} names.")
        try:
            table[row] = [float(line[place]) for place in kept]
        except ValueError as error:
            raise UserError(f"frame {row}: {error}.") from error
    names = [header[place] for place in kept]
    shapes = [place for place, name in enumerate(names) if name.lower() not in (TIME_COLUMN, FRAME_COLUMN)]
    for place, name in enumerate(names):
        if place not in shapes:
            _check_steps(name, table[:, place], 1.0 / about.fps if name.lower() == TIME_COLUMN else 1.0)
    return tuple(names[place] for place in shapes), table[:, shapes]


def _check_steps(name: str, values: NDArray[np.float64], step: float) -> None:
    """Raises UserError where a column does not go on by ``step`` from row to row."""
    wanted = values[:1] + step * np.arange(len(values))
    # "not within" and not "beyond", so that NaN is caught too
    wrong = ~(np.abs(values - wanted) <= _TIME_TOLERANCE * step)
    if wrong.any():
        row = int(np.argmax(wrong))
        raise UserError(
            f"column '{name}' is {values[row]:g} in row {row}, where frames at a steady rate "
            f"would have {wanted[row]:g}.",
            f"Resample it to the rate in {SPLITS_FILE}.",
        )
