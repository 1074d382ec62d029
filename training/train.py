"""A preset from corpus to bundle: speech encoder, codebook, code query, export.

    python -m training.train --preset default --run build/run --output assets/models/default

Everything is seeded; the run folder holds the preset, the log and the time that each stage took.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from codetalker_blender.engine.bundle import Bundle, check_bundle_place, save_bundle
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import SpeechEncoder
from codetalker_blender.errors import UserError
from codetalker_blender.model_files import FORMAT_VERSION, ModelCard

from .config import PRESETS, Preset
from .datasets import synthetic
from .datasets.clip import Dataset
from .gaps import lip_gaps
from .loop import RunFolder
from .parts import keep_apart, shape_parts
from .sounds import make_sounds
from .train_codebook import fit_scales, set_apart, train_codebook
from .train_query import train_query
from .train_speech import train_speech
from .windows import VertexBasis, WindowSampler, motion_metric, vertex_basis

#: Frames of the corpus that are searched for where lip and teeth touch.
GAP_FRAMES = 4000


def fitted(preset: Preset, dataset: Dataset, basis: VertexBasis) -> Preset:
    """The preset with the sizes that the data decides."""
    rank = len(basis.rows)
    codec = dataclasses.replace(preset.codec, vertex_count=dataset.face.vertex_count, basis_rank=rank)
    query = dataclasses.replace(preset.query, motion_dim=rank, styles=len(dataset.styles))
    return dataclasses.replace(preset, codec=codec, query=query)


def train(preset: Preset, dataset: Dataset, run: RunFolder, name: str) -> Bundle:
    """All three stages on ``dataset``; the bundle's networks are in evaluation mode."""
    torch.manual_seed(preset.seed)
    part = shape_parts(dataset.deltas, dataset.face) if preset.parts else None
    basis = vertex_basis(dataset.deltas, part)
    preset = fitted(preset, dataset, basis)
    encoder, codec, query = SpeechEncoder(preset.speech), Codec(preset.codec), CodeQuery(preset.query)
    codec.vertex_basis.copy_(torch.from_numpy(basis.rows))
    sounds = make_sounds(dataset.clips, encoder, preset.seed)
    sampler = WindowSampler(dataset, basis, sounds, preset.speech.fps, preset.seed)
    metric = motion_metric(basis.rows, dataset.face, preset.region_weights)
    motion = np.concatenate(sampler.motion)
    gaps = lip_gaps(dataset.face, basis.rows, motion[:: max(1, len(motion) // GAP_FRAMES)])
    (run.folder / "preset.json").write_text(
        json.dumps(dataclasses.asdict(preset), indent=1), encoding="utf-8"
    )
    seconds: dict[str, float] = {}

    def timed(stage: str, started: float) -> None:
        seconds[stage] = round(time.monotonic() - started, 1)
        run.log("time", {stage: seconds[stage]})

    fit_scales(codec, query, torch.from_numpy(motion))
    if preset.parts is not None:
        keep_apart(codec, preset.parts, torch.from_numpy(basis.part))
    started = time.monotonic()
    train_codebook(codec, sampler, metric, gaps, preset.codebook_stage, run, preset.seed)
    timed("codebook_s", started)
    save_file(codec.state_dict(), run.folder / "codec.safetensors")
    started = time.monotonic()
    train_speech(encoder, sampler, metric, gaps, preset.speech_stage, run)
    timed("speech_s", started)
    save_file(encoder.state_dict(), run.folder / "speech.safetensors")
    started = time.monotonic()
    regressed = torch.from_numpy((basis.part == 0).astype(np.float32))
    train_query(encoder, codec, query, sampler, metric, gaps, regressed, preset.query_stage, run, preset.seed)
    timed("query_s", started)
    for network in (encoder, codec, query):
        network.requires_grad_(True)
    temperature = 0.0
    if query.config.categorical:
        set_apart(codec, query)
        temperature = 1.0
    card = _card(preset, dataset, name, seconds, temperature)
    return Bundle(card, dataset.face, codec, query, encoder).eval()


def _card(
    preset: Preset, dataset: Dataset, name: str, seconds: dict[str, float], temperature: float
) -> ModelCard:
    hours = dataset.duration_s / 3600
    voices = sorted({clip.voice for clip in dataset.clips})
    return ModelCard(
        format_version=FORMAT_VERSION,
        name=name,
        description=f"Made speech ({hours:.2f} h, {len(voices)} voices) on the demo head; streamable.",
        licence="CC0-1.0",
        fps=preset.speech.fps,
        units_per_metre=1.0,
        up_axis="Z",
        styles=dataset.styles,
        temperature=temperature,
        codec={},
        query={},
        speech={},
        files={},
        notes={
            "data": "speech by flite and espeak-ng; motion by an articulation model on their phone times",
            "hours": round(hours, 3),
            "clips": len(dataset.clips),
            "voices": voices,
            "seed": preset.seed,
            "training_seconds": seconds,
        },
    )


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        prog="training.train", description=__doc__.splitlines()[0] if __doc__ else ""
    )
    parser.add_argument("--preset", choices=sorted(PRESETS), default="default")
    parser.add_argument(
        "--run", type=Path, default=Path("build/run"), help="folder for the log and the stages"
    )
    parser.add_argument("--output", type=Path, required=True, help="folder of the bundle to write")
    parser.add_argument("--name", default=None, help="the bundle's name (default: the output folder's)")
    parser.add_argument(
        "--minutes", type=float, default=None, help="minutes of speech in place of the preset's"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cache", type=Path, default=Path("build/corpus"), help="folder of the made corpus")
    options = parser.parse_args(arguments)
    preset = dataclasses.replace(PRESETS[options.preset], seed=options.seed)
    minutes = options.minutes or preset.corpus_minutes
    try:
        check_bundle_place(options.output)
        dataset = synthetic.build(options.seed, minutes, cache_dir=options.cache)
        bundle = train(preset, dataset, RunFolder(options.run), options.name or options.output.name)
        save_bundle(options.output, bundle, half=True)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"The bundle is in {options.output}, the log in {options.run / 'log.jsonl'}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
