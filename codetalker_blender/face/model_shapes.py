"""The ARKit shapes of a model's face: the demo head's own, or carried over to another face and kept.

    model's face ─► demo head? ─► its shapes
                └─► kept? ─► those ; else carried over once (keep_shapes) ─► kept

What was kept is found again by the face's vertices alone, in metres, which a take holds.  Numpy only; no bpy.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable
from functools import cache
from pathlib import Path

import numpy as np

from ..contracts import FaceMesh, FloatArray
from ..errors import OutputError, UserError
from .blendshapes import (
    Blendshapes,
    demo_head_shapes,
    is_demo_template,
    read_blendshapes,
    write_blendshapes,
)

#: carry(offsets) -> offsets: (S, V of the demo head, 3) metres -> (S, V of the face, 3) units of the face
Carry = Callable[[FloatArray], FloatArray]

#: Goes up when shapes are carried over in another way, so that kept ones are made anew.
_VERSION = 2
_log = logging.getLogger(__name__)


def template_of(face: FaceMesh, units_per_metre: float) -> FloatArray:
    """(V, 3) metres: by these vertices, bit by bit, kept shapes are found.

    units_per_metre: template units in one metre
    """
    return (face.vertices / np.float32(units_per_metre)).astype(np.float32)


def shapes_of(template: FloatArray, folder: Path) -> Blendshapes | None:
    """The 52 ARKit shapes of a face, metres; None when it is another one and none of use are kept.

    template: (V, 3) as :func:`template_of`; folder: where shapes that were carried over are kept
    Raises UserError for a damaged installation.
    """
    return demo_head_shapes() if is_demo_template(template) else _kept(kept_file(template, folder), template)


def keep_shapes(face: FaceMesh, units_per_metre: float, folder: Path, carry: Carry) -> bool:
    """See to it that :func:`shapes_of` finds shapes for a model's face; False when it does already.

    folder: need not exist; carry: called only when nothing of use is kept

    Raises whatever ``carry`` raises (TargetError for a face that the demo head does not fit), OutputError for
    a folder that cannot be written to, and UserError for a damaged installation.
    """
    template = template_of(face, units_per_metre)
    if shapes_of(template, folder) is not None:
        return False
    head = demo_head_shapes()
    offsets = (carry(head.offsets) / np.float32(units_per_metre)).astype(np.float32)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_blendshapes(kept_file(template, folder), Blendshapes(head.names, offsets))
    except (OSError, OutputError) as error:
        raise OutputError(
            f"The shapes of the model's face cannot be kept in '{folder}': {error}",
            "Make room there, or allow writing.",
        ) from error
    return True


def kept_file(template: FloatArray, folder: Path) -> Path:
    """Where the shapes of such a face are kept, whether or not they are."""
    digest = hashlib.sha256(np.ascontiguousarray(template, "<f4").tobytes())
    digest.update(_origin())
    return folder / f"arkit-{digest.hexdigest()[:24]}.npz"


@cache
def _origin() -> bytes:
    """What all kept shapes depend on besides the face: the way, and the demo head's own shapes."""
    head = demo_head_shapes()
    found = hashlib.sha256(repr((_VERSION, head.names)).encode())
    found.update(np.ascontiguousarray(head.offsets, "<f4").tobytes())
    return found.digest()


def _kept(path: Path, template: FloatArray) -> Blendshapes | None:
    """Shapes that were kept; None when there are none, or they cannot be used."""
    if not path.is_file():
        return None
    try:
        found = read_blendshapes(path)
    except UserError as error:
        _log.warning("%s They are made anew.", error)
        return None
    fits = found.names == demo_head_shapes().names and found.vertex_count == len(template)
    return found if fits else None
