"""Tables of numbers ⇄ CSV.  One that is damaged is refused in a sentence that says where.  Numpy only."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ..errors import UserError
from ..text_files import read_text

Floats = NDArray[np.float64]


class Table:
    """A CSV: a header of different names, then rows of as many fields."""

    def __init__(self, path: Path) -> None:
        """Read it.  Raises UserError."""
        self.path = path
        text = read_text(path)
        if "\0" in text:
            raise UserError(f"'{path}' cannot be read as CSV: it holds bytes that are no text.")
        try:
            lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
        except csv.Error as error:
            raise UserError(f"'{path}' cannot be read as CSV: {error}.") from error
        if not lines:
            raise UserError(f"'{path}' is empty.")
        self.header = [name.strip() for name in lines[0]]
        self.rows = lines[1:]
        if len(set(self.header)) != len(self.header):
            twice = next(name for name in self.header if self.header.count(name) > 1)
            raise UserError(f"'{path}' has the column '{twice}' twice.")
        if not self.rows:
            raise UserError(f"'{path}' holds no frame: there is nothing below its first line.")
        for number, row in enumerate(self.rows, start=2):
            if len(row) != len(self.header):
                raise UserError(
                    f"'{path}', row {number}: it has {len(row)} fields where the first line has "
                    f"{len(self.header)}.",
                    "The file is cut short or changed; export it again.",
                )

    def column(self, name: str) -> int:
        """Raises UserError when there is none of that name."""
        if name not in self.header:
            raise UserError(f"'{self.path}' lacks the column '{name}'.")
        return self.header.index(name)

    def numbers(self, columns: Sequence[int]) -> Floats:
        """(rows, columns) of finite numbers."""
        try:
            found = np.array([[float(row[column]) for column in columns] for row in self.rows])
        except ValueError:
            found = None
        if found is None or not np.isfinite(found).all():
            raise self._refuse_number(columns)
        return found.reshape(len(self.rows), len(columns))

    def _refuse_number(self, columns: Sequence[int]) -> UserError:
        for number, row in enumerate(self.rows, start=2):
            for column in columns:
                try:
                    good = math.isfinite(float(row[column]))
                except ValueError:
                    good = False
                if not good:
                    return UserError(
                        f"'{self.path}', row {number}, column '{self.header[column]}': '{row[column]:.40}' "
                        "is no finite number."
                    )
        raise AssertionError("every number is finite")


def table_text(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The text of a CSV with these fields."""
    stream = io.StringIO(newline="")
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return stream.getvalue()
