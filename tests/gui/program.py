"""A Blender program with a configuration of its own: never the person's preferences and extensions."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: What the installed extension is called by Blender.
MODULE = "bl_ext.user_default.codetalker_blender"
#: Environment variables that would lead to other libraries or to the person's own files.
_DROPPED = ("PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "XDG_DATA_HOME")


@dataclass(frozen=True)
class Program:
    """blender: the program; home: a fresh folder; engine: a Python with torch."""

    blender: str
    home: Path
    engine: Path

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
        kept = {name: value for name, value in kept.items() if not name.startswith("BLENDER_")}
        return {
            **kept,
            "HOME": str(self.home),
            "CODETALKER_ENGINE_PYTHON": str(self.engine),
            "LIBGL_ALWAYS_SOFTWARE": "1",
            **extra,
        }

    def run(self, arguments: Sequence[str], limit_s: float, log: Path | None = None, **extra: str) -> int:
        """Run it to its end, or kill it and all it started; -> exit status, 124 when it took too long.

        log: where its output goes instead of the terminal
        """
        with (log or Path(os.devnull)).open("w", encoding="utf-8") as stream:
            process = subprocess.Popen(
                [self.blender, *arguments],
                cwd=ROOT,
                env=self.environment(extra),
                stdout=stream if log else None,
                stderr=subprocess.STDOUT if log else None,
                start_new_session=True,
            )
            try:
                return process.wait(timeout=limit_s)
            except subprocess.TimeoutExpired:
                return 124
            finally:
                if process.poll() is None:
                    os.killpg(process.pid, signal.SIGKILL)
                    process.wait()

    def call(self, function: str, *arguments: object, limit_s: float, log: Path | None = None) -> int:
        """Run one function of this package ("suite.run") in Blender, without a window or any extension."""
        words = ["--background", "--factory-startup", "--python-expr", call(function, *arguments)]
        return self.run(words, limit_s, log)

    def version(self) -> str:
        """Like "4.3.2".  OSError when this is no Blender."""
        said = subprocess.run(
            [self.blender, "--version"],
            capture_output=True,
            text=True,
            env=self.environment({}),
            check=False,
            timeout=120,
        ).stdout
        found = re.search(r"^Blender (\d+\.\d+\.\d+)", said, re.MULTILINE)
        if found is None:
            raise OSError(f"'{self.blender} --version' does not name a Blender")
        return found[1]

    def install(self, archive: Path, log: Path) -> bool:
        """Install and enable the extension; -> whether Blender then has it enabled."""
        install = ["--command", "extension", "install-file", "-r", "user_default", "--enable", str(archive)]
        self.run(install, 300, log)
        # It ends with 0 even when Blender then refuses the extension, so a fresh Blender is asked.
        code = f"import addon_utils, sys; sys.exit(0 if addon_utils.check({MODULE!r}) == (True, True) else 3)"
        return self.run(["--background", "--python-expr", code], 120, log.with_suffix(".check.log")) == 0


def call(function: str, *arguments: object) -> str:
    """Python text for Blender that calls a function of this package with plain values.

    The checkout goes to the end of the search path: `codetalker_blender` there is not what is tested.
    """
    module, _, name = function.rpartition(".")
    values = ", ".join(repr(str(value) if isinstance(value, Path) else value) for value in arguments)
    return (
        f"import sys; sys.path.append({str(ROOT)!r}); from tests.gui.{module} import {name}; {name}({values})"
    )
