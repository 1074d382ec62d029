"""Known weights come back; limits, correctives and controls hold; the best is the best; errors are true."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from codetalker_blender.contracts import FloatArray, ShapeWeights
from codetalker_blender.errors import TargetError
from codetalker_blender.face.blendshapes import (
    Blendshapes,
    demo_head_face,
    demo_head_shapes,
    demo_head_visemes,
)
from codetalker_blender.face.compact import Basis, factorise
from codetalker_blender.face.residual import residual
from codetalker_blender.face.shape_controls import ShapeControl, SolveSettings
from codetalker_blender.face.tuning import soft_regions
from codetalker_blender.face.weights import SEEN, region_weights, solve_weights

from .known_weights import lively, played, rms

FREE = SolveSettings(lips=0.0, l2=0.0, temporal=0.0, symmetry=0.0)


@pytest.fixture(scope="module")
def arkit() -> Blendshapes:
    return demo_head_shapes()


@pytest.fixture(scope="module")
def known(arkit: Blendshapes) -> ShapeWeights:
    return lively(arkit.names, frames=150)


@pytest.fixture(scope="module")
def motion(arkit: Blendshapes, known: ShapeWeights) -> FloatArray:
    return played(arkit.offsets, known.values)


def small(shapes: int = 4, vertices: int = 30, seed: int = 1) -> Blendshapes:
    """Shapes that overlap, some millimetres large."""
    offsets = np.random.default_rng(seed).normal(scale=0.004, size=(shapes, vertices, 3))
    offsets += offsets.mean(axis=0)
    names = ("jawOpen", "mouthClose", "mouthSmileLeft", "mouthSmileRight", "jawForward", "tongueOut")
    return Blendshapes(names[:shapes], offsets.astype(np.float32))


def noise(frames: int, vertices: int = 30, seed: int = 2) -> FloatArray:
    return np.random.default_rng(seed).normal(scale=0.006, size=(frames, vertices, 3)).astype(np.float32)


@pytest.mark.parametrize(("with_lips", "as_seen"), [(False, False), (True, False), (True, True)])
def test_known_weights_come_back(
    arkit: Blendshapes, known: ShapeWeights, motion: FloatArray, with_lips: bool, as_seen: bool
) -> None:
    face = demo_head_face()
    mid_lips = face.mid_lips if with_lips else None
    vertex_weights = region_weights(soft_regions(face, 1.0), SEEN) if as_seen else None
    found = solve_weights(arkit, motion, 30.0, vertex_weights=vertex_weights, mid_lips=mid_lips)
    assert found.names == arkit.names and found.fps == 30.0 and found.values.dtype == np.float32
    assert rms(found, known) <= 0.02
    worst = np.sqrt(((found.values - known.values) ** 2).mean(axis=0)).max()
    assert worst <= 0.05, "no single shape is lost either"
    assert residual(arkit, found, motion).rms_mm <= 0.05


def test_a_motion_of_few_shapes_gives_the_same_weights_as_its_frames(
    arkit: Blendshapes, motion: FloatArray
) -> None:
    compact = factorise(motion, 1e-7).basis
    one, other = solve_weights(arkit, motion, 30.0), solve_weights(arkit, compact, 30.0)
    np.testing.assert_allclose(one.values, other.values, atol=0.01)
    assert residual(arkit, one, compact).rms_mm == pytest.approx(
        residual(arkit, one, motion).rms_mm, abs=1e-3
    )


def test_another_rate_gives_the_same_smoothing_in_seconds(arkit: Blendshapes) -> None:
    """A jump is spread over the same time, whatever the frames per second."""
    shape = arkit.chosen(["jawOpen"])
    settings = SolveSettings(l2=0.0, temporal=30.0, symmetry=0.0)
    reached = []
    for fps in (30.0, 120.0):
        frames = int(2 * fps)
        step = (np.arange(frames) >= frames // 2).astype(np.float32)[:, None]
        found = solve_weights(shape, played(shape.offsets, step), fps, settings).values[:, 0]
        reached.append(np.interp([0.8, 0.9, 1.1, 1.2], (np.arange(frames) + 0.5) / fps, found))
    np.testing.assert_allclose(reached[0], reached[1], atol=0.02)
    assert 0.05 < reached[0][1] < 0.45, "the jump is smoothed at all"


def cost(shapes: Blendshapes, motion: FloatArray, values: FloatArray, settings: SolveSettings) -> float:
    """The sum in the head of weights.py, term by term, in mm² at 30 fps; mid-lip vertices 3 and 7."""
    wide = values.astype(np.float64)
    bases = shapes.offsets.astype(np.float64) * 1e3
    sizes = (bases**2).sum(axis=2).mean(axis=1)
    apart = np.einsum("ts,svc->tvc", wide, bases) - motion * 1e3
    total = (apart**2).sum(axis=2).mean(axis=1).sum() + settings.lips * (
        (apart[:, 3] - apart[:, 7]) ** 2
    ).sum()
    total += settings.l2 * (sizes * wide**2).sum()
    total += settings.temporal * (sizes * np.diff(wide, axis=0) ** 2).sum()
    for side, other in itertools.pairwise(range(len(shapes.names))):
        if shapes.names[side].endswith("Left"):
            even = np.sqrt(sizes[side] * sizes[other])
            total += settings.symmetry * even * ((wide[:, side] - wide[:, other]) ** 2).sum()
    return float(total)


@pytest.mark.parametrize(
    "settings",
    [
        FREE,
        replace(FREE, lips=0.7),
        replace(FREE, l2=0.3),
        replace(FREE, temporal=2.0),
        replace(FREE, symmetry=3.0),
        SolveSettings(lips=0.2, l2=0.1, temporal=0.5, symmetry=0.7),
    ],
    ids=["data", "lips", "l2", "temporal", "symmetry", "all"],
)
def test_no_allowed_change_makes_it_better(settings: SolveSettings) -> None:
    """The equation of the module is what is minimised: steps along limits and away cost more."""
    shapes, motion = small(), noise(12)
    mid_lips = np.array([3, 7], np.int32)
    found = solve_weights(shapes, motion, 30.0, settings, mid_lips=mid_lips).values
    best = cost(shapes, motion, found, settings)
    touched = (found <= 1e-6) | (found >= 1 - 1e-6) | (np.abs(found[:, :1] - found) < 1e-6)
    assert 0.1 < touched.mean() < 0.9, "some limits hold, some do not"
    jaw, close = 0, 1
    for frame in range(12):
        for columns in ([jaw], [close], [jaw, close], [2], [3]):
            for step in (-0.02, 0.02):
                tried = found.copy()
                tried[frame, columns] += step
                allowed = (
                    (tried >= 0).all() and (tried <= 1).all() and (tried[:, close] <= tried[:, jaw]).all()
                )
                if allowed:
                    assert cost(shapes, motion, tried, settings) > best - 1e-6


def test_every_frame_alone_gives_the_same_without_the_temporal_term() -> None:
    shapes, motion = small(6), noise(20)
    settings = SolveSettings(l2=0.01, temporal=0.0, symmetry=0.1)
    whole = solve_weights(shapes, motion, 30.0, settings).values
    alone = [solve_weights(shapes, motion[t : t + 1], 30.0, settings).values[0] for t in range(20)]
    np.testing.assert_allclose(whole, alone, atol=1e-3)


def test_the_mouth_never_closes_more_than_the_jaw_opens(arkit: Blendshapes) -> None:
    """Even where that would explain the motion, and whatever the animator sets."""
    pushed = played(arkit.chosen(["mouthClose"]).offsets, np.linspace(0, 1, 10, dtype=np.float32)[:, None])
    opened = played(arkit.chosen(["jawOpen"]).offsets, np.linspace(0.5, 0, 10, dtype=np.float32)[:, None])
    for controls in (
        {},
        {"jawOpen": ShapeControl(multiplier=0.5)},
        {"mouthClose": ShapeControl(multiplier=3.0, offset=0.2)},
        {"jawOpen": ShapeControl(high=0.2)},
        {"mouthClose": ShapeControl(low=0.3)},
    ):
        found = solve_weights(arkit, pushed + opened, 30.0, SolveSettings(controls=controls))
        assert (found.of("mouthClose") <= found.of("jawOpen") + 1e-6).all(), controls


def test_opposites_do_not_work_against_each_other(arkit: Blendshapes) -> None:
    """A motion that is not quite the face's own is not explained by a jaw to both sides."""
    names = ["jawLeft", "jawRight", "jawOpen", "eyeBlinkLeft", "eyeWideLeft"]
    shapes = arkit.chosen(names)
    values = np.array([[0.4, 0, 0.2, 1, 0], [0, 0.3, 0.5, 0, 0.6], [0, 0, 0.3, 0.2, 0]], np.float32)
    strange = played(shapes.offsets, values)
    strange += (
        np.random.default_rng(0).normal(scale=0.002, size=(1, shapes.vertex_count, 3)).astype(np.float32)
    )
    strange[:, :, 1] *= 1.3
    found = solve_weights(shapes, strange, 30.0, FREE)
    for one, other in (("jawLeft", "jawRight"), ("eyeBlinkLeft", "eyeWideLeft")):
        assert np.minimum(found.of(one), found.of(other)).max() <= 2e-3
    np.testing.assert_allclose(found.values, values, atol=0.15)


def test_shut_lips_stay_shut_when_the_jaw_is_multiplied(arkit: Blendshapes) -> None:
    """p over an open jaw: the corrective keeps its share of the jaw."""
    closed = played(arkit.chosen(["jawOpen", "mouthClose"]).offsets, np.full((3, 2), 0.3, np.float32))
    settings = SolveSettings(controls={"jawOpen": ShapeControl(multiplier=2.0)})
    found = solve_weights(arkit, closed, 30.0, settings)
    np.testing.assert_allclose(found.of("jawOpen"), 0.6, atol=0.03)
    np.testing.assert_allclose(found.of("mouthClose"), found.of("jawOpen"), atol=0.03)


def test_limits_hold_and_the_others_make_up_for_them(arkit: Blendshapes, motion: FloatArray) -> None:
    settings = SolveSettings(
        controls={"jawOpen": ShapeControl(high=0.4), "cheekPuff": ShapeControl(low=-0.2)}
    )
    found = solve_weights(arkit, motion, 30.0, settings)
    assert found.of("jawOpen").max() <= 0.4 + 1e-6 and found.of("cheekPuff").min() >= -0.2 - 1e-6
    cut = solve_weights(arkit, motion, 30.0)
    names = list(cut.names)
    clipped = cut.values.copy()
    clipped[:, names.index("jawOpen")] = np.minimum(clipped[:, names.index("jawOpen")], 0.4)
    blunt = residual(arkit, replace(cut, values=clipped), motion)
    assert residual(arkit, found, motion).rms_mm < blunt.rms_mm


def test_a_shape_that_is_off_has_no_weights(arkit: Blendshapes, motion: FloatArray) -> None:
    off = ShapeControl(enabled=False)
    found = solve_weights(arkit, motion, 30.0, SolveSettings(controls={"mouthPucker": off}))
    assert "mouthPucker" not in found.names and len(found.names) == 51
    assert found.of("mouthFunnel").sum() > solve_weights(arkit, motion, 30.0).of("mouthFunnel").sum()
    jawless = solve_weights(arkit, motion, 30.0, SolveSettings(controls={"jawOpen": off}))
    assert not {"jawOpen", "mouthClose"} & set(jawless.names), "nothing is there to be corrected"
    nothing = SolveSettings(controls=dict.fromkeys(arkit.names, off))
    assert solve_weights(arkit, motion, 30.0, nothing).values.shape == (len(motion), 0)


def test_multiplier_and_offset_come_last_and_stay_in_the_limits(
    arkit: Blendshapes, motion: FloatArray
) -> None:
    plain = solve_weights(arkit, motion, 30.0)
    control = ShapeControl(multiplier=1.5, offset=-0.1)
    found = solve_weights(arkit, motion, 30.0, SolveSettings(controls={"browInnerUp": control}))
    wanted = np.clip(1.5 * plain.of("browInnerUp") - 0.1, 0.0, 1.0)
    np.testing.assert_allclose(found.of("browInnerUp"), wanted, atol=1e-6)
    others = [name for name in arkit.names if name != "browInnerUp"]
    assert all((found.of(name) == plain.of(name)).all() for name in others)


def test_symmetry_and_smoothness_do_what_they_say(arkit: Blendshapes) -> None:
    smiles = ["mouthSmileLeft", "mouthSmileRight"]
    values = np.random.default_rng(5).uniform(size=(40, 2)).astype(np.float32)
    motion = played(arkit.chosen(smiles).offsets, values)

    def solved(l2: float = 0.0, temporal: float = 0.0, symmetry: float = 0.0) -> FloatArray:
        settings = SolveSettings(l2=l2, temporal=temporal, symmetry=symmetry)
        found = solve_weights(arkit, motion, 30.0, settings)
        return np.stack([found.of(name) for name in smiles], axis=1)

    def unevenness(found: FloatArray) -> float:
        return float(np.abs(found[:, 0] - found[:, 1]).mean())

    def jumps(found: FloatArray) -> float:
        return float(np.abs(np.diff(found, axis=0)).mean())

    free = solved()
    np.testing.assert_allclose(free, values, atol=0.01)
    assert unevenness(solved(symmetry=10.0)) < 0.2 * unevenness(free)
    assert jumps(solved(temporal=10.0)) < 0.3 * jumps(free)
    assert solved(l2=1.0).sum() < 0.7 * free.sum()


def test_weighted_vertices_are_met_better(arkit: Blendshapes) -> None:
    face = demo_head_face()
    regions = soft_regions(face, 1.0)
    shape = arkit.chosen(["mouthPucker", "jawOpen", "mouthSmileLeft"])
    other = played(arkit.chosen(["mouthFunnel", "cheekPuff"]).offsets, np.full((4, 2), 0.7, np.float32))
    lips = face.regions["lips"]
    plain = solve_weights(shape, other, 30.0)
    weights = region_weights(regions, {"mouth": 30.0})
    assert weights.shape == (face.vertex_count,) and weights.min() > 0.9
    assert weights[lips].mean() > 15 > 2 > weights[face.regions["upper_face"]].max()
    closer = solve_weights(shape, other, 30.0, vertex_weights=weights)
    errors = [residual(shape, found, other).vertex_mm[lips].mean() for found in (plain, closer)]
    assert errors[1] < 0.98 * errors[0]


def test_the_residual_is_the_distance_that_is_left(arkit: Blendshapes, known: ShapeWeights) -> None:
    moved = played(arkit.offsets, known.values)
    moved[7, 100] += (0.003, 0.0, 0.004)
    moved[9, 100] += (0.0, 0.002, 0.0)
    moved[7, 200] += (0.0, 0.0, 0.001)
    left = residual(arkit, known, moved)
    assert left.frame_max_mm[7] == pytest.approx(5.0, abs=1e-3)
    assert left.vertex_max_mm[200] == pytest.approx(1.0, abs=1e-3)
    assert left.vertex_mm[100] == pytest.approx(np.sqrt((25 + 4) / len(moved)), abs=1e-3)
    assert left.frame_mm[7] == pytest.approx(np.sqrt((25 + 1) / moved.shape[1]), abs=1e-3)
    assert left.frame_mm[8] == pytest.approx(0.0, abs=1e-3)
    assert left.max_mm == pytest.approx(5.0, abs=1e-3)
    assert left.rms_mm == pytest.approx(np.sqrt((25 + 4 + 1) / moved[:, :, 0].size), abs=1e-3)


def test_visemes_are_solved_alike() -> None:
    """Some visemes are nearly mixtures of others; then the mixture looks the same."""
    visemes = demo_head_visemes()
    assert visemes.names[0] == "viseme_sil" and len(visemes.names) == 15
    frames = played(visemes.offsets, np.eye(15, dtype=np.float32))
    free = solve_weights(visemes, frames, 30.0, FREE)
    np.testing.assert_allclose(free.values, np.eye(15), atol=0.02)
    found = solve_weights(visemes, frames, 30.0)
    assert residual(visemes, found, frames).max_mm < 0.3
    unlike = [visemes.names.index(f"viseme_{sound}") for sound in ("sil", "PP", "FF", "TH", "CH", "SS", "ou")]
    assert found.values[unlike, unlike].min() > 0.9


def test_lips_meet_where_shapes_are_few(arkit: Blendshapes) -> None:
    """Visemes cannot show all that a face does; what they show of the lips is when they part, and how far."""
    face, visemes = demo_head_face(), demo_head_visemes()
    names = ("jawOpen", "mouthClose", "mouthShrugLower", "mouthPucker", "mouthRollUpper", "jawForward")
    motion = arkit.motion(lively(names, 90))
    upper, lower = face.mid_lips

    def gap(offsets: FloatArray) -> FloatArray:
        apart: FloatArray = np.linalg.norm(offsets[:, upper] - offsets[:, lower], axis=1) * 1e3
        return apart

    errors = []
    for mid_lips in (None, face.mid_lips):
        found = solve_weights(visemes, motion, 30.0, mid_lips=mid_lips)
        compact = solve_weights(visemes, factorise(motion, 1e-7).basis, 30.0, mid_lips=mid_lips)
        np.testing.assert_allclose(gap(visemes.motion(compact)), gap(visemes.motion(found)), atol=0.1)
        errors.append(np.abs(gap(visemes.motion(found)) - gap(motion)).mean())
    assert errors[1] < 0.5 * errors[0]


def test_silence_is_what_the_visemes_leave() -> None:
    visemes = demo_head_visemes()
    values = np.outer([0.0, 0.3, 1.0], np.eye(15)[2]).astype(np.float32)
    found = solve_weights(visemes, played(visemes.offsets, values), 30.0)
    np.testing.assert_allclose(found.of("viseme_sil"), [1.0, 0.7, 0.0], atol=0.05)
    np.testing.assert_allclose(found.values.sum(axis=1), 1.0, atol=0.05)


def test_shapes_that_move_nothing_or_depend_on_others_do_no_harm(arkit: Blendshapes) -> None:
    names = ["jawOpen", "browInnerUp", "tongueOut"]
    offsets = arkit.chosen(names).offsets.copy()
    offsets[2] = 0.0
    double = Blendshapes(
        ("jawOpen", "browInnerUp", "tongueOut", "jawTwice"), np.concatenate([offsets, offsets[:1]])
    )
    motion = played(offsets[:2], np.array([[0.8, 0.3]], np.float32))
    found = solve_weights(double, motion, 30.0)
    assert found.of("tongueOut")[0] == 0.0
    assert found.of("jawOpen")[0] + found.of("jawTwice")[0] == pytest.approx(0.8, abs=0.01)
    assert residual(double, found, motion).rms_mm < 0.02


def test_a_motion_of_another_mesh_is_refused(arkit: Blendshapes) -> None:
    with pytest.raises(TargetError, match=r"30 vertices.*4828"):
        solve_weights(arkit, noise(2), 30.0)
    with pytest.raises(TargetError, match="30"):
        residual(arkit, lively(arkit.names, 2), Basis(np.ones((2, 1), np.float32), noise(1)))


def test_settings_that_mean_nothing_are_refused() -> None:
    with pytest.raises(ValueError, match="temporal"):
        SolveSettings(temporal=-1.0)
    with pytest.raises(ValueError, match="limits"):
        ShapeControl(low=0.5, high=0.2)
    with pytest.raises(ValueError, match="limits"):
        ShapeControl(multiplier=float("nan"))
