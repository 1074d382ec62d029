"""An evaluation → pictures: mouth opening beside the truth, errors on the face, use of the codes.

Drawn by matplotlib's Agg canvas alone: no window, no state of pyplot's.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.collections import PolyCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh, IntArray
from training import metrics
from training.datasets.phones import BILABIALS, LABIODENTALS, OPEN_VOWELS, SILENCE
from training.score_clip import ClipScores
from training.score_files import write_bytes
from training.scores import Evaluation

Floats = NDArray[np.float64]

OPENINGS_FILE, FACE_FILE, CODES_FILE = "openings.png", "face_error.png", "codes.png"
#: Clips in the picture of openings, from the best to the worst, and how much of each.
SHOWN_CLIPS, SHOWN_S = 4, 6.0
#: The colour scale ends where so many percent of the vertices are below it.
_SCALE_PERCENT = 99.5
_TURN_DEGREES = 40.0
#: Light where nothing is wrong, so that the face is seen there too.
_ERRORS = LinearSegmentedColormap.from_list("errors", ["#ececec", "#fbe08c", "#f08a24", "#c1272d", "#4a0d38"])
_TRUTH, _PREDICTED = "#222222", "#d1495b"
#: Colours behind the phones that the measures judge.
_PHONE_COLOURS = (
    (BILABIALS, "#7fb7e6", "p b m: lips shut"),
    (LABIODENTALS, "#b9dca0", "f v: lip to teeth"),
    (OPEN_VOWELS, "#f6dfa4", "open vowels"),
    (frozenset({SILENCE}), "#e3e3e3", "silence"),
)


def write_plots(folder: Path, evaluation: Evaluation, model: str, up_axis: str) -> list[str]:
    """Draw what the evaluation has data for; the names of the files.  Raises OutputError."""
    drawn = {FACE_FILE: face_figure(evaluation, model, up_axis)}
    known = [row for row in evaluation.clips if np.isfinite(row.opening_mm).all()]
    if known:
        drawn[OPENINGS_FILE] = openings_figure(_spread(known), evaluation.styles, model)
    codes = evaluation.codes()
    if codes is not None:
        drawn[CODES_FILE] = codes_figure(*codes, model)
    for name, figure in drawn.items():
        write_bytes(folder / name, _png(figure))
    return sorted(drawn)


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    out = io.BytesIO()
    figure.savefig(out, format="png", dpi=110)
    return out.getvalue()


# Mouth opening --------------------------------------------------------------------------------


def _spread(rows: Sequence[ClipScores]) -> list[ClipScores]:
    """Clips from the best to the worst r, evenly between; those without r count as worst."""
    ranked = sorted(rows, key=lambda row: -row.r if np.isfinite(row.r) else np.inf)
    places = np.linspace(0, len(ranked) - 1, min(SHOWN_CLIPS, len(ranked))).round().astype(int)
    return [ranked[place] for place in places]


def openings_figure(rows: Sequence[ClipScores], styles: Sequence[str], model: str) -> Figure:
    """A row per clip: truth and prediction over time, with the phones behind them."""
    figure = Figure(figsize=(15, 0.9 + 2.6 * len(rows)), layout="constrained")
    figure.suptitle(f"Mouth opening: {model} beside the truth (from the best clip to the worst)")
    for row, axes in zip(rows, figure.subplots(len(rows), 1, squeeze=False)[:, 0], strict=True):
        clip = row.clip
        shown = min(row.frames, int(SHOWN_S * clip.fps))
        times = np.arange(shown) / clip.fps
        end_s = max(float(times[-1]), 1.0 / clip.fps)
        curves = row.truth_opening_mm[:shown], row.opening_mm[:shown]
        top = 1.18 * max(float(max(curve.max() for curve in curves)), row.rest_mm + 1.0)
        _mark_phones(axes, row, end_s, top)
        axes.axhline(row.rest_mm, color="#888888", linewidth=0.8, linestyle=":")
        axes.plot(times, curves[0], color=_TRUTH, linewidth=1.6, label="truth")
        axes.plot(times, curves[1], color=_PREDICTED, linewidth=1.6, label="prediction")
        axes.set(xlim=(0.0, end_s), ylim=(0.0, top), ylabel="opening, mm")
        cut = f", first {SHOWN_S:g} s" if shown < row.frames else ""
        axes.set_title(
            f"{clip.name} ({clip.voice}, {styles[clip.style]}{cut}): r {row.r:.2f}, "
            f"with another clip's sound {row.shuffled_r:.2f}, difference {row.mod_mm:.1f} mm",
            loc="left", fontsize=10,
        )  # fmt: skip
        axes.spines[["top", "right"]].set_visible(False)
    figure.axes[-1].set_xlabel("time, s")
    handles, labels = _legend(figure)
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    return figure


def _mark_phones(axes: Axes, row: ClipScores, end_s: float, top: float) -> None:
    """A band behind each judged phone, and every phone's name on the upper edge."""
    # names on two levels in turn, or those of short phones would cover each other
    spoken = cycle((0.99, 0.935))
    for phone in row.phones:
        if phone.start_s >= end_s:
            break
        stop_s = min(phone.end_s, end_s)
        for labels, colour, meaning in _PHONE_COLOURS:
            if phone.label in labels:
                axes.axvspan(phone.start_s, stop_s, color=colour, alpha=0.6, linewidth=0, label=meaning)
        if phone.label != SILENCE:
            middle = (phone.start_s + stop_s) / 2.0
            axes.text(
                middle, next(spoken) * top, phone.label, fontsize=7, ha="center", va="top", color="#444444"
            )


def _legend(figure: Figure) -> tuple[list[Any], list[str]]:
    """One handle for each label in the figure, the curves first."""
    found: dict[str, Any] = {}
    for axes in figure.axes:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            found.setdefault(label, handle)
    order = ["truth", "prediction", *(meaning for _, _, meaning in _PHONE_COLOURS)]
    labels = [label for label in order if label in found]
    return [found[label] for label in labels], labels


# The face -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class View:
    """A face seen along one direction.

    points: (V, 2) right and up; depth: (V,), larger is nearer
    shade: (F,) 0 to 1 brightness of each triangle
    """

    points: Floats
    depth: Floats
    shade: Floats


def view_of(face: FaceMesh, up_axis: str, turn_degrees: float) -> View:
    """Seen from the front, or turned about the up axis.

    Faces with Z up look along -y (Blender's), all others along +z (FLAME's, BIWI's).
    """
    up = np.eye(3)["XYZ".index(up_axis)]
    front = np.array([0.0, -1.0, 0.0]) if up_axis == "Z" else np.array([0.0, 0.0, 1.0])
    right = np.cross(up, front)
    angle = np.radians(turn_degrees)
    toward = np.cos(angle) * front + np.sin(angle) * right
    right = np.cross(up, toward)
    vertices = face.vertices.astype(np.float64)
    corners = vertices[face.triangles]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-20)
    light = toward + 0.35 * up - 0.25 * right
    # either winding: what is seen is lit from the viewer's side
    lit = np.abs(normals @ (light / np.linalg.norm(light)))
    return View(np.stack([vertices @ right, vertices @ up], axis=1), vertices @ toward, 0.35 + 0.65 * lit)


def face_figure(evaluation: Evaluation, model: str, up_axis: str) -> Figure:
    """Mean error per vertex, and how much more or less each vertex moves than in the truth."""
    weights = [row.frames for row in evaluation.clips]
    error, truth, motion = (
        np.average([getattr(row, name) for row in evaluation.clips], axis=0, weights=weights)
        for name in ("vertex_error_mm", "truth_motion_mm", "motion_mm")
    )
    face = evaluation.ruler.face
    high = max(float(np.percentile(error, _SCALE_PERCENT)), 1e-6)
    reach = max(float(np.percentile(np.abs(motion - truth), _SCALE_PERCENT)), 1e-6)
    figure = Figure(figsize=(11, 11), layout="constrained")
    figure.suptitle(f"{model}: {len(evaluation.clips)} clips, mean vertex error {error.mean():.2f} mm")
    maps = (
        (error, Normalize(0.0, high), _ERRORS, "max", "mean distance from the truth, mm"),
        (
            motion - truth,
            Normalize(-reach, reach),
            "RdBu_r",
            "both",
            "mean offset: moves less (blue), more (red), mm",
        ),
    )
    for axes_row, (values, scale, colours, ends, label) in zip(figure.subplots(2, 2), maps, strict=True):
        colour = ScalarMappable(scale, colours)
        for axes, turn in zip(axes_row, (0.0, _TURN_DEGREES), strict=True):
            _draw_face(axes, face, view_of(face, up_axis, turn), values, colour)
        figure.colorbar(colour, ax=list(axes_row), label=label, shrink=0.8, extend=ends)
    return figure


def _draw_face(axes: Axes, face: FaceMesh, view: View, values: Floats, colour: ScalarMappable) -> None:
    """Triangles from back to front; vertices alone where the face has no triangles."""
    if len(face.triangles):
        order = np.argsort(view.depth[face.triangles].mean(axis=1))
        triangles = face.triangles[order]
        paint = colour.to_rgba(values[triangles].mean(axis=1))
        paint[:, :3] *= view.shade[order, None]
        # an edge of its own colour hides the seams between neighbours
        axes.add_collection(
            PolyCollection(view.points[triangles], facecolors=paint, edgecolors=paint, lw=0.3)
        )
    else:
        order = np.argsort(view.depth)
        axes.scatter(*view.points[order].T, c=colour.to_rgba(values[order]), s=4)
    axes.set_aspect("equal")
    axes.autoscale_view()
    axes.axis("off")


# Codes ----------------------------------------------------------------------------------------


def codes_figure(codes: IntArray, code_count: int, model: str) -> Figure:
    """How often each code is used, from the most used on: by all components, and by each."""
    count = code_count or int(codes.max()) + 1
    uses = np.stack([np.bincount(column, minlength=count) for column in codes.T])
    shares = 100.0 * uses / len(codes)
    order = np.argsort(-uses.sum(axis=0), kind="stable")
    figure = Figure(figsize=(12, 7), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    above.bar(np.arange(count), shares.mean(axis=0)[order], width=1.0, color="#3a6ea5")
    above.axhline(100.0 / count, color=_PREDICTED, linestyle="--", linewidth=1.0, label="all codes alike")
    above.set(ylabel="share of all choices, %", xlim=(-0.5, count - 0.5))
    above.legend(frameon=False)
    dead = (
        f"{metrics.dead_codes(codes, count)} of {code_count} never used" if code_count else "codebook unknown"
    )
    above.set_title(
        f"{model}: perplexity {metrics.codebook_perplexity(codes, count):.1f}, {dead} "
        f"({len(codes)} frames, {codes.shape[1]} components)"
    )
    above.spines[["top", "right"]].set_visible(False)
    picture = below.imshow(
        np.where(uses > 0, shares, np.nan)[:, order], aspect="auto", cmap="viridis", interpolation="nearest"
    )
    below.set(xlabel="code, from the most used to the least", ylabel="component")
    below.set_yticks(range(codes.shape[1]))
    figure.colorbar(picture, ax=below, label="share within the component, % (white: never)")
    return figure
