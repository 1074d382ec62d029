"""Motion carried to other meshes: unchanged on copies, as it should be on others, lips shut where they were.

"As it should be": all meshes here are made from heads whose true motion is known.
"""

from __future__ import annotations

import dataclasses
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.contracts import FloatArray
from codetalker_blender.face import fit as fits
from codetalker_blender.face import registration, transfer
from codetalker_blender.face.binding import Binding
from codetalker_blender.face.blendshapes import Blendshapes
from codetalker_blender.face.closest import nearest
from codetalker_blender.face.tuning import soft_regions
from codetalker_blender.face.weights import SEEN, region_weights, solve_weights

from . import heads, spoken
from .known_weights import lively, played, rms

Array = NDArray[np.float64]
Index = NDArray[np.int64]

DEMO = heads.face()
REST = DEMO.vertices.astype(np.float64)
TRIANGLES = DEMO.triangles.astype(np.int64)
MID = DEMO.mid_lips.astype(np.int64)
SCALE, SHIFT = 250.0, np.array([40.0, -10.0, 7.0])


def turned(seed: int) -> Array:
    matrix: Array = np.linalg.qr(np.random.default_rng(seed).normal(size=(3, 3)))[0]
    return np.asarray(matrix * np.sign(np.linalg.det(matrix)))


TURN = turned(4)


@cache
def plain_head() -> heads.Head:
    return heads.built(lambda modules: None)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A mesh of a head, placed anywhere, and its binding.

    mesh: in metres, unplaced; binding: of the placed mesh
    """

    head: heads.Head
    mesh: heads.Mesh
    binding: Binding

    def carried(self, offsets: FloatArray) -> Array:
        """What the binding makes of the model's offsets (T, V, 3), back in metres and unplaced."""
        return transfer.apply(self.binding, offsets).astype(np.float64) @ TURN / SCALE

    def wanted(self, weights: Array, names: list[str]) -> Array:
        """(T, n, 3) the head's own motion for ARKit weights (T, K)."""
        deltas = np.stack([self.head.deltas[name] for name in names])
        return self.mesh.of(np.tensordot(weights, deltas, 1))

    @property
    def mid_lips(self) -> Index:
        both = [np.flatnonzero((self.mesh.pairs == vertex).all(axis=1)) for vertex in MID]
        return np.concatenate(both)


def case(head: heads.Head, mesh: heads.Mesh) -> Case:
    placed = mesh.points @ TURN.T * SCALE + SHIFT
    found = registration.fit(DEMO, 1.0, placed, mesh.triangles)
    return Case(head, mesh, transfer.bind(found, DEMO, placed, mesh.triangles))


@cache
def remeshed() -> Case:
    """The demo head, decimated and with another connectivity."""
    finer = heads.subdivided(REST, TRIANGLES)
    everywhere = np.ones(len(finer.points), bool)
    return case(plain_head(), heads.thinned(finer, everywhere, MID, 0.18, seed=1))


@cache
def crooked() -> Case:
    head = heads.crooked()
    return case(head, heads.plain(head.points, TRIANGLES))


@cache
def broad_without_bag() -> Case:
    head = heads.broad()
    mesh = heads.plain(head.points, TRIANGLES)
    return case(head, heads.without(mesh, head.labels.mouth_ring > 6))


@cache
def young_with_half_the_lips() -> Case:
    head = heads.young()
    mesh = heads.plain(head.points, TRIANGLES)
    lips = np.isin(np.arange(len(REST)), DEMO.regions["lips"])
    return case(head, heads.thinned(mesh, lips, MID, 0.5, seed=2))


OTHERS = [crooked, broad_without_bag, young_with_half_the_lips]


def test_the_identities_differ_by_eight_millimetres_or_more() -> None:
    for head in (heads.crooked(), heads.broad(), heads.young()):
        skin = head.labels.part == 0
        for chosen in (skin, ~skin | skin):
            template, mesh = (points[chosen].astype(np.float32) for points in (REST, head.points))
            assert fits.fit_similarity(template, mesh).residual_mm(1.0) >= 8.0


def speech_errors(found: Case) -> tuple[float, float]:
    """Mean error of a copy over speech: as a share of the mean and of the largest offset of the motion."""
    errors, sizes, largest = [], [], 0.0
    for clip in spoken.clips():
        wanted = found.mesh.of(clip.offsets.astype(np.float64))
        errors.append(np.linalg.norm(found.carried(clip.offsets) - wanted, axis=2).mean())
        size = np.linalg.norm(wanted, axis=2)
        sizes.append(size.mean())
        largest = max(largest, float(size.max()))
    return float(np.mean(errors) / np.mean(sizes)), float(np.mean(errors)) / largest


def test_a_remeshed_copy_moves_as_the_model() -> None:
    found = remeshed()
    assert len(found.mesh.points) < 0.9 * len(REST)
    share = len(np.intersect1d(found.mesh.pairs[:, 0], found.mesh.pairs[:, 1])) / len(found.mesh.points)
    assert share < 0.7, "most vertices are not the model's"
    by_mean, _ = speech_errors(found)
    assert by_mean <= 0.02


def closures_kept(found: Case) -> float:
    before = spoken.closures(REST, MID, [clip.offsets for clip in spoken.clips()])
    motions = [found.carried(clip.offsets) for clip in spoken.clips()]
    return spoken.kept(before, spoken.closures(found.mesh.points, found.mid_lips, motions))


def test_a_remeshed_copy_closes_its_lips() -> None:
    assert closures_kept(remeshed()) >= 0.97


@pytest.mark.parametrize("other", OTHERS, ids=lambda one: one.__name__)
def test_other_people_close_their_lips(other: Any) -> None:
    assert closures_kept(other()) >= 0.95


def deepest_mm(lips: spoken.Lips, points: Array, motions: list[Array], frames: list[Index]) -> float:
    """The deepest that the lips stand in each other, beyond what they do at rest."""
    rest = max(lips.depth_mm(points), 0.0)
    return (
        max(
            lips.depth_mm(points + motion[t])
            for motion, own in zip(motions, frames, strict=True)
            for t in own
        )
        - rest
    )


def tight_frames(count: int) -> list[Index]:
    """The frames of each clip in which the model's lips are closest to each other."""
    found = []
    for clip in spoken.clips():
        ends = REST[MID] + clip.offsets[:, MID]
        found.append(np.argsort(np.linalg.norm(ends[:, 0] - ends[:, 1], axis=1))[:count])
    return found


@pytest.mark.parametrize("other", [remeshed, *OTHERS], ids=lambda one: one.__name__)
def test_lips_do_not_go_through_each_other(other: Any) -> None:
    found = other()
    frames = tight_frames(12)
    motions = [found.carried(clip.offsets) for clip in spoken.clips()]
    lips = spoken.Lips.of(found.mesh, found.head)
    assert deepest_mm(lips, found.mesh.points, motions, frames) <= 0.5


def random_weights(seed: int, frames: int) -> tuple[Array, list[str]]:
    """Sparse ARKit weights as faces have them: (frames, 52) and the names."""
    random = np.random.default_rng(seed)
    names = sorted(heads.crooked().deltas)
    weights = random.uniform(size=(frames, len(names))) * (random.uniform(size=(frames, len(names))) < 0.12)
    return weights, names


@pytest.mark.parametrize("other", OTHERS, ids=lambda one: one.__name__)
def test_other_people_move_as_they_would(other: Any) -> None:
    found = other()
    weights, names = random_weights(0, 60)
    source = np.tensordot(weights, np.stack([plain_head().deltas[name] for name in names]), 1)
    moved, wanted = found.carried(source.astype(np.float32)), found.wanted(weights, names)
    error, size = np.linalg.norm(moved - wanted, axis=2), np.linalg.norm(wanted, axis=2)
    assert error.mean() < 0.2 * size.mean()


@pytest.mark.parametrize("other", OTHERS, ids=lambda one: one.__name__)
def test_known_weights_come_back_on_other_people(other: Any) -> None:
    """Weights played on the model, carried over and solved in the shapes of the head that moves."""
    found = other()
    names = tuple(plain_head().deltas)
    known = lively(names, 150)
    source = played(np.stack([plain_head().deltas[name] for name in names]).astype(np.float32), known.values)
    shapes = np.stack([found.mesh.of(found.head.deltas[name]) for name in names]).astype(np.float32)
    moved = found.carried(source).astype(np.float32)
    # The regions of the head that moves: its vertices are the model's.
    assert (found.mesh.pairs[:, 0] == found.mesh.pairs[:, 1]).all()
    seen = region_weights(soft_regions(DEMO, 1.0), SEEN)[found.mesh.pairs[:, 0]]
    solved = solve_weights(
        Blendshapes(names, shapes), moved, 30.0, vertex_weights=seen, mid_lips=found.mid_lips.astype(np.int32)
    )
    assert rms(solved, known) <= 0.05


@pytest.mark.slow
def test_a_mesh_of_twenty_thousand_vertices_moves_as_the_model() -> None:
    """How long that takes is for ``build.py bench --rows retarget``."""
    finer = heads.subdivided(REST, TRIANGLES)
    assert len(finer.points) > 19_000
    found = registration.fit(DEMO, 1.0, finer.points, finer.triangles)
    binding = transfer.bind(found, DEMO, finer.points, finer.triangles)
    offsets = np.stack([plain_head().deltas[name] for name in ("jawOpen", "mouthPucker", "browInnerUp")])
    moved = transfer.apply(binding, offsets.astype(np.float32))
    error, size = np.linalg.norm(moved - finer.of(offsets), axis=2), np.linalg.norm(offsets, axis=2)
    assert error.mean() <= 0.02 * size.mean()


def test_shapes_may_go_through_instead_of_frames() -> None:
    found = remeshed()
    offsets = spoken.clips()[0].offsets[:20]
    mixed = np.tensordot(np.eye(3, 20, dtype=np.float32) * 0.5, offsets, 1)
    np.testing.assert_allclose(
        transfer.apply(found.binding, mixed), 0.5 * transfer.apply(found.binding, offsets[:3]), atol=1e-3
    )


def mirrored(points: Array) -> Index:
    """(n,) of each vertex the one on the other half of a symmetric head."""
    found = nearest(points * [-1.0, 1.0, 1.0], points)
    assert np.linalg.norm(points[found] - points * [-1.0, 1.0, 1.0], axis=1).max() < 1e-4
    return found


def test_a_symmetric_motion_stays_symmetric_on_a_symmetric_head() -> None:
    """However the mesh is turned; fit and binding choose no side."""
    found = broad_without_bag()
    other = mirrored(found.mesh.points)
    pairs = ("mouthSmile", "eyeBlink", "browDown", "mouthUpperUp", "cheekSquint")
    deltas = plain_head().deltas
    motions = [deltas[name] for name in ("jawOpen", "mouthPucker", "mouthClose", "browInnerUp", "cheekPuff")]
    motions += [deltas[f"{name}Left"] + deltas[f"{name}Right"] for name in pairs]
    moved = found.carried(np.stack(motions).astype(np.float32))
    apart = np.linalg.norm(moved[:, other] * [-1.0, 1.0, 1.0] - moved, axis=2)
    size = np.linalg.norm(moved, axis=2)
    assert (apart.mean(axis=1) <= 0.02 * size.mean(axis=1)).all()


def part_rows(found: Case, name: str) -> Index:
    rows = np.isin(found.mesh.pairs, DEMO.regions[name]).all(axis=1)
    return np.flatnonzero(rows)


@pytest.mark.parametrize("other", [remeshed, crooked], ids=lambda one: one.__name__)
def test_teeth_and_eyes_keep_their_form(other: Any) -> None:
    found = other()
    names = ["jawOpen", "eyeLookOutLeft", "eyeLookInRight"]
    source = np.stack([plain_head().deltas[name] for name in names]).astype(np.float32)
    jaw, _, _ = moved = found.carried(source)
    teeth = part_rows(found, "lower_teeth")
    assert np.linalg.norm(jaw[teeth], axis=1).mean() > 0.010
    assert np.abs(jaw[part_rows(found, "upper_teeth")]).max() < 1e-5
    truth = found.mesh.of(np.stack([found.head.deltas[name] for name in names]))
    # A rigid part cannot follow where all of a head was stretched by a sixth in one direction.
    assert (
        np.linalg.norm(jaw - truth[0], axis=1)[teeth].max()
        < 0.2 * np.linalg.norm(truth[0, teeth], axis=1).max()
    )
    eyes = part_rows(found, "eyes")
    left = eyes[found.mesh.points[eyes, 0] > 0]
    radius = 0.5 * float(np.ptp(found.mesh.points[left], axis=0).max())
    ball = found.mesh.points[left] + moved[1, left]
    centre = 0.5 * (found.mesh.points[left].min(axis=0) + found.mesh.points[left].max(axis=0))
    off = np.abs(np.linalg.norm(ball - centre, axis=1) - radius)
    # Shapes are linear, so that a turn of 25 degrees shrinks by a tenth; no more than that.
    assert off.mean() < 0.12 * radius
    assert np.linalg.norm(moved[1, left], axis=1).max() > 0.004
    right = np.setdiff1d(eyes, left)
    assert np.abs(moved[1, right]).max() < 1e-5


def test_teeth_as_an_object_of_their_own_follow_too() -> None:
    placed = REST @ TURN.T * SCALE + SHIFT
    teeth = np.isin(np.arange(len(REST)), DEMO.regions["lower_teeth"])
    brows = np.isin(np.arange(len(REST)), DEMO.regions["upper_face"]) & (plain_head().labels.part == 5)
    head = heads.without(heads.plain(placed, TRIANGLES), teeth | brows)
    found = registration.fit(DEMO, 1.0, head.points, head.triangles)
    names = ["jawOpen", "browInnerUp"]
    source = np.stack([plain_head().deltas[name] for name in names]).astype(np.float32)
    for own, shape in ((teeth, 0), (brows, 1)):
        mesh = heads.without(heads.plain(placed, TRIANGLES), ~own)
        binding = transfer.bind(found, DEMO, mesh.points, mesh.triangles)
        assert binding.bound_share == 1.0
        moved = transfer.apply(binding, source) @ TURN / SCALE
        truth = mesh.of(source.astype(np.float64))
        assert (
            np.linalg.norm(moved - truth, axis=2)[shape].max()
            < 0.05 * np.linalg.norm(truth[shape], axis=1).max()
        )


def test_a_body_below_the_neck_stays_and_nothing_tears() -> None:
    column = heads.plain(*_cylinder())
    points = np.concatenate([REST, column.points])
    triangles = np.concatenate([TRIANGLES, column.triangles + len(REST)])
    found = registration.fit(DEMO, 1.0, points, triangles)
    binding = transfer.bind(found, DEMO, points, triangles)
    source = np.full((1, len(REST), 3), 0.01, np.float32)
    size = np.linalg.norm(transfer.apply(binding, source)[0], axis=1)
    below = points[:, 2] < -0.08
    assert below.any() and size[below].max() == 0.0
    edges = np.concatenate([triangles[:, [k, (k + 1) % 3]] for k in range(3)])
    lengths = np.linalg.norm(points[edges[:, 0]] - points[edges[:, 1]], axis=1)
    steps = np.abs(size[edges[:, 0]] - size[edges[:, 1]]) / np.maximum(lengths, 1e-3)
    # A fade from 10 mm to nothing over 60 mm rises nowhere steeper than three times its mean.
    assert steps[edges.min(axis=1) >= len(REST)].max() < 3 * 0.01 / 0.06


def _cylinder() -> tuple[Array, Index]:
    """A trunk under the demo head's neck."""
    turn, height = np.meshgrid(np.arange(40) * np.pi / 20, np.linspace(-0.4, 0.0, 41))
    points = np.stack([0.05 * np.cos(turn), 0.05 * np.sin(turn), height - 0.001], axis=-1).reshape(-1, 3)
    index = np.arange(len(points)).reshape(41, 40)
    a, b = index[:-1], np.roll(index[:-1], -1, axis=1)
    d, c = index[1:], np.roll(index[1:], -1, axis=1)
    triangles = np.concatenate(
        [np.stack([a, b, c], -1).reshape(-1, 3), np.stack([a, c, d], -1).reshape(-1, 3)]
    )
    return points, triangles.astype(np.int64)
