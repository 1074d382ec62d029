"""Score generated motion against its truth: a bundle's, or a folder's of predictions.

    python -m training.evaluate --model DIR [--data KIND [PATH]] --split NAME [--output DIR]
    python -m training.evaluate --predictions DIR --data KIND PATH --split NAME [--output DIR]

Every clip is generated from its sound alone; phone times are used for scoring, never for
generation (see ``scores.py``).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from codetalker_blender.engine.bundle import load_bundle
from codetalker_blender.errors import UserError
from training.data_source import KINDS, add_source_options, data_source, positive
from training.datasets.clip import Dataset
from training.plots import write_plots
from training.predictors import BundlePredictor, FolderPredictor, bundle_predictor
from training.score_clip import Predictor
from training.score_files import SCORES_FILE, write_scores, write_tables
from training.scores import Evaluation, Sampler, evaluate, print_report

__all__ = ["bundle_predictor", "main"]

BY_SEED, BY_STYLE = "seed", "style"


def parser() -> argparse.ArgumentParser:
    """The command line's options."""
    result = argparse.ArgumentParser(
        prog="python -m training.evaluate", description="Score generated motion against its truth."
    )
    add = result.add_argument
    source = result.add_mutually_exclusive_group(required=True)
    source.add_argument("--model", type=Path, metavar="DIR", help="a bundle that generates the motion")
    source.add_argument(
        "--predictions", type=Path, metavar="DIR", help="a folder with a motion per clip name"
    )
    add("--data", nargs="+", default=["synthetic"], metavar="KIND [PATH]", help=f"one of {', '.join(KINDS)}")
    add("--split", default="validation", help="default: validation")
    add("--limit", type=_whole, metavar="N", help="use the first N clips only")
    add("--output", type=Path, metavar="DIR", help="folder for scores.json, clips.csv, totals.csv and plots")
    add("--json", type=Path, metavar="FILE", help="write what scores.json holds here")
    model = result.add_argument_group("generation (with --model)").add_argument
    model(
        "--temperature", type=_not_negative, metavar="X", help="of drawing codes; default: the bundle's own"
    )
    model("--seed", type=int, default=0, help="of drawing codes")
    model("--style", metavar="NAME", help="one of the bundle's styles for all clips, not each clip's own")
    model("--device", default="cpu", help="auto, cpu, cuda or mps; default: cpu")
    model("--samples", type=_whole, default=0, metavar="N", help="samples per clip, for diversity")
    model("--samples-by", choices=(BY_SEED, BY_STYLE), default=BY_SEED, help="what differs between samples")
    add_source_options(result, KINDS)
    corpus = result.add_argument_group("the made corpus (synthetic)").add_argument
    corpus("--corpus-seed", type=int, default=0)
    corpus("--minutes", type=positive, help="speech in the split (default: its own)")
    return result


def _whole(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1 on")
    return value


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0.0 <= value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a number from 0 on")
    return value


def _progress(done: int, total: int) -> None:
    if done % 20 == 0 and done < total:
        print(f"{done} of {total} clips", file=sys.stderr)


def _evaluate_model(dataset: Dataset, options: argparse.Namespace) -> tuple[Evaluation, str]:
    """The evaluation and the model's name.  Raises UserError."""
    bundle = load_bundle(options.model)
    predict = BundlePredictor(
        bundle, dataset.styles, options.device, temperature=options.temperature, seed=options.seed,
        style=options.style,
    )  # fmt: skip
    predict.check(dataset, dataset.clips[: options.limit])
    sampler: Sampler | None = None
    if options.samples:
        sampler = _sampler(predict, options)
    evaluation = evaluate(
        dataset, predict, limit=options.limit, samples=options.samples, sampler=sampler, report=_progress
    )
    return evaluation, bundle.card.name


def _sampler(predict: BundlePredictor, options: argparse.Namespace) -> Sampler:
    """Raises UserError when the samples that are asked for cannot differ."""
    styles = len(predict.bundle.card.styles)
    if options.samples < 2:
        raise UserError("Diversity needs at least two samples per clip.", "Give --samples 2 or more.")
    if options.samples_by == BY_STYLE:
        if options.samples > styles:
            raise UserError(
                f"{options.samples} samples by style are asked for, but the model has {styles} styles."
            )
        return predict.of_style
    if predict.temperature == 0.0:
        raise UserError(
            "At temperature 0 samples of different seeds are all the same.",
            "Give --temperature above 0, or --samples-by style.",
        )
    return predict.of_seed


def _evaluate_folder(dataset: Dataset, options: argparse.Namespace) -> tuple[Evaluation, str]:
    """The evaluation and the folder's name.  Raises UserError."""
    for name, unset in (("temperature", None), ("style", None), ("samples", 0)):
        if getattr(options, name) != unset:
            raise UserError(f"--{name} is for --model; files of predictions are scored as they are.")
    predict: Predictor = FolderPredictor(options.predictions, dataset, dataset.clips[: options.limit])
    return evaluate(dataset, predict, limit=options.limit, report=_progress), options.predictions.name


def _settings(options: argparse.Namespace) -> dict[str, Any]:
    """All options as plain values, for scores.json."""
    return {
        name: str(value) if isinstance(value, Path) else value
        for name, value in sorted(vars(options).items())
        if value is not None
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table and write what was asked for.  Exit code 2 for what the user can cure."""
    options = parser().parse_args(arguments)
    try:
        source = data_source(options.data)
        dataset = source.open(options.split, options, seed=options.corpus_seed, minutes=options.minutes)
        evaluation, name = (_evaluate_folder if options.model is None else _evaluate_model)(dataset, options)
        print_report(evaluation.totals())
        for note in evaluation.notes():
            print(f"note: {note}")
        about = {"model": name, "split": options.split, "settings": _settings(options)}
        if options.json is not None:
            write_scores(options.json, evaluation, about)
            print(f"The scores are in {options.json}.")
        if options.output is not None:
            write_scores(options.output / SCORES_FILE, evaluation, about)
            write_tables(options.output, evaluation)
            plots = write_plots(options.output, evaluation, name, dataset.up_axis)
            print(f"Scores, tables and {', '.join(plots)} are in {options.output}.")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
