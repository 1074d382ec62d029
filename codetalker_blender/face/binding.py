"""What ties a mesh to a model's face, made once and kept: a table of weights, and bytes for it.

Numpy only; no bpy.
"""

from __future__ import annotations

import hashlib
import io
import json
import zipfile
import zlib
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..contracts import FaceMesh, FloatArray, IntArray
from ..errors import TargetError
from .quality import Quality

_VERSION = 1
#: What numpy, json and zipfile raise for bytes that are damaged or something else.
_UNREADABLE = (KeyError, ValueError, TypeError, EOFError, OSError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True, eq=False)
class Binding:
    """How the vertices of a mesh follow those of a model's face.

    An offset of the mesh is ``frames @ sum of weights * offsets of the sources``.  Sources are the
    model's vertices and, numbered after them, anchors: four for each rigid part.

    model, mesh: signatures of the model's face and of the mesh at rest, see :func:`signature`
    source_count, vertex_count: vertices of the model and of the mesh
    moved: (n,) int32 vertices of the mesh that follow at all
    sources: (n, 4) int32; weights: (n, 4) float32, which fade where the face ends
    frames: (n, 3, 3) float32, mesh units per metre of the model, from its axes to the mesh's
    anchored: (k,) int32 vertices of the model that lead anchors, part after part
    anchor_weights: (k, 4) float32; anchor_counts: (parts,) int32 how many of the k each part has
    distance_mm: (vertex_count,) float32 how far each vertex is from the fitted face; NaN where that says
        nothing: it holds still, follows a rigid part, or lies beyond where the model's skin ends
    quality: of the fit
    """

    model: str
    mesh: str
    source_count: int
    vertex_count: int
    moved: IntArray
    sources: IntArray
    weights: FloatArray
    frames: FloatArray
    anchored: IntArray
    anchor_weights: FloatArray
    anchor_counts: IntArray
    distance_mm: FloatArray
    quality: Quality

    @property
    def bound_share(self) -> float:
        """The share of the mesh's vertices that follow the face."""
        return len(self.moved) / max(self.vertex_count, 1)


def signature(points: NDArray[Any], triangles: NDArray[Any]) -> str:
    """sha256 (hex) of a mesh at rest: coordinates as float32 and triangles in their order."""
    found = hashlib.sha256(np.ascontiguousarray(points, "<f4").tobytes())
    found.update(np.ascontiguousarray(triangles, "<i4").tobytes())
    return found.hexdigest()


def is_current(binding: Binding, face: FaceMesh, points: NDArray[Any], triangles: NDArray[Any]) -> bool:
    """Whether a binding was made for this model's face and this mesh as it is now."""
    return binding.model == signature(face.vertices, face.triangles) and binding.mesh == signature(
        points, triangles
    )


_ARRAYS = {
    "moved": np.int32,
    "sources": np.int32,
    "weights": np.float32,
    "frames": np.float32,
    "anchored": np.int32,
    "anchor_weights": np.float32,
    "anchor_counts": np.int32,
    "distance_mm": np.float32,
}


def pack(binding: Binding) -> bytes:
    """A binding as bytes, for a custom property or a file; distances are rounded to 16 bits."""
    facts = {
        "version": _VERSION,
        "model": binding.model,
        "mesh": binding.mesh,
        "source_count": binding.source_count,
        "vertex_count": binding.vertex_count,
        "quality": asdict(binding.quality),
    }
    arrays = {name: getattr(binding, name) for name in _ARRAYS}
    arrays["distance_mm"] = binding.distance_mm.astype(np.float16)
    stream = io.BytesIO()
    np.savez_compressed(stream, facts=np.frombuffer(json.dumps(facts).encode(), np.uint8), **arrays)
    return stream.getvalue()


def unpack(packed: bytes) -> Binding:
    """The inverse of :func:`pack`.  Raises TargetError for bytes that it has not made."""
    try:
        with np.load(io.BytesIO(packed), allow_pickle=False) as file:
            facts = json.loads(file["facts"].tobytes().decode())
            if facts["version"] != _VERSION:
                raise _unusable(f"is in format {facts['version']} where this extension reads {_VERSION}")
            arrays = {name: file[name].astype(kind) for name, kind in _ARRAYS.items()}
        found = Binding(
            model=str(facts["model"]),
            mesh=str(facts["mesh"]),
            source_count=int(facts["source_count"]),
            vertex_count=int(facts["vertex_count"]),
            quality=Quality(**facts["quality"]),
            **arrays,
        )
    except _UNREADABLE as error:
        raise _unusable("cannot be read") from error
    if not _fits(found):
        raise _unusable("cannot be read")
    return found


def _fits(found: Binding) -> bool:
    """Whether every array has its shape and no number points outside."""
    rows, led, parts = len(found.moved), len(found.anchored), len(found.anchor_counts)
    shapes = (
        found.moved.shape == (rows,)
        and found.sources.shape == found.weights.shape == (rows, 4)
        and found.frames.shape == (rows, 3, 3)
        and found.anchored.shape == (led,)
        and found.anchor_weights.shape == (led, 4)
        and found.anchor_counts.shape == (parts,)
        and found.distance_mm.shape == (found.vertex_count,)
    )
    return bool(
        shapes
        and _within(found.moved, found.vertex_count)
        and _within(found.sources, found.source_count + 4 * parts)
        and _within(found.anchored, found.source_count)
        and (found.anchor_counts > 0).all()
        and found.anchor_counts.sum() == led
        and np.isfinite(found.weights).all()
        and np.isfinite(found.frames).all()
        and np.isfinite(found.anchor_weights).all()
    )


def _within(index: IntArray, count: int) -> bool:
    return bool(not index.size or (index.min() >= 0 and index.max() < count))


def _unusable(what: str) -> TargetError:
    return TargetError(f"The binding that the file keeps {what}.", "Fit the face to the mesh again.")
