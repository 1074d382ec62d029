"""Which processes there are: by /proc, or where there is none by `ps`."""

from __future__ import annotations

import subprocess
from pathlib import Path

_PROC = Path("/proc")


def is_alive(pid: int) -> bool:
    """Whether a process is there and has not ended."""
    if _PROC.is_dir():
        return bool(_stat(pid)) and _stat(pid)[0] != "Z"
    state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return bool(state.stdout.strip()) and not state.stdout.startswith("Z")


def children(parent: int) -> list[str]:
    """The command lines of a process's children."""
    if _PROC.is_dir():
        pids = [int(path.name) for path in _PROC.iterdir() if path.name.isdigit()]
        return [_command(pid) for pid in pids if _stat(pid)[1:2] == [str(parent)]]
    command = ["ps", "-A", "-o", "ppid=,args="]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    return [line.split(maxsplit=1)[1] for line in lines if line.split()[0] == str(parent)]


def _stat(pid: int) -> list[str]:
    """The state, the parent's id, and more; empty when there is no such process."""
    try:
        # the name, in brackets, may hold spaces
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return []


def _command(pid: int) -> str:
    try:
        return (_PROC / str(pid) / "cmdline").read_text(errors="replace").replace("\0", " ")
    except OSError:
        return ""
