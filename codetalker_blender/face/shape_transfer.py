"""The demo head's shapes -> offsets on another model's face: the head is fitted to it, and they follow.

    demo head ─► fit (registration) ─► bind ─► apply ─► offsets (transfer)

Deformation transfer after fitting.  It takes seconds, so ``model_shapes`` keeps what comes out.  Numpy only.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from ..contracts import FaceMesh, FloatArray
from ..errors import TargetError
from . import registration, transfer
from .blendshapes import demo_head_face
from .surface import Floats, Index

#: The demo head is in metres.
_HEAD_UNITS = 1.0


def check_face(face: FaceMesh, model: str) -> None:
    """Raises TargetError for a face to which nothing can be fitted.  Cheap.

    model: its name, to quote
    """
    if not len(face.triangles):
        raise TargetError(
            f"The face of the model '{model}' has vertices and no polygons, so that it has no shapes of its "
            "own and none can be carried over to it.",
            "Import the model again with a mesh of its face (.ply or .obj), or choose another Output.",
        )


def carry_to_face(face: FaceMesh, model: str, offsets: FloatArray) -> FloatArray:
    """Offsets of the demo head, (..., V of the head, 3) metres -> (..., V of the face, 3) units of the face.

    Raises TargetError with the reasons when the head does not fit the face.
    """
    check_face(face, model)
    head = demo_head_face()
    points = face.vertices.astype(np.float64)
    triangles = _outwards(points, face.triangles.astype(np.int64))
    try:
        fit = registration.fit(head, _HEAD_UNITS, points, triangles, _landmarks(face))
    except TargetError as error:
        reasons = error.message.partition(": ")[2] or error.message
        raise TargetError(
            f"The demo head's shapes cannot be carried over to the face of the model '{model}': {reasons}",
            "Choose another Output, or a model whose face is a whole human face with a neutral expression.",
        ) from error
    return transfer.apply(transfer.bind(fit, head, points, triangles), offsets)


def _outwards(points: Floats, triangles: Index) -> Index:
    """The triangles, turned where they face inwards: released templates come in either winding."""
    a, b, c = ((points - points.mean(axis=0))[triangles[:, k]] for k in range(3))
    volume = np.einsum("ij,ij->", np.cross(a, b), c)
    return triangles if volume > 0 else np.ascontiguousarray(triangles[:, ::-1])


def _landmarks(face: FaceMesh) -> Mapping[str, Floats]:
    """Where the model's face says that its mouth is."""
    if len(face.mid_lips) != 2:
        return {}
    return {"mouth": face.vertices[face.mid_lips].mean(axis=0, dtype=np.float64)}
