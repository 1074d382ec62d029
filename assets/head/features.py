"""Where the skin's rows, columns and rings lie: the layout of face, mouth, lids and ears.

Each function returns positions for one of ``topology``'s loops, in metres.  All of them are
for the half x >= 0.
"""

from __future__ import annotations

import numpy as np

from anatomy import (
    EYE_CENTRE,
    EYE_RADIUS,
    MOUTH_HALF_WIDTH,
    SEAM_Z,
    Array,
    cast_to_skin,
    front_of_skin,
    side_of_skin,
    smooth_minimum,
)
from topology import Hole

MOUTH_HOLE = Hole(left=0, right=8, bottom=10, top=16)
EYE_HOLE = Hole(left=3, right=13, bottom=22, top=28)
EAR_HOLE = Hole(left=21, right=25, bottom=20, top=26)
CROWN_CAP = (10, 13)

#: Indices of the mouth's rings, from the skin inwards.
SKIN_1, SKIN_2, BORDER, FULL, WET, SEAM_FRONT, SEAM_BACK, INNER, BAG_1, BAG_2, BAG_3 = range(11)
#: Half the thickness of the air between the closed lips.
SEAM_GAP = 0.00005

#: Indices of the eye's rings.
ORBIT, CREASE, RIM_OUTER, RIM_INNER, LINING = range(5)
#: Lid edge on the eyeball, degrees: half-width, upper and lower height, and where they meet.
LID_HALF_WIDTH, LID_UPPER, LID_LOWER, LID_MEET = 58.0, 24.5, -22.5, -11.0
#: Clearance of the lid's inner edge; the chord of a linear blink dips 0.7 mm on its way.
LID_CLEARANCE = 0.0015

# Rows from the neck's base to the crown: front height (mm) and tilt (degrees), back height and tilt.
_ROWS = (
    [(0, 0, 0, 0), (12, 0, 12, 0), (24, 0, 24, 0), (36, 0, 36, 0)]
    + [(100, -54, 48, 0), (100, -45, 58, 0), (99, -38, 67, 0)]
    + [(97, -31, 75, 0), (93, -22, 82, 0), (84, -8, 88, 0)]
    + [(77 + 41 * i / 6, 0, 94 + 28 * i / 6, 0) for i in range(7)]
    + [(118 + 26 * i / 6, 0, 122 + 22 * i / 6, 0) for i in range(1, 7)]
    + [(144 + 40 * i / 6, 0, 144 + 26 * i / 6, 0) for i in range(1, 7)]
    + [(184 + 10 * i, 0, 170 + 5 * i, 5.5 * i) for i in range(1, 6)]
    + [(192, 39, 194, 38), (192, 49, 194, 48), (192, 59, 194, 58), (192, 69, 194, 68)]
)


def column_angles() -> Array:
    """(34,) radians from the front midline (0) round to the back midline (pi)."""
    parts = [np.linspace(0, 48, 17), np.linspace(48, 80, 6)[1:], np.linspace(80, 108, 5)[1:]]
    return np.asarray(np.radians(np.concatenate([*parts, np.linspace(108, 180, 9)[1:]])))


def skin_grid() -> Array:
    """(rows, columns, 3): the half cylinder of rays, cast onto the skin."""
    angles = column_angles()
    rows = np.array(_ROWS, np.float64) * np.array([1e-3, np.pi / 180, 1e-3, np.pi / 180])
    front = 0.5 + 0.5 * np.cos(angles)
    height = rows[:, None, 0] * front + rows[:, None, 2] * (1 - front)
    tilt = rows[:, None, 1] * front + rows[:, None, 3] * (1 - front)
    origins = np.stack([np.zeros_like(height), np.full_like(height, 0.004), height], axis=-1)
    across = np.broadcast_to(angles, height.shape)
    directions = np.stack(
        [np.sin(across) * np.cos(tilt), -np.cos(across) * np.cos(tilt), np.sin(tilt)], axis=-1
    )
    return cast_to_skin(origins.reshape(-1, 3), directions.reshape(-1, 3)).reshape(*height.shape, 3)


def seam_height(x: Array) -> Array:
    """Height of the closed lips' seam at x: the upper lip's tubercle dips, the corners rise a little."""
    share = np.clip(np.abs(x) / MOUTH_HALF_WIDTH, 0, 1.4)
    return np.asarray(SEAM_Z - 0.0008 * np.exp(-((share / 0.22) ** 2)) + 0.0012 * share**2)


def seam_taper(x: Array) -> Array:
    """1 at the middle of the mouth, 0 at and beyond the corners."""
    return np.asarray(np.clip(1 - (np.abs(x) / MOUTH_HALF_WIDTH) ** 2, 0, 1) ** 0.6)


def mouth_rings() -> dict[int, Array]:
    """Ring index -> (23, 3) from the upper middle round the corner to the lower middle."""
    count = MOUTH_HOLE.width + MOUTH_HOLE.height // 2
    index = np.arange(2 * count + 1)
    along = 1 - np.abs(count - index) / count
    side = np.sign(count - index).astype(np.float64)
    x = MOUTH_HALF_WIDTH * (0.6 * along + 0.4 * np.sin(along * np.pi / 2))
    taper, upper = seam_taper(x), side > 0
    bow = 1 - 0.16 * np.exp(-((x / 0.0026) ** 2)) + 0.05 * np.exp(-(((x - 0.0052) / 0.003) ** 2))
    fuller = 1 - 0.12 * np.exp(-((x / 0.0065) ** 2))
    corner = (x / MOUTH_HALF_WIDTH) ** 5

    def ring(height: Array, bulge: Array, spread: float) -> Array:
        """``height`` from the seam, ``bulge`` towards the front of the skin, ``spread`` at the corner."""
        wide = x + spread * corner
        z = seam_height(x) + side * height * taper**0.85
        return np.stack([wide, front_of_skin(wide, z) - bulge, z], axis=1)

    soft = 0.2 + 0.8 * taper
    seam = front_of_skin(x, seam_height(x))
    lower = np.where(upper, 0.0, 1.0)
    rings = {
        BORDER: ring(np.where(upper, 0.0078 * bow, 0.0094 * fuller), 0.0002 * soft, 0.0026),
        FULL: ring(np.where(upper, 0.0048, 0.0060), (0.0022 + 0.0010 * lower) * soft, 0.0016),
        WET: ring(np.where(upper, 0.0018, 0.0024), (0.0024 + 0.0006 * lower) * soft, 0.0007),
    }
    z = seam_height(x)
    gap = side * SEAM_GAP
    rings[SEAM_FRONT] = np.stack([x, seam + 0.0004, z + gap], axis=1)
    rings[SEAM_BACK] = np.stack([0.985 * x, seam + 0.0032, z + gap], axis=1)
    rings[INNER] = np.stack([0.98 * x, seam + 0.0038, z + side * 0.0035 * taper], axis=1)
    rings[BAG_1] = np.stack([1.05 * x, seam + 0.0044 + 0.004 * corner, z + side * 0.0125 * taper], axis=1)
    rings[BAG_2] = np.stack([1.2 * x, seam + 0.024, z + side * 0.015 * taper**0.8], axis=1)
    rings[BAG_3] = np.stack([1.0 * x, seam * 0.4 - 0.010, z + side * 0.013 * taper**0.8 - 0.004], axis=1)
    return rings


def lid_edge(across: Array, upper: bool) -> Array:
    """Elevation (degrees) of the open lid's edge at ``across`` in [-1 inner corner, 1 outer]."""
    height = LID_UPPER if upper else LID_LOWER
    skew = np.clip(across + (0.10 if upper else -0.14) * (1 - across**2), -1, 1)
    return np.asarray(height * (1 - np.abs(skew) ** 2.3) ** 0.8 + 2.5 * across)


def open_lid_edge() -> Array:
    """(32,) elevation of the open lids' edge at every place of the eye's rings."""
    across, side = lid_positions()
    return np.asarray(np.where(side >= 0, lid_edge(across, True), lid_edge(across, False)), np.float64)


def lid_meeting(across: Array) -> Array:
    """Elevation (degrees) of the closed lids' line."""
    return np.asarray(LID_MEET * (1 - np.abs(across) ** 2) + 2.5 * across)


def on_eyeball(azimuth: Array, elevation: Array, radius: Array | float) -> Array:
    """(n, 3) from degrees seen from the left eyeball's centre; 0, 0 looks along -Y."""
    a, b = np.radians(azimuth), np.radians(elevation)
    direction = np.stack([np.sin(a) * np.cos(b), -np.cos(a) * np.cos(b), np.sin(b)], axis=1)
    return np.asarray(EYE_CENTRE + np.asarray(radius).reshape(-1, 1) * direction)


def lid_positions() -> tuple[Array, Array]:
    """across (32,) in [-1, 1] and side (32,) 1 upper, -1 lower, 0 corners; clockwise from inner."""
    count = EYE_HOLE.width + EYE_HOLE.height
    index = np.arange(2 * count)
    upper = np.where(index <= count, index, 2 * count - index) / count
    across = np.asarray(-np.cos(np.pi * upper) * 0.35 + (2 * upper - 1) * 0.65)
    side = np.where(index % count == 0, 0.0, np.where(index < count, 1.0, -1.0))
    return across, side


def eye_rings() -> dict[int, Array]:
    """Ring index -> (32, 3) of the left eye, clockwise seen from the front, from the inner corner."""
    across, side = lid_positions()
    edge = open_lid_edge()
    azimuth = LID_HALF_WIDTH * across
    open_by = 1 - across**2
    radius = np.full(len(across), EYE_RADIUS)
    return {
        CREASE: on_eyeball(azimuth * 1.16, edge + side * (5 + 8 * open_by), radius + 0.0025),
        RIM_OUTER: on_eyeball(azimuth * 1.05, edge + side * (1 + 2.5 * open_by), radius + 0.0028),
        RIM_INNER: on_eyeball(azimuth, edge, radius + LID_CLEARANCE),
        LINING: on_eyeball(azimuth * 1.2, edge + side * (8 + 14 * open_by), radius + LID_CLEARANCE),
    }


def ear_rings(root_x: float) -> list[Array]:
    """Six rings (20, 3) of the left ear, clockwise seen from +X, from the root to the concha."""
    count = 2 * (EAR_HOLE.width + EAR_HOLE.height)
    turn = 2 * np.pi * np.arange(count) / count
    back, up = -np.cos(turn), np.sin(turn)
    rear = (0.5 + 0.5 * back) ** 0.8
    egg = 1 + 0.22 * up
    rings = []
    # half-depth, half-height, shift back, shift up, lift at the front edge and at the rear (mm)
    for depth, height, shift, rise, front_lift, rear_lift in (
        (9.0, 23.0, 0.5, 1.5, -2.0, -1.0),
        (9.6, 25.0, 1.8, 1.5, -1.0, 3.5),
        (13.5, 28.0, 5.0, 2.0, 1.0, 9.0),
        (14.2, 29.0, 5.0, 2.0, 2.4, 11.2),
        (12.0, 26.0, 4.2, 2.0, 2.8, 10.8),
        (9.6, 21.0, 3.0, 1.5, 0.4, 6.0),
        (5.5, 11.5, 0.5, -1.5, -2.0, -1.0),
    ):
        y = 0.010 + 1e-3 * (shift + depth * back * egg) + 0.16 * 1e-3 * height * up
        z = 0.149 + 1e-3 * (rise + height * up)
        # The skull is wider above the ear: lift from whichever stands further out.
        beside = -smooth_minimum(-side_of_skin(y, z), np.full_like(y, -root_x), 0.004)
        x = beside + 1e-3 * (front_lift + (rear_lift - front_lift) * rear)
        rings.append(np.stack([x, y, z], axis=1))
    return rings
