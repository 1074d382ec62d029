"""Lends one client to jobs that follow each other, so that the model stays loaded between them.

Idle for a while, the client is closed, and with it ends the worker process: it holds memory, perhaps
a graphics card's, that others need.  Closing happens in a thread, since a worker may take a second
to end.  Standard library only.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

from .client import JobClient

#: Long enough to look at a result and press the button again.
IDLE_S = 30.0


class Host:
    """Owns the client.  Call ``close`` in the end; leaving Python without it is harmless, too."""

    def __init__(self, idle_s: float = IDLE_S) -> None:
        self._idle_s = idle_s
        self._lock = threading.Lock()
        self._client: JobClient | None = None
        self._kind: tuple[object, ...] = ()
        self._countdown: threading.Timer | None = None
        self._resting: object | None = None  # stands for the present rest, while there is one
        self._closers: list[threading.Thread] = []

    @property
    def worker_pid(self) -> int | None:
        """The worker process, while there is one."""
        with self._lock:
            return self._client.worker_pid if self._client is not None else None

    def lend(self, mode: str, python: Path | str | None, extra_paths: Sequence[Path]) -> JobClient:
        """A client without a job, as in :class:`JobClient`; the last one if it is of that kind."""
        self._wake()
        kind = (mode, str(python), tuple(extra_paths))
        if self._client is not None and (kind != self._kind or self._client.running):
            self.retire()
        with self._lock:
            if self._client is None:
                self._client, self._kind = JobClient(mode, python, extra_paths), kind
            return self._client

    def rest(self) -> None:
        """No job follows for now: close the client unless one comes soon."""
        self._wake()
        with self._lock:
            if self._client is None:
                return
            self._resting = object()
            countdown = threading.Timer(self._idle_s, self._expire, (self._resting,))
            countdown.name, countdown.daemon = "codetalker idle", True
            self._countdown = countdown
            countdown.start()

    def retire(self) -> None:
        """Close the client, whatever it is doing, without waiting for it."""
        client = self._taken()
        if client is not None:
            closer = threading.Thread(target=client.close, name="codetalker closing", daemon=True)
            closer.start()
            self._await_later(closer)

    def close(self) -> None:
        """Close the client and wait until no thread or process is left."""
        self._wake()
        client = self._taken()
        if client is not None:
            client.close()
        for thread in self._closers:
            thread.join()
        self._closers = []

    def _taken(self) -> JobClient | None:
        with self._lock:
            client, self._client = self._client, None
        return client

    def _wake(self) -> None:
        """End the countdown; from here on it takes no client, and its thread ends by itself."""
        with self._lock:
            countdown, self._countdown, self._resting = self._countdown, None, None
        if countdown is not None:
            countdown.cancel()
            self._await_later(countdown)

    def _await_later(self, thread: threading.Thread) -> None:
        """For ``close``; those that have ended need no more."""
        self._closers = [other for other in self._closers if other.is_alive()] + [thread]

    def _expire(self, resting: object) -> None:
        with self._lock:
            if self._resting is not resting:
                return  # a job has come in the last moment
            client, self._client = self._client, None
        if client is not None:
            client.close()
