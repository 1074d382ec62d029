"""The job that is running for the window: what the operator drives, the panel shows and Cancel stops."""

from __future__ import annotations

import logging
import threading

from ..contracts import Motion, Progress, no_progress
from ..errors import Cancelled
from ..job import messages
from ..job.client import JobClient, error_of
from . import generation
from .generation import Prepared
from .preferences import EngineSettings

log = logging.getLogger(__name__)


#: What the panel and the status bar call the engine's stages.
STAGES = {
    "libraries": "Loading libraries",
    "model": "Loading the model",
    "speech": "Listening",
    "codes": "Choosing codes",
    "motion": "Making the motion",
    "take": "Preparing the keys",
    "ready": "Ready: leave this mode",
}


class Run:
    """One job in the background.

    prepared: what was read from the scene; stage, fraction: how far it is, for the panel
    take: the result, packed, once there is one; notes: the engine's sentences for the user about it
    cancelled: it was stopped, or its result is not wanted
    """

    def __init__(self, prepared: Prepared, engine: EngineSettings) -> None:
        self.prepared = prepared
        self.stage = "starting"
        self.fraction = 0.0
        self.take: bytes | None = None
        self.notes: tuple[str, ...] = ()
        self.cancelled = False
        self._client = _client(engine)
        self._capturing: threading.Thread | None = None
        self._captured: list[bytes | Exception] = []
        self._client.start(prepared.request)

    def advance(self) -> bool:
        """Take in what the job has reported; True when it is over.

        Afterwards either ``take`` is there or ``cancelled`` is set.  Raises UserError, or JobError
        for a bug.
        """
        for message in self._client.poll():
            match message:
                case messages.Progress("frames", _, _):
                    pass  # they come in turns with the codes, which tell how far it is
                case messages.Progress(stage, done, total) if not self.cancelled:
                    self.stage, self.fraction = stage, done / max(total, 1)
                case messages.Done(motion, report) if not self.cancelled:
                    self.notes = report.notes
                    # Beside Blender, too: it takes as long as writing the keys.
                    self.stage, self.fraction = "take", 1.0
                    self._capturing = threading.Thread(target=self._capture, args=(motion,), daemon=True)
                    self._capturing.start()
                case messages.Cancelled():
                    self.cancelled = True
                case messages.Failed():
                    raise error_of(message)
        if self._capturing is not None:
            if self._capturing.is_alive():
                return False
            match self._captured.pop():
                case Exception() as error:
                    raise error
                case bytes() as take:
                    self.take = take
        return self.take is not None or not self._client.running

    def _capture(self, motion: Motion) -> None:
        try:
            self._captured.append(generation.capture(self.prepared, motion))
        except Exception as error:  # noqa: BLE001 - raised again by advance(), in Blender's own thread
            self._captured.append(error)

    @property
    def label(self) -> str:
        """The stage in words."""
        return STAGES.get(self.stage, self.stage.capitalize())

    def cancel(self) -> None:
        """Ask the job to stop; ``advance`` tells when it has.  A result not yet written is dropped."""
        self.stage = "cancelling"
        self.cancelled = True
        self._client.cancel()

    def close(self) -> None:
        """Stop the job and wait for its threads and process."""
        self._client.close()
        if self._capturing is not None:
            self._capturing.join()


def run_blocking(
    prepared: Prepared, engine: EngineSettings, progress: Progress = no_progress
) -> tuple[Motion, messages.Report]:
    """Run the job and wait for it.  Raises UserError, Cancelled, or JobError for a bug."""
    client = _client(engine)
    try:
        motion = client.run_blocking(prepared.request, progress)
        report = client.last_report or messages.Report()
    except KeyboardInterrupt as error:
        raise Cancelled from error
    finally:
        client.close()
    return motion, report


def _client(engine: EngineSettings) -> JobClient:
    return JobClient("inside" if engine.mode == "inside" else "worker", engine.python, engine.extra_paths)


# The one piece of state that outlives a call: the panel and the Cancel button must find the job
# that the modal operator drives, and unregister() must be able to end it.
_current: Run | None = None


def current() -> Run | None:
    """The running job, if any."""
    return _current


def begin(prepared: Prepared, engine: EngineSettings) -> Run:
    """Start a job and make it the current one."""
    global _current  # noqa: PLW0603
    _current = Run(prepared, engine)
    return _current


def close_current() -> None:
    """End the current job, if any, and forget it."""
    global _current
    run, _current = _current, None
    if run is not None:
        run.close()
