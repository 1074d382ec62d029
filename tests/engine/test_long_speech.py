"""Long sound in pieces is the whole clip: the same frames and places, and windows whose joins nobody sees."""

from __future__ import annotations

import dataclasses
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from codetalker_blender.engine.long_speech import (
    CONTEXT_S,
    EXACT_S,
    FADE_S,
    PIECE_FRAMES,
    LongSound,
    Moments,
    aligned_part,
    windows_of,
)
from codetalker_blender.engine.speech import HOP, RECEPTIVE, SAMPLE_RATE_HZ, SpeechEncoder
from codetalker_blender.errors import Cancelled
from tests.engine.tiny import tiny_configs
from tests.engine.variants import variant_networks

ROOT = Path(__file__).resolve().parents[2]
#: flavour, changes: every way that a clip is heard as a whole
WHOLE_CLIP = {
    "official at 30": ("vocaset", {}),
    "official at 25": ("biwi", {}),
    "layer norm": ("vocaset", {"feature_norm": "layer"}),
    "nothing of the file": ("biwi", {"feature_norm": "layer", "level": "fixed"}),
    "log mel at 30": ("vocaset", {"front_end": "log_mel"}),
    "log mel at 25": ("biwi", {"front_end": "log_mel", "level": "fixed"}),
}
ALL = pytest.mark.parametrize("name", WHOLE_CLIP)
#: The last 50 Hz frame alone in its piece; half a spectrum more or less at the end.
LENGTHS = pytest.mark.parametrize(
    "samples",
    [
        round(EXACT_S * SAMPLE_RATE_HZ) + 1,
        RECEPTIVE + HOP * (5 * PIECE_FRAMES),
        RECEPTIVE + HOP * (5 * PIECE_FRAMES) - 1,
        RECEPTIVE + HOP * 1100 + HOP // 2,
        RECEPTIVE + HOP * 1100 + HOP // 2 - 1,
    ],
)


def encoder(name: str, seed: int = 0) -> SpeechEncoder:
    """Random weights with attention that matters: transformers' own start leaves next to none."""
    flavour, changes = WHOLE_CLIP[name]
    torch.manual_seed(seed)
    made = SpeechEncoder(dataclasses.replace(tiny_configs(flavour, 42)[2], **changes))  # type: ignore[arg-type]
    with torch.no_grad():
        for layer in made.network.encoder.layers:
            for weight in (each for each in layer.parameters() if each.ndim == 2):
                weight.normal_(std=weight.shape[1] ** -0.5)
    return made.eval()


def voice(samples: int, seed: int = 0) -> Tensor:
    """A buzz of changing pitch in changing noise, with syllables and an offset."""
    random = torch.Generator().manual_seed(seed)

    def wander(rate_hz: float) -> Tensor:
        points = torch.rand(1, 1, round(samples / SAMPLE_RATE_HZ * rate_hz), generator=random)
        return F.interpolate(points, size=samples, mode="linear")[0, 0]

    phase = torch.cumsum(100 + 150 * wander(3), dim=0) * (2 * torch.pi / SAMPLE_RATE_HZ)
    buzz = torch.stack([torch.sin(k * phase) / k for k in range(1, 9)]).sum(dim=0)
    return 0.2 * wander(6) * (buzz + 0.3 * torch.randn(samples, generator=random)) + 0.02


def drone(seconds: float) -> Tensor:
    """Tones that repeat with the 50 Hz frames and swell over many seconds: features that hardly move."""
    time_s = torch.arange(round(seconds * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    tones = [
        torch.sin(2 * torch.pi * hertz * time_s) * (1 + torch.sin(2 * torch.pi * time_s / period_s + hertz))
        for hertz, period_s in ((150, 7.0), (400, 11.0), (1000, 17.0), (2050, 23.0))
    ]
    return 0.1 * torch.stack(tones).sum(dim=0)


def whole(speech: SpeechEncoder, samples: Tensor) -> Tensor:
    return speech.whole(speech.levelled(samples[None]), speech.motion_frames(len(samples)))


def change(features: Tensor) -> Tensor:
    """(1, n, hidden) -> (n - 1,): how far the features move from frame to frame."""
    return (features[0, 1:] - features[0, :-1]).square().sum(dim=-1).sqrt()


def largest(difference: Tensor, of: Tensor) -> float:
    return float(difference.abs().max() / of.abs().max())


# -- statistics, frames and places: equal ------------------------------------------------------------


def test_moments_of_uneven_pieces_are_those_of_the_whole() -> None:
    values = torch.randn(3, 10_001, generator=torch.Generator().manual_seed(0))
    values = values * torch.tensor([[1.0], [1e-3], [5.0]]) + torch.tensor([[0.0], [0.5], [-30.0]])
    moments = Moments()
    for piece in values.split([1, 4_000, 17, 5_983], dim=1):
        moments.add(piece)
    mean, variance = moments.result()
    torch.testing.assert_close(mean, values.double().mean(dim=1), rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(variance, values.double().var(dim=1, correction=0), rtol=1e-4, atol=0.0)


@ALL
@LENGTHS
@torch.inference_mode()
def test_frames_in_pieces_are_the_whole_clips(name: str, samples: int) -> None:
    speech, sound = encoder(name), voice(samples)
    frames = speech.convolve(speech.levelled(sound[None]))
    pieces = LongSound(speech, sound)
    assert pieces.length == frames.shape[1]
    # overlapping, as the windows ask for them
    for start in range(0, pieces.length, 100):
        stop = min(start + 330, pieces.length)
        got = pieces.frames(start, stop)
        assert got.shape == frames[:, start:stop].shape
        assert largest(got - frames[:, start:stop], frames) < 1e-5


@torch.inference_mode()
def test_frames_that_are_gone_are_refused() -> None:
    speech = encoder("official at 30")
    pieces = LongSound(speech, voice(25 * SAMPLE_RATE_HZ))
    pieces.frames(0, 200)
    pieces.frames(100, 200)
    with pytest.raises(ValueError, match="99"):
        pieces.frames(99, 200)


@ALL
@torch.inference_mode()
def test_places_of_motion_frames_are_the_whole_clips(name: str) -> None:
    speech, sound = encoder(name), voice(round(33.7 * SAMPLE_RATE_HZ))
    motion_frames = speech.motion_frames(len(sound))
    frames = speech.convolve(speech.levelled(sound[None]))
    exact = speech.aligned(frames.double(), motion_frames)
    pieces, count = LongSound(speech, sound), exact.shape[1]
    for start in range(0, count, 70):
        stop = min(start + 111, count)
        got = aligned_part(pieces, speech, motion_frames, start, stop)
        assert largest(got - exact[:, start:stop], frames) < 1e-5
        # float32 places of the whole clip are themselves off by 1e-4 of a frame
        assert largest(got - speech.aligned(frames, motion_frames)[:, start:stop], frames) < 5e-4


# -- windows -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [599, 600, 601, 869, 870, 1_139, 5_400, 108_000])
@pytest.mark.parametrize(("rate_hz", "reach"), [(30.0, 64), (50.0, 64), (12.5, 8), (30.0, 2_000)])
def test_windows_cover_the_clip_and_blend_inside_both(count: int, rate_hz: float, reach: int) -> None:
    windows = windows_of(count, rate_hz, reach)
    spans = list(windows)
    assert spans[0][0] == 0
    assert spans[-1][1] == count
    assert {stop - start for start, stop in spans} == {windows.length}
    margin = CONTEXT_S * rate_hz + reach
    for (_, left_stop), join, (right_start, _) in zip(spans[:-1], windows.joins, spans[1:], strict=True):
        assert join - right_start >= margin
        assert left_stop - (join + windows.fade) >= margin
    ends = [join + windows.fade for join in windows.joins]
    assert all(end < join for end, join in zip(ends, windows.joins[1:], strict=False))
    assert windows.fade >= FADE_S * rate_hz


@pytest.mark.parametrize(("rate_hz", "kernel"), [(30.0, 128), (50.0, 128)])
def test_official_windows_are_no_longer_than_what_is_exact(rate_hz: float, kernel: int) -> None:
    assert windows_of(100_000, rate_hz, kernel // 2).length <= EXACT_S * rate_hz


@ALL
@pytest.mark.parametrize("seconds", [EXACT_S, 12.34])
@torch.inference_mode()
def test_short_clips_are_encoded_at_once(name: str, seconds: float) -> None:
    speech, sound = encoder(name), voice(round(seconds * SAMPLE_RATE_HZ))
    calls: list[tuple[int, int]] = []
    features = speech.features(sound, lambda done, total: calls.append((done, total)))
    assert torch.equal(features, whole(speech, sound))
    assert calls == [(0, 1), (1, 1)]


@ALL
@pytest.mark.parametrize("samples", [round(EXACT_S * SAMPLE_RATE_HZ) + 1, round(22.1 * SAMPLE_RATE_HZ)])
@torch.inference_mode()
def test_just_over_the_limit_features_are_nearly_the_whole_clips(name: str, samples: int) -> None:
    """Random attention looks everywhere alike, so that missing seconds show: 1 to 2.7 % of a feature.

    Windows without context on their sides are off by 1.9 to 4.3 %.
    """
    speech, sound = encoder(name), voice(samples)
    features, wanted = speech.features(sound), whole(speech, sound)
    assert features.shape == wanted.shape
    assert features.dtype == wanted.dtype
    off = (features - wanted).norm(dim=-1) / wanted.norm(dim=-1)
    assert float(off.mean()) < 0.03
    pair = torch.stack((features.flatten(), wanted.flatten()))
    assert float(torch.corrcoef(pair)[0, 1]) > 0.999


@pytest.mark.parametrize("name", ["official at 25", "official at 30"])
@torch.inference_mode()
def test_joins_move_no_more_than_the_rest(name: str) -> None:
    """On sound that hardly moves, two windows that cut hard would jump by ten times their usual change."""
    speech, sound = encoder(name), drone(40.0)
    features, wanted = speech.features(sound), whole(speech, sound)
    rate = round(speech.config.fps * speech.config.speech_frames)
    windows = windows_of(features.shape[1], rate, speech.config.position_kernel // 2)
    assert len(windows.joins) >= 2
    moved = change(features)
    at_joins = torch.cat([moved[join - 1 : join + windows.fade + 1] for join in windows.joins])
    inside = change(wanted)[rate:-rate]  # a clip's own ends do move
    assert float(at_joins.max()) < 1.5 * float(inside.max())
    # the windows do disagree, or nothing was to be blended
    assert largest(features - wanted, wanted) > 0.01


@torch.inference_mode()
def test_far_sound_is_not_heard() -> None:
    speech, sound = encoder("nothing of the file"), voice(60 * SAMPLE_RATE_HZ)
    changed = sound.clone()
    changed[50 * SAMPLE_RATE_HZ : 51 * SAMPLE_RATE_HZ] = 0.5
    before, after = speech.features(sound), speech.features(changed)
    assert torch.equal(before[:, : 30 * 50], after[:, : 30 * 50])
    # nor by the other side
    assert not torch.equal(before[:, 45 * 50 : 50 * 50], after[:, 45 * 50 : 50 * 50])
    changed = sound.clone()
    changed[:SAMPLE_RATE_HZ] = 0.5
    assert torch.equal(before[:, 21 * 50 :], speech.features(changed)[:, 21 * 50 :])


@pytest.mark.parametrize("name", ["official at 30", "layer norm"])
@torch.inference_mode()
def test_far_sound_acts_through_the_statistics_of_the_file(name: str) -> None:
    """A loud end makes the start quieter, by as much as it does in the whole clip."""
    speech, sound = encoder(name), voice(45 * SAMPLE_RATE_HZ)
    loud = sound.clone()
    loud[40 * SAMPLE_RATE_HZ :] *= 20.0
    first = LongSound(speech, loud).frames(0, 500)
    assert largest(first - LongSound(speech, sound).frames(0, 500), first) > 0.01
    assert largest(first - speech.convolve(speech.levelled(loud[None]))[:, :500], first) < 1e-5


@torch.inference_mode()
def test_chunked_encoders_are_left_alone() -> None:
    speech = variant_networks("streamable")[2]
    sound = voice(round(22.5 * SAMPLE_RATE_HZ))
    frames = speech.motion_frames(len(sound))
    assert torch.equal(speech.features(sound), torch.cat(list(speech.iterate(sound, 23)), dim=1)[:, :frames])


# -- progress, cancelling, memory --------------------------------------------------------------------


@ALL
@torch.inference_mode()
def test_progress_counts_up_to_its_total(name: str) -> None:
    calls: list[tuple[int, int]] = []
    encoder(name).features(voice(41 * SAMPLE_RATE_HZ), lambda done, total: calls.append((done, total)))
    done, totals = zip(*calls, strict=True)
    assert len(set(totals)) == 1
    assert done[0] == 0
    assert done[-1] == totals[0]
    assert list(done) == sorted(done)
    # no step is a large part of the whole
    assert max(after - before for before, after in itertools.pairwise(done)) < 0.2 * totals[0]


@torch.inference_mode()
def test_raising_stops_at_any_step() -> None:
    speech, sound = encoder("official at 30"), voice(25 * SAMPLE_RATE_HZ)
    calls: list[int] = []
    speech.features(sound, lambda done, total: calls.append(done))
    for last in range(0, len(calls), 3):
        seen: list[int] = []

        def stop(done: int, total: int, seen: list[int] = seen, last: int = last) -> None:
            seen.append(done)
            if len(seen) > last:
                raise Cancelled

        with pytest.raises(Cancelled):
            speech.features(sound, stop)
        assert seen == calls[: last + 1]


_PEAK = """
import dataclasses, pathlib, torch
from codetalker_blender.engine.speech import SpeechEncoder
from tests.engine.tiny import tiny_configs

def peak_mb():
    # not ru_maxrss: a new program inherits its parent's
    status = pathlib.Path("/proc/self/status").read_text()
    return int(status.split("VmHWM:")[1].split()[0]) / 1024

torch.set_num_threads(1)
config = dataclasses.replace(tiny_configs("vocaset", 42)[2], conv_dim=96)
speech = SpeechEncoder(config).eval()
with torch.inference_mode():
    sounds = [0.1 * torch.randn(seconds * 16_000) for seconds in (25, 180)]
    for sound in sounds:
        features = speech.features(sound)
        print(peak_mb())
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads its peak from /proc")
def test_memory_does_not_grow_with_the_clip() -> None:
    """The first convolution of three minutes alone has 220 MB of outputs; a piece has 6 MB."""
    run = subprocess.run(
        [sys.executable, "-c", _PEAK], cwd=ROOT, capture_output=True, text=True, timeout=240, check=True
    )
    short, long = (float(line) for line in run.stdout.split())
    assert long - short < 40.0
