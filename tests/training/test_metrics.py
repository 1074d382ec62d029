"""The measures equal the reference numbers, and say what their definitions say."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh, Waveform
from training import metrics
from training.datasets.clip import Phone
from training.metrics_timing import mtm_ms, slcc, warping_path

from .made_head import INNER_A, INNER_B, LOWER, TOOTH_A, made_head

Array = NDArray[Any]
GOLDEN = Path(__file__).resolve().parents[1] / "golden" / "golden_metrics.npz"
FPS = 30.0


@pytest.fixture
def golden() -> dict[str, Array]:
    with np.load(GOLDEN, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def golden_pairs(golden: dict[str, Array]) -> tuple[list[Array], list[Array]]:
    """Truths and predictions as offsets in double precision, as the reference computes."""
    count = int(golden["n"])
    template = [golden[f"tpl{i}"].astype(np.float64) for i in range(count)]
    return (
        [golden[f"gt{i}"] - template[i] for i in range(count)],
        [golden[f"pred{i}"] - template[i] for i in range(count)],
    )


def test_lve_and_fdd_equal_the_reference(golden: dict[str, Array]) -> None:
    truths, predictions = golden_pairs(golden)
    lve = metrics.lve_codetalker(truths, predictions, golden["mouth"])
    fdd = metrics.fdd_codetalker(truths, predictions, golden["upper"])
    assert lve == pytest.approx(float(golden["lve"]), abs=1e-9)
    assert fdd == pytest.approx(float(golden["fdd"]), abs=1e-9)
    assert lve == pytest.approx(0.1050902287, abs=1e-9)
    assert fdd == pytest.approx(0.0114968486, abs=1e-9)


def test_variants_of_the_same_label_differ(golden: dict[str, Array]) -> None:
    truths, predictions = golden_pairs(golden)
    mouth, upper = golden["mouth"], golden["upper"]
    pooled, per_clip = (f(truths, predictions, mouth) for f in (metrics.lve_codetalker, metrics.lve_per_clip))
    assert pooled != pytest.approx(per_clip, rel=1e-4)
    assert metrics.fdd_abs(truths, predictions, upper) >= abs(
        metrics.fdd_codetalker(truths, predictions, upper)
    )


def test_a_shift_of_two_millimetres_is_measured_as_such() -> None:
    truth = np.zeros((5, 10, 3))
    predicted = truth + np.array([0.002, 0.0, 0.0])
    every = np.arange(10)
    assert metrics.lve_mm([truth], [predicted], every) == pytest.approx(2.0)
    assert metrics.mve_mm([truth], [predicted]) == pytest.approx(2.0)
    assert metrics.lve_codetalker([truth], [predicted], every) == pytest.approx(4e-6)
    assert metrics.diversity_mm([truth, predicted, truth]) == pytest.approx(4.0 / 3.0)


def test_relative_fdd_of_a_second_draw_is_small_when_pooled_and_large_per_clip() -> None:
    random = np.random.default_rng(0)
    walks = [np.cumsum(random.normal(0, 1e-4, (90, 6, 3)), axis=0) for _ in range(80)]
    truths, predictions, region = walks[:40], walks[40:], np.arange(6)
    pooled = metrics.fdd_rel(truths, predictions, region, [0] * 40)
    per_clip = metrics.fdd_rel(truths, predictions, region, list(range(40)))
    assert pooled < 0.5 * per_clip
    assert metrics.fdd_rel(truths, truths, region, [0] * 40) == 0.0
    assert metrics.fdd_rel(truths, [0.0 * t for t in truths], region, [0] * 40) == pytest.approx(100.0)


def test_pooled_dynamics_are_those_of_the_clips_end_to_end() -> None:
    random = np.random.default_rng(2)
    clips, region = [random.normal(0.1 * n, 0.01, (5 + n, 4, 3)) for n in range(3)], np.array([1, 3])
    together = metrics.dynamics(np.concatenate(clips), region)
    pooled = metrics.pooled([metrics.dynamics(clip, region) for clip in clips])
    assert pooled.frames == 18
    assert pooled.std == pytest.approx(together.std, rel=1e-9)
    assert pooled.std == pytest.approx(np.std((np.concatenate(clips)[:, region] ** 2).sum(-1), axis=0))
    assert pooled.at(np.array([False, True])).std == pytest.approx(together.std[1:])


def test_coefficients_of_motion_keep_its_mean_squared_offset() -> None:
    random = np.random.default_rng(3)
    directions = random.normal(0.0, 0.001, (2, 7 * 3))
    motion = (random.normal(0.0, 1.0, (50, 2)) @ directions).reshape(50, 7, 3)
    basis = metrics.motion_basis(motion)
    assert basis.shape == (2, 21), "two directions make the motion, and nothing else is kept"
    assert basis @ basis.T == pytest.approx(np.eye(2), abs=1e-5)
    squared_mm = 1e6 * (motion**2).sum(axis=-1).mean(axis=1)
    assert (metrics.coefficients(motion, basis) ** 2).sum(axis=1) == pytest.approx(squared_mm, rel=1e-3)
    assert np.isnan(metrics.fd(motion[:1, 0], motion[:1, 0])), "one frame has no spread"


def test_frechet_distance_of_known_gaussians() -> None:
    random = np.random.default_rng(1)
    a = random.normal(0.0, 1.0, (40_000, 3))
    assert metrics.fd(a, a) == pytest.approx(0.0, abs=1e-9)
    assert metrics.fd(a, a + 2.0) == pytest.approx(12.0, abs=1e-6)
    # Independent axes: sum of (s1 - s2)^2.
    assert metrics.fd(a, 3.0 * a) == pytest.approx(12.0, rel=0.05)


def test_mouth_opening_and_corners_are_distances_of_the_landmarks() -> None:
    face = made_head().face
    offsets = np.zeros((2, 10, 3))
    offsets[1, LOWER] = (0.0, 0.003, -0.004)
    rest = metrics.rest_opening_mm(face)
    assert rest == pytest.approx(0.2, abs=1e-4)
    assert metrics.mouth_opening_mm(offsets, face) == pytest.approx([0.2, np.hypot(3.0, 4.2)], abs=1e-4)
    assert metrics.corner_distance_mm(offsets, face) == pytest.approx([50.0, 50.0], abs=1e-3)


def test_the_lower_lip_is_found_by_edges() -> None:
    assert set(metrics.lower_lip(made_head().face)) == {LOWER, INNER_A, INNER_B}


def test_teeth_distance_is_the_nearest_pair() -> None:
    head = made_head()
    offsets = np.zeros((2, 10, 3))
    offsets[1, INNER_A] = head.face.vertices[TOOTH_A] - head.face.vertices[INNER_A] + (0.0, -0.001, 0.0)
    assert metrics.teeth_distance_mm(offsets, head.face) == pytest.approx([np.hypot(4.0, 2.0), 1.0], abs=1e-3)


def test_teeth_distance_in_blocks_is_that_of_single_frames() -> None:
    random = np.random.default_rng(4)
    count = 40
    vertices = random.normal(0.0, 0.02, (count, 3)).astype(np.float32)
    lip, teeth = np.arange(0, 15), np.arange(20, 38, dtype=np.int32)
    face = FaceMesh(
        vertices, np.zeros((0, 3), np.int32), np.array([0, 1]), np.zeros(0, np.int32), {"upper_teeth": teeth}
    )
    offsets = random.normal(0.0, 0.01, (metrics.TEETH_BLOCK + 7, count, 3))
    plain = [
        1000.0 * min(np.linalg.norm(frame[a] - frame[b]) for a in lip for b in teeth)
        for frame in offsets + vertices
    ]
    assert metrics.teeth_distance_mm(offsets, face, lip) == pytest.approx(plain, abs=1e-6)


def test_a_face_without_landmarks_has_no_opening_and_no_phone_is_judged() -> None:
    full = made_head().face
    none = np.zeros(0, np.int32)
    face = FaceMesh(full.vertices, full.triangles, none, none)
    offsets = np.zeros((4, full.vertex_count, 3))
    opening = metrics.mouth_opening_mm(offsets, face)
    assert opening.shape == (4,)
    assert np.isnan(opening).all()
    assert np.isnan(metrics.corner_distance_mm(offsets, face)).all()
    assert np.isnan(metrics.rest_opening_mm(face))
    assert np.isnan(metrics.teeth_distance_mm(offsets, face)).all()
    assert len(metrics.lower_lip(face)) == 0
    phones = (Phone("b", 0.0, 0.05), Phone("aa", 0.05, 0.1), Phone("f", 0.1, 0.14))
    assert metrics.bilabial_closures(opening, 0.0, phones, FPS) == []
    assert metrics.false_closures(opening, 0.0, phones, FPS) == []
    assert metrics.labiodental_contacts(opening, phones, FPS) == []
    assert np.isnan(metrics.opening_r(opening, opening))
    assert np.isnan(mtm_ms(opening, opening, FPS))


def test_swap_margin_is_the_mean_of_the_clips_margins() -> None:
    assert metrics.swap_margin_r([0.9, 0.7, np.nan], [0.1, 0.5, 0.3]) == pytest.approx(0.5)
    assert np.isnan(metrics.swap_margin_r([0.9], [np.nan]))


def test_closure_looks_one_frame_around_and_false_closure_does_not() -> None:
    phones = (Phone("aa", 0.0, 0.1), Phone("m", 0.1, 0.2), Phone("eh", 0.2, 0.3))
    opening = np.array([5.0, 5.0, 1.3, 5.0, 5.0, 5.0, 1.0, 0.9, 0.5])
    # m owns frames 3 to 5, all open; frame 6 is one after it and just closed enough.
    assert metrics.bilabial_closures(opening, 0.0, phones, FPS) == [True]
    assert metrics.bilabial_closures(opening + 0.01, 0.0, phones, FPS) == [False]
    assert metrics.false_closures(opening, 0.0, phones, FPS) == [False, True]
    assert metrics.bilabial_closures(opening + 0.4, 0.4, phones, FPS) == [True]


def test_labiodental_contact_within_two_millimetres() -> None:
    phones = (Phone("f", 0.0, 0.1), Phone("v", 0.2, 0.3))
    distance = np.array([5.0, 2.0, 5.0, 5.0, 5.0, 5.0, 2.1, 2.1, 2.1])
    assert metrics.labiodental_contacts(distance, phones, FPS) == [True, False]


def test_stillness_counts_long_silences_only() -> None:
    phones = (Phone("pau", 0.0, 0.2), Phone("aa", 0.2, 0.4), Phone("pau", 0.4, 0.8))
    silent = metrics.silent_frames(phones, FPS, 24)
    assert silent.tolist() == [False] * 12 + [True] * 12


def test_lip_speed_is_per_second() -> None:
    offsets = np.zeros((3, 4, 3))
    offsets[1:, :, 2] = 0.001
    assert metrics.lip_speed_mm_s(offsets, np.arange(4), FPS) == pytest.approx([0.0, 30.0, 0.0])


def test_correlations_and_differences_of_curves() -> None:
    curve = np.sin(np.arange(60) / 5.0)
    assert metrics.opening_r(curve, 3.0 * curve + 1.0) == pytest.approx(1.0)
    assert metrics.rounding_r(curve, -curve) == pytest.approx(-1.0)
    assert np.isnan(metrics.opening_r(curve, np.zeros(60)))
    assert metrics.mod_mm(curve, np.append(curve + 0.5, [9.0, 9.0])) == pytest.approx(0.5)


def test_misalignment_finds_a_delay() -> None:
    time_s = np.arange(150) / FPS
    curve = np.sin(2 * np.pi * 2.1 * time_s) + 0.5 * np.sin(2 * np.pi * 3.3 * time_s)
    late = np.interp(time_s - 0.1, time_s, curve)
    assert mtm_ms(curve, curve, FPS) == 0.0
    assert mtm_ms(curve, late, FPS) == pytest.approx(100.0, abs=15.0)


@pytest.mark.parametrize("band", [1, 3, 30])
def test_the_warping_path_is_the_cheapest_of_the_whole_table(band: int) -> None:
    random = np.random.default_rng(band)
    for _ in range(5):
        # whole numbers: ties are frequent, but their cost is exact
        a, b = random.integers(0, 4, (2, 20)).astype(float)
        path = warping_path(a, b, band)
        assert path[0] == (19, 19)
        assert path[-1] == (0, 0)
        steps = {(i - k, j - m) for (i, j), (k, m) in pairwise(path)}
        assert steps <= {(1, 1), (1, 0), (0, 1)}
        assert all(abs(i - j) <= band for i, j in path)
        assert sum((a[i] - b[j]) ** 2 for i, j in path) == plain_warping_cost(a, b, band)


def plain_warping_cost(a: Array, b: Array, band: int) -> float:
    """Dynamic time warping as the textbook writes it."""
    n = len(a)
    total = np.full((n + 1, n + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(max(1, i - band), min(n, i + band) + 1):
            before = min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
            total[i, j] = (a[i - 1] - b[j - 1]) ** 2 + before
    return float(total[n, n])


def test_loudness_correlation_follows_the_sound() -> None:
    level = np.repeat([0.0, 0.2, 0.05, 0.3, 0.0], 8)
    sound = np.repeat(level, 16000 // 30 + 1)[: int(40 * 16000 / 30)]
    waveform = Waveform((sound * np.sign(np.sin(np.arange(len(sound))))).astype(np.float32), 16000)
    assert slcc(level * 30.0, waveform, FPS) > 0.95
    assert slcc(-level, waveform, FPS) < -0.95


def test_codebook_use() -> None:
    assert metrics.codebook_perplexity(np.arange(8), 16) == pytest.approx(8.0)
    assert metrics.dead_codes(np.array([[0, 1], [1, 1]]), 16) == 14
