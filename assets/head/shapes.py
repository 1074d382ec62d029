"""The 52 ARKit shapes of the demo head as linear offsets from its neutral pose.

Most shapes are smooth fields of the neutral position, so that coinciding lip vertices stay
together; the few that part the lips also ask on which lip a vertex lies.  Left is +X.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

import features as f
from anatomy import EYE_CENTRE, HINGE_Y, HINGE_Z, MOUTH_HALF_WIDTH, SEAM_Z, Array, smoothstep
from assembly import BROW, EYE, LOWER_TEETH, SKIN, TONGUE, Head, fade
from parts import TONGUE_LENGTH, TONGUE_TIP, tongue_height

#: Opening of the mid lips at jawOpen 1, metres.
JAW_OPENING = 0.027
#: How far the eyes turn at eyeLook 1, degrees.
LOOK_DEGREES = 25.0
FLIP = np.array([-1.0, 1.0, 1.0])


def offset(x: Array | float = 0.0, y: Array | float = 0.0, z: Array | float = 0.0) -> Array:
    """(V, 3) from three scalars or (V,) arrays, given in millimetres."""
    columns = np.broadcast_arrays(np.asarray(x, float), np.asarray(y, float), np.asarray(z, float))
    return np.asarray(1e-3 * np.stack(columns, axis=-1))


class Face:
    """Fields over the neutral head that the shapes are written in.  All are (V,) unless said."""

    def __init__(self, head: Head) -> None:
        self.head = head
        self.points = p = head.points
        self.x, self.y, self.z = p[:, 0], p[:, 1], p[:, 2]
        self.fade = fade(head)
        self.skin = (head.part == SKIN).astype(float)
        self.brow = (head.part == BROW).astype(float)
        self.face = self.skin + self.brow
        ring = head.mouth_ring
        last = int(head.mouth_place[ring == f.SEAM_FRONT].max())
        placed = ring >= 0
        side = np.where(placed, np.sign(last / 2 - head.mouth_place), np.sign(self.z - f.seam_height(self.x)))
        capped = placed & (head.mouth_place < 0)
        #: +1 on the upper lip and above, -1 on the lower lip and below, 0 at the corners
        self.side = np.where(capped, np.sign(self.z - SEAM_Z), side)
        #: 1 on the lips, falling through the bag behind them
        depth = np.array([1, 1, 1, 1, 1, 1, 0.95, 0.75, 0.35, 0.08, 0.0])
        self.shallow = np.where(placed, depth[ring], 1.0) * self.skin
        #: 1 at the middle of the mouth, 0 from the corners on
        self.opening = f.seam_taper(self.x)
        self.height = self.z - f.seam_height(self.x)

    def near(self, centre: tuple[float, float, float], radii: tuple[float, float, float]) -> Array:
        """Bell of position: 1 at ``centre`` (mm), 0 beyond 2 ``radii`` (mm); skin and brows only."""
        distance = np.linalg.norm((self.points * 1e3 - np.array(centre)) / np.array(radii), axis=1)
        return np.asarray(smoothstep(2.0, 0.0, distance) * self.face * self.fade)

    def lips(self, reach_x: float, reach_z: float) -> Array:
        """1 on the lips, 0 beyond ``reach`` (mm) from their outline, smooth between."""
        over_x = np.maximum(np.abs(self.x) - 0.0255, 0) * 1e3 / reach_x
        over_z = np.maximum(np.abs(self.height) - 0.0085 * self.opening - 0.002, 0) * 1e3 / reach_z
        return np.asarray(smoothstep(1.0, 0.0, np.hypot(over_x, over_z)) * self.shallow * self.fade)

    def left(self, width: float = 0.012) -> Array:
        """0 on the right, 1 on the left, 0.5 at the midline; left plus right is 1."""
        return smoothstep(-width, width, self.x)

    def mirrored(self, delta: Array) -> Array:
        """The twin of a (V, 3) delta across x = 0, exactly."""
        return np.asarray(delta[self.head.mirror] * FLIP)

    def even(self, delta: Array) -> Array:
        """The symmetric part of a (V, 3) delta."""
        return np.asarray(0.5 * (delta + self.mirrored(delta)))


def _jaw_weight(face: Face, parted: bool) -> Array:
    """How much of the jaw's motion a vertex makes; ``parted``: the lips open, else they stay together."""
    reach = 0.026
    line = SEAM_Z + (face.y + 0.0850) * (HINGE_Z - SEAM_Z) / (HINGE_Y + 0.0850)
    line = np.where(face.y < -0.085, SEAM_Z, line)
    height = face.z - line
    ring = face.head.mouth_ring
    seam = (ring >= f.WET) & (ring <= f.SEAM_BACK)
    inside = (face.opening > 0) & (seam | (ring > f.SEAM_BACK))
    height = np.where(inside, face.height, height)
    if parted:
        height = face.side * (np.abs(height) + reach * face.opening**0.85)
    share = np.clip(height / reach, -1, 1)
    weight = 0.5 - 0.5 * share * (1.5 - 0.5 * share**2)
    throat = smoothstep(0.030, 0.088, -face.y + 0.5 * face.z) * smoothstep(0.024, -0.010, face.y)
    throat = throat * smoothstep(0.008, 0.030, face.z)
    back = np.where(ring == f.BAG_2, 0.75, np.where(ring == f.BAG_3, 0.55, 1.0))
    if parted:
        weight = np.where(ring >= f.BAG_2, np.where(face.side > 0, 0.0, weight * back), weight)
    weight = weight * np.where(ring >= 0, 1.0, throat) * face.skin
    weight = np.where(face.skin > 0, _smoothed(face, weight, seam | (ring > f.SEAM_BACK)), weight)
    edge = smoothstep(0.004, 0.018, face.z) * smoothstep(0.028, 0.006, face.y)
    weight = weight * np.where(ring >= 0, 1.0, edge)
    weight[face.head.part == LOWER_TEETH] = 1.0
    tongue = face.head.part == TONGUE
    weight[tongue] = 0.95 - 0.45 * smoothstep(-0.062, -0.035, face.y[tongue])
    return np.asarray(weight)


def _smoothed(face: Face, weight: Array, pinned: NDArray[np.bool_], iterations: int = 6) -> Array:
    """Laplacian smoothing over the skin that leaves the ``pinned`` vertices alone."""
    quads = face.head.quads
    edges = np.concatenate([quads[:, [i, (i + 1) % 4]] for i in range(4)])
    degree = np.bincount(edges.ravel(), minlength=len(weight)).astype(float)
    for _ in range(iterations):
        total = np.bincount(edges[:, 0], weight[edges[:, 1]], len(weight))
        total += np.bincount(edges[:, 1], weight[edges[:, 0]], len(weight))
        weight = np.where(pinned, weight, 0.5 * weight + 0.5 * total / np.maximum(degree, 1))
    return np.asarray(weight)


def _turned(points: Array, angle: float, centre: Array, axis: int) -> Array:
    """Offsets that turn ``points`` by ``angle`` (radians) about ``centre`` and one coordinate axis."""
    first, second = [(1, 2), (2, 0), (0, 1)][axis]
    local = points - centre
    turned = local.copy()
    turned[:, first] = np.cos(angle) * local[:, first] - np.sin(angle) * local[:, second]
    turned[:, second] = np.sin(angle) * local[:, first] + np.cos(angle) * local[:, second]
    return np.asarray(turned - local)


def _jaw(face: Face) -> dict[str, Array]:
    hinge = np.array([0.0, HINGE_Y, HINGE_Z])
    parted, together = _jaw_weight(face, True), _jaw_weight(face, False)
    arm = float(np.hypot(0.0975 + HINGE_Y, HINGE_Z - SEAM_Z))
    turn = _turned(face.points, 2 * np.arcsin(JAW_OPENING / 2 / arm), hinge, 0)
    jaw_open = parted[:, None] * turn
    closed = together[:, None] * turn
    slide = together[:, None]
    return {
        "jawOpen": jaw_open,
        # The jaw swings back as it opens; closed lips stay before the teeth.
        "mouthClose": closed - jaw_open + face.lips(14, 14)[:, None] * offset(y=-4.0),
        "jawForward": slide * offset(y=-6.0),
        "jawLeft": slide * offset(x=7.0, y=1.0, z=-0.5),
    }


def _mouth_whole(face: Face) -> dict[str, Array]:
    lips, wide = face.lips(20, 20), face.lips(30, 26)
    across = np.clip(face.x / MOUTH_HALF_WIDTH, -1.4, 1.4)
    bulge = 1 - 0.55 * np.minimum(np.abs(across), 1.2) ** 2
    pull = np.where(np.abs(across) < 1, across, np.sign(across)) * MOUTH_HALF_WIDTH * 1e3
    open_by = face.opening**0.55 * face.side * face.lips(10, 16)
    rolled = smoothstep(0.0095, 0.0, np.abs(face.height)) * face.lips(6, 8)
    upper = smoothstep(-0.5, 0.5, face.side)
    curl = -0.38 * np.clip(face.height * 1e3, -9, 9) * face.lips(6, 8)
    chin = face.near((0, -88, 70), (22, 22, 13))
    corner_in = face.near((25, -80, 98), (16, 22, 16)) + face.near((-25, -80, 98), (16, 22, 16))
    return {
        "mouthPucker": lips[:, None] * offset(x=-0.40 * pull, y=-8.0 * bulge)
        + offset(z=0.12 * np.clip(face.height * 1e3, -9, 9) * lips),
        "mouthFunnel": lips[:, None] * offset(x=-0.26 * pull, y=-6.5 * bulge)
        + open_by[:, None] * offset(z=np.where(face.side > 0, 4.5, 6.0))
        + (open_by * rolled)[:, None] * offset(y=-1.0 * face.side),
        "mouthLeft": wide[:, None] * offset(x=8.0, y=1.2 * np.abs(across) - 0.5 + 1.2 * across),
        # The red goes in and thins towards the seam; the seam itself only slides back in its own plane,
        # so that either lip rolls under or over the other one and never through it.
        "mouthRollLower": ((1 - upper) * face.opening)[:, None] * offset(y=3.1 * rolled, z=curl),
        "mouthRollUpper": (upper * face.opening)[:, None] * offset(y=3.2 * rolled, z=curl),
        "mouthShrugLower": chin[:, None] * offset(y=-1.0, z=4.0)
        + (face.lips(10, 16) * smoothstep(0.016, -0.012, face.height))[:, None] * offset(y=-1.6, z=5.0),
        "mouthShrugUpper": (face.lips(10, 16) * smoothstep(-0.016, 0.010, face.height))[:, None]
        * offset(y=-2.0, z=4.0),
        "cheekPuff": corner_in[:, None] * offset(y=-1.5)
        + face.near((44, -62, 102), (22, 30, 20))[:, None] * offset(x=9.0, y=-5.0)
        + face.near((-44, -62, 102), (22, 30, 20))[:, None] * offset(x=-9.0, y=-5.0)
        + face.lips(14, 14)[:, None] * offset(y=-2.0),
    }


def _mouth_left(face: Face) -> dict[str, Array]:
    """The left one of each pair; the right one is its mirror."""
    left = face.left()
    corner = face.near((28, -82, 99), (20, 26, 17)) * face.shallow * smoothstep(-0.006, 0.024, face.x)
    cheek = face.near((38, -72, 122), (15, 24, 15))
    fold = face.near((33, -76, 110), (12, 22, 14))
    lips = face.lips(8, 12)
    lower = face.opening**0.7 * smoothstep(0.5, -0.5, face.side) * face.lips(8, 18) * left
    upper = face.opening**0.7 * smoothstep(-0.5, 0.5, face.side) * face.lips(8, 15) * left
    near_seam = np.clip(face.height * 1e3, -9, 9)
    return {
        "mouthSmile": corner[:, None] * offset(x=3.8, y=4.0, z=7.0)
        + cheek[:, None] * offset(y=-1.5, z=2.6)
        + fold[:, None] * offset(x=1.0, y=-0.5, z=1.0),
        "mouthFrown": corner[:, None] * offset(x=0.8, y=1.5, z=-7.0),
        "mouthDimple": corner[:, None] * offset(x=2.2, y=4.5, z=0.6),
        "mouthStretch": corner[:, None] * offset(x=4.4, y=3.0, z=-2.6),
        "mouthPress": (lips * left)[:, None] * offset(y=0.8, z=-0.38 * near_seam * face.lips(3, 6)),
        "mouthLowerDown": lower[:, None] * offset(y=-0.8, z=-7.0),
        "mouthUpperUp": upper[:, None] * offset(y=-0.8, z=6.0)
        + face.near((15, -92, 117), (12, 18, 9))[:, None] * offset(z=1.6),
        "noseSneer": face.near((12, -98, 126), (8, 14, 9))[:, None] * offset(x=0.9, y=0.6, z=4.6)
        + face.near((11, -90, 148), (9, 14, 15))[:, None] * offset(y=-0.8, z=1.8),
        "cheekSquint": face.near((38, -70, 132), (15, 24, 14))[:, None] * offset(y=-2.0, z=4.2),
    }


def _brows(face: Face) -> dict[str, Array]:
    inner, outer = face.near((14, -88, 186), (13, 24, 13)), face.near((44, -74, 190), (16, 24, 14))
    whole = face.near((28, -84, 187), (22, 26, 13))
    return {
        "browDown": whole[:, None] * offset(x=-1.5, y=-1.0, z=-5.0) + inner[:, None] * offset(x=-1.2, z=-1.6),
        "browInnerUp": inner[:, None] * offset(x=0.6, z=7.5),
        "browOuterUp": outer[:, None] * offset(y=0.8, z=7.0),
    }


def _lids_to(face: Face, to_edge: Array) -> Array:
    """Offsets that bring the edges of the left eye's lids to elevation ``to_edge`` (32,), degrees.

    The lid edge lands exactly there; what lies behind follows less, on the eyeball's sphere.
    """
    head = face.head
    local = face.points - EYE_CENTRE
    radius = np.maximum(np.linalg.norm(local, axis=1), 1e-9)
    elevation = np.degrees(np.arcsin(np.clip(local[:, 2] / radius, -1, 1)))
    azimuth = np.degrees(np.arctan2(local[:, 0], -local[:, 1]))
    edge = f.open_lid_edge()
    turn = np.zeros(len(local))
    here = np.flatnonzero((head.eye_ring >= f.CREASE) & (face.x > 0))
    place = head.eye_place[here]
    follow = np.array([0.0, 0.30, 0.93, 1.0, 0.72])[head.eye_ring[here]]
    turn[here] = follow * (to_edge - edge)[place]
    moved = f.on_eyeball(azimuth, elevation + turn, radius)
    delta = np.zeros_like(local)
    delta[here] = (moved - face.points)[here]
    return np.asarray(delta)


def _eyes(face: Face) -> dict[str, Array]:
    eye = ((face.head.part == EYE) & (face.x > 0)).astype(float)[:, None]
    angle = np.radians(LOOK_DEGREES)
    across, side = f.lid_positions()
    gap = 0.35 * side * (1 - across**2)
    meet = f.lid_meeting(across) + gap
    edge = f.open_lid_edge()
    skin_up = face.near((33, -82, 175), (14, 14, 7)) * (face.head.eye_ring <= f.ORBIT)
    skin_low = face.near((33, -82, 150), (15, 16, 8)) * (face.head.eye_ring <= f.ORBIT)
    bend = 1 - np.abs(across) ** 2
    return {
        "eyeBlink": _lids_to(face, meet) + skin_up[:, None] * offset(z=-1.2),
        "eyeSquint": _lids_to(face, edge + np.where(side > 0, -5.0, 9.0) * bend * (side != 0))
        + skin_low[:, None] * offset(y=-1.2, z=2.4),
        "eyeWide": _lids_to(face, edge + np.where(side > 0, 8.0, -2.0) * bend * (side != 0))
        + skin_up[:, None] * offset(z=1.2),
        "eyeLookUp": eye * _turned(face.points, -angle, EYE_CENTRE, 0)
        + _lids_to(face, edge + np.where(side > 0, 6.0, 2.5) * bend * (side != 0)),
        "eyeLookDown": eye * _turned(face.points, angle, EYE_CENTRE, 0)
        + _lids_to(face, edge + np.where(side > 0, -12.0, -3.0) * bend * (side != 0)),
        "eyeLookIn": eye * _turned(face.points, -angle, EYE_CENTRE, 2),
        "eyeLookOut": eye * _turned(face.points, angle, EYE_CENTRE, 2),
    }


def _tongue(face: Face) -> dict[str, Array]:
    tongue = (face.head.part == TONGUE).astype(float)
    forward = tongue * smoothstep(-0.036, -0.078, face.y)
    along = TONGUE_TIP + (face.y - face.y[tongue > 0].min()) / TONGUE_LENGTH
    above = 1e3 * (face.z - tongue_height(along))
    # It has to pass above the lower lip, which moves with the jaw, and below the upper teeth: it flattens.
    return {"tongueOut": forward[:, None] * offset(y=-30.0, z=4.8 - 0.65 * above)}


def all_shapes(head: Head) -> dict[str, Array]:
    """ARKit name -> (V, 3) offsets in metres; pairs are exact mirrors, whole shapes exactly even."""
    face = Face(head)
    shapes: dict[str, Array] = {}
    even: tuple[Callable[[Face], dict[str, Array]], ...] = (_jaw, _mouth_whole, _tongue)
    for group in even:
        for name, delta in group(face).items():
            if name in ("jawLeft", "mouthLeft"):
                shapes[name] = delta
                shapes[name.replace("Left", "Right")] = face.mirrored(delta)
            else:
                shapes[name] = face.even(delta)
    for group in (_mouth_left, _brows, _eyes):
        for name, delta in group(face).items():
            if name == "browInnerUp":
                shapes[name] = delta + face.mirrored(delta)
            else:
                shapes[f"{name}Left"] = delta
                shapes[f"{name}Right"] = face.mirrored(delta)
    tiny = 2e-7
    cleaned = {name: np.where(np.abs(delta) < tiny, 0.0, delta) for name, delta in shapes.items()}
    return dict(sorted(cleaned.items()))
