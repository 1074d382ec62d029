"""Many short clips: ``batch`` beside the same clips one after another with nothing around them.

The batch is the real command, in processes of its own, from its start to its end: libraries and model
are loaded, inputs and outputs hashed, files forced onto the disk.  The yardstick has its model loaded
and only generates and writes.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from codetalker_blender import street
from codetalker_blender.contracts import AudioSource, GenerateRequest
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ
from codetalker_blender.model_files import read_card
from codetalker_blender.resources import default_model

from .machine import OtherLoad
from .requests import CLIP_COUNT, Request
from .result import Row
from .sizes import made_sound

_ROOT = Path(__file__).resolve().parent.parent.parent
#: The batch may take so many times the yardstick.
BAR = 1.2


def resident_pages(process: int) -> int:
    """Memory pages that the children of a process hold; 0 where /proc does not tell."""
    # the worker is started by a thread, which the kernel counts apart
    lists = Path(f"/proc/{process}/task").glob("*/children")
    children = {child for one in lists for child in _text(one).split()}
    return sum(int(_text(Path(f"/proc/{child}/statm")).split()[1]) for child in children if _alive(child))


def _alive(process: str) -> bool:
    return bool(_text(Path(f"/proc/{process}/statm")))


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # it has ended meanwhile
        return ""


def batch_row(request: Request) -> Row:
    """CLIP_COUNT clips of ``request.seconds``; plain_s is the yardstick, fast_s the batch."""
    folder = _ROOT / "build" / "bench"  # a memory disk would be no file
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as temporary:
        sounds = Path(temporary) / "in"
        sounds.mkdir()
        for number in range(CLIP_COUNT):
            samples = np.roll(made_sound(request.seconds).samples, 997 * number)
            soundfile.write(sounds / f"{number:03d}.wav", samples, SAMPLE_RATE_HZ)
        load = OtherLoad()
        yardstick = _Yardstick(Path(temporary) / "pure", request.device)
        files = sorted(sounds.iterdir())
        # half before and half behind, because what else the machine does comes and goes
        pure = yardstick.spent_on(files[: CLIP_COUNT // 2])
        begin = _Spent.by_children()
        held = _run_batch(sounds, Path(temporary) / "out", request.device)
        batch = _Spent.by_children() - begin
        pure += yardstick.spent_on(files[CLIP_COUNT // 2 :])
        others = load.cores()
        made = sorted((Path(temporary) / "out").glob("*.npz"))
        same = all(path.read_bytes() == (Path(temporary) / "pure" / path.name).read_bytes() for path in made)
    notes = [
        f"the batch takes {batch.wall_s / pure.wall_s:.3f} times as long as generating and writing alone, "
        f"and {batch.cpu_s / pure.cpu_s:.3f} times the processor's time (bar: {BAR})"
    ]
    quarter = CLIP_COUNT // 4
    early = [pages for rows, pages in held.items() if rows <= quarter]
    late = [pages for rows, pages in held.items() if rows > CLIP_COUNT - quarter]
    page_mib = os.sysconf("SC_PAGE_SIZE") / 2**20 if hasattr(os, "sysconf") else 0.0
    if early and late:
        notes.append(
            f"the worker held at most {max(early) * page_mib:.0f} MiB in the first quarter of the rows, "
            f"{max(late) * page_mib:.0f} MiB in the last"
        )
    failed = "" if len(made) == CLIP_COUNT and same else f"{len(made)} of {CLIP_COUNT} rows, equal: {same}"
    return Row(
        config=f"{CLIP_COUNT} clips",
        clip_s=CLIP_COUNT * request.seconds,
        plain_s=pure.wall_s,
        fast_s=batch.wall_s,
        peak_gib=max(held.values(), default=0) * page_mib / 1024 or None,
        others_cores=others,
        notes=tuple(notes),
        failed=failed,
    )


@dataclass(frozen=True)
class _Spent:
    """Seconds on the wall and of the processor; the latter does not mind what else the machine does."""

    wall_s: float
    cpu_s: float

    @classmethod
    def by_us(cls) -> _Spent:
        return cls(time.perf_counter(), time.process_time())

    @classmethod
    def by_children(cls) -> _Spent:
        times = os.times()
        return cls(time.perf_counter(), times.children_user + times.children_system)

    def __add__(self, other: _Spent) -> _Spent:
        return _Spent(self.wall_s + other.wall_s, self.cpu_s + other.cpu_s)

    def __sub__(self, other: _Spent) -> _Spent:
        return _Spent(self.wall_s - other.wall_s, self.cpu_s - other.cpu_s)


class _Yardstick:
    """Generates and writes in this process, with libraries and model loaded."""

    def __init__(self, out: Path, device: str) -> None:
        self._out, self._device, self._model = out, device, default_model()
        self._card, self._cache = read_card(self._model), street.ModelCache()
        self._out.mkdir()

    def spent_on(self, sounds: Sequence[Path]) -> _Spent:
        """The first clip is made twice, and its first time is not counted."""
        self._make(sounds[0])
        begin = _Spent.by_us()
        for sound in sounds:
            self._make(sound)
        return _Spent.by_us() - begin

    def _make(self, sound: Path) -> None:
        style = self._card.styles[0]
        request = GenerateRequest(
            AudioSource(sound), self._model, self._card.style_mix(style), device=self._device
        )
        path = self._out / f"{sound.stem}.npz"
        street.run_to_file(request, path, cache=self._cache, model=self._card.name, style=style)


def _run_batch(sounds: Path, out: Path, device: str) -> Mapping[int, int]:
    """Rows that were finished -> memory pages that its worker held then."""
    held: dict[int, int] = {}
    command = [sys.executable, "-m", "codetalker_blender", "batch", str(sounds), "--output", str(out)]
    process = subprocess.Popen(
        [*command, "--device", device], cwd=_ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    while process.poll() is None:
        rows = len(list(out.glob("*.npz")))
        held[rows] = max(held.get(rows, 0), resident_pages(process.pid))
        time.sleep(0.05)
    return held
