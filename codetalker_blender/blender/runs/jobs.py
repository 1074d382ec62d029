"""The runs for the window: one goes, others wait.  Operators drive them, the panel shows them.

    add ─► waiting ─► going: starting ─► stages ─► take ─► (the operator writes) ─► finish ─► the next

All share one worker, so that the model stays loaded between them (``job/host.py``).
"""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from bpy.app.translations import pgettext_iface as iface_

from ...contracts import Motion, Progress, no_progress
from ...errors import Cancelled, EngineError
from ...job import messages
from ...job.client import JobClient
from ...job.estimate import Estimate, in_words
from ...job.failures import error_of
from ...job.host import Host
from ..preferences import EngineSettings
from . import generation
from .generation import Prepared
from .preview import Preview

log = logging.getLogger(__name__)

#: What the panel and the status bar call the engine's stages.
STAGES = {
    "waiting": "Waiting",
    "starting": "Starting",
    "shapes": "Fitting the model's face, once",
    "audio": "Reading the sound",
    "libraries": "Loading libraries",
    "model": "Loading the model",
    "speech": "Listening",
    "codes": "Choosing codes",
    "motion": "Making the motion",
    "take": "Preparing the keys",
    "ready": "Ready: leave this mode",
    "cancelling": "Cancelling",
}


class Run:
    """One job, waiting or in the background.

    number: its own among all runs; prepared: what was read from the scene
    stage, fraction: how far it is, for the panel
    preview: its newest frames, where they are wanted
    take: the result, packed, once there is one; notes: the engine's sentences for the user about it
    seconds: stage -> seconds that it took, once there is a take
    cancelled: it was stopped, or its result is not wanted
    longest_s: the longest that Blender waited for one look at it; late_s: by how much a look came too late
    released: called when the queue gives the run up without being asked by whoever drives it
    """

    def __init__(self, number: int, prepared: Prepared, engine: EngineSettings) -> None:
        self.number, self.prepared, self.engine = number, prepared, engine
        self.stage = "waiting"
        self.fraction = 0.0
        self.preview: Preview | None = None
        self.take: bytes | None = None
        self.notes: tuple[str, ...] = ()
        self.seconds: dict[str, float] = {}
        self.cancelled = False
        self.longest_s = self.late_s = 0.0
        self.released: Callable[[], None] | None = None
        self._client: JobClient | None = None
        self._looked_at: float | None = None
        self._estimate = Estimate()
        self._capturing: threading.Thread | None = None
        self._captured: list[bytes | Exception] = []

    def start(self, client: JobClient, former: Mapping[str, float] | None = None) -> None:
        """Begin.  client: one without a job; former: stage -> seconds of an earlier run of the model."""
        self.stage = "starting"
        self._client, self._estimate = client, Estimate(former)
        request = self.prepared.request
        if self.prepared.portrait is not None and request.fps is not None:
            self.preview = Preview(self.prepared.portrait, request.fps)
        client.start(request, self.preview.add if self.preview is not None else None)

    def advance(self) -> bool:
        """Take in what the job has reported; True when it is over.  Not for a run that waits.

        Afterwards either ``take`` is there or ``cancelled`` is set.  Raises UserError, or JobError
        for a bug.
        """
        assert self._client is not None  # it was started
        for message in self._client.poll():
            match message:
                case messages.Progress("frames", _, _):
                    pass  # they come in turns with the codes, which tell how far it is
                case messages.Progress(stage, done, total) if not self.cancelled:
                    self.stage, self.fraction = stage, done / max(total, 1)
                    self._estimate.progress(stage, done, total, time.monotonic())
                case messages.Done(motion, report) if not self.cancelled:
                    self.notes, self.seconds = report.notes, dict(report.seconds)
                    # Beside Blender, too: it takes as long as writing the keys.  Python waits for this
                    # thread before it ends, because one that wakes up in a Python that is gone may crash.
                    self.stage, self.fraction = "take", 1.0
                    self._estimate.progress("take", 0, 1, time.monotonic())
                    self._capturing = threading.Thread(
                        target=self._capture, args=(motion,), name="codetalker capture"
                    )
                    self._capturing.start()
                case messages.Cancelled():
                    self.cancelled = True
                case messages.Failed() if not self.cancelled:
                    raise error_of(message)
        if self._capturing is not None:
            if self._capturing.is_alive():
                return False
            self._capturing.join()
            if self._captured:
                self._take_captured(self._captured.pop())
        return self.take is not None or not self._client.running

    def _capture(self, motion: Motion) -> None:
        began = time.monotonic()
        try:
            self._captured.append(generation.capture(self.prepared, motion))
        except Exception as error:  # noqa: BLE001 - raised again by advance(), in Blender's own thread
            self._captured.append(error)
        self.seconds["take"] = time.monotonic() - began

    def _take_captured(self, captured: bytes | Exception) -> None:
        match captured:
            case MemoryError():
                raise EngineError(
                    "Blender ran out of memory while it prepared the keys.",
                    "Close other programs, or use a shorter range of the sound.",
                ) from captured
            case Exception():
                raise captured
            case bytes():
                self.take = captured

    @contextmanager
    def timed(self, every_s: float) -> Iterator[None]:
        """Around each look at the run.  every_s: how often there should be one"""
        began = time.perf_counter()
        if self._looked_at is not None:
            self.late_s = max(self.late_s, began - self._looked_at - every_s)
        self._looked_at = began
        yield
        self.longest_s = max(self.longest_s, time.perf_counter() - began)

    @property
    def going(self) -> bool:
        """Whether it was started."""
        return self._client is not None

    @property
    def idle(self) -> bool:
        """Whether its client has nothing more to do, so that another run may have it."""
        return self._client is not None and not self._client.running

    @property
    def label(self) -> str:
        """The stage in words, and the time that is left once that is known."""
        words = iface_(STAGES.get(self.stage, self.stage.capitalize()))
        left = self._estimate.remaining_s(time.monotonic()) if not self.cancelled else None
        return words if left is None or self.stage == "ready" else f"{words}, {in_words(left, iface_)}"

    def cancel(self) -> None:
        """Ask the job to stop; ``advance`` tells when it has.  A result not yet written is dropped."""
        self.stage, self.cancelled = "cancelling", True
        if self._client is not None:
            self._client.cancel()

    def join(self) -> None:
        """Wait for its thread in this process, which uses no time to speak of."""
        if self._capturing is not None:
            self._capturing.join()


class Queue:
    """All runs, in the order in which they were asked for; the first is the one that goes."""

    def __init__(self) -> None:
        self._host = Host()
        self._runs: list[Run] = []
        self._numbers = itertools.count(1)
        #: model -> stage -> seconds of its last run
        self._former: dict[Path, Mapping[str, float]] = {}
        #: targets of runs that Blender ended, for the panel
        self.dropped: list[str] = []

    @property
    def current(self) -> Run | None:
        """The run that goes, if any."""
        return self._runs[0] if self._runs else None

    @property
    def waiting(self) -> tuple[Run, ...]:
        """Those behind it."""
        return tuple(self._runs[1:])

    @property
    def worker_pid(self) -> int | None:
        """The worker process, while there is one."""
        return self._host.worker_pid

    def holds(self, run: Run) -> bool:
        """Whether the run goes or waits."""
        return run in self._runs

    def add(self, prepared: Prepared, engine: EngineSettings) -> Run:
        """Start a run, or let it wait for those before it."""
        self.dropped.clear()
        run = Run(next(self._numbers), prepared, engine)
        self._runs.append(run)
        self.proceed()
        return run

    def proceed(self) -> None:
        """Start the first run, unless it goes already; whoever drives a run that waits calls this."""
        run = self.current
        if run is not None and not run.going:
            engine = run.engine
            mode = "inside" if engine.mode == "inside" else "worker"
            client = self._host.lend(mode, engine.python, engine.extra_paths)
            run.start(client, self._former.get(run.prepared.request.model))

    def cancel(self, number: int = 0) -> None:
        """Stop the run of this number; 0 is the one that goes.  A number that is gone is no error."""
        for run in self._runs:
            if run.number == number or (number == 0 and run.going):
                run.cancel()
                if not run.going:
                    self._runs.remove(run)
                return

    def cancel_all(self) -> None:
        """Stop the run that goes, and all that wait."""
        for run in self._runs:
            run.cancel()
        del self._runs[1:]

    def finish(self, run: Run) -> None:
        """The run is over, or is given up.  Waits for nothing, and starts nothing (see ``proceed``)."""
        if run not in self._runs:
            return
        self._runs.remove(run)
        if run.take is not None:
            self._former[run.prepared.request.model] = run.seconds
        if run.going and not run.idle:
            run.cancel()
            self._host.retire()
        if not self._runs:
            self._host.rest()

    def drop(self, run: Run) -> None:
        """Blender ended whoever drives the run: it loads another file, closes a window, or quits."""
        if run in self._runs:
            log.warning("The speech of '%s' was dropped; nothing was changed", run.prepared.target)
            self.dropped.append(run.prepared.target)
            self.finish(run)

    def close(self) -> None:
        """Stop everything and wait until no thread or process is left."""
        runs, self._runs = self._runs, []
        for run in runs:
            run.cancel()
            if run.released is not None:
                run.released()
        self._host.close()
        for run in runs:
            run.join()


#: The one piece of state that outlives a call: the panel and the Cancel buttons must find the runs
#: that modal operators drive, and unregister() must be able to end them.
QUEUE = Queue()


def current() -> Run | None:
    """The run that goes, if any."""
    return QUEUE.current


def run_blocking(
    prepared: Prepared, engine: EngineSettings, progress: Progress = no_progress
) -> tuple[Motion, messages.Report]:
    """Run the job and wait for it.  Raises UserError, Cancelled, or JobError for a bug."""
    client = JobClient("inside" if engine.mode == "inside" else "worker", engine.python, engine.extra_paths)
    try:
        motion = client.run_blocking(prepared.request, progress)
        report = client.last_report or messages.Report()
    except KeyboardInterrupt as error:
        raise Cancelled from error
    finally:
        client.close()
    return motion, report
