"""A dataset → batches of windows: sound on the speech encoder's chunk grid, motion beside it.

Motion is kept as coefficients of an orthonormal vertex basis, so that an hour fits in memory and a
training step never touches 3V numbers.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.engine.speech import FRAME_RATE_HZ

from .datasets.clip import Clip, Dataset
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
    error_mm: the largest vertex error of any shape at full weight
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
    """The smallest basis that spans ``deltas`` (K, V, 3) metres to ``tolerance_mm``, part by part.

    shape_part: (K,) the part of each shape (None: one part).  The last part comes first into the basis, so
    that the rows of brows and lids move nothing that their shapes do not move.
    """
    flat = deltas.reshape(len(deltas), -1).astype(np.float64)
    of = np.zeros(len(deltas), np.int64) if shape_part is None else shape_part
    kept = np.zeros((0, flat.shape[1]))
    parts: list[int] = []
    for part in sorted(set(of.tolist()), reverse=True):
        own = flat[of == part]
        left = own - own @ kept.T @ kept
        _, sizes, rows = np.linalg.svd(left, full_matrices=False)
        for rank in range(1, min(largest - len(kept), len(sizes)) + 1):
            grown = np.concatenate((rows[:rank], kept))
            error_mm = _largest_error_mm(own, grown)
            if error_mm <= tolerance_mm:
                break
        else:
            raise ValueError(f"no basis of rank <= {largest} spans the shapes to {tolerance_mm} mm")
        kept, parts = grown, [part] * rank + parts
    return VertexBasis(
        kept.astype(np.float32),
        (flat @ kept.T).astype(np.float32),
        np.array(parts, np.int64),
        _largest_error_mm(flat, kept),
    )


def _largest_error_mm(flat: NDArray[np.float64], rows: NDArray[np.float64]) -> float:
    wrong = (flat - flat @ rows.T @ rows).reshape(len(flat), -1, 3)
    return float(np.linalg.norm(wrong, axis=-1).max() * 1e3)


def motion_metric(rows: FloatArray, face: FaceMesh, region_weights: Mapping[str, float]) -> Tensor:
    """(R, R) L for :func:`training.losses.weighted_motion`.

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
    gram = (rows.astype(np.float64) * per_axis) @ rows.T
    values, vectors = np.linalg.eigh(gram)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    # weighted_motion averages over R columns; millimetres RMS come out with this factor
    return torch.from_numpy((root * 1e3 * np.sqrt(rank)).astype(np.float32))


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


class WindowSampler:
    """Draws windows of clips, longer clips more often; past the end there is silence and rest."""

    def __init__(self, dataset: Dataset, basis: VertexBasis, sounds: Sounds, fps: float, seed: int) -> None:
        self.sounds = sounds
        self.fps = fps
        self.style_count = len(dataset.styles)
        self.clips = dataset.clips
        rest = np.zeros((round(REST_S * fps), len(basis.rows)), np.float32)
        self.motion = [
            np.concatenate((clip.weights @ basis.from_weights, rest)).astype(np.float32)
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
