"""Lips pass neither through each other nor through teeth, in shapes, visemes and mixtures of speech."""

from __future__ import annotations

import numpy as np
import pytest

from .flesh import TIP, lip_in_lip, lip_in_teeth, surfaces, winding_number
from .shipped_head import ARKIT, OCULUS, load

#: Millimetres that no eye sees.
NOTHING = 0.02
#: A pair shares its measure with its mirror; mouthClose is made for an open jaw and is held there below.
SINGLE = sorted(
    name
    for name in ARKIT - {"mouthClose"}
    if name.startswith(("jaw", "mouth", "cheek", "nose", "tongue")) and not name.endswith("Right")
)
#: What speech, and a smile over it, makes of the shapes.
MIXTURES: dict[str, dict[str, float]] = {
    "closed over an open jaw": {"jawOpen": 1.0, "mouthClose": 1.0},
    "half closed over an open jaw": {"jawOpen": 0.3, "mouthClose": 0.15},
    "pressed over a low jaw": {"jawOpen": 0.1, "mouthClose": 0.1, "mouthPress": 1.0},
    "both lips rolled in": {"mouthRollLower": 1.0, "mouthRollUpper": 1.0},
    "pressed and rolled": {"mouthPress": 0.6, "mouthRollLower": 0.6},
    "f": {"jawOpen": 0.1, "mouthRollLower": 1.0, "mouthUpperUp": 0.2},
    "pucker and funnel": {"mouthPucker": 1.0, "mouthFunnel": 1.0},
    "pucker, press": {"mouthPucker": 1.0, "mouthPress": 1.0},
    "rounded and open": {"jawOpen": 0.6, "mouthPucker": 0.6, "mouthFunnel": 0.6},
    "smile and pucker": {"mouthSmile": 1.0, "mouthPucker": 1.0},
    "bared teeth": {"mouthSmile": 1.0, "mouthUpperUp": 0.7, "mouthLowerDown": 0.7, "mouthStretch": 0.5},
    "pout": {"mouthShrugLower": 1.0, "mouthShrugUpper": 1.0, "mouthFrown": 1.0},
    "jaw aside and forward": {"jawLeft": 1.0, "jawForward": 1.0, "jawOpen": 0.4},
}


def test_the_winding_number_tells_flesh_air_and_tooth() -> None:
    head, parts = load(), surfaces()
    closed = np.concatenate([head.rest, TIP[None]])[parts.skin]
    lip = head.rest[parts.lower_lip].mean(axis=(0, 1))
    in_flesh = lip + np.array([0.0, 0.002, -0.004])
    before, in_mouth = lip + np.array([0.0, -0.02, 0.0]), np.array([0.0, -0.080, 0.0985])
    assert winding_number(np.array([in_flesh, before, in_mouth]), closed) == pytest.approx(
        [1, 0, 0], abs=1e-6
    )
    tooth = head.rest[parts.hard["upper_teeth"]]
    middle = tooth.reshape(-1, 3)[np.abs(tooth.reshape(-1, 3)[:, 0]) < 1e-6]
    front = np.array([0.0, middle[:, 1].min(), middle[:, 2].mean()])
    step = np.array([0.0, 0.001, 0.0])
    inside, outside = front + step, front - step
    assert winding_number(np.array([inside, outside]), tooth) == pytest.approx([1, 0], abs=1e-6)


def test_the_measures_catch_faults() -> None:
    """mouthClose over a shut jaw, and lips pushed back, are wrong on purpose."""
    head = load()
    assert lip_in_lip(head.pose(mouthClose=0.3)) > 1
    sunk = head.rest.copy()
    sunk[head.face.regions["lips"], 1] += 0.008
    assert lip_in_teeth(sunk) > 0.5
    # Half a millimetre is enough; the depth is coarse at the corners.
    low = head.rest.copy()
    upper = np.unique(surfaces().upper_lip)
    low[upper, 2] -= 0.5e-3
    assert 0.3 < lip_in_lip(low) < 2


@pytest.mark.parametrize("name", SINGLE)
def test_no_single_shape_drives_lips_through_anything(name: str) -> None:
    points = load().rest + load().deltas[name]
    assert lip_in_lip(points) <= NOTHING and lip_in_teeth(points) <= NOTHING


@pytest.mark.parametrize("name", MIXTURES)
def test_no_mixture_drives_lips_through_anything(name: str) -> None:
    points = load().pose(**MIXTURES[name])
    assert lip_in_lip(points) <= NOTHING and lip_in_teeth(points) <= NOTHING


@pytest.mark.parametrize("name", OCULUS)
def test_no_viseme_drives_lips_through_anything(name: str) -> None:
    points = load().rest + load().visemes[name]
    assert lip_in_lip(points) <= NOTHING and lip_in_teeth(points) <= NOTHING
