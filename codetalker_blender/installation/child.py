"""Runs one command to its end: its words go to a log, and it stops when that is asked for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ..contracts import CancelCheck
from ..errors import Cancelled, EngineError

_TICK_S = 0.1


def no_window() -> int:
    """Flags for a process that must not flash a console up on Windows."""
    if sys.platform == "win32":
        return subprocess.CREATE_NO_WINDOW
    return 0


def run_child(
    command: Sequence[str | Path],
    log: Path,
    environment: Mapping[str, str],
    cancelled: CancelCheck,
    tick: Callable[[], None] = lambda: None,
) -> tuple[int, str]:
    """(exit status, what it said).  Its words are added to ``log``.

    tick: called about ten times a second meanwhile.
    Raises Cancelled, with the command and all it started gone; EngineError when it cannot be started.
    """
    words = [str(part) for part in command]
    with log.open("ab") as stream:
        stream.write(f"$ {' '.join(words)}\n".encode())
        stream.flush()
        start = stream.tell()
        try:
            process = subprocess.Popen(
                words,
                stdin=subprocess.DEVNULL,
                stdout=stream,
                stderr=stream,
                env=environment,
                creationflags=no_window(),
                start_new_session=sys.platform != "win32",
            )
        except OSError as error:
            raise EngineError(f"'{words[0]}' cannot be started: {error.strerror or error}.") from error
        try:
            while True:
                with suppress(subprocess.TimeoutExpired):
                    status = process.wait(_TICK_S)
                    break
                if cancelled():
                    raise Cancelled
                tick()
        except BaseException:
            _kill(process)
            raise
    with log.open("rb") as stream:
        stream.seek(start)
        return status, stream.read().decode("utf-8", "replace")


def _kill(process: subprocess.Popen[bytes]) -> None:
    if sys.platform == "win32":
        # an environment's python.exe takes the Python that it starts along
        process.kill()
    else:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.wait()
