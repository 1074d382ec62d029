"""New files and folders that appear whole, and all of a run's together.

    with Staging() as staging:
        draft = staging.file(path)      # write there, with whatever
        staging.publish()               # onto the disk, then to where it belongs

What is written waits under a hidden name beside its place.  When the block ends in an error, or
without ``publish``, nothing of it is left; what a killed process left is removed by the next one
that stages the same path.  Standard library only.
"""

from __future__ import annotations

import glob
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from .disk import explained, refuse_folder

_MARK = "codetalker-part"
_TOKEN_BYTES = 4


class Staging:
    """The outputs of one run, until they are published."""

    def __init__(self) -> None:
        self._token = secrets.token_hex(_TOKEN_BYTES)
        #: (the hidden file or folder to remove, the draft, where it belongs)
        self._drafts: list[tuple[Path, Path, Path]] = []

    def file(self, path: Path) -> Path:
        """Where to write the file that shall be at ``path``; it has the same name.  Raises OutputError."""
        with explained(path):
            refuse_folder(path)
        return self._in_hidden_folder(path) / path.name

    def neighbour(self, path: Path) -> Path:
        """Like :meth:`file`, but in the same folder: for files that name others relative to themselves."""
        with explained(path):
            refuse_folder(path)
        sweep(path)
        draft = path.with_name(f".{path.name}.{self._token}.{_MARK}{path.suffix}")
        self._drafts.append((draft, draft, path))
        return draft

    def folder(self, path: Path) -> Path:
        """An empty folder whose files shall be in ``path``, beside what is there.  Raises OutputError."""
        draft = self._in_hidden_folder(path)
        self._drafts[-1] = (draft, draft, path)
        return draft

    def publish(self) -> list[Path]:
        """Move everything to its place; -> the files, in the order in which they were staged.

        Raises OutputError.  What comes before the first rename, and takes long, can be undone.
        """
        moves = [move for _, draft, path in self._drafts for move in _moves(draft, path)]
        for draft, path in moves:
            with explained(path):
                _force_onto_disk(draft)
        for draft, path in moves:
            with explained(path):
                path.parent.mkdir(exist_ok=True)
                draft.replace(path)
        for folder in {path.parent for _, path in moves}:
            _force_folder_onto_disk(folder)
        return [path for _, path in moves]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for hidden, _, _ in self._drafts:
            _remove(hidden)
        self._drafts.clear()

    def _in_hidden_folder(self, path: Path) -> Path:
        sweep(path)
        hidden = path.with_name(f".{path.name}.{self._token}.{_MARK}")
        with explained(path):
            hidden.mkdir()
        self._drafts.append((hidden, hidden / path.name, path))
        return hidden


def sweep(path: Path) -> None:
    """Remove what killed processes left of drafts for ``path``."""
    token = "[0-9a-f]" * (2 * _TOKEN_BYTES)
    for left in path.parent.glob(f".{glob.escape(path.name)}.{token}.{_MARK}*"):
        _remove(left)


def _moves(draft: Path, path: Path) -> Iterator[tuple[Path, Path]]:
    """(file, its place) for a draft that is a file or a folder of files."""
    if not draft.is_dir():
        yield draft, path
        return
    for file in sorted(draft.iterdir()):
        yield file, path / file.name


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _force_onto_disk(path: Path) -> None:
    """A rename may reach the disk before the content does, and a power cut come between the two."""
    with path.open("rb+") as stream:
        os.fsync(stream.fileno())


def _force_folder_onto_disk(folder: Path) -> None:
    if sys.platform == "win32":
        return  # folders cannot be opened there, and renames are journalled
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
