"""Eyes look at somebody: seen on the eyeballs of the demo head, and read off shapes of any mesh."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.contracts import ShapeWeights
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.face.eyes import Eyes, eyes_of
from codetalker_blender.face.gaze import (
    LARGEST_DEG,
    LOOK_SHAPES,
    Gaze,
    Sight,
    eye_angles,
    look_weights,
    out_of_reach,
    wanted_angles,
)
from codetalker_blender.face.head_motion import HeadMotion, rotations
from codetalker_blender.face.layers import Layers, lay

Floats = NDArray[np.float64]
FRAMES, FPS = 48, 24.0
TIMES = np.arange(FRAMES) / FPS
NECK = np.array([0.0, 0.02, 0.05])
STILL = Gaze(flicks=0.0)
#: Frames in which the eyes have come to where they go, and have not gone back yet.
THERE = slice(4, -6)


def ball(side: str) -> tuple[NDArray[np.int32], Floats]:
    """An eyeball of the demo head: its vertices, and their middle."""
    face = demo_head_face()
    eyes = face.regions["eyes"]
    points = face.vertices[eyes].astype(np.float64)
    own: NDArray[np.int32] = eyes[points[:, 0] > 0] if side == "Left" else eyes[points[:, 0] < 0]
    box = face.vertices[own].astype(np.float64)
    return own, (box.min(axis=0) + box.max(axis=0)) / 2


def axis(weights: ShapeWeights, side: str) -> Floats:
    """(T, 3) where the pupil of the demo head, a vertex, is seen from the eye's middle."""
    face, shapes = demo_head_face(), demo_head_shapes().chosen(weights.names)
    own, middle = ball(side)
    pupil = own[np.argmin(face.vertices[own, 1])]
    way = weights.values @ shapes.offsets[:, pupil] + face.vertices[pupil] - middle
    return np.asarray(way / np.linalg.norm(way, axis=1, keepdims=True))


def eyes_at(target: Floats) -> Sight:
    """What the demo head sees in its own axes, in which (T, 3) is where the target is."""
    centres = np.stack([ball(side)[1] for side in ("Left", "Right")]) - NECK
    count = len(target)
    return Sight(target - NECK, np.tile(centres, (count, 1, 1)), np.tile(np.eye(3), (count, 1, 1)))


def missed_deg(weights: ShapeWeights, head: Floats, target: Floats, side: str) -> Floats:
    """(T,) degrees between where an eye looks and where the target is; the head turns about its neck."""
    looks = np.einsum("tij,tj->ti", head, axis(weights, side))
    middle = np.einsum("tij,j->ti", head, ball(side)[1] - NECK) + NECK
    way = target - middle
    way /= np.linalg.norm(way, axis=1, keepdims=True)
    return np.asarray(np.degrees(np.arccos(np.clip((looks * way).sum(axis=1), -1, 1))))


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_eyes_meet_somebody_who_walks_by_while_the_head_turns(side: str) -> None:
    """As near as 40 cm, where the eyes converge."""
    way = np.linspace(-0.1, 0.12, FRAMES)
    target = np.stack([way, np.full(FRAMES, -0.5), 0.16 + 0.4 * way], axis=1)
    turns = np.stack([5 * np.sin(TIMES * 3), 6 * np.sin(TIMES * 5), 4 * np.sin(TIMES * 4)], axis=1)
    head = rotations(turns)
    wanted = wanted_angles(head, STILL, eyes_at(target))
    assert out_of_reach(wanted) == 0.0
    found = look_weights(eye_angles(wanted, STILL, TIMES, TIMES[-1]))
    weights = ShapeWeights(tuple(found), np.stack(list(found.values()), axis=1).astype(np.float32), FPS)
    missed = missed_deg(weights, head, target, side)
    assert missed[THERE].max() < 0.2
    for end in (0, -1):  # and they rest around the clip
        assert not weights.values[end].any()


def test_layers_take_the_heads_own_turns_into_account() -> None:
    speech = np.abs(np.sin(np.arange(100) / 7)).astype(np.float32)
    target = np.tile([0.15, -1.0, 0.3], (FRAMES, 1))
    laid = lay(Layers(head=HeadMotion(2.0), gaze=STILL), speech, np.zeros(FRAMES), FPS, eyes_at(target))
    assert laid.head is not None and laid.out_of_reach == 0.0
    missed = missed_deg(laid.weights, laid.head, target, "Left")
    assert missed[THERE].max() < 0.2
    still = np.tile(np.eye(3), (FRAMES, 1, 1))
    assert missed_deg(laid.weights, still, target, "Left")[THERE].max() > 1.0


def test_somebody_around_the_head_makes_no_jump() -> None:
    """Once around, at two heights: followed, held at the limit, lost, found again on the other side."""
    count = 720
    around = np.radians(np.linspace(-180, 180, count))
    times = np.arange(count) / FPS
    for height in (0.15, 1.4):
        target = np.stack([np.sin(around), -np.cos(around), np.full(count, height)], axis=1)
        wanted = wanted_angles(np.tile(np.eye(3), (count, 1, 1)), STILL, eyes_at(target))
        angles = eye_angles(wanted, STILL, times, float(times[-1]))
        assert np.abs(np.diff(angles, axis=0)).max() < 1.5, "degrees for half a degree of the way"
        assert (np.linalg.norm(angles / LARGEST_DEG, axis=-1) <= 1 + 1e-9).all()
        behind = np.abs(np.degrees(around)) > 120
        assert np.abs(angles[behind]).max() < 1e-9
    level = np.abs(np.degrees(around))
    assert out_of_reach(wanted) > 0.9
    held = (level > 30) & (level < 45)
    assert held.any() and np.abs(angles[held]).max() > 10


def test_a_target_on_the_head_is_held_without_turning_against_it() -> None:
    target = np.tile([0.1, -0.4, 0.16], (FRAMES, 1))
    head = rotations(np.stack([np.zeros(FRAMES), 8 * np.sin(TIMES * 5), np.zeros(FRAMES)], axis=1))
    seen = eyes_at(target)
    on_it = Sight(seen.target, seen.eyes, seen.axes, attached=True)
    assert np.ptp(wanted_angles(head, STILL, on_it), axis=0).max() < 1e-9
    assert np.ptp(wanted_angles(head, STILL, seen)[:, :, 0], axis=0).max() > 10


def looks_of(matrix: Floats, shift: Floats) -> tuple[Floats, dict[str, Floats]]:
    """The demo head and its look shapes in other axes and another size."""
    shapes = demo_head_shapes().chosen(LOOK_SHAPES)
    offsets = shapes.offsets.astype(np.float64) @ matrix.T
    points = demo_head_face().vertices.astype(np.float64) @ matrix.T + shift
    return points, dict(zip(shapes.names, offsets, strict=True))


@pytest.mark.parametrize("names", [LOOK_SHAPES, [n for n in LOOK_SHAPES if "Up" in n or "In" in n]])
def test_eyes_are_read_off_the_shapes_that_turn_them(names: list[str]) -> None:
    turn = rotations(np.array([[70.0, 130.0, -20.0]]))[0]
    points, looks = looks_of(30.0 * turn, np.array([5.0, 6.0, 7.0]))
    eyes = eyes_of(points, {name: looks[name] for name in names})
    assert eyes is not None and eyes.axes is not None
    for centre, side in zip(eyes.centres, ("Left", "Right"), strict=True):
        expected = 30.0 * turn @ ball(side)[1] + [5.0, 6.0, 7.0]
        assert np.linalg.norm(centre - expected) < 30.0 * 0.002, "2 mm on a head"
    np.testing.assert_allclose(eyes.axes, turn, atol=0.01)


def test_shapes_that_only_slide_tell_where_eyes_are_and_not_which_way() -> None:
    """Flat eyes of a drawing."""
    points = np.array([[s * 1.0 + x, 0.0, z] for s in (1, -1) for x in (-0.1, 0.1) for z in (-0.1, 0.1)])
    sides = {"Left": points[:, :1] > 0, "Right": points[:, :1] < 0}
    looks = {f"eyeLookUp{side}": mask * np.array([0.0, 0.0, 0.05]) for side, mask in sides.items()}
    eyes = eyes_of(points, looks)
    assert isinstance(eyes, Eyes) and eyes.axes is None
    np.testing.assert_allclose(eyes.centres, [[1.0, 0.0, 0.0], [-1.0, 0.0, 0.0]], atol=1e-6)
    assert eyes_of(points, {"eyeLookUpLeft": looks["eyeLookUpLeft"]}) is None
