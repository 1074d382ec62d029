"""What training reads of a clip's sound is what generation reads, at any place of the clip."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from codetalker_blender.contracts import Waveform
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ, SpeechEncoder
from training.datasets.clip import Clip
from training.sounds import RawSounds, SpectraSounds, make_sounds

from ..engine.tiny import tiny_networks
from ..engine.variants import variant_configs, variant_networks
from .made import made_dataset

#: First frames of windows in a clip of 4 s at 30 fps, on the 50 Hz grid: its start, its first and second
#: half, a window that reaches past the end, and one that lies in the silence behind it.
STARTS = (0, 33, 75, 105, 147)
CHUNKS = 2


def encoder(name: str) -> SpeechEncoder:
    return variant_networks(name)[2]


def noisy_clips(count: int = 2) -> tuple[Clip, ...]:
    """Clips whose sound differs at every moment, loud and quiet by turns."""
    random = np.random.default_rng(0)
    clips = []
    for clip in made_dataset(clips=count).clips:
        level = np.repeat(random.choice([0.003, 0.03, 0.3], 40), len(clip.waveform.samples) // 40)
        samples = (level * random.standard_normal(len(level))).astype(np.float32)
        clips.append(dataclasses.replace(clip, waveform=Waveform(samples, SAMPLE_RATE_HZ)))
    return tuple(clips)


def chunks_from(speech: SpeechEncoder, clip: Clip, start: int) -> Tensor:
    """The chunks of sound of a window as generation cuts them, silence around the clip."""
    context = round(speech.config.context_s * SAMPLE_RATE_HZ)
    around = F.pad(torch.from_numpy(clip.waveform.samples), (context, 8 * SAMPLE_RATE_HZ))
    first = start * SAMPLE_RATE_HZ // 30
    step = round(speech.config.chunk_s * SAMPLE_RATE_HZ)
    return torch.stack(
        [around[first + i * step : first + i * step + speech.chunk_samples] for i in range(CHUNKS)]
    )


@pytest.mark.parametrize("name", ["log mel", "streamable"])
@pytest.mark.parametrize("frozen", [False, True])
@torch.inference_mode()
def test_windows_without_augmentation_are_what_generation_hears(name: str, frozen: bool) -> None:
    speech, clips = encoder(name), noisy_clips()
    sounds = make_sounds(clips, speech, seed=0, augment=False)
    if isinstance(sounds, RawSounds) and frozen:
        sounds.freeze(1)
    for pick in (0, 1):
        got = sounds.features(sounds.chunks([pick] * len(STARTS), STARTS, CHUNKS))
        wanted = torch.cat([speech.chunks(chunks_from(speech, clips[pick], start)) for start in STARTS])
        # caches are in half precision
        exact = isinstance(sounds, RawSounds) and not frozen
        torch.testing.assert_close(got, wanted, rtol=0, atol=1e-5 if exact else 0.02)


@pytest.mark.parametrize("name", ["log mel", "streamable"])
@torch.inference_mode()
def test_a_window_from_the_start_is_the_clip_as_generated(name: str) -> None:
    speech, clip = encoder(name), noisy_clips()[1]
    sounds = make_sounds([noisy_clips()[0], clip], speech, seed=0, augment=False)
    whole = speech.features(torch.from_numpy(clip.waveform.samples))
    got = sounds.features(sounds.chunks([1], [0], 4)).flatten(0, 1)[None]
    torch.testing.assert_close(got, whole, rtol=0, atol=0.02)


@torch.inference_mode()
def test_the_cached_spectra_are_near_the_sounds_own() -> None:
    """Half precision of the logarithm costs less than 0.01 of a spread."""
    speech, clips = encoder("log mel"), noisy_clips(1)
    sounds = make_sounds(clips, speech, seed=0, augment=False)
    assert isinstance(sounds, SpectraSounds)
    front = speech.network.feature_extractor
    seen: list[Tensor] = []
    handle = front.first.register_forward_pre_hook(lambda _m, inputs: seen.append(inputs[0]))
    try:
        speech.convolve(speech.levelled(chunks_from(speech, clips[0], 33)))
    finally:
        handle.remove()
    cached = sounds.chunks([0], [33], CHUNKS)
    torch.testing.assert_close(cached.transpose(1, 2), seen[0], rtol=0, atol=0.01)


@pytest.mark.parametrize("name", ["log mel", "streamable"])
def test_the_seed_decides_what_is_heard(name: str) -> None:
    speech, clips = encoder(name), noisy_clips()

    def heard(seed: int) -> list[Tensor]:
        sounds = make_sounds(clips, speech, seed)
        return [sounds.chunks([0, 1], [0, 33], CHUNKS) for _ in range(2)]

    first, same, other = heard(3), heard(3), heard(4)
    assert all(torch.equal(a, b) for a, b in zip(first, same, strict=True))
    assert not torch.equal(first[0], other[0])
    assert not torch.equal(first[0], first[1])
    assert all(chunks.isfinite().all() for chunks in first)


@pytest.mark.parametrize("name", ["log mel", "streamable"])
def test_augmentation_stays_within_its_window(name: str) -> None:
    """Whatever is drawn, a window's chunks go on from one another: their contexts hear the same."""
    speech, clips = encoder(name), noisy_clips()
    chunks = make_sounds(clips, speech, seed=5).chunks([0, 1, 0], [0, 33, 60], CHUNKS)
    chunks = chunks.unflatten(0, (3, CHUNKS))
    rate = 100 if name == "log mel" else SAMPLE_RATE_HZ
    step, shared = rate * 1, round(2 * 0.4 * rate) - 1  # tiny chunks: 1 s, contexts of 0.4 s
    assert torch.equal(chunks[:, 0, step : step + shared], chunks[:, 1, :shared])


@torch.inference_mode()
def test_frozen_copies_are_drawn_from() -> None:
    """Each copy has its own augmentation, and all of them come up."""
    speech, clips = encoder("streamable"), noisy_clips(1)
    sounds = RawSounds(clips, speech, seed=0, augment=True)
    sounds.freeze(3)
    drawn = [sounds.chunks([0], [33], 1) for _ in range(60)]
    different: list[Tensor] = []
    for chunk in drawn:
        if not any(torch.equal(chunk, one) for one in different):
            different.append(chunk)
    assert len(different) == 3


def test_gradients_reach_the_front_end_through_cached_spectra() -> None:
    speech = tiny_networks(*variant_configs("log mel"))[2]
    sounds = make_sounds(noisy_clips(), speech, seed=0)
    weight = speech.network.feature_extractor.first.weight
    loss = sounds.features(sounds.chunks([0, 1], [0, 33], CHUNKS)).square().sum()
    (gradient,) = torch.autograd.grad(loss, [weight])
    assert gradient.isfinite().all()
    assert gradient.abs().max() > 0


def test_digital_silence_can_be_heard() -> None:
    """A clip of zeros must not make a network of NaN."""
    clip = noisy_clips(1)[0]
    silent = dataclasses.replace(
        clip, waveform=Waveform(np.zeros_like(clip.waveform.samples), SAMPLE_RATE_HZ)
    )
    for name in ("log mel", "streamable"):
        sounds = make_sounds([silent, clip], encoder(name), seed=0)
        for _ in range(5):
            chunks = sounds.chunks([0, 1], [0, 33], CHUNKS)
            with torch.inference_mode():
                assert sounds.features(chunks).isfinite().all()


def test_a_context_beyond_the_silent_edge_is_refused() -> None:
    config = dataclasses.replace(variant_configs("streamable")[2], context_s=1.4)
    with pytest.raises(ValueError, match="at most 1 s"):
        make_sounds(noisy_clips(1), SpeechEncoder(config), 0)
