"""Rules turn weights into what bones get: the same pose whatever the rotation mode, without jumps."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.contracts import ShapeWeights
from codetalker_blender.face.rig_channels import Pose, RigChannel, Rule, bone_columns, property_column
from codetalker_blender.face.rotations import (
    axis_angles,
    continuous,
    product,
    quaternion_of_axis_angle,
    quaternions_of_angles,
)

FRAMES = 30
REST = {
    "XYZ": Pose("XYZ", (0, 0, 0), (0, 0, 0), (1, 1, 1)),
    "ZXY": Pose("ZXY", (0, 0, 0), (0, 0, 0), (1, 1, 1)),
    "QUATERNION": Pose("QUATERNION", (0, 0, 0), (1, 0, 0, 0), (1, 1, 1)),
    "AXIS_ANGLE": Pose("AXIS_ANGLE", (0, 0, 0), (0, 0, 1, 0), (1, 1, 1)),
}


def weights(**columns: NDArray[np.float64]) -> ShapeWeights:
    return ShapeWeights(tuple(columns), np.stack(list(columns.values()), axis=1).astype(np.float32), 24.0)


def wave(turns: float = 1.0) -> NDArray[np.float64]:
    """From 0 to 1 and back."""
    return np.asarray(0.5 - 0.5 * np.cos(np.linspace(0, 2 * np.pi * turns, FRAMES)))


def turn(axis: int, degrees: float, shape: str = "jawOpen") -> Rule:
    return Rule(shape, RigChannel("ROTATION", "jaw", axis), output=(0.0, degrees))


def matrices(quaternions: NDArray[np.float64]) -> NDArray[np.float64]:
    """(T, 3, 3), by turning the three axes."""
    inverse = quaternions * (1, -1, -1, -1)
    axes = [product(product(quaternions, np.array([0.0, *axis])), inverse)[:, 1:] for axis in np.eye(3)]
    return np.stack(axes, axis=2)


def as_quaternions(columns: dict[tuple[str, int], NDArray[np.float64]], mode: str) -> NDArray[np.float64]:
    stacked = np.stack([columns[key] for key in sorted(columns)], axis=1)
    if mode == "QUATERNION":
        return stacked
    if mode == "AXIS_ANGLE":
        return np.array([quaternion_of_axis_angle(row) for row in stacked])
    angles = np.zeros((len(stacked), 3))
    for (_, axis), values in columns.items():
        angles[:, axis] = values
    return quaternions_of_angles(angles)


def test_a_range_of_weights_becomes_a_range_of_values() -> None:
    rule = Rule("jawOpen", RigChannel("LOCATION", "jaw", 1), input=(0.2, 0.6), output=(1.0, -3.0))
    found = rule.applied(np.array([-1.0, 0.2, 0.4, 0.6, 5.0]))
    np.testing.assert_allclose(found, [1.0, 1.0, -1.0, -3.0, -3.0], atol=1e-12)
    step = Rule("jawOpen", rule.channel, input=(0.5, 0.5), output=(0.0, 2.0))
    np.testing.assert_allclose(step.applied(np.array([0.4, 0.5, 0.6])), [0.0, 2.0, 2.0])


@pytest.mark.parametrize("mode", ["QUATERNION", "AXIS_ANGLE"])
def test_two_rules_on_a_bone_turn_it_alike_in_every_mode(mode: str) -> None:
    rules = [turn(0, 40.0), turn(2, -25.0, "jawLeft"), turn(0, 5.0, "mouthFunnel")]
    moved = weights(jawOpen=wave(), jawLeft=wave(2.0), mouthFunnel=wave(0.5))
    wanted = matrices(as_quaternions(bone_columns(rules, moved, REST["XYZ"]), "XYZ"))
    found = matrices(as_quaternions(bone_columns(rules, moved, REST[mode]), mode))
    np.testing.assert_allclose(found, wanted, atol=1e-6)
    assert np.ptp(wanted, axis=0).max() > 0.3


def test_euler_angles_are_channels_of_their_own() -> None:
    pose = Pose("ZXY", (0, 0, 0), (0.1, 0.2, 0.3), (1, 1, 1))
    found = bone_columns([turn(2, 90.0)], weights(jawOpen=np.array([0.0, 1.0])), pose)
    assert list(found) == [("rotation_euler", 2)]
    np.testing.assert_allclose(found["rotation_euler", 2], [0.3, 0.3 + np.pi / 2], atol=1e-6)


def test_rotation_is_on_top_of_the_pose() -> None:
    rest = quaternions_of_angles(np.array([[0.2, 0.5, -0.9]]))[0]
    pose = Pose("QUATERNION", (0, 0, 0), tuple(2.0 * rest), (1, 1, 1))
    found = as_quaternions(bone_columns([turn(0, 60.0)], weights(jawOpen=wave()), pose), "QUATERNION")
    np.testing.assert_allclose(found[0], rest, atol=1e-6)
    about_x = product(rest * (1, -1, -1, -1), found[FRAMES // 2])
    assert 2 * np.degrees(np.arctan2(about_x[1], about_x[0])) == pytest.approx(60.0, abs=1.0)
    np.testing.assert_allclose(about_x[2:], 0.0, atol=1e-6)


def test_quaternions_never_change_their_sign_on_the_way() -> None:
    angles = np.zeros((60, 3))
    angles[:, 1] = np.linspace(0, 4 * np.pi, 60)
    jumping = quaternions_of_angles(angles) * np.where(np.arange(60) % 7 < 3, -1.0, 1.0)[:, None]
    start = np.array([-1.0, 0.0, 0.0, 0.0])
    found = continuous(jumping, start)
    steps = np.diff(np.concatenate([start[None], found]), axis=0)
    assert np.linalg.norm(steps, axis=1).max() < 0.12
    np.testing.assert_allclose(matrices(found), matrices(jumping), atol=1e-12)


def test_axes_never_turn_over_on_the_way() -> None:
    angles = np.zeros((40, 3))
    angles[:, 0] = np.sin(np.linspace(0, 4 * np.pi, 40))
    angles[10:12] = 0.0
    found = axis_angles(quaternions_of_angles(angles), (0.0, 0.0, 1.0, 0.0))
    np.testing.assert_allclose(found[:, 1:], np.tile([1.0, 0, 0], (40, 1)), atol=1e-9)
    np.testing.assert_allclose(found[:, 0], angles[:, 0], atol=1e-9)
    still = axis_angles(np.tile([1.0, 0, 0, 0], (3, 1)), (0.0, 0.0, 1.0, 0.0))
    np.testing.assert_allclose(still, np.tile([0.0, 0, 1, 0], (3, 1)))


def test_location_adds_and_scale_multiplies() -> None:
    pose = Pose("XYZ", (5.0, 0, 0), (0, 0, 0), (2.0, 1, 1))
    rules = [
        Rule("a", RigChannel("LOCATION", "jaw", 0), output=(0.0, 2.0)),
        Rule("b", RigChannel("LOCATION", "jaw", 0), output=(0.0, -1.0)),
        Rule("a", RigChannel("SCALE", "jaw", 0), output=(1.0, 1.5)),
        Rule("b", RigChannel("SCALE", "jaw", 0), output=(1.0, 0.5)),
    ]
    found = bone_columns(rules, weights(a=np.array([0.0, 1.0]), b=np.array([0.0, 0.5])), pose)
    np.testing.assert_allclose(found["location", 0], [5.0, 6.5])
    np.testing.assert_allclose(found["scale", 0], [2.0, 2.0 * 1.5 * 0.75])


def test_a_property_gets_the_sum_of_its_rules() -> None:
    channel = RigChannel("PROPERTY", holder="OBJECT", name="open")
    rules = [Rule("a", channel, output=(1.0, 3.0)), Rule("none", channel, output=(0.5, 9.0))]
    np.testing.assert_allclose(property_column(rules, weights(a=np.array([0.0, 0.5]))), [1.5, 2.5])
