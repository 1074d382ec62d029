"""Motion and its truth → the table of measures, by group of clips.

Phone times serve scoring alone.  The control repeats the correlation of mouth opening with
another clip's sound: a model that listens falls to about zero there, one that babbles does not.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import IntArray
from codetalker_blender.errors import UserError
from training import metrics
from training.datasets.clip import Clip, Dataset
from training.metrics import Array
from training.score_clip import ClipScores, Prediction, Predictor, Ruler, as_prediction, make_ruler, measure

ALL_VOICES = "all"
#: Group -> measure -> value.
Scores = dict[str, dict[str, float]]
#: Draws sample number 0, 1, ... of a clip; two samples of a clip differ in seed or style.
Sampler = Callable[[Clip, int], Prediction]
#: Relative FDD of less speech than this per style says little.
FDD_SPEECH_S = 60.0
#: Groups side by side in the printed table.
REPORT_COLUMNS = 6
#: Measures of pooled clips, which one clip does not have.
POOLED = (
    "clips", "fdd_rel_percent", "fdd_rel_upper_face_percent", "fdd_rel_eyelids_percent", "fd_pooled_mm2",
)  # fmt: skip


@dataclass(frozen=True)
class Evaluation:
    """All clips that were measured.

    clips: in the data set's order; styles: names by style row; ruler: what they were measured with
    units_per_metre: for the measures that are published in squared template units
    """

    clips: tuple[ClipScores, ...]
    styles: tuple[str, ...]
    ruler: Ruler
    units_per_metre: float

    def totals(self) -> Scores:
        """ "all", "voice NAME" and "style NAME" -> measures (see :func:`summary`)."""
        groups: dict[str, list[ClipScores]] = {ALL_VOICES: list(self.clips)}
        for kind in ("voice", "style"):
            named = [(f"{kind} {self._label(kind, row.clip)}", row) for row in self.clips]
            for name in sorted({name for name, _ in named}):
                groups[name] = [row for label, row in named if label == name]
        return {name: self.summary(rows) for name, rows in groups.items()}

    def _label(self, kind: str, clip: Clip) -> str:
        return clip.voice if kind == "voice" else self.styles[clip.style]

    def by_clip(self) -> list[tuple[ClipScores, dict[str, float]]]:
        """Each clip with its own measures, without those that are defined over pooled clips alone."""
        return [
            (row, {name: value for name, value in self.summary([row]).items() if name not in POOLED})
            for row in self.clips
        ]

    def summary(self, rows: Sequence[ClipScores]) -> dict[str, float]:
        """All measures over some of the clips; NaN where there is nothing to measure."""
        return _summary(rows, self.ruler, self.units_per_metre)

    def codes(self) -> tuple[IntArray, int] | None:
        """All codes (T, H) and the size of the codebook (0: unknown); None without codes."""
        return _codes(self.clips)

    def notes(self) -> list[str]:
        """What a reader of the numbers should know."""
        found = []
        seconds = {
            name: sum(row.frames / row.clip.fps for row in self.clips if row.clip.style == style)
            for style, name in enumerate(self.styles)
        }
        short = [f"{name} {s:.0f} s" for name, s in seconds.items() if 0 < s < FDD_SPEECH_S]
        if short and len(self.ruler.upper_face):
            found.append(
                f"fdd_rel needs {FDD_SPEECH_S:.0f} s per style; it says little on {', '.join(short)}."
            )
        face = self.ruler.face
        lacking = [
            name
            for name in ("lips", "upper_face", "eyelids", "upper_teeth")
            if not len(self.ruler.region(name))
        ]
        lacking += [name for name in ("mid_lips", "lip_corners") if len(getattr(face, name)) != 2]
        if lacking:
            found.append(f"the face has no {', '.join(lacking)}; measures that need them are absent.")
        if not any(row.phones for row in self.clips):
            found.append("no clip has phone times; closure, contact and silence are absent.")
        return found


def evaluate(
    dataset: Dataset,
    predict: Predictor,
    *,
    limit: int | None = None,
    shuffled: bool = True,
    samples: int = 0,
    sampler: Sampler | None = None,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Evaluation:
    """Measure every clip.

    limit: first clips used; shuffled: also run the control; report(done, total) after each clip
    samples, sampler: how many samples of each clip are drawn to measure diversity
    Raises UserError when there is no clip, or a prediction does not fit.
    """
    clips = dataset.clips[:limit]
    if not clips:
        raise UserError("There is no clip to score.")
    ruler = make_ruler(dataset, clips)
    rows: list[ClipScores] = []
    for done, clip in enumerate(clips, 1):
        row = measure(dataset, clip, ruler, as_prediction(predict(clip)))
        if sampler is not None and samples > 1:
            drawn = [sampler(clip, number).offsets for number in range(samples)]
            row = row.replace(diversity_mm=metrics.diversity_mm(drawn))
        rows.append(row)
        report(done, len(clips))
    if shuffled and len(rows) > 1:
        # Another clip's sound = the motion that was generated from it, cut to the common length.
        openings = [row.opening_mm for row in rows]
        rows = [
            row.replace(shuffled_r=metrics.opening_r(row.truth_opening_mm, other))
            for row, other in zip(rows, openings[1:] + openings[:1], strict=True)
        ]
    return Evaluation(tuple(rows), dataset.styles, ruler, dataset.units_per_metre)


def score(
    dataset: Dataset,
    predict: Predictor,
    *,
    limit: int | None = None,
    shuffled: bool = True,
    report: Callable[[int, int], None] = lambda done, total: None,
) -> Scores:
    """The totals of :func:`evaluate`: group ("all" and more) -> measure -> value."""
    return evaluate(dataset, predict, limit=limit, shuffled=shuffled, report=report).totals()


def _mean(values: Sequence[float] | Array) -> float:
    """Mean of the values that are numbers; NaN over none."""
    given = np.asarray(values, np.float64)
    kept = given[~np.isnan(given)]
    return float(kept.mean()) if len(kept) else float("nan")


def _pooled(curves: Sequence[Array | Sequence[bool]]) -> NDArray[np.float64]:
    return np.concatenate([np.asarray(curve, np.float64) for curve in curves])


def _summary(rows: Sequence[ClipScores], ruler: Ruler, units_per_metre: float) -> dict[str, float]:
    closures, vowels, contacts = (
        _pooled([getattr(row, name) for row in rows]) for name in ("closures", "false_closures", "contacts")
    )
    silence = _pooled([row.silence_mm for row in rows])
    truth_speed = _mean(_pooled([row.truth_speed for row in rows]))
    speed = _mean(_pooled([row.speed for row in rows]))
    lip_errors = _pooled([row.lip_errors for row in rows])
    frames = [row.frames for row in rows]
    squared = units_per_metre**2
    fdd = squared * np.array([_fdd(row, ruler.within("upper_face")) for row in rows])
    values = {
        "clips": float(len(rows)),
        "seconds": sum(row.frames / row.clip.fps for row in rows),
        "mouth_opening_r": _mean([row.r for row in rows]),
        "shuffled_audio_r": _mean([row.shuffled_r for row in rows]),
        "swap_margin_r": metrics.swap_margin_r([row.r for row in rows], [row.shuffled_r for row in rows]),
        "bilabial_closure_percent": 100.0 * _mean(closures),
        "bilabials": float(len(closures)),
        "false_closure_percent": 100.0 * _mean(vowels),
        "open_vowels": float(len(vowels)),
        "labiodental_contact_percent": 100.0 * _mean(contacts),
        "labiodentals": float(len(contacts)),
        "rounding_r": _mean([row.rounding_r for row in rows]),
        "silence_opening_above_rest_mm": _mean(silence),
        "silence_opening_abs_mm": _mean(np.abs(silence)),
        "silence_speed_mm_s": _mean(_pooled([row.silence_speed for row in rows])),
        "lip_speed_share": speed / truth_speed if truth_speed > 0 else float("nan"),
        "mod_mm": _mean([row.mod_mm for row in rows]),
        "mve_mm": float(np.average([row.vertex_error_mm.mean() for row in rows], weights=frames)),
        "lve_mm": 1000.0 * _mean(lip_errors),
        "lve_codetalker": squared * _mean(lip_errors**2),
        "lve_per_clip": squared * _mean([_mean(row.lip_errors**2) for row in rows]),
        "fdd_codetalker": _mean(fdd),
        "fdd_abs": _mean(np.abs(fdd)),
        "fdd_rel_percent": _fdd_rel(rows, np.ones(len(ruler.upper_face), bool)),
        "fdd_rel_upper_face_percent": _fdd_rel(rows, ruler.within("upper_face")),
        "fdd_rel_eyelids_percent": _fdd_rel(rows, ruler.within("eyelids")),
        "fd_pooled_mm2": metrics.fd(
            np.concatenate([row.truth_coefficients for row in rows]),
            np.concatenate([row.coefficients for row in rows]),
        ),
        "fd_per_clip_mm2": _mean([metrics.fd(row.truth_coefficients, row.coefficients) for row in rows]),
        "diversity_mm": _mean([row.diversity_mm for row in rows]),
        "mtm_ms": _mean([row.mtm_ms for row in rows]),
        "slcc": _mean([row.slcc for row in rows]),
    }  # fmt: skip
    return values | _code_use(_codes(rows))


def _fdd(row: ClipScores, region: NDArray[np.bool_]) -> float:
    return metrics.fdd_of_clip(row.truth_dynamics.at(region), row.dynamics.at(region))


def _fdd_rel(rows: Sequence[ClipScores], region: NDArray[np.bool_]) -> float:
    """Relative FDD in ``region`` (of the ruler's upper face), averaged over the styles; %."""
    if not region.any():
        return float("nan")
    styles: dict[int, list[ClipScores]] = {}
    for row in rows:
        styles.setdefault(row.clip.style, []).append(row)
    return _mean(
        [
            metrics.fdd_of_style(
                [row.truth_dynamics.at(region) for row in own], [row.dynamics.at(region) for row in own]
            )
            for own in styles.values()
        ]
    )


def _codes(rows: Sequence[ClipScores]) -> tuple[IntArray, int] | None:
    given = [row.codes for row in rows if row.codes is not None and row.codes.size]
    return (np.concatenate(given), max(row.code_count for row in rows)) if given else None


def _code_use(codes: tuple[IntArray, int] | None) -> dict[str, float]:
    """Over all components together: they share one codebook."""
    if codes is None:
        return {"codebook_perplexity": float("nan"), "dead_codes": float("nan")}
    used, count = codes
    dead = float(metrics.dead_codes(used, count)) if count else float("nan")
    return {"codebook_perplexity": metrics.codebook_perplexity(used, count), "dead_codes": dead}


def print_report(scores: Scores) -> None:
    """One line per measure, one column per group; many groups are printed in blocks of columns."""
    groups = list(scores)
    for start in range(0, len(groups), REPORT_COLUMNS):
        block = groups[start : start + REPORT_COLUMNS]
        width = max(12, *(len(name) + 2 for name in block))
        print(("\n" if start else "") + "".ljust(32) + "".join(name.rjust(width) for name in block))
        for measure_name in scores[groups[0]]:
            values = "".join(f"{scores[name][measure_name]:{width}.4g}" for name in block)
            print(measure_name.ljust(32) + values)
