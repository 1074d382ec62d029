"""Runs a command inside a folder that holds a whole Linux system, as `debootstrap` makes them.

The folders that the command needs appear there under their own paths.  They are mounted in a mount
namespace of the command's own, so that nothing stays mounted however it ends.  Linux, as root.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
from collections.abc import Iterable, Sequence
from pathlib import Path


def is_system(root: Path) -> bool:
    """Whether the folder holds a system with a Blender."""
    return (root / "usr" / "bin" / "blender").exists()


def missing() -> str:
    """Why no other system can be entered here; "" when one can."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return "entering another system's folder needs root"
    if shutil.which("unshare") is None or shutil.which("chroot") is None:
        return "unshare and chroot are not installed"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "this machine does not let root make a mount namespace"
    return ""


def run_inside(root: Path, command: Sequence[str], folders: Iterable[Path], cwd: Path) -> int:
    """Run `command` with `root` as its "/"; -> its exit status.

    folders: what it needs from outside
    """
    lines = [
        "set -eu",
        f"mount -t proc proc {_word(root / 'proc')}",
        f"mount --rbind /dev {_word(root / 'dev')}",
    ]
    # a folder inside another one comes after it, or it would be hidden
    for folder in sorted({path.resolve() for path in folders}):
        place = root / folder.relative_to("/")
        lines += [f"mkdir -p {_word(place)}", f"mount --rbind {_word(folder)} {_word(place)}"]
    inner = f"cd {_word(cwd)} && exec {shlex.join(command)}"
    lines.append(f"exec chroot {_word(root)} /bin/sh -c {shlex.quote(inner)}")
    environment = {**os.environ, "PATH": "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "TMPDIR": "/tmp"}
    script = ["unshare", "--mount", "--propagation", "private", "/bin/sh", "-c", "\n".join(lines)]
    return subprocess.run(script, env=environment, check=False).returncode


def _word(path: Path) -> str:
    return shlex.quote(str(path))
