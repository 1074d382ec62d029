"""This machine as far as measuring needs it: processor, load by others, memory.  Standard library only."""

from __future__ import annotations

import os
import platform
import sys
import time
from pathlib import Path

_STAT, _STATUS, _CPUINFO = Path("/proc/stat"), Path("/proc/self/status"), Path("/proc/cpuinfo")
#: Columns of /proc/stat's first line that are no work: idle and waiting for a disk.
_IDLE = (3, 4)


def _lines(path: Path) -> list[str]:
    """A file of /proc, or nothing where there is none."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []


def cpu_model() -> str:
    """The processor's own name for itself."""
    named = (line.partition(":")[2].strip() for line in _lines(_CPUINFO) if line.startswith("model name"))
    return next(named, "") or platform.processor() or platform.machine()


def _others_s() -> float | None:
    """Processor seconds of all processes but this one since boot; None where /proc does not tell."""
    lines = _lines(_STAT)
    if not lines:
        return None
    # user nice system idle iowait irq softirq steal; guests' time is in user already
    ticks = sum(int(x) for i, x in enumerate(lines[0].split()[1:9]) if i not in _IDLE)
    own = os.times()
    return ticks / os.sysconf("SC_CLK_TCK") - own.user - own.system


class OtherLoad:
    """What other processes take of the processor from now on."""

    def __init__(self) -> None:
        self._busy_s, self._since = _others_s(), time.perf_counter()

    def cores(self) -> float | None:
        """Cores kept busy by others on average since the start; None where it cannot be known."""
        busy_s, elapsed_s = _others_s(), time.perf_counter() - self._since
        if busy_s is None or self._busy_s is None:
            return None
        # clock ticks are coarse, and a row may be short
        return max(0.0, (busy_s - self._busy_s) / max(elapsed_s, 1e-9))


def peak_memory_gib() -> float | None:
    """The most main memory this process has held; None where the system does not tell."""
    # not ru_maxrss where there is a choice: Linux hands it down from the process that started this one
    for line in _lines(_STATUS):
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 2**20
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 2**30
