"""What the command line shows: progress on stderr, where the time went, and nothing of Blender's own."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Blender's own lines, several per rendered frame, off the standard output."""
    sys.stdout.flush()
    kept, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(nowhere)


def write_json(stdout: TextIO, values: Mapping[str, object]) -> None:
    """One JSON object on a line of its own."""
    stdout.write(f"{json.dumps(values)}\n")
    stdout.flush()


class Bar:
    """A progress bar on stderr where that is a terminal; elsewhere a line per tenth, if ``lines``."""

    def __init__(self, label: str, *, lines: bool = False) -> None:
        self.label = label
        self.lines = lines
        self._tenths: dict[str, int] = {}

    def show_stage(self, stage: str, done: int, total: int) -> None:
        """A progress callback."""
        self.label = stage
        self.show(done, total)

    def show(self, done: int, total: int) -> None:
        """So far of the stage whose name is ``label``."""
        share = done / max(total, 1)
        if sys.stderr.isatty():
            filled = round(30 * share)
            end = "\n" if done >= total else ""
            sys.stderr.write(f"\r{self.label:10} [{'#' * filled}{'.' * (30 - filled)}] {done}/{total} {end}")
        elif self.lines and int(10 * share) > self._tenths.get(self.label, 0):
            self._tenths[self.label] = int(10 * share)
            sys.stderr.write(f"{self.label} {done}/{total}\n")
        sys.stderr.flush()


class Clock:
    """Where the time went."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float]] = []

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Measures its block."""
        started = time.perf_counter()
        yield
        self.rows.append((name, time.perf_counter() - started))

    def add_parts(self, seconds: Mapping[str, float]) -> None:
        """Parts of the last row, indented."""
        self.rows += [(f"    {name}", float(value)) for name, value in seconds.items()]

    @property
    def seconds(self) -> dict[str, float]:
        """Rows and parts by name, rounded to milliseconds."""
        return {name.strip(): round(value, 3) for name, value in self.rows}

    def write_table(self) -> None:
        """To stdout, with the sum."""
        for name, seconds in self.rows:
            sys.stdout.write(f"{name:28}{seconds:8.2f} s\n")
        total = sum(seconds for name, seconds in self.rows if not name.startswith(" "))
        sys.stdout.write(f"{'total':28}{total:8.2f} s\n")
