"""The process that runs the model or imports one: requests on stdin → progress, results on stdout.  No bpy.

``python -m codetalker_blender.job.worker FOLDER``; ``job/client.py`` starts it and owns FOLDER,
through which arrays travel.  Runs one job at a time and keeps the last model between jobs.  It
ends when its stdin does, that is, also when its parent dies.
``perform`` is the job itself; the client calls it directly to run a job inside Blender.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from .. import street
from ..contracts import CancelCheck, FloatArray, GenerateRequest, ImportRequest, no_frames
from ..errors import Cancelled, EngineError, OutputError, UserError
from ..face.model_shapes import keep_shapes
from ..face.shape_transfer import carry_to_face
from ..model_files import read_card, read_face
from ..official_import import import_official
from . import job_files, lines, messages
from .failures import failed_of

#: Progress messages are at least this far apart, but for the first and the last of a stage.
PROGRESS_INTERVAL_S = 0.1
#: A cancelled job that has not stopped by itself by then takes the whole process with it.
CANCEL_GRACE_S = 2.0
#: What progress calls the making of a face's ARKit shapes.
SHAPES_STAGE = "shapes"

Emit = Callable[[messages.Reply], None]


def perform(
    request: messages.Job,
    emit: Emit,
    cancelled: CancelCheck,
    cache: street.ModelCache,
    folder: Path,
    frames: bool = False,
) -> None:
    """Run one request; emits any number of Progress and Frames, then exactly one final message.

    That is Written or, of an import, Imported; or Failed, or Cancelled.
    folder: the job's, for the result; frames: whether Frames are wanted
    """
    stages = _Stages(emit)
    path = job_files.result_file(folder)

    def show(start: int, offsets: FloatArray) -> None:
        try:
            emit(job_files.write_frames(folder, start, offsets))
        except OutputError as error:  # the result may still find room
            sys.stderr.write(f"{error}\n")

    try:
        if isinstance(request, ImportRequest):
            emit(messages.Imported(import_official(request, stages.progress, cancelled)))
            return
        # first, because a face that has no shapes ends the job
        notes = _keep_shapes(request, stages) if request.shapes is not None else ()
        made = street.run_to_file(
            request, path, stages.progress, cancelled, cache, sink=show if frames else no_frames
        )
        report = messages.Report(stages.seconds, made.device, made.frame_count, (*notes, *made.notes))
        emit(messages.Written(path, report))
    except Cancelled:
        emit(messages.Cancelled())
    except MemoryError as error:  # beyond those that the street explains
        full = failed_of(EngineError("The memory is full.", street.MEMORY_HINT))
        emit(replace(full, traceback=failed_of(error).traceback))
    except Exception as error:  # noqa: BLE001 - a bug must reach the user's log, not end the worker
        emit(failed_of(error))


def examine(check: messages.Check, emit: Emit) -> None:
    """Tell what this Python has; emits exactly one of Checked, Failed."""
    try:
        emit(messages.Checked(street.examine(check.device)))
    except Exception as error:  # noqa: BLE001 - as in perform
        emit(failed_of(error))


def _keep_shapes(request: GenerateRequest, stages: _Stages) -> tuple[str, ...]:
    """See to it that the model's face has its ARKit shapes; -> sentences about it.  Raises UserError.

    A cancel does not interrupt it: it ends the process, and inside Blender it waits some seconds.
    """
    assert request.shapes is not None
    card = read_card(request.model)
    face = read_face(request.model, card)
    stages.progress(SHAPES_STAGE, 0, 1)
    try:
        made = keep_shapes(
            face,
            card.units_per_metre,
            request.shapes,
            lambda offsets: carry_to_face(face, card.name, offsets),
        )
    except UserError as error:
        if request.needs_shapes:
            raise
        return (f"Shapes that layers would use are missing. {error.message}",)
    stages.progress(SHAPES_STAGE, 1, 1)
    if not made:
        return ()
    seconds = stages.seconds[SHAPES_STAGE]
    return (
        f"The demo head's shapes were carried over to the face of '{card.name}' in {seconds:.0f} s; later "
        "runs use them again.",
    )


class _Stages:
    """Passes on progress, not too often, and adds up each stage's time; stages may take turns."""

    def __init__(self, emit: Emit) -> None:
        self._emit = emit
        self._sent = self._last = time.monotonic()
        #: stage -> seconds
        self.seconds: dict[str, float] = {}

    def progress(self, stage: str, done: int, total: int) -> None:
        """A report follows its work, so the time since the last one belongs to this stage."""
        now = time.monotonic()
        news = stage not in self.seconds or done >= total
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now
        if news or now - self._sent >= PROGRESS_INTERVAL_S:
            self._sent = now
            self._emit(messages.Progress(stage, done, total))


class _Job:
    """One request and whether its end was asked for."""

    def __init__(self, request: messages.Task, frames: bool = False) -> None:
        self.request, self.frames = request, frames
        self.cancelled = threading.Event()
        self.over = threading.Event()

    def cancel(self) -> None:
        """Ask the job to stop, and make sure of it."""
        if self.cancelled.is_set() or self.over.is_set():
            return
        self.cancelled.set()
        timer = threading.Timer(CANCEL_GRACE_S, self._insist)
        timer.daemon = True
        timer.start()

    def _insist(self) -> None:
        # Importing torch or one long step of it cannot be interrupted in any other way.
        if not self.over.is_set():
            os._exit(130)


class Worker:
    """Reads requests in a thread, so that Cancel and the parent's end are noticed in mid-job."""

    def __init__(self, folder: Path, requests: BinaryIO, replies: BinaryIO) -> None:
        self._folder, self._requests, self._replies = folder, requests, replies
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._cache = street.ModelCache()

    def serve(self) -> None:
        """Run jobs until the process ends (see ``_read``)."""
        self._send(messages.Ready(".".join(str(number) for number in sys.version_info[:3])))
        threading.Thread(target=self._read, name="codetalker requests", daemon=True).start()
        while True:
            job = self._jobs.get()
            if isinstance(job.request, messages.Check):
                examine(job.request, self._send)
            else:
                perform(job.request, self._send, job.cancelled.is_set, self._cache, self._folder, job.frames)
            job.over.set()

    def _send(self, message: messages.Message) -> None:
        line = lines.encode(message, self._folder)
        try:
            self._replies.write(line)
            self._replies.flush()
        except OSError:
            self._leave()

    def _read(self) -> None:
        latest: _Job | None = None
        try:
            for line in self._requests:
                match lines.decode(line, self._folder):
                    case messages.Generate(request, frames):
                        latest = _Job(request, frames)
                        self._jobs.put(latest)
                    case messages.Import(request):
                        latest = _Job(request)
                        self._jobs.put(latest)
                    case messages.Check() as check:
                        latest = _Job(check)
                        self._jobs.put(latest)
                    case messages.Cancel():
                        if latest is not None:
                            latest.cancel()
                    case other:
                        raise messages.ProtocolError(f"{type(other).__name__} is no request")
        except Exception:  # noqa: BLE001 - whatever it is, the parent must see this process end
            traceback.print_exc()
            sys.stderr.flush()
            os._exit(70)
        self._leave()

    def _leave(self) -> None:
        """The parent closed the pipe or died: nobody is left to clean up or to wait for a result."""
        shutil.rmtree(self._folder, ignore_errors=True)
        os._exit(0)


def _take_stdout() -> BinaryIO:
    """The real stdout for the protocol alone; whatever prints from now on goes to stderr."""
    sys.stdout.flush()
    replies = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return replies


def main(arguments: list[str]) -> int:
    """Entry of the process.  Returns only when it was called wrongly."""
    if len(arguments) != 1 or not Path(arguments[0]).is_dir():
        sys.stderr.write("usage: python -m codetalker_blender.job.worker FOLDER (started by job/client.py)\n")
        return 2
    # Ctrl-C in a terminal reaches the whole process group, but stopping is the parent's decision.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Worker(Path(arguments[0]), sys.stdin.buffer, _take_stdout()).serve()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
