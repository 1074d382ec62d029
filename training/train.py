"""A preset from data to bundle: codebook, speech encoder, code query, export.

    python -m training.train --preset default --run build/run --output models/mine
    python -m training.train --preset vocaset --data vocaset PATH --wav2vec DIR --licence TEXT ...

Everything is seeded, and a run that was killed goes on with --resume.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Sequence
from pathlib import Path

from codetalker_blender.engine.bundle import Bundle, check_bundle_place
from codetalker_blender.errors import UserError

from .config import PRESETS, Preset
from .data_source import KINDS, SYNTHETIC, DataSource, add_source_options, data_source, positive
from .datasets.clip import Dataset
from .datasets.splits import TRAIN
from .export import export, save
from .processes import Processes
from .run_folder import RunFolder, check_free
from .setup import fitted, make_setup
from .stages import NO_NOTES, STAGES, DataNotes, finished_steps, run_stages
from .wav2vec import start_pretrained

__all__ = ["fitted", "main", "train"]

_OURS = DataNotes("speech by flite and espeak-ng with motion by an articulation model", licence="CC0-1.0")
_NAMES = {
    "vocaset": "VOCASET",
    "biwi": "BIWI",
    "folder": "recorded faces",
    "blendshapes": "blendshape curves",
}


def train(preset: Preset, dataset: Dataset, run: RunFolder, name: str, notes: DataNotes = NO_NOTES) -> Bundle:
    """All stages on ``dataset``; the bundle's networks are in evaluation mode, on the CPU."""
    run_stages(make_setup(preset, dataset, run.processes), dataset, run, notes)
    return export(run.folder, name, notes.licence or "not stated")


def parser(stage: str | None) -> argparse.ArgumentParser:
    """The options of `training.train`, or of one stage's command."""
    program = "training.train" if stage is None else f"training.train_{stage}"
    about = "All stages and the bundle." if stage is None else f"The stage '{stage}' of a run."
    result = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    add = result.add_argument
    add("--preset", choices=sorted(PRESETS), default="default")
    add(
        "--data", nargs="+", default=[SYNTHETIC], metavar=("KIND", "PATH"),
        help=f"{', '.join(KINDS)}; the made corpus by default",
    )  # fmt: skip
    add("--run", type=Path, default=Path("build/run"), metavar="DIR", help="folder of log and checkpoints")
    if stage is None:
        add("--output", type=Path, required=True, metavar="DIR", help="folder of the bundle to write")
        add("--name", help="the bundle's name (default: the output folder's)")
        add("--licence", default="", help="of the bundle; needed for data that is not ours")
    add("--resume", action="store_true", help="go on where a killed run stood")
    add("--seed", type=int, default=0)
    add("--minutes", type=positive, help="of the made corpus, in place of the preset's")
    add("--wav2vec", metavar="DIR|NAME", help="start the speech encoder from these weights")
    add("--corpus-speech", action="store_true", help="teach the speech encoder phones on the made corpus")
    add("--online", action="store_true", help="let --wav2vec fetch a name from the Hugging Face hub")
    add("--mixed-precision", choices=("no", "fp16", "bf16"), help="default: what the launch says")
    add("--cpu", action="store_true", help="stay on the CPU")
    add("--checkpoint-every", type=int, metavar="STEPS", help="default: the preset's")
    add_source_options(result, KINDS)
    return result


def main(arguments: Sequence[str] | None = None, stage: str | None = None) -> int:
    """stage: train this one alone and export nothing.  Exit code 2 for what the user can cure."""
    options = parser(stage).parse_args(arguments)
    try:
        where = _command(options, stage)
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"The training came apart: {error}.", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"Stopped; --resume goes on from the last checkpoint in '{options.run}'.", file=sys.stderr)
        return 130
    if where:
        print(where)
    return 0


def _command(options: argparse.Namespace, stage: str | None) -> str:
    """Do what the options say; the last line for the screen, "" in other processes than the main one."""
    source = data_source(options.data)
    notes = _notes(source, options)
    if stage is None:
        check_bundle_place(options.output)
        if not (notes.licence or options.licence):
            raise UserError(
                f"A model of {notes.data} needs a licence, which only you can know.",
                "Give --licence; the data's owners say what a model of it may be used for.",
            )
    preset = dataclasses.replace(PRESETS[options.preset], seed=options.seed)
    pretrained = None
    if options.wav2vec is not None:
        preset, pretrained = start_pretrained(preset, options.wav2vec, options.online)
    # one stage's command adds to a run that others began
    resume = options.resume or (stage is not None and (options.run / "run.json").exists())
    if not resume:
        check_free(options.run)
    corpus_minutes = options.minutes or preset.corpus_minutes
    processes = Processes(cpu=options.cpu, mixed_precision=options.mixed_precision)
    with processes.main_first():
        minutes = corpus_minutes if source.kind == SYNTHETIC else None
        dataset = source.open(TRAIN, options, seed=options.seed, minutes=minutes)
        corpus = None
        if options.corpus_speech:
            corpus = data_source([SYNTHETIC]).open(TRAIN, options, seed=options.seed, minutes=corpus_minutes)
    setup = make_setup(preset, dataset, processes, pretrained, corpus)
    # nothing is written before all that can be refused was looked at
    run = RunFolder(
        options.run,
        config={
            "preset": dataclasses.asdict(preset),
            "data": {"kind": source.kind, "path": str(source.path), "minutes": options.minutes},
            "wav2vec": options.wav2vec,
            "corpus_speech": options.corpus_speech,
        },
        seed=options.seed,
        resume=resume,
        checkpoint_every=(
            preset.checkpoint_every if options.checkpoint_every is None else options.checkpoint_every
        ),
        processes=processes,
    )
    if stage is not None and not options.resume:
        done = finished_steps(run, stage)
        if done is not None:
            raise UserError(
                f"The stage '{stage}' of '{options.run}' has {done} steps already.",
                "Give --resume to go on, or choose another folder.",
            )
    run_stages(setup, dataset, run, notes, STAGES if stage is None else (stage,))
    if not processes.is_main:
        return ""
    if stage is not None:
        return f"The stage '{stage}' is in {options.run}."
    name = options.name or options.output.absolute().name
    save(options.output, export(options.run, name, options.licence), options.run)
    return f"The bundle is in {options.output}, the run in {options.run}."


def _notes(source: DataSource, options: argparse.Namespace) -> DataNotes:
    """What the card says about the data.  Refuses options that do not go together."""
    if options.corpus_speech and (source.kind == SYNTHETIC or options.wav2vec is not None):
        raise UserError("--corpus-speech is for other data than the made corpus, and without --wav2vec.")
    if source.kind == SYNTHETIC:
        return _OURS
    if options.minutes is not None and not options.corpus_speech:
        raise UserError("--minutes is for the made corpus; recorded data is used whole.")
    own = ", its speech encoder first on made speech" if options.corpus_speech else ""
    return DataNotes(_NAMES[source.kind] + own)


if __name__ == "__main__":
    raise SystemExit(main())
