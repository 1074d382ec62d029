"""A dataset → batches of windows: sound on the speech encoder's chunk grid, motion beside it.

Motion is kept as coefficients of an orthonormal vertex basis, so that an hour fits in memory and a
training step never touches 3V numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.speech import FRAME_RATE_HZ, SpeechConfig

from .config import Schedule
from .datasets.clip import Clip, Dataset
from .random_states import Stateful
from .recorded_basis import clip_coefficients, principal_rows, sampled_offsets
from .sounds import Sounds

Rows = NDArray[np.generic]
SILENCE = "pau"
#: Rest and silence that every clip gets behind it.
REST_S = 1.0
#: Windows that begin where their clip begins, out of silence and rest.
START_SHARE = 0.15


@dataclass(frozen=True)
class VertexBasis:
    """An orthonormal basis of a dataset's motion.

    rows: (R, 3V) float32, orthonormal; from_weights: (K, R), shape weights -> coefficients
    part: (R,) int64, row of :data:`training.parts.PARTS` that each basis row moves
    error_mm: the largest vertex error of any shape at full weight; of recorded motion the root mean square
    """

    rows: FloatArray
    from_weights: FloatArray
    part: NDArray[np.int64]
    error_mm: float


def vertex_basis(
    deltas: FloatArray,
    shape_part: NDArray[np.int64] | None = None,
    largest: int = 128,
    tolerance_mm: float = 0.1,
) -> VertexBasis:
    """A basis that spans ``deltas`` (K, V, 3) metres to ``tolerance_mm``, part by part.

    shape_part: (K,) the part of each shape (None: one part).  The last part comes first into the basis, so
    that the rows of brows and lids move nothing that their shapes do not move.
    Gram-Schmidt in the shapes' order: a singular value decomposition turns freely within the equal values
    of mirrored shapes, by the number of threads even, and the stages of a run must agree on the basis.
    """
    flat = deltas.reshape(len(deltas), -1).astype(np.float64)
    of = np.zeros(len(deltas), np.int64) if shape_part is None else shape_part
    kept = np.zeros((0, flat.shape[1]))
    parts: list[int] = []
    for part in sorted(set(of.tolist()), reverse=True):
        own: list[NDArray[np.float64]] = []
        for shape in flat[of == part]:
            left = shape
            for _ in range(2):  # once more takes off what rounding left
                rows = np.concatenate((np.reshape(own, (-1, flat.shape[1])), kept))
                left = left - left @ rows.T @ rows
            if np.linalg.norm(left.reshape(-1, 3), axis=-1).max() * 1e3 > tolerance_mm:
                own.append(left / np.linalg.norm(left))
        kept = np.concatenate((np.reshape(own, (-1, flat.shape[1])), kept))
        parts = [part] * len(own) + parts
    if len(kept) > largest:
        raise ValueError(f"no basis of rank <= {largest} spans the shapes to {tolerance_mm} mm")
    return VertexBasis(
        kept.astype(np.float32),
        (flat @ kept.T).astype(np.float32),
        np.array(parts, np.int64),
        _largest_error_mm(flat, kept),
    )


def recorded_basis(dataset: Dataset, largest: int = 128, tolerance_mm: float = 0.1) -> VertexBasis:
    """A basis of motion that was recorded, where there are no shapes."""
    rows, error_mm = principal_rows(sampled_offsets(dataset), largest, tolerance_mm)
    empty = np.zeros((0, len(rows)), np.float32)
    return VertexBasis(rows, empty, np.zeros(len(rows), np.int64), error_mm)


def _largest_error_mm(flat: NDArray[np.float64], rows: NDArray[np.float64]) -> float:
    wrong = (flat - flat @ rows.T @ rows).reshape(len(flat), -1, 3)
    return float(np.linalg.norm(wrong, axis=-1).max() * 1e3)


def motion_metric(
    rows: FloatArray, face: FaceMesh, region_weights: Mapping[str, float], part: NDArray[np.int64]
) -> Tensor:
    """(P, R, R) L for :func:`training.losses.weighted_motion`, one for each part of the face.

    rows: (R, 3V) vertex basis; part: (R,) the part that each row belongs to
    The face as a whole weighs 1 and every region its own weight, shared out among its vertices, so that a
    region counts by its weight and not by how many vertices it has.  Scaled to millimetres.
    """
    rank, width = rows.shape
    share = np.full(width // 3, 1.0 / (width // 3))
    for name, weight in region_weights.items():
        if len(face.regions[name]):
            share[face.regions[name]] += weight / len(face.regions[name])
    share /= share.sum()
    per_axis = np.repeat(share, 3)
    roots = []
    for own in np.unique(part):
        kept = rows * (part == own)[:, None]
        values, vectors = np.linalg.eigh((kept.astype(np.float64) * per_axis) @ kept.T)
        roots.append(vectors * np.sqrt(np.clip(values, 0.0, None)))
    # weighted_motion averages over R columns; millimetres RMS come out with this factor
    return torch.from_numpy((np.stack(roots) * 1e3 * np.sqrt(rank)).astype(np.float32))


@dataclass(frozen=True)
class Batch:
    """chunks: what :meth:`Sounds.features` reads, (batch * K, ...), empty when not asked for;
    motion: (batch, T, R); before: (batch, R), the motion one frame earlier (zeros at a clip's start);
    style: (batch, 1, styles) one-hot; phones: (batch, T) int64;
    codes: (batch, T, H) int64, H = 0 until the sampler has codes"""

    chunks: Tensor
    motion: Tensor
    before: Tensor
    style: Tensor
    phones: Tensor
    codes: Tensor

    def to(self, device: torch.device) -> Batch:
        return Batch(**{item.name: getattr(self, item.name).to(device) for item in fields(self)})


def window_size(schedule: Schedule, speech: SpeechConfig) -> tuple[int, int]:
    """Motion frames and chunks of sound of one window; (0, 1) for whole clips.

    Raises ValueError when a window does not hold whole chunks.
    """
    if not schedule.window_s:
        return 0, 1
    chunks = round(schedule.window_s / speech.chunk_s) if speech.chunked else 0
    if not chunks or abs(chunks * speech.chunk_s - schedule.window_s) > 1e-6:
        raise ValueError(f"windows of {schedule.window_s:g} s are no whole chunks of {speech.chunk_s:g} s")
    return chunks * round(speech.chunk_s * speech.fps), chunks


class WindowSampler:
    """Draws windows of clips, longer clips more often; past the end there is silence and rest."""

    def __init__(self, dataset: Dataset, basis: VertexBasis, sounds: Sounds, fps: float, seed: int) -> None:
        self.sounds = sounds
        self.fps = fps
        self.style_count = len(dataset.styles)
        self.clips = dataset.clips
        rest = np.zeros((round(REST_S * fps), len(basis.rows)), np.float32)
        self.motion = [
            np.concatenate((_coefficients(dataset, clip, basis), rest)).astype(np.float32)
            for clip in dataset.clips
        ]
        self.labels = phone_labels(dataset.clips)
        row = {label: index for index, label in enumerate(self.labels)}
        self.phones = [frame_phones(clip, row) for clip in dataset.clips]
        lengths = np.array([len(motion) for motion in self.motion], float)
        self.chances = lengths / lengths.sum()
        self.random = np.random.default_rng(seed)
        #: per clip (frames, H) int64, once the codec is trained
        self.codes: list[Tensor] = []

    def stateful(self) -> dict[str, Stateful]:
        """Whatever decides about the next windows."""
        return {"windows": self.random, **self.sounds.generators()}

    def speech(self, batch: Batch) -> Tensor:
        """The encoder's features of a batch: (batch, T * speech_frames, hidden)."""
        features = self.sounds.features(batch.chunks)
        return features.reshape(len(batch.motion), -1, features.shape[-1])

    def freeze(self, variants: int, /) -> bool:
        """Whether the encoder's convolutions are frozen from now on; see :meth:`RawSounds.freeze`."""
        return self.sounds.freeze(variants)

    def find_codes(self, codec: Codec) -> None:
        """Give every window the codes of its whole clip, as the trained codec has them."""
        place = codec.quantiser.codebook.device
        with torch.inference_mode():
            self.codes = [codec.encode(torch.from_numpy(m)[None].to(place))[0].cpu() for m in self.motion]

    def sample_motion(self) -> FloatArray:
        """(frames, R): all there is, for means and spreads."""
        return np.concatenate(self.motion)

    def example(self, frames: int) -> tuple[Clip, FloatArray]:
        """The first clip and the first ``frames`` frames of its motion (T, R)."""
        return self.clips[0], self.motion[0][: min(frames, self.clips[0].frame_count)]

    def draw(self, batch: int, frames: int, *, chunks: int = 0) -> Batch:
        """``batch`` windows of ``frames`` frames, with ``chunks`` chunks of sound each where wanted."""
        picks = self.random.choice(len(self.clips), size=batch, p=self.chances).tolist()
        # on the 50 Hz grid as well as on the motion's: every third frame at 30 fps
        grid = int(self.fps / np.gcd(int(self.fps), FRAME_RATE_HZ))
        starts = []
        for pick in picks:
            last = max(len(self.motion[pick]) - frames + grid, 1)
            first = self.random.random() < START_SHARE
            starts.append(0 if first else int(self.random.integers(last)) // grid * grid)
        style = torch.zeros(batch, 1, self.style_count)
        style[torch.arange(batch), 0, [self.clips[pick].style for pick in picks]] = 1.0
        places = list(zip(picks, starts, strict=True))
        still = np.zeros_like(self.motion[0][0])
        codes = [_window(self.codes[p].numpy(), s, frames) for p, s in places] if self.codes else None
        return Batch(
            chunks=self.sounds.chunks(picks, starts, chunks) if chunks else torch.empty(0),
            motion=torch.from_numpy(np.stack([_window(self.motion[p], s, frames) for p, s in places])),
            before=torch.from_numpy(np.stack([self.motion[p][s - 1] if s else still for p, s in places])),
            style=style,
            phones=torch.from_numpy(np.stack([_window(self.phones[p], s, frames) for p, s in places])),
            codes=torch.empty(batch, frames, 0, dtype=torch.int64)
            if codes is None
            else torch.from_numpy(np.stack(codes)),
        )


def _coefficients(dataset: Dataset, clip: Clip, basis: VertexBasis) -> FloatArray:
    """(T, R) of the clip on the basis."""
    if clip.vertices is None:
        return np.asarray(clip.weights @ basis.from_weights)
    return clip_coefficients(dataset, clip, basis.rows)


def _window(array: Rows, start: int, frames: int) -> Rows:
    """Rows start to start + frames; past the end the last row (rest, silence) goes on."""
    rows: Rows = array[np.minimum(np.arange(start, start + frames), len(array) - 1)]
    return rows


def phone_labels(clips: Sequence[Clip]) -> tuple[str, ...]:
    """All phone labels of the clips, silence first."""
    return (SILENCE, *sorted({phone.label for clip in clips for phone in clip.phones} - {SILENCE}))


def frame_phones(clip: Clip, row: dict[str, int]) -> NDArray[np.int64]:
    """(frames,) int64: the phone at each motion frame's time."""
    times = np.arange(len(clip.weights) + round(REST_S * clip.fps)) / clip.fps
    labels = np.zeros(len(times), np.int64)
    for phone in clip.phones:
        labels[(times >= phone.start_s) & (times < phone.end_s)] = row[phone.label]
    return labels
