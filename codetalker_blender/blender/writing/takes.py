"""The raw motion of a run, kept in the .blend so that tuning needs no second run of the model.

It is a custom property of the shape-key datablock that it animates: bytes, about 1.5 MB for half a
minute.  In the .blend it comes along when the file is saved, moved, appended or handed on, is undone
and redone with the keys, copied with the mesh, and gone when the animation is removed.  A file
beside the .blend or in a cache folder would do none of that by itself.  It is on the datablock of
the keys because exporters write the custom properties of objects and meshes, and not of that.
"""

from __future__ import annotations

import io
import logging
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FaceMesh, FloatArray, Motion
from ...errors import TargetError
from ...face import compact
from ...face.compact import Basis
from ...face.model_shapes import template_of
from ...face.tuning import SEEDS, Regions, soft_regions
from ...model_files import ModelCard

log = logging.getLogger(__name__)
#: The custom property of the shape-key datablock.
PROPERTY = "codetalker_take"
#: The motion as kept differs from the model's by no more than this, on the model's own face.
MAX_ERROR_M = 2e-6
#: Shapes are kept as 16-bit numbers of this length, or of a larger one where they would not fit.
_STEP_M = 2.5e-7
#: Sound below this level is kept as silence.
_FLOOR_DB = -100.0
_VERSION = 1
#: What numpy and zipfile raise for bytes that are damaged or something else.
_UNREADABLE = (KeyError, ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class Take:
    """What a run of the model gave, untuned.

    basis: offsets in metres, template axes, at ``fps`` frames per second
    regions: of the model's face
    template: (V, 3) float32, the model's face, metres; a mesh that was scaled or turned since is found by it
    loudness: of the sound, as in :class:`Motion`, in steps of half a decibel
    """

    basis: Basis
    regions: Regions
    template: FloatArray
    fps: float
    loudness: FloatArray


@dataclass(frozen=True)
class Placed:
    """A take on a mesh, as the file keeps it.

    packed: the bytes of a :class:`Take`
    start_frame: scene frame of the take's first frame
    """

    packed: bytes
    start_frame: int


def capture(motion: Motion, face: FaceMesh, card: ModelCard) -> bytes:
    """A motion as a packed take.  Touches no bpy, so that it may run in any thread."""
    found = compact.factorise(motion.offsets, MAX_ERROR_M)
    template = template_of(face, card.units_per_metre)
    regions = soft_regions(face, card.units_per_metre)
    return pack(Take(found.basis, regions, template, motion.fps, motion.loudness))


def pack(take: Take) -> bytes:
    """The inverse of :func:`unpack`, but for the rounding of shapes to steps of a quarter of a micrometre."""
    basis, regions = take.basis, take.regions
    steps = np.maximum(np.abs(basis.shapes).max(axis=(1, 2)) / 32767, _STEP_M)
    stream = io.BytesIO()
    np.savez_compressed(
        stream,
        version=_VERSION,
        weights=basis.weights,
        shapes=np.rint(basis.shapes / steps[:, None, None]).astype(np.int16),
        steps=steps,
        names=np.array(regions.names, "U16"),
        regions=regions.weights.astype(np.float16),
        mid_lips=regions.mid_lips,
        template=take.template,
        fps=take.fps,
        loudness=_levels(take.loudness),
    )
    return stream.getvalue()


@lru_cache(maxsize=2)  # a slider asks for the same one at every pixel of its way
def unpack(packed: bytes) -> Take:
    """Raises TargetError for bytes that :func:`pack` has not made."""
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as file:
            version = int(file["version"])
            if version != _VERSION:
                raise _unusable(f"is in format {version} where this extension reads {_VERSION}")
            weights, shapes = file["weights"], file["shapes"] * file["steps"][:, None, None]
            names, shares = tuple(str(name) for name in file["names"]), file["regions"].astype(np.float32)
            mid_lips, fps = file["mid_lips"].astype(np.int32), float(file["fps"])
            template = file["template"].astype(np.float32)
            # Takes of earlier versions have none.
            levels = file["loudness"] if "loudness" in file else np.zeros(0, np.uint8)
    except _UNREADABLE as error:
        raise _unusable("cannot be read") from error
    frames, count = weights.shape if weights.ndim == 2 else (0, 0)
    vertices = shapes.shape[1] if shapes.ndim == 3 else 0
    fits = (
        frames
        and shapes.shape == (count, vertices, 3)
        and template.shape == (vertices, 3)
        and shares.shape == (len(names), vertices)
        and set(names) <= set(SEEDS)
        and mid_lips.shape in ((0,), (2,))
        and all(0 <= vertex < vertices for vertex in mid_lips)
        and fps > 0
        and levels.ndim == 1
        and levels.dtype == np.uint8
    )
    if not fits:
        raise _unusable("cannot be read")
    basis = Basis(weights.astype(np.float32), _single(shapes))
    return Take(basis, Regions(names, shares, mid_lips), template, fps, _loudness(levels))


def has_take(key: bpy.types.Key | None) -> bool:
    """Whether the file holds the raw motion of a mesh's animation; it may yet turn out to be damaged."""
    return key is not None and key.get(PROPERTY) is not None


def stored(key: bpy.types.Key | None) -> Placed | None:
    """The take of a mesh's animation, or None where the file holds none that could be used."""
    if key is None or key.get(PROPERTY) is None:
        return None
    try:
        return Placed(bytes(key[PROPERTY]["packed"]), int(key[PROPERTY]["start_frame"]))
    except _UNREADABLE as error:
        log.warning("The take of '%s' cannot be read: %s", key.name, error)
        return None


def store(key: bpy.types.Key, placed: Placed | None) -> None:
    """Keep a take with the keys, or forget the one that they have."""
    if placed is not None:
        key[PROPERTY] = {"packed": placed.packed, "start_frame": placed.start_frame}
    elif key.get(PROPERTY) is not None:
        del key[PROPERTY]


def _levels(loudness: FloatArray) -> NDArray[np.uint8]:
    """Half decibels above the floor."""
    decibels = 20.0 * np.log10(np.maximum(loudness, 1e-9))
    return np.asarray(np.clip(np.rint(2.0 * (decibels - _FLOOR_DB)), 0, 255), np.uint8)


def _loudness(levels: NDArray[np.uint8]) -> FloatArray:
    """The inverse of :func:`_levels`, but for its rounding; at the floor is silence."""
    found = 10.0 ** ((0.5 * levels + _FLOOR_DB) / 20.0)
    return np.where(levels > 0, found, 0.0).astype(np.float32)


def _single(values: NDArray[np.float64]) -> FloatArray:
    return values.astype(np.float32)


def _unusable(what: str) -> TargetError:
    return TargetError(f"The raw motion that the file keeps {what}.", "Generate again to tune it.")
