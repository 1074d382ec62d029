"""Can this installation run?  Everything it needs is looked at, and a second of speech is generated.

One finding after the other, so that a panel can show them as they come; together they are a report
that a user can paste into a bug report.  Knows neither bpy nor torch: the engine is asked through a job,
as for real work.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from . import resources
from .contracts import AudioSource, CancelCheck, EngineFacts, GenerateRequest, never_cancelled
from .errors import UserError
from .installation.machine import free_disk, gigabytes, memory, nvidia_card
from .installation.masking import masked
from .installation.pins import engine_pins, extension_version
from .installation.probe import probe
from .installation.source import CUDA_INDEX_EXAMPLE
from .job.client import JobClient
from .job.failures import JobError
from .job.process import worker_environment
from .model_files import FACE_FILE, WEIGHTS_FILE, read_card, verify_file

#: A minute of speech is 60 MB of motion for 5000 vertices, and a scene keeps several such things.
_LEAST_DISK = 500_000_000
#: What a job with the default model takes, libraries included, with room to spare.
_LEAST_MEMORY = 1_500_000_000
_SELF_TEST_S = 1.0
#: Least motion, in metres, by which a speaking mouth can be told from a stuck one.
_LEAST_MOTION = 1e-4


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    problem: what is wrong, as one sentence, and cure: what to do about it; "" when all is well
    """

    subject: str
    value: str
    problem: str = ""
    cure: str = ""

    def __str__(self) -> str:
        if not self.problem:
            return f"ok    {self.subject}: {self.value}"
        cure = f"\n      {self.cure}" if self.cure else ""
        return f"FAIL  {self.subject}: {self.problem}{cure}"


@dataclass(frozen=True)
class Engine:
    """The engine that is checked; as for :class:`JobClient`.

    device: "auto", "cpu", "cuda" or "mps"; scratch: a folder on the disk that is going to be used
    models: the folder of the user's own bundles
    missing: why it cannot run, where that is known without asking; "" otherwise
    """

    mode: str
    python: Path
    extra_paths: tuple[Path, ...]
    device: str
    scratch: Path
    models: Path | None = None
    missing: str = ""


def report(findings: Sequence[Finding]) -> str:
    """The findings as text, ready to paste: home folders masked, one line each, failures with their cure."""
    failed = sum(bool(finding.problem) for finding in findings)
    last = f"{failed} of {len(findings)} failed" if failed else f"all {len(findings)} are well"
    lines = ["CodeTalker: Check Installation", *map(str, findings), last]
    return masked("\n".join(lines)) + "\n"


def check_installation(engine: Engine, cancelled: CancelCheck = never_cancelled) -> Iterator[Finding]:
    """Look at everything, the quick things first.  Raises Cancelled alone."""
    yield _extension()
    yield _disk(engine.scratch)
    yield _memory()
    yield from _models(engine.models)
    client = JobClient(engine.mode, engine.python, engine.extra_paths)
    try:
        facts, finding = _libraries(client, engine, cancelled)
        yield finding
        if facts is not None:
            yield _device(facts, engine.device)
            yield _self_test(client, engine.device, cancelled)
    finally:
        client.close()


def _extension() -> Finding:
    system = f"{platform.system()} {platform.release()}, {platform.machine()}"
    try:
        return Finding("Extension", f"{extension_version()} on {system}, Python {platform.python_version()}")
    except UserError as error:
        return Finding("Extension", system, error.message, error.hint)


def _disk(folder: Path) -> Finding:
    try:
        free = free_disk(folder)
    except OSError as error:
        return Finding("Disk", "", f"'{folder}' cannot be asked: {error.strerror or error}.", "Check it.")
    text = f"{gigabytes(free)} free in '{folder}'"
    return Finding("Disk", text, f"Only {text}." if free < _LEAST_DISK else "", "Free some disk space.")


def _memory() -> Finding:
    found = memory()
    if found is None:
        return Finding("Memory", "the system does not tell")
    if found.free is None:
        return Finding("Memory", gigabytes(found.total))
    text = f"{gigabytes(found.free)} of {gigabytes(found.total)} free"
    return Finding("Memory", text, f"Only {text}." if found.free < _LEAST_MEMORY else "", "Close programs.")


def _models(folder: Path | None) -> Iterator[Finding]:
    """Every bundle, its files compared with their hashes."""
    try:
        folders = resources.list_models(folder)
        resources.default_model()
    except UserError as error:
        yield Finding("Model", "", error.message, error.hint)
        return
    for one in folders:
        subject = f"Model '{one.name}'"
        try:
            card = read_card(one)
            size = sum(verify_file(one, card, name).stat().st_size for name in (WEIGHTS_FILE, FACE_FILE))
        except UserError as error:
            yield Finding(subject, "", error.message, error.hint)
        else:
            yield Finding(
                subject, f"verified, {gigabytes(size)}, {card.fps:g} fps, {len(card.styles)} styles"
            )


def _libraries(
    client: JobClient, engine: Engine, cancelled: CancelCheck
) -> tuple[EngineFacts | None, Finding]:
    if engine.missing:
        return None, Finding("Engine", "", engine.missing)
    try:
        if engine.mode == "worker":  # a Python that lacks much says so sooner and better by itself
            seen = probe(engine.python, engine_pins(), worker_environment(engine.extra_paths))
            if seen.problem:
                return None, Finding("Engine", "", seen.problem, seen.cure)
        facts = client.check_blocking(engine.device, cancelled)
        wanted = {pin.name: pin.wanted.removeprefix("==") for pin in engine_pins() if "==" in pin.wanted}
    except UserError as error:
        return None, Finding("Engine", "", error.message, error.hint)
    except JobError as error:
        return None, Finding("Engine", "", str(error), "Please report this.")
    libraries = []
    for name, version in facts.versions.items():
        expected = wanted.get(name, "")
        # the build ("+cpu") is no other release
        other = expected and version.partition("+")[0] != expected
        libraries.append(f"{name} {version}" + (f" (made with {expected})" if other else ""))
    where = f"Python {facts.python} at '{engine.python}'" if engine.mode == "worker" else "inside Blender"
    return facts, Finding("Engine", f"{', '.join(libraries)}; {where}")


def _device(facts: EngineFacts, asked: str) -> Finding:
    text = f"{facts.device_name or facts.device} (torch built for {facts.torch_build})"
    card = nvidia_card() if facts.device == "cpu" and asked != "cpu" else ""
    if not card:
        return Finding("Device", text)
    if facts.torch_build == "CPU":
        return Finding(
            "Device",
            text,
            f"There is {card}, but this torch has no CUDA, so that the processor does the work.",
            f"Set the engine up for NVIDIA, or install a torch with CUDA (such as {CUDA_INDEX_EXAMPLE} has), "
            "or choose the device CPU.",
        )
    return Finding(
        "Device",
        text,
        f"There is {card}, but torch (built for {facts.torch_build}) cannot use it.",
        "Update the graphics driver, or choose the device CPU.",
    )


def _self_test(client: JobClient, device: str, cancelled: CancelCheck) -> Finding:
    """A second of the shipped speech through the shipped model."""
    started = time.perf_counter()
    try:
        model = resources.default_model()
        card = read_card(model)
        style = np.zeros((1, len(card.styles)), np.float32)
        style[0, 0] = 1.0
        speech = AudioSource(resources.shipped("speech/demo.flac"), start_s=0.5, duration_s=_SELF_TEST_S)
        motion = client.run_blocking(GenerateRequest(speech, model, style, device), cancelled=cancelled)
    except UserError as error:
        return Finding("Self-test", "", error.message, error.hint)
    except JobError as error:
        return Finding("Self-test", "", str(error), "Please report this.")
    seconds = time.perf_counter() - started
    furthest = float(np.abs(motion.offsets).max())
    text = f"{motion.frame_count} frames in {seconds:.1f} s, moving by up to {1000 * furthest:.1f} mm"
    if not np.isfinite(furthest) or furthest < _LEAST_MOTION:
        return Finding("Self-test", text, f"The face does not speak ({text}).", "Please report this.")
    return Finding("Self-test", text)
