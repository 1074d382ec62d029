"""Data sets that would spoil training are named, not trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from codetalker_blender.contracts import Waveform
from training.datasets.clip import Clip, Dataset, Phone, ShapeMotion, problems

from .made_head import made_head


def sound_dataset() -> Dataset:
    head = made_head()
    random = np.random.default_rng(0)
    clips = tuple(
        Clip(
            name=f"clip{number}",
            style=number % 2,
            voice="made",
            waveform=Waveform(random.normal(0, 0.1, 16000).astype(np.float32), 16000),
            fps=30.0,
            weights=random.random((30, len(head.shape_names))).astype(np.float32),
            phones=(Phone("pau", 0.0, 0.4), Phone("aa", 0.4, 1.0)),
        )
        for number in range(3)
    )
    return Dataset(head.face, head.shape_names, head.deltas, ("neutral", "lively"), clips)


def test_a_sound_dataset_has_no_problems() -> None:
    dataset = sound_dataset()
    assert problems(dataset) == []
    assert dataset.duration_s == pytest.approx(3.0)


def test_offsets_are_the_weighted_sum_of_the_shapes() -> None:
    dataset = sound_dataset()
    clip = dataset.clips[0]
    offsets = dataset.offsets(clip)
    by_hand = sum(clip.weights[7, k] * dataset.deltas[k] for k in range(len(dataset.shape_names)))
    assert offsets.shape == (30, 10, 3)
    assert offsets[7] == pytest.approx(by_hand, abs=1e-7)
    assert ShapeMotion(clip.weights[:0]).offsets(dataset.deltas).shape == (0, 10, 3)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"waveform": Waveform(np.ones(8000, np.float32), 8000)}, "8000 Hz"),
        ({"waveform": Waveform(np.zeros(16000, np.float32), 16000)}, "all zero"),
        ({"waveform": Waveform(np.full(16000, np.nan, np.float32), 16000)}, "finite"),
        ({"waveform": Waveform(np.ones(24000, np.float32), 16000)}, "-0.50 s longer"),
        ({"weights": np.zeros((30, 3), np.float32)}, "weights must be"),
        ({"fps": 0.0}, "not positive"),
        ({"style": 2}, "style 2"),
        ({"name": "clip1"}, "same name"),
        ({"phones": (Phone("aa", 0.0, 0.5), Phone("m", 0.4, 0.6))}, "overlap at 0.400"),
        ({"phones": (Phone("aa", 0.5, 0.4),)}, "ends before"),
    ],
)
def test_each_problem_of_a_clip_is_named(change: dict[str, object], told: str) -> None:
    dataset = sound_dataset()
    clips = (dataclasses.replace(dataset.clips[0], **change), *dataset.clips[1:])  # type: ignore[arg-type]
    found = problems(dataclasses.replace(dataset, clips=clips))
    assert len(found) == 1
    assert told in found[0]


def test_problems_of_the_whole_are_named() -> None:
    dataset = sound_dataset()
    assert "deltas have shape" in problems(dataclasses.replace(dataset, deltas=dataset.deltas[:, :5]))[0]
    assert problems(dataclasses.replace(dataset, clips=())) == ["There is no clip."]
