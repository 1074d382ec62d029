"""The speech encoder: how long, how loud, and that a chunk knows only its own sound."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from codetalker_blender.engine.speech import NOMINAL_RMS, SAMPLE_RATE_HZ, SpeechConfig, SpeechEncoder
from tests.engine.tiny import tiny_configs, tiny_networks
from tests.engine.variants import variant_networks


def sound(seconds: float, seed: int = 0) -> Tensor:
    random = torch.Generator().manual_seed(seed)
    return 0.1 * torch.randn(round(seconds * SAMPLE_RATE_HZ), generator=random)


def encoder(flavour: str) -> SpeechEncoder:
    return variant_networks(flavour)[2]


@pytest.mark.parametrize(
    ("flavour", "samples", "frames"),
    [
        ("vocaset", 400 + 204 * 320, 122),  # 205 frames of 50 Hz: 122.99… cut to 122
        ("vocaset", 16_000, 29),
        ("vocaset", 1_600, 2),
        ("biwi", 16_000, 24),
        ("biwi", 1_600, 2),
        ("streamable", 16_000, 30),
        ("streamable", 1_600, 3),
        ("streamable", 10, 1),
    ],
)
@torch.inference_mode()
def test_motion_frames_of_a_clip(flavour: str, samples: int, frames: int) -> None:
    speech = encoder(flavour)
    assert speech.motion_frames(samples) == frames
    features = speech.features(sound(samples / SAMPLE_RATE_HZ))
    assert features.shape == (1, frames * speech.config.speech_frames, speech.config.hidden)
    assert features.isfinite().all()


def test_utterance_level_has_zero_mean_and_unit_variance() -> None:
    levelled = encoder("vocaset").levelled((sound(1.0) * 3.0 + 0.2)[None])
    assert float(levelled.mean()) == pytest.approx(0.0, abs=1e-5)
    assert float(levelled.std()) == pytest.approx(1.0, abs=1e-3)
    # quiet sound feels the official eps of 1e-5: 4.9 % at rms 0.01
    quiet = 0.01 * torch.nn.functional.normalize(sound(1.0), dim=0)[None] * 16_000**0.5
    ratio = float(encoder("vocaset").levelled(quiet).square().mean().sqrt())
    assert ratio == pytest.approx(1.1**-0.5, rel=1e-3)
    assert encoder("vocaset").levelled(torch.zeros(1, 800)).isfinite().all()


def test_fixed_level_ignores_the_rest_of_the_clip() -> None:
    samples = sound(1.0)[None]
    assert torch.equal(encoder("streamable").levelled(samples), samples / NOMINAL_RMS)


@torch.inference_mode()
def test_a_chunk_depends_on_its_own_sound_and_context_alone() -> None:
    speech = encoder("streamable")
    samples, per_chunk = sound(5.0), speech.chunk_frames
    before = speech.features(samples)
    chunk = SAMPLE_RATE_HZ  # tiny chunks last one second
    context = round(speech.config.context_s * SAMPLE_RATE_HZ)
    changed = samples.clone()
    changed[: 2 * chunk - context] = 0.3
    changed[3 * chunk + context + 80 :] = -0.3
    after = speech.features(changed)
    assert torch.equal(after[:, 2 * per_chunk : 3 * per_chunk], before[:, 2 * per_chunk : 3 * per_chunk])
    assert not torch.equal(after[:, :per_chunk], before[:, :per_chunk])
    assert not torch.equal(after[:, 4 * per_chunk :], before[:, 4 * per_chunk :])
    # and it does hear its context
    changed = samples.clone()
    changed[3 * chunk : 3 * chunk + context] = 0.0
    assert not torch.equal(speech.features(changed)[:, 2 * per_chunk : 3 * per_chunk], before[:, 60:90])


@torch.inference_mode()
def test_a_clip_put_into_a_longer_one_at_a_chunk_boundary_keeps_its_features() -> None:
    speech = encoder("streamable")
    clip, silence = sound(2.0), torch.zeros(2 * SAMPLE_RATE_HZ)
    longer = torch.cat((silence, clip, silence, sound(1.0, seed=9)))
    alone = speech.features(clip)
    first = 2 * speech.chunk_frames
    assert torch.equal(speech.features(longer)[:, first : first + alone.shape[1]], alone)


@torch.inference_mode()
def test_streamed_chunks_are_the_whole() -> None:
    speech = encoder("streamable")
    samples = sound(3.4)
    frames = speech.motion_frames(len(samples))
    streamed = torch.cat(list(speech.iterate(samples, 4)), dim=1)[:, :frames]
    assert torch.equal(streamed, speech.features(samples))
    together = speech.chunks(torch.stack([speech.chunk_of(samples, index) for index in range(4)]))
    torch.testing.assert_close(together.flatten(0, 1)[None, :frames], streamed, rtol=1e-4, atol=1e-5)


@torch.inference_mode()
def test_chunk_frames_hear_their_own_time() -> None:
    """A click moves exactly as far in the features as it does in the sound."""
    speech = encoder("streamable")
    frames = []
    quiet = speech.features(torch.zeros(3 * SAMPLE_RATE_HZ))
    for time_s in (0.5, 1.5):
        samples = torch.zeros(3 * SAMPLE_RATE_HZ)
        samples[round(time_s * SAMPLE_RATE_HZ)] = 1.0
        loudest = (speech.features(samples) - quiet).abs().sum(dim=-1)[0].argmax()
        frames.append(int(loudest))
    assert frames[1] - frames[0] == speech.config.fps


@pytest.mark.parametrize(
    "changes",
    [
        {"feature_norm": "batch"},
        {"level": "loud"},
        {"speech_frames": 3},
        {"speech_frames": 2, "fps": 30.0},
        {"chunk_s": 1.0},
        {"chunk_s": 0.99, "level": "fixed", "feature_norm": "layer"},
        {"chunk_s": 1.0, "context_s": 0.05, "level": "fixed", "feature_norm": "layer"},
    ],
)
def test_configs_that_make_no_encoder_are_refused(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r".+"):
        dataclasses.replace(SpeechConfig(), **changes)  # type: ignore[arg-type]


def test_time_masking_acts_in_training_alone() -> None:
    config = dataclasses.replace(tiny_configs("vocaset", 42)[2], dropout=0.0, mask_probability=0.3)
    torch.manual_seed(0)
    speech = SpeechEncoder(config).eval()
    levelled = speech.levelled(sound(2.0)[None])
    assert torch.equal(speech.whole(levelled, 59), speech.whole(levelled, 59))
    plain = speech.whole(levelled, 59)
    speech.train()
    assert not torch.allclose(speech.whole(levelled, 59), plain)


def test_the_shortest_clip_has_a_frame_at_any_rate() -> None:
    """0.1 s of sound is four 50 Hz frames: less than one motion frame at 12 per second."""
    config = dataclasses.replace(tiny_configs("vocaset", 42)[2], fps=12.0)
    encoder = tiny_networks(*tiny_configs("vocaset", 42)[:2], config)[2]
    assert encoder.motion_frames(1600) == 1
    with torch.inference_mode():
        assert encoder.features(torch.randn(1600)).shape[1] == 1
