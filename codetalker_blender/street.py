"""One request in, one motion out: sound → bundle → codes → motion → the wanted frame rate.

The motion passes through in chunks, so that a file may be longer than memory.  Used by the command
line and by the job's worker.  Importing this file is light; torch and the other libraries of the
engine are imported by the first run, and named when they are missing.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .contracts import (
    AudioSource,
    CancelCheck,
    EngineFacts,
    FloatArray,
    FrameSink,
    GenerateRequest,
    IntArray,
    Motion,
    Progress,
    never_cancelled,
    no_frames,
    no_progress,
)
from .errors import Cancelled, EngineError
from .face.curves import resample_chunks, resampled_count
from .model_files import CONFIG_FILE, WEIGHTS_FILE
from .motion_files import motion_writer

if TYPE_CHECKING:
    from .engine.bundle import Bundle

#: What the engine imports beyond numpy; anything else that is missing is a bug.
ENGINE_MODULES = ("torch", "transformers", "soundfile", "safetensors")
#: What to do when this computer's memory is full.
MEMORY_HINT = "Close other programs, use a shorter range of the sound, or choose the device cpu."


class ModelCache:
    """Holds the last bundle loaded, so that several requests to one owner load it once.

    A bundle that changed on disk is loaded anew.
    """

    def __init__(self) -> None:
        self._key: tuple[str, ...] | None = None
        self._bundle: Bundle | None = None

    def load(self, folder: Path) -> Bundle:
        """The bundle in ``folder``.  Raises BundleError."""
        from .engine.bundle import load_bundle  # noqa: PLC0415 - brings torch

        key = _fingerprint(folder)
        if self._bundle is None or key is None or key != self._key:
            self._key, self._bundle = None, None  # frees the old one before the new one takes memory
            self._bundle = load_bundle(folder)
            self._key = key
        return self._bundle


@dataclass(frozen=True)
class Outcome:
    """What is to be said about a motion file that was made.

    frame_count: frames in the file; device: where the model ran in the end, "cpu", "cuda" or "mps"
    notes: sentences for the user, such as why it was another device
    """

    frame_count: int
    device: str
    notes: tuple[str, ...] = ()


def run_to_file(
    request: GenerateRequest,
    path: Path,
    progress: Progress = no_progress,
    cancelled: CancelCheck = never_cancelled,
    cache: ModelCache | None = None,
    model: str = "",
    style: str = "",
    sink: FrameSink = no_frames,
) -> Outcome:
    """Sound in, motion file out, written while the motion is made, so that memory does not grow with it.

    ``model`` and ``style`` are names for the file; ``sink`` gets each chunk once it is written.  Stages and
    errors are those of :func:`run`, and OutputError; when there is an error, there is no file.
    """
    frames = _Frames(request, progress, cancelled, cache or ModelCache())
    with motion_writer(
        path, frames.frame_count, frames.vertex_count, frames.fps, frames.model_fps, model, style
    ) as writer:
        done = 0
        for offsets in frames:
            writer.add(offsets)
            sink(done, offsets)
            done += len(offsets)
        writer.add_codes(np.concatenate(frames.codes))
        writer.add_loudness(frames.loudness)
    return frames.outcome()


def run(
    request: GenerateRequest,
    progress: Progress = no_progress,
    cancelled: CancelCheck = never_cancelled,
    cache: ModelCache | None = None,
) -> Motion:
    """Sound in, motion out, at ``request.fps`` (or the model's own rate); all of it in memory.

    Stages reported: "audio", "libraries" (importing torch) and "model" (one step each), then in turns the
    engine's and "frames", those that are finished.  Raises UserError for what the user can cure, Cancelled
    when ``cancelled()`` says so.
    """
    frames = _Frames(request, progress, cancelled, cache or ModelCache())
    try:
        motion = np.empty((frames.frame_count, frames.vertex_count, 3), np.float32)
    except MemoryError as error:  # of this computer, whatever device the model runs on
        raise EngineError(
            f"{frames.frame_count} frames at {frames.fps:g} fps do not fit into the memory.",
            "Choose fewer frames per second, or a shorter range of the sound.",
        ) from error
    done = 0
    for offsets in frames:
        motion[done : done + len(offsets)] = offsets
        done += len(offsets)
    return Motion(motion, frames.fps, np.concatenate(frames.codes), frames.model_fps, frames.loudness)


class _Frames:
    """The street of one request: iterate once, for its offsets (n, V, 3) at its rate, in chunks.

    frame_count, vertex_count, fps: of the offsets; model_fps: of the codes
    loudness: of the sound; codes: those of the chunks so far
    """

    def __init__(
        self, request: GenerateRequest, progress: Progress, cancelled: CancelCheck, cache: ModelCache
    ) -> None:
        self._device, self._progress, self._cancelled = request.device, progress, cancelled
        with explained(request.device):
            with _step("audio", progress, cancelled):
                from .engine.audio import loudness, read_waveform  # noqa: PLC0415 - brings soundfile

                waveform = read_waveform(request.audio)
                self.loudness = loudness(waveform)
            with _step("libraries", progress, cancelled):
                from .engine.generate import MotionStream  # noqa: PLC0415 - brings torch
            with _step("model", progress, cancelled):
                bundle = cache.load(request.model)
            self._stream = MotionStream(
                bundle,
                waveform,
                request.style,
                device=request.device,
                temperature=request.temperature,
                seed=request.seed,
                progress=progress,
                cancelled=cancelled,
            )
        self.vertex_count, self.model_fps = self._stream.vertex_count, self._stream.fps
        self.fps = self.model_fps if request.fps is None else request.fps
        self.frame_count = resampled_count(self._stream.frame_count, self.model_fps, self.fps)
        self.codes: list[IntArray] = []

    def __iter__(self) -> Iterator[FloatArray]:
        done = 0
        for offsets in resample_chunks(self._offsets(), self._stream.frame_count, self.model_fps, self.fps):
            if self._cancelled():
                raise Cancelled
            yield offsets
            done += len(offsets)
            self._progress("frames", done, self.frame_count)

    def outcome(self) -> Outcome:
        """Once all is made."""
        return Outcome(self.frame_count, self._stream.device.type, tuple(self._stream.notes))

    def _offsets(self) -> Iterator[FloatArray]:
        """At the model's own rate."""
        with explained(self._device):
            for chunk in self._stream:
                self.codes.append(chunk.codes)
                yield chunk.offsets


def check_sounds(sources: Iterable[AudioSource]) -> None:
    """Refuse the first sound whose file or header is bad, before any work.  Raises UserError."""
    with explained("cpu"):
        from .engine.audio import check_header  # noqa: PLC0415 - brings soundfile

        for source in sources:
            check_header(source)


def examine(device: str = "auto") -> EngineFacts:
    """What this Python has for the engine.  Raises EngineError when a library or the device is missing."""
    with explained(device):
        from .engine.facts import engine_facts  # noqa: PLC0415 - brings all of them

        return engine_facts(device)


@contextmanager
def _step(stage: str, progress: Progress, cancelled: CancelCheck) -> Iterator[None]:
    """A stage of one step, with its report before and after."""
    if cancelled():
        raise Cancelled
    progress(stage, 0, 1)
    yield
    progress(stage, 1, 1)


def _fingerprint(folder: Path) -> tuple[str, ...] | None:
    """What tells one bundle from another: the card holds the hashes of its files."""
    try:
        weights = (folder / WEIGHTS_FILE).stat()
        card = hashlib.sha256((folder / CONFIG_FILE).read_bytes()).hexdigest()
    except OSError:
        return None  # loading it says what is wrong
    return (str(folder.absolute()), card, str(weights.st_size), str(weights.st_mtime_ns))


@contextmanager
def explained(device: str) -> Iterator[None]:
    """A missing library and a full memory, as errors that say what to do."""
    try:
        yield
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in ENGINE_MODULES:
            raise
        version = ".".join(str(number) for number in sys.version_info[:3])
        raise EngineError(
            f"The Python {version} at '{sys.executable}' lacks the module '{module}'.",
            "Install it there, or choose another Python for the model in the preferences.",
        ) from error
    except (MemoryError, RuntimeError, ImportError, OSError) as error:
        if not _is_out_of_memory(error):
            raise
        details = str(error).partition("\n")[0].rstrip(".") or "no details"
        raise EngineError(
            f"The device '{device}' ran out of memory ({details}).",
            MEMORY_HINT,
        ) from error


def _is_out_of_memory(error: Exception) -> bool:
    # torch.OutOfMemoryError is a RuntimeError; the CPU allocator and MPS raise plain ones. A library that
    # finds no room to load is an ImportError or an OSError ("failed to map segment from shared object").
    words = (
        *("out of memory", "can't allocate memory", "cannot allocate memory", "not enough memory"),
        "failed to map segment",
    )
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(word in str(error).lower() for word in words)
    )
