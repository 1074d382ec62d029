"""A head of ten vertices whose shapes do plainly what their names say, for tests without the shipped head."""

from __future__ import annotations

import numpy as np

from codetalker_blender.contracts import REGION_NAMES, FaceMesh
from training.articulation_head import Head

UPPER, LOWER, LEFT, RIGHT, INNER_A, INNER_B, TOOTH_A, TOOTH_B, LOWER_TOOTH, BROW = range(10)
#: Metres; +x is the character's left, the face looks along -y, z is up.
_VERTICES = {
    UPPER: (0, 0, 0.0002), LOWER: (0, 0, 0), LEFT: (0.025, 0.006, 0), RIGHT: (-0.025, 0.006, 0),
    INNER_A: (-0.004, 0.002, -0.001), INNER_B: (0.004, 0.002, -0.001),
    TOOTH_A: (-0.004, 0.006, 0.001), TOOTH_B: (0.004, 0.006, 0.001), LOWER_TOOTH: (0, 0.007, -0.006),
    BROW: (0, 0, 0.06),
}  # fmt: skip
_LOWER_LIP = (LOWER, INNER_A, INNER_B)
#: Shape -> vertex -> millimetres.
_SHAPES: dict[str, dict[int, tuple[float, float, float]]] = {
    "jawOpen": dict.fromkeys((*_LOWER_LIP, LOWER_TOOTH), (0, 2, -18)),
    "mouthClose": dict.fromkeys(_LOWER_LIP, (0, -2, 18)),
    "mouthFunnel": {UPPER: (0, -3, 3), LOWER: (0, -3, -3), LEFT: (-5, 0, 0), RIGHT: (5, 0, 0)},
    "mouthPucker": {LEFT: (-9, -3, 0), RIGHT: (9, -3, 0)},
    "mouthRollLower": {INNER_A: (0, 3.5, 1.5), INNER_B: (0, 3.5, 1.5)},
    "mouthLowerDownLeft": dict.fromkeys(_LOWER_LIP, (0, 0, -3)),
    "mouthLowerDownRight": dict.fromkeys(_LOWER_LIP, (0, 0, -3)),
    "mouthUpperUpLeft": {UPPER: (0, 0, 2)},
    "mouthUpperUpRight": {UPPER: (0, 0, 2)},
    "mouthStretchLeft": {LEFT: (4, 1, 0)},
    "mouthStretchRight": {RIGHT: (-4, 1, 0)},
    "eyeBlinkLeft": {BROW: (0, 0, -1)},
    "eyeBlinkRight": {BROW: (0, 0, -1)},
    "browInnerUp": {BROW: (0, 0, 5)},
}


def made_head(scale: float = 1.0, without: str = "") -> Head:
    """The head, all its shapes ``scale`` times as large; ``without`` leaves one shape out."""
    vertices = np.array([_VERTICES[index] for index in range(10)], np.float32)
    names = tuple(name for name in _SHAPES if name != without)
    deltas = np.zeros((len(names), 10, 3), np.float32)
    for row, name in enumerate(names):
        for vertex, millimetres in _SHAPES[name].items():
            deltas[row, vertex] = scale * np.array(millimetres) / 1000.0
    regions = {name: np.zeros(0, np.int32) for name in REGION_NAMES}
    regions["lips"] = np.array([UPPER, LOWER, LEFT, RIGHT, INNER_A, INNER_B], np.int32)
    regions["upper_teeth"] = np.array([TOOTH_A, TOOTH_B], np.int32)
    regions["lower_teeth"] = np.array([LOWER_TOOTH], np.int32)
    regions["upper_face"] = np.array([BROW], np.int32)
    triangles = np.array(
        [(UPPER, LEFT, BROW), (UPPER, BROW, RIGHT), (LOWER, INNER_A, RIGHT), (LOWER, LEFT, INNER_B),
         (LOWER, INNER_B, INNER_A)], np.int32,
    )  # fmt: skip
    face = FaceMesh(
        vertices, triangles, np.array([UPPER, LOWER], np.int32), np.array([LEFT, RIGHT], np.int32), regions
    )
    return Head(face, names, deltas)
