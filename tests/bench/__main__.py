"""``python build.py bench``: one table, ours against the plain loop, and the same as JSON.

Official sizes run on random weights, driven by seeded noise in place of speech features.  A comparison
counts only when the codes are equal and varied; the exit status is 1 when a row does not count.
What is measured and how: docs/performance.md.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from codetalker_blender.text_files import write_text

from . import table
from .plot import write_plot
from .requests import NAMES, PROFILED, USUAL, Request, expand
from .result import Row, row_from_json

_ROOT = Path(__file__).resolve().parent.parent.parent
JSON_FILE, PLOT_FILE = "bench.json", "lengths.png"


def measure(request: Request) -> tuple[Row, dict[str, Any]]:
    """The row and its machine, from a process of its own; a row that failed says so."""
    command = [sys.executable, "-m", "tests.bench.row", json.dumps(asdict(request))]
    done = subprocess.run(command, cwd=_ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        reason = f"its process ended with status {done.returncode}"
        return Row(request.label, request.seconds, failed=reason), {}
    answer = json.loads(done.stdout.splitlines()[-1])
    return row_from_json(answer["row"]), answer["machine"]


def write_report(path: Path, machine: dict[str, Any], rows: Sequence[Row]) -> None:
    """The rows as JSON, with what follows from them; all of the file or nothing."""
    records = [
        {
            **asdict(row),
            "ratio": row.ratio,
            "of_real_time": row.of_real_time,
            "counts": not row.objections(),
        }
        for row in rows
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    write_text(path, json.dumps({**machine, "rows": records}, indent=1) + "\n")


def _seconds(text: str) -> float:
    value = float(text)
    if not (math.isfinite(value) and value > 0):
        raise argparse.ArgumentTypeError(f"{text} is no length of time")
    return value


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="build.py bench", description=__doc__)
    made.add_argument("--rows", nargs="+", choices=NAMES, default=list(USUAL), help="what to measure")
    made.add_argument(
        "--seconds", type=_seconds, default=10.0, help="clip of the official sizes and of the encoder"
    )
    made.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="cuda runs with TF32 off")
    made.add_argument("--profile", choices=PROFILED, help="only show where this size's loop spends its time")
    made.add_argument("--output", type=Path, default=_ROOT / "build" / "bench", help="folder of the reports")
    return made


def run(requests: Sequence[Request], output: Path) -> int:
    """Measure, print and write into the folder ``output``; the exit status."""
    rows: list[Row] = []
    machine: dict[str, Any] = {}
    print("\n".join(table.header()), flush=True)
    for request in requests:
        row, place = measure(request)
        rows.append(row)
        machine = machine or place
        print("\n".join(table.lines(row)), flush=True)
        # after every row, because the next may be interrupted
        write_report(output / JSON_FILE, machine, rows)
    if machine:
        print(", ".join(f"{name} {value}" for name, value in machine.items() if value is not None))
    print(f"The table is in {output / JSON_FILE}.", file=sys.stderr)
    if write_plot(output / PLOT_FILE, rows):
        print(f"Time against length is in {output / PLOT_FILE}.", file=sys.stderr)
    return 1 if any(row.objections() for row in rows) else 0


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    if options.profile:
        words = [options.profile, str(options.seconds), options.device]
        command = [sys.executable, "-m", "tests.bench.hotspots", *words]
        return subprocess.run(command, cwd=_ROOT, check=False).returncode
    return run(expand(options.rows, options.seconds, options.device), options.output.absolute())


if __name__ == "__main__":
    raise SystemExit(main())
