"""The worker process as its parent sees it: its pipes, its folder, its end.

Its environment is the caller's with these changes: PYTHONPATH is the folder that holds this
package, then ``extra_paths``; PYTHONSTARTUP and PYTHONHOME are gone (they belong to the caller's
Python); Hugging Face libraries are told to stay offline.  Standard library only.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from .. import errors
from . import lines, messages

#: How the names of job folders begin.
FOLDER_PREFIX = "codetalker-"

_PACKAGE = Path(__file__).resolve().parents[1]
#: A worker whose stdin was closed ends at once, if it can.
_END_S = 1.0
_LOG_LINES = 20


def worker_environment(extra_paths: Sequence[Path] = ()) -> dict[str, str]:
    """The worker's environment (see the top of the file)."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONSTARTUP", "PYTHONHOME")
    }
    environment["PYTHONPATH"] = os.pathsep.join(str(path) for path in (_PACKAGE.parent, *extra_paths))
    environment["HF_HUB_OFFLINE"] = environment["TRANSFORMERS_OFFLINE"] = "1"
    return environment


class WorkerProcess:
    """A worker process, its pipes and its folder."""

    def __init__(self, python: str, extra_paths: Sequence[Path]) -> None:
        self._python = python
        self._lock = threading.Lock()  # stdin is written by the job's thread and by cancel()
        self._ready = False
        self.folder = Path(tempfile.mkdtemp(prefix=FOLDER_PREFIX))
        self._log = self.folder / "worker.log"
        flags = 0
        if sys.platform == "win32":
            flags = subprocess.CREATE_NO_WINDOW | subprocess.CREATE_NEW_PROCESS_GROUP
        try:
            with self._log.open("wb") as log:
                self._popen = subprocess.Popen(
                    [python, "-m", f"{_PACKAGE.name}.job.worker", str(self.folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=log,
                    cwd=self.folder,  # -m puts the current directory first in sys.path
                    env=worker_environment(extra_paths),
                    creationflags=flags,
                    start_new_session=sys.platform != "win32",
                )
        except OSError as error:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise errors.EngineError(
                f"The Python '{python}' cannot be started: {error.strerror or error}.",
                "Choose another Python for the model in the preferences.",
            ) from error

    @property
    def alive(self) -> bool:
        return self._popen.poll() is None

    @property
    def pid(self) -> int:
        return self._popen.pid

    def send(self, message: messages.Request) -> None:
        """Write one message; a process that is gone is noticed when its replies end.  Raises OutputError."""
        line = lines.encode(message, self.folder)
        with self._lock:
            stdin = _pipe(self._popen.stdin)
            if not stdin.closed:
                try:
                    stdin.write(line)
                    stdin.flush()
                except OSError:
                    self._popen.poll()

    def send_cancel(self) -> None:
        self.send(messages.Cancel())

    def receive(self) -> messages.Message | None:
        """The next message, waiting for it; None when the process is gone."""
        for line in _pipe(self._popen.stdout):
            if not line.endswith(b"\n"):
                break  # it died in mid-sentence
            try:
                message = lines.decode(line, self.folder)
            except messages.ProtocolError:
                # What start-up files of that Python print comes before the worker takes stdout over.
                if self._ready:
                    self.kill()
                    raise
                continue
            if isinstance(message, messages.Ready):
                self._ready = True
            return message
        return None

    def obituary(self) -> messages.Failed:
        """Why the process ended in mid-job."""
        status = self._popen.wait()
        last_lines = (
            self._log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:] if self._log.exists() else []
        )
        how = f"with exit status {status}"
        if status < 0:
            how = f"by signal {-status} ({signal.Signals(-status).name})"
        last = next((line.strip() for line in reversed(last_lines) if line.strip()), "")
        # The system's own way to make room is to kill; C++ libraries end themselves.
        full = status in (-9, 137) or any("bad_alloc" in line for line in last_lines)
        return messages.Failed(
            message=f"The model's process ended {how}{': ' + last[:300] if last else ''}.",
            hint="It probably ran out of memory: close other programs or use a shorter range of the sound."
            if full
            else f"Check the Python that runs the model ('{self._python}').",
            kind="EngineError",
            traceback="\n".join(last_lines),
        )

    def close_stdin(self) -> None:
        with self._lock:
            try:
                _pipe(self._popen.stdin).close()
            except OSError:  # unsent bytes to a process that is gone
                self._popen.poll()

    def kill(self) -> None:
        self._popen.kill()

    def remove(self) -> None:
        """End the process for certain and delete its folder."""
        self.close_stdin()
        try:
            self._popen.wait(_END_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._popen.wait()
        _pipe(self._popen.stdout).close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # opened with PIPE
    return stream
