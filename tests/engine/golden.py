"""The golden files as data: small models of the original layout and what the original made with them."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codetalker_blender.contracts import FloatArray
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.official import OfficialOptions, load_stage1, load_stage2
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import SpeechEncoder

FOLDER = Path(__file__).resolve().parent.parent / "golden"
FLAVOURS = ("vocaset", "biwi")
#: Generation cases, stage-1 sequences and teacher-forced sequences of each golden file.
CASES, SEQUENCES = range(6), range(3)
#: The small models have 4 heads everywhere.
OPTIONS = OfficialOptions(codec_heads=4, query_heads=4, speech_heads=4)
HEAD_OPTIONS = ("--codec-heads", "4", "--query-heads", "4", "--speech-heads", "4")


def checkpoint(flavour: str, stage: int) -> Path:
    return FOLDER / f"{flavour}_stage{stage}.pth.tar"


@functools.cache
def arrays(flavour: str) -> dict[str, NDArray[Any]]:
    """Every array of the flavour's golden file."""
    with np.load(FOLDER / f"golden_{flavour}.npz") as archive:
        return {name: archive[name] for name in archive.files}


def tensor(flavour: str, name: str) -> Tensor:
    return torch.from_numpy(arrays(flavour)[name])


@dataclass(frozen=True)
class Networks:
    codec: Codec
    query: CodeQuery
    speech: SpeechEncoder


def fresh_networks(flavour: str) -> Networks:
    """The small model, loaded anew: for tests that train it."""
    codec = load_stage1(checkpoint(flavour, 1), OPTIONS)
    return Networks(codec, *load_stage2(checkpoint(flavour, 2), codec.config, OPTIONS))


@functools.cache
def networks(flavour: str) -> Networks:
    """The small model, loaded once: for tests that leave it as it is."""
    return fresh_networks(flavour)


def style_mix(flavour: str, case: int) -> FloatArray:
    """The case's style as mix weights: (1, styles)."""
    values = arrays(flavour)
    first, second = values[f"c{case}_style"]
    share = float(values[f"c{case}_weight"])
    mix = np.zeros((1, networks(flavour).query.config.styles), np.float32)
    mix[0, first] += share if second >= 0 else 1.0
    if second >= 0:
        mix[0, second] += 1.0 - share
    return mix


@functools.cache
def official_shapes() -> dict[str, dict[str, tuple[int, ...]]]:
    """``{flavour}_stage{n}`` -> tensor name -> shape, of the released full-size checkpoints."""
    content = json.loads((FOLDER / "official_keys.json").read_text(encoding="utf-8"))
    return {file: {name: tuple(shape) for name, shape in shapes.items()} for file, shapes in content.items()}
