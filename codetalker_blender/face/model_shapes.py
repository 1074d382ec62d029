"""The ARKit shapes of a model's face: the demo head's own, or carried over to another face and kept.

    model's face ─► demo head? ─► its shapes
                └─► kept? ─► those ; else carried over once ─► kept

Numpy only; no bpy.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ..contracts import FaceMesh, FloatArray
from ..errors import OutputError, UserError
from .blendshapes import (
    Blendshapes,
    demo_head_shapes,
    is_demo_head,
    read_blendshapes,
    write_blendshapes,
)

#: carry(offsets) -> offsets: (S, V of the demo head, 3) metres -> (S, V of the face, 3) units of the face
Carry = Callable[[FloatArray], FloatArray]

#: Goes up when shapes are carried over in another way, so that kept ones are made anew.
_VERSION = 1
_log = logging.getLogger(__name__)


def model_shapes(face: FaceMesh, units_per_metre: float, folder: Path, carry: Carry) -> Blendshapes:
    """The 52 ARKit shapes of a model's face, metres.

    units_per_metre: template units in one metre
    folder: where shapes that were carried over are kept; it need not exist
    carry: ties the demo head to the face and carries offsets over; called only when nothing is kept

    Raises whatever ``carry`` raises (TargetError for a face that the demo head does not fit), and UserError
    for a damaged installation.  A folder that cannot be written to costs time at the next call, no more.
    """
    if is_demo_head(face, units_per_metre):
        return demo_head_shapes()
    path = folder / f"arkit-{_signature(face, units_per_metre)}.npz"
    if found := _kept(path, face):
        return found
    head = demo_head_shapes()
    offsets = (carry(head.offsets) / np.float32(units_per_metre)).astype(np.float32)
    shapes = Blendshapes(head.names, offsets)
    _keep(path, shapes)
    return shapes


def _signature(face: FaceMesh, units_per_metre: float) -> str:
    """What kept shapes depend on, in 24 hexadecimal digits."""
    parts = (
        repr((_VERSION, units_per_metre)).encode(),
        np.ascontiguousarray(face.vertices, "<f4").tobytes(),
        np.ascontiguousarray(face.triangles, "<i4").tobytes(),
        demo_head_shapes().offsets.astype("<f4").tobytes(),
    )
    return hashlib.sha256(b"".join(parts)).hexdigest()[:24]


def _kept(path: Path, face: FaceMesh) -> Blendshapes | None:
    """Shapes that were kept; None when there are none, or they cannot be used."""
    if not path.is_file():
        return None
    try:
        found = read_blendshapes(path)
    except UserError as error:
        _log.warning("%s They are made anew.", error)
        return None
    return found if found.vertex_count == face.vertex_count else None


def _keep(path: Path, shapes: Blendshapes) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_blendshapes(path, shapes)
    except (OSError, OutputError) as error:
        _log.warning("The face's shapes cannot be kept for the next time: %s", error)
