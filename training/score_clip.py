"""One clip's motion and its truth → everything that is measured about it, small enough to keep.

The offsets of an hour fill the memory, so nothing here keeps them: what measures over many clips
need is kept per frame (curves), per vertex (means) or per component (coefficients).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh, FloatArray, IntArray
from codetalker_blender.errors import UserError
from training import metrics
from training.datasets.clip import Clip, Dataset, Phone
from training.metrics import Dynamics, Floats
from training.metrics_timing import mtm_ms, slcc
from training.recorded_basis import sampled_offsets

#: Frames, drawn evenly from all clips, that the components of the Fréchet distance are found on.
BASIS_FRAMES = 400


@dataclass(frozen=True)
class Prediction:
    """Generated motion of one clip.

    offsets: (T, V, 3) float32 metres from the template of the clip's speaker, at the clip's fps
    codes: (T_model, H) int32, or None when the motion did not come from codes
    code_count: size of the codebook; 0 when unknown
    """

    offsets: FloatArray
    codes: IntArray | None = None
    code_count: int = 0


#: A predictor turns a clip's sound (and style) into offsets (T, V, 3) metres at the clip's fps.
Predictor = Callable[[Clip], FloatArray | Prediction]


@dataclass(frozen=True)
class Ruler:
    """What all clips of a data set are measured with.

    face: the data set's; regions that it lacks are empty
    lower_lip: vertices; upper_face: vertices of ``region_upper_face`` and ``region_eyelids`` together
    basis: (K, 3V) components of the truth's motion
    """

    face: FaceMesh
    lower_lip: NDArray[np.int64]
    upper_face: NDArray[np.int64]
    basis: FloatArray

    def region(self, name: str) -> NDArray[np.int64]:
        """Vertices of a region, none where the face lacks it."""
        return np.asarray(self.face.regions.get(name, ()), np.int64)

    def within(self, name: str) -> NDArray[np.bool_]:
        """Which of ``upper_face`` are in the region."""
        return np.isin(self.upper_face, self.region(name))


@dataclass(frozen=True)
class ClipScores:
    """What was measured about one clip; curves and motions are cut to the shorter of the two.

    r, shuffled_r, mod_mm, rounding_r, mtm_ms, slcc, diversity_mm: NaN where they cannot be measured
    shuffled_r: r with another clip's sound
    truth_opening_mm, opening_mm: (T,) mid-lip distance; rest_mm: the template's own
    lip_errors: (T,) metres
    vertex_error_mm, truth_motion_mm, motion_mm: (V,) mean over t of |GT-P|, |GT| and |P|
    truth_dynamics, dynamics: of ``Ruler.upper_face``
    truth_coefficients, coefficients: (T, K)
    closures, false_closures, contacts: one per phone that is judged
    silence_mm: opening above rest in the silent frames; silence_speed, speed, truth_speed: mm/s of the lips
    """

    clip: Clip
    frames: int
    r: float
    mod_mm: float
    rounding_r: float
    mtm_ms: float
    slcc: float
    rest_mm: float
    truth_opening_mm: Floats
    opening_mm: Floats
    lip_errors: Floats
    vertex_error_mm: FloatArray
    truth_motion_mm: FloatArray
    motion_mm: FloatArray
    truth_dynamics: Dynamics
    dynamics: Dynamics
    truth_coefficients: Floats
    coefficients: Floats
    closures: Sequence[bool]
    false_closures: Sequence[bool]
    contacts: Sequence[bool]
    silence_mm: Floats
    silence_speed: Floats
    speed: Floats
    truth_speed: Floats
    codes: IntArray | None
    code_count: int
    shuffled_r: float = float("nan")
    diversity_mm: float = float("nan")

    @property
    def phones(self) -> tuple[Phone, ...]:
        return self.clip.phones

    def replace(self, **changes: Any) -> ClipScores:
        """A copy with other values."""
        return dataclasses.replace(self, **changes)


def make_ruler(dataset: Dataset, clips: Sequence[Clip]) -> Ruler:
    """The ruler for ``clips`` of ``dataset``.  Raises UserError when their motion cannot be read."""
    regions = dataset.face.regions
    upper = np.concatenate(
        [np.asarray(regions.get(name, ()), np.int64) for name in ("upper_face", "eyelids")]
    )
    frames = sampled_offsets(dataset, BASIS_FRAMES, clips)
    basis = metrics.motion_basis(frames.reshape(len(frames), -1, 3))
    return Ruler(dataset.face, metrics.lower_lip(dataset.face), np.unique(upper), basis)


def as_prediction(predicted: FloatArray | Prediction) -> Prediction:
    """A predictor's answer, whichever form it has."""
    return predicted if isinstance(predicted, Prediction) else Prediction(predicted)


def measure(dataset: Dataset, clip: Clip, ruler: Ruler, prediction: Prediction) -> ClipScores:
    """Everything about one clip.  Raises UserError when the prediction is of another face."""
    truth, predicted = dataset.offsets(clip), prediction.offsets
    if predicted.shape[1:] != truth.shape[1:]:
        raise UserError(
            f"The prediction of '{clip.name}' moves {predicted.shape[1]} vertices where the data set's "
            f"head has {truth.shape[1]}.",
            "Score a model on the head it was trained on.",
        )
    frames = min(len(truth), len(predicted))
    if not frames:
        raise UserError(f"The prediction of '{clip.name}' has no frame.")
    truth, predicted = truth[:frames], predicted[:frames]
    face = dataclasses.replace(ruler.face, vertices=dataset.template(clip))
    lips = ruler.region("lips")
    truth_opening, opening = (metrics.mouth_opening_mm(motion, face) for motion in (truth, predicted))
    corners = (metrics.corner_distance_mm(motion, face) for motion in (truth, predicted))
    teeth = metrics.teeth_distance_mm(predicted, face, ruler.lower_lip)
    rest_mm = metrics.rest_opening_mm(face)
    truth_speed, speed = (_lip_speed(motion, lips, clip.fps) for motion in (truth, predicted))
    silent = metrics.silent_frames(clip.phones, clip.fps, frames)
    return ClipScores(
        clip=clip,
        frames=frames,
        r=metrics.opening_r(truth_opening, opening),
        mod_mm=metrics.mod_mm(truth_opening, opening),
        rounding_r=metrics.rounding_r(*corners),
        mtm_ms=mtm_ms(truth_opening, opening, clip.fps),
        slcc=slcc(opening, clip.waveform, clip.fps),
        rest_mm=rest_mm,
        truth_opening_mm=truth_opening,
        opening_mm=opening,
        lip_errors=metrics.lip_errors(truth, predicted, lips),
        vertex_error_mm=_mean_length_mm(truth - predicted),
        truth_motion_mm=_mean_length_mm(truth),
        motion_mm=_mean_length_mm(predicted),
        truth_dynamics=metrics.dynamics(truth, ruler.upper_face),
        dynamics=metrics.dynamics(predicted, ruler.upper_face),
        truth_coefficients=metrics.coefficients(truth, ruler.basis),
        coefficients=metrics.coefficients(predicted, ruler.basis),
        closures=metrics.bilabial_closures(opening, rest_mm, clip.phones, clip.fps),
        false_closures=metrics.false_closures(opening, rest_mm, clip.phones, clip.fps),
        contacts=metrics.labiodental_contacts(teeth, clip.phones, clip.fps),
        silence_mm=opening[silent] - rest_mm,
        silence_speed=speed[silent],
        speed=speed,
        truth_speed=truth_speed,
        codes=prediction.codes,
        code_count=prediction.code_count,
    )


def _lip_speed(motion: FloatArray, lips: NDArray[np.int64], fps: float) -> Floats:
    """(T,) mm/s; NaN without lips."""
    return metrics.lip_speed_mm_s(motion, lips, fps) if len(lips) else np.full(len(motion), np.nan)


def _mean_length_mm(vectors: FloatArray) -> FloatArray:
    """(T, V, 3) metres -> (V,) mean over t of their lengths, mm."""
    lengths = np.sqrt(np.einsum("tvi,tvi->tv", vectors, vectors))
    return np.asarray(1000.0 * lengths.mean(axis=0, dtype=np.float64), np.float32)
