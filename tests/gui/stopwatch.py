"""How long Blender waits for each callback of the extension: draw, modal, timers, handlers."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path
from types import CodeType, FrameType
from typing import Any


@dataclass
class Timing:
    """count calls took worst_s at most and total_s together."""

    count: int = 0
    worst_s: float = 0.0
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        self.count += 1
        self.worst_s = max(self.worst_s, seconds)
        self.total_s += seconds


class Stopwatch:
    """Times what Blender calls in the main thread, from outside, with a profile function.

    A frame without a caller is one that Blender itself has called.  A callback during which the result
    was written is kept apart: ``write`` is the name of that function, in the file ``write_file``.
    """

    def __init__(self, folder: Path, write_file: str = "generation.py", write: str = "write") -> None:
        self._folder, self._write_file, self._write = str(folder), write_file, write
        self._began = 0.0
        self._wrote = False
        self.callbacks: dict[str, Timing] = {}
        self.writes = Timing()

    def start(self) -> None:
        """From now on; only in the calling thread."""
        sys.setprofile(self._seen)

    def stop(self) -> None:
        sys.setprofile(None)

    def clear(self) -> None:
        self.callbacks, self.writes = {}, Timing()

    @property
    def worst(self) -> tuple[str, Timing]:
        """The slowest callback but for those that wrote the result."""
        nothing = ("none", Timing())
        return max(self.callbacks.items(), key=lambda pair: pair[1].worst_s, default=nothing)

    def _seen(self, frame: FrameType, event: str, _argument: Any) -> None:
        if event not in ("call", "return"):
            return
        code = frame.f_code
        if frame.f_back is not None:
            if event == "call" and code.co_name == self._write and self._is_ours(code):
                self._wrote |= Path(code.co_filename).name == self._write_file
        elif self._is_ours(code):
            if event == "call":
                self._began, self._wrote = time.perf_counter(), False
            else:
                self._add(code, time.perf_counter() - self._began)

    def _add(self, code: CodeType, seconds: float) -> None:
        if self._wrote:
            self.writes.add(seconds)
        else:
            name = f"{Path(code.co_filename).stem}.{code.co_qualname}"
            self.callbacks.setdefault(name, Timing()).add(seconds)

    def _is_ours(self, code: CodeType) -> bool:
        return code.co_filename.startswith(self._folder)
