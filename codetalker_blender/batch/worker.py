"""The loop of a process that runs tasks: one JSON line in, one JSON line out, until its stdin ends.

How a row is run is a function that the program gives (``perform``): arguments of `generate` in, a
report out.  It keeps its model from row to row.  The main thread runs the rows, because Blender
asks for that; another one watches stdin, whose end means that the parent has gone.
"""

from __future__ import annotations

import _thread
import json
import os
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Sequence

from ..errors import Cancelled, UserError
from ..standard_streams import own_stdout
from . import ledger
from .tasks import Task

#: arguments -> {"outputs": [files], ...}; raises UserError
Perform = Callable[[Sequence[str]], dict[str, object]]
#: So long a row may take to tidy up when the parent has gone.
_GRACE_S = 2.0


def serve(perform: Perform) -> int:
    """Run what comes in on stdin; -> the exit code.  What else is printed to stdout goes to stderr."""
    signal.signal(signal.SIGINT, signal.default_int_handler)  # Ctrl-C and the parent's end look the same
    tasks: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
    busy = threading.Event()
    threading.Thread(target=_read, args=(tasks, busy), name="batch requests", daemon=True).start()
    try:
        with own_stdout() as replies:
            while (line := tasks.get()) is not None:
                busy.set()
                replies.write(f"{json.dumps(_run(Task.from_json(line), perform))}\n")
                replies.flush()
                busy.clear()
    except (KeyboardInterrupt, Cancelled, BrokenPipeError):
        return 130
    return 0


def _run(task: Task, perform: Perform) -> dict[str, object]:
    started = time.perf_counter()
    try:
        ledger.forget(task)
        report = perform(task.arguments)
        outputs = report["outputs"]
        assert isinstance(outputs, list)
        report["seconds"] = round(time.perf_counter() - started, 3)
        ledger.remember(task, outputs, report)
    except UserError as error:
        return {"error": error.message, "hint": error.hint, "bug": ""}
    except Cancelled:
        raise
    except Exception as error:  # noqa: BLE001 - the row fails, the others go on
        text = " ".join(f"{type(error).__name__}: {error}".split())
        # A job that failed in another process brings the traceback from there.
        bug = getattr(error, "traceback", "") or traceback.format_exc()
        return {"error": f"Internal error: {text[:300]}", "hint": "", "bug": bug}
    return {"outputs": outputs, "report": report}


def _read(tasks: queue.SimpleQueue[bytes | None], busy: threading.Event) -> None:
    for line in sys.stdin.buffer:
        tasks.put(line)
    tasks.put(None)
    timer = threading.Timer(_GRACE_S, os._exit, (130,))
    timer.daemon = True
    timer.start()
    if busy.is_set():
        _thread.interrupt_main()  # a row that nobody waits for stops, and removes its drafts
