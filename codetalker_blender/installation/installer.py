"""Makes the managed environment in a background thread: list, ask, fetch, install, try.

    environment ─► list ─► (agree) ─► download ─► install ─► check ─► ready

Nothing is fetched but pip's own lists until ``agree`` is called.  Everything is written under the
environment's folder, pip's scratch files too, and nothing of it stays when the set-up fails or is
cancelled, but for its log.  All work is done by child processes; the caller's thread never waits.
"""

from __future__ import annotations

import atexit
import logging
import os
import shutil
import threading
import weakref
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from ..errors import Cancelled, EngineError, OutputError, UserError
from .child import run_child
from .environment import ManagedEnvironment
from .machine import free_disk, gigabytes
from .pins import Pin
from .pip_words import why_pip_stopped
from .plan import Plan, read_plan, with_sizes
from .probe import probe
from .source import CPU_INDEX, PackageSource

log = logging.getLogger(__name__)

#: The smallest engine (torch 2.13 for processors, on Linux): 0.2 GB to fetch, 0.9 GB unpacked.
LEAST_BYTES = 1_500_000_000
#: Unpacked, packages take at least this many times what was fetched; the exact figure is known only then.
_UNPACKED = 2.0
#: Compiled Python files come on top of what is in the packages.
_COMPILED = 1.15
#: Variables by which pip or Python would write or look elsewhere.
_STRAY = ("PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_USER", "PYTHONPATH", "PYTHONHOME", "PYTHONSTARTUP")


class Installer:
    """One set-up.  ``start`` it, wait for ``plan``, then ``agree`` or ``cancel``; ``close`` it in any case.

    stage: "environment", "list", "agree" (it waits for an answer), "download", "install", "check",
        and in the end "ready", "cancelled" or "failed"
    fraction: how far the stage is, None where that is not known
    plan: what will be fetched, once that is known; error: why it failed
    """

    def __init__(
        self, environment: ManagedEnvironment, base: Path, pins: Sequence[Pin], source: PackageSource
    ) -> None:
        """base: the Python that the environment is made with."""
        self.environment, self.source = environment, source
        self.stage = "environment"
        self.fraction: float | None = None
        self.plan: Plan | None = None
        self.error: UserError | None = None
        self._base, self._pins = base, tuple(pins)
        self._agreed, self._cancelled = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="codetalker set-up", daemon=True)
        # Leaving Python must not leave pip at work.
        atexit.register(_close_if_alive, weakref.ref(self))

    @property
    def doubt(self) -> str:
        """What speaks against the plan, as a sentence; "" when nothing does."""
        if self.plan is None or self.source.index != CPU_INDEX or not self.plan.has_cuda:
            return ""
        return (
            f"This is torch for NVIDIA cards, which is far larger, because {CPU_INDEX} did not answer: "
            "cancel and let this computer reach it, or name another Package Index."
        )

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def start(self) -> None:
        """Begin; returns at once.  Raises EngineError when the disk is too full even for the smallest."""
        self._check_disk(LEAST_BYTES)
        self._thread.start()

    def agree(self) -> None:
        """Go on with the plan."""
        self._agreed.set()

    def cancel(self) -> None:
        """Ask it to stop; returns at once."""
        self._cancelled.set()

    def close(self) -> None:
        """Stop it, wait for its end."""
        self.cancel()
        if self._thread.ident is not None:
            self._thread.join()

    def wait(self) -> None:
        """Wait until it has ended, or needs an answer."""
        while self.running and not (self.stage == "agree" and not self._agreed.is_set()):
            self._thread.join(0.05)

    # --- in the background thread ---

    def _run(self) -> None:
        try:
            self._make()
            self.stage = "ready"
            return
        except Cancelled:
            ending = "cancelled"
        except UserError as error:
            ending, self.error = "failed", error
        except OSError as error:
            reason = f"The system refused to set the engine up: {error.strerror or error}."
            ending, self.error = "failed", OutputError(reason, f"Check '{self.environment.folder}'.")
        except Exception as error:
            log.exception("The set-up of the engine failed")
            ending, self.error = "failed", EngineError(f"Internal error: {type(error).__name__}: {error}")
        try:
            self.environment.remove()
        except OutputError as error:
            self.error = self.error or error
        self.stage = ending

    def _make(self) -> None:
        folder = self.environment.folder
        self.environment.remove()
        for part in ("tmp", "wheels"):
            (folder / part).mkdir(parents=True)
        self.environment.log.unlink(missing_ok=True)
        self._make_environment()
        self.plan = self._listed()
        self._step("agree")
        while not self._agreed.wait(0.05):
            self._proceed()
        self._check_disk((1 + _UNPACKED) * self.plan.size)
        wheels = self._fetched(self.plan)
        self._check_disk(_COMPILED * sum(_unpacked_size(wheel) for wheel in wheels))
        self._install(wheels)
        self._try_out()
        for part in ("tmp", "wheels"):
            shutil.rmtree(folder / part)
        packages = {package.name: package.version for package in self.plan.packages}
        self.environment.mark_ready(self._pins, packages)

    def _make_environment(self) -> None:
        self._step("environment")
        status, said = self._child([self._base, "-c", "import venv, ensurepip"])
        if status:
            lines = said.strip().splitlines() or ["no reason given"]
            raise EngineError(
                f"The Python '{self._base}' cannot make environments ({lines[-1][:200]}).",
                "Install what it lacks (Debian and Ubuntu: python3-venv), or make an environment yourself "
                "and choose Own Environment.",
            )
        status, said = self._child([self._base, "-m", "venv", self.environment.folder / "venv"])
        if status:
            raise self._refusal("The environment could not be made", said)

    def _listed(self) -> Plan:
        self._step("list")
        report = self.environment.folder / "tmp" / "report.json"
        wanted = [str(pin) for pin in self._pins]
        # An index that cannot be reached is asked for every package anew: pip's five tries take minutes.
        options = ["--dry-run", "--quiet", "--retries", "1", "--only-binary=:all:", "--report", str(report)]
        status, said = self._pip("install", *options, *self.source.arguments, *wanted)
        if status:
            raise self._refusal(f"The packages could not be listed from {self.source}", said)
        return with_sizes(read_plan(report), self._share)

    def _fetched(self, plan: Plan) -> list[Path]:
        self._step("download")
        scratch, wheels = (self.environment.folder / part for part in ("tmp", "wheels"))
        list_file = scratch / "packages.txt"
        list_file.write_text("\n".join(package.requirement for package in plan.packages), encoding="utf-8")

        def tick() -> None:
            self._share(min(_size_of(scratch, wheels) / plan.size, 1.0) if plan.size else None)

        status, said = self._pip(
            "download", "--no-deps", "--dest", str(wheels), "--requirement", str(list_file), tick=tick
        )
        if status:
            raise self._refusal("The packages could not be fetched", said)
        return sorted(wheels.iterdir())

    def _install(self, wheels: Sequence[Path]) -> None:
        self._step("install")
        library = self.environment.folder / "venv"
        records = [f"{part}/site-packages/*.dist-info/RECORD" for part in ("lib/python*", "Lib")]

        def tick() -> None:
            done = sum(1 for pattern in records for _ in library.glob(pattern))
            self._share(min(done / len(wheels), 1.0))

        options = ["--no-deps", "--no-index", "--isolated", "--quiet"]
        status, said = self._pip("install", *options, *map(str, wheels), tick=tick)
        if status:
            raise self._refusal("The packages could not be installed", said)

    def _try_out(self) -> None:
        self._step("check")
        found = probe(self.environment.python, self._pins, self._variables())
        if found.problem:
            raise EngineError(found.problem, found.cure)
        names = ", ".join(pin.name for pin in self._pins)
        status, said = self._child([self.environment.python, "-c", f"import {names}"])
        if status:
            lines = said.strip().splitlines() or [f"exit status {status}"]
            raise EngineError(
                f"The packages were installed and cannot be imported ({lines[-1][:200]}).",
                "On Windows, install Microsoft's Visual C++ Redistributable; else report this.",
            )

    def _pip(self, verb: str, *options: str, tick: Callable[[], None] | None = None) -> tuple[int, str]:
        quiet = ["--no-input", "--no-cache-dir", "--disable-pip-version-check", "--progress-bar", "off"]
        return self._child([self.environment.python, "-m", "pip", verb, *quiet, *options], tick)

    def _child(
        self, command: Sequence[str | Path], tick: Callable[[], None] | None = None
    ) -> tuple[int, str]:
        asked = self._cancelled.is_set
        return run_child(command, self.environment.log, self._variables(), asked, tick or (lambda: None))

    def _variables(self) -> dict[str, str]:
        """The environment variables of the children: scratch files stay in the folder."""
        kept = {name: value for name, value in os.environ.items() if name not in _STRAY}
        scratch = str(self.environment.folder / "tmp")
        return {**kept, **dict.fromkeys(("TMPDIR", "TEMP", "TMP"), scratch), "PYTHONNOUSERSITE": "1"}

    def _step(self, stage: str) -> None:
        self._proceed()
        self.stage, self.fraction = stage, None

    def _share(self, fraction: float | None) -> None:
        self._proceed()
        self.fraction = fraction

    def _proceed(self) -> None:
        if self._cancelled.is_set():
            raise Cancelled

    def _check_disk(self, needed: float) -> None:
        free = free_disk(self.environment.folder)
        if free < needed:
            raise EngineError(
                f"The engine needs {gigabytes(needed)} more in '{self.environment.folder}', and "
                f"{gigabytes(free)} are free.",
                "Free some disk space and set it up again.",
            )

    def _refusal(self, what: str, said: str) -> EngineError:
        return EngineError(f"{what}: {why_pip_stopped(said)}", f"The log is '{self.environment.log}'.")


def _unpacked_size(wheel: Path) -> int:
    try:
        with zipfile.ZipFile(wheel) as archive:
            return sum(item.file_size for item in archive.infolist())
    except (OSError, zipfile.BadZipFile) as error:
        raise EngineError(f"The package '{wheel.name}' is damaged ({error}).", "Set it up again.") from error


def _size_of(*folders: Path) -> int:
    """Bytes in the folders; files come and go meanwhile."""
    total = 0
    for folder in folders:
        for root, _, names in os.walk(folder):
            for name in names:
                try:
                    total += (Path(root) / name).stat().st_size
                except OSError:
                    continue
    return total


def _close_if_alive(reference: weakref.ref[Installer]) -> None:
    installer = reference()
    if installer is not None:
        installer.close()
