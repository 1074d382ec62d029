"""The demo head's landmarks and its skin as a signed distance field.

Everything here is a formula: ellipsoids and tapered capsules joined by a smooth minimum.
Metres, Z up, the face looks along -Y, +X is the character's left.  The head is exactly
symmetric because every primitive sees |x| only.  Needs numpy, nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

#: Eyeball (character's left): centre and radius.
EYE_CENTRE = np.array([0.0325, -0.0665, 0.1640])
EYE_RADIUS = 0.0145

#: Mouth seam: height, half-width (corner) and how far it bends back at the corner.
SEAM_Z = 0.0985
MOUTH_HALF_WIDTH = 0.0250

#: The jaw turns about the X axis through this point (y, z), just before the ears.
HINGE_Y, HINGE_Z = 0.002, 0.134


@dataclass(frozen=True)
class Ellipsoid:
    """One primitive of the field; ``blend`` is the smooth minimum's radius in metres."""

    centre: tuple[float, float, float]
    radii: tuple[float, float, float]
    blend: float

    def distance(self, points: Array) -> Array:
        """(n,) approximate signed distance; exact on the surface."""
        offset = points - np.asarray(self.centre)
        radii = np.asarray(self.radii)
        scaled = np.linalg.norm(offset / radii, axis=1)
        gradient = np.linalg.norm(offset / radii**2, axis=1)
        return np.asarray(scaled * (scaled - 1.0) / np.maximum(gradient, 1e-9))


@dataclass(frozen=True)
class Capsule:
    """A capsule whose radius changes linearly from ``start`` to ``end``."""

    start: tuple[float, float, float]
    end: tuple[float, float, float]
    radius_start: float
    radius_end: float
    blend: float

    def distance(self, points: Array) -> Array:
        """(n,) signed distance, up to the taper's slope."""
        start, end = np.asarray(self.start), np.asarray(self.end)
        axis = end - start
        along = np.clip((points - start) @ axis / (axis @ axis), 0.0, 1.0)
        radius = self.radius_start + along * (self.radius_end - self.radius_start)
        return np.asarray(np.linalg.norm(points - start - along[:, None] * axis, axis=1) - radius)


Primitive = Ellipsoid | Capsule

#: Joined in this order; x is |x|, so side parts stand once.
SOLIDS: tuple[Primitive, ...] = (
    Ellipsoid((0.0, 0.014, 0.193), (0.0765, 0.0930, 0.0870), 0.0),  # cranium
    Ellipsoid((0.0, -0.026, 0.200), (0.0600, 0.0640, 0.0540), 0.030),  # forehead
    Ellipsoid((0.0, -0.026, 0.128), (0.0580, 0.0600, 0.0720), 0.030),  # midface
    Ellipsoid((0.0, -0.066, 0.0690), (0.0260, 0.0260, 0.0190), 0.026),  # chin
    Capsule((0.036, -0.012, 0.092), (0.014, -0.064, 0.069), 0.0150, 0.0130, 0.034),  # jaw line
    Ellipsoid((0.041, -0.052, 0.138), (0.0180, 0.0200, 0.0140), 0.024),  # cheekbone
    Ellipsoid((0.034, -0.060, 0.112), (0.0170, 0.0180, 0.0190), 0.024),  # cheek
    Capsule((0.0, 0.030, -0.060), (0.0, 0.018, 0.110), 0.0540, 0.0460, 0.022),  # neck
    Capsule((0.010, -0.0795, 0.1835), (0.045, -0.066, 0.1880), 0.0080, 0.0060, 0.014),  # brow ridge
    Ellipsoid((0.0, -0.0770, 0.0985), (0.0310, 0.0185, 0.0230), 0.016),  # mouth mound
    Capsule((0.0, -0.0800, 0.1700), (0.0, -0.1040, 0.1350), 0.0064, 0.0076, 0.014),  # nose bridge
    Ellipsoid((0.0, -0.1040, 0.1305), (0.0105, 0.0100, 0.0095), 0.009),  # nose tip
    Ellipsoid((0.0105, -0.0950, 0.1275), (0.0060, 0.0090, 0.0066), 0.006),  # nose wing
)

#: The sockets are carved, then the lids' bulge is put back around the eyeballs.
SOCKET = Ellipsoid((0.0330, -0.0850, 0.1640), (0.0190, 0.0130, 0.0150), 0.012)
LID_BULGE = Ellipsoid(
    (float(EYE_CENTRE[0]), float(EYE_CENTRE[1]), float(EYE_CENTRE[2])),
    (EYE_RADIUS + 0.0025, EYE_RADIUS + 0.0025, EYE_RADIUS + 0.0025),
    0.006,
)


def smooth_minimum(first: Array, second: Array, blend: float) -> Array:
    """Polynomial smooth minimum; ``blend`` 0 is the plain minimum."""
    if blend <= 0.0:
        return np.minimum(first, second)
    share = np.clip(0.5 + 0.5 * (second - first) / blend, 0.0, 1.0)
    return np.asarray(second + (first - second) * share - blend * share * (1.0 - share))


def skin_distance(points: Array) -> Array:
    """(n,) signed distance in metres of (n, 3) points to the skin, negative inside."""
    folded = np.column_stack([np.abs(points[:, 0]), points[:, 1:]])
    distance = SOLIDS[0].distance(folded)
    for solid in SOLIDS[1:]:
        distance = smooth_minimum(distance, solid.distance(folded), solid.blend)
    distance = -smooth_minimum(-distance, SOCKET.distance(folded), SOCKET.blend)
    return smooth_minimum(distance, LID_BULGE.distance(folded), LID_BULGE.blend)


def skin_gradient(points: Array) -> Array:
    """(n, 3) central differences of the field (not normalised)."""
    step = 2e-5
    columns = []
    for axis in range(3):
        shift = np.zeros(3)
        shift[axis] = step
        columns.append((skin_distance(points + shift) - skin_distance(points - shift)) / (2 * step))
    return np.stack(columns, axis=1)


def project_to_skin(points: Array, steps: int = 3) -> Array:
    """Move (n, 3) points along the field's gradient onto the skin (a few Newton steps)."""
    for _ in range(steps):
        gradient = skin_gradient(points)
        length2 = np.maximum((gradient**2).sum(axis=1), 0.05)
        move = -(skin_distance(points) / length2)[:, None] * gradient
        size = np.linalg.norm(move, axis=1, keepdims=True)
        points = points + move * np.minimum(1.0, 0.01 / np.maximum(size, 1e-12))
    return points


def cast_to_skin(origins: Array, directions: Array, reach: float = 0.2) -> Array:
    """Outermost hits (n, 3) of rays from inside the head; ``directions`` have length 1."""
    samples = np.linspace(reach, 0.0, 161)
    far = np.full(len(origins), reach)
    found = np.zeros(len(origins), bool)
    for distance in samples:
        inside = (skin_distance(origins + distance * directions) < 0) & ~found
        far[inside] = distance
        found |= inside
    low, high = far, far + samples[0] - samples[1]
    for _ in range(30):
        middle = 0.5 * (low + high)
        inside = skin_distance(origins + middle[:, None] * directions) < 0
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    return np.asarray(origins + low[:, None] * directions)


def front_of_skin(x: Array, z: Array) -> Array:
    """(n,) y of the skin seen from the front at (x, z)."""
    origins = np.stack([x, np.full_like(x, 0.0), z], axis=1)
    directions = np.tile([0.0, -1.0, 0.0], (len(x), 1))
    return np.asarray(cast_to_skin(origins, directions)[:, 1])


def side_of_skin(y: Array, z: Array) -> Array:
    """(n,) x of the skin seen from the left at (y, z)."""
    origins = np.stack([np.zeros_like(y), y, z], axis=1)
    return np.asarray(cast_to_skin(origins, np.tile([1.0, 0.0, 0.0], (len(y), 1)))[:, 0])


def smoothstep(low: float, high: float, value: Array) -> Array:
    """0 below ``low``, 1 above ``high`` (low > high turns it round), smooth between."""
    share = np.clip((np.asarray(value) - low) / (high - low), 0.0, 1.0)
    return np.asarray(share * share * (3.0 - 2.0 * share))
