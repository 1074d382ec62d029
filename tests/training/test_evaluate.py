"""Scores tell good predictors from bad ones, and the shipped speech checks a model without a synthesiser."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import soundfile

from codetalker_blender.contracts import FloatArray, Waveform
from codetalker_blender.errors import UserError
from training import metrics
from training.articulation import Articulator
from training.articulation_targets import STYLES
from training.datasets.clip import Clip, Dataset, Phone
from training.datasets.phones import PHONES
from training.evaluate import bundle_predictor
from training.scores import print_report, score, write_scores

from ..engine.tiny import tiny_bundle
from .made import made_dataset
from .made_head import made_head

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
    assert set(scores) == {"all", "a", "b"}
    assert whole["clips"] == 6
    assert whole["mouth_opening_r"] == pytest.approx(1.0)
    assert whole["rounding_r"] == pytest.approx(1.0)
    assert whole["bilabial_closure_percent"] == 100.0
    assert whole["false_closure_percent"] == 0.0
    assert whole["labiodental_contact_percent"] == 100.0
    assert whole["mve_mm"] == whole["lve_mm"] == whole["lve_codetalker"] == whole["fdd_codetalker"] == 0.0
    assert whole["silence_opening_above_rest_mm"] < 2.0
    assert abs(whole["shuffled_audio_r"]) < 0.5
    assert whole["lip_speed_share"] == pytest.approx(1.0)


def test_a_still_face_closes_everything_and_correlates_with_nothing(dataset: Dataset) -> None:
    whole = score(dataset, lambda clip: 0.0 * dataset.offsets(clip))["all"]
    assert math.isnan(whole["mouth_opening_r"])
    assert whole["bilabial_closure_percent"] == 100.0
    assert whole["false_closure_percent"] == 100.0
    assert whole["labiodental_contact_percent"] == 0.0
    assert whole["lip_speed_share"] == 0.0
    assert whole["fdd_rel_percent"] == pytest.approx(100.0)


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
    with pytest.raises(UserError, match="moves 7 vertices where the corpus' head has 10"):
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


def test_scores_are_written_as_json_with_null_for_nan(
    dataset: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scores = score(dataset, lambda clip: 0.0 * dataset.offsets(clip))
    write_scores(tmp_path / "new" / "scores.json", scores)
    stored = json.loads((tmp_path / "new" / "scores.json").read_text(encoding="utf-8"))
    assert stored["all"]["mouth_opening_r"] is None
    assert stored["all"]["false_closure_percent"] == 100.0
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["scores.json"]
    print_report(scores)
    assert "mouth_opening_r" in capsys.readouterr().out


def test_a_bundle_is_scored_through_the_whole_street(tmp_path: Path) -> None:
    made = made_dataset(clips=2, seconds=1.0)
    tiny_bundle(tmp_path / "bundle", "streamable")
    whole = score(made, bundle_predictor(tmp_path / "bundle", made.styles, "cpu"))["all"]
    assert whole["clips"] == 2
    assert whole["mve_mm"] > 0.0


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
