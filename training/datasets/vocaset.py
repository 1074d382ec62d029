"""VOCASET, raw as it is handed out or in the processed form that CodeTalker trains on.

Raw: ``raw_audio_fixed.pkl`` [speaker][sequence] {audio, sample_rate}, ``templates.pkl`` [speaker],
``subj_seq_to_idx.pkl`` [speaker][sequence][frame] -> row of ``data_verts.npy`` (N, 5023, 3), which is
mapped and never loaded.  Processed: ``vertices_npy/{speaker}_{sequence}.npy``, ``wav/``, ``templates.pkl``.
Metres, Y up; captured at 60 frames per second, of which every second one is used.
Cudeiro et al., "Capture, Learning, and Synthesis of 3D Speaking Styles", CVPR 2019; splits as in
:data:`training.datasets.splits.VOCASET_SPLITS`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from codetalker_blender.contracts import FloatArray, Waveform
from codetalker_blender.engine.resampling import resample
from codetalker_blender.errors import UserError
from codetalker_blender.face.plain_pickles import read_plain_pickle
from codetalker_blender.face.templates import read_templates
from codetalker_blender.face.topology import FLAME

from .clip import SPEECH_RATE_HZ, Dataset, VertexMotion, map_positions
from .folder import (
    MOTION_FOLDER,
    NO_SOURCES,
    FaceSources,
    VertexFolder,
    mean_face,
    open_templates,
    recordings_of,
    style_row,
    template_of,
    vertex_survey,
)
from .recordings import DatasetProblems, Problem, Recording, Survey, read_split
from .splits import TRAIN, VOCASET_SPLITS, published_split

CAPTURE_FPS, FRAME_STEP = 60.0, 2
FPS = CAPTURE_FPS / FRAME_STEP
SOUND_FILE, INDEX_FILE, TEMPLATE_FILE = "raw_audio_fixed.pkl", "subj_seq_to_idx.pkl", "templates.pkl"
VERTEX_FILE = "data_verts.npy"
STYLES = VOCASET_SPLITS[TRAIN].speakers
#: Floats beyond this are samples of 16 bits that were never divided by their full scale.
_LOUDEST_FLOAT = 4.0
_FULL_SCALE = 32768.0


def survey_vocaset(
    root: Path, face: FaceSources = NO_SOURCES, *, vertex_count: int = FLAME.vertex_count
) -> Survey:
    """List ``root``, the processed form where there is ``vertices_npy/``, else the raw one.

    Raises UserError when nothing in it can be used.
    """
    if (root / MOTION_FOLDER).is_dir():
        return _survey_processed(root, face, vertex_count)
    return _survey_raw(root, face, vertex_count)


def read_vocaset(
    root: Path,
    split: str,
    face: FaceSources = NO_SOURCES,
    *,
    vertex_count: int = FLAME.vertex_count,
    skip_bad: bool = False,
) -> Dataset:
    """One split, see :func:`training.datasets.recordings.read_split`.  Raises UserError."""
    return read_split(survey_vocaset(root, face, vertex_count=vertex_count), split, skip_bad=skip_bad)


def _survey_processed(root: Path, face: FaceSources, vertex_count: int) -> Survey:
    templates, template_file = open_templates(root)
    files = VertexFolder(root, templates, template_file, vertex_count, FRAME_STEP, 1.0, STYLES)
    recordings, outside = recordings_of(files, _place)
    return vertex_survey(files, mean_face(files, face), FPS, tuple(VOCASET_SPLITS), recordings, outside)


def _place(name: str) -> tuple[str, str] | None:
    """The split and speaker of "FaceTalk_170725_00137_TA_sentence01"."""
    speaker = name.rpartition("_")[0]
    split = published_split(VOCASET_SPLITS, speaker, name)
    return (split, speaker) if split else None


# The raw form -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Raw:
    """The two nested tables: speaker -> sequence -> sound, or frame -> row."""

    sounds: Mapping[str, Mapping[str, Any]]
    rows: Mapping[str, Mapping[str, Any]]


def _survey_raw(root: Path, face: FaceSources, vertex_count: int) -> Survey:
    problems: list[Problem] = []
    content: dict[str, Any] = {}
    readers: dict[str, Callable[[Path], Any]] = {
        TEMPLATE_FILE: read_templates,
        SOUND_FILE: _nested_table,
        INDEX_FILE: _nested_table,
        VERTEX_FILE: partial(map_positions, vertex_count=vertex_count),
    }
    for name, read in readers.items():
        try:
            if not (root / name).is_file():
                raise UserError("there is no such file.")
            content[name] = read(root / name)
        except UserError as error:
            problems.append(Problem(name, str(error)))
    if problems:
        raise DatasetProblems(root, problems)
    raw = _Raw(content[SOUND_FILE], content[INDEX_FILE])
    files = VertexFolder(root, content[TEMPLATE_FILE], TEMPLATE_FILE, vertex_count, FRAME_STEP, 1.0, STYLES)
    recordings, outside = [], []
    pairs = {(s, q) for table in (raw.sounds, raw.rows) for s, sequences in table.items() for q in sequences}
    for speaker, sequence in sorted(pairs):
        split = published_split(VOCASET_SPLITS, speaker, sequence)
        if split is None:
            outside.append(f"{speaker}_{sequence}")
            continue
        where = f"[{speaker}][{sequence}]"
        recordings.append(
            Recording(
                name=f"{speaker}_{sequence}", speaker=speaker, style=style_row(STYLES, speaker), split=split,
                sound_file=SOUND_FILE + where, motion_file=INDEX_FILE + where,
                open_sound=partial(_raw_sound, raw, speaker, sequence),
                open_motion=partial(_raw_motion, raw, files, speaker, sequence),
            )
        )  # fmt: skip
    return vertex_survey(
        files, mean_face(files, face), FPS, tuple(VOCASET_SPLITS), tuple(recordings), tuple(outside)
    )


def _nested_table(path: Path) -> Mapping[str, Mapping[str, Any]]:
    table = read_plain_pickle(path)
    if isinstance(table, Mapping) and table and all(isinstance(v, Mapping) for v in table.values()):
        texts = [key for inner in table.values() for key in inner] + list(table)
        if all(isinstance(key, str) for key in texts):
            return table
    raise UserError(f"'{path}' holds no sequences by speaker.", "Give the file of VOCASET's training data.")


def _raw_sound(raw: _Raw, speaker: str, sequence: str) -> Waveform:
    entry = raw.sounds.get(speaker, {}).get(sequence)
    if entry is None:
        raise UserError("the sound is missing.")
    samples = entry.get("audio") if isinstance(entry, Mapping) else None
    rate = entry.get("sample_rate") if isinstance(entry, Mapping) else None
    if not isinstance(samples, np.ndarray) or samples.dtype.kind not in "iuf" or samples.ndim not in (1, 2):
        raise UserError("'audio' is no array of samples.")
    if isinstance(rate, bool) or not isinstance(rate, int | float) or not 1_000 <= rate <= 384_000:
        raise UserError(f"'sample_rate' is {rate!r:.40}, not a rate from 1,000 to 384,000 Hz.")
    if not samples.size or not np.isfinite(samples).all():
        raise UserError("'audio' is empty or holds samples that are not finite.")
    return Waveform(resample(_mono(samples), round(rate), SPEECH_RATE_HZ), SPEECH_RATE_HZ)


def _mono(samples: np.ndarray[Any, Any]) -> FloatArray:
    """(n,) or (n, channels), integers or floats -> (n,) float32 with full scale 1.0."""
    mono = samples.mean(axis=1) if samples.ndim == 2 else samples.astype(np.float64)
    if samples.dtype.kind in "iu":
        mono = mono / float(np.iinfo(samples.dtype).max + 1)
    elif np.abs(mono).max() > _LOUDEST_FLOAT:
        mono = mono / _FULL_SCALE
    return np.asarray(mono, np.float32)


def _raw_motion(raw: _Raw, files: VertexFolder, speaker: str, sequence: str) -> VertexMotion:
    frames = raw.rows.get(speaker, {}).get(sequence)
    if frames is None:
        raise UserError("the motion is missing.")
    numbers = (*frames, *frames.values()) if isinstance(frames, Mapping) else (None,)
    if not all(type(number) is int and number >= 0 for number in numbers) or not frames:
        raise UserError("it is no table of rows by frame.")
    missing = next((frame for frame in range(len(frames)) if frame not in frames), None)
    if missing is not None:
        raise UserError(f"frame {missing} of {max(frames) + 1} is missing.")
    template = template_of(files, speaker)
    path = files.root / VERTEX_FILE
    rows = np.array([frames[frame] for frame in range(len(frames))], np.int64)
    count = len(map_positions(path, files.vertex_count))
    if rows.max() >= count:
        raise UserError(f"it names row {int(rows.max())}, but {VERTEX_FILE} has {count}.")
    return VertexMotion(path, rows[::FRAME_STEP], template)
