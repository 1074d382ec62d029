"""Rows → lines of text.  Standard library only."""

from __future__ import annotations

from .result import Row

_COLUMNS = (
    ("config", 18),
    ("clip s", 7),
    ("plain s", 8),
    ("fast s", 8),
    ("ratio", 6),
    ("x real time", 11),
    ("peak GiB", 8),
    ("codes equal", 11),
    ("distinct", 8),
    ("others' cores", 13),
)


def header() -> list[str]:
    line = "  ".join(name.ljust(width) if name == "config" else name.rjust(width) for name, width in _COLUMNS)
    return [line, "-" * len(line)]


def _number(value: float | None, digits: int) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _equal(row: Row) -> str:
    if row.comparison is None:
        return "-"
    if row.exact:
        return "yes" if row.comparison.equal else "no"
    return f"{100 * row.comparison.agreement:.2f} %"


def lines(row: Row) -> list[str]:
    """The row itself, and below it what is to be said of it."""
    cells = (
        f"{row.clip_s:g}",
        _number(row.plain_s, 2),
        _number(row.fast_s, 2),
        _number(row.ratio, 2),
        _number(row.of_real_time, 3),
        _number(row.peak_gib, 2),
        _equal(row),
        "-" if row.distinct_codes is None else str(row.distinct_codes),
        _number(row.others_cores, 2),
    )
    widths = [width for _, width in _COLUMNS]
    line = "  ".join(
        [row.config.ljust(widths[0])]
        + [cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True)]
    )
    notes = [*row.notes, *(f"DOES NOT COUNT: {objection}" for objection in row.objections())]
    return [line, *(f"    {note}" for note in notes)]
