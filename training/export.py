"""A run → a model bundle with its card.

    python -m training.export --run build/run --output models/mine --licence "CC BY 4.0" --metrics scores.json

The networks come from the stages' last checkpoints; what they are, from the run's ``model.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from torch import nn

from codetalker_blender.engine.bundle import (
    Bundle,
    check_bundle_place,
    load_strictly,
    read_config,
    save_bundle,
)
from codetalker_blender.engine.codebook import Codec, CodecConfig
from codetalker_blender.engine.query import CodeQuery, QueryConfig
from codetalker_blender.engine.speech import SpeechConfig, SpeechEncoder
from codetalker_blender.errors import UserError
from codetalker_blender.model_files import FORMAT_VERSION, ModelCard

from .checkpoints import CheckpointFolder
from .model_record import ModelRecord, read_record
from .scores import ALL_VOICES
from .train_codebook import set_apart


def export(folder: Path, name: str, licence: str = "", metrics: dict[str, Any] | None = None) -> Bundle:
    """The bundle of the finished run in ``folder``, in evaluation mode.

    licence: "" takes that of the run's data; metrics: for the card, see :func:`read_metrics`
    Raises UserError when the run is not finished, or a licence is wanted.
    """
    record, face = read_record(folder)
    licence = licence or record.licence
    if not licence:
        raise UserError(
            f"'{folder}' learnt from data that is not ours ({record.data}): its licence must be given.",
            "Give --licence; the data's owners say what a model of it may be used for.",
        )
    where = str(folder / "model.json")
    codec = Codec(read_config(CodecConfig, record.codec, where))
    query = CodeQuery(read_config(QueryConfig, record.query, where))
    encoder = SpeechEncoder(read_config(SpeechConfig, record.speech, where))
    networks: dict[str, tuple[nn.Module, ...]] = {"codebook": (codec,), "query": (encoder, query)}
    seconds = {
        stage: _load(folder, stage, steps, networks.get(stage, ())) for stage, steps in record.stages.items()
    }
    if query.config.categorical:
        set_apart(codec, query)
    card = _card(record, name, licence, seconds, metrics)
    return Bundle(card, face, codec, query, encoder).eval()


def _load(folder: Path, stage: str, steps: int, networks: Sequence[nn.Module]) -> float:
    """Fill ``networks`` from the stage's last checkpoint; the seconds that it took.  Raises UserError."""
    checkpoints = CheckpointFolder(folder / "checkpoints" / stage)
    state = checkpoints.newest()
    done = 0 if state is None else int(state["done"])
    if state is None or done < steps:
        raise UserError(
            f"The stage '{stage}' of '{folder}' has {done} of {steps} steps.",
            "Go on with --resume before the export.",
        )
    for network, tensors in zip(networks, state["networks"], strict=False):
        load_strictly(network, tensors, str(checkpoints.folder))
    return round(float(state["seconds"]), 1)


def _card(
    record: ModelRecord,
    name: str,
    licence: str,
    seconds: dict[str, float],
    metrics: dict[str, Any] | None,
) -> ModelCard:
    notes: dict[str, Any] = {
        "data": record.data,
        "hours": record.hours,
        "clips": record.clips,
        "voices": list(record.voices),
        "seed": record.seed,
        "training_seconds": {f"{stage}_s": value for stage, value in seconds.items()},
    }
    if metrics is not None:
        notes["metrics"] = metrics
    amount = f"{record.hours:.2f} h, {len(record.voices)} voice{'s' * (len(record.voices) != 1)}"
    return ModelCard(
        format_version=FORMAT_VERSION,
        name=name,
        description=f"Trained on {record.data} ({amount}){'; streamable' if record.streamable else ''}.",
        licence=licence,
        fps=record.fps,
        units_per_metre=record.units_per_metre,
        up_axis=record.up_axis,
        styles=record.styles,
        temperature=record.temperature,
        codec={},
        query={},
        speech={},
        files={},
        notes=notes,
    )


def read_metrics(path: Path) -> dict[str, Any]:
    """The split and the measures over all clips of a scores.json that `training.evaluate` wrote.

    Raises UserError.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
        values = document["totals"][ALL_VOICES]
        measures = {str(name): float(f"{value:.4g}") for name, value in values.items() if value is not None}
        return {"split": str(document["split"]), **measures}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(
            f"'{path}' cannot be read as scores: {error!r}.",
            "Give a scores.json of `python -m training.evaluate`.",
        ) from error


def save(folder: Path, bundle: Bundle, run: Path) -> None:
    """Write the bundle in the precision that the run's kind of motion needs.  Raises UserError."""
    record, _ = read_record(run)
    save_bundle(folder, bundle, half=record.half)


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit code 2 for what the user can cure."""
    parser = argparse.ArgumentParser(prog="python -m training.export", description="A run → a model bundle.")
    parser.add_argument("--run", type=Path, required=True, metavar="DIR", help="folder of the finished run")
    parser.add_argument(
        "--output", type=Path, required=True, metavar="DIR", help="folder of the bundle to write"
    )
    parser.add_argument("--name", help="the bundle's name (default: the output folder's)")
    parser.add_argument("--licence", default="", help="of the model; needed for data that is not ours")
    parser.add_argument(
        "--metrics", type=Path, metavar="FILE", help="scores.json of training.evaluate, for the card"
    )
    options = parser.parse_args(arguments)
    try:
        check_bundle_place(options.output)
        metrics = read_metrics(options.metrics) if options.metrics else None
        name = options.name or options.output.absolute().name
        save(options.output, export(options.run, name, options.licence, metrics), options.run)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    print(f"The bundle is in {options.output}.")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
