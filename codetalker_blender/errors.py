"""The errors a user can cause and cure, as one sentence and a hint.

Pure code raises them; the operator or the command line catches them once and shows
``str(error)``.  Anything else that escapes is a bug and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence


class UserError(Exception):
    """Something the user can cure.

    ``message`` is one sentence that says what is wrong and where, with the numbers;
    ``hint`` is one sentence that says what to do about it (may be empty).
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        self.message = " ".join(message.split())
        self.hint = " ".join(hint.split())

    def __str__(self) -> str:
        return f"{self.message} {self.hint}".strip()


class AudioError(UserError):
    """The sound cannot be read or holds no usable speech."""


class BundleError(UserError):
    """A model bundle or checkpoint is unreadable, truncated or inconsistent."""


class TargetError(UserError):
    """The mesh that should be animated is missing or does not fit."""


class OutputError(UserError):
    """A result cannot be written where it was asked for."""


class EngineError(UserError):
    """The Python that runs the model lacks something it needs."""


class Cancelled(Exception):
    """The run was cancelled; raised inside the engine when ``cancelled()`` says so."""


def reason_of(error: Exception) -> str:
    """What one of Blender's operators says went wrong, as the end of a sentence without its full stop."""
    lines = (line.strip().removeprefix("Error: ") for line in str(error).splitlines())
    return " ".join(" ".join(lines).split()).rstrip(".")


def listed(names: Sequence[str], most: int = 5) -> str:
    """Names in a sentence: the first few, and how many more there are."""
    more = len(names) - most
    return ", ".join(names[:most]) + (f" and {more} more" if more > 0 else "")
