"""The layers of an object and its take → weights of shapes, ready to be added to what is written.

A face that is not the demo head has no shapes of its own here: keys that its mesh has can still follow.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import bpy
import numpy as np

from ...contracts import FloatArray, ShapeWeights
from ...face import layers
from ...face.blendshapes import Blendshapes, demo_head_shapes, is_demo_template
from ...face.blinks import Blinks
from ...face.compact import Basis
from ...face.gaze import Gaze


@dataclass(frozen=True)
class Laid:
    """What is to be added.

    weights: of the shapes that layers move, as the face shall show them
    basis: the same as shapes on the model's face and how much of each is to be ADDED to the motion; None
        for a face without shapes
    note: a sentence about what cannot be shown as shapes, or ""
    """

    weights: ShapeWeights
    basis: Basis | None
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
    if not is_demo_template(template):
        weights = layers.lay(wanted, loudness, np.zeros(len(motion.weights)), fps).weights
        note = "Blinks and gaze need a model with the demo head's face, or Existing Keys; they are left out."
        return Laid(weights, None, note if weights.names else "")
    shapes = _shapes()
    closure = layers.closure_of(motion, shapes)
    weights = layers.lay(wanted, loudness, closure, fps).weights
    added = layers.beside(weights, closure)
    return Laid(weights, Basis(added.values, shapes.chosen(weights.names).offsets))


def layers_of(obj: bpy.types.Object) -> layers.Layers:
    """What the object's settings switch on."""
    group = obj.codetalker.layers
    return layers.Layers(
        blinks=Blinks(group.blink_rate, group.blink_amount, group.blink_seed) if group.use_blinks else None,
        gaze=Gaze(group.gaze_amount, group.gaze_flicks, group.gaze_seed) if group.use_gaze else None,
    )


def settings_text(obj: bpy.types.Object) -> str:
    """All that layers depend on, for comparing; "" where they are off."""
    wanted = layers_of(obj)
    return f" {wanted}" if wanted else ""


@lru_cache(maxsize=1)
def _shapes() -> Blendshapes:
    return demo_head_shapes()
