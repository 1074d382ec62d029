"""Score a model bundle on held-out speech.

    python -m training.evaluate --model DIR --split validation|test [--limit N] [--json FILE]

Every clip is generated from its sound alone; phone times are used for scoring, never for
generation (see ``scores.py``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from codetalker_blender.contracts import FloatArray
from codetalker_blender.engine.bundle import load_bundle
from codetalker_blender.engine.generate import generate
from codetalker_blender.errors import UserError
from training.datasets.clip import Clip
from training.datasets.synthetic import DEFAULT_CACHE, DEFAULT_HEAD, build
from training.scores import Predictor, print_report, score, write_scores


def bundle_predictor(folder: Path, styles: Sequence[str], device: str) -> Predictor:
    """The predictor that runs a bundle's whole street; raises BundleError when it cannot be loaded."""
    bundle = load_bundle(folder)
    rows = [bundle.card.style_row(name) for name in styles]

    def predict(clip: Clip) -> FloatArray:
        style = np.zeros((1, len(bundle.card.styles)), np.float32)
        style[0, rows[clip.style]] = 1.0
        motion = generate(bundle, clip.waveform, style, device=device)
        if motion.fps != clip.fps:
            raise UserError(
                f"The model runs at {motion.fps:g} frames per second where the corpus has {clip.fps:g}."
            )
        return motion.offsets

    return predict


def main(arguments: Sequence[str] | None = None) -> int:
    """Score a bundle and print the table."""
    parser = argparse.ArgumentParser(description="Score a model bundle on held-out speech.")
    parser.add_argument("--model", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--split", choices=("validation", "test"), default="validation")
    parser.add_argument("--limit", type=int, default=None, help="use the first N clips only")
    parser.add_argument("--json", type=Path, default=None, help="also write the scores here")
    parser.add_argument("--seed", type=int, default=0, help="the corpus' seed")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cache", type=Path, default=DEFAULT_CACHE)
    parser.add_argument("--head", type=Path, default=DEFAULT_HEAD)
    options = parser.parse_args(arguments)
    try:
        dataset = build(options.seed, split=options.split, cache_dir=options.cache, head_dir=options.head)
        predict = bundle_predictor(options.model, dataset.styles, options.device)
        scores = score(dataset, predict, limit=options.limit)
    except UserError as error:
        parser.exit(2, f"{error}\n")
    print_report(scores)
    if options.json is not None:
        write_scores(options.json, scores)
        print(f"written to {options.json}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
