"""Blinks, head and gaze on top of a motion, as weights of a face's own shapes and angles of the head.

    loudness ─► rhythm ─► blinks, head_motion ─► gaze ─► Layered ─► with the motion's own weights, or shapes

What is laid on starts and ends at rest, and does not depend on the frame rate.  Numpy only.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ..contracts import LOUDNESS_HZ, FloatArray, ShapeWeights
from .blendshapes import Blendshapes
from .blinks import Blinks, lid_closure, own_blinks, plan_blinks
from .compact import Basis
from .gaze import LOOK_SHAPES, Gaze, Sight, eye_angles, look_weights, out_of_reach, wanted_angles
from .head_motion import HeadMotion, head_angles, named_angles, rotations
from .rhythm import Floats, rhythm_of

BLINK_SHAPES = ("eyeBlinkLeft", "eyeBlinkRight")
#: All that layers move.
SHAPES = (*BLINK_SHAPES, *LOOK_SHAPES)
#: A clip's last instants are at rest; a frame is shorter.
_REST_S = 0.1


@dataclass(frozen=True)
class Layers:
    """What is laid on; None is not."""

    blinks: Blinks | None = None
    head: HeadMotion | None = None
    gaze: Gaze | None = None

    def __bool__(self) -> bool:
        return self.moves_shapes or self.head is not None

    @property
    def moves_shapes(self) -> bool:
        """Whether any of them needs shapes of the face."""
        return self.blinks is not None or self.gaze is not None


@dataclass(frozen=True)
class Layered:
    """What layers come to.

    weights: of those of SHAPES that move
    head: (T, 3, 3) rotations of the head in the face's axes, see head_motion; None where it is not moved
    head_angles: (T, 3) degrees of head_motion.HEAD_ANGLES of the same
    out_of_reach: the share of frames in which the eyes cannot turn as far as they would have to
    """

    weights: ShapeWeights
    head: Floats | None
    head_angles: Floats | None = None
    out_of_reach: float = 0.0


def lay(
    layers: Layers, loudness: FloatArray, own_closure: Floats, fps: float, sight: Sight | None = None
) -> Layered:
    """The layers of a clip.

    loudness: of its sound, as in :class:`~..contracts.Motion`
    own_closure: (T,) how far the motion shuts the lids by itself; its length is the clip's
    sight: whom the eyes look at in each frame; None for what lies straight ahead
    """
    times_s = np.arange(len(own_closure)) / fps
    # That of the sound, so that the same happens at every frame rate.
    sound_s = len(loudness) / LOUDNESS_HZ if len(loudness) else len(times_s) / fps
    duration_s = max(min(sound_s - _REST_S, float(times_s[-1])), 0.0)
    rhythm = rhythm_of(loudness, duration_s)
    columns: dict[str, Floats] = {}
    if layers.blinks is not None:
        plan = plan_blinks(rhythm, layers.blinks, own_blinks(own_closure, fps))
        columns.update(dict.fromkeys(BLINK_SHAPES, layers.blinks.closure * lid_closure(plan, times_s)))
    head = turns = None
    if layers.head is not None:
        angles = head_angles(rhythm, layers.head, times_s)
        head, turns = rotations(angles), named_angles(angles)
    missed = 0.0
    if layers.gaze is not None:
        turned = head if head is not None else np.tile(np.eye(3), (len(times_s), 1, 1))
        wanted = wanted_angles(turned, layers.gaze, sight)
        missed = out_of_reach(wanted)
        columns.update(look_weights(eye_angles(wanted, layers.gaze, times_s, duration_s)))
    values = np.stack(list(columns.values()), axis=1) if columns else np.zeros((len(times_s), 0))
    return Layered(ShapeWeights(tuple(columns), values.astype(np.float32), fps), head, turns, missed)


def closure_of(basis: Basis, shapes: Blendshapes) -> Floats:
    """(T,) how far a motion shuts the lids, as the mean of what the blink shapes show of it.

    basis: offsets on the face that the shapes are of
    """
    lids = shapes.chosen(BLINK_SHAPES).offsets.reshape(len(BLINK_SHAPES), -1).astype(np.float64)
    flat = basis.shapes.reshape(basis.count, -1)
    shown = (flat @ lids.T.astype(np.float32)).astype(np.float64) / (lids**2).sum(axis=1)
    return np.asarray((basis.weights @ shown).mean(axis=1))


def joined(weights: ShapeWeights, laid: ShapeWeights, without: Collection[str] = ()) -> ShapeWeights:
    """A motion's own weights with a layer's: of two blinks the one that is further, of all else the sum.

    Shapes that only the layer has are added; of those in ``without`` it has none.
    """
    moved = [name for name in laid.names if name not in without]
    names = list(dict.fromkeys((*weights.names, *moved)))
    values = np.stack([weights.of(name) for name in names], axis=1)
    for name in moved:
        column = values[:, names.index(name)]
        added = np.maximum(laid.of(name) - column, 0.0) if name in BLINK_SHAPES else laid.of(name)
        values[:, names.index(name)] = column + added
    return ShapeWeights(tuple(names), values.astype(np.float32), weights.fps)


def beside(laid: ShapeWeights, own_closure: Floats) -> ShapeWeights:
    """What of a layer is to be added to a motion that shuts the lids by itself: no blink is doubled."""
    values = laid.values.copy()
    for column, name in enumerate(laid.names):
        if name in BLINK_SHAPES:
            values[:, column] = np.maximum(values[:, column] - np.maximum(own_closure, 0.0), 0.0)
    return ShapeWeights(laid.names, values, laid.fps)
