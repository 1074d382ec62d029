"""A motion ⇄ an .npz file.  Written to a temporary name and renamed: all of it or nothing.

The archive is not compressed (offsets hardly shrink, and a minute of motion would take seconds).
Arrays: offsets (T, V, 3) float32 metres, fps, codes (T_model, H) int32, model_fps, model, style.
Standard library and numpy only.
"""

from __future__ import annotations

import errno
import math
import secrets
import stat
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.lib.format import write_array
from numpy.typing import ArrayLike, NDArray

from .contracts import Motion
from .errors import OutputError, UserError

_ARRAYS = ("offsets", "fps", "codes", "model_fps", "model", "style")


def write_motion(path: Path, motion: Motion, model: str = "", style: str = "") -> None:
    """Write ``motion``; ``model`` and ``style`` name what made it.  Raises OutputError."""
    write_arrays(
        path,
        {
            "offsets": np.asarray(motion.offsets, np.float32),
            "fps": np.float64(motion.fps),
            "codes": np.asarray(motion.codes, np.int32),
            "model_fps": np.float64(motion.model_fps),
            "model": np.asarray(model),
            "style": np.asarray(style),
        },
    )


def read_motion(path: Path) -> Motion:
    """The motion in a file of :func:`write_motion`.  Raises UserError when it is not one."""
    arrays = read_arrays(path)
    missing = [name for name in _ARRAYS if name not in arrays]
    if missing:
        raise UserError(f"'{path}' is not a motion file: it lacks {', '.join(missing)}.")
    offsets, codes = arrays["offsets"], arrays["codes"]
    if offsets.ndim != 3 or offsets.shape[2] != 3 or offsets.dtype.kind != "f":
        raise UserError(f"'{path}': offsets must be (T, V, 3) numbers, not {offsets.dtype} {offsets.shape}.")
    if codes.ndim != 2 or codes.dtype.kind not in "iu":
        raise UserError(f"'{path}': codes must be (T, H) integers, not {codes.dtype} {codes.shape}.")
    return Motion(
        offsets=offsets.astype(np.float32, copy=False),
        fps=_rate(path, "fps", arrays["fps"]),
        codes=codes.astype(np.int32, copy=False),
        model_fps=_rate(path, "model_fps", arrays["model_fps"]),
    )


def _rate(path: Path, name: str, value: NDArray[np.generic]) -> float:
    if value.shape != () or value.dtype.kind not in "iuf":
        raise UserError(f"'{path}': {name} must be one number, not {value.dtype} {value.shape}.")
    rate = float(value)
    if not math.isfinite(rate) or rate <= 0:
        raise UserError(f"'{path}': {name} must be positive, not {rate}.")
    return rate


def read_arrays(path: Path) -> dict[str, NDArray[np.generic]]:
    """All arrays of an .npz, never unpickling.  Raises UserError."""
    try:
        with np.load(path, allow_pickle=False) as archive:
            if not isinstance(archive, np.lib.npyio.NpzFile):
                raise ValueError("it is one array, not an archive of arrays")
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile) as error:
        raise UserError(f"'{path}' cannot be read as an .npz of arrays: {error}.") from error


def write_arrays(path: Path, arrays: Mapping[str, ArrayLike]) -> None:
    """Write an uncompressed .npz, all of it or nothing.  Raises OutputError."""
    temporary = _temporary(path)
    try:
        _refuse_folder(path)
        try:
            with temporary.open("xb") as stream:
                _write_archive(stream, arrays)
            temporary.replace(path)
        except BaseException:  # a cancelled run, too, leaves nothing behind
            temporary.unlink(missing_ok=True)
            raise
    except OSError as error:
        raise _refusal(path, error) from error


def _write_archive(stream: BinaryIO, arrays: Mapping[str, ArrayLike]) -> None:
    """What ``np.savez`` writes; that one leaves its archive open when it is interrupted."""
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
        for name, value in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                write_array(member, np.asanyarray(value), allow_pickle=False)  # type: ignore[no-untyped-call]


def check_writable(path: Path) -> None:
    """Refuse now what :func:`write_motion` would refuse after minutes of work.  Raises OutputError."""
    probe = _temporary(path)
    try:
        _refuse_folder(path)
        try:
            probe.open("xb").close()
        finally:
            probe.unlink(missing_ok=True)
    except OSError as error:
        raise _refusal(path, error) from error


def _temporary(path: Path) -> Path:
    """A new name beside ``path``; without its name, which may be as long as the disk allows."""
    return path.with_name(f".{secrets.token_hex(8)}.tmp")


def _refuse_folder(path: Path) -> None:
    """Raises OSError when ``path`` is a folder, or a name that the disk refuses."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return  # as it should be; if its folder is missing, too, opening says so
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, "it is a folder")


def _refusal(path: Path, error: OSError) -> OutputError:
    if error.errno == errno.EISDIR:
        return OutputError(f"'{path}' cannot be written: it is a folder.", "Name a file in it.")
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        if file := _below_file(path.parent):
            return OutputError(
                f"'{path}' cannot be written: '{file}' is a file, not a folder.", "Choose a folder."
            )
        return OutputError(f"'{path}' cannot be written: its folder is missing.", "Make the folder first.")
    reason = error.strerror or str(error)
    return OutputError(f"'{path}' cannot be written: {reason}.", "Check the disk and its permissions.")


def _below_file(folder: Path) -> Path | None:
    """The regular file that stands where a folder should, if any."""
    return next((part for part in (folder, *folder.parents) if stat.S_ISREG(mode_of(part))), None)


def mode_of(path: Path) -> int:
    """The mode bits of what is there; 0 for nothing, or for what the disk refuses to say."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0
