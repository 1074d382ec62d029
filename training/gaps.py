"""The distances that lips are judged by, as a loss can use them: mid-lips, and lower lip to upper teeth.

Turns a face and some of its motion into pairs of vertices and what a motion coefficient does to each.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codetalker_blender.contracts import FaceMesh, FloatArray

from .losses import gap_error
from .metrics import CONTACT_MM, lower_lip

_MM = 1e3
#: Frames of contact count this much: a tenth of all frames holds what animators look at first.
CONTACT_WEIGHT = 3.0
#: Pairs of a lip and a tooth vertex: the teeth touch the lip along a line.
_TEETH_PAIRS = 3


@dataclass(frozen=True)
class Gaps:
    """rest: (G, 3) mm from the second to the first vertex of each pair; rows: (R, G, 3) mm per coefficient"""

    rest: Tensor
    rows: Tensor

    def to(self, device: torch.device) -> Gaps:
        return Gaps(self.rest.to(device), self.rows.to(device))

    def error(self, predicted: Tensor, target: Tensor) -> Tensor:
        """:func:`training.losses.gap_error` of motion (..., R); 0 where the face has no such pair."""
        if not len(self.rest):
            return predicted.new_zeros(())
        return gap_error(predicted, target, self.rest, self.rows, CONTACT_MM, CONTACT_WEIGHT)


def no_gaps() -> Gaps:
    """Of a face or a motion that has none."""
    return Gaps(torch.zeros(0, 3), torch.zeros(0, 0, 3))


def lip_gaps(face: FaceMesh, rows: FloatArray, motion: FloatArray) -> Gaps:
    """The mid-lips, and where ``motion`` (frames, R) brings lower lip and upper teeth together.

    rows: (R, 3V) vertex basis, metres
    """
    pairs: list[tuple[int, int]] = []
    if len(face.mid_lips):
        pairs.append((int(face.mid_lips[0]), int(face.mid_lips[1])))
    teeth = face.regions.get("upper_teeth", np.zeros(0, np.int32))
    lip = lower_lip(face)
    if len(teeth) and len(lip):
        pairs += _touching(face, rows, motion, lip, np.asarray(teeth, np.int64))
    moved = rows.reshape(len(rows), -1, 3)
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    rest = (face.vertices[first] - face.vertices[second]) * _MM
    between = (moved[:, first] - moved[:, second]) * _MM
    return Gaps(torch.from_numpy(rest.astype(np.float32)), torch.from_numpy(between.astype(np.float32)))


def _touching(
    face: FaceMesh, rows: FloatArray, motion: FloatArray, lip: NDArray[np.int64], teeth: NDArray[np.int64]
) -> list[tuple[int, int]]:
    """The pairs that are most often the nearest where lip and teeth touch."""
    moved = rows.reshape(len(rows), -1, 3)
    votes = np.zeros((len(lip), len(teeth)), np.int64)
    for frame in motion:
        a = face.vertices[lip] + np.tensordot(frame, moved[:, lip], 1)
        b = face.vertices[teeth] + np.tensordot(frame, moved[:, teeth], 1)
        distance = np.linalg.norm(a[:, None] - b, axis=-1) * _MM
        if distance.min() <= CONTACT_MM:
            votes[np.unravel_index(distance.argmin(), votes.shape)] += 1
    best = np.argsort(votes, axis=None)[::-1][:_TEETH_PAIRS]
    found = [np.unravel_index(place, votes.shape) for place in best if votes.flat[place]]
    return [(int(lip[i]), int(teeth[j])) for i, j in found]
