"""An X server without a screen (Xvfb), and pictures of what it shows.  Standard library only."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

WIDTH, HEIGHT = 1600, 1000
#: The programs without which there is no window, and who brings them.
NEEDED = {"Xvfb": "xvfb", "import": "imagemagick", "xdotool": "xdotool"}


def missing() -> str:
    """Why no window can be opened and photographed here; "" when one can."""
    absent = [f"{program} (Debian: {package})" for program, package in NEEDED.items() if not _has(program)]
    return f"{' and '.join(absent)} is not installed" if absent else ""


def _has(program: str) -> bool:
    return shutil.which(program) is not None


@contextmanager
def display(log: Path) -> Iterator[str]:
    """A running X server; yields its name (":3").  OSError when it does not come up."""
    read_end, write_end = os.pipe()
    with log.open("w", encoding="utf-8") as stream:
        size = f"{WIDTH}x{HEIGHT}x24"
        server = subprocess.Popen(
            ["Xvfb", "-displayfd", str(write_end), "-screen", "0", size, "-nolisten", "tcp"],
            stdout=stream,
            stderr=stream,
            pass_fds=[write_end],
        )
        os.close(write_end)
        try:
            # it writes its number when it is ready, and closes the pipe when it gives up
            with os.fdopen(read_end, encoding="ascii") as pipe:
                number = pipe.readline().strip()
            if not number:
                raise OSError(f"Xvfb did not start; its log is {log}")
            yield f":{number}"
        finally:
            server.terminate()
            server.wait(timeout=20)


def take_picture(path: Path, display_name: str, box: tuple[int, int, int, int] | None = None) -> None:
    """Save what the screen shows, or a part of it, as a PNG.

    box: left, top, width, height in pixels from the screen's upper left corner
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    crop = ["-crop", "{2}x{3}+{0}+{1}".format(*box), "+repage"] if box else []
    # A screenshot by Blender itself is black under Xvfb.  256 colours are plenty for an interface.
    options = [
        "-silent",
        "-window",
        "root",
        *crop,
        "+dither",
        "-colors",
        "256",
        "-define",
        "png:compression-level=9",
    ]
    environment = {**os.environ, "DISPLAY": display_name}
    subprocess.run(["import", *options, str(path)], check=True, env=environment, timeout=60)
