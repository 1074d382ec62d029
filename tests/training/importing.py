"""The import command as the tests run it: a complete set of files, and what it answered."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from codetalker_blender.engine.bundle import Bundle, load_bundle
from tests.engine import golden
from training import import_official

TEMPLATE = golden.arrays("vocaset")["c0_template"].reshape(-1, 3)


class Importer:
    """Runs the command in a folder, and says what it answered."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.folder, self.output = folder, folder / "bundle"
        self._capsys = capsys
        np.save(folder / "template.npy", TEMPLATE)

    def run(self, *extra: object, flavour: str = "vocaset", **files: object) -> int:
        """``files``: option name -> value, on top of a complete set."""
        options: dict[str, object] = {
            "stage1": golden.checkpoint(flavour, 1),
            "stage2": golden.checkpoint(flavour, 2),
            "template": self.folder / "template.npy",
            "output": self.output,
        } | files
        arguments = [f"--{name}={value}" for name, value in options.items()]
        return import_official.main([*arguments, *golden.HEAD_OPTIONS, *map(str, extra)])

    def bundle(self, *extra: object, flavour: str = "vocaset", **files: object) -> Bundle:
        assert self.run(*extra, flavour=flavour, **files) == 0
        return load_bundle(self.output)

    def refusal(self, *extra: object, flavour: str = "vocaset", **files: object) -> str:
        """The one line of a refused import, which must have left the folder as it was."""
        before = sorted(self.folder.rglob("*"))
        self._capsys.readouterr()
        assert self.run(*extra, flavour=flavour, **files) == 2
        said = self._capsys.readouterr()
        assert said.out == ""
        assert len(said.err.splitlines()) == 1
        assert sorted(self.folder.rglob("*")) == before
        return said.err


def state_of(flavour: str, stage: int) -> dict[str, Tensor]:
    loaded: dict[str, Tensor] = torch.load(golden.checkpoint(flavour, stage), weights_only=True)["state_dict"]
    return loaded


def write_state(path: Path, state: dict[str, Tensor]) -> Path:
    torch.save({"state_dict": state}, path)
    return path
