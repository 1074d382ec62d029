"""Tasks → worker processes on this machine."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Sequence

from ..errors import EngineError
from .results import Result
from .tasks import Task
from .worker_process import WorkerLost, WorkerProcess

#: How often a row is begun at most, when its process is lost each time.
MAX_RUNS = 2

#: Runs tasks and reports each one's end, from any thread but one at a time.
Report = Callable[[Result], None]


class LocalPool:
    """``jobs`` processes that share the rows; each loads its model once."""

    name = "local"

    def __init__(self, command: Sequence[str], jobs: int) -> None:
        self._command, self._jobs = command, jobs
        self._lock = threading.Lock()
        self._workers: set[WorkerProcess] = set()
        self._closed = False

    def run(self, tasks: Sequence[Task], report: Report) -> None:
        """Returns when every task has its result.  KeyboardInterrupt ends all processes."""
        jobs = min(self._jobs, len(tasks))
        waiting, threads = deque(tasks), max(1, (os.cpu_count() or 1) // max(jobs, 1))
        failures: list[BaseException] = []

        def work() -> None:
            try:
                self._work(waiting, threads, report)
            except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
                failures.append(error)

        hands = [threading.Thread(target=work, name=f"batch {n + 1}", daemon=True) for n in range(jobs)]
        for hand in hands:
            hand.start()
        try:
            for hand in hands:
                hand.join()
        except BaseException:
            self._close()
            raise
        if failures:
            raise failures[0]

    def _work(self, waiting: deque[Task], threads: int, report: Report) -> None:
        worker: WorkerProcess | None = None
        try:
            while True:
                try:
                    task = waiting.popleft()
                except IndexError:
                    return
                for run in range(1, MAX_RUNS + 1):
                    worker = worker or self._start(threads)
                    try:
                        result = worker.run(task)
                        break
                    except WorkerLost as lost:
                        self._end(worker)
                        worker = None
                        if self._closed:
                            return
                        result = lost_row(task, lost, run)
                with self._lock:
                    report(again(result, run))
        finally:
            if worker is not None:
                self._end(worker)

    def _start(self, threads: int) -> WorkerProcess:
        worker = WorkerProcess(self._command, threads)
        with self._lock:
            self._workers.add(worker)
        return worker

    def _end(self, worker: WorkerProcess) -> None:
        worker.close()
        with self._lock:
            self._workers.discard(worker)

    def _close(self) -> None:
        self._closed = True
        for worker in list(self._workers):
            worker.close()


def lost_row(task: Task, lost: object, runs: int) -> Result:
    """The result of a row whose process went, each time."""
    return Result.of_error(
        task,
        EngineError(f"The row was lost: {lost}.", "It may have run out of memory; try fewer jobs."),
        runs,
    )


def again(result: Result, runs: int) -> Result:
    """The same result, of the run with that number."""
    return Result(**{**vars(result), "runs": runs})
