"""Training lowers its losses, sees what generation sees, and ends in a bundle that runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from codetalker_blender.engine.bundle import load_bundle, save_bundle
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.generate import generate
from codetalker_blender.engine.speech import SpeechEncoder
from training import losses
from training.config import Schedule
from training.loop import RunFolder, optimise, rate_at
from training.train import fitted, train
from training.train_codebook import CodebookRestarts
from training.windows import WindowSampler, motion_metric, vertex_basis

from ..engine.tiny import tiny_configs, tiny_networks
from .made import made_dataset, small_preset


def stage_lines(folder: Path, stage: str) -> list[dict[str, float]]:
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if line["stage"] == stage]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All three stages on made tones, saved as a bundle beside the run's log."""
    folder = tmp_path_factory.mktemp("run")
    dataset = made_dataset()
    bundle = train(
        small_preset(codebook=100, speech=150, query=150), dataset, RunFolder(folder, quiet=True), "made"
    )
    save_bundle(folder / "bundle", bundle, half=True)
    return folder


@pytest.mark.parametrize(
    ("stage", "name"), [("codebook", "motion_mm"), ("speech", "phone"), ("query", "motion_mm")]
)
def test_every_stage_lowers_its_own_loss(trained: Path, stage: str, name: str) -> None:
    lines = stage_lines(trained, stage)
    assert len(lines) >= 2
    assert lines[-1][name] < 0.8 * lines[0][name]


def test_the_trained_bundle_loads_and_follows_the_sound(trained: Path) -> None:
    bundle = load_bundle(trained / "bundle")
    dataset = made_dataset()
    clip = dataset.clips[0]
    style = np.eye(3, dtype=np.float32)[clip.style][None]
    motion = generate(bundle, clip.waveform, style)
    truth = dataset.offsets(clip)
    lips = dataset.face.regions["lips"]
    moved, wanted = motion.offsets[:, lips, 2].mean(1), truth[: motion.frame_count, lips, 2].mean(1)
    assert motion.frame_count == clip.frame_count
    assert np.corrcoef(moved, wanted[: len(moved)])[0, 1] > 0.5


def test_a_run_is_reproducible_by_its_seed(tmp_path: Path) -> None:
    states = []
    for name in ("a", "b"):
        bundle = train(small_preset(10, 5, 5), made_dataset(), RunFolder(tmp_path / name, quiet=True), name)
        states.append(bundle.state_dict())
    assert all(torch.equal(states[0][key], states[1][key]) for key in states[0])


def test_cached_convolutions_equal_raw_chunks_and_generation() -> None:
    """What training reads from its cache is what generation computes from the sound."""
    preset, dataset = small_preset(), made_dataset(clips=1)
    encoder = SpeechEncoder(preset.speech).eval()
    basis = vertex_basis(dataset.deltas)
    raw = WindowSampler(dataset, basis, encoder, seed=3, augment=False)
    cached = WindowSampler(dataset, basis, encoder, seed=3, augment=False)
    cached.cache_convolutions(1)
    cached.random = np.random.default_rng(3)
    raw.random = np.random.default_rng(3)
    with torch.inference_mode():
        whole = encoder.features(torch.from_numpy(dataset.clips[0].waveform.samples))
        from_sound = encoder.chunks(torch.stack(raw._sound(0, 0, 4)))
        from_cache = encoder.chunk_features(torch.stack(cached._sound(0, 0, 4)))
        later_sound = encoder.chunks(torch.stack(raw._sound(0, 33, 2)))
        later_cache = encoder.chunk_features(torch.stack(cached._sound(0, 33, 2)))
    torch.testing.assert_close(from_sound.flatten(0, 1)[None], whole, atol=1e-5, rtol=0)
    # the cache is float16
    torch.testing.assert_close(from_cache, from_sound, atol=5e-3, rtol=0)
    torch.testing.assert_close(later_cache, later_sound, atol=5e-3, rtol=0)


def test_windows_past_the_end_are_rest_and_silence() -> None:
    preset, dataset = small_preset(), made_dataset(clips=1, seconds=1.0)
    encoder = SpeechEncoder(preset.speech).eval()
    sampler = WindowSampler(dataset, vertex_basis(dataset.deltas), encoder, seed=0, augment=False)
    batch = sampler.draw(2, 4)
    assert batch.motion.shape[1] == 120
    assert batch.motion[:, 60:].abs().max() == 0
    assert (batch.phones[:, 60:] == sampler.labels.index("pau")).all()


def test_the_basis_is_orthonormal_and_exact_within_its_bound() -> None:
    dataset = made_dataset()
    basis = vertex_basis(dataset.deltas)
    assert len(basis.rows) == 3
    np.testing.assert_allclose(basis.rows @ basis.rows.T, np.eye(3), atol=1e-5)
    back = (basis.from_weights @ basis.rows).reshape(dataset.deltas.shape)
    assert np.linalg.norm(back - dataset.deltas, axis=-1).max() * 1e3 <= 0.1 >= basis.error_mm


def test_too_rich_motion_for_the_basis_is_refused() -> None:
    deltas = np.random.default_rng(0).standard_normal((12, 42, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="no basis of rank <= 4"):
        vertex_basis(deltas, largest=4)


def test_the_weighted_error_is_the_vertices_own() -> None:
    """In coefficients it must equal the weighted root mean square over vertices, in mm."""
    dataset = made_dataset()
    basis = vertex_basis(dataset.deltas)
    lips = dataset.face.regions["lips"]
    metric = motion_metric(basis.rows, dataset.face, {"lips": 3.0}, lip_gap_weight=2.0)
    random = np.random.default_rng(0)
    error = random.standard_normal((5, 3)).astype(np.float32) * 0.01
    offsets = (error @ basis.rows).reshape(5, -1, 3)
    share = np.full(dataset.face.vertex_count, 1 / dataset.face.vertex_count)
    share[lips] += 3.0 / len(lips)
    share /= share.sum()
    upper, lower = offsets[:, dataset.face.mid_lips].transpose(1, 0, 2)
    gap = 2.0 * np.square(upper - lower).sum(-1)
    wanted = 1e3 * np.sqrt((np.square(offsets).sum(-1) * share).sum(-1) + gap).mean()
    got = losses.weighted_motion(torch.from_numpy(error), torch.zeros(5, 3), metric)
    assert float(got) == pytest.approx(wanted, rel=1e-3)


def test_dead_codes_are_replaced_by_encoder_outputs() -> None:
    codec = tiny_networks(*tiny_configs("streamable", 42))[0]
    restarts = CodebookRestarts(codec, seed=0)
    latent = torch.randn(1, 6, 32)
    codes = codec.quantiser.nearest(latent)
    restarts.saw(latent, codes)
    used = set(codes.flatten().tolist())
    before = codec.quantiser.codebook.detach().clone()
    assert restarts.restart() == 32 - len(used)
    changed = (codec.quantiser.codebook.detach() != before).any(dim=1)
    assert {i for i in range(32) if not changed[i]} == used
    vectors = latent.reshape(-1, 8)
    assert all((vectors == row).all(dim=1).any() for row in codec.quantiser.codebook.detach()[changed])


def test_warm_up_and_cosine() -> None:
    schedule = Schedule(steps=100, batch=1, window_s=1, rate=1.0, warm_up=10)
    rates = [rate_at(step, schedule) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == rates[10] == pytest.approx(1.0)
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[-1] < 0.03


def test_averaged_weights_are_kept(tmp_path: Path) -> None:
    """With a noisy loss the average ends nearer the optimum than the last step does."""

    def distance(ema: float) -> float:
        torch.manual_seed(0)
        layer = torch.nn.Linear(1, 1, bias=False)
        noise = torch.Generator().manual_seed(0)

        def noisy(step: int) -> dict[str, torch.Tensor]:
            return {"total": (layer.weight - 1 - 3 * torch.randn(1, generator=noise)).square().mean()}

        schedule = Schedule(steps=400, batch=1, window_s=1, rate=0.1, warm_up=1, weight_decay=0.0, ema=ema)
        optimise("noisy", (layer,), noisy, schedule, RunFolder(tmp_path, quiet=True))
        return abs(float(layer.weight.detach()) - 1)

    assert distance(0.99) < 0.3


def test_a_diverging_run_stops_with_its_step(tmp_path: Path) -> None:
    layer = torch.nn.Linear(1, 1)
    with pytest.raises(FloatingPointError, match="at step 0"):
        optimise(
            "broken",
            (layer,),
            lambda step: {"total": layer.weight.sum() * float("inf")},
            Schedule(steps=3, batch=1, window_s=1, rate=1.0),
            RunFolder(tmp_path, quiet=True),
        )


def test_presets_take_their_sizes_from_the_data() -> None:
    dataset = made_dataset()
    preset = fitted(small_preset(), dataset, vertex_basis(dataset.deltas))
    assert (preset.codec.vertex_count, preset.codec.basis_rank, preset.query.motion_dim) == (42, 3, 3)
    assert Codec(preset.codec).config.causal
