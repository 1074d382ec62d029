"""Batches of the copying program in processes of their own, and what is in their folders."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
COPYING = (sys.executable, "-m", "tests.batch.copying")


@dataclass(frozen=True)
class Ended:
    """A batch that has ended: exit code, the JSON on stdout, what was said on stderr."""

    code: int
    report: dict[str, Any]
    said: str

    @property
    def states(self) -> dict[str, str]:
        return {row["name"]: row["state"] for row in self.report["rows"]}


def run(*arguments: object, program: tuple[str, ...] = COPYING, timeout: float = 300) -> Ended:
    """Run to the end; stdout must be exactly one JSON object, or nothing when the manifest is refused."""
    done = subprocess.run(
        [*program, "batch", *map(str, arguments)],
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    return Ended(done.returncode, json.loads(done.stdout) if done.stdout else {}, done.stderr)


def sounds(folder: Path, count: int) -> Path:
    """Files that look like sounds, with different contents."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(count):
        (folder / f"clip {number:03d}.wav").write_bytes(f"sound {number} ".encode() * 20)
    return folder


def inodes(folder: Path) -> dict[str, int]:
    """Every file below the folder, and which one it is: a file that was made again is another one."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {path.relative_to(folder).as_posix(): path.stat().st_ino for path in files}


def manifest(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text(json.dumps(rows), encoding="utf-8")
    return path
