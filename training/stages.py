"""The stages of a run, in order: codebook, speech, code query; each taken up where it stands.

Turns a setup and a run folder into checkpoints of finished stages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection
from dataclasses import dataclass

from codetalker_blender.contracts import FaceMesh
from codetalker_blender.errors import UserError

from .datasets.clip import Dataset
from .model_record import ModelRecord, write_record
from .previews import Previews
from .run_folder import RunFolder
from .setup import Setup
from .train_codebook import train_codebook
from .train_query import train_query
from .train_regressor import REGRESSOR, Regressor, train_regressor
from .train_speech import train_speech

STAGES = ("codebook", "speech", "query")


@dataclass(frozen=True)
class DataNotes:
    """What a model's card says about its data.  licence: "" where the maker of the model must say."""

    data: str
    licence: str = ""


#: Of data that nobody has described.
NO_NOTES: DataNotes = DataNotes("data that is not described")


def stage_steps(setup: Setup) -> dict[str, int]:
    """The stages that the preset has, with their steps."""
    preset = setup.preset
    found = {"codebook": preset.codebook_stage.schedule.steps}
    if preset.speech_stage is not None:
        found["speech"] = preset.speech_stage.schedule.steps
    return found | {"query": preset.query_stage.schedule.steps}


def finished_steps(run: RunFolder, stage: str) -> int | None:
    """After how many steps the stage's newest checkpoint was taken; None without one.

    Every process must call it.
    """
    paths = run.checkpoints(stage).paths() if run.processes.is_main else []
    newest = int(paths[-1].stem.removeprefix("step-")) if paths else None
    return run.processes.from_main(newest)


def run_stages(
    setup: Setup, dataset: Dataset, run: RunFolder, notes: DataNotes, wanted: Collection[str] = STAGES
) -> None:
    """Train the ``wanted`` stages; those before them come back as they ended.

    Raises UserError when a stage that another one needs has not ended.
    """
    steps = stage_steps(setup)
    if run.processes.is_main:
        write_record(run.folder, record(setup, dataset, notes), model_face(setup, dataset))
    plain = REGRESSOR in wanted
    if plain:  # it starts where the code query does, and needs no codes
        steps = {stage: count for stage, count in steps.items() if stage == "speech"}
    for stage in steps:
        done = finished_steps(run, stage)
        if stage not in wanted and done != steps[stage]:
            if plain or "query" in wanted:
                raise UserError(
                    f"The stage '{stage}' of '{run.folder}' has {done or 0} of {steps[stage]} steps; "
                    f"the {'regressor' if plain else 'code query'} needs it.",
                    f"Run `python -m training.train_{stage}` on that folder first.",
                )
            continue
        _train(stage, setup, dataset, run)
    if plain:
        regressor = Regressor(setup.encoder, setup.preset.query)
        stage_2 = setup.preset.query_stage
        train_regressor(regressor, setup.sampler, setup.metric, setup.gaps, stage_2, run)


def _train(stage: str, setup: Setup, dataset: Dataset, run: RunFolder) -> None:
    preset, codec, query, encoder = setup.preset, setup.codec, setup.query, setup.encoder
    sampler, metric, gaps = setup.sampler, setup.metric, setup.gaps
    previews = Previews(dataset.face, dataset.up_axis, setup, run)
    if stage == "codebook":
        train_codebook(
            codec, sampler, metric, gaps, preset.codebook_stage, run, preset.seed, previews.of_codebook
        )
    elif stage == "speech" and preset.speech_stage is not None:
        own = setup.speech_course
        if own is not None:
            sampler, metric, gaps = own.sampler, own.metric, own.gaps
        train_speech(encoder, sampler, metric, gaps, preset.speech_stage, run)
    else:
        train_query(
            encoder, codec, query, sampler, metric, gaps, setup.regressed, preset.query_stage, run,
            preset.seed, previews.of_query,
        )  # fmt: skip


def model_face(setup: Setup, dataset: Dataset) -> FaceMesh:
    """The data's face in the networks' units."""
    face = dataset.face
    return dataclasses.replace(face, vertices=(face.vertices * setup.units_per_metre).astype("float32"))


def record(setup: Setup, dataset: Dataset, notes: DataNotes) -> ModelRecord:
    preset = setup.preset
    return ModelRecord(
        codec=dataclasses.asdict(preset.codec),
        query=dataclasses.asdict(preset.query),
        speech=dataclasses.asdict(preset.speech),
        stages=stage_steps(setup),
        fps=preset.speech.fps,
        units_per_metre=setup.units_per_metre,
        up_axis=dataset.up_axis,
        styles=dataset.styles,
        data=notes.data,
        hours=round(dataset.duration_s / 3600, 3),
        clips=len(dataset.clips),
        voices=tuple(sorted({clip.voice for clip in dataset.clips})),
        seed=preset.seed,
        licence=notes.licence,
        temperature=preset.temperature if preset.query.categorical else 0.0,
        streamable=preset.codec.causal and preset.speech.chunked,
        half=not preset.vertex_motion,
    )
