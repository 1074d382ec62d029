"""The model's face is found in a mesh of any scale, place, direction and company, or refused with reasons.

Distances are millimetres of the model's own size.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.errors import TargetError
from codetalker_blender.face import alignment, lips, registration
from codetalker_blender.face.model_face import ModelFace, prepare
from codetalker_blender.face.placement import Guess, Pairs, Placement
from codetalker_blender.face.surface import Surface

from . import heads

Array = NDArray[np.float64]
Index = NDArray[np.int64]

DEMO = heads.face()
REST = DEMO.vertices.astype(np.float64)
TRIANGLES = DEMO.triangles.astype(np.int64)
Y_UP = np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@pytest.fixture(scope="module")
def template() -> ModelFace:
    return prepare(DEMO, 1.0)


def turned(seed: int) -> Array:
    matrix: Array = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return np.asarray(matrix * np.sign(np.linalg.det(matrix)))


def pattern(template: ModelFace) -> alignment.Pattern:
    return alignment.Pattern(template.skin, template.core, template.up)


NO_PAIRS = Pairs(np.zeros((0, 3)), np.zeros((0, 3)))


def misplaced_mm(found: Guess, truth: Placement) -> float:
    """How far the face is from where it belongs."""
    lips_and_lids = np.concatenate([DEMO.regions["lips"], DEMO.regions["eyelids"]])
    off = found.to_mesh(REST[lips_and_lids]) - truth.to_mesh(REST[lips_and_lids])
    return 1e3 * float(np.linalg.norm(off, axis=1).max()) / truth.scale


def ball(centre: Array, radii: Array, count: int = 24) -> Surface:
    """A closed ellipsoid of quads, split."""
    turn, rise = np.meshgrid(np.arange(2 * count) * np.pi / count, np.linspace(0.02, np.pi - 0.02, count))
    unit = np.stack([np.sin(rise) * np.cos(turn), np.sin(rise) * np.sin(turn), -np.cos(rise)], axis=-1)
    index = np.arange(2 * count * count).reshape(count, 2 * count)
    a, b = index[:-1], np.roll(index[:-1], -1, axis=1)
    d, c = index[1:], np.roll(index[1:], -1, axis=1)
    triangles = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )
    return Surface((centre + radii * unit).reshape(-1, 3), triangles)


def joined(*surfaces: Surface) -> Surface:
    first = np.cumsum([0, *(len(one.points) for one in surfaces)])
    return Surface(
        np.concatenate([one.points for one in surfaces]),
        np.concatenate([one.triangles + n for one, n in zip(surfaces, first, strict=False)]),
    )


def body() -> Surface:
    """A body 1.75 m tall that the demo head fits on, arms stretched out."""
    limbs = [
        ((0, 0.03, -0.25), (0.19, 0.11, 0.27)), ((0, 0.03, -0.62), (0.17, 0.11, 0.22)),
        ((0.5, 0.03, -0.10), (0.34, 0.045, 0.045)), ((-0.5, 0.03, -0.10), (0.34, 0.045, 0.045)),
        ((0.86, 0.03, -0.10), (0.09, 0.02, 0.05)), ((-0.86, 0.03, -0.10), (0.09, 0.02, 0.05)),
        ((0.1, 0.03, -1.1), (0.08, 0.08, 0.42)), ((-0.1, 0.03, -1.1), (0.08, 0.08, 0.42)),
        ((0.1, -0.03, -1.48), (0.05, 0.13, 0.04)), ((-0.1, -0.03, -1.48), (0.05, 0.13, 0.04)),
    ]  # fmt: skip
    return joined(*(ball(np.array(centre), np.array(radii)) for centre, radii in limbs))


@pytest.mark.parametrize(
    ("rotation", "scale"),
    [(np.eye(3), 1.0), (Y_UP, 100.0), (turned(1), 0.02), (turned(2), 37.0), (turned(5), 1.0)],
    ids=["as it is", "Y up, centimetres", "turned 1", "turned 2", "turned 5"],
)
def test_a_copy_is_found_to_a_tenth_of_a_millimetre(
    template: ModelFace, rotation: Array, scale: float
) -> None:
    truth = Placement(rotation, scale, np.array([3.0, -7.0, 1.0]) * scale)
    mesh = Surface(truth.to_mesh(REST), TRIANGLES)
    found = alignment.align(pattern(template), mesh, NO_PAIRS)
    assert found.placement.scale == pytest.approx(scale, rel=1e-3)
    assert misplaced_mm(found, truth) < 0.1


def test_a_head_on_a_body_is_found(template: ModelFace) -> None:
    truth = Placement(Y_UP, 100.0, np.array([0.0, 150.0, 0.0]))
    whole = joined(Surface(REST, TRIANGLES), body())
    found = alignment.align(
        pattern(template), Surface(truth.to_mesh(whole.points), whole.triangles), NO_PAIRS
    )
    assert misplaced_mm(found, truth) < 0.5


def test_a_face_alone_is_found(template: ModelFace) -> None:
    front = (REST[:, 1] < -0.02) & (REST[:, 2] > 0.05) & (REST[:, 2] < 0.22)
    truth = Placement(turned(8), 3.0, np.array([1.0, 2.0, 3.0]))
    mesh = Surface(truth.to_mesh(REST), TRIANGLES[front[TRIANGLES].all(axis=1)])
    found = alignment.align(pattern(template), mesh, NO_PAIRS)
    assert misplaced_mm(found, truth) < 0.5


def test_the_lips_sides_are_told_along_the_skin(template: ModelFace) -> None:
    mouth = template.mouth
    assert mouth is not None
    upper, lower = DEMO.mid_lips
    assert np.linalg.norm(REST[upper] - REST[lower]) < 0.2e-3
    assert mouth.sides[upper] > 0.5 and mouth.sides[lower] < -0.5
    assert np.abs(mouth.sides[DEMO.lip_corners]).max() < 0.2
    chin, nose = template.marks["chin"], template.marks["nose_tip"]
    assert mouth.sides[((REST - chin) ** 2).sum(axis=1).argmin()] < 0
    assert mouth.sides[((REST - nose) ** 2).sum(axis=1).argmin()] > 0
    assert lips.parting(template.skin, mouth.upper, mouth.lower) > 2.0


def test_lips_that_are_one_skin_are_noticed(template: ModelFace) -> None:
    mouth = template.mouth
    assert mouth is not None
    points = REST.copy()
    # Sew the lips together: lower seam vertices become upper ones.
    seam = np.flatnonzero(np.isin(np.arange(len(REST)), DEMO.regions["lips"]))
    upper, lower = (seam[mouth.sides[seam] * side > 0.3] for side in (1, -1))
    partner = upper[((points[lower][:, None] - points[upper][None]) ** 2).sum(axis=2).argmin(axis=1)]
    close = np.linalg.norm(points[lower] - points[partner], axis=1) < 0.3e-3
    sewn = np.arange(len(points))
    sewn[lower[close]] = partner[close]
    assert close.sum() > 10
    assert lips.parting(Surface(points, sewn[template.skin.triangles]), mouth.upper, mouth.lower) < 1.6


def test_landmarks_override_what_the_shape_says(template: ModelFace) -> None:
    # A mesh without features: only the landmarks can tell where the mouth is.
    shift = np.array([0.0, 0.0, 0.006])
    names = ("lip_corner_left", "lip_corner_right", "mouth", "nose_tip", "chin", "eye_left", "eye_right")
    marks = {name: template.marks[name] + shift for name in names}
    found = registration.fit(DEMO, 1.0, REST, TRIANGLES, marks)
    moved = found.preview[DEMO.lip_corners] - REST[DEMO.lip_corners]
    np.testing.assert_allclose(moved, np.tile(shift, (2, 1)), atol=2.0e-3)
    with pytest.raises(TargetError, match="'nose'"):
        registration.fit(DEMO, 1.0, REST, TRIANGLES, {"nose": np.zeros(3)})


def test_a_model_in_other_units_fits_the_same() -> None:
    scaled = dataclasses.replace(DEMO, vertices=DEMO.vertices * np.float32(5))
    found = registration.fit(scaled, 5.0, REST, TRIANGLES)
    assert np.linalg.norm(found.preview - REST, axis=1).max() < 1e-3
    assert found.quality.mean_mm < 0.2


def refused(mesh: Surface) -> str:
    with pytest.raises(TargetError) as caught:
        registration.fit(DEMO, 1.0, mesh.points, mesh.triangles)
    message = str(caught.value)
    assert any(letter.isdigit() for letter in message), "reasons come with numbers"
    return message


def test_a_cube_is_refused() -> None:
    corners = np.array([(x, y, z) for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)], np.float64)
    quads = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]
    cube = heads.plain(corners, np.array([t for a, b, c, d in quads for t in ((a, b, c), (a, c, d))]))
    refused(Surface(cube.points, cube.triangles))
    for _ in range(5):
        cube = heads.subdivided(cube.points, cube.triangles)
    refused(Surface(cube.points, cube.triangles))


def test_a_ball_and_a_body_without_a_head_are_refused() -> None:
    refused(ball(np.zeros(3), np.array([0.8, 1.0, 1.2]), 40))
    refused(body())


def test_a_flat_face_is_refused_as_such() -> None:
    assert "its depth is 0" in refused(Surface(REST * [1.0, 0.01, 1.0], TRIANGLES))


def test_a_face_turned_inside_out_is_refused_with_its_cure() -> None:
    assert "Recalculate Outside" in refused(Surface(REST * 10, TRIANGLES[:, ::-1]))


def test_a_head_whose_mouth_is_shut_for_good_is_refused(template: ModelFace) -> None:
    outside = np.isin(np.arange(len(REST)), template.outside)
    seam = outside & (np.abs(template.sides) > 0.2) & np.isin(np.arange(len(REST)), DEMO.regions["lips"])
    upper, lower = np.flatnonzero(seam & (template.sides > 0)), np.flatnonzero(seam & (template.sides < 0))
    partner = upper[((REST[lower][:, None] - REST[upper][None]) ** 2).sum(axis=2).argmin(axis=1)]
    close = np.linalg.norm(REST[lower] - REST[partner], axis=1) < 0.3e-3
    sewn = np.arange(len(REST))
    sewn[lower[close]] = partner[close]
    assert "lips" in refused(Surface(REST, sewn[TRIANGLES]))
