"""The made speaker keeps its promises, on the shipped head and on a head it has never seen."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import Waveform
from codetalker_blender.errors import UserError
from training import metrics
from training.articulation import OPEN_VOWEL_MM, SIBILANT_JAW_MM, Articulator
from training.articulation_head import Floats, Head, check_head, read_head
from training.articulation_holds import Holds
from training.articulation_targets import DIPHTHONGS, STYLES, TARGETS, Style
from training.articulation_upper import BLINK_CLOSE_S, BLINK_OPEN_S, upper_face
from training.datasets.clip import Phone
from training.datasets.phones import BILABIALS, LABIODENTALS, OPEN_VOWELS, PHONES, SIBILANTS, VOWELS

from .made_head import made_head

SHIPPED_HEAD = Path(__file__).resolve().parents[2] / "assets" / "head"
FPS = 30.0
#: Hard cases: one-frame vowels between bilabials, f and v next to open vowels, sibilants, rounding.
SENTENCES = (
    "pau:0.4 p:0.07 aa:0.035 p:0.07 ae:0.034 b:0.06 ah:0.05 m:0.03 ao:0.12 b:0.02 ow:0.15 m:0.08 pau:0.5",
    "f:0.08 ah:0.035 v:0.06 eh:0.034 f:0.09 aa:0.2 v:0.07 ow:0.05 f:0.06 m:0.05 v:0.05 ae:0.04 pau:0.2",
    "pau:0.1 s:0.12 aa:0.2 z:0.1 ay:0.2 sh:0.12 ao:0.15 ch:0.1 uw:0.2 jh:0.08 iy:0.2 zh:0.1 aw:0.2 pau:0.05",
    "hh:0.05 eh:0.06 l:0.07 ow:0.2 w:0.09 er:0.15 l:0.08 d:0.06 pau:0.16 th:0.1 ih:0.07 ng:0.1 k:0.08 oy:0.2",
)


def spoken(text: str) -> tuple[Phone, ...]:
    phones, start = [], 0.0
    for item in text.split():
        label, _, duration = item.partition(":")
        phones.append(Phone(label, start, start + float(duration)))
        start += float(duration)
    return tuple(phones)


def tone(duration_s: float) -> Waveform:
    time_s = np.arange(int(duration_s * 16000)) / 16000
    return Waveform((0.1 * np.sin(2 * np.pi * 200 * time_s)).astype(np.float32), 16000)


@pytest.fixture(scope="module", params=["shipped", "made", "made small"])
def articulator(request: pytest.FixtureRequest) -> Articulator:
    if request.param == "shipped":
        return Articulator(read_head(SHIPPED_HEAD))
    return Articulator(made_head(1.4 if request.param == "made" else 1.0))


def animated(articulator: Articulator, text: str, style: Style = STYLES[0], seed: int = 0) -> Floats:
    phones = spoken(text)
    weights = articulator.animate(phones, tone(phones[-1].end_s), FPS, style, np.random.default_rng(seed))
    return weights.astype(np.float64)


def opening_mm(articulator: Articulator, weights: Floats) -> Floats:
    """Through the head's own vertices, not through the solver's measures."""
    head = articulator.head
    offsets = np.tensordot(weights, head.deltas.astype(np.float64), 1)
    return metrics.mouth_opening_mm(offsets, head.face) - metrics.rest_opening_mm(head.face)


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
@pytest.mark.parametrize("text", SENTENCES)
def test_bilabials_close_and_open_vowels_open(articulator: Articulator, text: str, style: Style) -> None:
    opening = opening_mm(articulator, animated(articulator, text, style))
    phones = spoken(text)
    assert all(metrics.bilabial_closures(opening, 0.0, phones, FPS))
    for phone in phones:
        own = metrics.phone_frames(phone, FPS, len(opening))
        if phone.label in OPEN_VOWELS and len(own):
            assert opening[own].max() >= 3.0, phone
        if phone.label == "m" and len(own):
            assert opening[own].max() < 0.3, phone


@pytest.mark.parametrize("text", SENTENCES[1:3])
def test_lower_lip_touches_the_teeth_in_f_and_v(articulator: Articulator, text: str) -> None:
    distance, depth = articulator.lips.teeth_distance(animated(articulator, text))
    assert all(metrics.labiodental_contacts(distance, spoken(text), FPS))
    if articulator.head.face.vertex_count > 100:  # the made head's teeth have no surface
        assert depth.max() < 0.1  # in front of the teeth, never through them


def test_f_and_v_stay_at_the_teeth_as_long_as_they_sound(articulator: Articulator) -> None:
    text = "pau:0.3 aa:0.2 f:0.1 ae:0.2 v:0.06 ow:0.2 pau:0.3"
    distance, _ = articulator.lips.teeth_distance(animated(articulator, text))
    for phone in spoken(text):
        if phone.label in LABIODENTALS:
            own = metrics.phone_frames(phone, FPS, len(distance))
            assert len(own) >= 1
            assert distance[own].max() <= 1.0, phone
            around = metrics.phone_frames(phone, FPS, len(distance), 1)
            assert (distance[around] <= 1.0).sum() >= 2, phone


def test_lips_are_shut_before_and_through_a_closure(articulator: Articulator) -> None:
    text = "pau:0.3 aa:0.2 m:0.1 ae:0.2 b:0.02 ow:0.2 p:0.08 iy:0.1 pau:0.3"
    opening = opening_mm(articulator, animated(articulator, text))
    for phone in spoken(text):
        if phone.label in BILABIALS:
            around = metrics.phone_frames(phone, FPS, len(opening), 1)
            assert (np.abs(opening[around]) < 0.3).sum() >= 2, phone
            assert abs(opening[around[0]]) < 0.3, phone


def test_no_hold_takes_a_vowel_s_last_frame() -> None:
    # Every phone owns a single frame.
    labels = "pau p aa p ih b ax f ae v eh m f m".split()
    phones = spoken(" ".join(f"{label}:{1.0 / FPS}" for label in labels))
    frames = round(phones[-1].end_s * FPS)
    holds = Holds(phones, FPS, frames)
    assert not set(holds.closed.tolist()) & set(holds.contact.tolist())
    for phone in phones:
        own = set(metrics.phone_frames(phone, FPS, frames).tolist())
        if phone.label in VOWELS and own:
            assert own - set(holds.closed.tolist()) - set(holds.contact.tolist()), phone
        if phone.label in LABIODENTALS and own:
            assert own & set(holds.contact.tolist()), phone


def test_teeth_are_near_in_sibilants(articulator: Articulator) -> None:
    weights = animated(articulator, SENTENCES[2])
    jaw_mm = weights[:, articulator.head.index("jawOpen")] * articulator.lips.jaw_mm
    for phone in spoken(SENTENCES[2]):
        if phone.label in SIBILANTS:
            own = metrics.phone_frames(phone, FPS, len(jaw_mm))
            assert jaw_mm[own].min() <= SIBILANT_JAW_MM + 0.3, phone


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_the_face_rests_in_silence_and_at_both_ends(articulator: Articulator, style: Style) -> None:
    text = "pau:0.5 aa:0.2 pau:0.16 iy:0.2 pau:0.4 uw:0.2 pau:0.3"
    weights = animated(articulator, text, style)
    opening, width = opening_mm(articulator, weights), articulator.lips.width(weights)
    for phone in spoken(text):
        if phone.label == "pau":
            own = metrics.phone_frames(phone, FPS, len(opening))
            assert np.abs(opening[own]).min() <= 0.3
            assert np.abs(width[own]).min() <= 0.3
    assert abs(opening[0]) < 0.01
    assert abs(opening[-1]) < 0.01


@pytest.mark.parametrize("style", STYLES, ids=lambda style: style.name)
def test_silences_are_still_from_end_to_end(articulator: Articulator, style: Style) -> None:
    """Ramps included: lips settle in the last sound's fade."""
    text = "pau:0.5 hh:0.08 aa:0.2 t:0.08 pau:0.7 m:0.08 iy:0.2 s:0.1 pau:0.6"
    weights, phones = animated(articulator, text, style), spoken(text)
    offsets = np.tensordot(weights, articulator.head.deltas.astype(np.float64), 1)
    silent = metrics.silent_frames(phones, FPS, len(weights))
    speed = metrics.lip_speed_mm_s(offsets, articulator.head.face.regions["lips"], FPS)
    assert opening_mm(articulator, weights)[silent].mean() <= 0.25
    if articulator.head.face.vertex_count > 100:
        assert speed[silent].mean() <= 2.5
        assert speed[~silent].mean() > 10.0


def test_lips_move_no_faster_than_people_do(articulator: Articulator) -> None:
    for text in SENTENCES:
        opening = opening_mm(articulator, animated(articulator, text, STYLES[1]))
        assert np.abs(np.diff(opening)).max() * FPS <= 300.0


def test_rounding_begins_before_the_rounded_vowel(articulator: Articulator) -> None:
    text = "pau:0.3 t:0.1 t:0.1 uw:0.25 pau:0.3"
    width = articulator.lips.width(animated(articulator, text))
    spread = articulator.lips.width(animated(articulator, text.replace("uw", "iy")))
    before = int(0.5 * FPS) - 1  # the last frame of the second t
    assert width[before] < spread[before] - 1.0
    assert width[int(0.62 * FPS)] < -4.0
    assert spread[int(0.62 * FPS)] > 1.0


def test_styles_differ_in_range(articulator: Articulator) -> None:
    calm, neutral, lively = (
        float(opening_mm(articulator, animated(articulator, SENTENCES[3], style)).max())
        for style in (STYLES[2], STYLES[0], STYLES[1])
    )
    assert calm < neutral - 1.0 < lively - 2.0


def test_styles_differ_in_expression(articulator: Articulator) -> None:
    by_name = {style.name: style for style in STYLES}

    def mean(style: str, shape: str) -> float:
        row = articulator.head.index(shape)
        if row is None:
            pytest.skip(f"this head has no {shape}")
        tracks = [animated(articulator, SENTENCES[3], by_name[style], seed)[:, row] for seed in range(8)]
        return float(np.mean(tracks))

    assert mean("stern", "browDownLeft") > mean("neutral", "browDownLeft") + 0.1
    assert mean("cheerful", "mouthSmileLeft") > mean("neutral", "mouthSmileLeft") + 0.1
    assert mean("tired", "eyeBlinkLeft") > mean("neutral", "eyeBlinkLeft") + 0.1
    assert mean("tired", "mouthFrownLeft") > mean("neutral", "mouthFrownLeft") + 0.05


def test_weights_are_valid_and_follow_the_seed(articulator: Articulator) -> None:
    first, again, other = (animated(articulator, SENTENCES[0], STYLES[1], seed) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.min() >= 0.0
    assert first.max() <= 1.0


def test_every_phone_has_a_target() -> None:
    covered = set(TARGETS) | set(DIPHTHONGS)
    assert covered >= PHONES
    assert {part for first, second, _ in DIPHTHONGS.values() for part in (first, second)} <= set(TARGETS)


def test_silence_alone_is_rest(articulator: Articulator) -> None:
    weights = animated(articulator, "pau:1.0")
    assert np.abs(opening_mm(articulator, weights)).max() == pytest.approx(0.0, abs=1e-6)


def test_an_opening_that_cannot_be_reached_comes_as_near_as_the_lips_can(articulator: Articulator) -> None:
    lips, head = articulator.lips, articulator.head
    jaw, shut = np.zeros(len(head.shape_names)), np.zeros(len(head.shape_names))
    jaw[head.index("jawOpen")], shut[head.index("mouthClose")] = 1.0, 1.0
    weights = np.outer([0.0, 0.2, 0.5], jaw)
    wanted = np.array([2.0, 3.0, 1.0])
    parted = weights + np.outer(lips.parting(weights, jaw, wanted), jaw)
    closed = parted + np.outer(lips.closing(parted, shut, wanted), shut)
    assert lips.opening(closed) == pytest.approx(wanted, abs=0.1)
    assert lips.closing(closed, shut, wanted + 0.2) == pytest.approx(0.0)


def test_blinks_take_as_long_as_people_s() -> None:
    fps, style = 240.0, STYLES[1]
    loud = np.full(int(60 * fps), 0.2)
    lids = upper_face((Phone("t", 0.0, 60.0),), loud, fps, style, 0.0, np.random.default_rng(3))[
        "eyeBlinkLeft"
    ]
    starts = np.flatnonzero((lids[:-1] < 0.02) & (lids[1:] >= 0.02))
    assert 10 <= len(starts) <= 40  # in a minute
    for start in starts[:-1]:
        piece = lids[start : start + int(0.5 * fps)]
        peak = int(np.argmax(piece))
        assert piece[peak] >= 0.85
        assert peak / fps == pytest.approx(BLINK_CLOSE_S, abs=0.04)
        opened = peak + int(np.argmax(piece[peak:] < 0.02))
        assert (opened - peak) / fps == pytest.approx(BLINK_OPEN_S + 0.02, abs=0.04)


def test_a_head_without_a_needed_shape_is_refused_by_name() -> None:
    with pytest.raises(UserError, match="mouthPucker"):
        check_head(made_head(without="mouthPucker"))


def test_a_head_without_teeth_still_speaks() -> None:
    head = made_head()
    regions = {
        **head.face.regions,
        "upper_teeth": np.zeros(0, np.int32),
        "lower_teeth": np.zeros(0, np.int32),
    }
    face = type(head.face)(
        head.face.vertices, head.face.triangles, head.face.mid_lips, head.face.lip_corners, regions
    )
    articulator = Articulator(Head(face, head.shape_names, head.deltas))
    opening = opening_mm(articulator, animated(articulator, SENTENCES[0]))
    assert opening.max() >= OPEN_VOWEL_MM


def test_shapes_that_do_not_fit_the_face_are_refused(tmp_path: Path) -> None:
    (tmp_path / "face.npz").write_bytes((SHIPPED_HEAD / "face.npz").read_bytes())
    np.savez(tmp_path / "shapes.npz", names=np.array(["jawOpen"]), deltas=np.zeros((1, 5, 3), np.float32))
    with pytest.raises(UserError, match="deltas"):
        read_head(tmp_path)
