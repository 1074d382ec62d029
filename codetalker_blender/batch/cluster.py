"""Tasks → worker processes on the machines of a Ray cluster.  Ray is optional and imported when it is used.

One actor per GPU, or per group of cores where there are none, holds a worker process with its
model.  When a machine dies its rows go back to the queue.  All machines must see the same folders.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ..errors import EngineError, UserError
from .pool import Report, again, lost_row
from .results import Result
from .tasks import Task
from .worker_process import WorkerLost, WorkerProcess

log = logging.getLogger(__name__)
#: How often a row is begun at most, when its machine or process is lost each time.
MAX_RUNS = 4
#: So long no machine may be left before the rest of the rows is given up.
PATIENCE_S = 60.0
#: How often the cluster is asked whether it has grown.
_LOOK_EVERY_S = 5.0
_KNOCK_S = 10.0
_PACKAGE = Path(__file__).resolve().parents[1]


class RayCluster:
    """An executor like LocalPool."""

    name = "ray"

    def __init__(self, command: Sequence[str], address: str, cores: int) -> None:
        """address: as of ray.init; cores: of one actor, where there are no GPUs.

        Raises EngineError without Ray, or without a cluster.
        """
        try:
            import ray  # noqa: PLC0415 - optional
        except ImportError as error:
            raise EngineError(
                "This Python has no Ray, which --executor ray needs.", "Install the extra 'farm'."
            ) from error
        self._ray, self._command, self._cores = ray, tuple(command), cores
        try:
            _knock(address)
            ray.init(
                address=address,
                ignore_reinit_error=True,
                log_to_driver=False,
                logging_level=logging.ERROR,
                runtime_env={"env_vars": {"PYTHONPATH": _search_path()}},
            )
        except (OSError, RuntimeError, ValueError) as error:
            text = str(error).partition("\n")[0].rstrip(".")
            raise EngineError(
                f"There is no Ray cluster at '{address}' ({text}).", "Start one with `ray start --head`."
            ) from error

    def run(self, tasks: Sequence[Task], report: Report) -> None:
        """Returns when every task has its result."""
        try:
            _Run(self._ray, self._command, self._cores, tasks, report).finish()
        finally:
            self._ray.shutdown()


class Holder:
    """The actor: holds one worker process, on whichever machine Ray has put it."""

    def __init__(self, command: Sequence[str], threads: int) -> None:
        self._command, self._threads = command, threads
        self._worker: WorkerProcess | None = None

    def ready(self) -> bool:
        """Answers once the actor has been placed."""
        return True

    def run(self, task: Task) -> Result | str:
        """The task's result, or how its process was lost."""
        self._worker = self._worker or WorkerProcess(self._command, self._threads)
        try:
            return self._worker.run(task)
        except WorkerLost as lost:
            self._worker.close()
            self._worker = None
            return str(lost)


class _Run:
    """One batch: which actor has which row."""

    def __init__(
        self, ray: Any, command: Sequence[str], cores: int, tasks: Sequence[Task], report: Report
    ) -> None:
        self._ray, self._command, self._cores, self._report = ray, command, cores, report
        self._waiting = deque(tasks)
        self._runs = {task.number: 0 for task in tasks}
        self._left = len(tasks)
        #: what is being waited for: -> (its actor, its task; None for an actor that is being placed)
        self._pending: dict[Any, tuple[Any, Task | None]] = {}
        self._idle: list[Any] = []
        self._actor_count = 0
        self._alive_at = self._looked_at = time.monotonic()

    def finish(self) -> None:
        self._grow()
        while self._left:
            while self._idle and self._waiting:
                self._hand_out(self._idle.pop(), self._waiting.popleft())
            ready, _ = self._ray.wait(list(self._pending), num_returns=1, timeout=1.0)
            for reference in ready:
                self._take(reference)
            if time.monotonic() - self._looked_at > _LOOK_EVERY_S:
                self._grow()
            self._give_up_when_deserted()

    def _grow(self) -> None:
        """One actor for every GPU or core group that the cluster has now."""
        self._looked_at = time.monotonic()
        resources = self._ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        wanted = gpus or max(1, int(resources.get("CPU", 0)) // self._cores)
        needs = {"num_gpus": 1, "num_cpus": 1} if gpus else {"num_cpus": self._cores}
        for _ in range(min(wanted, self._left) - self._actor_count):
            actor = self._ray.remote(Holder).options(**needs).remote(self._command, self._cores)
            self._pending[actor.ready.remote()] = (actor, None)
            self._actor_count += 1

    def _hand_out(self, actor: Any, task: Task) -> None:
        self._runs[task.number] += 1
        self._pending[actor.run.remote(task)] = (actor, task)

    def _take(self, reference: Any) -> None:
        actor, task = self._pending.pop(reference)
        try:
            answer: Result | str | bool = self._ray.get(reference)
        except self._ray.exceptions.RayActorError as error:
            log.info("An actor was lost: %s", error)
            self._actor_count -= 1
            self._ray.kill(actor)  # should it be cut off only, it must not go on with a row that others run
            if task is not None:
                self._lost(task, "its machine was lost")
            return
        self._alive_at = time.monotonic()
        self._idle.append(actor)
        if task is None:
            return
        if isinstance(answer, Result):
            self._finish(again(answer, self._runs[task.number]))
        else:
            self._lost(task, str(answer))

    def _lost(self, task: Task, how: str) -> None:
        if self._runs[task.number] < MAX_RUNS:
            self._waiting.appendleft(task)
        else:
            self._finish(lost_row(task, how, self._runs[task.number]))

    def _finish(self, result: Result) -> None:
        self._left -= 1
        self._report(result)

    def _give_up_when_deserted(self) -> None:
        """Without a machine for a minute, the rows that are left fail."""
        if self._idle or any(task is not None for _, task in self._pending.values()):
            self._alive_at = time.monotonic()
        if time.monotonic() - self._alive_at < PATIENCE_S:
            return
        needed = f"{self._cores} cores"
        error = UserError(
            f"The Ray cluster has had no room for a worker of {needed} for {PATIENCE_S:.0f} s.",
            "Start a machine with `ray start`, or ask for fewer cores; finished rows stay.",
        )
        while self._waiting:
            task = self._waiting.popleft()
            self._finish(Result.of_error(task, error, self._runs[task.number]))


def _knock(address: str) -> None:
    """Ray itself tries for minutes.  Raises OSError when nobody listens at HOST:PORT."""
    host, colon, port = address.rpartition(":")
    if colon and port.isdecimal():
        socket.create_connection((host.rpartition("/")[2], int(port)), timeout=_KNOCK_S).close()


def _search_path() -> str:
    """So that the other machines' Pythons find this package."""
    return os.pathsep.join(filter(None, (str(_PACKAGE.parent), os.environ.get("PYTHONPATH", ""))))
