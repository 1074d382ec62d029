"""The check of the installation that is going on, or the last one: its findings, one by one."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from pathlib import Path

import bpy

from ...checkup import Engine, Finding, check_installation
from ...errors import Cancelled
from ..preferences import engine_settings, models_folder, user_folder
from . import ticker

log = logging.getLogger(__name__)


class Examination:
    """A check in a thread of its own.

    findings: so far; those of Blender itself, which only its own thread may ask, are given
    """

    def __init__(self, engine: Engine, about_blender: Sequence[Finding]) -> None:
        self.findings = list(about_blender)
        self._cancelled = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(engine,), name="codetalker check", daemon=True
        )
        self._thread.start()

    @property
    def running(self) -> bool:
        return self._thread.is_alive()

    def wait(self) -> None:
        """Wait for its end."""
        self._thread.join()

    def close(self) -> None:
        """Stop it and wait for its end."""
        self._cancelled.set()
        self._thread.join()

    def _run(self, engine: Engine) -> None:
        try:
            for finding in check_installation(engine, self._cancelled.is_set):
                self.findings.append(finding)
        except Cancelled:
            return
        except Exception as error:
            log.exception("The check failed")
            self.findings.append(Finding("Check", "", f"Internal error: {type(error).__name__}: {error}"))


# As in jobs.py: the preferences show what a button began, and unregister() ends it.
_current: Examination | None = None


def current() -> Examination | None:
    """The check that is going on, or the last one."""
    return _current


def begin() -> Examination:
    """Check the installation as the preferences describe it; the check becomes the current one."""
    global _current  # noqa: PLW0603
    close_current()
    settings = engine_settings()
    folder = user_folder() or Path(bpy.app.tempdir)
    engine = Engine(
        mode=settings.mode,
        python=settings.python,
        extra_paths=settings.extra_paths,
        device=settings.device,
        scratch=folder,
        models=models_folder(),
        # a Python that the user named is asked, which tells what to install into it
        missing="" if settings.engine == "OWN" else settings.missing(),
    )
    examination = _current = Examination(engine, _about_blender())
    ticker.watch(lambda: examination.running)
    return examination


def close_current() -> None:
    """End the check that is going on, if any, and forget it."""
    global _current
    examination, _current = _current, None
    if examination is not None:
        examination.close()


def _about_blender() -> list[Finding]:
    window = "in background" if bpy.app.background else "with a window"
    online = "allowed" if bpy.app.online_access else "not allowed (only the set-up of an engine needs it)"
    return [Finding("Blender", f"{bpy.app.version_string} {window}"), Finding("Online access", online)]
