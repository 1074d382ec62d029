"""What every data set is turned into: clips of speech with facial motion.

One reader per data set yields the same :class:`Clip`; training and evaluation know no other form.
Motion is held as weights of a linear basis (shape keys, or principal components), because
the offsets of an hour of speech would fill the memory: offsets = weights @ deltas.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from codetalker_blender.contracts import FaceMesh, FloatArray, Waveform

#: Speech encoders of the wav2vec 2.0 family hear nothing else.
SPEECH_RATE_HZ = 16_000
#: A clip's motion may be this much shorter or longer than its sound.
LENGTH_TOLERANCE_S = 0.1


@dataclass(frozen=True)
class Phone:
    """One phone of the common set (see ``phones.py``); ``pau`` is silence.

    Times are seconds from the clip's start.
    """

    label: str
    start_s: float
    end_s: float

    @property
    def duration_s(self) -> float:
        return self.end_s - self.start_s


@dataclass(frozen=True)
class ShapeMotion:
    """Motion as weights (T, K) float32 of K shapes."""

    weights: FloatArray

    def offsets(self, deltas: FloatArray) -> FloatArray:
        """Offsets (T, V, 3) in the unit of ``deltas`` (K, V, 3)."""
        count, vertices, axes = deltas.shape
        # (K, V, 3) -> (K, 3V): one matrix product instead of a sum over shapes.
        flat = self.weights @ deltas.reshape(count, vertices * axes)
        return flat.reshape(len(self.weights), vertices, axes)


@dataclass(frozen=True)
class Clip:
    """One utterance.

    name: unique in its data set
    style: row of the data set's ``styles``
    voice: who speaks, for scores per voice
    waveform: 16 kHz mono
    fps: frames per second of ``weights``; frame t is the face at t / fps
    weights: (T, K) float32 shape weights
    phones: in time order, or () when unknown; used for scoring alone, never for generation
    """

    name: str
    style: int
    voice: str
    waveform: Waveform
    fps: float
    weights: FloatArray
    phones: tuple[Phone, ...] = ()

    @property
    def motion(self) -> ShapeMotion:
        return ShapeMotion(self.weights)

    @property
    def frame_count(self) -> int:
        return len(self.weights)


@dataclass(frozen=True)
class Dataset:
    """Clips of one face.

    face: the template and its regions; metres
    shape_names: (K,) names of the shapes
    deltas: (K, V, 3) float32, what weight 1 of each shape adds to the template
    styles: names of the speaking styles; row 0 is the default
    """

    face: FaceMesh
    shape_names: tuple[str, ...]
    deltas: FloatArray
    styles: tuple[str, ...]
    clips: tuple[Clip, ...]

    @property
    def duration_s(self) -> float:
        return sum(clip.waveform.duration_s for clip in self.clips)

    def offsets(self, clip: Clip) -> FloatArray:
        """Offsets (T, V, 3) of one clip, in the template's unit and axes."""
        return clip.motion.offsets(self.deltas)


def problems(dataset: Dataset) -> list[str]:
    """Everything that would make training wrong, one sentence each; [] for a sound data set."""
    found: list[str] = []
    shapes = len(dataset.shape_names)
    want = (shapes, dataset.face.vertex_count, 3)
    if dataset.deltas.shape != want:
        found.append(f"deltas have shape {dataset.deltas.shape} where names and template say {want}.")
    if len(set(dataset.shape_names)) != shapes:
        found.append("A shape name is there twice.")
    if not np.isfinite(dataset.deltas).all():
        found.append("deltas hold values that are not finite.")
    if not dataset.styles:
        found.append("There is no speaking style.")
    if not dataset.clips:
        found.append("There is no clip.")
    names = [clip.name for clip in dataset.clips]
    if len(set(names)) != len(names):
        found.append("Two clips have the same name.")
    for clip in dataset.clips:
        found += [f"Clip '{clip.name}': {text}" for text in _clip_problems(clip, shapes, len(dataset.styles))]
    return found


def _clip_problems(clip: Clip, shapes: int, styles: int) -> list[str]:
    found: list[str] = []
    samples, weights = clip.waveform.samples, clip.weights
    if clip.waveform.rate_hz != SPEECH_RATE_HZ:
        found.append(f"its sound is at {clip.waveform.rate_hz} Hz, not {SPEECH_RATE_HZ}.")
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        found.append(f"its sound must be finite and one-dimensional, not {samples.shape}.")
    elif not samples.any():
        found.append("its sound is all zero.")
    if weights.ndim != 2 or weights.shape[1] != shapes or not len(weights) or not np.isfinite(weights).all():
        found.append(f"its weights must be finite and (T, {shapes}), not {weights.shape}.")
        return found
    if not clip.fps > 0:
        found.append(f"its rate of {clip.fps} frames per second is not positive.")
        return found
    gap_s = len(weights) / clip.fps - clip.waveform.duration_s
    if abs(gap_s) > LENGTH_TOLERANCE_S:
        found.append(f"its motion is {gap_s:+.2f} s longer than its sound.")
    if not 0 <= clip.style < styles:
        found.append(f"its style {clip.style} is not one of the {styles}.")
    for before, after in zip(clip.phones, clip.phones[1:], strict=False):
        if after.start_s < before.end_s - 1e-6:
            found.append(f"its phones overlap at {after.start_s:.3f} s.")
            break
    if any(phone.end_s < phone.start_s for phone in clip.phones):
        found.append("a phone ends before it starts.")
    return found
