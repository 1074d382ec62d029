"""The standard output for a program's own words alone, whatever libraries print.  Standard library only."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO


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
