"""Text and JSON ⇄ files.  Written to a temporary name and renamed: all of it or nothing.

Standard library only.
"""

from __future__ import annotations

import json
from pathlib import Path

from .disk import explained, new_file
from .errors import UserError


def read_text(path: Path) -> str:
    """A whole UTF-8 file, with or without a byte order mark.  Raises UserError."""
    try:
        return path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise UserError(
            f"'{path}' cannot be read: {error.strerror or error}.", "Check its name and permissions."
        ) from error
    except ValueError as error:  # bytes that are no UTF-8, or a name with a zero in it
        raise UserError(f"'{path}' cannot be read as text: {error}.") from error


def read_json(path: Path) -> object:
    """What a JSON file holds; an object that names a field twice is refused.  Raises UserError."""
    text = read_text(path)
    try:
        found: object = json.loads(text, object_pairs_hook=_object)
    except (ValueError, RecursionError) as error:
        raise UserError(f"'{path}' cannot be read as JSON: {error}.") from error
    return found


def _object(pairs: list[tuple[str, object]]) -> dict[str, object]:
    found = dict(pairs)
    if len(found) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the field '{next(name for name in names if names.count(name) > 1)}' comes twice")
    return found


def write_text(path: Path, text: str) -> None:
    """Write ``text`` as UTF-8 with its line ends as they are.  Raises OutputError."""
    with new_file(path) as draft, explained(path), draft.open("x", encoding="utf-8", newline="") as stream:
        stream.write(text)
