"""Fits that were made, kept on this machine: the same question is answered by reading, not by computing.

    meshes, face, landmarks ─► Question ─► digest ─► a file in a folder ─► KeptFit

Whatever decides a fit is part of the question, and nothing else is.  A file is written whole or not at all,
so that any number of processes may share the folder; one that is damaged counts as none.  Numpy only; no bpy.
"""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..array_files import read_arrays, write_arrays
from ..contracts import FaceMesh, FloatArray, IntArray
from ..errors import OutputError, TargetError, UserError
from .binding import is_current, unpack

#: Goes up when the same question shall get another answer, so that kept ones are made anew.
_VERSION = 1
#: So many fits are kept; those that were not asked for the longest go first.
MOST_KEPT = 64
_PATTERN = "fit-*.npz"
_log = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Mesh:
    """points: (V, 3) float32; triangles: (F, 3) int32; matrix: (4, 4) into the space of the first mesh"""

    points: FloatArray
    triangles: IntArray
    matrix: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Question:
    """All that a fit depends on.

    meshes: the target's, then its companions'
    landmarks: names -> (3,) in the target's mesh
    """

    face: FaceMesh
    units_per_metre: float
    meshes: tuple[Mesh, ...]
    landmarks: Mapping[str, NDArray[Any]]

    @cached_property
    def digest(self) -> str:
        """The same for the same question, and for no other."""
        found, face = hashlib.sha256(repr((_VERSION, float(self.units_per_metre))).encode()), self.face
        parts: list[tuple[str, NDArray[Any]]] = [("vertices", face.vertices), ("triangles", face.triangles)]
        parts += [("mid lips", face.mid_lips), ("lip corners", face.lip_corners)]
        parts += [(f"region {name}", face.regions[name]) for name in sorted(face.regions)]
        for mesh in self.meshes:
            parts += [("points", mesh.points), ("corners", mesh.triangles), ("matrix", mesh.matrix)]
        parts += [(f"landmark {name}", self.landmarks[name]) for name in sorted(self.landmarks)]
        for name, values in parts:
            plain = np.ascontiguousarray(values, np.float64 if values.dtype.kind == "f" else np.int64)
            found.update(f"{name} {plain.shape}".encode())
            found.update(plain.tobytes())
        return found.hexdigest()[:32]


@dataclass(frozen=True, eq=False)
class KeptFit:
    """packed: the bytes of each mesh's binding, b"" for one that does not follow; preview: (V, 3) the fitted
    face's vertices in the target's mesh
    """

    packed: tuple[bytes, ...]
    preview: FloatArray


def kept_fit(folder: Path, question: Question) -> KeptFit | None:
    """The answer that is kept; None where there is none of use."""
    path = _path(folder, question)
    if not path.is_file():
        return None
    try:
        arrays = read_arrays(path)
        preview = np.asarray(arrays["preview"], np.float32)
        packed = tuple(arrays[f"mesh_{number}"].tobytes() for number in range(len(question.meshes)))
        whole = preview.shape == question.face.vertices.shape and np.isfinite(preview).all()
        if not whole or not _answers(packed, question):
            raise ValueError("it answers another question")
    except (UserError, KeyError, ValueError, TypeError) as error:
        _log.warning("The fit that is kept in '%s' is made anew: %s", path, error)
        return None
    with suppress(OSError):  # a folder that cannot be written to
        os.utime(path)
    return KeptFit(packed, preview)


def keep_fit(folder: Path, question: Question, fit: KeptFit) -> None:
    """Keep an answer.  A disk that refuses costs the time of computing again, and nothing else."""
    arrays = {f"mesh_{number}": np.frombuffer(own, np.uint8) for number, own in enumerate(fit.packed)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_arrays(_path(folder, question), {"preview": fit.preview, **arrays})
        _forget_oldest(folder)
    except (OSError, OutputError) as error:
        _log.warning("A fit cannot be kept in '%s': %s", folder, error)


def _path(folder: Path, question: Question) -> Path:
    return folder / f"fit-{question.digest}.npz"


def _answers(packed: tuple[bytes, ...], question: Question) -> bool:
    """Whether these are whole bindings of the face to these meshes."""
    try:
        return bool(packed[0]) and all(
            is_current(unpack(own), question.face, mesh.points, mesh.triangles)
            for own, mesh in zip(packed, question.meshes, strict=True)
            if own
        )
    except TargetError:
        return False


def _forget_oldest(folder: Path) -> None:
    """Raises OSError."""
    ages = {}
    for path in folder.glob(_PATTERN):
        with suppress(FileNotFoundError):  # another process forgets, too
            ages[path] = path.stat().st_mtime_ns
    for path in sorted(ages, key=ages.__getitem__)[: max(0, len(ages) - MOST_KEPT)]:
        path.unlink(missing_ok=True)
