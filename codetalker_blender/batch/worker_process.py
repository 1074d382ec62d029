"""The parent's side of a worker process: start it, hand it a task, wait for its answer, end it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from .results import Result
from .tasks import Task

_PACKAGE = Path(__file__).resolve().parents[1]
#: How many threads to compute with.  MKL and OpenBLAS follow it; to set theirs, too, would undo the user's.
_THREADS = "OMP_NUM_THREADS"
_END_AFTER_S = 5.0
_LOG_CHARACTERS = 2000


class WorkerLost(Exception):
    """The process ended without an answer; says how."""


class WorkerProcess:
    """One process, with its model loaded once.  Belongs to one thread at a time, but for ``close``."""

    def __init__(self, command: Sequence[str], threads: int) -> None:
        """command: see Program.worker; threads: for computing, unless the environment says how many."""
        environment = {_THREADS: str(threads), **os.environ}
        folders = [str(_PACKAGE.parent), environment.get("PYTHONPATH", "")]
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, folders))
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - closed with the process
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NEW_PROCESS_GROUP
        self._process = subprocess.Popen(
            [command[0] or sys.executable, *command[1:]],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            env=environment,
            # Ctrl-C in a terminal is for the parent, which then closes the pipes.
            start_new_session=sys.platform != "win32",
            creationflags=flags,
        )

    @property
    def pid(self) -> int:
        return self._process.pid

    def run(self, task: Task) -> Result:
        """Wait for one task.  Raises WorkerLost."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        try:
            stdin.write(task.as_json().encode() + b"\n")
            stdin.flush()
        except (OSError, ValueError) as error:  # it has gone, or was closed
            raise WorkerLost(self._obituary()) from error
        for line in stdout:
            # What a start-up file prints comes before the worker takes stdout over.
            if line.startswith(b"{") and line.endswith(b"\n"):
                return Result.of_answer(task, json.loads(line))
        raise WorkerLost(self._obituary())

    def close(self) -> None:
        """End it; a task that it is running stops and leaves nothing half-written."""
        if self._process.stdin is not None:
            try:
                self._process.stdin.close()
            except OSError:  # unsent bytes to a process that has gone
                self._process.poll()
        try:
            self._process.wait(_END_AFTER_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _obituary(self) -> str:
        try:
            status = self._process.wait(_END_AFTER_S)
        except subprocess.TimeoutExpired:
            return "its process closed its output"
        self._log.seek(0)
        said = self._log.read()[-_LOG_CHARACTERS:].decode("utf-8", "replace").strip().splitlines()
        how = f"signal {-status}" if status < 0 else f"exit status {status}"
        return f"its process ended with {how}{': ' + said[-1] if said else ''}"
