"""Who is trained on and who is kept back: the published splits, and the splits file of any other data set.

VOCASET and BIWI are split by speaker and sentence number (the last two digits of a clip's name), as
CodeTalker and the papers before it did.  Any other data set brings a ``splits.json``; it is read
strictly, so that a misspelt field is refused and not passed over.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from codetalker_blender.engine.official import BIWI_STYLES, VOCASET_STYLES
from codetalker_blender.errors import UserError

TRAIN, VALIDATION, TEST = "train", "validation", "test"
SPLITS_FILE = "splits.json"
SPLITS_FORMAT = 1


@dataclass(frozen=True)
class PublishedSplit:
    """Speakers and the numbers of the sentences of theirs that belong to the split."""

    speakers: tuple[str, ...]
    sentences: range


VOCASET_SPLITS = {
    TRAIN: PublishedSplit(VOCASET_STYLES, range(1, 41)),
    VALIDATION: PublishedSplit(("FaceTalk_170811_03275_TA", "FaceTalk_170908_03277_TA"), range(21, 41)),
    TEST: PublishedSplit(("FaceTalk_170809_00138_TA", "FaceTalk_170731_00024_TA"), range(21, 41)),
}
#: Test-A: speakers that were trained on; Test-B: the other eight.
BIWI_SPLITS = {
    TRAIN: PublishedSplit(BIWI_STYLES, range(1, 33)),
    VALIDATION: PublishedSplit(BIWI_STYLES, range(33, 37)),
    "test_a": PublishedSplit(BIWI_STYLES, range(37, 41)),
    "test_b": PublishedSplit(("F1", "F5", "F6", "F7", "F8", "M1", "M2", "M6"), range(37, 41)),
}


def published_split(splits: Mapping[str, PublishedSplit], speaker: str, name: str) -> str | None:
    """The split of a clip, or None when it is in none.  Its number is the name's last two digits."""
    digits = name[-2:]
    if not (len(digits) == 2 and digits.isascii() and digits.isdigit()):
        return None
    for split, part in splits.items():
        if speaker in part.speakers and int(digits) in part.sentences:
            return split
    return None


@dataclass(frozen=True)
class SplitsFile:
    """What a ``splits.json`` says.

    fps: frames per second of the motion files
    splits: split -> names of clips, "*" and "?" stand for any characters
    frame_step: every how many-th frame is used; clips run at fps / frame_step
    units_per_metre: units of the vertex files in one metre (1000: millimetres)
    up_axis: "X", "Y" or "Z"
    styles: speakers in the order of the style rows; () = those of "train", sorted
    speakers: names that clips' names begin with
    mid_lips, lip_corners: vertices, as in :class:`codetalker_blender.contracts.FaceMesh`
    shapes: names of the columns of .npy curves
    ignore: columns of .csv curves that are no shapes
    """

    fps: float
    splits: Mapping[str, tuple[str, ...]]
    frame_step: int = 1
    units_per_metre: float = 1.0
    up_axis: str = "Y"
    styles: tuple[str, ...] = ()
    speakers: tuple[str, ...] = ()
    mid_lips: tuple[int, ...] = ()
    lip_corners: tuple[int, ...] = ()
    shapes: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()


#: Needed fields and those that may be left out, by the kind of data set.
VERTEX_FIELDS = (
    ("format", "fps", "units_per_metre", "splits"),
    ("up_axis", "frame_step", "styles", "mid_lips", "lip_corners"),
)
CURVE_FIELDS = (("format", "fps", "speakers", "splits"), ("styles", "shapes", "ignore"))


def read_splits_file(path: Path, fields: tuple[tuple[str, ...], tuple[str, ...]]) -> SplitsFile:
    """Read ``path``; ``fields`` are the needed ones and those that may be left out.  Raises UserError."""
    needed, optional = fields
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise UserError(f"'{path}' cannot be read as JSON: {error}.", "See training/README.md.") from error
    if not isinstance(values, dict):
        raise UserError(f"'{path}' must hold one JSON object.", "See training/README.md.")
    faults = [f"unknown field '{name}'" for name in sorted(set(values) - set(needed) - set(optional))]
    faults += [f"missing field '{name}'" for name in needed if name not in values]
    if faults:
        raise UserError(
            f"'{path}' does not fit the format: {', '.join(faults)}.",
            f"Its fields are {', '.join(needed)}; {', '.join(optional)} may be left out.",
        )
    if values.pop("format") != SPLITS_FORMAT:
        raise UserError(f"'{path}': field 'format' must be {SPLITS_FORMAT}.")
    checked = {name: _checked(path, name, value) for name, value in values.items()}
    return SplitsFile(**checked)


def _checked(path: Path, name: str, value: Any) -> Any:
    """The field's value with lists made tuples.  Raises UserError."""

    def refuse(want: str) -> UserError:
        return UserError(f"'{path}': field '{name}' must be {want}, not {json.dumps(value)[:80]}.")

    if name in ("fps", "units_per_metre"):
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise refuse("a positive number")
        if not (math.isfinite(value) and value > 0):
            raise refuse("a positive number")
        return float(value)
    if name == "frame_step":
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            raise refuse("a whole number from 1 on")
        return value
    if name == "up_axis":
        if value not in ("X", "Y", "Z"):
            raise refuse('"X", "Y" or "Z"')
        return value
    if name in ("mid_lips", "lip_corners"):
        if not (
            isinstance(value, list) and len(value) == 2 and all(type(v) is int and v >= 0 for v in value)
        ):
            raise refuse("two vertex numbers")
        return tuple(value)
    if name == "splits":
        if not isinstance(value, dict) or TRAIN not in value or not all(map(_are_names, value.values())):
            raise refuse(f"lists of clip names by split, one of them '{TRAIN}'")
        return {split: tuple(names) for split, names in value.items()}
    if not _are_names(value):
        raise refuse("a list of names, each once")
    return tuple(value)


def _are_names(value: Any) -> bool:
    """A list of texts that are not empty, none of them twice."""
    texts = isinstance(value, list) and all(isinstance(item, str) and item for item in value)
    return texts and len(set(value)) == len(value)


def assign(splits: Mapping[str, tuple[str, ...]], names: Iterable[str]) -> tuple[dict[str, str], list[str]]:
    """Clip name -> split for ``names``, and what is wrong: entries without a clip, clips in two splits."""
    all_names = list(names)
    placed: dict[str, str] = {}
    wrong: list[str] = []
    for split, entries in splits.items():
        for entry in entries:
            found = [name for name in all_names if fnmatchcase(name, entry)]
            if not found:
                wrong.append(f"'{entry}' in split '{split}' names no clip.")
            for name in found:
                if placed.setdefault(name, split) != split:
                    wrong.append(f"clip '{name}' is in the splits '{placed[name]}' and '{split}'.")
    return placed, wrong


def speaker_of(name: str, speakers: Iterable[str]) -> str | None:
    """The speaker with whose name a clip's name begins ("anna_07" is anna's), the longest that fits."""
    fitting = [speaker for speaker in speakers if name == speaker or name.startswith(f"{speaker}_")]
    return max(fitting, key=len, default=None)
