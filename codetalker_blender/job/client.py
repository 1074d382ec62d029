"""Runs one job at a time beside the caller: a background thread that hosts it, and what it says.

"worker": the thread talks to a process of its own (``job/worker.py``), which can crash, run out of
memory or be killed without taking the caller along.  "inside": the thread runs the job itself.
The caller's own thread never waits: ``start``, then ``poll`` from a timer until a final message.
Standard library and numpy only; "inside" imports the engine in the thread.

The worker's environment is the caller's with these changes: PYTHONPATH is the folder that holds
this package, then ``extra_paths``; PYTHONSTARTUP and PYTHONHOME are gone (they belong to the
caller's Python); Hugging Face libraries are told to stay offline.
"""

from __future__ import annotations

import atexit
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING

from .. import errors
from ..contracts import (
    CancelCheck,
    EngineFacts,
    GenerateRequest,
    Motion,
    Progress,
    never_cancelled,
    no_progress,
)
from . import messages

if TYPE_CHECKING:
    from ..street import ModelCache

MODES = ("worker", "inside")
#: What a client can be asked to do.
Task = messages.Task

_PACKAGE = Path(__file__).resolve().parents[1]
#: Longer than the worker's own patience with a cancelled job.
_KILL_AFTER_S = 5.0
_LOG_LINES = 20
_FOLDER_PREFIX = "codetalker-"


class JobError(Exception):
    """A job failed by a bug; ``traceback`` is for the log."""

    def __init__(self, message: str, traceback: str) -> None:
        super().__init__(message)
        self.traceback = traceback


def error_of(failed: messages.Failed) -> Exception:
    """The exception that a Failed message stands for: the same UserError, or JobError for a bug."""
    kind = getattr(errors, failed.kind, None)
    if isinstance(kind, type) and issubclass(kind, errors.UserError):
        return kind(failed.message, failed.hint)
    return JobError(failed.message, failed.traceback)


def worker_environment(extra_paths: Sequence[Path] = ()) -> dict[str, str]:
    """The worker's environment (see the top of the file)."""
    environment = {
        name: value for name, value in os.environ.items() if name not in ("PYTHONSTARTUP", "PYTHONHOME")
    }
    environment["PYTHONPATH"] = os.pathsep.join(str(path) for path in (_PACKAGE.parent, *extra_paths))
    environment["HF_HUB_OFFLINE"] = environment["TRANSFORMERS_OFFLINE"] = "1"
    return environment


class JobClient:
    """Hosts one job at a time.  Call ``close`` when done with it; leaving Python does so, too.

    In "worker" mode the process stays for the next job, with its model loaded, until ``close``.
    """

    def __init__(
        self, mode: str = "worker", python: Path | str | None = None, extra_paths: Sequence[Path] = ()
    ) -> None:
        """mode: one of MODES; python: the interpreter of the worker, None for the caller's own."""
        if mode not in MODES:
            raise ValueError(f"mode must be one of {MODES}, not {mode!r}")
        self._mode, self._extra_paths = mode, tuple(extra_paths)
        self._python = str(python or sys.executable)
        self._inbox: queue.SimpleQueue[messages.Said] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._cancelled = threading.Event()
        self._cancelled_at = 0.0
        self._running = False
        self._process: _Process | None = None
        self._cache: ModelCache | None = None
        #: what the last finished job reported
        self.last_report: messages.Report | None = None
        # A thread inside torch while Python shuts down aborts the whole program.
        atexit.register(_close_if_alive, weakref.ref(self))

    @property
    def running(self) -> bool:
        """Whether a job was started whose final message ``poll`` has not returned yet."""
        return self._running

    @property
    def worker_pid(self) -> int | None:
        """The worker process, while there is one."""
        process = self._process
        return process.pid if process is not None and process.alive else None

    def start(self, request: Task) -> None:
        """Begin a job; returns at once.  RuntimeError when one is running."""
        if self._running:
            raise RuntimeError("a job is running; cancel it or wait for its final message")
        if self._thread is not None:
            self._thread.join()  # its final message was taken, so it is about to return
        self._cancelled.clear()
        self._running = True
        target = self._in_worker if self._mode == "worker" else self._inside
        self._thread = threading.Thread(
            target=self._host, args=(target, request), name="codetalker job", daemon=True
        )
        self._thread.start()

    def poll(self) -> list[messages.Said]:
        """What was said since the last call; never waits.  The last one of a job is in FINAL."""
        said = []
        while True:
            try:
                said.append(self._taken(self._inbox.get_nowait()))
            except queue.Empty:
                break
        self._kill_if_stubborn()
        return said

    def cancel(self) -> None:
        """Ask the running job to stop; ``poll`` will return Cancelled (or what came first)."""
        if self._running and not self._cancelled.is_set():
            self._cancelled_at = time.monotonic()
            self._cancelled.set()
            if self._process is not None:
                self._process.send_cancel()

    def close(self) -> None:
        """Stop whatever runs and leave nothing behind: no thread, no process, no folder."""
        self.cancel()
        if self._process is not None:
            self._process.close_stdin()  # the worker ends at once
        if self._thread is not None:
            self._thread.join(_KILL_AFTER_S if self._mode == "worker" else None)
            if self._process is not None:
                self._process.kill()
            self._thread.join()
            self._thread = None
        if self._process is not None:
            self._process.remove()
            self._process = None
        self._cache = None
        self._running = False
        self._inbox = queue.SimpleQueue()

    def run_blocking(
        self,
        request: GenerateRequest,
        progress: Progress = no_progress,
        cancelled: CancelCheck = never_cancelled,
    ) -> Motion:
        """Start a job and wait for its motion.

        Raises the job's UserError, errors.Cancelled, or JobError for a bug.
        """
        final = self._finish(request, progress, cancelled)
        assert isinstance(final, messages.Done)  # what a GenerateRequest ends with
        return final.motion

    def check_blocking(self, device: str = "auto", cancelled: CancelCheck = never_cancelled) -> EngineFacts:
        """Ask what the Python that runs the model has; raises as ``run_blocking`` does."""
        final = self._finish(messages.Check(device), no_progress, cancelled)
        assert isinstance(final, messages.Checked)
        return final.facts

    def _finish(
        self, request: Task, progress: Progress, cancelled: CancelCheck
    ) -> messages.Done | messages.Checked | messages.Imported:
        self.start(request)
        try:
            while True:
                if cancelled():
                    self.cancel()
                self._kill_if_stubborn()
                try:
                    message = self._taken(self._inbox.get(timeout=0.05))
                except queue.Empty:
                    continue
                match message:
                    case messages.Progress(stage, done, total):
                        progress(stage, done, total)
                    case messages.Done() | messages.Checked() | messages.Imported():
                        return message
                    case messages.Cancelled():
                        raise errors.Cancelled
                    case messages.Failed():
                        raise error_of(message)
        finally:
            if self._running:  # the caller's own callback or Ctrl-C broke the loop
                self.close()

    def _taken(self, message: messages.Said) -> messages.Said:
        if isinstance(message, messages.Done):
            self.last_report = message.report
        if isinstance(message, messages.FINAL):
            self._running = False
        return message

    def _kill_if_stubborn(self) -> None:
        late = self._cancelled.is_set() and time.monotonic() - self._cancelled_at > _KILL_AFTER_S
        if self._running and late and self._process is not None:
            self._process.kill()

    # --- in the background thread ---

    def _host(self, target: Callable[[Task], messages.Said], request: Task) -> None:
        try:
            final = target(request)
        except Exception as error:  # noqa: BLE001 - the caller waits for a final message
            final = _as_failed(error)
        self._inbox.put(final)

    def _inside(self, request: Task) -> messages.Said:
        from ..street import ModelCache  # noqa: PLC0415 - the engine's libraries, in this thread
        from .worker import examine, perform  # noqa: PLC0415

        self._cache = self._cache or ModelCache()
        finals: list[messages.Said] = []

        def emit(message: messages.Reply) -> None:
            if isinstance(message, messages.Progress):
                self._inbox.put(message)
            else:
                finals.append(_final(message))

        if isinstance(request, messages.Check):
            examine(request, emit)
            return finals[-1]
        with tempfile.TemporaryDirectory(prefix=_FOLDER_PREFIX, ignore_cleanup_errors=True) as folder:
            perform(request, emit, self._cancelled.is_set, self._cache, Path(folder))
        return finals[-1]

    def _in_worker(self, request: Task) -> messages.Said:
        kept = self._process is not None and self._process.alive
        if not kept:
            self._replace_process()
        answered, final = self._ask(request)
        if kept and final is None and not answered and not self._cancelled.is_set():
            # It died between two jobs and was only now seen to be gone: no fault of this request.
            self._replace_process()
            _, final = self._ask(request)
        if final is not None:
            return final
        if self._cancelled.is_set():
            return messages.Cancelled()
        return self._worker().obituary()

    def _ask(self, request: Task) -> tuple[bool, messages.Said | None]:
        """Send the request and pass its progress on: (did the worker say anything, its final message).

        The final message is None when the worker ended without one.
        """
        process = self._worker()
        process.send(messages.asking(request))
        if self._cancelled.is_set():  # asked for before there was anybody to tell
            process.send_cancel()
        answered = False
        while (message := process.receive()) is not None:
            answered = True
            if isinstance(message, messages.Progress):
                self._inbox.put(message)
            elif isinstance(message, messages.LastReply):
                return answered, _final(message)
        return answered, None

    def _worker(self) -> _Process:
        assert self._process is not None  # made by _replace_process before anybody asks
        return self._process

    def _replace_process(self) -> None:
        if self._process is not None:
            self._process.remove()
            self._process = None  # a Python that cannot be started leaves none behind
        self._process = _Process(self._python, self._extra_paths)


class _Process:
    """A worker process, its pipes and its folder."""

    def __init__(self, python: str, extra_paths: Sequence[Path]) -> None:
        self._python = python
        self._lock = threading.Lock()  # stdin is written by the job's thread and by cancel()
        self._ready = False
        self.folder = Path(tempfile.mkdtemp(prefix=_FOLDER_PREFIX))
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
        """Write one message; a process that is gone is noticed when its replies end."""
        line = messages.encode(message, self.folder)
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
                message = messages.decode(line, self.folder)
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
        lines = (
            self._log.read_text("utf-8", "replace").splitlines()[-_LOG_LINES:] if self._log.exists() else []
        )
        how = f"with exit status {status}"
        if status < 0:
            how = f"by signal {-status} ({signal.Signals(-status).name})"
        last = next((line.strip() for line in reversed(lines) if line.strip()), "")
        killed = status in (-9, 137)
        return messages.Failed(
            message=f"The model's process ended {how}{': ' + last[:300] if last else ''}.",
            hint="It probably ran out of memory: close other programs or use a shorter range of the sound."
            if killed
            else f"Check the Python that runs the model ('{self._python}').",
            kind="EngineError",
            traceback="\n".join(lines),
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
            self._popen.wait(_KILL_AFTER_S)
        except subprocess.TimeoutExpired:
            self.kill()
            self._popen.wait()
        _pipe(self._popen.stdout).close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _pipe(stream: IO[bytes] | None) -> IO[bytes]:
    assert stream is not None  # opened with PIPE
    return stream


def _final(reply: messages.LastReply) -> messages.Said:
    """A job's last word as the caller gets it.  Raises ProtocolError when its result is no motion."""
    return messages.take(reply) if isinstance(reply, messages.Written) else reply


def _as_failed(error: Exception) -> messages.Failed:
    if isinstance(error, errors.UserError):
        return messages.Failed(error.message, error.hint, type(error).__name__)
    from .worker import describe_bug  # noqa: PLC0415 - light; only for a bug

    return describe_bug(error)


def _close_if_alive(reference: weakref.ref[JobClient]) -> None:
    client = reference()
    if client is not None:
        client.close()
