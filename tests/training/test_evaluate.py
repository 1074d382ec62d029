"""Scores tell good predictors from bad ones, and the shipped speech checks a model without a synthesiser."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codetalker_blender.contracts import FaceMesh, FloatArray, Waveform
from codetalker_blender.errors import UserError
from training import metrics
from training.articulation import Articulator
from training.articulation_targets import STYLES
from training.datasets.clip import Clip, Dataset, Phone, VertexMotion
from training.datasets.phones import PHONES
from training.evaluate import bundle_predictor
from training.score_clip import Prediction
from training.scores import evaluate, print_report, score

from ..engine.tiny import tiny_bundle
from .made import made_dataset
from .made_head import BROW, LOWER, UPPER, made_head

SPEECH = Path(__file__).resolve().parents[2] / "assets" / "speech"
SYLLABLES = ("b aa m", "f ow z", "p ae t", "m iy b", "w eh v", "s aw p", "pau pau pau pau")


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Clips of syllables by the articulation model; the sound is a tone, which no score listens to."""
    head = made_head()
    articulator, random = Articulator(head), np.random.default_rng(0)
    clips = []
    for number in range(6):
        phones: list[Phone] = []
        for syllable in random.permutation(SYLLABLES):
            for label in str(syllable).split():
                start = phones[-1].end_s if phones else 0.0
                if label == "pau" and phones and phones[-1].label == "pau":
                    phones[-1] = Phone("pau", phones[-1].start_s, start + 0.12)
                else:
                    phones.append(Phone(label, start, start + float(random.uniform(0.07, 0.16))))
        count = int(phones[-1].end_s * 16000)
        sound = Waveform((0.1 * np.sin(np.arange(count) / 10.0)).astype(np.float32), 16000)
        weights = articulator.animate(tuple(phones), sound, 30.0, STYLES[0], random)
        clips.append(Clip(f"clip{number}", 0, "ab"[number % 2], sound, 30.0, weights, tuple(phones)))
    return Dataset(head.face, head.shape_names, head.deltas, ("neutral",), tuple(clips))


def test_the_truth_scores_full_marks(dataset: Dataset) -> None:
    scores = score(dataset, dataset.offsets)
    whole = scores["all"]
    assert set(scores) == {"all", "voice a", "voice b", "style neutral"}
    assert whole == pytest.approx(scores["style neutral"], nan_ok=True)
    assert [scores[group]["clips"] for group in ("all", "voice a", "voice b")] == [6, 3, 3]
    assert whole["mouth_opening_r"] == pytest.approx(1.0)
    assert whole["rounding_r"] == pytest.approx(1.0)
    assert whole["bilabial_closure_percent"] == 100.0
    assert whole["false_closure_percent"] == 0.0
    assert whole["labiodental_contact_percent"] == 100.0
    assert whole["mve_mm"] == whole["lve_mm"] == whole["lve_codetalker"] == whole["fdd_codetalker"] == 0.0
    assert whole["silence_opening_above_rest_mm"] < 2.0
    assert abs(whole["shuffled_audio_r"]) < 0.5
    assert whole["swap_margin_r"] == pytest.approx(1.0 - whole["shuffled_audio_r"])
    for exact in ("mod_mm", "mtm_ms", "fdd_rel_percent", "fdd_abs", "lve_per_clip"):
        assert whole[exact] == 0.0
    assert whole["fd_pooled_mm2"] == pytest.approx(0.0, abs=1e-6)
    assert whole["fd_per_clip_mm2"] == pytest.approx(0.0, abs=1e-6)
    assert whole["lip_speed_share"] == pytest.approx(1.0)


def test_a_still_face_closes_everything_and_correlates_with_nothing(dataset: Dataset) -> None:
    whole = score(dataset, lambda clip: 0.0 * dataset.offsets(clip))["all"]
    assert math.isnan(whole["mouth_opening_r"])
    assert whole["bilabial_closure_percent"] == 100.0
    assert whole["false_closure_percent"] == 100.0
    assert whole["labiodental_contact_percent"] == 0.0
    assert whole["lip_speed_share"] == 0.0
    assert whole["fdd_rel_percent"] == pytest.approx(100.0)


def test_lips_pressed_beyond_rest_are_no_stillness(dataset: Dataset) -> None:
    """The signed opening of silence may cancel out, its amount may not."""
    below = -0.0001 * np.sign(dataset.face.vertices[dataset.face.mid_lips[0], 2])
    pressed = np.zeros_like(dataset.face.vertices)
    pressed[dataset.face.mid_lips[0], 2] = below
    whole = score(dataset, lambda clip: 0.0 * dataset.offsets(clip) + pressed)["all"]
    assert whole["silence_opening_above_rest_mm"] == pytest.approx(-0.1, abs=1e-3)
    assert whole["silence_opening_abs_mm"] == pytest.approx(0.1, abs=1e-3)


def test_an_open_mouth_closes_nothing(dataset: Dataset) -> None:
    jaw = 0.3 * dataset.deltas[dataset.shape_names.index("jawOpen")]
    whole = score(dataset, lambda clip: dataset.offsets(clip) + jaw)["all"]
    assert whole["bilabial_closure_percent"] < 20.0
    assert whole["silence_opening_above_rest_mm"] > 4.0
    assert whole["mouth_opening_r"] > 0.8


def test_motion_of_another_clip_is_found_out(dataset: Dataset) -> None:
    shifted = dataset.clips[1:] + dataset.clips[:1]
    following = {clip.name: other for clip, other in zip(dataset.clips, shifted, strict=True)}
    mixed = score(dataset, lambda clip: dataset.offsets(following[clip.name]), shuffled=False)["all"]
    right = score(dataset, dataset.offsets)["all"]
    assert mixed["mouth_opening_r"] == pytest.approx(right["shuffled_audio_r"], abs=1e-6)
    assert mixed["mouth_opening_r"] < 0.5


def test_shorter_predictions_are_compared_over_the_common_length(dataset: Dataset) -> None:
    whole = score(dataset, lambda clip: dataset.offsets(clip)[:-3])["all"]
    assert whole["mouth_opening_r"] == pytest.approx(1.0)
    assert whole["mve_mm"] == 0.0


def test_a_model_of_another_head_is_refused(dataset: Dataset) -> None:
    with pytest.raises(UserError, match="'clip0' moves 7 vertices where the data set's head has 10"):
        score(dataset, lambda clip: np.zeros((clip.frame_count, 7, 3), np.float32))


def test_limit_takes_the_first_clips_and_reports_each(dataset: Dataset) -> None:
    seen: list[str] = []
    told: list[tuple[int, int]] = []

    def predict(clip: Clip) -> FloatArray:
        seen.append(clip.name)
        return dataset.offsets(clip)

    score(dataset, predict, limit=2, report=lambda done, total: told.append((done, total)))
    assert seen == ["clip0", "clip1"]
    assert told == [(1, 2), (2, 2)]


def test_the_table_is_that_of_the_definitions(dataset: Dataset) -> None:
    """Curves and sums that are kept clip by clip give what the definitions give on all motion at once."""
    random = np.random.default_rng(5)
    noise = {clip.name: random.normal(0.0, 0.002, (clip.frame_count, 10, 3)) for clip in dataset.clips}
    predictions = [dataset.offsets(clip) + noise[clip.name] for clip in dataset.clips]
    truths = [dataset.offsets(clip) for clip in dataset.clips]
    face, styles = dataset.face, [clip.style for clip in dataset.clips]
    lips, upper = face.regions["lips"], face.regions["upper_face"]
    whole = score(dataset, lambda clip: dataset.offsets(clip) + noise[clip.name])["all"]
    assert whole["mve_mm"] == pytest.approx(metrics.mve_mm(truths, predictions), rel=1e-5)
    assert whole["lve_mm"] == pytest.approx(metrics.lve_mm(truths, predictions, lips))
    assert whole["lve_codetalker"] == pytest.approx(metrics.lve_codetalker(truths, predictions, lips))
    assert whole["lve_per_clip"] == pytest.approx(metrics.lve_per_clip(truths, predictions, lips))
    assert whole["fdd_codetalker"] == pytest.approx(metrics.fdd_codetalker(truths, predictions, upper))
    assert whole["fdd_abs"] == pytest.approx(metrics.fdd_abs(truths, predictions, upper))
    assert whole["fdd_rel_percent"] == pytest.approx(metrics.fdd_rel(truths, predictions, upper, styles))


def test_relative_fdd_is_taken_on_upper_face_and_eyelids_together_and_apart(dataset: Dataset) -> None:
    """Lids that never blink show in the common number although the brow moves as it should."""
    brow, lid = BROW, UPPER
    regions = {**dataset.face.regions, "eyelids": np.array([lid], np.int32)}
    both = dataclasses.replace(dataset, face=dataclasses.replace(dataset.face, regions=regions))

    def lids_still(clip: Clip) -> FloatArray:
        offsets = dataset.offsets(clip)
        offsets[:, lid] = 0.0
        return offsets

    whole = score(both, lids_still)["all"]
    assert whole["fdd_rel_upper_face_percent"] == 0.0
    assert whole["fdd_rel_eyelids_percent"] == pytest.approx(100.0)
    deviation = {
        vertex: np.std(np.concatenate([(dataset.offsets(c)[:, vertex] ** 2).sum(-1) for c in dataset.clips]))
        for vertex in (brow, lid)
    }
    share = deviation[lid] / (deviation[lid] + deviation[brow])
    assert whole["fdd_rel_percent"] == pytest.approx(100.0 * share, rel=1e-3)


def test_what_a_face_lacks_is_absent_and_the_rest_is_scored(dataset: Dataset) -> None:
    none = np.zeros(0, np.int32)
    face = FaceMesh(dataset.face.vertices, np.zeros((0, 3), np.int32), none, none)
    clips = tuple(dataclasses.replace(clip, phones=()) for clip in dataset.clips)
    evaluation = evaluate(
        dataclasses.replace(dataset, face=face, clips=clips), lambda c: dataset.offsets(c) + 1e-3
    )
    whole = evaluation.totals()["all"]
    known = {name for name, value in whole.items() if not math.isnan(value)}
    assert known == {
        "clips", "seconds", "bilabials", "open_vowels", "labiodentals", "mve_mm", "fd_pooled_mm2",
        "fd_per_clip_mm2",
    }  # fmt: skip
    assert whole["mve_mm"] == pytest.approx(np.sqrt(3.0), rel=1e-4)
    assert "no lips, upper_face, eyelids, upper_teeth, mid_lips, lip_corners" in " ".join(evaluation.notes())


def test_opening_is_measured_on_each_speakers_own_template(tmp_path: Path) -> None:
    """Anna's lips rest 2 mm apart, Bob's 6 mm; both open by 3 mm."""
    head = made_head().face
    clips, frames = [], 12
    for speaker, apart in (("anna", 0.002), ("bob", 0.006)):
        template = head.vertices.copy()
        template[UPPER] = template[LOWER] + (0.0, 0.0, apart)
        positions = np.repeat(template[None], frames, axis=0)
        positions[frames // 2 :, UPPER, 2] += 0.003
        np.save(tmp_path / f"{speaker}.npy", positions)
        motion = VertexMotion(tmp_path / f"{speaker}.npy", np.arange(frames), template)
        sound = Waveform(np.ones(frames * 16000 // 30, np.float32), 16000)
        phones = (Phone("pau", 0.0, frames / 30.0),)
        weights = np.zeros((frames, 0), np.float32)
        clips.append(Clip(f"{speaker}_01", 0, speaker, sound, 30.0, weights, phones, motion))
    data = Dataset(head, (), np.zeros((0, 10, 3), np.float32), ("anna",), tuple(clips))
    rows = evaluate(data, data.offsets).clips
    assert [row.rest_mm for row in rows] == pytest.approx([2.0, 6.0], abs=1e-3)
    assert rows[1].opening_mm[[0, -1]] == pytest.approx([6.0, 9.0], abs=1e-3)
    still = score(data, lambda clip: 0.0 * data.offsets(clip))
    for speaker in ("anna", "bob"):
        assert still[f"voice {speaker}"]["mod_mm"] == pytest.approx(1.5, abs=1e-3)
        assert still[f"voice {speaker}"]["silence_opening_above_rest_mm"] == pytest.approx(0.0, abs=1e-4)


def test_codes_and_samples_are_measured_where_there_are_any(dataset: Dataset) -> None:
    def predict(clip: Clip) -> Prediction:
        return Prediction(dataset.offsets(clip), np.tile(np.arange(8, dtype=np.int32), (5, 1)), 16)

    def sample(clip: Clip, number: int) -> Prediction:
        return Prediction(dataset.offsets(clip) + np.array([0.0, 0.0, 0.001 * number], np.float32))

    whole = evaluate(dataset, predict, samples=3, sampler=sample).totals()["all"]
    assert whole["codebook_perplexity"] == pytest.approx(8.0)
    assert whole["dead_codes"] == 8
    assert whole["diversity_mm"] == pytest.approx(4.0 / 3.0, rel=1e-3)
    plain = score(dataset, dataset.offsets)["all"]
    assert math.isnan(plain["codebook_perplexity"])
    assert math.isnan(plain["diversity_mm"])


def test_little_speech_of_a_style_is_noted(dataset: Dataset) -> None:
    assert "fdd_rel needs 60 s per style; it says little on neutral" in (
        " ".join(evaluate(dataset, dataset.offsets).notes())
    )


def test_many_groups_are_printed_in_blocks(capsys: pytest.CaptureFixture[str]) -> None:
    print_report({f"voice {number}": {"mve_mm": 0.25 + number} for number in range(8)})
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines if line.strip()] == ["voice", "mve_mm", "voice", "mve_mm"]
    assert lines[-1].split() == ["mve_mm", "6.25", "7.25"]


def test_a_bundle_is_scored_through_the_whole_street(tmp_path: Path) -> None:
    made = made_dataset(clips=2, seconds=1.0)
    tiny_bundle(tmp_path / "bundle", "streamable")
    whole = score(made, bundle_predictor(tmp_path / "bundle", made.styles, "cpu"))["all"]
    assert whole["clips"] == 2
    assert whole["mve_mm"] > 0.0
    assert 1.0 < whole["codebook_perplexity"] <= 32.0
    assert 0 <= whole["dead_codes"] < 32


# The shipped speech -----------------------------------------------------------------------------


def test_the_demo_line_is_short_clear_speech() -> None:
    samples, rate_hz = soundfile.read(SPEECH / "demo.flac", dtype="float32")
    facts = json.loads((SPEECH / "demo.json").read_text(encoding="utf-8"))
    labels = [phone["label"] for phone in facts["phones"]]
    assert rate_hz == 16000
    assert samples.ndim == 1
    assert 3.0 <= len(samples) / rate_hz <= 5.5
    assert labels[0] == labels[-1] == "pau"
    assert sum(label in ("p", "b", "m") for label in labels) >= 6
    assert facts["phones"][-1]["end_s"] == pytest.approx(len(samples) / rate_hz, abs=0.01)


def test_shipped_held_out_sentences_come_with_their_true_lips() -> None:
    files = sorted((SPEECH / "heldout").glob("*.flac"))
    facts = [json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for path in files]
    assert len(files) == 8
    assert sum(item["voice"] == "flite-rms" for item in facts) == 4
    assert sum(path.stat().st_size for path in SPEECH.rglob("*.*")) < 1_000_000
    for path, item in zip(files, facts, strict=True):
        samples, rate_hz = soundfile.read(path, dtype="float32")
        phones = tuple(Phone(**phone) for phone in item["phones"])
        opening = np.array(item["mid_lip_distance_mm"])
        assert 2.0 <= len(samples) / rate_hz <= 4.5
        assert {phone.label for phone in phones} <= PHONES
        assert abs(len(opening) / item["fps"] - len(samples) / rate_hz) < 0.05
        closures = metrics.bilabial_closures(opening, item["rest_mm"], phones, item["fps"])
        assert closures
        assert all(closures)
        assert not any(metrics.false_closures(opening, item["rest_mm"], phones, item["fps"]))
