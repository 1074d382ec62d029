"""A row of the benchmark and the comparison of codes in it, as plain data that travels as JSON.

Standard library only.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

#: Fewer codes than these say nothing: random weights can collapse to a few that any loop would choose.
ENOUGH_CODES = 100


@dataclass(frozen=True)
class Difference:
    """The first frame whose codes differ, at its first component that does.

    nearest, second: squared distances of the reference's feature to its two nearest codes; NaN when unknown
    """

    frame: int
    component: int
    code: int
    reference: int
    nearest: float = float("nan")
    second: float = float("nan")

    def __str__(self) -> str:
        text = (
            f"codes first differ at frame {self.frame}, component {self.component}: "
            f"{self.code}, not {self.reference}"
        )
        if self.nearest != self.nearest:
            return text
        margin = self.second - self.nearest
        return f"{text}; nearest {self.nearest:.6g}, second {self.second:.6g}, margin {margin:.3g}"


@dataclass(frozen=True)
class Comparison:
    """Codes of two loops.

    agreement: share of equal codes, 0 to 1
    distinct: different codes that the reference used
    """

    agreement: float
    distinct: int
    difference: Difference | None = None

    @property
    def equal(self) -> bool:
        return self.difference is None


@dataclass(frozen=True)
class Row:
    """One measurement.  What does not apply, or cannot be known here, is None.

    config, clip_s: what, and seconds of sound
    plain_s, fast_s: seconds of the plain loop (of precision: the exact one), and of the engine
    peak_gib: the most memory held until the engine was done, on the GPU where the row ran there
    distinct_codes: how many different codes were used
    others_cores: cores that other processes kept busy meanwhile
    comparison: of the codes
    exact: whether the codes must be equal
    notes: sentences to print below the row
    floor: the least time possible, see ``floor.py``
    failed: why there is no measurement
    """

    config: str
    clip_s: float
    plain_s: float | None = None
    fast_s: float | None = None
    peak_gib: float | None = None
    distinct_codes: int | None = None
    others_cores: float | None = None
    comparison: Comparison | None = None
    exact: bool = True
    notes: tuple[str, ...] = ()
    floor: dict[str, Any] = field(default_factory=dict)
    failed: str = ""

    @property
    def ratio(self) -> float | None:
        return self.plain_s / self.fast_s if self.plain_s and self.fast_s else None

    @property
    def of_real_time(self) -> float | None:
        """Seconds of work per second of sound."""
        return self.fast_s / self.clip_s if self.fast_s else None

    def objections(self) -> list[str]:
        """Why the row does not count; empty when it does."""
        found = [f"failed: {self.failed}"] if self.failed else []
        if self.comparison is not None and self.exact:
            if self.comparison.difference is not None:
                found.append(str(self.comparison.difference))
            if self.comparison.distinct < ENOUGH_CODES:
                few = self.comparison.distinct
                found.append(
                    f"only {few} distinct codes, fewer than {ENOUGH_CODES}: equal codes prove little"
                )
        return found


def row_from_json(values: dict[str, Any]) -> Row:
    """The inverse of ``dataclasses.asdict``."""
    values = dict(values)
    comparison = values.pop("comparison", None)
    if comparison is not None:
        difference = comparison.pop("difference", None)
        comparison = Comparison(**comparison, difference=Difference(**difference) if difference else None)
    return Row(**{**values, "notes": tuple(values.get("notes", ())), "comparison": comparison})
