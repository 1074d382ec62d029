"""The 15 Oculus visemes as mixtures of the ARKit shapes: one table, judged by eye and in millimetres.

The names and their sounds are those of the Oculus lip sync reference
(https://developer.oculus.com/documentation/unity/audio-ovrlipsync-viseme-reference/).
"""

from __future__ import annotations

import numpy as np

from anatomy import Array

#: Viseme -> ARKit shape -> weight; a name without its side means both sides.
VISEMES: dict[str, dict[str, float]] = {
    "viseme_sil": {},
    # lips shut over a jaw that has begun to part
    "viseme_PP": {
        "jawOpen": 0.08, "mouthClose": 0.08, "mouthPress": 0.5, "mouthRollLower": 0.2, "mouthRollUpper": 0.2,
    },
    # the lower lip under the upper incisors
    "viseme_FF": {"jawOpen": 0.06, "mouthRollLower": 0.95, "mouthUpperUp": 0.18, "mouthStretch": 0.06},
    # the tongue's tip between the teeth
    "viseme_TH": {"jawOpen": 0.2, "tongueOut": 0.36, "mouthLowerDown": 0.14, "mouthUpperUp": 0.12},
    "viseme_DD": {"jawOpen": 0.12, "mouthLowerDown": 0.24, "mouthUpperUp": 0.16, "mouthStretch": 0.1},
    "viseme_kk": {"jawOpen": 0.2, "mouthLowerDown": 0.12, "mouthUpperUp": 0.12},
    # teeth together, lips flared
    "viseme_CH": {"jawOpen": 0.05, "mouthFunnel": 0.6, "mouthPucker": 0.25},
    "viseme_SS": {
        "jawOpen": 0.04, "mouthLowerDown": 0.34, "mouthUpperUp": 0.26,
        "mouthStretch": 0.3, "mouthSmile": 0.12,
    },
    "viseme_nn": {"jawOpen": 0.13, "mouthLowerDown": 0.14, "mouthUpperUp": 0.1, "mouthStretch": 0.06},
    "viseme_RR": {"jawOpen": 0.12, "mouthFunnel": 0.35, "mouthPucker": 0.35},
    # the vowels from open to spread, then rounded
    "viseme_aa": {"jawOpen": 0.52, "mouthLowerDown": 0.12, "mouthUpperUp": 0.14},
    "viseme_E": {
        "jawOpen": 0.28, "mouthLowerDown": 0.18, "mouthUpperUp": 0.16,
        "mouthStretch": 0.28, "mouthSmile": 0.12,
    },
    "viseme_ih": {
        "jawOpen": 0.15, "mouthLowerDown": 0.18, "mouthUpperUp": 0.14,
        "mouthStretch": 0.3, "mouthSmile": 0.25,
    },
    "viseme_oh": {"jawOpen": 0.36, "mouthFunnel": 0.45, "mouthPucker": 0.3},
    "viseme_ou": {"jawOpen": 0.12, "mouthFunnel": 0.2, "mouthPucker": 0.8},
}  # fmt: skip


def viseme_weights(names: list[str]) -> Array:
    """(15, K) weights of the ARKit shapes ``names``; raises KeyError for a shape that is not among them."""
    place = {name: index for index, name in enumerate(names)}
    weights = np.zeros((len(VISEMES), len(names)))
    for row, parts in enumerate(VISEMES.values()):
        for part, weight in parts.items():
            for name in [part] if part in place else [f"{part}Left", f"{part}Right"]:
                weights[row, place[name]] = weight
    return weights


def viseme_shapes(deltas: dict[str, Array]) -> dict[str, Array]:
    """Viseme -> (V, 3) offsets in metres, mixed from the ARKit shapes' ``deltas``."""
    weights = viseme_weights(list(deltas))
    stacked = np.stack(list(deltas.values()))
    return {
        # The resting viseme is none of the shapes, not a sum of zeros with stray signs.
        name: np.tensordot(row, stacked, 1) + 0.0
        for name, row in zip(VISEMES, weights, strict=True)
    }
