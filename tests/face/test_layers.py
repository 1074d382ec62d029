"""Blinks, head and gaze: as often as people do, where they do, at any frame rate, and at rest around."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.contracts import LOUDNESS_HZ, FloatArray, ShapeWeights
from codetalker_blender.face import layers
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.face.blinks import SHORTEST_INTERVAL_S, Blinks, lid_closure, own_blinks, plan_blinks
from codetalker_blender.face.compact import Basis
from codetalker_blender.face.gaze import (
    LARGEST_DEG,
    LOOK_SHAPES,
    Gaze,
    eye_angles,
    look_weights,
    wanted_angles,
)
from codetalker_blender.face.head_motion import LARGEST_DEG as LARGEST_TURN_DEG
from codetalker_blender.face.head_motion import HeadMotion, head_angles, rotations
from codetalker_blender.face.layers import Layers, beside, closure_of, joined, lay
from codetalker_blender.face.rhythm import Rhythm, rhythm_of

Floats = NDArray[np.float64]
TEN_MINUTES = 600.0


def made_speech(duration_s: float, seed: int = 0) -> tuple[FloatArray, Floats]:
    """Loudness of phrases of 1 to 4 s between pauses of 0.25 to 0.9 s with room noise, and those pauses."""
    random = np.random.default_rng(seed)
    count = round(duration_s * LOUDNESS_HZ)
    times = np.arange(count) / LOUDNESS_HZ
    loudness = 0.1 * (0.55 + 0.45 * np.sin(2 * np.pi * 4.0 * times)) * random.uniform(0.7, 1.3, count)
    pauses, time_s = [], float(random.uniform(1.0, 4.0))
    while time_s < duration_s:
        length_s = float(random.uniform(0.25, 0.9))
        pauses.append((time_s, min(time_s + length_s, duration_s)))
        time_s += length_s + float(random.uniform(1.0, 4.0))
    for first, last in pauses:
        within = (times >= first) & (times < last)
        loudness[within] = 0.0008 * random.uniform(0.7, 1.3, int(within.sum()))
    return loudness.astype(np.float32), np.array(pauses)


@pytest.fixture(scope="module")
def rhythm() -> Rhythm:
    return rhythm_of(made_speech(TEN_MINUTES)[0], TEN_MINUTES)


def share_in(pauses: Floats, times_s: Floats) -> float:
    return float(np.mean([((pauses[:, 0] <= t) & (t < pauses[:, 1])).any() for t in times_s]))


def power_above(signal: Floats, fps: float, limit_hz: float) -> float:
    """The share of a signal's power that lies above a frequency."""
    spectrum = np.abs(np.fft.rfft(signal * np.hanning(len(signal)))) ** 2
    return float(spectrum[np.fft.rfftfreq(len(signal), 1 / fps) > limit_hz].sum() / spectrum[1:].sum())


def test_pauses_are_found_where_they_are() -> None:
    loudness, pauses = made_speech(60.0)
    found = rhythm_of(loudness, 60.0).pauses
    assert len(found) == len(pauses)
    assert np.abs(found - pauses).max() <= 1.5 / LOUDNESS_HZ


@pytest.mark.parametrize("factor", [0.01, 1.0, 8.0])
def test_a_softer_recording_has_the_same_pauses(factor: float) -> None:
    loudness, pauses = made_speech(60.0)
    assert len(rhythm_of(loudness * np.float32(factor), 60.0).pauses) == len(pauses)


def test_speech_without_a_pause_and_silence() -> None:
    hum = np.full(500, 0.1, np.float32)
    assert len(rhythm_of(hum, 10.0).pauses) == 0
    silence = rhythm_of(np.zeros(500, np.float32), 10.0)
    np.testing.assert_allclose(silence.pauses, [[0.0, 10.0]])
    assert not silence.energy.any()


@pytest.mark.parametrize("per_minute", [12.0, 22.0, 26.0])
def test_blinks_come_as_often_as_they_should(rhythm: Rhythm, per_minute: float) -> None:
    counts = [len(plan_blinks(rhythm, Blinks(per_minute, seed=seed))) / 10 for seed in range(8)]
    assert np.mean(counts) == pytest.approx(per_minute, rel=0.08)
    assert min(counts) > 0.75 * per_minute and max(counts) < 1.25 * per_minute


def test_the_default_is_a_speakers_rate(rhythm: Rhythm) -> None:
    assert 20 <= len(plan_blinks(rhythm, Blinks())) / 10 <= 26


def test_blinks_prefer_pauses(rhythm: Rhythm) -> None:
    time_share = float((rhythm.pauses[:, 1] - rhythm.pauses[:, 0]).sum()) / TEN_MINUTES
    begins = np.concatenate([plan_blinks(rhythm, Blinks(seed=seed))[:, 0] for seed in range(4)])
    assert share_in(rhythm.pauses, begins) >= 2 * time_share


def test_a_long_silence_does_not_make_them_frequent() -> None:
    pauses = np.array([[60.0, TEN_MINUTES]])
    found = plan_blinks(Rhythm(TEN_MINUTES, pauses, np.zeros(1)), Blinks())
    assert 15 <= (found[:, 0] > 60).sum() / 9 <= 29


@pytest.mark.parametrize("per_minute", [22.0, 60.0])
def test_no_two_blinks_come_close(rhythm: Rhythm, per_minute: float) -> None:
    plan = plan_blinks(rhythm, Blinks(per_minute))
    assert np.diff(plan[:, 0]).min() >= SHORTEST_INTERVAL_S - 1e-9
    assert (plan[1:, 0] > plan[:-1, 3]).all()
    phases = np.diff(plan, axis=1)
    assert (phases[:, 0] >= 0.075).all() and (phases[:, 0] <= 0.100).all()
    assert (phases[:, 2] >= 0.150).all() and (phases[:, 2] <= 0.250).all()
    total = plan[:, 3] - plan[:, 0]
    assert total.min() >= 0.25 and total.max() <= 0.40 + 1e-9
    assert plan[0, 0] >= 0 and plan[-1, 3] <= TEN_MINUTES


def test_intervals_spread_like_log_normal_ones() -> None:
    """Their logarithms lean to neither side, and spread as wide as stated."""
    quiet = Rhythm(6 * TEN_MINUTES, np.zeros((0, 2)), np.zeros(1))
    intervals = np.log(np.diff(plan_blinks(quiet, Blinks(12.0))[:, 0]))
    assert intervals.std() == pytest.approx(0.55, rel=0.1)
    assert abs(((intervals - intervals.mean()) ** 3).mean() / intervals.std() ** 3) < 0.3


def test_a_seed_repeats_itself_and_another_differs(rhythm: Rhythm) -> None:
    one, again, other = (plan_blinks(rhythm, Blinks(seed=seed)) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert share_in(np.stack([one[:, 0] - 0.05, one[:, 0] + 0.05], axis=1), other[:, 0]) < 0.5


def test_blinks_of_the_motion_stand_for_ours(rhythm: Rhythm) -> None:
    own = np.arange(2.0, TEN_MINUTES, 6.0)  # ten a minute
    plan = plan_blinks(rhythm, Blinks(), own)
    apart = np.abs(plan[:, :1] - own[None]).min(axis=1)
    assert apart.min() >= SHORTEST_INTERVAL_S - 1e-9
    assert 18 <= (len(plan) + len(own)) / 10 <= 28


def test_lids_shut_at_every_usual_frame_rate(rhythm: Rhythm) -> None:
    plan = plan_blinks(rhythm, Blinks())
    for fps in (24.0, 25.0, 29.97, 60.0):
        times = np.arange(round(TEN_MINUTES * fps)) / fps
        closure = lid_closure(plan, times)
        assert closure.min() == 0.0 and closure.max() <= 1.0
        for begin, _, _, over in plan:
            assert closure[(times >= begin) & (times <= over)].max() > 0.999
        assert len(own_blinks(closure, fps)) == len(plan)


def test_head_stays_within_its_angles_and_its_band(rhythm: Rhythm) -> None:
    fps = 60.0
    times = np.arange(round(TEN_MINUTES * fps)) / fps
    angles = head_angles(rhythm, HeadMotion(), times)
    assert (np.abs(angles).max(axis=0) <= LARGEST_TURN_DEG).all()
    assert (angles.std(axis=0) > 0.2).all() and np.abs(angles).max() > 1.5
    for column in angles.T:
        assert power_above(column, fps, 2.0) < 1e-3
    np.testing.assert_allclose(head_angles(rhythm, HeadMotion(0.5), times), 0.5 * angles)
    assert not np.allclose(head_angles(rhythm, HeadMotion(seed=1), times), angles)


def test_head_follows_the_voice_and_rests_in_silence() -> None:
    loudness = made_speech(60.0)[0]
    loudness[1000:2000] = 0.0  # from 20 s to 40 s
    rhythm = rhythm_of(loudness, 60.0)
    times = np.arange(0.0, 60.0, 0.02)
    turn = np.abs(head_angles(rhythm, HeadMotion(), times)).sum(axis=1)
    assert not turn[(times > 26.5) & (times < 33.5)].any()
    # the same swings in a voice that is softer from 40 s on
    softer = Rhythm(60.0, rhythm.pauses, np.where(np.arange(3000) < 2000, rhythm.energy, 0.3 * rhythm.energy))
    late = times > 44
    assert np.abs(head_angles(softer, HeadMotion(), times)).sum(axis=1)[late].mean() < 0.5 * turn[late].mean()


@pytest.mark.parametrize("duration_s", [0.1, 0.5, 3.0, 30.0])
def test_everything_starts_and_ends_at_rest(duration_s: float) -> None:
    everything = Layers(Blinks(60.0), HeadMotion(), Gaze(flicks=2.0))
    for fps in (15.0, 24.0, 60.0):
        count = max(1, round(duration_s * fps))
        laid = lay(everything, made_speech(duration_s)[0], np.zeros(count), fps)
        assert laid.weights.values.shape == (count, len(layers.SHAPES)) and laid.head is not None
        for end in (0, -1):
            assert np.abs(laid.weights.values[end]).max() < 1e-6
            np.testing.assert_allclose(laid.head[end], np.eye(3), atol=1e-9)


def test_frame_rate_changes_nothing_but_the_frames() -> None:
    """At the same instants the same happens."""
    everything, loudness = Layers(Blinks(), HeadMotion(), Gaze()), made_speech(20.0)[0]
    coarse = lay(everything, loudness, np.zeros(20 * 24), 24.0)
    fine = lay(everything, loudness, np.zeros(20 * 48), 48.0)
    np.testing.assert_allclose(fine.weights.values[::2], coarse.weights.values, atol=1e-6)
    assert fine.head is not None and coarse.head is not None
    np.testing.assert_allclose(fine.head[::2], coarse.head, atol=1e-9)


def test_without_loudness_blinks_come_by_chance_and_the_head_rests() -> None:
    laid = lay(Layers(Blinks(), HeadMotion()), np.zeros(0, np.float32), np.zeros(60 * 24), 24.0)
    blinks = own_blinks(laid.weights.of("eyeBlinkLeft").astype(np.float64), 24.0)
    assert 12 <= len(blinks) <= 32
    assert laid.head is not None
    np.testing.assert_array_equal(laid.head, np.tile(np.eye(3), (60 * 24, 1, 1)))


def eye_turn(weights: ShapeWeights, side: str) -> Floats:
    """(T, 3, 3) how the look shapes turn the demo head's eyeball: the best rotation of its vertices."""
    face, shapes = demo_head_face(), demo_head_shapes().chosen(LOOK_SHAPES)
    eyes = face.regions["eyes"]
    eye = eyes[face.vertices[eyes, 0] > 0] if side == "Left" else eyes[face.vertices[eyes, 0] < 0]
    rest = face.vertices[eye].astype(np.float64)
    columns = np.stack([weights.of(name) for name in LOOK_SHAPES], axis=1)
    moved = rest + np.einsum("ts,svc->tvc", columns, shapes.offsets[:, eye].astype(np.float64))
    rest = rest - rest.mean(axis=0)
    moved -= moved.mean(axis=1, keepdims=True)
    left, _, right = np.linalg.svd(np.einsum("vi,tvj->tij", rest, moved))
    turn = np.swapaxes(right, 1, 2) @ np.swapaxes(left, 1, 2)
    assert (np.linalg.det(turn) > 0).all()
    return np.asarray(turn)


@pytest.mark.parametrize("side", ["Left", "Right"])
def test_eyes_hold_whom_they_looked_at(side: str) -> None:
    """Measured on the eyeballs of the demo head, which turn with the head and against it."""
    laid = lay(Layers(head=HeadMotion(1.5), gaze=Gaze(flicks=0.0)), made_speech(30.0)[0], np.zeros(720), 24.0)
    assert laid.head is not None
    ahead = np.array([0.0, -1.0, 0.0])
    alone = np.degrees(np.arccos(np.clip(laid.head @ ahead @ ahead, -1, 1)))
    looks = np.einsum("tij,tjk,k->ti", laid.head, eye_turn(laid.weights, side), ahead)
    held = np.degrees(np.arccos(np.clip(looks @ ahead, -1, 1)))
    assert alone.max() > 2.0
    assert held.max() < 0.1


def test_eyes_stay_in_their_range_and_flick_a_little() -> None:
    times = np.arange(0.0, 60.0, 1 / 60)
    turns = np.zeros((3600, 3))
    turns[:1800, 0], turns[1800:, 1] = 40.0, -50.0
    angles = eye_angles(wanted_angles(rotations(turns), Gaze()), Gaze(), times, 60.0)
    np.testing.assert_allclose(np.abs(angles).max(axis=(0, 1)), LARGEST_DEG)
    assert (np.linalg.norm(angles / LARGEST_DEG, axis=-1) <= 1 + 1e-9).all()
    assert all((column >= 0).all() and column.max() <= 1 + 1e-9 for column in look_weights(angles).values())
    still = np.zeros((3600, 2, 2))
    flicks = eye_angles(still, Gaze(flicks=1.0), times, 60.0)
    steps = np.abs(np.diff(flicks, axis=0)).max(axis=(1, 2))
    assert 0.3 < flicks[:, 0, 0].std() < 2.0 and np.abs(flicks).max() < 6.0
    assert (steps == 0).mean() > 0.8  # they fixate, then jump
    assert not eye_angles(still, Gaze(flicks=0.0), times, 60.0).any()
    assert not np.array_equal(flicks, eye_angles(still, Gaze(flicks=1.0, seed=1), times, 60.0))


def test_a_blink_is_not_doubled() -> None:
    own = ShapeWeights(
        ("jawOpen", "eyeBlinkLeft"), np.array([[0.5, 0.0], [0.5, 0.7], [0.5, 1.0]], np.float32), 24.0
    )
    laid = ShapeWeights(
        ("eyeBlinkLeft", "eyeLookUpLeft"), np.array([[0.4, 0.1], [0.9, 0.1], [0.9, 0.1]], np.float32), 24.0
    )
    both = joined(own, laid)
    np.testing.assert_allclose(both.of("eyeBlinkLeft"), [0.4, 0.9, 1.0])
    np.testing.assert_allclose(both.of("eyeLookUpLeft"), 0.1)
    np.testing.assert_array_equal(both.of("jawOpen"), own.of("jawOpen"))
    np.testing.assert_allclose(
        beside(laid, np.array([0.0, 0.7, 1.0])).values, [[0.4, 0.1], [0.2, 0.1], [0.0, 0.1]], atol=1e-6
    )


def test_closure_of_a_motion_is_what_its_lids_show() -> None:
    shapes = demo_head_shapes()
    lids = (0.5 - 0.5 * np.cos(np.linspace(0, 12, 60))).astype(np.float32)
    jaw = np.sin(np.arange(60) * 0.7).astype(np.float32) ** 2
    used = shapes.chosen(("eyeBlinkLeft", "eyeBlinkRight", "jawOpen"))
    basis = Basis(np.stack([lids, lids, jaw], axis=1), used.offsets)
    np.testing.assert_allclose(closure_of(basis, shapes), lids, atol=0.02)
