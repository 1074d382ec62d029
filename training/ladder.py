"""Where a two-stage model loses: the same scores on four rungs, from a plain regressor to the whole street.

    python -m training.ladder --model DIR [--regressor RUN] --split validation [--json FILE]

(a) a plain regressor: the same speech encoder and query network, which predicts motion itself, without
    codes and without past motion (see ``train_regressor.py``)
(b) the true motion's codes, decoded: the codec's ceiling
(c) the full model that reads the true past motion
(d) the full model as it runs
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from codetalker_blender.contracts import FloatArray
from codetalker_blender.engine.bundle import Bundle, load_bundle
from codetalker_blender.engine.code_loop import CodeSampler
from codetalker_blender.errors import UserError
from training.data_source import KINDS, add_source_options, data_source, positive
from training.datasets.clip import Clip, Dataset
from training.predictors import BundlePredictor
from training.score_clip import Predictor
from training.score_files import write_text
from training.scores import ALL_VOICES, score
from training.train_regressor import Regressor, load_regressor

#: The rows of the table, as the bars name them.
MEASURES = (
    "bilabial_closure_percent", "false_closure_percent", "labiodental_contact_percent", "mouth_opening_r",
    "rounding_r", "mtm_ms", "silence_opening_above_rest_mm", "silence_speed_mm_s", "lve_mm",
    "fdd_rel_percent",
)  # fmt: skip


class Ladder:
    """The four predictors of one bundle on one dataset."""

    def __init__(self, bundle: Bundle, dataset: Dataset, regressor: Regressor | None, seed: int = 0) -> None:
        """Raises UserError for a model whose codes stand for several frames each."""
        if bundle.codec.config.temporal_unit > 1:
            raise UserError("The ladder knows models with a code for every frame, and this one has fewer.")
        self._bundle, self._dataset, self._regressor = bundle, dataset, regressor
        self._seed = seed

    def rungs(self) -> dict[str, Predictor]:
        """Name of the rung -> its predictor, in the ladder's order."""
        rungs: dict[str, Predictor] = {}
        if self._regressor is not None:
            rungs["(a) regressor"] = self._regressed
        rungs["(b) true codes"] = self._decoded
        rungs["(c) true past"] = self._with_true_past
        rungs["(d) full"] = BundlePredictor(self._bundle, self._dataset.styles, "cpu", seed=self._seed)
        return rungs

    @torch.inference_mode()
    def _regressed(self, clip: Clip) -> FloatArray:
        assert self._regressor is not None
        return self._offsets(self._regressor(_samples(clip), self._style(clip)))

    @torch.inference_mode()
    def _decoded(self, clip: Clip) -> FloatArray:
        codec = self._bundle.codec
        return self._offsets(codec.decode(codec.encode(self._motion(clip))))

    @torch.inference_mode()
    def _with_true_past(self, clip: Clip) -> FloatArray:
        codec, query = self._bundle.codec, self._bundle.query
        motion = self._motion(clip)
        speech = self._bundle.speech.features(_samples(clip))
        per_step = query.config.speech_frames
        steps = min(motion.shape[1], speech.shape[1] // per_step)
        past = torch.cat((torch.zeros_like(motion[:, :1]), motion[:, : steps - 1]), dim=1)
        features, logits = query(speech[:, : steps * per_step], past, self._style(clip))
        scores = [] if features is None else [-codec.quantiser.distances(features[0])]
        scores += [] if logits is None else [logits[0]]
        sampler = CodeSampler(self._bundle.card.temperature, self._seed)
        codes = sampler.choose(torch.cat(scores, dim=1))
        return self._offsets(codec.decode(codes[None]))

    def _motion(self, clip: Clip) -> Tensor:
        """(1, T, D) what the networks see of the clip's true motion."""
        offsets = self._dataset.offsets(clip) * self._bundle.card.units_per_metre
        return self._bundle.codec.to_motion(torch.from_numpy(offsets.reshape(1, len(offsets), -1)))

    def _offsets(self, motion: Tensor) -> FloatArray:
        flat = self._bundle.codec.to_offsets(motion[0]) / self._bundle.card.units_per_metre
        return np.asarray(flat.reshape(len(flat), -1, 3).numpy(), np.float32)

    def _style(self, clip: Clip) -> Tensor:
        style = torch.zeros(1, 1, len(self._bundle.card.styles))
        style[0, 0, self._bundle.card.style_row(self._dataset.styles[clip.style])] = 1.0
        return style


def _samples(clip: Clip) -> Tensor:
    return torch.from_numpy(clip.waveform.samples)


def climb(
    rungs: dict[str, Predictor],
    dataset: Dataset,
    limit: int | None = None,
    report: Callable[[str], None] = lambda text: None,
) -> dict[str, dict[str, float]]:
    """Measure -> value of every rung, over all clips."""
    table = {}
    for name, predict in rungs.items():
        report(name)
        table[name] = score(dataset, predict, limit=limit, shuffled=False)[ALL_VOICES]
    return table


def print_table(table: dict[str, dict[str, float]]) -> None:
    print("".ljust(32) + "".join(name.rjust(16) for name in table))
    for measure in MEASURES:
        print(measure.ljust(32) + "".join(f"{scores[measure]:16.4g}" for scores in table.values()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; exit code 2 for what the user can cure."""
    parser = argparse.ArgumentParser(prog="python -m training.ladder", description="Where the model loses.")
    parser.add_argument("--model", type=Path, required=True, metavar="DIR", help="a bundle")
    parser.add_argument("--regressor", type=Path, metavar="RUN", help="a run with a trained regressor")
    parser.add_argument("--data", nargs="+", default=["synthetic"], metavar="KIND [PATH]")
    parser.add_argument("--split", default="validation")
    parser.add_argument("--limit", type=int, metavar="N", help="use the first N clips only")
    parser.add_argument("--seed", type=int, default=0, help="of drawing codes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the table here")
    add_source_options(parser, KINDS)
    parser.add_argument("--corpus-seed", type=int, default=0)
    parser.add_argument("--minutes", type=positive, metavar="N", help="of the made corpus")
    options = parser.parse_args(arguments)
    try:
        source = data_source(options.data)
        dataset = source.open(options.split, options, seed=options.corpus_seed, minutes=options.minutes)
        bundle = load_bundle(options.model)
        regressor = None
        if options.regressor is not None:
            regressor = load_regressor(options.regressor, bundle)
        rungs = Ladder(bundle, dataset, regressor, options.seed).rungs()
        table = climb(rungs, dataset, options.limit, lambda name: print(name, file=sys.stderr))
        print_table(table)
        if options.json is not None:
            write_text(options.json, json.dumps(table, indent=1) + "\n")
    except UserError as error:
        parser.exit(2, f"{error}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
