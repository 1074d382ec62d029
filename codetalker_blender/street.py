"""One request in, one motion out: sound → bundle → codes → motion → the wanted frame rate.

Used by the command line and by the job's worker.  Importing this file is light; torch and the
other libraries of the engine are imported by the first run, and named when they are missing.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from .contracts import (
    AudioSource,
    CancelCheck,
    GenerateRequest,
    Motion,
    Progress,
    never_cancelled,
    no_progress,
)
from .errors import Cancelled, EngineError
from .face.curves import resample_offsets
from .model_files import CONFIG_FILE, WEIGHTS_FILE

if TYPE_CHECKING:
    from .engine.bundle import Bundle

#: What the engine imports beyond numpy; anything else that is missing is a bug.
ENGINE_MODULES = ("torch", "transformers", "soundfile", "safetensors")


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


def run(
    request: GenerateRequest,
    progress: Progress = no_progress,
    cancelled: CancelCheck = never_cancelled,
    cache: ModelCache | None = None,
) -> Motion:
    """Sound in, motion out, at ``request.fps`` (or the model's own rate).

    Stages reported: "audio", "libraries" (importing torch) and "model" (one step each), then the
    engine's, then "frames".  Raises UserError for what the user can cure, Cancelled when
    ``cancelled()`` says so.
    """
    with _explained(request.device):
        with _step("audio", progress, cancelled):
            from .engine.audio import read_waveform  # noqa: PLC0415 - brings soundfile

            waveform = read_waveform(request.audio)
        with _step("libraries", progress, cancelled):
            from .engine.generate import generate  # noqa: PLC0415 - brings torch
        with _step("model", progress, cancelled):
            bundle = (cache or ModelCache()).load(request.model)
        motion = generate(
            bundle,
            waveform,
            request.style,
            device=request.device,
            temperature=request.temperature,
            seed=request.seed,
            progress=progress,
            cancelled=cancelled,
        )
    if request.fps is None or request.fps == motion.fps:
        return motion
    with _step("frames", progress, cancelled):
        try:
            offsets = resample_offsets(motion.offsets, motion.fps, request.fps)
        except MemoryError as error:  # of this computer, whatever device the model ran on
            raise EngineError(
                f"{motion.frame_count} frames at {motion.fps:g} fps do not fit into the memory "
                f"at {request.fps:g} fps.",
                "Choose fewer frames per second, or a shorter range of the sound.",
            ) from error
    return Motion(offsets=offsets, fps=request.fps, codes=motion.codes, model_fps=motion.model_fps)


def check_sounds(sources: Iterable[AudioSource]) -> None:
    """Refuse the first sound whose file or header is bad, before any work.  Raises UserError."""
    with _explained("cpu"):
        from .engine.audio import check_header  # noqa: PLC0415 - brings soundfile

        for source in sources:
            check_header(source)


def device_used(name: str) -> str:
    """What "auto" means here: "cuda", "mps" or "cpu".  Raises EngineError."""
    with _explained(name):
        from .engine.devices import choose_device  # noqa: PLC0415 - brings torch

        return str(choose_device(name))


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
def _explained(device: str) -> Iterator[None]:
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
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        details = str(error).partition("\n")[0].rstrip(".") or "no details"
        raise EngineError(
            f"The device '{device}' ran out of memory ({details}).",
            "Close other programs, use a shorter range of the sound, or choose the device cpu.",
        ) from error


def _is_out_of_memory(error: MemoryError | RuntimeError) -> bool:
    # torch.OutOfMemoryError is a RuntimeError; the CPU allocator and MPS raise plain ones.
    words = ("out of memory", "can't allocate memory", "not enough memory")
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or any(word in str(error).lower() for word in words)
    )
