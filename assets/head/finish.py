"""The head as it is shown: ears, nose and hair get their form after the shapes are made.

The shapes are fields over the plain head of ``assembly``; form that is put on afterwards leaves them
as they are, so an ear can be improved without touching how the face moves.  Only vertices far from
lips, teeth and lids move here.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from anatomy import Array, side_of_skin, skin_gradient, smooth_minimum, smoothstep
from assembly import SKIN, Head, Index

#: The opening of the ear canal (y, z), metres.
CANAL = (0.0105, 0.1490)
#: The ear's outline round the canal, mm backwards and up: 20 places clockwise from the middle of its front.
OUTLINE = np.array(
    [
        (-7.5, 3), (-7.5, 9), (-7.0, 15), (-4.5, 21), (0.5, 25.5), (6.5, 28), (12.5, 27.2), (17.5, 23.8),
        (20.8, 18.0), (22.0, 11.5), (21.4, 4.8), (19.6, -1.5), (16.8, -7.5), (13.6, -13.5), (10.0, -19.0),
        (5.5, -23.4), (0.3, -24.6), (-4.0, -22.0), (-6.4, -15.5), (-7.2, -6.0),
    ]
)  # fmt: skip
#: The outline shrinks towards this point.
MIDDLE = np.array([6.0, 2.0])
#: Rings 2 to 6: share of the outline; mm: place of the front edge, lift off the skull in front and behind.
RINGS = {
    2: (0.88, -7.6, 0.8, 10.5),
    3: (1.00, -7.2, 2.2, 15.0),
    4: (0.91, -6.2, 3.0, 16.2),
    5: (0.76, -4.6, 1.5, 11.0),
    6: (0.54, -2.2, -1.0, 11.6),
}
#: Degrees round the head from the front, height of the hairline there (mm).
HAIRLINE = (
    (0, 229), (14, 231), (30, 232), (42, 225), (52, 209), (62, 192), (70, 180), (76, 166), (82, 160),
    (87, 172), (94, 184), (108, 182), (118, 168), (128, 138), (140, 112), (155, 100), (180, 96),
)  # fmt: skip
HAIR_MM = 4.0
#: How deep the bowl round the canal lies under its rim, mm.
BOWL_MM = 6.5


def _beside(y: Array, z: Array, root_x: float) -> Array:
    """(n,) x of the plain skull beside (y, z), or of the ear's root where that stands further out."""
    return -smooth_minimum(-side_of_skin(y, z), np.full_like(y, -root_x), 0.004)


def _ears(head: Head, points: Array) -> Array:
    points = points.copy()
    left = head.points[:, 0] > 0
    root = np.flatnonzero(left & (head.ear_ring == 0))
    root_x = float(points[root, 0].mean())
    rear = smoothstep(-7.5, 3.0, OUTLINE[:, 0])[:, None]
    # The rim stands off most behind the middle; its top bends back to the head.
    off = smoothstep(-10.0, 17.0, OUTLINE[:, 0]) * (1 - 0.40 * smoothstep(8.0, 28.0, OUTLINE[:, 1]))
    for ring, (share, front, front_lift, rear_lift) in RINGS.items():
        shrunk = MIDDLE + share * (OUTLINE - MIDDLE)
        ahead = np.column_stack([np.full(len(OUTLINE), front), shrunk[:, 1]])
        back, up = ((1 - rear) * ahead + rear * shrunk).T
        y, z = CANAL[0] + 1e-3 * (back + 0.08 * up), CANAL[1] + 1e-3 * up
        x = _beside(y, z, root_x) + 1e-3 * (front_lift + (rear_lift - front_lift) * off)
        here = np.flatnonzero(left & (head.ear_ring == ring))
        points[here] = np.stack([x, y, z], axis=1)[head.ear_place[here]]
    behind = np.flatnonzero(left & (head.ear_ring == 1))
    order = {int(head.ear_place[i]): int(i) for i in root}
    around = {int(head.ear_place[i]): int(i) for i in np.flatnonzero(left & (head.ear_ring == 2))}
    for vertex in behind:
        place = int(head.ear_place[vertex])
        points[vertex] = 0.5 * (points[order[place]] + points[around[place]])
    return _bowl(head, points, np.flatnonzero(left & (head.ear_ring == max(RINGS) + 1)))


def _bowl(head: Head, points: Array, inside: Index) -> Array:
    """Spread the vertices ``inside`` evenly over their rim, then sink them."""
    edges = np.concatenate([head.quads[:, [i, (i + 1) % 4]] for i in range(4)])
    edges = np.concatenate([edges, edges[:, ::-1]])
    edges = np.unique(edges[np.isin(edges[:, 0], inside)], axis=0)
    depth = np.zeros(len(points))
    for _ in range(200):
        total, sunk = np.zeros_like(points), np.zeros(len(points))
        np.add.at(total, edges[:, 0], points[edges[:, 1]])
        np.add.at(sunk, edges[:, 0], depth[edges[:, 1]])
        count = np.bincount(edges[:, 0], minlength=len(points))[inside]
        points[inside] = total[inside] / count[:, None]
        depth[inside] = sunk[inside] / count + 0.25
    points[inside, 0] -= 1e-3 * BOWL_MM * (depth[inside] / depth[inside].max()) ** 0.5
    return points


def _nose(head: Head, points: Array) -> Array:
    """A tip that stands forward, wings and the hollows of the nostrils."""
    mm = 1e3 * np.column_stack([np.abs(points[:, 0]), points[:, 1:]])
    skin = head.part == SKIN
    moved = points.copy()
    # centre, radii, offset in mm; x is |x|
    for centre, radii, offset in (
        ((0, -107, 133), (11, 14, 15), (0.0, -2.4, 0.6)),
        ((12.8, -96, 127), (5, 7, 6), (1.0, -0.4, 0.0)),
        ((6.3, -98.5, 121.5), (3.2, 4.5, 3.0), (0.0, 0.6, 2.2)),
    ):
        far = np.linalg.norm((mm - np.array(centre)) / np.array(radii), axis=1)
        weight = smoothstep(1.6, 0.0, far) * skin
        side = np.sign(points[:, 0])
        moved += (
            1e-3 * weight[:, None] * np.column_stack([offset[0] * side, *np.full((len(mm), 2), offset[1:]).T])
        )
    return moved


def hairline(head: Head) -> Array:
    """(V,) millimetres above the hairline, negative on the face, the ears and the neck."""
    x, y, z = 1e3 * head.points.T
    angle = np.degrees(np.arctan2(np.abs(x), -(y - 4.0)))
    above = np.asarray(z - np.interp(angle, *np.array(HAIRLINE).T))
    bare = (head.part != SKIN) | (head.ear_ring >= 0) | (head.mouth_ring >= 0) | (head.eye_ring >= 0)
    return np.where(bare, np.minimum(above, -6.0), above)


def _hair(head: Head, points: Array) -> Array:
    """Short hair stands off the scalp."""
    normal = skin_gradient(head.points)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    height = 1e-3 * HAIR_MM * smoothstep(-1.0, 16.0, hairline(head))
    return points + height[:, None] * normal


def finished(head: Head) -> Head:
    """``head`` with ears, nose and hair in form; same vertices, quads and labels."""
    points = _hair(head, _nose(head, _ears(head, head.points)))
    # float32 is what is written, and the right half is exactly the left one's mirror.
    points = points.astype(np.float32).astype(np.float64)
    right = head.points[:, 0] < 0
    points[right] = points[head.mirror[right]] * np.array([-1.0, 1.0, 1.0])
    points[head.mirror == np.arange(len(points)), 0] = 0.0
    return replace(head, points=points)
