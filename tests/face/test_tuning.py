"""The sliders: each does what it says to its region, nothing elsewhere, and nothing at its default."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender import resources
from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.face.compact import Basis, factorise
from codetalker_blender.face.tuning import CLOSURE_REACH_M, Regions, Tuning, shut, smooth, soft_regions, tune
from codetalker_blender.model_files import read_face_file

FPS = 30.0


@pytest.fixture(scope="module")
def face() -> FaceMesh:
    return read_face_file(resources.default_model() / "face.npz")


@pytest.fixture(scope="module")
def regions(face: FaceMesh) -> Regions:
    return soft_regions(face, 1.0)


@pytest.fixture(scope="module")
def speech(face: FaceMesh) -> Basis:
    """Four seconds of a jaw that opens and shuts, lips that press together at times, brows and noise."""
    time_s = np.arange(120) / FPS
    opening = 0.004 * (1 + np.sin(2 * np.pi * 1.3 * time_s)) - 0.0006
    offsets = 1e-4 * np.random.default_rng(0).standard_normal((120, face.vertex_count, 3))
    below = face.vertices[:, 2] < face.vertices[face.mid_lips].mean(axis=0)[2]
    offsets[:, below, 2] -= opening[:, None]
    offsets[:, face.regions["upper_face"], 2] += 0.002 * np.sin(7 * time_s)[:, None]
    return factorise(offsets.astype(np.float32), 1e-6).basis


def tuned(basis: Basis, regions: Regions, tuning: Tuning) -> FloatArray:
    return tune(basis, regions, FPS, tuning).basis.offsets()


def test_defaults_change_nothing(speech: Basis, regions: Regions) -> None:
    found = tune(speech, regions, FPS, Tuning())
    assert found.basis is speech
    assert found.late_frames == 0


def test_regions_share_every_vertex_out(face: FaceMesh, regions: Regions) -> None:
    assert regions.names == ("mouth", "jaw", "upper_face", "eyelids")
    total = regions.weights.sum(axis=0)
    assert regions.weights.min() >= 0 and total.max() <= 1 + 1e-6
    for name, seed in zip(regions.names, ("lips", "jaw", "upper_face", "eyelids"), strict=True):
        assert regions.weights[regions.names.index(name), face.regions[seed]].min() > 0.99
    # The lower teeth go with the jaw; the upper ones and the eyes answer to no slider.
    assert (regions.weights[regions.names.index("jaw"), face.regions["lower_teeth"]] == 1).all()
    for part in ("upper_teeth", "eyes"):
        assert not regions.weights[:, face.regions[part]].any()
    assert total[face.vertices[:, 1] > 0.08].max() < 0.3, "the back of the head belongs to no slider"


def test_borders_are_soft(face: FaceMesh, regions: Regions) -> None:
    """Along no edge of the skin does a region begin all at once, which would tear the face."""
    edges = np.concatenate([face.triangles[:, [0, 1]], face.triangles[:, [1, 2]]])
    rigid = np.concatenate([face.regions[part] for part in ("lower_teeth", "upper_teeth", "eyes")])
    edges = edges[~np.isin(edges, rigid).any(axis=1)]
    step = np.abs(regions.weights[:, edges[:, 0]] - regions.weights[:, edges[:, 1]]).max(axis=0)
    length = np.linalg.norm(face.vertices[edges[:, 0]] - face.vertices[edges[:, 1]], axis=1)
    assert (step / np.maximum(length, 0.001)).max() < 1 / 0.003, "a region fades within less than 3 mm"
    assert ((regions.weights > 0.1) & (regions.weights < 0.9)).any(axis=0).sum() > 300


def test_a_template_in_other_units_has_the_same_regions(face: FaceMesh, regions: Regions) -> None:
    scaled = soft_regions(replace(face, vertices=face.vertices * 5.0), 5.0)
    np.testing.assert_allclose(scaled.weights, regions.weights, atol=1e-4)


@pytest.mark.parametrize("region", ["mouth", "jaw", "upper_face", "eyelids"])
@pytest.mark.parametrize("factor", [0.0, 0.5, 1.7])
def test_strength_scales_its_region_alone(
    face: FaceMesh, regions: Regions, speech: Basis, region: str, factor: float
) -> None:
    before, after = speech.offsets(), tuned(speech, regions, Tuning(strength={region: factor}))
    share = regions.weights[regions.names.index(region)]
    np.testing.assert_allclose(after[:, share > 0.999], factor * before[:, share > 0.999], atol=2e-5)
    np.testing.assert_allclose(after[:, share < 1e-4], before[:, share < 1e-4], atol=2e-6)
    # And in between, in between.
    middle = int(np.abs(share - 0.5).argmin())
    expected = (1 + share[middle] * (factor - 1)) * before[:, middle]
    np.testing.assert_allclose(after[:, middle], expected, atol=2e-6)


def test_smoothing_calms_its_region_alone(face: FaceMesh, regions: Regions, speech: Basis) -> None:
    before, after = speech.offsets(), tuned(speech, regions, Tuning(smoothing_s={"upper_face": 0.1}))
    jitter = np.abs(np.diff(before, n=2, axis=0)).mean(axis=(0, 2))
    calmed = np.abs(np.diff(after, n=2, axis=0)).mean(axis=(0, 2))
    assert (calmed[face.regions["upper_face"]] < 0.2 * jitter[face.regions["upper_face"]]).all()
    np.testing.assert_allclose(after[:, face.regions["lips"]], before[:, face.regions["lips"]], atol=2e-5)


def test_smoothing_moves_nothing_in_time() -> None:
    bump = np.exp(-0.5 * ((np.arange(81) - 40) / 3.0) ** 2).astype(np.float32)[:, None]
    found = smooth(bump, 4.0)
    assert found.argmax() == 40
    np.testing.assert_allclose(found, found[::-1], atol=1e-7)
    # Gaussians convolve to a Gaussian: sqrt(3² + 4²) = 5.
    np.testing.assert_allclose(found[:, 0], 0.6 * np.exp(-0.5 * ((np.arange(81) - 40) / 5.0) ** 2), atol=2e-4)


def test_smoothing_keeps_what_is_constant_and_ends_where_it_ended() -> None:
    np.testing.assert_allclose(smooth(np.full((20, 3), 0.7, np.float32), 5.0), 0.7, atol=1e-6)
    ramp = np.linspace(0, 1, 60, dtype=np.float32)[:, None]
    np.testing.assert_allclose(smooth(ramp, 2.0)[10:-10], ramp[10:-10], atol=1e-6)


def mid_lip_gap(offsets: FloatArray, face: FaceMesh) -> NDArray[np.float64]:
    """Per frame how far the mid-lips are apart along the way on which they open; 0 as at rest."""
    upper, lower = face.mid_lips
    apart = (offsets[:, upper] - offsets[:, lower]).astype(np.float64)
    way = apart.mean(axis=0)
    return np.asarray(apart @ (way / np.linalg.norm(way)))


@pytest.mark.parametrize("closure", [0.3, 1.0])
def test_closure_shuts_what_is_nearly_shut_and_no_more(
    face: FaceMesh, regions: Regions, speech: Basis, closure: float
) -> None:
    before = mid_lip_gap(speech.offsets(), face)
    after = mid_lip_gap(tuned(speech, regions, Tuning(closure=closure)), face)
    wide, pressed = before > CLOSURE_REACH_M, before < 0
    near = (before > 0.0003) & (before < 0.3 * CLOSURE_REACH_M)
    assert wide.sum() > 10 and pressed.sum() > 3 and near.sum() > 3, (
        "the speech lacks what this test is about"
    )
    np.testing.assert_allclose(after[wide], before[wide], atol=2e-6)
    np.testing.assert_allclose(after[pressed], before[pressed], atol=2e-6)
    assert (after[near] < (1 - 0.8 * closure) * before[near]).all()
    assert (after >= np.minimum(before, 0) - 2e-6).all(), "the lips go through each other"


def test_closure_leaves_the_upper_face_alone(face: FaceMesh, regions: Regions, speech: Basis) -> None:
    before, after = speech.offsets(), tuned(speech, regions, Tuning(closure=1.0))
    for part in ("upper_face", "eyelids", "upper_teeth", "eyes"):
        index = face.regions[part]
        np.testing.assert_allclose(after[:, index], before[:, index], atol=2e-6)
    assert np.abs(after - before)[:, face.regions["lower_teeth"]].max() > 1e-4, "the jaw does not come along"


def test_closure_follows_strength(face: FaceMesh, regions: Regions, speech: Basis) -> None:
    """What shuts is the mouth as it is shown, not as it was generated."""
    half = {"mouth": 0.5, "jaw": 0.5}
    before = mid_lip_gap(tuned(speech, regions, Tuning(strength=half)), face)
    after = mid_lip_gap(tuned(speech, regions, Tuning(strength=half, closure=1.0)), face)
    expected = shut(before, 1.0)
    np.testing.assert_allclose(after, expected, atol=5e-6)


def test_gaps_keep_their_order() -> None:
    gaps = np.linspace(-0.002, 0.006, 400)
    for closure in (0.2, 0.7, 1.0):
        found = shut(gaps, closure)
        assert (np.diff(found) >= 0).all()
        assert (found <= gaps + 1e-12).all()


def test_time_offset_is_in_seconds(speech: Basis, regions: Regions) -> None:
    assert tune(speech, regions, 24.0, Tuning(offset_s=0.5)).late_frames == 12.0
    assert tune(speech, regions, 30.0, Tuning(offset_s=-0.1)).late_frames == -3.0
    assert tune(speech, regions, 25.0, Tuning(offset_s=0.05)).late_frames == 1.25


@pytest.mark.parametrize("lacking", ["regions", "mid_lips"])
def test_a_face_without_regions_or_landmarks_stays_whole(face: FaceMesh, speech: Basis, lacking: str) -> None:
    bare = (
        replace(face, regions={}) if lacking == "regions" else replace(face, mid_lips=np.zeros(0, np.int32))
    )
    regions = soft_regions(bare, 1.0)
    if lacking == "regions":
        assert regions.names == ()
        before = mid_lip_gap(speech.offsets(), face)
        after = mid_lip_gap(tuned(speech, regions, Tuning({"mouth": 0.0}, closure=1.0)), face)
        np.testing.assert_allclose(after, shut(before, 1.0), atol=5e-6)
    else:
        assert tune(speech, regions, FPS, Tuning(closure=1.0)).basis is speech


def test_a_face_with_lips_alone_has_the_mouth_alone(face: FaceMesh) -> None:
    regions = soft_regions(replace(face, regions={"lips": face.regions["lips"]}), 1.0)
    assert regions.names == ("mouth",)
    assert regions.weights[0, face.regions["lips"]].min() > 0.99
    assert regions.weights[0, face.regions["upper_face"]].max() < 0.2
