"""A small data set whose motion follows its sound, for tests of training that need no synthesiser."""

from __future__ import annotations

import dataclasses

import numpy as np

from codetalker_blender.contracts import Waveform
from training.config import PRESETS, Preset, Schedule, SpeechStage
from training.datasets.clip import Clip, Dataset, Phone
from training.parts import PartSizes

from ..engine.tiny import STYLES, grid_face

FPS = 30.0


def made_dataset(clips: int = 4, seconds: float = 4.0, seed: int = 0) -> Dataset:
    """Tones of two pitches; one opens the mouth of a bent sheet, the other moves its brow."""
    random = np.random.default_rng(seed)
    face = grid_face()
    deltas = np.zeros((3, face.vertex_count, 3), np.float32)
    deltas[0, face.regions["lips"], 2] = -0.010
    deltas[1, face.regions["upper_face"], 2] = 0.005
    deltas[2, :, 1] = 0.002
    made = []
    for number in range(clips):
        frames = round(seconds * FPS)
        switches = np.repeat(random.integers(0, 2, (int(seconds * 2), 2)), 15, axis=0)[:frames].astype(float)
        weights = np.zeros((frames, 3), np.float32)
        weights[:, :2] = switches
        times = np.arange(int(seconds * 16000)) / 16000
        loud = np.repeat(switches, 16000 // 30 + 1, axis=0)[: len(times)]
        sound = 0.1 * (
            loud[:, 0] * np.sin(2 * np.pi * 220 * times) + loud[:, 1] * np.sin(2 * np.pi * 880 * times)
        )
        spans = [(i / 2, "aa" if weights[i * 15, 0] > 0.5 else "b") for i in range(int(seconds * 2))]
        made.append(
            Clip(
                name=f"made{number}",
                style=number % len(STYLES),
                voice="tone",
                waveform=Waveform(sound.astype(np.float32), 16000),
                fps=FPS,
                weights=weights,
                phones=tuple(Phone(label, start, start + 0.5) for start, label in spans),
            )
        )
    return Dataset(face, ("open", "brow", "shift"), deltas, STYLES, tuple(made))


def small_preset(codebook: int = 60, speech: int = 20, query: int = 20) -> Preset:
    """The shipped preset at a width and length that a test can wait for."""
    base = PRESETS["tiny"]

    def schedule(steps: int) -> Schedule:
        return Schedule(steps=steps, batch=4, window_s=2.0, rate=2e-3, warm_up=5, ema=0.9)

    return dataclasses.replace(
        base,
        codec=dataclasses.replace(
            base.codec, hidden=32, heads=4, mlp=32, code_count=16, components=4, code_dim=8
        ),
        parts=PartSizes(components=(2, 1, 1), hidden=(16, 8, 8)),
        query=dataclasses.replace(
            base.query,
            hidden=32,
            mlp=32,
            layers=2,
            speech_dim=32,
            code_count=16,
            components=4,
            code_dim=8,
            dropout=0.0,
        ),
        speech=dataclasses.replace(
            base.speech,
            conv_dim=16,
            hidden=32,
            layers=1,
            mlp=32,
            position_kernel=8,
            position_groups=4,
            dropout=0.0,
        ),
        codebook_stage=dataclasses.replace(base.codebook_stage, schedule=schedule(codebook)),
        speech_stage=SpeechStage(schedule(speech)),
        query_stage=dataclasses.replace(base.query_stage, schedule=schedule(query)),
    )
