"""The set-up of the managed engine that is going on: begun by a button, shown by the preferences."""

from __future__ import annotations

from ...installation.installer import Installer
from . import ticker

#: What the preferences call the stages.
STAGES = {
    "environment": "Making the environment",
    "list": "Asking the index what is needed",
    "agree": "Waiting for your answer",
    "download": "Downloading",
    "install": "Installing",
    "check": "Trying it out",
    "ready": "Ready",
    "cancelled": "Cancelled",
    "failed": "Failed",
}

# As in jobs.py: the preferences must find what a button began, and unregister() must be able to end it.
_current: Installer | None = None


def current() -> Installer | None:
    """The set-up that is going on, or the last one that failed; None when there is nothing to tell."""
    return _current


def begin(installer: Installer) -> None:
    """Start it and make it the current one.  Raises EngineError."""
    global _current  # noqa: PLW0603
    close_current()
    installer.start()
    _current = installer
    ticker.watch(lambda: installer.running)


def close_current() -> None:
    """End the set-up that is going on, if any, and forget it."""
    global _current
    installer, _current = _current, None
    if installer is not None:
        installer.close()
