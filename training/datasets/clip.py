"""What every data set is turned into: clips of speech with facial motion.

One reader per data set yields the same :class:`Clip`; training and evaluation know no other form.
The offsets of an hour of speech would fill the memory, so a clip holds what they come from: weights
of shapes (offsets = weights @ deltas), or, where faces were recorded, the place of their vertices on
disk and the speaker's own template.  :meth:`Dataset.offsets` is the one way to both.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh, FloatArray, Waveform
from codetalker_blender.errors import UserError

#: Speech encoders of the wav2vec 2.0 family hear nothing else.
SPEECH_RATE_HZ = 16_000
#: A clip's motion may be this much shorter or longer than its sound.
LENGTH_TOLERANCE_S = 0.1
#: Recorders of sound and face start and stop by hand, so recorded clips may differ by this much.
RECORDED_TOLERANCE_S = 0.25


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
class VertexMotion:
    """Recorded motion: vertex positions in a file, read whenever they are asked for.

    The file is mapped and not kept open, so clips can be sent to other processes.

    path: .npy of positions, (N, V, 3) or (N, 3V), floats, in the file's units
    rows: (T,) int64, the file's rows that are the frames, in order
    template: (V, 3) float32, this speaker at rest, in the file's units
    units_per_metre: file units in one metre
    """

    path: Path
    rows: NDArray[np.int64]
    template: FloatArray
    units_per_metre: float = 1.0

    @property
    def frame_count(self) -> int:
        return len(self.rows)

    def offsets(self, start: int = 0, stop: int | None = None) -> FloatArray:
        """Offsets (T, V, 3) of frames ``start`` to ``stop`` from this speaker's template, metres.

        Raises UserError when the file is gone, has changed or holds values that are not finite.
        """
        positions = map_positions(self.path, len(self.template))
        rows = self.rows[start:stop]
        if len(rows) and not 0 <= rows.min() <= rows.max() < len(positions):
            raise UserError(f"'{self.path}' has {len(positions)} frames; frame {rows.max()} is wanted.")
        moved = positions[rows].reshape(len(rows), *self.template.shape) - self.template
        if not np.isfinite(moved).all():
            bad = int(np.argmin(np.isfinite(moved).all(axis=(1, 2))))
            raise UserError(
                f"'{self.path}' holds values that are not finite, the first in row {int(rows[bad])}."
            )
        return np.asarray(moved / self.units_per_metre, np.float32)


def map_positions(path: Path, vertex_count: int) -> NDArray[Any]:
    """The positions in ``path``, mapped: (N, V, 3) or (N, 3V) floats.

    Raises UserError when it is no such file, or holds another number of vertices.
    """
    try:
        positions = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"'{path}' cannot be read as an .npy of positions: {error}.") from error
    if not isinstance(positions, np.ndarray) or positions.dtype.kind != "f" or positions.ndim not in (2, 3):
        raise UserError(f"'{path}' holds no positions (frames, vertices, 3) or (frames, 3 * vertices).")
    width = int(np.prod(positions.shape[1:]))
    if width != 3 * vertex_count or (positions.ndim == 3 and positions.shape[2] != 3):
        raise UserError(
            f"'{path}' has frames of shape {positions.shape[1:]}, but {vertex_count} vertices are wanted."
        )
    if not len(positions):
        raise UserError(f"'{path}' holds no frame.")
    return positions


@dataclass(frozen=True)
class Clip:
    """One utterance.

    name: unique in its data set
    style: row of the data set's ``styles``; 0 for a speaker whom the styles do not know
    voice: who speaks, for scores per voice
    waveform: 16 kHz mono
    fps: frames per second of ``weights``; frame t is the face at t / fps
    weights: (T, K) float32 shape weights; (T, 0) when the motion is ``vertices``
    phones: in time order, or () when unknown; used for scoring alone, never for generation
    vertices: recorded motion, or None when the motion is ``weights``
    """

    name: str
    style: int
    voice: str
    waveform: Waveform
    fps: float
    weights: FloatArray
    phones: tuple[Phone, ...] = ()
    vertices: VertexMotion | None = None

    @property
    def motion(self) -> ShapeMotion:
        return ShapeMotion(self.weights)

    @property
    def frame_count(self) -> int:
        return len(self.weights)


@dataclass(frozen=True)
class Dataset:
    """Clips of one face, or of several people's faces in one topology.

    face: the template and its regions; metres.  With several people it is their mean
    shape_names: (K,) names of the shapes; none when the motion was recorded
    deltas: (K, V, 3) float32, what weight 1 of each shape adds to the template
    styles: names of the speaking styles; row 0 is the default
    units_per_metre: units of the data set's files in one metre; here everything is in metres already,
        measures that are published in squared template units need it
    up_axis: the template's up
    """

    face: FaceMesh
    shape_names: tuple[str, ...]
    deltas: FloatArray
    styles: tuple[str, ...]
    clips: tuple[Clip, ...]
    units_per_metre: float = 1.0
    up_axis: str = "Z"

    @property
    def duration_s(self) -> float:
        return sum(clip.waveform.duration_s for clip in self.clips)

    def offsets(self, clip: Clip) -> FloatArray:
        """Offsets (T, V, 3) of one clip from its :meth:`template`, metres, in the template's axes.

        Raises UserError when recorded motion cannot be read.
        """
        return clip.motion.offsets(self.deltas) if clip.vertices is None else clip.vertices.offsets()

    def template(self, clip: Clip) -> FloatArray:
        """(V, 3) metres: the clip's speaker at rest."""
        if clip.vertices is None:
            return self.face.vertices
        return np.asarray(clip.vertices.template / clip.vertices.units_per_metre, np.float32)


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
        if clip.vertices is not None:
            texts = _vertex_problems(clip, clip.vertices, dataset.face.vertex_count)
            found += [f"Clip '{clip.name}': {text}" for text in texts]
    return found


def _vertex_problems(clip: Clip, motion: VertexMotion, vertex_count: int) -> list[str]:
    """Reads all of the clip's motion."""
    if motion.template.shape != (vertex_count, 3):
        return [f"its template has shape {motion.template.shape}, not {(vertex_count, 3)}."]
    if motion.frame_count != clip.frame_count:
        return [f"it has {motion.frame_count} recorded frames but {clip.frame_count} rows of weights."]
    try:
        motion.offsets()
    except UserError as error:
        return [str(error)]
    return []


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
    if abs(gap_s) > (LENGTH_TOLERANCE_S if clip.vertices is None else RECORDED_TOLERANCE_S):
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
