"""A preset and a data set → the networks and all that the stages' losses need.

Nothing is trained here.  Every process of a run makes the same.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
import torch
from torch import Tensor
from transformers import Wav2Vec2Model

from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.query import CodeQuery
from codetalker_blender.engine.speech import FRAME_RATE_HZ, SpeechConfig, SpeechEncoder
from codetalker_blender.errors import UserError

from .config import Preset, Schedule
from .datasets.clip import Clip, Dataset
from .gaps import Gaps, lip_gaps, no_gaps
from .parts import keep_apart, shape_parts
from .processes import PROCESS_SEED, Processes
from .sounds import make_sounds
from .train_codebook import fit_scales
from .whole_clips import Sampler, WholeClips
from .windows import VertexBasis, WindowSampler, motion_metric, recorded_basis, vertex_basis

#: Frames of the corpus that are searched for where lip and teeth touch.
GAP_FRAMES = 4000


@dataclass(frozen=True)
class Course:
    """What a stage learns from.  metric: None where no loss weighs regions"""

    sampler: Sampler
    metric: Tensor | None
    gaps: Gaps


@dataclass(frozen=True)
class Setup:
    """What is trained, and with what.

    preset: with the sizes that the data decided
    metric: None where no loss weighs regions; regressed: (D,) 1 where a motion coefficient belongs to the
        regressed components, 0 where to classes
    units_per_metre: of the motion that the networks see
    speech_course: what the speech stage learns from, where it is not the data of the others
    """

    preset: Preset
    encoder: SpeechEncoder
    codec: Codec
    query: CodeQuery
    sampler: Sampler
    metric: Tensor | None
    gaps: Gaps
    regressed: Tensor
    units_per_metre: float
    speech_course: Course | None = None


def make_setup(
    preset: Preset,
    dataset: Dataset,
    processes: Processes,
    pretrained: Wav2Vec2Model | None = None,
    speech_dataset: Dataset | None = None,
) -> Setup:
    """Networks from the preset's seed; ``pretrained`` takes the place of the encoder's random weights.

    speech_dataset: for the speech stage alone, where the data knows no phones

    Raises UserError when the data does not suit the preset.
    """
    torch.manual_seed(preset.seed)
    np.random.seed((preset.seed + PROCESS_SEED * processes.index) % 2**32)
    basis = None if preset.vertex_motion else motion_basis(preset, dataset)
    preset = fitted(preset, dataset, basis, processes.count)
    encoder, codec, query = SpeechEncoder(preset.speech), Codec(preset.codec), CodeQuery(preset.query)
    if pretrained is not None:
        encoder.network = pretrained
    course = _course(preset, dataset, basis, encoder, processes)
    if basis is None:
        everything, units = torch.ones(preset.query.motion_dim), dataset.units_per_metre
    else:
        codec.vertex_basis.copy_(torch.from_numpy(basis.rows))
        everything, units = torch.from_numpy((basis.part == 0).astype(np.float32)), 1.0
        if preset.scaled_start:
            fit_scales(codec, query, torch.from_numpy(course.sampler.sample_motion()))
        if preset.parts is not None:
            keep_apart(codec, preset.parts, torch.from_numpy(basis.part))
    own = None
    if speech_dataset is not None:
        speech_dataset = resampled(speech_dataset, preset.speech.fps)
        own_basis = None if preset.vertex_motion else motion_basis(preset, speech_dataset)
        own = _course(preset, speech_dataset, own_basis, encoder, processes)
    sampler, metric, gaps = course.sampler, course.metric, course.gaps
    return Setup(preset, encoder, codec, query, sampler, metric, gaps, everything, units, own)


def _course(
    preset: Preset,
    dataset: Dataset,
    basis: VertexBasis | None,
    encoder: SpeechEncoder,
    processes: Processes,
) -> Course:
    """Batches of ``dataset``: windows on ``basis``, or whole clips of all vertices."""
    if basis is None:
        clips = WholeClips(
            dataset, encoder, dataset.units_per_metre, preset.seed,
            index=processes.index, processes=processes.count,
        )  # fmt: skip
        return Course(clips, None, no_gaps())
    seed = preset.seed + PROCESS_SEED * processes.index
    sounds = make_sounds(dataset.clips, encoder, seed)
    sampler = WindowSampler(dataset, basis, sounds, preset.speech.fps, seed)
    metric = motion_metric(basis.rows, dataset.face, preset.region_weights, basis.part)
    motion = sampler.sample_motion()
    gaps = lip_gaps(dataset.face, basis.rows, motion[:: max(1, len(motion) // GAP_FRAMES)])
    return Course(sampler, metric, gaps)


def resampled(dataset: Dataset, fps: float) -> Dataset:
    """Clips of shape weights at another frame rate, linearly between their frames."""

    def moved(clip: Clip) -> Clip:
        if clip.vertices is not None:
            raise ValueError(f"clip '{clip.name}' is recorded; only shape weights are resampled")
        place = np.arange(max(1, round(clip.frame_count / clip.fps * fps))) * (clip.fps / fps)
        left = np.minimum(place.astype(np.int64), clip.frame_count - 1)
        right = np.minimum(left + 1, clip.frame_count - 1)
        share = np.minimum(place - left, 1.0)[:, None]
        weights = (1.0 - share) * clip.weights[left] + share * clip.weights[right]
        return replace(clip, fps=fps, weights=weights.astype(np.float32))

    clips = tuple(clip if clip.fps == fps else moved(clip) for clip in dataset.clips)
    return replace(dataset, clips=clips)


def motion_basis(preset: Preset, dataset: Dataset) -> VertexBasis:
    """Of the data's shapes, in the preset's parts; of its frames where the motion was recorded."""
    if not len(dataset.deltas):
        return recorded_basis(dataset, tolerance_mm=preset.basis_tolerance_mm)
    part = shape_parts(dataset.deltas, dataset.face) if preset.parts else None
    try:
        return vertex_basis(dataset.deltas, part, tolerance_mm=preset.basis_tolerance_mm)
    except ValueError as error:
        raise UserError(
            f"The data's shapes are too many: {error}.", "Give a head with fewer shapes."
        ) from error


def fitted(preset: Preset, dataset: Dataset, basis: VertexBasis | None, processes: int = 1) -> Preset:
    """The preset with the sizes, the frame rate and the steps that the data decides.

    basis: None where the networks see all vertices.  Raises UserError when the data does not suit.
    """
    fps = frame_rate(dataset)
    rank = 0 if basis is None else len(basis.rows)
    codec = replace(preset.codec, vertex_count=dataset.face.vertex_count, basis_rank=rank)
    parts = preset.parts if len(dataset.deltas) else None
    query = replace(
        preset.query,
        motion_dim=codec.motion_dim,
        styles=len(dataset.styles),
        period=max(1, round(fps)),
        # what no shape tells apart from speech is regressed with the rest
        categorical=preset.query.categorical if parts is not None or preset.parts is None else 0,
    )

    def of_clips(schedule: Schedule) -> Schedule:
        return schedule.for_clips(len(dataset.clips), processes)

    stages = {
        name: replace(stage, schedule=of_clips(stage.schedule))
        for name in ("speech_stage", "codebook_stage", "query_stage")
        if (stage := getattr(preset, name)) is not None
    }
    speech = at_rate(preset.speech, fps)
    return replace(preset, codec=codec, query=query, speech=speech, parts=parts, **stages)


def frame_rate(dataset: Dataset) -> float:
    """Frames per second of all clips.  Raises UserError when they differ."""
    rates = sorted({clip.fps for clip in dataset.clips})
    if len(rates) != 1:
        raise UserError(f"The clips run at different frame rates: {', '.join(f'{r:g}' for r in rates)}.")
    return rates[0]


def at_rate(speech: SpeechConfig, fps: float) -> SpeechConfig:
    """The encoder at another frame rate, its chunks and their context on whole frames of both rates.

    Raises UserError for a rate that it cannot serve.
    """
    if speech.speech_frames == 2 and fps * 2 != FRAME_RATE_HZ:
        raise UserError(
            f"This preset reads two speech frames per motion frame: it needs 25 per second, not {fps:g}.",
            "Choose another preset.",
        )
    if not speech.chunked or fps == speech.fps:
        return replace(speech, fps=fps)
    if fps != round(fps):
        raise UserError(
            f"The clips run at {fps:g} frames per second; a streamable model needs a whole number.",
            "Resample the motion, or choose the preset vocaset.",
        )
    grid = Fraction(1, math.gcd(int(fps), FRAME_RATE_HZ))

    def whole(seconds: float) -> float:
        return float(math.ceil(Fraction(str(seconds)) / grid) * grid)

    return replace(speech, fps=fps, chunk_s=whole(speech.chunk_s), context_s=whole(speech.context_s))
