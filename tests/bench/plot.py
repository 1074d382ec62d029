"""Rows → a picture of time against length.  Drawn by matplotlib's Agg canvas alone."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter

from codetalker_blender.disk import new_file

from .result import Row

_STYLES = (("#3a6ea5", "o"), ("#d1495b", "s"), ("#222222", "^"))


def write_plot(path: Path, rows: Sequence[Row]) -> bool:
    """Draw every config that was measured at two lengths or more; False when there is none."""
    series: dict[str, list[tuple[float, float]]] = {}
    for row in rows:
        if row.fast_s is not None and row.comparison is None:
            series.setdefault(row.config, []).append((row.clip_s, row.fast_s))
    series = {name: sorted(points) for name, points in series.items() if len(points) > 1}
    if not series:
        return False
    figure = lengths_figure(series)
    FigureCanvasAgg(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    with new_file(path) as draft:
        figure.savefig(draft, format="png", dpi=110)
    return True


def lengths_figure(series: dict[str, list[tuple[float, float]]]) -> Figure:
    """Seconds of work against seconds of sound, and the same per second of sound."""
    figure = Figure(figsize=(11, 4.6), layout="constrained")
    whole, each = figure.subplots(1, 2)
    for (name, points), (colour, marker) in zip(series.items(), _STYLES, strict=False):
        lengths_s = [length_s for length_s, _ in points]
        whole.plot(lengths_s, [taken_s for _, taken_s in points], marker=marker, color=colour, label=name)
        shares = [taken_s / length_s for length_s, taken_s in points]
        each.plot(lengths_s, shares, marker=marker, color=colour, label=name)
    each.axhline(1.0, color="#888888", linewidth=0.8, linestyle=":", label="real time")
    whole.set(ylabel="seconds of work", title="Time against length")
    each.set(ylabel="seconds of work per second of sound", title="Time per second of sound")
    for axes in (whole, each):
        axes.set(xscale="log", yscale="log", xlabel="seconds of sound")
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            axis.set_minor_formatter(NullFormatter())
        axes.grid(color="#e3e3e3", linewidth=0.6)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False)
    return figure
