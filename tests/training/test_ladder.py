"""The ladder: each rung is what it says, and the regressor learns and comes back."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from codetalker_blender.contracts import FloatArray
from codetalker_blender.engine.bundle import Bundle
from codetalker_blender.errors import UserError
from tests.training.made import made_dataset, small_preset
from training.datasets.clip import Clip, Dataset
from training.ladder import Ladder, climb, print_table
from training.run_folder import RunFolder
from training.setup import make_setup
from training.stages import NO_NOTES, run_stages
from training.train import train
from training.train_regressor import load_regressor


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return made_dataset()


@pytest.fixture(scope="module")
def trained(dataset: Dataset, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Bundle]:
    """A run of all stages and the regressor."""
    folder = tmp_path_factory.mktemp("ladder") / "run"
    preset = small_preset(codebook=60, speech=60, query=60)
    bundle = train(preset, dataset, RunFolder(folder, quiet=True), "made")
    run = RunFolder(folder, quiet=True, resume=True)
    run_stages(make_setup(preset, dataset, run.processes), dataset, run, NO_NOTES, ("regressor",))
    return folder, bundle


@pytest.fixture
def ladder(trained: tuple[Path, Bundle], dataset: Dataset) -> Ladder:
    folder, bundle = trained
    return Ladder(bundle, dataset, load_regressor(folder, bundle))


def offsets_of(ladder: Ladder, rung: str, clip: Clip) -> FloatArray:
    made = ladder.rungs()[rung](clip)
    return made if isinstance(made, np.ndarray) else made.offsets


def test_the_regressor_learns_and_hears(ladder: Ladder, dataset: Dataset) -> None:
    clip = dataset.clips[0]
    truth, made = dataset.offsets(clip), offsets_of(ladder, "(a) regressor", clip)
    lips = dataset.face.regions["lips"]
    r = np.corrcoef(made[: len(truth), lips, 2].mean(1), truth[: len(made), lips, 2].mean(1))[0, 1]
    assert r > 0.5


def test_true_codes_decoded_are_the_codecs_own_reconstruction(
    ladder: Ladder, trained: tuple[Path, Bundle], dataset: Dataset
) -> None:
    clip, codec = dataset.clips[1], trained[1].codec
    truth = torch.from_numpy(dataset.offsets(clip)).flatten(1)
    with torch.inference_mode():
        rebuilt = codec.to_offsets(codec(codec.to_motion(truth)[None])[0][0])
    np.testing.assert_allclose(
        offsets_of(ladder, "(b) true codes", clip).reshape(len(truth), -1), rebuilt.numpy(), atol=1e-6
    )


def test_the_true_past_is_read_and_no_future(trained: tuple[Path, Bundle], dataset: Dataset) -> None:
    """Other motion from frame 60 on leaves the frames up to it as they were, and changes later ones."""
    clip = dataset.clips[0]
    changed = clip.weights.copy()
    changed[60:] += 30.0  # so far off that no network overlooks it
    other = dataclasses.replace(clip, weights=changed)
    bundle = trained[1]
    # a brow that is drawn by chance would differ by itself
    bundle = Bundle(
        dataclasses.replace(bundle.card, temperature=0.0),
        bundle.face,
        bundle.codec,
        bundle.query,
        bundle.speech,
    )
    first, second = (offsets_of(Ladder(bundle, dataset, None), "(c) true past", c) for c in (clip, other))
    np.testing.assert_array_equal(first[:61], second[:61])
    assert np.abs(first[61:] - second[61:]).max() > 0


def test_every_rung_is_scored(ladder: Ladder, dataset: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    table = climb(ladder.rungs(), dataset, limit=2)
    assert list(table) == ["(a) regressor", "(b) true codes", "(c) true past", "(d) full"]
    assert table["(b) true codes"]["mve_mm"] <= table["(d) full"]["mve_mm"]
    print_table(table)
    assert "lve_mm" in capsys.readouterr().out


def test_a_run_without_regressor_is_named(trained: tuple[Path, Bundle], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="holds no regressor"):
        load_regressor(tmp_path, trained[1])


def test_the_regressor_needs_the_speech_stage(dataset: Dataset, tmp_path: Path) -> None:
    run, preset = RunFolder(tmp_path / "run", quiet=True), small_preset(2, 2, 2)
    with pytest.raises(UserError, match=r"'speech' .* has 0 of 2 steps; the regressor needs it"):
        run_stages(make_setup(preset, dataset, run.processes), dataset, run, NO_NOTES, ("regressor",))
