"""What flows down the street: the frozen dataclasses between the stages.

    audio ─► Waveform ─► speech features ─► codes ─► Motion ─► keys

Only the standard library and numpy; every stage may import this file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float32]
IntArray = NDArray[np.int32]

#: progress(stage, done, total): ``stage`` is a short noun ("speech", "codes", "motion");
#: ``done`` and ``total`` count that stage's own units (chunks, frames).
Progress = Callable[[str, int, int], None]
#: cancelled() -> True when the run should stop; asked once per step.
CancelCheck = Callable[[], bool]
#: sink(first, offsets): frames (n, V, 3) in metres from number ``first`` on, while later ones are made.
FrameSink = Callable[[int, FloatArray], None]

#: How often a motion's sound is measured.
LOUDNESS_HZ = 50.0

#: The index lists of ``face.npz`` (key ``region_<name>``); a face may lack any of them.
REGION_NAMES = (
    "lips",
    "upper_face",
    "eyelids",
    "jaw",
    "upper_teeth",
    "lower_teeth",
    "eyes",
)


def _unknown() -> FloatArray:
    return np.zeros(0, np.float32)


def no_progress(stage: str, done: int, total: int) -> None:
    """A progress callback for callers that show none."""


def no_frames(first: int, offsets: FloatArray) -> None:
    """A frame sink for callers that wait for all of them."""


def never_cancelled() -> bool:
    """A cancel check for callers that never cancel."""
    return False


@dataclass(frozen=True)
class Waveform:
    """Mono sound.

    samples: (n,) float32, full scale is 1.0
    rate_hz: samples per second; the engine's own audio is always 16,000
    """

    samples: FloatArray
    rate_hz: int

    @property
    def duration_s(self) -> float:
        return len(self.samples) / self.rate_hz


@dataclass(frozen=True)
class AudioSource:
    """Where speech comes from: a file, or a packed file's bytes, cut to a time range.

    path: the file; with ``data`` it is only the name to quote in messages
    data: the whole file's bytes (a packed sound), or None to read ``path``
    start_s: first second used
    duration_s: seconds used, or None for all that is left
    """

    path: Path
    data: bytes | None = None
    start_s: float = 0.0
    duration_s: float | None = None


@dataclass(frozen=True)
class FaceMesh:
    """The face a model was trained on (a bundle's ``face.npz``).

    vertices: (V, 3) float32, the neutral template in the bundle's units and axes
    triangles: (F, 3) int32; (0, 3) when unknown
    mid_lips: (2,) int32, upper and lower mid-lip vertex; (0,) when the face has none
    lip_corners: (2,) int32, the +x corner first; (0,) when the face has none
    regions: region name (see REGION_NAMES) -> (n,) int32 vertex indices, n may be 0
    """

    vertices: FloatArray
    triangles: IntArray
    mid_lips: IntArray
    lip_corners: IntArray
    regions: Mapping[str, IntArray] = field(default_factory=dict)

    @property
    def vertex_count(self) -> int:
        return len(self.vertices)


@dataclass(frozen=True)
class Motion:
    """Facial motion as offsets from the neutral template.

    offsets: (T, V, 3) float32, METRES, in the bundle's template axes
    fps: frames per second of ``offsets``
    codes: (T_model, H) int32 code indices, one row per frame at ``model_fps``
    model_fps: the bundle's own rate
    loudness: (n,) float32 root mean square of the sound, full scale 1.0, LOUDNESS_HZ times a second from
        the first frame on; (0,) when not known
    """

    offsets: FloatArray
    fps: float
    codes: IntArray
    model_fps: float
    loudness: FloatArray = field(default_factory=_unknown)

    @property
    def frame_count(self) -> int:
        return len(self.offsets)


@dataclass(frozen=True)
class ShapeWeights:
    """How much each of some named shapes moves, frame by frame.

    names: (S,) distinct
    values: (T, S) float32, finite; 1 is the whole shape
    fps: frames per second of ``values``
    """

    names: tuple[str, ...]
    values: FloatArray
    fps: float

    @property
    def frame_count(self) -> int:
        return len(self.values)

    def of(self, name: str) -> FloatArray:
        """(T,) the weights of one shape; zeros for a name that is not among them."""
        if name in self.names:
            return self.values[:, self.names.index(name)]
        return np.zeros(len(self.values), np.float32)

    def chosen(self, names: Sequence[str]) -> ShapeWeights:
        """Only ``names``, in that order; zeros for those that are not among them."""
        return ShapeWeights(tuple(names), np.stack([self.of(name) for name in names], axis=1), self.fps)


@dataclass(frozen=True)
class MotionChunk:
    """Neighbouring frames of a motion whose others are not known yet, or not needed any more.

    first: the number of the first of them in the whole motion
    offsets, codes: as in :class:`Motion`
    """

    first: int
    offsets: FloatArray
    codes: IntArray


@dataclass(frozen=True)
class EngineFacts:
    """What the Python that runs the model has.

    python: its version, such as "3.11.7"
    versions: library -> version, in the order in which they are shown
    device: what "auto" or the device asked for comes to: "cpu", "cuda" or "mps"
    device_name: what its maker calls it; "" for the processor
    torch_build: what torch was built for: "CPU", "CUDA 13.0", "Metal", ...
    """

    python: str
    versions: Mapping[str, str]
    device: str
    device_name: str
    torch_build: str


@dataclass(frozen=True)
class GenerateRequest:
    """One run of the street.

    audio: the speech
    model: the bundle's folder
    style: (frames or 1, styles) float32 mix weights of the bundle's speaking styles;
        one row holds for the whole clip, several rows are one per model frame
        (the last row holds on when the clip is longer; rows beyond its end do nothing)
    device: "auto", "cpu", "cuda" or "mps"
    fps: frames per second wanted; None keeps the model's own
    temperature: 0 takes the nearest code; above it codes are drawn by
        softmax(-squared distance / temperature); None takes the bundle's own default
    seed: seeds the drawing of codes
    shapes: folder in which the ARKit shapes of the model's face are kept, made where they are missing; None
        where nobody asks for them
    needs_shapes: whether a face that can have none ends the run; otherwise it goes on without
    """

    audio: AudioSource
    model: Path
    style: FloatArray
    device: str = "auto"
    fps: float | None = None
    temperature: float | None = None
    seed: int = 0
    shapes: Path | None = None
    needs_shapes: bool = True


@dataclass(frozen=True)
class ImportRequest:
    """Official CodeTalker checkpoints that shall become a model bundle.

    stage1, stage2: the two released ``.pth.tar`` files
    template: the face they were trained on: .ply, .obj, .npy, .npz or templates.pkl
    output: the bundle's folder
    subject: whose template to take, where the file holds several
    mesh: .ply or .obj with the face's polygons, or None
    regions: folder of lve.txt, fdd.txt or FLAME_masks.pkl, or None
    name: of the model; "" takes the folder's
    up_axis: the template's up, "X", "Y" or "Z"
    metres_per_unit: None takes what is known of the face, else 1
    styles: names of the style rows; () takes the official ones
    codec_heads, query_heads, speech_heads: the official models' unless the checkpoints are others
    fps, period: None takes the flavour's own
    """

    stage1: Path
    stage2: Path
    template: Path
    output: Path
    subject: str | None = None
    mesh: Path | None = None
    regions: Path | None = None
    name: str = ""
    description: str = "imported official CodeTalker checkpoint"
    licence: str = "not stated; see where the checkpoint came from"
    up_axis: str = "Y"
    metres_per_unit: float | None = None
    styles: tuple[str, ...] = ()
    codec_heads: int = 8
    query_heads: int = 4
    speech_heads: int = 12
    fps: float | None = None
    period: int | None = None
