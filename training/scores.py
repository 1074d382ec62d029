"""Motion and its truth → the table of measures, by group of clips.

Phone times serve scoring alone.  The control repeats the correlation of mouth opening with
another clip's sound: a model that listens falls to about zero there, one that babbles does not.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from codetalker_blender.contracts import FaceMesh, FloatArray, IntArray
from codetalker_blender.errors import UserError
from training import metrics
from training.datasets.clip import Clip, Dataset

#: A predictor turns a clip's sound (and style) into offsets (T, V, 3) metres at the clip's fps.
Predictor = Callable[[Clip], FloatArray]
ALL_VOICES = "all"


@dataclass(frozen=True)
class _Part:
    """The vertices that any measure looks at, renumbered: offsets of an hour fit into memory."""

    face: FaceMesh
    vertices: IntArray

    def of(self, offsets: FloatArray) -> FloatArray:
        return offsets[:, self.vertices]


def score(
    dataset: Dataset,
    predict: Predictor,
    *,
    limit: int | None = None,
    shuffled: bool = True,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> dict[str, dict[str, float]]:
    """Measures by group: "all" and one per voice -> measure -> value (see :mod:`training.metrics`).

    limit: first clips used; shuffled: also run the control; report(done, total) after each clip.
    Values are NaN where a group has nothing to measure.
    """
    clips = dataset.clips[:limit]
    if not clips:
        raise UserError("There is no clip to score.")
    part = _scored_part(dataset.face)
    rows: list[dict[str, Any]] = []
    for done, clip in enumerate(clips, 1):
        predicted = predict(clip)
        if predicted.shape[1:] != dataset.face.vertices.shape:
            raise UserError(
                f"The model moves {predicted.shape[1]} vertices where the corpus' head has "
                f"{dataset.face.vertex_count}.",
                "Score a model on the head it was trained on.",
            )
        rows.append(_measured(clip, part, dataset.offsets(clip), predicted))
        report(done, len(clips))
    if shuffled and len(rows) > 1:
        for row, other in zip(rows, rows[1:] + rows[:1], strict=True):
            # Another clip's sound = the motion that was generated from it, cut to the common length.
            row["shuffled"] = metrics.opening_r(row["opening_true"], other["opening"])
    groups = {ALL_VOICES: rows}
    for row in rows:
        groups.setdefault(row["voice"], []).append(row)
    return {name: _summary(group, part) for name, group in groups.items()}


def _scored_part(face: FaceMesh) -> _Part:
    """Lips, upper face, upper teeth and the landmarks, with the regions renumbered to match."""
    lower = metrics.lower_lip(face)
    regions = {
        name: np.asarray(face.regions.get(name, np.zeros(0, np.int32)), np.int64)
        for name in ("lips", "upper_face", "upper_teeth")
    }
    kept = np.unique(
        np.concatenate([*regions.values(), lower, face.mid_lips, face.lip_corners]).astype(np.int64)
    )
    place = np.full(face.vertex_count, -1, np.int64)
    place[kept] = np.arange(len(kept))
    moved = {name: place[indices].astype(np.int32) for name, indices in regions.items()}
    moved["lower_lip"] = place[lower].astype(np.int32)
    small = FaceMesh(
        vertices=face.vertices[kept], triangles=np.zeros((0, 3), np.int32),
        mid_lips=place[face.mid_lips].astype(np.int32), lip_corners=place[face.lip_corners].astype(np.int32),
        regions=moved,
    )  # fmt: skip
    return _Part(small, kept.astype(np.int32))


def _measured(clip: Clip, part: _Part, truth: FloatArray, predicted: FloatArray) -> dict[str, Any]:
    """Everything about one clip; both motions are cut to the shorter."""
    frames = min(len(truth), len(predicted))
    mve = metrics.mve_mm([truth], [predicted])
    truth, predicted, face = part.of(truth[:frames]), part.of(predicted[:frames]), part.face
    opening_true = metrics.mouth_opening_mm(truth, face)
    opening, rest = metrics.mouth_opening_mm(predicted, face), metrics.rest_opening_mm(face)
    lower = face.regions["lower_lip"]
    teeth = metrics.teeth_distance_mm(predicted, face, lower)
    lips = face.regions["lips"]
    silent = metrics.silent_frames(clip.phones, clip.fps, frames)
    corners = metrics.corner_distance_mm(truth, face), metrics.corner_distance_mm(predicted, face)
    return {
        "voice": clip.voice, "style": clip.style, "truth": truth, "predicted": predicted, "mve": mve,
        "frames": frames, "opening_true": opening_true, "opening": opening,
        "r": metrics.opening_r(opening_true, opening), "mod": metrics.mod_mm(opening_true, opening),
        "closure": metrics.bilabial_closures(opening, rest, clip.phones, clip.fps),
        "false_closure": metrics.false_closures(opening, rest, clip.phones, clip.fps),
        "labiodental": metrics.labiodental_contacts(teeth, clip.phones, clip.fps),
        "rounding": metrics.rounding_r(*corners),
        "silent_opening": (opening[silent] - rest), "shuffled": float("nan"),
        "silent_speed": metrics.lip_speed_mm_s(predicted, lips, clip.fps)[silent],
        "speed": metrics.lip_speed_mm_s(predicted, lips, clip.fps),
        "speed_true": metrics.lip_speed_mm_s(truth, lips, clip.fps),
        "mtm": metrics.mtm_ms(opening_true, opening, clip.fps),
        "slcc": metrics.slcc(opening, clip.waveform, clip.fps),
    }  # fmt: skip


def _mean(values: Sequence[Any]) -> float:
    """Mean of the values that are numbers; NaN over none."""
    kept = [float(value) for value in values if not math.isnan(float(value))]
    return float(np.mean(kept)) if kept else float("nan")


def _summary(rows: Sequence[dict[str, Any]], part: _Part) -> dict[str, float]:
    def pooled(name: str) -> list[Any]:
        return [value for row in rows for value in row[name]]

    truths, predictions = [row["truth"] for row in rows], [row["predicted"] for row in rows]
    lips, upper = part.face.regions["lips"], part.face.regions["upper_face"]
    speed_true = _mean(pooled("speed_true"))
    return {
        "clips": float(len(rows)),
        "mouth_opening_r": _mean([row["r"] for row in rows]),
        "shuffled_audio_r": _mean([row["shuffled"] for row in rows]),
        "bilabial_closure_percent": 100.0 * _mean(pooled("closure")),
        "bilabials": float(len(pooled("closure"))),
        "false_closure_percent": 100.0 * _mean(pooled("false_closure")),
        "open_vowels": float(len(pooled("false_closure"))),
        "labiodental_contact_percent": 100.0 * _mean(pooled("labiodental")),
        "rounding_r": _mean([row["rounding"] for row in rows]),
        "silence_opening_above_rest_mm": _mean(pooled("silent_opening")),
        "silence_speed_mm_s": _mean(pooled("silent_speed")),
        "lip_speed_share": _mean(pooled("speed")) / speed_true if speed_true > 0 else float("nan"),
        "mod_mm": _mean([row["mod"] for row in rows]),
        "mve_mm": sum(row["mve"] * row["frames"] for row in rows) / sum(row["frames"] for row in rows),
        "lve_mm": metrics.lve_mm(truths, predictions, lips) if len(lips) else float("nan"),
        "lve_codetalker": metrics.lve_codetalker(truths, predictions, lips) if len(lips) else float("nan"),
        "fdd_codetalker": metrics.fdd_codetalker(truths, predictions, upper) if len(upper) else float("nan"),
        "fdd_rel_percent": metrics.fdd_rel(truths, predictions, upper, [row["style"] for row in rows])
        if len(upper)
        else float("nan"),
        "mtm_ms": _mean([row["mtm"] for row in rows]),
        "slcc": _mean([row["slcc"] for row in rows]),
    }  # fmt: skip


def print_report(scores: dict[str, dict[str, float]]) -> None:
    """One line per measure, one column per group."""
    groups = list(scores)
    width = max(12, *(len(name) + 2 for name in groups))
    print("".ljust(32) + "".join(name.rjust(width) for name in groups))
    for measure in scores[groups[0]]:
        print(measure.ljust(32) + "".join(f"{scores[name][measure]:{width}.4g}" for name in groups))


def write_scores(path: Path, scores: dict[str, dict[str, float]]) -> None:
    """JSON with null for NaN, written under a temporary name and renamed."""
    plain = {g: {m: None if math.isnan(v) else v for m, v in values.items()} for g, values in scores.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_text(json.dumps(plain, indent=1) + "\n", encoding="utf-8")
    temporary.replace(path)
