"""A face's named shapes: offsets of every vertex at full effect, and motion made of them.

    names, deltas on disk ─► Blendshapes ─► times ShapeWeights ─► offsets

The demo head's 52 ARKit shapes and 15 visemes are shipped; other faces get theirs by transfer.  Numpy only.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..array_files import read_arrays, write_arrays
from ..contracts import FaceMesh, FloatArray, ShapeWeights
from ..errors import TargetError, UserError
from ..model_files import FACE_FILE, read_face_file
from ..resources import shipped

#: What of the demo head is shipped.
_HEAD = "head"
_SHAPES_FILE = "shapes.npz"
#: A template this close to the demo head's is the demo head.
_SAME_FACE_M = 0.0005


@dataclass(frozen=True)
class Blendshapes:
    """Named shapes of one face.

    names: (S,) distinct
    offsets: (S, V, 3) float32 METRES from rest at weight 1, in the template's axes
    """

    names: tuple[str, ...]
    offsets: FloatArray

    @property
    def vertex_count(self) -> int:
        return self.offsets.shape[1]

    def chosen(self, names: Sequence[str]) -> Blendshapes:
        """Only ``names``, in that order.  Raises KeyError for one that is not there."""
        row = {name: index for index, name in enumerate(self.names)}
        return Blendshapes(tuple(names), self.offsets[[row[name] for name in names]])

    def motion(self, weights: ShapeWeights) -> FloatArray:
        """(T, V, 3) float32 metres: ``weights`` played through the shapes.

        Shapes without a weight rest; a weight without a shape moves nothing.
        """
        columns = np.stack([weights.of(name) for name in self.names], axis=1)
        flat = columns @ self.offsets.reshape(len(self.names), -1)
        return flat.reshape(len(columns), -1, 3)


def demo_head_shapes() -> Blendshapes:
    """The demo head's 52 ARKit shapes.  Raises UserError when the installation is damaged."""
    return read_blendshapes(shipped(f"{_HEAD}/{_SHAPES_FILE}"))


def demo_head_visemes() -> Blendshapes:
    """The demo head's 15 visemes.  Raises UserError as above."""
    return visemes_of(demo_head_shapes())


def visemes_of(shapes: Blendshapes) -> Blendshapes:
    """The 15 visemes of a face, mixed from its ARKit shapes as the demo head's are.

    The silent one is rest: a shape without offsets.  ARKit shapes that the face lacks are left out.
    Raises UserError when the installation is damaged.
    """
    mixtures = viseme_mixtures()
    mixture = np.array([[shares.get(name, 0.0) for name in shapes.names] for shares in mixtures.values()])
    offsets = np.tensordot(mixture.astype(np.float32), shapes.offsets, 1)
    return Blendshapes(tuple(mixtures), offsets.astype(np.float32))


def viseme_mixtures() -> dict[str, dict[str, float]]:
    """How much of each ARKit shape is in each of the 15 visemes.  Raises UserError as above."""
    path = shipped(f"{_HEAD}/{_SHAPES_FILE}")
    arrays = read_arrays(path)
    if missing := [name for name in ("names", "viseme_names", "viseme_weights") if name not in arrays]:
        raise UserError(
            f"'{path}' holds no visemes: it lacks '{missing[0]}'.", "Install the extension again."
        )
    parts, names = ([str(name) for name in arrays[field]] for field in ("names", "viseme_names"))
    mixture = arrays["viseme_weights"]
    if mixture.shape != (len(names), len(parts)):
        raise UserError(f"'{path}': 'viseme_weights' must be one row per viseme, not {mixture.shape}.")
    return {
        name: {part: float(share) for part, share in zip(parts, row, strict=True) if share}
        for name, row in zip(names, mixture, strict=True)
    }


def demo_head_face() -> FaceMesh:
    """The mesh that these shapes belong to.  Raises UserError as above."""
    return read_face_file(shipped(f"{_HEAD}/{FACE_FILE}"))


def is_demo_template(vertices: FloatArray) -> bool:
    """Whether (V, 3) metres are the demo head's vertices."""
    head = demo_head_face().vertices
    return vertices.shape == head.shape and bool(np.abs(vertices - head).max() <= _SAME_FACE_M)


def read_blendshapes(path: Path) -> Blendshapes:
    """Read ``names`` and ``deltas`` (metres) of an .npz; other arrays may stand beside them.

    Raises UserError when they are missing or unusable.
    """
    arrays = read_arrays(path)
    missing = [name for name in ("names", "deltas") if name not in arrays]
    if missing:
        raise UserError(f"'{path}' holds no shapes: it lacks {' and '.join(missing)}.")
    names, deltas = arrays["names"], arrays["deltas"]
    if names.ndim != 1 or names.dtype.kind != "U" or len(np.unique(names)) != len(names) or not len(names):
        raise UserError(
            f"'{path}': 'names' must be a list of different names, not {names.dtype} {names.shape}."
        )
    if deltas.ndim != 3 or deltas.shape[::2] != (len(names), 3) or deltas.dtype.kind != "f":
        raise UserError(
            f"'{path}': 'deltas' must be ({len(names)}, V, 3) numbers, not {deltas.dtype} {deltas.shape}."
        )
    offsets = deltas.astype(np.float32)
    if not np.isfinite(offsets).all():
        raise UserError(f"'{path}': 'deltas' must be finite numbers.")
    return Blendshapes(tuple(str(name) for name in names), offsets)


def write_blendshapes(path: Path, shapes: Blendshapes) -> None:
    """The inverse of :func:`read_blendshapes`.  Raises OutputError."""
    write_arrays(path, {"names": np.array(shapes.names), "deltas": shapes.offsets})


def check_vertices(shapes: Blendshapes, motion_vertices: int) -> None:
    """Raises TargetError when a motion is not on the mesh of the shapes."""
    if shapes.vertex_count != motion_vertices:
        raise TargetError(
            f"The motion has {motion_vertices} vertices and the face's shapes have {shapes.vertex_count}.",
            "Use the shapes of the model that made the motion.",
        )
