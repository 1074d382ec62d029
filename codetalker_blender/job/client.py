"""Runs one job at a time beside the caller: a background thread that hosts it, and what it says.

"worker": the thread talks to a process of its own (``job/worker.py``), which can crash, run out of
memory or be killed without taking the caller along.  "inside": the thread runs the job itself.
The caller's own thread never waits: ``start``, then ``poll`` from a timer until a final message.
Standard library and numpy only; "inside" imports the engine in the thread.
"""

from __future__ import annotations

import atexit
import logging
import queue
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..contracts import (
    CancelCheck,
    EngineFacts,
    FrameSink,
    GenerateRequest,
    Motion,
    Progress,
    never_cancelled,
    no_progress,
)
from ..errors import Cancelled
from . import messages
from .failures import error_of, failed_of
from .job_files import take_frames, take_result
from .process import FOLDER_PREFIX, WorkerProcess

if TYPE_CHECKING:
    from ..street import ModelCache

log = logging.getLogger(__name__)

MODES = ("worker", "inside")

#: Longer than the worker's own patience with a cancelled job.
_KILL_AFTER_S = 5.0
#: How long ``close`` waits for the worker to end by itself.
_CLOSE_S = 1.0


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
        self._sink: FrameSink | None = None
        self._closing = threading.Lock()  # leaving Python closes what another thread may be closing
        self._process: WorkerProcess | None = None
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

    def start(self, request: messages.Task, sink: FrameSink | None = None) -> None:
        """Begin a job; returns at once.  RuntimeError when one is running.

        sink: takes frames while the others are still being made; called in the background thread
        """
        if self._running:
            raise RuntimeError("a job is running; cancel it or wait for its final message")
        if self._thread is not None:
            self._thread.join()  # its final message was taken, so it is about to return
        self._cancelled.clear()
        self._running, self._sink = True, sink
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
        with self._closing:
            self.cancel()
            if self._process is not None:
                self._process.close_stdin()  # the worker ends at once
            if self._thread is not None:
                self._thread.join(_CLOSE_S if self._mode == "worker" else None)
                if self._process is not None:
                    self._process.kill()
                self._thread.join()
                self._thread = None
            if self._process is not None:
                self._process.remove()
                self._process = None
            self._cache = self._sink = None
            self._running = False
            self._inbox = queue.SimpleQueue()

    def run_blocking(
        self,
        request: GenerateRequest,
        progress: Progress = no_progress,
        cancelled: CancelCheck = never_cancelled,
    ) -> Motion:
        """Start a job and wait for its motion.

        Raises the job's UserError, Cancelled, or JobError for a bug.
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
        self, request: messages.Task, progress: Progress, cancelled: CancelCheck
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
                        raise Cancelled
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

    def _host(self, target: Callable[[messages.Task], messages.Said], request: messages.Task) -> None:
        try:
            final = target(request)
        except Exception as error:  # noqa: BLE001 - the caller waits for a final message
            final = failed_of(error)
        self._inbox.put(final)

    def _inside(self, request: messages.Task) -> messages.Said:
        from ..street import ModelCache  # noqa: PLC0415 - the engine's libraries, in this thread
        from .worker import examine, perform  # noqa: PLC0415

        self._cache = self._cache or ModelCache()
        finals: list[messages.Said] = []

        def emit(message: messages.Reply) -> None:
            if isinstance(message, messages.Progress):
                self._inbox.put(message)
            elif isinstance(message, messages.Frames):
                self._show(message)
            else:
                finals.append(_final(message))

        if isinstance(request, messages.Check):
            examine(request, emit)
            return finals[-1]
        with tempfile.TemporaryDirectory(prefix=FOLDER_PREFIX, ignore_cleanup_errors=True) as folder:
            perform(request, emit, self._cancelled.is_set, self._cache, Path(folder), self._sink is not None)
        return finals[-1]

    def _show(self, frames: messages.Frames) -> None:
        """Hand frames to whoever wants to see them; the job does without, if that fails."""
        try:
            offsets = take_frames(frames)
            if self._sink is not None and not self._cancelled.is_set():
                self._sink(frames.start, offsets)
        except Exception:
            log.exception("Frames cannot be shown while the others are made")
            self._sink = None

    def _in_worker(self, request: messages.Task) -> messages.Said:
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

    def _ask(self, request: messages.Task) -> tuple[bool, messages.Said | None]:
        """Send the request and pass its progress on: (did the worker say anything, its final message).

        The final message is None when the worker ended without one.
        """
        process = self._worker()
        process.send(messages.asking(request, self._sink is not None))
        if self._cancelled.is_set():  # asked for before there was anybody to tell
            process.send_cancel()
        answered = False
        while (message := process.receive()) is not None:
            answered = True
            if isinstance(message, messages.Progress):
                self._inbox.put(message)
            elif isinstance(message, messages.Frames):
                self._show(message)
            elif isinstance(message, messages.LastReply):
                return answered, _final(message)
        return answered, None

    def _worker(self) -> WorkerProcess:
        assert self._process is not None  # made by _replace_process before anybody asks
        return self._process

    def _replace_process(self) -> None:
        if self._process is not None:
            self._process.remove()
            self._process = None  # a Python that cannot be started leaves none behind
        self._process = WorkerProcess(self._python, self._extra_paths)


def _final(reply: messages.LastReply) -> messages.Said:
    """A job's last word as the caller gets it.  Raises ProtocolError when its result is no motion."""
    return take_result(reply) if isinstance(reply, messages.Written) else reply


def _close_if_alive(reference: weakref.ref[JobClient]) -> None:
    client = reference()
    if client is not None:
        client.close()
