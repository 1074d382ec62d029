"""What this computer has, as far as no torch is needed to know it: memory, disk, NVIDIA's driver."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from .child import no_window

_PATIENCE_S = 10.0


@dataclass(frozen=True)
class Memory:
    """Bytes; free is None where the system does not tell."""

    total: int
    free: int | None


def memory() -> Memory | None:
    """The computer's memory, or None where the system does not tell."""
    if sys.platform == "win32":
        return _windows_memory()
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return None
    return Memory(total, _available_on_linux())


def _available_on_linux() -> int | None:
    try:
        rows = dict(line.split(":", 1) for line in Path("/proc/meminfo").read_text().splitlines())
        return int(rows["MemAvailable"].split()[0]) * 1024
    except (OSError, KeyError, ValueError):
        return None


def _windows_memory() -> Memory | None:
    class Status(ctypes.Structure):
        """MEMORYSTATUSEX of sysinfoapi.h."""

        _fields_ = [
            ("length", ctypes.c_ulong),
            ("load", ctypes.c_ulong),
            *((name, ctypes.c_ulonglong) for name in ("total", "free", "a", "b", "c", "d", "e")),
        ]

    status = Status(length=ctypes.sizeof(Status))
    kernel = ctypes.CDLL("kernel32")
    if not kernel.GlobalMemoryStatusEx(ctypes.byref(status)):
        return None
    return Memory(int(status.total), int(status.free))


def free_disk(folder: Path) -> int:
    """Free bytes where ``folder`` lies or will lie."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return shutil.disk_usage(folder).free


def nvidia_card() -> str:
    """The NVIDIA graphics card that a driver serves, by name where that is known; "" without one."""
    if sys.platform == "darwin":
        return ""
    program = shutil.which("nvidia-smi")
    if program is not None:
        try:
            done = subprocess.run(
                [program, "--query-gpu=name", "--format=csv,noheader"],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                creationflags=no_window(),
                timeout=_PATIENCE_S,
                check=False,
            )
        except (OSError, subprocess.TimeoutExpired):
            return ""
        names = done.stdout.splitlines() if done.returncode == 0 else []
        return names[0].strip() if names else ""
    # the driver without its command line tool
    if sys.platform == "win32":
        driver = Path(os.environ.get("SYSTEMROOT", r"C:\Windows")) / "System32" / "nvcuda.dll"
    else:
        driver = Path("/proc/driver/nvidia/version")
    return "an NVIDIA graphics card" if driver.exists() else ""


def gigabytes(count: float) -> str:
    """Bytes for people: "2.4 GB", "180 MB", "27 KB"."""
    if count >= 1e9:
        return f"{count / 1e9:.1f} GB"
    return f"{count / 1e6:.0f} MB" if count >= 1e6 else f"{count / 1e3:.0f} KB"
