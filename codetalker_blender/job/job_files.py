"""The files of a job's folder, in which its arrays and packed sounds travel.

Written by one side, taken by the other: who takes a file deletes it.  Standard library and numpy only.
"""

from __future__ import annotations

import secrets
from contextlib import suppress
from pathlib import Path

import numpy as np

from ..array_files import read_arrays, write_arrays
from ..contracts import FloatArray
from ..errors import OutputError, UserError
from ..motion_files import read_motion
from .messages import Done, Frames, ProtocolError, Written


def new_file(folder: Path, name: str) -> Path:
    """A path in a job's folder that no other file of it has."""
    return folder / f"{secrets.token_hex(4)}-{name}"


def file_of(folder: Path, name: str) -> Path:
    """The file of that name in a job's folder.  Raises ProtocolError for a name that leads elsewhere."""
    path = folder / name
    if Path(name).name != name or not path.is_file():
        raise ProtocolError(f"no file of this job: {name!r:.80}")
    return path


def result_file(folder: Path) -> Path:
    """A new path for the result of a job whose folder is ``folder``."""
    return new_file(folder, "motion.npz")


def take_result(written: Written) -> Done:
    """Read the result and delete its file.  Raises ProtocolError when it is no motion.

    Windows keeps a file that is mapped (long motion): there it goes with the job's folder, if by then the
    motion is no longer used.
    """
    try:
        motion = read_motion(written.path)
    except UserError as error:
        raise ProtocolError(f"the job's result: {error}") from error
    with suppress(PermissionError):
        written.path.unlink()
    return Done(motion, written.report)


def write_frames(folder: Path, start: int, offsets: FloatArray) -> Frames:
    """Put offsets (n, V, 3) metres into a new file of the job.  Raises OutputError."""
    path = new_file(folder, "frames.npz")
    write_arrays(path, {"offsets": offsets})
    return Frames(start, path)


def take_frames(frames: Frames) -> FloatArray:
    """The inverse of :func:`write_frames`; deletes the file.  Raises ProtocolError for anything else."""
    try:
        offsets = read_arrays(frames.path).get("offsets")
    except UserError as error:
        raise ProtocolError(f"frames: {error}") from error
    with suppress(PermissionError):  # as above
        frames.path.unlink()
    if offsets is None or offsets.dtype != np.float32 or offsets.ndim != 3 or offsets.shape[2] != 3:
        raise ProtocolError(f"'{frames.path}' holds no offsets")
    return offsets.astype(np.float32, copy=False)


def write_sound(folder: Path, data: bytes) -> Path:
    """Put a packed sound, a whole file's bytes, into a new file of the job.  Raises OutputError."""
    path = new_file(folder, "sound")
    try:
        path.write_bytes(data)
    except OSError as error:
        raise OutputError(f"The packed sound cannot be handed on: {error}.", "Check the disk.") from error
    return path


def take_sound(path: Path) -> bytes:
    """The inverse of :func:`write_sound`; deletes the file."""
    data = path.read_bytes()
    path.unlink()
    return data


def write_style(folder: Path, style: FloatArray) -> Path:
    """Put a request's mix weights of styles, a row or one per frame, into a new file.  Raises OutputError."""
    path = new_file(folder, "style.npz")
    write_arrays(path, {"style": np.asarray(style, np.float32)})
    return path


def take_style(path: Path) -> FloatArray:
    """The inverse of :func:`write_style`; deletes the file.  Raises ProtocolError, UserError."""
    style = read_arrays(path).get("style")
    path.unlink()
    if style is None or style.dtype != np.float32:
        raise ProtocolError("the style's file lacks a float32 array 'style'")
    return style.astype(np.float32, copy=False)
