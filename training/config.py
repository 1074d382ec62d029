"""What a training run is made of: the networks' configs and each stage's schedule, as presets.

A preset differs from another in a few visible lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from codetalker_blender.engine.codebook import CodecConfig
from codetalker_blender.engine.query import QueryConfig
from codetalker_blender.engine.speech import SpeechConfig

from .parts import PartSizes


@dataclass(frozen=True)
class Schedule:
    """How long and how fast one stage learns.

    steps, batch: optimiser steps, windows per step
    window_s: seconds per window (whole chunks of the speech encoder)
    rate: peak learning rate of AdamW, after ``warm_up`` steps, then a cosine down to 2 %
    clip: gradient norm limit; ema: decay of the averaged weights that are kept (0 = the last weights)
    bfloat16: matrix products and convolutions in bfloat16 (about twice as fast where the CPU has it)
    """

    steps: int
    batch: int
    window_s: float
    rate: float
    warm_up: int = 100
    weight_decay: float = 0.01
    clip: float = 1.0
    ema: float = 0.995
    bfloat16: bool = False


@dataclass(frozen=True)
class SpeechStage:
    """Frame-wise phone classification, and the mouth's motion beside it, teach the speech encoder.

    motion_weight: of the motion regression beside the phone cross-entropy; velocity_weight: of its speed
    gap_weight: of the lips' distances (:func:`training.losses.gap_error`)
    """

    schedule: Schedule
    motion_weight: float = 1.0
    velocity_weight: float = 0.5
    gap_weight: float = 2.0


@dataclass(frozen=True)
class CodebookStage:
    """Stage 1.  velocity_weight: of the error between neighbouring frames (0 = off);
    gap_weight: of the lips' distances (:func:`training.losses.gap_error`, 0 = off);
    plain_share: share of the steps that learn a plain autoencoder before the codebook is laid on its
    latents (0 = quantise from the first step, with the paper's random codebook);
    restart_every: steps between replacing dead codes by encoder outputs (0 = never)."""

    schedule: Schedule
    velocity_weight: float = 0.5
    gap_weight: float = 1.0
    quantiser_weight: float = 1.0
    plain_share: float = 0.15
    restart_every: int = 100


@dataclass(frozen=True)
class QueryStage:
    """Stage 2.  feature_, class_, motion_, velocity_, gap_weight: of the named losses;
    past_noise: standard deviation of noise on the fed-back motion, as a share of the motion's own;
    past_drop: share of windows whose fed-back motion is blanked altogether;
    self_share: share of windows that read the model's own first-pass prediction as past motion
    (scheduled sampling in parallel) against exposure bias;
    sound_variants: differently augmented copies of the frozen convolutions' output."""

    schedule: Schedule
    feature_weight: float = 1.0
    class_weight: float = 0.3
    motion_weight: float = 1.0
    velocity_weight: float = 0.5
    gap_weight: float = 2.0
    past_noise: float = 0.15
    past_drop: float = 0.15
    self_share: float = 0.5
    sound_variants: int = 3


@dataclass(frozen=True)
class Preset:
    """A whole run.  vertex_count, basis_rank, motion_dim and styles come from the data.

    region_weights: extra weight of vertex regions in every stage's motion error
    parts: how the codec's components are shared out between mouth, brows and lids (None: not at all)
    """

    codec: CodecConfig
    query: QueryConfig
    speech: SpeechConfig
    speech_stage: SpeechStage
    codebook_stage: CodebookStage
    query_stage: QueryStage
    region_weights: dict[str, float]
    parts: PartSizes | None
    corpus_minutes: float
    seed: int = 0


_DEFAULT = Preset(
    codec=CodecConfig(
        vertex_count=1,
        hidden=160,
        layers=2,
        heads=5,
        mlp=320,
        code_projection=True,
        code_count=256,
        components=8,
        code_dim=16,
        causal=True,
        look_back=15,
        time_norm=False,
        constant_position=False,
        dropout=0.0,
    ),
    query=QueryConfig(
        motion_dim=1,
        speech_dim=192,
        hidden=192,
        layers=3,
        heads=4,
        mlp=512,
        components=8,
        code_dim=16,
        code_count=256,
        categorical=2,
        look_back=30,
        bias_free_start=False,
        dropout=0.0,
    ),
    speech=SpeechConfig(
        front_end="log_mel",
        conv_dim=128,
        feature_norm="layer",
        hidden=192,
        layers=3,
        heads=4,
        mlp=512,
        position_kernel=32,
        position_groups=8,
        level="fixed",
        chunk_s=2.0,
        context_s=0.3,
        # the augmentation leaves nothing to overfit, and dropout costs a quarter of a step
        dropout=0.0,
        mask_probability=0.0,
    ),
    speech_stage=SpeechStage(Schedule(steps=6000, batch=16, window_s=4.0, rate=1e-3, bfloat16=True)),
    codebook_stage=CodebookStage(
        Schedule(steps=1500, batch=32, window_s=2.0, rate=1e-3, ema=0.99),
    ),
    query_stage=QueryStage(Schedule(steps=4500, batch=16, window_s=4.0, rate=5e-4, bfloat16=True)),
    region_weights={"lips": 8.0, "jaw": 1.0, "eyelids": 4.0, "upper_face": 1.0, "lower_teeth": 1.0},
    parts=PartSizes(components=(6, 1, 1), hidden=(96, 32, 32)),
    corpus_minutes=240.0,
)

#: A run of a minute or two on a CPU that shows that every stage works, not that lips are good.
_TINY = replace(
    _DEFAULT,
    speech_stage=SpeechStage(Schedule(steps=20, batch=4, window_s=2.0, rate=1e-3, warm_up=5)),
    codebook_stage=replace(
        _DEFAULT.codebook_stage,
        schedule=Schedule(steps=60, batch=8, window_s=1.0, rate=1e-3, warm_up=5),
        restart_every=20,
    ),
    query_stage=replace(
        _DEFAULT.query_stage,
        schedule=Schedule(steps=20, batch=4, window_s=2.0, rate=6e-4, warm_up=5),
        sound_variants=1,
    ),
    corpus_minutes=1.0,
)

PRESETS = {"default": _DEFAULT, "tiny": _TINY}
