"""Speech to motion: the cached, fused loop against a plain one, lengths, styles, seeds, cancelling."""

from __future__ import annotations

import copy
import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor

from codetalker_blender.contracts import FloatArray, Motion, Waveform
from codetalker_blender.engine.bundle import Bundle
from codetalker_blender.engine.code_loop import CodeLoop, CodeSampler
from codetalker_blender.engine.devices import choose_device
from codetalker_blender.engine.generate import generate
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import SAMPLE_RATE_HZ
from codetalker_blender.errors import BundleError, Cancelled, EngineError
from tests.engine.tiny import STYLES, tiny_networks
from tests.engine.variants import VARIANTS, variant_bundle, variant_networks

NEUTRAL = np.array([[1.0, 0.0, 0.0]], np.float32)


def speechlike(seconds: float, seed: int = 0) -> Waveform:
    random = np.random.default_rng(seed)
    count = round(seconds * SAMPLE_RATE_HZ)
    envelope = 0.5 + 0.5 * np.sin(np.arange(count) / SAMPLE_RATE_HZ * 25.0)
    return Waveform((0.1 * envelope * random.standard_normal(count)).astype(np.float32), SAMPLE_RATE_HZ)


@pytest.fixture(scope="module")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Bundle]:
    folder = tmp_path_factory.mktemp("bundles")
    return {name: variant_bundle(folder / name.replace(" ", "_"), name) for name in VARIANTS}


def run(bundle: Bundle, waveform: Waveform, style: FloatArray = NEUTRAL, **options: object) -> Motion:
    return generate(bundle, waveform, style, device="cpu", **options)  # type: ignore[arg-type]


# -- the loop ------------------------------------------------------------------------------------


def plain_codes(bundle: Bundle, speech: Tensor, style: Tensor) -> Tensor:
    """Codes (steps, H) by the definition: everything recomputed at every step, feedback as 3V numbers."""
    codec, query = bundle.codec, bundle.query
    unit = query.config.temporal_unit
    steps = speech.shape[1] // (query.config.speech_frames * unit)
    past, codes = torch.zeros(1, 1, query.config.motion_dim), []
    for _ in range(steps):
        heard = speech[:, : past.shape[1] * query.config.speech_frames * unit]
        features, logits = query(heard, past, style[:, : past.shape[1]])
        parts = []
        if features is not None:
            parts.append(codec.quantiser.nearest(features[:, -1]))
        if logits is not None:
            parts.append(logits[:, -1].argmax(-1))
        codes.append(torch.cat(parts, dim=-1))
        decoded = codec.decode(torch.stack(codes, dim=1))
        # through vertex offsets and back, as the definition has it
        newest = codec.to_motion(codec.to_offsets(decoded[:, -1:])) - codec.still()
        past = torch.cat((past, newest), dim=1)
    return torch.cat(codes)


@pytest.mark.parametrize("name", VARIANTS)
@torch.inference_mode()
def test_cached_loop_equals_the_plain_one(bundles: dict[str, Bundle], name: str) -> None:
    bundle = bundles[name]
    # the plain form starts as training does, with the bias of motion_map
    query = CodeQuery(dataclasses.replace(bundle.query.config, bias_free_start=False)).eval()
    query.load_state_dict(bundle.query.state_dict())
    bundle = Bundle(bundle.card, bundle.face, bundle.codec, query, bundle.speech)
    unit = query.config.speech_frames * query.config.temporal_unit
    random = torch.Generator().manual_seed(8)
    speech = torch.randn(1, 24 * unit, query.config.speech_dim, generator=random)
    style = torch.rand(1, 24, len(STYLES), generator=random)
    loop = CodeLoop(bundle.codec, query, speech, style, CodeSampler(0.0, 0))
    fast = torch.cat([loop.step()[0] for _ in range(loop.steps)])
    assert torch.equal(fast, plain_codes(bundle, speech, style))
    assert len(torch.unique(fast, dim=0)) > 3  # the weights do give motion


@torch.inference_mode()
def test_official_start_leaves_out_the_bias() -> None:
    codec, query, _ = variant_networks("vocaset")
    assert query.config.bias_free_start
    speech, style = torch.randn(1, 4, query.config.speech_dim), torch.eye(3)[None, :1]
    loop = CodeLoop(codec, query, speech, style, CodeSampler(0.0, 0))
    state = query.start(4)
    query.hear(speech, state)
    features, _ = query.step(query.style_vectors(style), state)
    assert features is not None
    assert torch.equal(loop.step()[0], codec.quantiser.nearest(features[:, 0]))


@torch.inference_mode()
def test_a_batch_of_clips_equals_each_alone() -> None:
    for name in ("vocaset", "streamable"):
        codec, query, _ = variant_networks(name)
        random = torch.Generator().manual_seed(2)
        speech = torch.randn(3, 20, query.config.speech_dim, generator=random)
        style = torch.rand(3, 1, 3, generator=random)
        loop = CodeLoop(codec, query, speech, style, CodeSampler(0.0, 0))
        together = torch.stack([loop.step()[0] for _ in range(20)], dim=1)
        for clip in range(3):
            mine = slice(clip, clip + 1)
            loop = CodeLoop(codec, query, speech[mine], style[mine], CodeSampler(0.0, 0))
            assert torch.equal(torch.cat([loop.step()[0] for _ in range(20)]), together[clip])


# -- whole clips ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("seconds", [0.1, 1.37])
def test_motion_of_a_clip(bundles: dict[str, Bundle], name: str, seconds: float) -> None:
    bundle, waveform = bundles[name], speechlike(seconds)
    motion = run(bundle, waveform)
    frames = bundle.speech.motion_frames(len(waveform.samples))
    unit = bundle.codec.config.temporal_unit
    assert motion.offsets.shape == (frames, bundle.face.vertex_count, 3)
    assert motion.offsets.dtype == np.float32
    assert np.isfinite(motion.offsets).all()
    assert motion.codes.shape == (frames, bundle.codec.config.components)
    # a step's codes stand for its P frames
    firsts = np.repeat(motion.codes[::unit], unit, axis=0)[:frames]
    np.testing.assert_array_equal(motion.codes, firsts)
    assert motion.codes.dtype == np.int32
    assert (motion.fps, motion.model_fps) == (bundle.card.fps, bundle.card.fps)
    # the offsets are the decoder's, of the codes alone
    with torch.inference_mode():
        steps = torch.from_numpy(motion.codes[::unit].astype(np.int64))
        decoded = bundle.codec.decode(steps[None])[0, :frames]
        expected = bundle.codec.to_offsets(decoded).unflatten(-1, (-1, 3)).numpy()
    np.testing.assert_allclose(motion.offsets, expected, rtol=0.0, atol=1e-5)


def test_the_coldest_temperatures_take_the_nearest_code(bundles: dict[str, Bundle]) -> None:
    """However small: dividing by it must not overflow into nonsense."""
    bundle = bundles["streamable"]
    nearest = run(bundle, speechlike(1.0))
    for temperature in (1e-40, 1e-7, 1e-5):
        drawn = run(bundle, speechlike(1.0), temperature=temperature)
        np.testing.assert_array_equal(drawn.codes, nearest.codes)


def test_offsets_are_metres(bundles: dict[str, Bundle]) -> None:
    bundle = bundles["vocaset"]
    card = dataclasses.replace(bundle.card, units_per_metre=4.0)
    scaled = Bundle(card, bundle.face, bundle.codec, bundle.query, bundle.speech)
    one, quarter = run(bundle, speechlike(0.5)), run(scaled, speechlike(0.5))
    np.testing.assert_allclose(quarter.offsets, one.offsets / 4.0, rtol=1e-6)


def shallow(bundle: Bundle) -> Bundle:
    """The same with one layer in each network, for long clips."""
    networks = tiny_networks(
        dataclasses.replace(bundle.codec.config, layers=1),
        dataclasses.replace(bundle.query.config, layers=1),
        dataclasses.replace(bundle.speech.config, layers=1),
    )
    return Bundle(bundle.card, bundle.face, *networks)


@pytest.mark.parametrize(("name", "seconds", "frame"), [("vocaset", 20.2, 601), ("biwi", 24.2, 601)])
def test_there_is_no_longest_clip(bundles: dict[str, Bundle], name: str, seconds: float, frame: int) -> None:
    motion = run(shallow(bundles[name]), speechlike(seconds))
    assert motion.frame_count >= frame
    assert np.isfinite(motion.offsets).all()
    assert len(np.unique(motion.codes[-100:], axis=0)) > 1


def test_streamable_has_no_longest_clip_and_hears_no_future(bundles: dict[str, Bundle]) -> None:
    bundle, waveform = shallow(bundles["streamable"]), speechlike(200.1)
    motion = run(bundle, waveform)
    assert motion.frame_count == 6003
    assert np.isfinite(motion.offsets).all()
    assert len(np.unique(motion.codes[6001 - 100 :], axis=0)) > 1
    # what comes more than a chunk and its context later has no part in it
    piece = run(bundle, Waveform(waveform.samples[: 6 * SAMPLE_RATE_HZ], SAMPLE_RATE_HZ))
    np.testing.assert_array_equal(piece.codes[:150], motion.codes[:150])
    np.testing.assert_allclose(piece.offsets[:150], motion.offsets[:150], rtol=0.0, atol=1e-6)


# -- style ---------------------------------------------------------------------------------------


def style_of(name: str) -> FloatArray:
    return np.eye(len(STYLES), dtype=np.float32)[[STYLES.index(name)]]


@pytest.mark.parametrize("name", ["vocaset", "streamable", "pairs", "streamable pairs"])
def test_style_per_frame(bundles: dict[str, Bundle], name: str) -> None:
    bundle, waveform = bundles[name], speechlike(2.0)
    neutral, lively = run(bundle, waveform), run(bundle, waveform, style_of("lively"))
    assert not np.array_equal(neutral.codes, lively.codes)
    frames = bundle.speech.motion_frames(len(waveform.samples))
    constant = np.repeat(NEUTRAL, frames, axis=0)
    np.testing.assert_array_equal(run(bundle, waveform, constant).codes, neutral.codes)
    # a style that changes half-way leaves the first half as it was, and no more than that
    half = (frames // 2 + 2) // 2 * 2
    changing = constant.copy()
    changing[half:] = style_of("lively")
    changed = run(bundle, waveform, changing).codes
    step = half // bundle.codec.config.temporal_unit
    np.testing.assert_array_equal(changed[:step], neutral.codes[:step])
    assert not np.array_equal(changed[step:], neutral.codes[step:])
    # the last row holds on
    np.testing.assert_array_equal(run(bundle, waveform, changing[: half + 1]).codes, changed)
    # rows beyond the end change nothing
    longer = np.concatenate((changing, np.repeat(NEUTRAL, 50, axis=0)))
    np.testing.assert_array_equal(run(bundle, waveform, longer).codes, changed)
    # even where a step's first frame is not the last row's
    late = constant.copy()
    late[half - 1 :] = style_of("lively")
    np.testing.assert_array_equal(
        run(bundle, waveform, late[:half]).codes[half:], run(bundle, waveform, late).codes[half:]
    )


def test_style_mix_lies_between(bundles: dict[str, Bundle]) -> None:
    bundle, waveform = bundles["vocaset"], speechlike(1.0)
    mix = 0.5 * style_of("neutral") + 0.5 * style_of("calm")
    codes = [run(bundle, waveform, style).codes for style in (style_of("neutral"), mix, style_of("calm"))]
    assert not np.array_equal(codes[0], codes[1])
    assert not np.array_equal(codes[1], codes[2])


def test_a_blend_is_the_style_between_the_two_in_the_embedding(bundles: dict[str, Bundle]) -> None:
    """Linear: a model whose own style lies at the blend's point of the embedding speaks as the blend does."""
    bundle, waveform = bundles["streamable"], speechlike(1.0)
    mix = 0.3 * style_of("neutral") + 0.7 * style_of("calm")
    other = copy.deepcopy(bundle)
    with torch.no_grad():
        rows = other.query.style_embedding
        rows[STYLES.index("lively")] = 0.3 * rows[STYLES.index("neutral")] + 0.7 * rows[STYLES.index("calm")]
    blended = run(bundle, waveform, mix)
    np.testing.assert_array_equal(blended.codes, run(other, waveform, style_of("lively")).codes)
    assert not np.array_equal(blended.codes, run(bundle, waveform, style_of("lively")).codes)


@pytest.mark.parametrize(
    "style", [np.ones((1, 2)), np.ones(3), np.zeros((0, 3)), np.array([[np.nan, 0.0, 0.0]])]
)
def test_styles_that_do_not_fit_are_refused(bundles: dict[str, Bundle], style: FloatArray) -> None:
    with pytest.raises(BundleError, match="3"):
        run(bundles["vocaset"], speechlike(0.2), style.astype(np.float32))


# -- sampling ------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vocaset", "streamable", "some classes", "all classes"])
def test_seeds_and_temperature(bundles: dict[str, Bundle], name: str) -> None:
    bundle, waveform = bundles[name], speechlike(1.0)
    nearest = run(bundle, waveform, temperature=0.0, seed=1).codes
    np.testing.assert_array_equal(run(bundle, waveform, temperature=0.0, seed=2).codes, nearest)
    drawn = run(bundle, waveform, temperature=20.0, seed=1).codes
    np.testing.assert_array_equal(run(bundle, waveform, temperature=20.0, seed=1).codes, drawn)
    assert not np.array_equal(drawn, nearest)
    assert not np.array_equal(run(bundle, waveform, temperature=20.0, seed=2).codes, drawn)
    # the colder, the nearer
    cold = run(bundle, waveform, temperature=1e-4, seed=1).codes
    assert (cold == nearest).mean() > (drawn == nearest).mean()


def test_the_card_s_temperature_is_the_default(bundles: dict[str, Bundle]) -> None:
    bundle, waveform = bundles["vocaset"], speechlike(1.0)
    card = dataclasses.replace(bundle.card, temperature=20.0)
    warm = Bundle(card, bundle.face, bundle.codec, bundle.query, bundle.speech)
    by_card, asked = run(warm, waveform, seed=4), run(bundle, waveform, temperature=20.0, seed=4)
    np.testing.assert_array_equal(by_card.codes, asked.codes)


def test_codes_are_drawn_by_their_distance() -> None:
    distances = torch.tensor([0.1, 0.3, 0.9, 2.0])
    scores = -distances.expand(20_000, 1, 4)
    drawn = CodeSampler(0.5, seed=0).choose(scores).flatten()
    shares = torch.bincount(drawn, minlength=4) / len(drawn)
    torch.testing.assert_close(shares, (-distances / 0.5).softmax(0), rtol=0.0, atol=0.015)


# -- callbacks and devices -----------------------------------------------------------------------


@pytest.mark.parametrize("name", ["vocaset", "streamable"])
def test_progress_only_moves_forward(bundles: dict[str, Bundle], name: str) -> None:
    said: list[tuple[str, int, int]] = []
    motion = run(bundles[name], speechlike(2.3), progress=lambda *report: said.append(report))
    order = list(dict.fromkeys(stage for stage, _, _ in said))
    assert order == ["speech", "codes", "motion"]
    for stage in order:
        done = [report[1] for report in said if report[0] == stage]
        total = {report[2] for report in said if report[0] == stage}
        assert done == sorted(done)
        assert len(total) == 1
        assert done[-1] == total.pop()
    assert said[-1] == ("motion", motion.frame_count, motion.frame_count)


@pytest.mark.parametrize("name", ["vocaset", "streamable"])
@pytest.mark.parametrize("after", [0, 1, 7])
def test_cancelling_stops_within_one_step(bundles: dict[str, Bundle], name: str, after: int) -> None:
    steps: list[int] = []

    def progress(stage: str, done: int, _total: int) -> None:
        if stage == "codes":
            steps.append(done)

    with pytest.raises(Cancelled):
        run(bundles[name], speechlike(1.5), progress=progress, cancelled=lambda: len(steps) >= after)
    assert len(steps) == after


def test_cancelling_during_speech(bundles: dict[str, Bundle]) -> None:
    chunks: list[str] = []
    with pytest.raises(Cancelled):
        run(
            bundles["streamable"],
            speechlike(9.0),
            progress=lambda stage, _done, _total: chunks.append(stage),
            cancelled=lambda: len(chunks) >= 2,
        )
    assert chunks == ["speech", "speech"]


def test_devices_that_are_not_there() -> None:
    assert choose_device("auto").type in ("cuda", "mps", "cpu")
    assert choose_device("cpu").type == "cpu"
    with pytest.raises(EngineError, match="no device called 'abacus'"):
        choose_device("abacus")
    absent = [name for name in ("cuda", "mps") if choose_device("auto").type != name]
    for name in absent:
        with pytest.raises(EngineError, match=name):
            choose_device(name)


def test_another_sample_rate_is_a_bug_of_the_caller(bundles: dict[str, Bundle]) -> None:
    with pytest.raises(ValueError, match="16000"):
        run(bundles["vocaset"], Waveform(np.zeros(8000, np.float32), 8000))
