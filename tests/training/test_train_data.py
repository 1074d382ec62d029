"""Any data set trains: recorded vertices and blendshape curves, on a vertex basis or as all the vertices."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from codetalker_blender.engine.bundle import load_bundle, save_bundle
from codetalker_blender.engine.generate import generate
from codetalker_blender.errors import UserError
from training.config import PRESETS, Preset, Schedule
from training.datasets.biwi import read_biwi
from training.datasets.blendshapes import read_blendshapes
from training.datasets.clip import Dataset
from training.datasets.folder import read_folder
from training.datasets.vocaset import read_vocaset
from training.processes import Processes
from training.recorded_basis import clip_coefficients, principal_rows, sampled_offsets
from training.run_folder import RunFolder
from training.setup import at_rate, fitted, make_setup, resampled
from training.stages import DataNotes, run_stages
from training.train import train
from training.windows import WindowSampler, recorded_basis

from . import made_recordings
from .made import made_dataset, small_preset
from .made_recordings import VERTICES

NOTES = DataNotes("made recordings", licence="CC0-1.0")


def wave(folder: Path) -> Path:
    """Give the copy's faces a motion that can be learnt, in place of noise."""
    for path in (folder / "vertices_npy").glob("*.npy"):
        frames = np.load(path)
        times = np.linspace(0.0, 1.0, len(frames)).reshape(-1, *[1] * (frames.ndim - 1))
        size = 2.0 * frames.std(axis=0).mean()
        np.save(path, (frames.mean(axis=0) + size * np.sin(9.0 * times)).astype(np.float32))
    for path in (folder / "curves").glob("*"):
        names = made_recordings.CURVE_NAMES
        count = len(made_recordings.curve_weights(path.stem))
        weights = 0.5 + 0.5 * np.sin(np.linspace(0.0, 9.0, count)[:, None] + np.arange(len(names)))
        if path.suffix == ".npy":
            np.save(path, weights.astype(np.float32))
        else:
            made_recordings.write_csv(path, names, weights)
    return folder


def read(kind: str, root: Path) -> Dataset:
    """The training split of a small made copy."""
    if kind == "vocaset":
        return read_vocaset(wave(made_recordings.vocaset_processed(root)), "train", vertex_count=VERTICES)
    if kind == "biwi":
        return read_biwi(wave(made_recordings.biwi(root)), "train", vertex_count=VERTICES)
    if kind == "folder":
        return read_folder(wave(made_recordings.folder(root)), "train")
    return read_blendshapes(wave(made_recordings.curves(root)), "train", root / "head")


def small_paper(name: str) -> Preset:
    """The paper's preset at a width that a test can wait for.

    Without stage 2's motion error: so few codes pass its gradient on as chance has it.  test_paper.py holds
    both losses to the golden ones.
    """
    base = PRESETS[name]

    def soon(schedule: Schedule, epochs: int) -> Schedule:
        return replace(schedule, epochs=epochs, rate=1e-3)

    speech = replace(
        base.speech, conv_dim=8, hidden=16, layers=1, heads=2, mlp=16, position_kernel=8, position_groups=4
    )
    codec = replace(base.codec, hidden=32, layers=1, heads=2, mlp=32, code_count=16, components=4, code_dim=8)
    codec = replace(codec, dropout=0.0)
    query = replace(
        base.query,
        speech_dim=16,
        hidden=32,
        layers=1,
        heads=2,
        mlp=32,
        code_count=16,
        components=4,
        code_dim=8,
    )
    query, speech = replace(query, dropout=0.0), replace(speech, dropout=0.0)
    assert base.speech_stage is not None
    return replace(
        base,
        codec=codec,
        query=query,
        speech=speech,
        speech_stage=replace(base.speech_stage, schedule=soon(base.speech_stage.schedule, 5)),
        codebook_stage=replace(base.codebook_stage, schedule=soon(base.codebook_stage.schedule, 80)),
        query_stage=replace(base.query_stage, schedule=soon(base.query_stage.schedule, 40), mse_weight=0.0),
    )


def errors(folder: Path, stage: str) -> list[float]:
    """The stage's error, of codes or else of motion, report by report."""
    lines = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    names = ("feature",) if stage == "query" else ("motion_mm", "l1")
    return [line[name] for line in lines if line["stage"] == stage for name in names if name in line]


def assert_learns_and_generates(preset: Preset, dataset: Dataset, folder: Path) -> None:
    run = RunFolder(folder / "run", quiet=True, report_every=10)
    bundle = train(preset, dataset, run, "made", NOTES)
    save_bundle(folder / "bundle", bundle)
    for stage in ("codebook", "query"):
        curve = errors(folder / "run", stage)
        assert min(curve[1:]) < 0.95 * curve[0], stage
    loaded, clip = load_bundle(folder / "bundle"), dataset.clips[0]
    style = np.eye(len(dataset.styles), dtype=np.float32)[[clip.style]]
    motion = generate(loaded, clip.waveform, style, device="cpu", temperature=0.0)
    assert motion.fps == clip.fps
    assert abs(motion.frame_count - clip.frame_count) <= 2
    assert motion.offsets.shape[1:] == (dataset.face.vertex_count, 3)
    assert loaded.card.styles == dataset.styles


@pytest.mark.parametrize("kind", ["vocaset", "biwi", "folder", "blendshapes"])
def test_windows_of_any_data_set_train(kind: str, tmp_path: Path) -> None:
    dataset = read(kind, tmp_path / "data")
    assert_learns_and_generates(small_preset(codebook=60, speech=10, query=40), dataset, tmp_path)


@pytest.mark.parametrize(
    ("preset", "kind"),
    [("vocaset", "vocaset"), ("biwi", "biwi"), ("vocaset", "folder"), ("vocaset", "blendshapes")],
)
def test_whole_clips_of_any_data_set_train_as_in_the_paper(preset: str, kind: str, tmp_path: Path) -> None:
    dataset = read(kind, tmp_path / "data")
    small = small_paper(preset)
    assert_learns_and_generates(small, dataset, tmp_path)
    card = load_bundle(tmp_path / "bundle").card
    assert card.units_per_metre == pytest.approx(dataset.units_per_metre)
    face = load_bundle(tmp_path / "bundle").face
    np.testing.assert_allclose(face.vertices / card.units_per_metre, dataset.face.vertices, atol=1e-6)


@pytest.mark.parametrize("kind", ["biwi", "folder"])
def test_whole_clips_are_in_the_data_sets_own_units_and_windows_in_metres(kind: str, tmp_path: Path) -> None:
    dataset = read(kind, tmp_path)
    assert dataset.units_per_metre != 1.0
    paper = make_setup(small_paper("vocaset"), dataset, Processes(cpu=True))
    clip, motion = paper.sampler.example(10)
    wanted = dataset.offsets(clip).reshape(clip.frame_count, -1)[:10]
    np.testing.assert_allclose(motion / dataset.units_per_metre, wanted, rtol=1e-5, atol=1e-8)
    batch = paper.sampler.draw(1, 0)
    sums = [float(np.abs(dataset.offsets(c)).sum() * dataset.units_per_metre) for c in dataset.clips]
    assert any(float(batch.motion.abs().sum()) == pytest.approx(total, rel=1e-4) for total in sums)
    ours = make_setup(small_preset(), dataset, Processes(cpu=True))
    assert isinstance(ours.sampler, WindowSampler)
    back = ours.codec.to_offsets(torch.from_numpy(ours.sampler.motion[0][:5]))
    first = dataset.offsets(dataset.clips[0]).reshape(-1, back.shape[1])[:5]
    np.testing.assert_allclose(back, first, atol=1e-3)
    assert (ours.units_per_metre, paper.units_per_metre) == (1.0, dataset.units_per_metre)


@pytest.mark.parametrize("paper", [False, True])
def test_the_speech_encoder_may_learn_phones_elsewhere(paper: bool, tmp_path: Path) -> None:
    """Recorded data knows no phones; made speech of another head and frame rate does."""
    dataset, speech = read("folder", tmp_path / "data"), made_dataset(clips=2, seconds=2.0)
    preset = small_paper("vocaset") if paper else small_preset(codebook=3, speech=10, query=3)
    run = RunFolder(tmp_path / "run", quiet=True, report_every=5)
    setup = make_setup(preset, dataset, run.processes, speech_dataset=speech)
    run_stages(setup, dataset, run, NOTES, ("speech",))
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["phone"] < lines[0]["phone"]
    assert setup.preset.speech.fps == 25.0


def test_shape_weights_at_another_frame_rate_are_the_same_motion() -> None:
    dataset = made_dataset(clips=1)
    ramp = np.linspace(0.0, 1.0, dataset.clips[0].frame_count, dtype=np.float32)[:, None].repeat(3, axis=1)
    dataset = replace(dataset, clips=(replace(dataset.clips[0], weights=ramp),))
    clip = resampled(dataset, 25.0).clips[0]
    assert (clip.fps, clip.frame_count) == (25.0, 100)
    times = np.arange(100) / 25.0
    wanted = np.minimum(times * 30.0 / (len(ramp) - 1), 1.0)
    np.testing.assert_allclose(clip.weights[:, 0], wanted, atol=1e-6)
    assert resampled(dataset, 30.0).clips[0] is dataset.clips[0]


def test_only_the_training_split_is_heard(tmp_path: Path) -> None:
    dataset = read("vocaset", tmp_path)
    assert {clip.voice for clip in dataset.clips} == set(made_recordings.VOCASET_TRAINED)


def test_presets_follow_the_data(tmp_path: Path) -> None:
    """No shapes: no parts; 25 frames per second: the encoder's grid at that rate."""
    dataset = read("biwi", tmp_path)
    basis = recorded_basis(dataset)
    preset = fitted(PRESETS["default"], dataset, basis)
    assert preset.parts is None
    assert preset.query.categorical == 0
    assert (preset.speech.fps, preset.query.period, preset.query.styles) == (25.0, 25, 6)
    assert preset.speech.chunk_s == 2.0
    assert preset.speech.context_s == 0.32
    untouched = fitted(PRESETS["default"], made_dataset(), recorded_basis(made_dataset()))
    assert untouched.speech == PRESETS["default"].speech


@pytest.mark.parametrize(("fps", "context_s"), [(30.0, 0.3), (25.0, 0.32), (60.0, 0.3), (24.0, 0.5)])
def test_chunks_lie_on_whole_frames_of_both_rates(fps: float, context_s: float) -> None:
    assert at_rate(PRESETS["default"].speech, fps).context_s == context_s


def test_rates_that_a_preset_cannot_serve_are_refused() -> None:
    with pytest.raises(UserError, match=r"29\.97 frames per second"):
        at_rate(PRESETS["default"].speech, 29.97)
    with pytest.raises(UserError, match="needs 25 per second, not 30"):
        at_rate(PRESETS["biwi"].speech, 30.0)


# The basis of recorded motion -------------------------------------------------------------------


def test_principal_rows_find_the_directions_and_their_error() -> None:
    random = np.random.default_rng(0)
    directions = np.linalg.qr(random.standard_normal((90, 5)))[0].T
    sizes = np.array([0.02, 0.01, 0.005, 0.002, 0.001])
    frames = ((random.standard_normal((300, 5)) * sizes) @ directions).astype(np.float32)
    rows, error_mm = principal_rows(frames, largest=128, tolerance_mm=1e-3)
    assert rows.shape == (5, 90)
    np.testing.assert_allclose(rows @ rows.T, np.eye(5), atol=1e-5)
    np.testing.assert_allclose(frames @ rows.T @ rows, frames, atol=1e-6)
    rows, error_mm = principal_rows(frames, largest=3, tolerance_mm=1e-3)
    left = (frames - frames @ rows.T @ rows).reshape(300, 30, 3)
    assert len(rows) == 3
    assert error_mm == pytest.approx(1e3 * np.sqrt(np.square(left).sum(-1).mean()), rel=1e-3)
    assert len(principal_rows(frames, 128, error_mm * 1.01)[0]) == 3
    assert len(principal_rows(np.zeros((4, 30), np.float32), 128, 0.1)[0]) == 1


def test_sampled_frames_and_coefficients_are_the_clips_own(tmp_path: Path) -> None:
    dataset = read("folder", tmp_path)
    flat = [dataset.offsets(clip).reshape(clip.frame_count, -1) for clip in dataset.clips]
    np.testing.assert_array_equal(sampled_offsets(dataset, 10_000), np.concatenate(flat))
    assert len(sampled_offsets(dataset, 7)) == 7
    basis = recorded_basis(dataset)
    assert len(basis.rows) <= 128
    back = clip_coefficients(dataset, dataset.clips[1], basis.rows) @ basis.rows
    error = np.linalg.norm((back - flat[1]).reshape(len(back), -1, 3), axis=-1)
    assert 1e3 * np.sqrt(np.square(error).mean()) < 0.2


def test_shapes_and_their_recording_have_the_same_motion() -> None:
    """Blendshape weights read as if the vertices had been recorded."""
    dataset = made_dataset()
    basis = recorded_basis(dataclasses.replace(dataset, shape_names=()))
    # the third shape never moves
    assert len(basis.rows) == 2
    for clip in dataset.clips:
        back = clip_coefficients(dataset, clip, basis.rows) @ basis.rows
        np.testing.assert_allclose(back, dataset.offsets(clip).reshape(len(back), -1), atol=1e-6)
