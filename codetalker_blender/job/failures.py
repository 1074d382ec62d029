"""An exception ⇄ the message that carries it from the worker to the caller.  Standard library only."""

from __future__ import annotations

import traceback

from .. import errors
from .messages import Failed


class JobError(Exception):
    """A job failed by a bug; ``traceback`` is for the log."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


def failed_of(error: BaseException) -> Failed:
    """A UserError as it is; of a bug one line for the user, and the traceback for the log."""
    if isinstance(error, errors.UserError):
        return Failed(error.message, error.hint, type(error).__name__)
    return Failed(
        message=f"Internal error: {type(error).__name__}: {' '.join(str(error).split())[:300]}",
        hint="The console shows the details; please report them.",
        kind=type(error).__name__,
        traceback="".join(traceback.format_exception(error)),
    )


def error_of(failed: Failed) -> Exception:
    """The inverse of :func:`failed_of`: the same UserError, or JobError for a bug."""
    kind = getattr(errors, failed.kind, None)
    if isinstance(kind, type) and issubclass(kind, errors.UserError):
        return kind(failed.message, failed.hint)
    return JobError(failed.message, failed.traceback)
