"""Standard output and error for a program's own words alone, whatever libraries print.

Standard library only.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TextIO


@contextmanager
def own_stdout() -> Iterator[TextIO]:
    """The real standard output; what else is printed there meanwhile, from C too, goes to stderr."""
    if sys.stdout is None:  # the caller closed it (>&-)
        with Path(os.devnull).open("w", encoding="utf-8") as nowhere:
            yield nowhere
        return
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        with open(kept, "w", encoding="utf-8", closefd=False) as stdout:
            yield stdout
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


@contextmanager
def own_stderr() -> Iterator[tuple[TextIO, IO[bytes]]]:
    """The real stderr for our own lines alone, and a file with what libraries wrote to it.

    Decoders and torch warn on stderr from C, which would break the promise of one line; the file
    is shown only with a bug's traceback.
    """
    if sys.stderr is None:  # the caller closed it (2>&-)
        point_at_nothing(2)
    else:
        sys.stderr.flush()
    kept = os.dup(2)
    with (
        tempfile.TemporaryFile() as noise,
        open(kept, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as stderr,
    ):
        os.dup2(noise.fileno(), 2)
        old, sys.stderr = (
            sys.stderr,
            open(  # noqa: SIM115
                2, "w", encoding="utf-8", errors="backslashreplace", closefd=False
            ),
        )
        try:
            yield stderr, noise
        finally:
            sys.stderr.flush()
            sys.stderr = old
            stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)


def point_at_nothing(descriptor: int) -> None:
    """What is written to ``descriptor`` from now on goes nowhere."""
    null = os.open(os.devnull, os.O_WRONLY)
    if null != descriptor:  # it is the same when the descriptor was closed and the lowest free one
        os.dup2(null, descriptor)
        os.close(null)
