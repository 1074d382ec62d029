"""The same motion however it is asked for: whole, in chunks, live or in a batch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from codetalker_blender.contracts import MotionChunk, Waveform
from codetalker_blender.engine import generate as street_middle
from codetalker_blender.engine.bundle import Bundle
from codetalker_blender.engine.devices import is_devices_fault
from codetalker_blender.engine.generate import MotionStream, generate, generate_batch
from codetalker_blender.engine.live import LiveMotion
from codetalker_blender.engine.prefix_decoder import History
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ
from codetalker_blender.errors import BundleError, Cancelled
from tests.engine.test_generate import NEUTRAL, run, shallow, speechlike, style_of
from tests.engine.variants import VARIANTS, variant_bundle

LIVE = ("streamable", "streamable pairs", "some classes")


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    return {name: variant_bundle(folder / name.replace(" ", "_"), name) for name in VARIANTS}


def assert_same(chunks: list[MotionChunk], bundle: Bundle, waveform: Waveform, **options: Any) -> None:
    """The chunks are, one after the other, the frames of the whole clip."""
    whole = run(bundle, waveform, **options)
    place = 0
    for chunk in chunks:
        assert chunk.first == place
        assert len(chunk.offsets) == len(chunk.codes) > 0
        place += len(chunk.codes)
    assert place == whole.frame_count
    np.testing.assert_array_equal(np.concatenate([chunk.codes for chunk in chunks]), whole.codes)
    offsets = np.concatenate([chunk.offsets for chunk in chunks])
    np.testing.assert_allclose(offsets, whole.offsets, rtol=0.0, atol=1e-5)


# -- streams -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("seconds", [0.1, 2.17, 5.0])
def test_a_stream_is_the_whole_clip(bundles: dict[str, Bundle], name: str, seconds: float) -> None:
    stream = MotionStream(bundles[name], speechlike(seconds), NEUTRAL, device="cpu")
    chunks = list(stream)
    assert sum(len(chunk.codes) for chunk in chunks) == stream.frame_count
    assert chunks[0].offsets.shape[1:] == (stream.vertex_count, 3)
    assert_same(chunks, bundles[name], speechlike(seconds))


def test_a_causal_stream_does_not_wait_for_the_end(bundles: dict[str, Bundle]) -> None:
    steps: list[int] = []

    def progress(stage: str, done: int, _total: int) -> None:
        if stage == "codes":
            steps.append(done)

    stream = MotionStream(bundles["streamable"], speechlike(20.0), NEUTRAL, device="cpu", progress=progress)
    first = next(iter(stream))
    assert steps[-1] < 100 < stream.frame_count
    assert len(first.codes) <= 100


def test_long_clips_of_models_that_look_both_ways(bundles: dict[str, Bundle]) -> None:
    """Longer than the exact history: all frames, and those before it keep their codes."""
    bundle, waveform = bundles["pairs"], speechlike(6.0)
    short = History(exact_s=2.0, look_back_s=1.0, piece_s=3.0, margin_s=0.5, fade_s=0.2)
    stream = MotionStream(bundle, waveform, NEUTRAL, device="cpu", history=short)
    chunks = list(stream)
    assert_same(chunks, bundle, waveform, history=short)
    codes = np.concatenate([chunk.codes for chunk in chunks])
    np.testing.assert_array_equal(codes[:60], run(bundle, waveform).codes[:60])


def test_a_cancelled_stream_ends_at_once(bundles: dict[str, Bundle]) -> None:
    given: list[MotionChunk] = []
    stream = MotionStream(
        bundles["streamable"], speechlike(20.0), NEUTRAL, device="cpu", cancelled=lambda: len(given) >= 2
    )
    with pytest.raises(Cancelled):
        given.extend(stream_into(stream, given))
    assert len(given) == 2


def stream_into(stream: MotionStream, given: list[MotionChunk]) -> list[MotionChunk]:
    for chunk in stream:
        given.append(chunk)
    return []


# -- live ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LIVE)
@pytest.mark.parametrize("piece_s", [0.013, 0.37, 1.0, 3.3, 60.0])
def test_live_sound_gives_the_frames_of_the_whole(
    bundles: dict[str, Bundle], name: str, piece_s: float
) -> None:
    bundle, waveform = bundles[name], speechlike(5.03)
    live = LiveMotion(bundle, NEUTRAL, device="cpu", seed=3)
    chunks, size = [], max(1, round(piece_s * SAMPLE_RATE_HZ))
    for start in range(0, len(waveform.samples), size):
        chunks += live.push(waveform.samples[start : start + size])
    chunks += live.finish()
    assert_same(chunks, bundle, waveform, seed=3)


@pytest.mark.parametrize("seconds", [0.0, 0.005, 0.1, 1.0, 2.0])
def test_live_sound_of_odd_lengths(bundles: dict[str, Bundle], seconds: float) -> None:
    for name in LIVE:
        waveform = speechlike(seconds)
        live = LiveMotion(bundles[name], NEUTRAL, device="cpu")
        assert_same(live.push(waveform.samples) + live.finish(), bundles[name], waveform)


def test_a_live_frame_comes_within_the_latency_that_is_stated(bundles: dict[str, Bundle]) -> None:
    bundle, waveform = bundles["streamable"], speechlike(10.0)
    live = LiveMotion(bundle, NEUTRAL, device="cpu")
    assert 1.0 < live.latency_s < 1.5  # chunks of 1 s, context of 0.4 s
    known, step = 0, SAMPLE_RATE_HZ // 100
    for start in range(0, len(waveform.samples), step):
        known += sum(len(chunk.codes) for chunk in live.push(waveform.samples[start : start + step]))
        heard_s = (start + step) / SAMPLE_RATE_HZ
        assert known >= (heard_s - live.latency_s) * bundle.card.fps - 1


def test_live_sound_is_forgotten(bundles: dict[str, Bundle]) -> None:
    """An hour of it does not pile up."""
    live = LiveMotion(shallow(bundles["streamable"]), NEUTRAL, device="cpu")
    waveform = speechlike(1.0)
    for _ in range(60):
        live.push(waveform.samples)
    assert live.held_samples < 4 * SAMPLE_RATE_HZ


@pytest.mark.parametrize("name", ["vocaset", "biwi"])
def test_models_that_need_the_whole_sound_are_refused(bundles: dict[str, Bundle], name: str) -> None:
    with pytest.raises(BundleError, match="whole sound"):
        LiveMotion(bundles[name], NEUTRAL, device="cpu")


# -- batches -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
def test_a_batch_is_its_clips(bundles: dict[str, Bundle], name: str) -> None:
    bundle = bundles[name]
    waveforms = [speechlike(seconds, seed) for seed, seconds in enumerate((1.1, 2.5, 0.1, 2.5))]
    frames = bundle.speech.motion_frames(len(waveforms[1].samples))
    changing = np.repeat(NEUTRAL, frames, axis=0)
    changing[frames // 2 :] = style_of("lively")
    styles, seeds = [NEUTRAL, changing, style_of("calm"), style_of("lively")], [4, 5, 6, 7]
    for temperature in (0.0, 20.0):
        together = generate_batch(
            bundle, waveforms, styles, device="cpu", temperature=temperature, seeds=seeds
        )
        for motion, waveform, style, seed in zip(together, waveforms, styles, seeds, strict=True):
            alone = generate(bundle, waveform, style, device="cpu", temperature=temperature, seed=seed)
            np.testing.assert_array_equal(motion.codes, alone.codes)
            np.testing.assert_allclose(motion.offsets, alone.offsets, rtol=0.0, atol=1e-5)
            assert (motion.fps, motion.model_fps) == (alone.fps, alone.model_fps)


def test_batches_of_long_and_short_clips(bundles: dict[str, Bundle]) -> None:
    """One is longer than the exact history, the other is not: each as by itself."""
    short = History(exact_s=2.0, look_back_s=1.0, piece_s=3.0, margin_s=0.5, fade_s=0.2)
    waveforms = [speechlike(1.5), speechlike(4.0, 1)]
    together = generate_batch(bundles["vocaset"], waveforms, [NEUTRAL, NEUTRAL], device="cpu", history=short)
    for motion, waveform in zip(together, waveforms, strict=True):
        alone = run(bundles["vocaset"], waveform, history=short)
        np.testing.assert_array_equal(motion.codes, alone.codes)


def test_an_empty_batch_and_a_cancelled_one(bundles: dict[str, Bundle]) -> None:
    assert generate_batch(bundles["vocaset"], [], []) == []
    with pytest.raises(Cancelled):
        generate_batch(bundles["vocaset"], [speechlike(1.0)], [NEUTRAL], device="cpu", cancelled=lambda: True)


# -- a device that fails -------------------------------------------------------------------------


@pytest.mark.skipif(torch.backends.mps.is_available(), reason="MPS works here")
def test_the_cpu_takes_over_from_a_device_that_cannot(
    bundles: dict[str, Bundle], monkeypatch: pytest.MonkeyPatch
) -> None:
    """torch was built without MPS: the first thing that is moved there raises."""
    bundle, waveform = bundles["streamable"], speechlike(1.0)
    wanted = run(bundle, waveform)
    monkeypatch.setattr(street_middle, "choose_device", lambda name: torch.device("mps"))
    stream = MotionStream(bundle, waveform, NEUTRAL)
    np.testing.assert_array_equal(np.concatenate([chunk.codes for chunk in stream]), wanted.codes)
    assert stream.device.type == "cpu"
    (note,) = stream.notes
    assert "'mps' failed" in note
    assert "CPU" in note


def test_what_is_the_device_s_fault() -> None:
    cuda = torch.device("cuda")
    assert is_devices_fault(torch.OutOfMemoryError("CUDA out of memory."), cuda)
    assert is_devices_fault(RuntimeError("CUDA error: no kernel image is available for execution"), cuda)
    assert is_devices_fault(RuntimeError("MPS backend out of memory"), torch.device("mps"))
    assert is_devices_fault(NotImplementedError("The operator is not implemented"), torch.device("mps"))
    assert not is_devices_fault(RuntimeError("out of memory"), torch.device("cpu"))
    assert not is_devices_fault(RuntimeError("shapes do not fit"), cuda)
