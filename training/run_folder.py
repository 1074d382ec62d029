"""A run's folder: what it was started with, its log, its TensorBoard scalars and pictures, its checkpoints.

    run.json                 config, seed, and for every start the command line, git commit and versions
    log.jsonl                a line of losses per report
    tensorboard/STAGE/       the same as scalars, and preview pictures
    checkpoints/STAGE/       see checkpoints.py

Only the main process writes; the others may call everything.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from codetalker_blender.disk import new_file
from codetalker_blender.errors import OutputError, UserError
from codetalker_blender.text_files import write_text

from .checkpoints import CheckpointFolder
from .processes import Processes
from .run_record import first_difference, plain, start_record

#: Values of a log line that say when it was written, not how the training goes.
_CLOCK = ("step", "of", "seconds", "left_s")


def check_free(folder: Path) -> None:
    """Raises UserError when ``folder`` holds a run; ask before long work."""
    if any((folder / name).exists() for name in ("run.json", "log.jsonl", "checkpoints")):
        raise UserError(f"'{folder}' holds a run already.", "Choose another folder, or resume that run.")


class RunFolder:
    """One run, new or resumed.

    config, seed: for ``run.json``; a resumed run must have been started with the same
    resume: go on from the newest checkpoints; a folder without any simply starts
    checkpoint_every, picture_every: steps between checkpoints and between preview pictures (0 = only at
        the end of each stage); report_every: steps between lines of the log
    processes: device, precision and number; the CPU unless given, because losses put their tensors on
        the device themselves
    Raises UserError when the folder holds a run that is not to be resumed, OutputError when it cannot
    be written.
    """

    def __init__(
        self,
        folder: Path,
        quiet: bool = False,
        *,
        config: Any = None,
        seed: int | None = None,
        resume: bool = False,
        checkpoint_every: int = 200,
        picture_every: int = 500,
        report_every: int = 50,
        processes: Processes | None = None,
    ) -> None:
        self.processes = processes or Processes(cpu=True)
        self.folder = folder
        self.quiet = quiet
        self.resume = resume
        self.checkpoint_every = checkpoint_every
        self.picture_every = picture_every
        self.report_every = report_every
        self._log = folder / "log.jsonl"
        self._writers: dict[str, SummaryWriter] = {}
        self._bar: tqdm | None = None
        # lines that this run has logged, and how many the file holds: a resumed run comes past
        # reports of finished stages again, which must not be written twice
        self._line = self._written = 0
        if self.processes.is_main:
            try:
                self._open(plain(config), seed)
            except OSError as error:
                raise OutputError(
                    f"The run's folder '{folder}' cannot be written: {error.strerror or error}."
                ) from error

    @property
    def log_lines(self) -> int:
        """How many lines the run up to here logs, for checkpoints; counted in the main process."""
        return self._line

    def _open(self, config: Any, seed: int | None) -> None:
        """Create the folder, or check that it holds the same run, and note this start."""
        path = self.folder / "run.json"
        if not self.resume:
            check_free(self.folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        record: dict[str, Any] = {"config": config, "seed": seed, "starts": []}
        if path.exists():
            try:
                record = json.loads(path.read_text(encoding="utf-8"))
                given, starts = {"seed": seed, "config": config}, list(record["starts"])
                difference = first_difference({name: record[name] for name in given}, given)
            except (ValueError, KeyError, TypeError) as error:
                raise UserError(f"'{path}' is no run's record: {error}.", "Choose another folder.") from error
            if difference:
                raise UserError(
                    f"'{self.folder}' holds a run with other settings: {difference}.",
                    "Resume it with its own settings, or choose another folder.",
                )
            record["starts"] = starts
        here = self.processes
        record["starts"].append(start_record(str(here.device), here.count, here.precision))
        write_text(path, json.dumps(record, indent=1) + "\n")
        if self._log.exists():
            # a kill may have torn the last line
            self._written = self._log.read_bytes().count(b"\n")
            self._cut(self._written)

    def _cut(self, lines: int) -> None:
        """Keep the first ``lines`` lines of the log."""
        if not self._log.exists():
            return
        kept = b"".join(self._log.read_bytes().splitlines(keepends=True)[:lines])
        with new_file(self._log) as draft:
            draft.write_bytes(kept)
        self._written = min(self._written, lines)

    def log(self, stage: str, values: dict[str, float]) -> None:
        """A line of ``log.jsonl`` and on the screen; with a "step" among the values, scalars as well."""
        if not self.processes.is_main:
            return
        self._line += 1
        if self._line <= self._written:
            return
        line = {"stage": stage, **{name: float(f"{value:.6g}") for name, value in values.items()}}
        with self._log.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")
        self._written += 1
        if "step" in values:
            writer = self._writer(stage)
            for name, value in values.items():
                if name not in _CLOCK:
                    writer.add_scalar(name, value, int(values["step"]))
            writer.flush()
        if not self.quiet:
            text = "  ".join(f"{name} {value}" for name, value in line.items())
            tqdm.write(text, file=sys.stderr)  # above the bar, where there is one
            sys.stderr.flush()

    def picture_due(self, done: int, steps: int) -> bool:
        """Whether this process draws pictures after ``done`` of a stage's ``steps`` steps."""
        due = self.picture_every and done % self.picture_every == 0
        return self.processes.is_main and (bool(due) or done == steps)

    def picture(self, tag: str, picture: NDArray[np.uint8], step: int) -> None:
        """A preview picture in TensorBoard.

        tag: "STAGE/NAME"; picture: (height, width, 3) uint8 RGB; step: after how many steps
        """
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise ValueError(f"picture '{tag}': {picture.dtype} {picture.shape} is not (H, W, 3) of uint8")
        if self.processes.is_main:
            stage, _, name = tag.rpartition("/")
            writer = self._writer(stage or "pictures")
            writer.add_image(name, picture, step, dataformats="HWC")
            writer.flush()

    def _writer(self, stage: str, purge_step: int | None = None) -> SummaryWriter:
        if stage not in self._writers:
            folder = self.folder / "tensorboard" / stage
            self._writers[stage] = SummaryWriter(str(folder), purge_step=purge_step)
        return self._writers[stage]

    def checkpoints(self, stage: str) -> CheckpointFolder:
        return CheckpointFolder(self.folder / "checkpoints" / stage)

    def pass_over(self, log_lines: int) -> None:
        """A finished stage is not run again: ``log_lines`` lines are the run's up to its end."""
        self._line = log_lines

    def begin(self, stage: str, steps: int, done: int, log_lines: int | None = None) -> None:
        """Train ``stage`` from step ``done`` on; what was logged after that point is forgotten.

        log_lines: the lines up to that point, None when the stage starts at its beginning
        """
        if not self.processes.is_main:
            return
        self._line = self._line if log_lines is None else log_lines
        self._cut(self._line)
        if self.resume:
            # TensorBoard hides what a killed run wrote after its last checkpoint
            self._writer(stage, purge_step=done + 1)
        shown = not self.quiet and sys.stderr.isatty()
        self._bar = (
            tqdm(desc=stage, total=steps, initial=done, unit="step", dynamic_ncols=True, leave=False)
            if shown
            else None
        )

    def advance(self) -> None:
        """One step is done: the bar moves on and estimates the time left."""
        if self._bar is not None:
            self._bar.update(1)

    def end(self, stage: str) -> None:
        """Close what :meth:`begin` opened."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None
        writer = self._writers.pop(stage, None)
        if writer is not None:
            writer.close()
