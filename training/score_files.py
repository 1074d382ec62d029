"""An evaluation → its files: scores.json, clips.csv and totals.csv.

Each is written under a temporary name and renamed.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from codetalker_blender.disk import explained, new_file
from training.scores import Evaluation

SCORES_FILE, CLIPS_FILE, TOTALS_FILE = "scores.json", "clips.csv", "totals.csv"


def write_scores(path: Path, evaluation: Evaluation, about: Mapping[str, Any]) -> None:
    """JSON of ``about`` (the model and the settings), notes and totals; null for NaN.  Raises OutputError."""
    document = {
        **about,
        "notes": evaluation.notes(),
        "totals": {
            group: {name: None if math.isnan(value) else value for name, value in values.items()}
            for group, values in evaluation.totals().items()
        },
    }
    write_text(path, json.dumps(document, indent=1, ensure_ascii=False) + "\n")


def write_tables(folder: Path, evaluation: Evaluation) -> None:
    """clips.csv (a row per clip) and totals.csv (a row per group); empty for NaN.  Raises OutputError."""
    clips: list[list[object]] = []
    for row, values in evaluation.by_clip():
        clip = row.clip
        if not clips:
            clips.append(["clip", "voice", "style", "frames", *values])
        clips.append([clip.name, clip.voice, evaluation.styles[clip.style], row.frames, *values.values()])
    write_text(folder / CLIPS_FILE, _csv(clips))
    totals = evaluation.totals()
    header: list[object] = ["group", *next(iter(totals.values()))]
    rows: list[list[object]] = [[group, *values.values()] for group, values in totals.items()]
    write_text(folder / TOTALS_FILE, _csv([header, *rows]))


def _csv(rows: Sequence[Sequence[object]]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\n").writerows([_cell(value) for value in row] for row in rows)
    return out.getvalue()


def _cell(value: object) -> object:
    if isinstance(value, float):
        return "" if math.isnan(value) else f"{value:.6g}"
    return value


def write_text(path: Path, text: str) -> None:
    """All of ``text`` or nothing.  Raises OutputError."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, content: bytes) -> None:
    """All of ``content`` or nothing; the folder is made.  Raises OutputError."""
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as draft, explained(path):
        draft.write_bytes(content)
