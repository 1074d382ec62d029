"""Log-mel spectra as a front end: the right numbers, bands, lengths and times, whatever the chunk."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import Wav2Vec2Config, Wav2Vec2Model
from transformers.audio_utils import mel_filter_bank, spectrogram

from codetalker_blender.contracts import FloatArray
from codetalker_blender.engine.log_mel import LogMel, MelFrontEnd, from_power
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ, SpeechEncoder
from tests.engine.variants import variant_networks

BINS = 64


def noise(samples: int, seed: int = 0) -> Tensor:
    return torch.randn(samples, generator=torch.Generator().manual_seed(seed))


def encoder(name: str = "log mel") -> SpeechEncoder:
    return variant_networks(name)[2]


def band_centres() -> FloatArray:
    """(BINS,) hertz: evenly spaced on O'Shaughnessy's mel scale between 50 and 7600 Hz."""
    low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (50.0, 7600.0))
    return np.asarray(700 * (10 ** (np.linspace(low, high, BINS + 2)[1:-1] / 2595) - 1))


def test_power_is_what_transformers_computes() -> None:
    samples = noise(16_321).numpy()
    window = np.hanning(400)
    filters = mel_filter_bank(513, BINS, 50.0, 7600.0, SAMPLE_RATE_HZ)
    wanted = (
        spectrogram(
            samples,
            window,
            400,
            160,
            fft_length=1024,
            power=2.0,
            center=False,
            mel_filters=filters,
            mel_floor=0.0,
        ).T
        / np.square(window).sum()
    )
    power = LogMel(BINS).power(torch.from_numpy(samples)[None])[0].numpy()
    assert power.shape == wanted.shape == ((16_321 - 400) // 160 + 1, BINS)
    np.testing.assert_allclose(power, wanted, rtol=1e-3, atol=1e-5)


def test_white_noise_has_its_variance_in_every_band() -> None:
    mel = LogMel(BINS)
    widths = mel.filters.sum(0) * torch.hann_window(400, periodic=False).square().sum()
    for rms in (0.1, 1.0):
        power = mel.power(rms * noise(60 * SAMPLE_RATE_HZ)[None])[0].mean(0)
        torch.testing.assert_close(power / widths, torch.full((BINS,), rms**2), rtol=0.15, atol=0)


@pytest.mark.parametrize("band", [0, 3, 10, 25, 40, 55, 63])
def test_a_tone_is_loudest_in_its_own_band(band: int) -> None:
    times = torch.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = torch.sin(2 * torch.pi * float(band_centres()[band]) * times)
    loudness = LogMel(BINS).power(tone[None])[0].mean(0) / LogMel(BINS).filters.sum(0)
    # the window's own width, 80 Hz, is several bands at the bottom
    assert abs(int(loudness.argmax()) - band) <= (1 if band < 10 else 0)
    assert loudness[max(band - 8, 0) : band + 9].sum() > 0.99 * loudness.sum()


def test_the_network_sees_logarithms_with_a_floor() -> None:
    power = torch.logspace(-4, 4, 9)
    steps = from_power(power * 10).sub(from_power(power))
    torch.testing.assert_close(steps[1:], torch.full((8,), math.log(10) / 4), rtol=5e-3, atol=0)
    silence = from_power(torch.zeros(3))
    assert silence.isfinite().all()
    torch.testing.assert_close(from_power(torch.full((3,), 1e-9)), silence, rtol=0, atol=1e-3)
    assert (from_power(torch.full((3,), 1e-5)) > silence + 0.3).all()


@torch.inference_mode()
def test_as_many_frames_as_wav2vec_has() -> None:
    official = Wav2Vec2Model(Wav2Vec2Config(conv_dim=(8,) * 7, hidden_size=16, num_hidden_layers=0))
    front = MelFrontEnd(BINS, 8)
    lengths = [400, 401, 559, 560, 719, 720, 721, 1039, 1040, 15_999, 16_000, 16_001, 16_080]
    lengths += np.random.default_rng(0).integers(400, 40_000, 40).tolist()
    for length in lengths:
        frames = front(noise(length)[None])
        assert frames.shape == (1, 8, int(official._get_feat_extract_output_lengths(length)))
    for length in lengths[:8]:
        assert official.feature_extractor(noise(length)[None]).shape == front(noise(length)[None]).shape


@pytest.mark.parametrize("place", [20, 40, 120, 200, 280])
@torch.inference_mode()
def test_a_click_is_heard_at_the_same_time_by_both_front_ends(place: int) -> None:
    """The frames that hear it lie symmetrically about the same time, 20 ms a frame."""
    quiet = 0.01 * noise(SAMPLE_RATE_HZ)[None]
    middles = []
    for name in ("streamable", "log mel"):
        click = quiet.clone()
        click[0, 320 * 20 + place] += 1.0
        speech = encoder(name)
        change = (speech.convolve(click) - speech.convolve(quiet)).abs().sum(-1)[0]
        heard = (change > 1e-6).nonzero().flatten().float()
        assert len(heard) <= 5
        middles.append(float(heard.mean()))
    assert middles[0] == middles[1]
    assert abs(320 * middles[0] + 200 - (320 * 20 + place)) <= 160


@torch.inference_mode()
def test_frames_of_spectra_are_frames_of_sound() -> None:
    """Training keeps spectra and enters half way; it must come out at the same place."""
    speech = encoder()
    chunks = 0.1 * noise(3 * speech.chunk_samples).reshape(3, -1)
    front = speech.network.feature_extractor
    assert isinstance(front, MelFrontEnd)
    spectra = from_power(front.mel.power(speech.levelled(chunks)))
    torch.testing.assert_close(speech.spectra_features(spectra), speech.chunks(chunks), rtol=0, atol=1e-6)


@torch.inference_mode()
def test_a_chunk_depends_on_its_own_samples_alone() -> None:
    speech = encoder()
    samples, per_chunk = 0.1 * noise(5 * SAMPLE_RATE_HZ), speech.chunk_frames
    before = speech.features(samples)
    context = round(speech.config.context_s * SAMPLE_RATE_HZ)
    changed = samples.clone()
    changed[: 2 * SAMPLE_RATE_HZ - context] = 0.3
    changed[3 * SAMPLE_RATE_HZ + context + 80 :] = -0.3
    after = speech.features(changed)
    own = slice(2 * per_chunk, 3 * per_chunk)
    assert torch.equal(after[:, own], before[:, own])
    assert not torch.equal(after[:, :per_chunk], before[:, :per_chunk])
    assert not torch.equal(after[:, 4 * per_chunk :], before[:, 4 * per_chunk :])
    # a neighbour in the batch is not heard, and the chunk's own context is
    alone = speech.chunks(speech.chunk_of(samples, 2)[None])
    beside = speech.chunks(torch.stack([speech.chunk_of(changed, 0), speech.chunk_of(samples, 2)]))[1:]
    torch.testing.assert_close(beside, alone, rtol=1e-4, atol=1e-5)
    samples[3 * SAMPLE_RATE_HZ : 3 * SAMPLE_RATE_HZ + context] = 0.0
    assert not torch.equal(speech.features(samples)[:, own], before[:, own])


@torch.inference_mode()
def test_streamed_chunks_are_the_whole() -> None:
    speech = encoder()
    samples = 0.1 * noise(round(3.4 * SAMPLE_RATE_HZ))
    frames = speech.motion_frames(len(samples))
    streamed = torch.cat(list(speech.iterate(samples, 4)), dim=1)[:, :frames]
    assert torch.equal(streamed, speech.features(samples))


@torch.inference_mode()
def test_spectra_keep_their_precision_beside_a_half_precision_network() -> None:
    """60 dB between loud and quiet: bfloat16 sums would lose the quiet bands, float16 overflow."""
    front, samples = MelFrontEnd(BINS, 8), 10.0 * noise(8000)[None]
    samples[:, 4000:] *= 1e-3
    seen: list[Tensor] = []
    front.first.register_forward_pre_hook(lambda _module, inputs: seen.append(inputs[0].float()))
    front(samples)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        reduced = front(samples)
    assert reduced.dtype == torch.bfloat16
    assert torch.equal(seen[0], seen[1])


def test_constants_do_not_travel_with_the_weights() -> None:
    assert sorted(MelFrontEnd(BINS, 8).state_dict()) == [
        "first.bias",
        "first.weight",
        "second.bias",
        "second.weight",
    ]
