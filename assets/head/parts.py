"""The pieces that are not skin: eyeballs, teeth, tongue and brows, as loops of quads.

All for the half x >= 0; what touches x = 0 lies on the midline and is shared with its mirror.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from anatomy import EYE_CENTRE, EYE_RADIUS, SEAM_Z, Array, project_to_skin, skin_gradient
from topology import HalfMesh

#: Rings of the eyeball, degrees from the pupil's middle; the first is the back's rim.
EYEBALL_RINGS = (140.0, 115.0, 92.0, 72.0, 55.0, 41.0, 36.0, 33.0, 26.0, 17.0, 14.0)
#: The pupil and the iris end at these angles.
PUPIL_END, IRIS_END = 14.5, 34.0
EYEBALL_SEGMENTS = 20

TEETH_PER_SIDE = 7
#: Metres.  The arch is a parabola of this parameter as far as the middle incisors reach, runs on straight
#: along the lips, and bends back by the last length where the rearmost upper tooth ends.
ARCH_PARAMETER, INCISOR_END, ARCH_END, ARCH_BEND = 0.0265, 0.0036, 0.0235, 0.0070
#: By how much either row climbs towards its rear end, metres.
ARCH_RISE = 0.0020

#: Metres, and where along it the first cross-section stands.
TONGUE_LENGTH, TONGUE_TIP = 0.048, 0.03


def add_eyeball(mesh: HalfMesh) -> None:
    """The left eyeball: rings round the view axis, closed by small grids in front and behind."""
    turn = np.pi - 2 * np.pi * np.arange(EYEBALL_SEGMENTS) / EYEBALL_SEGMENTS
    flat = np.stack([np.cos(turn), np.zeros_like(turn), np.sin(turn)], axis=1)
    start = len(mesh.points)
    ring: list[int] = []
    for angle in np.radians(EYEBALL_RINGS):
        points = EYE_CENTRE + EYE_RADIUS * (np.sin(angle) * flat + np.array([0.0, -np.cos(angle), 0.0]))
        if ring:
            ring = mesh.add_ring(ring, points)
        else:
            ring = [mesh.add(point) for point in points]
            # Seen from behind the loop turns round; keep its corner first.
            mesh.add_cap([ring[0], *ring[:0:-1]], 6, 4)
    mesh.add_cap(ring, 6, 4)
    for index in range(start, len(mesh.points)):
        offset = mesh.points[index] - EYE_CENTRE
        mesh.points[index] = EYE_CENTRE + EYE_RADIUS * offset / np.linalg.norm(offset)


def _add_tube(mesh: HalfMesh, sections: list[Array], *, from_middle: bool) -> list[list[int]]:
    """Closed cross-sections (n, 3) joined by quads; the last is closed, the first too unless on x = 0.

    The sections' points turn so that the first section's outside looks back along the tube.
    """
    loops: list[list[int]] = []
    for number, section in enumerate(sections):
        loops.append([mesh.add(point, middle=from_middle and number == 0) for point in section])
    size = len(sections[0])
    for first, second in pairwise(loops):
        for i in range(size):
            j = (i + 1) % size
            mesh.quads.append((first[i], first[j], second[j], second[i]))
    ends = [loops[-1]] if from_middle else [loops[-1], loops[0][::-1]]
    for loop in ends:
        for i in range(size // 2 - 1):
            mesh.quads.append((loop[i], loop[i + 1], loop[size - 2 - i], loop[size - 1 - i]))
    return loops


def _arch(x: float) -> tuple[float, float]:
    """Depth (metres) of a dental arch behind its front at x (metres) >= 0, and its slope there.

    Flatter than one parabola, so that the far canine is in sight when the head is turned 40 degrees.
    """
    within = min(x, INCISOR_END)
    beyond, reach = x - within, ARCH_END - INCISOR_END
    slope = 2 * within / ARCH_PARAMETER
    depth = within * within / ARCH_PARAMETER + slope * beyond + ARCH_BEND * (beyond / reach) ** 6
    return depth, slope + 6 * ARCH_BEND / reach * (beyond / reach) ** 5


def add_teeth(mesh: HalfMesh, front_y: float, upper: bool) -> None:
    """Half of a dental arch; front_y: depth of its front at the midline."""
    side = 1.0 if upper else -1.0
    edge_z = SEAM_Z - (0.0030 if upper else 0.0032)
    sections = []
    # The arch swept tooth by tooth: middle, then each tooth's bulge and its gap to the next.
    for number in range(2 * TEETH_PER_SIDE + 1):
        gap = number % 2 == 0
        x = 0.0225 * (number / (2 * TEETH_PER_SIDE)) ** 0.95
        x = x + 0.053 * max(0.0, x - INCISOR_END) if upper else 0.93 * x
        depth, slope = _arch(x)
        rise = ARCH_RISE * (max(0.0, x - INCISOR_END) / (ARCH_END - INCISOR_END)) ** 2
        centre = np.array([x, front_y + depth, edge_z + rise])
        normal = np.array([slope, -1.0, 0.0])
        normal /= np.linalg.norm(normal)
        bulge = -0.0006 if gap and number else 0.0
        short = 0.0006 if gap and number else (0.0003 if number in (3, 5) else 0.0)
        profile = ((bulge, 0.0090), (bulge, 0.0015), (bulge - 0.0006, short))
        back = ((-0.0018, short), (-0.0032, 0.0030), (-0.0034, 0.0090))
        points = [
            centre + out * normal + np.array([0.0, 0.0, side * height]) for out, height in profile + back
        ]
        sections.append(np.array(points if upper else points[::-1]))
    _add_tube(mesh, sections, from_middle=True)


def tongue_height(along: Array) -> Array:
    """Height (metres) of the tongue's middle line, 0 tip ... 1 root: the tip rests behind the incisors."""
    return np.asarray(SEAM_Z - 0.0045 + 0.0050 * np.sin(along * np.pi * 0.9))


def add_tongue(mesh: HalfMesh, tip_y: float) -> None:
    """Half of the tongue: half-ellipses from the tip (closed by a small grid) to its root."""
    sections = []
    for along in (TONGUE_TIP, 0.12, 0.26, 0.42, 0.58, 0.74, 0.88, 1.0):
        wide = 0.0165 * min(1.0, 0.25 + 0.75 * np.sin(min(1.0, along / 0.45) * np.pi / 2))
        thick = 0.0050 * min(1.0, 0.25 + 0.75 * np.sin(min(1.0, along / 0.50) * np.pi / 2))
        turn = np.linspace(0, np.pi, 9)
        groove = -0.0010 * np.exp(-((turn / 0.35) ** 2)) * min(1.0, 3 * along) * (1 - along)
        z = tongue_height(np.array(along)) + thick * np.cos(turn) + groove
        y = np.full_like(turn, tip_y + TONGUE_LENGTH * along)
        sections.append(np.stack([wide * np.sin(turn), y, z], axis=1))
    loops: list[list[int]] = []
    for section in sections[::-1]:
        if not loops:
            loops.append([mesh.add(p, middle=i in (0, 8)) for i, p in enumerate(section)])
        else:
            loops.append(mesh.add_ring(loops[-1], section))
    mesh.add_cap(loops[-1], 2, 4)
    mesh.add_cap(loops[0][::-1], 2, 4)


def add_brow(mesh: HalfMesh) -> None:
    """The left brow: a flat strip that lies on the skin."""
    sections = []
    for along in np.linspace(0, 1, 13):
        x = 0.0125 + 0.0390 * along
        z = 0.1850 + 0.0052 * np.sin(np.pi * min(1.0, along * 0.72 + 0.06)) - 0.0030 * along**3
        half = 0.0036 * (0.55 + 0.45 * min(1.0, along / 0.2)) * (1 - 0.75 * max(0.0, along - 0.45) / 0.55)
        middle = project_to_skin(np.array([[x, -0.09 + 0.5 * max(0.0, x - 0.02), z]]), 12)[0]
        ring = []
        for up, out in ((-1.0, -0.0008), (-0.6, 0.0009), (0.6, 0.0009), (1.0, -0.0008)):
            point = project_to_skin((middle + np.array([0.0, 0.0, up * half]))[None], 12)
            normal = skin_gradient(point)[0]
            ring.append(point[0] + out * normal / np.linalg.norm(normal))
        sections.append(np.array(ring))
    _add_tube(mesh, sections, from_middle=False)
