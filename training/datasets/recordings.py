"""A data set on disk, listed before it is read: its recordings, and what is wrong with each.

A reader lists a folder as a :class:`Survey`.  :func:`read_split` turns one split of it into a
:class:`~training.datasets.clip.Dataset`; ``training.prepare`` examines all of it and names every problem.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from codetalker_blender.contracts import FaceMesh, FloatArray, Waveform
from codetalker_blender.errors import UserError

from .clip import RECORDED_TOLERANCE_S, Clip, Dataset, VertexMotion

#: Peak below which a sound counts as silent: 60 dB below full scale, where only noise is left.
SILENT_PEAK = 1e-3
MM_PER_METRE = 1000.0


@dataclass(frozen=True)
class Problem:
    """What is wrong with one file; ``file`` is relative to the data set's folder."""

    file: str
    text: str

    def __str__(self) -> str:
        return f"{self.file}: {self.text}"


class DatasetProblems(UserError):
    """A data set cannot be used; ``problems`` names everything that was found."""

    def __init__(self, root: Path, problems: Sequence[Problem]) -> None:
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        super().__init__(
            f"The data set '{root}' cannot be used: {str(problems[0]).rstrip('.')}{more}.",
            "`python -m training.prepare` names every problem.",
        )
        self.problems = tuple(problems)


@dataclass(frozen=True)
class Recording:
    """One clip on disk, not yet read.

    name, speaker; style: row of the survey's styles; split: the split it is in
    sound_file, motion_file: where they are, for messages
    open_sound: reads the sound; raises UserError
    open_motion: places of the vertices, or the shapes' weights (T, K) float32; raises UserError
    """

    name: str
    speaker: str
    style: int
    split: str
    sound_file: str
    motion_file: str
    open_sound: Callable[[], Waveform]
    open_motion: Callable[[], VertexMotion | FloatArray]


@dataclass(frozen=True)
class Survey:
    """What a folder holds.

    root: the folder; face, shape_names, deltas, styles, units_per_metre, up_axis: as in ``Dataset``
    fps: frames per second of the clips
    splits: names of the splits, also of those without recordings
    outside: recordings that belong to no split and are not used
    problems: what is wrong with files that belong to no single recording
    """

    root: Path
    face: FaceMesh
    shape_names: tuple[str, ...]
    deltas: FloatArray
    styles: tuple[str, ...]
    fps: float
    splits: tuple[str, ...]
    recordings: tuple[Recording, ...]
    outside: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    units_per_metre: float = 1.0
    up_axis: str = "Y"


@dataclass(frozen=True)
class Examined:
    """What reading a recording gave.

    clip: None when the sound or the motion cannot be read
    problems: what is wrong with its files; a sound clip has none
    reach_mm: the largest offset of recorded vertices, 0 where the motion was not read
    """

    clip: Clip | None
    problems: tuple[Problem, ...]
    reach_mm: float = 0.0


def examine(recording: Recording, fps: float, *, thorough: bool) -> Examined:
    """Read a recording.  thorough: every frame of the motion too, and not only the file's header."""
    found: list[Problem] = []
    sound = motion = None
    reach_mm = 0.0
    try:
        sound = recording.open_sound()
        if len(sound.samples) == 0 or float(np.abs(sound.samples).max()) < SILENT_PEAK:
            found.append(Problem(recording.sound_file, "the sound is silent."))
    except UserError as error:
        found.append(Problem(recording.sound_file, str(error)))
    try:
        motion = recording.open_motion()
        if thorough and isinstance(motion, VertexMotion):
            reach_mm = float(np.linalg.norm(motion.offsets(), axis=-1).max() * MM_PER_METRE)
    except UserError as error:
        found.append(Problem(recording.motion_file, str(error)))
    if sound is None or motion is None:
        return Examined(None, tuple(found), reach_mm)
    vertices = motion if isinstance(motion, VertexMotion) else None
    weights = np.zeros((len(motion.rows), 0), np.float32) if isinstance(motion, VertexMotion) else motion
    motion_s = len(weights) / fps
    if abs(motion_s - sound.duration_s) > RECORDED_TOLERANCE_S:
        found.append(
            Problem(
                recording.motion_file,
                f"the motion lasts {motion_s:.2f} s ({len(weights)} frames at {fps:g} per second) "
                f"but the sound {sound.duration_s:.2f} s.",
            )
        )
    clip = Clip(
        name=recording.name, style=recording.style, voice=recording.speaker, waveform=sound, fps=fps,
        weights=weights, vertices=vertices,
    )  # fmt: skip
    return Examined(clip, tuple(found), reach_mm)


def read_split(survey: Survey, split: str, *, skip_bad: bool = False) -> Dataset:
    """One split; every speaking style of the data set is there in every split.

    skip_bad: leave out the clips that have problems, instead of refusing the data set; all motion is
    then read once to know them.  Raises DatasetProblems.
    """
    if split not in survey.splits:
        raise UserError(f"There is no split called '{split}'.", f"There are {', '.join(survey.splits)}.")
    found = list(survey.problems)
    clips = []
    for recording in survey.recordings:
        if recording.split != split:
            continue
        read = examine(recording, survey.fps, thorough=skip_bad)
        if read.clip is not None and not read.problems:
            clips.append(read.clip)
        elif not skip_bad:
            found += read.problems
    if not found and not clips:
        found.append(Problem(".", f"there is no clip in the split '{split}'."))
    if found:
        raise DatasetProblems(survey.root, found)
    return Dataset(
        face=survey.face, shape_names=survey.shape_names, deltas=survey.deltas, styles=survey.styles,
        clips=tuple(clips), units_per_metre=survey.units_per_metre, up_axis=survey.up_axis,
    )  # fmt: skip
