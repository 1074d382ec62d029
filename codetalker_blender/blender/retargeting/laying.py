"""The layers of an object and its take → weights of shapes, ready to be added to what is written.

A face that is not the demo head has no shapes of its own here: keys that its mesh has can still follow.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FloatArray, ShapeWeights
from ...face import layers
from ...face.blendshapes import Blendshapes, demo_head_shapes, is_demo_template
from ...face.blinks import Blinks
from ...face.compact import Basis
from ...face.gaze import Gaze
from ...face.head_motion import HeadMotion
from .head import Head, find


@dataclass(frozen=True)
class Laid:
    """What is to be added.

    weights: of the shapes that layers move, as the face shall show them
    basis: the same as shapes on the model's face and how much of each is to be ADDED to the motion; None
        for a face without shapes
    head: what turns, and rotations: (T, 3, 3) how, in the face's axes; None where nothing does
    note: sentences about what cannot be shown, or ""
    """

    weights: ShapeWeights
    basis: Basis | None
    head: Head | None = None
    rotations: NDArray[np.float64] | None = None
    note: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the shapes of ``basis``."""
        return self.weights.names if self.basis is not None else ()


def lay(
    obj: bpy.types.Object, motion: Basis, template: FloatArray, loudness: FloatArray, fps: float
) -> Laid | None:
    """What the object's settings lay on a tuned motion; None where all is off.

    motion, template: metres, on the model's face; loudness: of the sound
    """
    wanted = layers_of(obj)
    if not wanted:
        return None
    found = find(obj, template) if wanted.head is not None else None
    notes: list[str] = []
    if isinstance(found, str):
        # Eyes must not make up for a head that holds still.
        wanted, found, notes = replace(wanted, head=None), None, [found]
    known = is_demo_template(template)
    shapes, closure = _shapes(), np.zeros(len(motion.weights))
    if known:
        closure = layers.closure_of(motion, shapes)
    laid = layers.lay(wanted, loudness, closure, fps)
    if laid.weights.names and not known:
        notes.append("Blinks and gaze need a model with the demo head's face, and are left out.")
    basis = None
    if laid.weights.names and known:
        added = layers.beside(laid.weights, closure)
        basis = Basis(added.values, shapes.chosen(laid.weights.names).offsets)
    return Laid(laid.weights, basis, found, laid.head, " ".join(notes))


def layers_of(obj: bpy.types.Object) -> layers.Layers:
    """What the object's settings switch on."""
    group = obj.codetalker.layers
    return layers.Layers(
        blinks=Blinks(group.blink_rate, group.blink_amount, group.blink_seed) if group.use_blinks else None,
        head=HeadMotion(group.head_amount, group.head_seed) if group.use_head else None,
        gaze=Gaze(group.gaze_amount, group.gaze_flicks, group.gaze_seed) if group.use_gaze else None,
    )


def settings_text(obj: bpy.types.Object) -> str:
    """All that layers depend on, for comparing; "" where they are off."""
    wanted = layers_of(obj)
    turned = obj.codetalker.layers.head_object if wanted.head is not None else None
    return f" {wanted} {turned.name if turned is not None else ''}" if wanted else ""


@lru_cache(maxsize=1)
def _shapes() -> Blendshapes:
    return demo_head_shapes()
