"""Checkpoints hold what was put in, carry no code, and survive damage; random states come back."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from codetalker_blender.errors import OutputError
from training.checkpoints import CheckpointError, CheckpointFolder, read_checkpoint, write_checkpoint
from training.random_states import global_states, restore, restore_global_states, state_of


def test_what_is_written_is_read(tmp_path: Path) -> None:
    shared = torch.arange(6.0)
    state: dict[str, Any] = {
        "number": 0.1 + 0.2,
        "wide": 2**127 + 1,
        "flags": [True, None, "a"],
        "nested": {
            "8.weight": shared.view(2, 3),
            "tied": shared,
            "bytes": torch.arange(3, dtype=torch.uint8),
        },
        "scalar": torch.tensor(3),
        "half": torch.full((2,), 0.1, dtype=torch.bfloat16),
        "turned": torch.arange(6.0).view(2, 3).T,
        "nothing": torch.zeros(0, 4),
    }
    write_checkpoint(tmp_path / "deep" / "step-00000001.safetensors", state)
    back = read_checkpoint(tmp_path / "deep" / "step-00000001.safetensors")
    assert list(back) == list(state)
    for name in ("number", "wide", "flags"):
        assert back[name] == state[name]
    for name in ("scalar", "half", "turned", "nothing"):
        assert back[name].dtype == state[name].dtype
        assert torch.equal(back[name], state[name])
    assert all(torch.equal(back["nested"][name], value) for name, value in state["nested"].items())


@pytest.mark.parametrize("value", [object(), np.zeros(2), {1: 2.0}, {"$tensor": "x"}])
def test_what_is_not_plain_is_refused_before_anything_is_written(tmp_path: Path, value: object) -> None:
    path = tmp_path / "step-00000001.safetensors"
    with pytest.raises(TypeError, match="thing"):
        write_checkpoint(path, {"thing": value})
    assert not path.exists()


def test_a_pickle_in_a_checkpoints_place_is_not_unpickled(tmp_path: Path) -> None:
    touched = tmp_path / "touched"

    class Bad:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (touched,)

    path = tmp_path / "step-00000001.safetensors"
    torch.save({"state": Bad()}, path)
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(path)
    assert not touched.exists()


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "stage").write_text("a file where the folder should be")
    with pytest.raises(OutputError, match=r"The checkpoint '.*' cannot be written: "):
        CheckpointFolder(tmp_path / "stage").save(1, {"step": 1})


def test_the_two_newest_are_kept_and_the_newest_is_given(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path / "stage")
    assert folder.newest() is None
    for step in (9, 10, 100, 1000):
        folder.save(step, {"step": step})
    assert [path.name for path in folder.paths()] == [
        "step-00000100.safetensors",
        "step-00001000.safetensors",
    ]
    assert folder.newest() == {"step": 1000}


def damaged(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.write_bytes({"cut": data[:-10], "empty": b"", "other": b"\x80\x02}q\x00."}[how])


@pytest.mark.parametrize("how", ["cut", "empty", "other"])
def test_a_damaged_newest_is_passed_over(tmp_path: Path, how: str, caplog: pytest.LogCaptureFixture) -> None:
    folder = CheckpointFolder(tmp_path)
    for step in (1, 2):
        folder.save(step, {"step": step, "weights": torch.ones(50)})
    damaged(folder.paths()[-1], how)
    state = folder.newest()
    assert state is not None
    assert state["step"] == 1
    assert "step-00000002.safetensors' cannot be read" in caplog.text
    damaged(folder.paths()[0], how)
    with pytest.raises(CheckpointError, match=r"step-00000002\.safetensors' cannot be read"):
        folder.newest()


def test_a_checkpoint_of_a_later_format_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "step-00000001.safetensors"
    monkeypatch.setattr("training.checkpoints.CHECKPOINT_FORMAT", 7)
    write_checkpoint(path, {})
    monkeypatch.undo()
    with pytest.raises(CheckpointError, match="has format 7, this version reads 1"):
        read_checkpoint(path)


def through_a_file(folder: Path, state: dict[str, Any]) -> dict[str, Any]:
    write_checkpoint(folder / "state.safetensors", state)
    back = read_checkpoint(folder / "state.safetensors")
    shutil.rmtree(folder)
    return back


def test_the_global_generators_go_on_where_they_were(tmp_path: Path) -> None:
    def draw() -> tuple[float, ...]:
        # a normal draw leaves a second one behind in Python's and numpy's generators
        return (
            random.gauss(0, 1),
            random.random(),
            float(np.random.standard_normal()),
            float(np.random.rand()),
            float(torch.randn(())),
        )

    draw()
    state = through_a_file(tmp_path / "a", global_states(torch.device("cpu")))
    wanted = draw()
    draw()
    restore_global_states(state, torch.device("cpu"))
    assert draw() == wanted


@pytest.mark.parametrize("kind", [np.random.PCG64, np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_numpy_generators_go_on_where_they_were(tmp_path: Path, kind: type) -> None:
    generator = np.random.Generator(kind(3))
    generator.integers(10, size=3, dtype=np.int32)  # leaves half a word behind
    state = through_a_file(tmp_path / "a", state_of(generator))
    wanted = generator.integers(1000, size=20, dtype=np.int32)
    restore(generator, state)
    assert (generator.integers(1000, size=20, dtype=np.int32) == wanted).all()


def test_torch_generators_and_objects_with_a_state_go_on_where_they_were(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(5)
    layer = torch.nn.Linear(2, 2)
    states = through_a_file(tmp_path / "a", {"generator": state_of(generator), "layer": state_of(layer)})
    wanted, weight = torch.rand(4, generator=generator), layer.weight.detach().clone()
    torch.nn.init.zeros_(layer.weight)
    restore(generator, states["generator"])
    restore(layer, states["layer"])
    assert torch.equal(torch.rand(4, generator=generator), wanted)
    assert torch.equal(layer.weight, weight)
