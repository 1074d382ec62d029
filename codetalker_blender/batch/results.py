"""What became of each row, as a table for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..errors import UserError
from .tasks import Task

DONE, FINISHED_BEFORE, FAILED = "done", "finished before", "failed"
#: Exit codes: all rows are there; a person can cure what failed; something failed by a bug.
ALL_THERE, REFUSED, BUG = 0, 2, 3


@dataclass(frozen=True)
class Result:
    """One row's end.

    state: one of the three above; outputs: its files
    runs: how often it was begun: 0 for one finished before, more than 1 for one that lost its process
    error, hint: as of a UserError; bug: a traceback
    report: what `generate` says about it
    """

    number: int
    name: str
    state: str
    outputs: tuple[str, ...] = ()
    runs: int = 1
    error: str = ""
    hint: str = ""
    bug: str = ""
    report: Mapping[str, object] = field(default_factory=dict)

    @classmethod
    def of_answer(cls, task: Task, answer: Mapping[str, Any]) -> Result:
        """What a worker said about a task."""
        if "error" in answer:
            return cls(
                task.number, task.name, FAILED,
                error=answer["error"], hint=answer["hint"], bug=answer["bug"],
            )  # fmt: skip
        return cls(task.number, task.name, DONE, tuple(answer["outputs"]), report=answer["report"])

    @classmethod
    def of_error(cls, task: Task, error: UserError, runs: int = 0) -> Result:
        """A row that could not be run, or not to its end."""
        return cls(task.number, task.name, FAILED, runs=runs, error=error.message, hint=error.hint)

    @property
    def seconds(self) -> float:
        """What it took to make, this time."""
        value = self.report.get("seconds", 0.0)
        return float(value) if isinstance(value, int | float) and self.state == DONE else 0.0


def exit_code(results: Iterable[Result]) -> int:
    """One for the whole batch."""
    failed = [result for result in results if result.state == FAILED]
    if not failed:
        return ALL_THERE
    return BUG if any(result.bug for result in failed) else REFUSED


def as_json(results: Sequence[Result], executor: str, seconds: float) -> dict[str, Any]:
    """The report on stdout."""
    counts = {state: sum(r.state == state for r in results) for state in (DONE, FINISHED_BEFORE, FAILED)}
    return {
        "status": "incomplete" if counts[FAILED] else "done",
        "executor": executor,
        "seconds": round(seconds, 3),
        "row_seconds": round(sum(result.seconds for result in results), 3),
        "counts": counts,
        "reruns": sum(max(result.runs - 1, 0) for result in results),
        "rows": [asdict(result) for result in results],
    }


def table(results: Sequence[Result]) -> str:
    """For a terminal or a log."""
    width = max((len(result.name) for result in results), default=0)
    lines = []
    for result in results:
        said = f"{result.error} {result.hint}".strip() or ", ".join(result.outputs)
        runs = f"  ({result.runs} runs)" if result.runs > 1 else ""
        row = f"{result.number:5}  {result.name:{width}}  {result.state:15}  {result.seconds:7.2f} s"
        lines.append(f"{row}  {said}{runs}\n")
    done = sum(result.state != FAILED for result in results)
    return "".join(lines) + f"{done} of {len(results)} rows are finished.\n"
