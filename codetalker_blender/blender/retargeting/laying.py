"""The layers of an object and its take → weights of shapes, and turns of the head, to be added to the motion.

Shapes of a face that is not the demo head's are where the worker has left them (bases.py), or not there.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FloatArray, ShapeWeights
from ...errors import TargetError
from ...face import layers
from ...face.blendshapes import Blendshapes
from ...face.blinks import Blinks
from ...face.compact import Basis
from ...face.gaze import Gaze, Sight
from ...face.head_motion import HEAD_ANGLES, HeadMotion
from . import bases, eyes, rig_rules, rig_values, sight
from .head import Head, find

#: Whom the eyes miss in more than this share of the frames is worth a sentence.
_OFTEN = 0.5


@dataclass(frozen=True)
class Laid:
    """What is to be added.

    weights: of the shapes that layers move, as the face shall show them
    basis: the same as shapes on the model's face and how much of each is to be ADDED to the motion; None
        for a face without shapes
    head: the object that turns, None where none does; rotations: (T, 3, 3) how, in the face's axes
    head_angles: (T, 3) degrees of HEAD_ANGLES of the same, for channels of a rig
    note: sentences about what cannot be shown, or ""
    """

    weights: ShapeWeights
    basis: Basis | None
    head: Head | None = None
    rotations: NDArray[np.float64] | None = None
    head_angles: NDArray[np.float64] | None = None
    note: str = ""

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the shapes of ``basis``."""
        return self.weights.names if self.basis is not None else ()


def lay(
    obj: bpy.types.Object,
    motion: Basis,
    template: FloatArray,
    loudness: FloatArray,
    fps: float,
    start_frame: float,
) -> Laid | None:
    """What the object's settings lay on a tuned motion; None where all is off.

    motion, template: metres, on the model's face; loudness: of the sound
    start_frame: scene frame of the motion's first
    """
    wanted = layers_of(obj)
    if not wanted:
        return None
    found = _turned(obj, template) if wanted.head is not None else None
    notes: list[str] = []
    if isinstance(found, str):
        # Eyes must not make up for a head that holds still.
        wanted, found, notes = replace(wanted, head=None), None, [found]
    closure, shapes = np.zeros(len(motion.weights)), None
    if wanted.moves_shapes:
        try:
            shapes = bases.of_take(template, "ARKIT")
            closure = layers.closure_of(motion, shapes)
        except TargetError:
            notes.append("Blinks and gaze are left out: there are no shapes of this model's face.")
    frames = start_frame + np.arange(len(motion.weights))
    seen: Sight | str | None = None
    if shapes is not None and wanted.gaze is not None and sight.looks_at_something(obj):
        seen = _seen(obj, found, template, shapes, frames.tolist())
    if isinstance(seen, str):
        notes.append(seen)
        seen = None
    laid = layers.lay(wanted, loudness, closure, fps, seen)
    if seen is not None and laid.out_of_reach > _OFTEN:
        notes.append(
            f"Whom the eyes look at is beyond their reach in {laid.out_of_reach:.0%} of the frames: there "
            "they go as far as they can, and look ahead where it is behind the head."
        )
    basis = None
    if shapes is not None:
        added = layers.beside(laid.weights, closure)
        basis = Basis(added.values, shapes.chosen(laid.weights.names).offsets)
    return Laid(laid.weights, basis, found, laid.head, laid.head_angles, " ".join(notes))


def _turned(obj: bpy.types.Object, template: FloatArray) -> Head | str | None:
    """The object that turns; None where the rig does it, and a sentence where nothing can."""
    if not rig_rules.follows_head(obj):
        return find(obj, template)
    if any(rule.shape in HEAD_ANGLES for rule in rig_values.usable(obj).rules):
        return None
    return "The head holds still, since none of the channels that follow it can be written."


def _seen(
    obj: bpy.types.Object, head: Head | None, template: FloatArray, shapes: Blendshapes, frames: list[float]
) -> Sight | str:
    """Whom the eyes look at, or a sentence why they look straight ahead."""
    at = sight.targets(obj, frames)
    if isinstance(at, str):
        return at
    own = eyes.find(obj, template, shapes)
    if own is None:
        return f"Where the eyes of '{obj.name}' are is not known, so they look straight ahead."
    return sight.find(obj, head, own, at, frames)


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
    at = sight.settings_text(obj) if wanted.gaze is not None else ""
    return f" {wanted} {turned.name if turned is not None else ''}{at}" if wanted else ""
