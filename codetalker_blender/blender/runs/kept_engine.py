"""One model for many clips: runs them one after the other in the same host, which keeps it loaded."""

from __future__ import annotations

from ...contracts import Motion, Progress
from ...errors import Cancelled
from ...job import messages
from ...job.client import JobClient
from ..preferences import EngineSettings
from .generation import Prepared


class KeptEngine:
    """Like ``jobs.run_blocking``, again and again.  Call ``close`` at the end."""

    def __init__(self) -> None:
        self._client: JobClient | None = None

    def run(
        self, prepared: Prepared, engine: EngineSettings, progress: Progress
    ) -> tuple[Motion, messages.Report]:
        """Run the job and wait for it.  Raises UserError, Cancelled, or JobError for a bug."""
        if self._client is None:
            mode = "inside" if engine.mode == "inside" else "worker"
            self._client = JobClient(mode, engine.python, engine.extra_paths)
        try:
            motion = self._client.run_blocking(prepared.request, progress)
        except KeyboardInterrupt as error:
            raise Cancelled from error
        return motion, self._client.last_report or messages.Report()

    def close(self) -> None:
        """End the host."""
        if self._client is not None:
            self._client.close()
            self._client = None
