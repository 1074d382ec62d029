"""New files that appear whole, and what the disk refuses in sentences.  Standard library only.

Several files that belong together are staging.py's.
"""

from __future__ import annotations

import errno
import secrets
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import OutputError


@contextmanager
def new_file(path: Path) -> Iterator[Path]:
    """Where to write the file that shall be at ``path``: it gets there when the block has ended.

    When that ends in an error nothing is left.  Raises OutputError for what the disk refuses before and
    behind the block; in the block :func:`explained` does, around what writes.
    """
    draft = _draft_name(path)
    with explained(path):
        refuse_folder(path)
    try:
        yield draft
        with explained(path):
            draft.replace(path)
    finally:  # after a success there is nothing to do; a cancelled run, too, leaves nothing behind
        draft.unlink(missing_ok=True)


def check_writable(path: Path) -> None:
    """Refuse now what :func:`new_file` would refuse after minutes of work.  Raises OutputError."""
    probe = _draft_name(path)
    with explained(path):
        refuse_folder(path)
        try:
            probe.open("xb").close()
        finally:
            probe.unlink(missing_ok=True)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """What the disk refuses, as an OutputError."""
    try:
        yield
    except OSError as error:
        raise _refusal(path, error) from error


def refuse_folder(path: Path) -> None:
    """Raises OSError when ``path`` is a folder, or a name that the disk refuses."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return  # as it should be; if its folder is missing, too, opening says so
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")


def refuse_full(path: Path, needed_bytes: int, hint: str) -> None:
    """Raises OutputError before the first byte is written, rather than hours later, or what the disk does."""
    disk = shutil.disk_usage(path.parent)
    if needed_bytes > disk.free and disk.total:  # some network disks know neither
        needed, free = _size(needed_bytes), _size(disk.free)
        raise OutputError(f"'{path}' cannot be written: it needs {needed} where {free} are free.", hint)


def _size(size_bytes: int) -> str:
    return f"{size_bytes / 1e9:.1f} GB" if size_bytes >= 1e9 else f"{size_bytes / 1e6:.2f} MB"


def _refusal(path: Path, error: OSError) -> OutputError:
    if error.errno == errno.EISDIR:
        return OutputError(f"'{path}' cannot be written: it is a folder.", "Name a file in it.")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if file := _below_file(path.parent):
            return OutputError(
                f"'{path}' cannot be written: '{file}' is a file, not a folder.", "Choose a folder."
            )
        return OutputError(f"'{path}' cannot be written: its folder is missing.", "Make the folder first.")
    if error.errno == errno.EEXIST:
        return OutputError(f"'{path}' cannot be written: it is there, but no folder.", "Choose a folder.")
    reason = error.strerror or str(error)
    return OutputError(f"'{path}' cannot be written: {reason}.", "Check the disk and its permissions.")


def _below_file(folder: Path) -> Path | None:
    """The regular file that stands where a folder should, if any."""
    return next((part for part in (folder, *folder.parents) if stat.S_ISREG(mode_of(part))), None)


def mode_of(path: Path) -> int:
    """The mode bits of what is there; 0 for nothing, or for what the disk refuses to say."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _draft_name(path: Path) -> Path:
    """A new name beside ``path``; without its name, which may be as long as the disk allows."""
    return path.with_name(f".{secrets.token_hex(8)}.tmp")
