"""What a training run is made of: the networks' configs and each stage's schedule, as presets.

A preset differs from another in a few visible lines.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from codetalker_blender.engine.codebook import CodecConfig
from codetalker_blender.engine.query import QueryConfig
from codetalker_blender.engine.speech import SpeechConfig

from .parts import PartSizes


@dataclass(frozen=True)
class Schedule:
    """How long and how fast one stage learns.

    steps, batch: optimiser steps, windows per step
    window_s: seconds per window (whole chunks of the speech encoder); 0 = whole clips, one per step
    rate: peak learning rate of the optimiser, after ``warm_up`` steps, then a cosine down to 2 %
    clip: gradient norm limit (0 = none)
    ema: decay of the averaged weights that are kept (0 = the last weights)
    bfloat16: matrix products and convolutions in bfloat16 (about twice as fast where the CPU has it)
    epochs: passes over the clips, which ``steps`` then follows from (0 = ``steps`` as it stands)
    optimiser: "adamw" or "adam"
    cosine: False keeps the rate at its peak; halvings: equal parts, each at half the rate of the one before
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
    epochs: int = 0
    optimiser: str = "adamw"
    cosine: bool = True
    halvings: int = 0

    def for_clips(self, clips: int, processes: int = 1) -> Schedule:
        """The schedule with the steps that ``epochs`` passes over ``clips`` clips take."""
        if not self.epochs:
            return self
        return replace(self, steps=self.epochs * -(-clips // (self.batch * processes)))


@dataclass(frozen=True)
class SpeechStage:
    """Frame-wise phone classification, and the mouth's motion beside it, teach the speech encoder.

    phone_weight: of the phone cross-entropy; it is off where the data has no phones
    motion_weight: of the motion regression beside it; velocity_weight: of its speed
    gap_weight: of the lips' distances (:func:`training.losses.gap_error`)
    mse_weight: of the plain squared error of motion, for motion without a vertex basis
    """

    schedule: Schedule
    motion_weight: float = 1.0
    velocity_weight: float = 0.5
    gap_weight: float = 2.0
    phone_weight: float = 1.0
    mse_weight: float = 0.0

    @property
    def motion_losses(self) -> dict[str, float]:
        """Weights of the losses on motion, by :data:`training.motion_losses.NAMES`."""
        return {
            "mse": self.mse_weight,
            "motion_mm": self.motion_weight,
            "speed_mm": self.motion_weight * self.velocity_weight,
            "gap": self.gap_weight,
        }


@dataclass(frozen=True)
class CodebookStage:
    """Stage 1.

    motion_weight: of the region-weighted error; velocity_weight: of that between neighbouring frames;
    gap_weight: of the lips' distances (:func:`training.losses.gap_error`);
    l1_weight: of the paper's reconstruction error; quantiser_weight: of its quantiser loss;
    plain_share: share of the steps that learn a plain autoencoder before the codebook is laid on its
    latents (0 = quantise from the first step, with the paper's random codebook);
    restart_every: steps between replacing dead codes by encoder outputs (0 = never).
    A weight of 0 switches its loss off."""

    schedule: Schedule
    velocity_weight: float = 0.5
    gap_weight: float = 1.0
    quantiser_weight: float = 1.0
    plain_share: float = 0.15
    restart_every: int = 100
    motion_weight: float = 1.0
    l1_weight: float = 0.0

    @property
    def motion_losses(self) -> dict[str, float]:
        """Weights of the losses on motion, by :data:`training.motion_losses.NAMES`."""
        return {
            "l1": self.l1_weight,
            "motion_mm": self.motion_weight,
            "speed_mm": self.velocity_weight,
            "gap": self.gap_weight,
        }


@dataclass(frozen=True)
class QueryStage:
    """Stage 2.  feature_, class_, motion_, velocity_, gap_weight: of the named losses;
    feature_scaled: divide the feature error by the variance of the codes' vectors;
    mse_weight: of the paper's motion error;
    hold_share: share of the steps, at first, in which the speech encoder keeps still: a code query that
        knows nothing yet would only spoil it;
    past_noise: standard deviation of noise on the fed-back motion, as a share of the motion's own;
    past_drop: share of windows whose fed-back motion is blanked altogether;
    self_share: share of the steps, after the first tenth, that read the model's own prediction as past
        motion (scheduled sampling in parallel) against exposure bias;
    self_passes: how often at most such a step predicts again from what it predicted: with every pass
        the past comes nearer to that of generation, whose errors build on one another;
    sound_variants: differently augmented copies of the frozen convolutions' output.
    A weight or share of 0 switches its part off."""

    schedule: Schedule
    feature_weight: float = 1.0
    class_weight: float = 0.3
    motion_weight: float = 1.0
    velocity_weight: float = 0.5
    gap_weight: float = 2.0
    hold_share: float = 0.08
    past_noise: float = 0.15
    past_drop: float = 0.3
    self_share: float = 0.9
    self_passes: int = 3
    sound_variants: int = 3
    feature_scaled: bool = True
    mse_weight: float = 0.0

    @property
    def motion_losses(self) -> dict[str, float]:
        """Weights of the losses on motion, by :data:`training.motion_losses.NAMES`."""
        return {
            "mse": self.mse_weight,
            "motion_mm": self.motion_weight,
            "speed_mm": self.velocity_weight,
            "gap": self.gap_weight,
        }


@dataclass(frozen=True)
class Preset:
    """A whole run.  vertex_count, basis_rank, motion_dim, styles and the frame rate come from the data.

    speech_stage: None where the encoder starts from pretrained weights
    region_weights: extra weight of vertex regions in every stage's motion error
    parts: how the codec's components are shared out between mouth, brows and lids (None: not at all)
    vertex_motion: the networks see all 3V numbers of a frame, in the data set's own units (the paper);
        False: coefficients of a vertex basis, metres
    basis_tolerance_mm: error of the basis, of any shape or, where the motion was recorded, of the mean frame
    scaled_start: fit the first and last layers to the data's scale before training
    temperature: the bundle's own, at which generation draws classes; chosen so that brows and lids move as
        much as the truth's on held-out sentences (0: nothing is drawn)
    corpus_minutes: of the made corpus, where the data is that
    checkpoint_every: steps between checkpoints
    """

    codec: CodecConfig
    query: QueryConfig
    speech: SpeechConfig
    speech_stage: SpeechStage | None
    codebook_stage: CodebookStage
    query_stage: QueryStage
    region_weights: dict[str, float]
    parts: PartSizes | None
    corpus_minutes: float
    temperature: float = 0.0
    seed: int = 0
    vertex_motion: bool = False
    basis_tolerance_mm: float = 0.1
    scaled_start: bool = True
    checkpoint_every: int = 200


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
        Schedule(steps=1600, batch=32, window_s=2.0, rate=1e-3, ema=0.99),
        plain_share=0.25,
    ),
    query_stage=QueryStage(Schedule(steps=4000, batch=16, window_s=4.0, rate=5e-4, bfloat16=True)),
    region_weights={"lips": 8.0, "jaw": 1.0, "eyelids": 4.0, "upper_face": 3.0, "lower_teeth": 1.0},
    parts=PartSizes(components=(6, 1, 1), hidden=(96, 32, 32)),
    # at 1 they move a quarter too little: noise on the past makes a drawn blink break off
    temperature=1.1,
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


def _paper_schedule(epochs: int, **changes: Any) -> Schedule:
    """One clip a step at 1e-4, without anything that the paper does not have."""
    plain = Schedule(
        steps=0, batch=1, window_s=0.0, rate=1e-4, epochs=epochs, warm_up=0, clip=0.0, ema=0.0, cosine=False
    )
    return replace(plain, **changes)


def _paper(codec: CodecConfig, query: QueryConfig, speech: SpeechConfig, halvings: int) -> Preset:
    """CodeTalker as published: its two losses per stage, its optimisers, every addition switched off.

    The speech stage, which the paper does not have, stands in where there are no pretrained weights.
    """
    return Preset(
        codec=codec,
        query=query,
        speech=speech,
        speech_stage=SpeechStage(
            _paper_schedule(20, clip=1.0),
            motion_weight=0.0,
            velocity_weight=0.0,
            gap_weight=0.0,
            mse_weight=1.0,
        ),
        codebook_stage=CodebookStage(
            _paper_schedule(200, halvings=halvings),
            motion_weight=0.0,
            velocity_weight=0.0,
            gap_weight=0.0,
            l1_weight=1.0,
            plain_share=0.0,
            restart_every=0,
        ),
        query_stage=QueryStage(
            _paper_schedule(100, optimiser="adam", weight_decay=0.0),
            class_weight=0.0,
            motion_weight=0.0,
            velocity_weight=0.0,
            gap_weight=0.0,
            hold_share=0.0,
            past_noise=0.0,
            past_drop=0.0,
            self_share=0.0,
            sound_variants=0,
            feature_scaled=False,
            mse_weight=1.0,
        ),
        region_weights={},
        parts=None,
        corpus_minutes=240.0,
        vertex_motion=True,
        scaled_start=False,
        # a checkpoint of these networks is some gigabytes
        checkpoint_every=2000,
    )


# the official training halves stage 1's rate every 20 epochs for VOCASET alone
_VOCASET = _paper(CodecConfig(vertex_count=1), QueryConfig(motion_dim=1), SpeechConfig(), halvings=10)
_BIWI = _paper(
    CodecConfig(vertex_count=1, components=8, code_dim=128, code_projection=True, output_bias=False),
    QueryConfig(motion_dim=1, layers=12, components=8, code_dim=128, styles=6, period=25, speech_frames=2),
    SpeechConfig(fps=25.0, speech_frames=2),
    halvings=0,
)

PRESETS = {"default": _DEFAULT, "tiny": _TINY, "vocaset": _VOCASET, "biwi": _BIWI}
