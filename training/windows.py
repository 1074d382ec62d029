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
from codetalker_blender.engine.speech import FRAME_RATE_HZ, HOP, SAMPLE_RATE_HZ, SpeechEncoder

from .datasets.augment import augment_audio
from .datasets.clip import Clip, Dataset

Rows = NDArray[np.generic]
SILENCE = "pau"
#: Rest and silence that every clip gets behind it.
REST_S = 1.0


@dataclass(frozen=True)
class VertexBasis:
    """An orthonormal basis of a dataset's motion.

    rows: (R, 3V) float32, orthonormal; from_weights: (K, R), shape weights -> coefficients
    error_mm: the largest vertex error of any shape at full weight
    """

    rows: FloatArray
    from_weights: FloatArray
    error_mm: float


def vertex_basis(deltas: FloatArray, largest: int = 128, tolerance_mm: float = 0.1) -> VertexBasis:
    """The smallest basis that spans ``deltas`` (K, V, 3) metres to ``tolerance_mm``."""
    flat = deltas.reshape(len(deltas), -1).astype(np.float64)
    _, sizes, rows = np.linalg.svd(flat, full_matrices=False)
    for rank in range(1, min(largest, len(sizes)) + 1):
        kept = rows[:rank]
        wrong = (flat - flat @ kept.T @ kept).reshape(deltas.shape)
        error_mm = float(np.linalg.norm(wrong, axis=-1).max() * 1e3)
        if error_mm <= tolerance_mm:
            break
    else:
        raise ValueError(
            f"no basis of rank <= {largest} spans the shapes to {tolerance_mm} mm (best {error_mm:.2f})"
        )
    return VertexBasis(kept.astype(np.float32), (flat @ kept.T).astype(np.float32), error_mm)


def motion_metric(
    rows: FloatArray, face: FaceMesh, region_weights: Mapping[str, float], lip_gap_weight: float = 0.0
) -> Tensor:
    """(R, R) L for :func:`training.losses.weighted_motion`.

    The face as a whole weighs 1 and every region its own weight, shared out among its vertices, so that a
    region counts by its weight and not by how many vertices it has.  The error of the offset between
    the two mid-lip vertices adds ``lip_gap_weight`` times its square.  Scaled to millimetres.
    """
    rank, width = rows.shape
    share = np.full(width // 3, 1.0 / (width // 3))
    for name, weight in region_weights.items():
        if len(face.regions[name]):
            share[face.regions[name]] += weight / len(face.regions[name])
    share /= share.sum()
    per_axis = np.repeat(share, 3)
    gram = (rows.astype(np.float64) * per_axis) @ rows.T
    if lip_gap_weight and len(face.mid_lips):
        upper, lower = rows.reshape(rank, -1, 3)[:, face.mid_lips].transpose(1, 0, 2).astype(np.float64)
        gram += lip_gap_weight * (upper - lower) @ (upper - lower).T
    values, vectors = np.linalg.eigh(gram)
    root = vectors * np.sqrt(np.clip(values, 0.0, None))
    # weighted_motion averages over R columns; millimetres RMS come out with this factor
    return torch.from_numpy((root * 1e3 * np.sqrt(rank)).astype(np.float32))


@dataclass(frozen=True)
class Batch:
    """chunks: sound (batch * K, chunk_samples) or 50 Hz frames (batch * K, L, conv_dim), by the sampler;
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

    def __init__(
        self, dataset: Dataset, basis: VertexBasis, encoder: SpeechEncoder, seed: int, *, augment: bool = True
    ) -> None:
        self.encoder = encoder
        self.augment = augment
        self.style_count = len(dataset.styles)
        self.clips = dataset.clips
        rest = np.zeros((round(REST_S * encoder.config.fps), len(basis.rows)), np.float32)
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
        self._conv: list[list[Tensor]] = []

    def cache_convolutions(self, variants: int) -> None:
        """Run the frozen convolutions over every clip once per augmented copy of its sound.

        They see 25 ms each and normalise nothing over time, so frames of whole clips are the
        frames of any chunk that starts on the 50 Hz grid.
        """
        edge = SAMPLE_RATE_HZ  # a second of silence on both sides covers any chunk's context
        self._conv = []
        for clip in self.clips:
            copies = []
            for _ in range(variants):
                sound = torch.from_numpy(self._sound_of(clip))
                padded = torch.nn.functional.pad(sound, (edge, edge + 2 * HOP))
                with torch.inference_mode():
                    frames = self.encoder.convolve(self.encoder.levelled(padded[None]))[0]
                copies.append(frames.half())
            self._conv.append(copies)

    def draw(self, batch: int, chunks: int, *, sound: bool = True) -> Batch:
        """``batch`` windows of ``chunks`` chunks each; without ``sound`` the chunks are left empty."""
        encoder, frames = self.encoder, chunks * self.encoder.chunk_frames
        picks = self.random.choice(len(self.clips), size=batch, p=self.chances)
        parts, motion, before, phones, codes = [], [], [], [], []
        style = torch.zeros(batch, 1, self.style_count)
        # on the 50 Hz grid as well as on the motion's: every third frame at 30 fps
        grid = int(encoder.config.fps / np.gcd(int(encoder.config.fps), FRAME_RATE_HZ))
        for place, pick in enumerate(picks):
            whole = self.motion[pick]
            last = max(len(whole) - frames + grid, 1)
            start = 0 if self.random.random() < 0.15 else int(self.random.integers(last)) // grid * grid
            motion.append(_window(whole, start, frames))
            phones.append(_window(self.phones[pick], start, frames))
            before.append(whole[start - 1] if start else np.zeros_like(whole[0]))
            if self.codes:
                codes.append(_window(self.codes[pick].numpy(), start, frames))
            style[place, 0, self.clips[pick].style] = 1.0
            if sound:
                parts += self._sound(int(pick), start, chunks)
        return Batch(
            chunks=torch.stack(parts) if sound else torch.empty(0),
            motion=torch.from_numpy(np.stack(motion)),
            before=torch.from_numpy(np.stack(before)),
            style=style,
            phones=torch.from_numpy(np.stack(phones)),
            codes=torch.from_numpy(np.stack(codes))
            if codes
            else torch.empty(batch, frames, 0, dtype=torch.int64),
        )

    def _sound(self, pick: int, start: int, chunks: int) -> list[Tensor]:
        encoder, fps = self.encoder, self.encoder.config.fps
        if self._conv:
            copies = self._conv[pick]
            frames = copies[int(self.random.integers(len(copies)))]
            context = round(encoder.config.context_s * FRAME_RATE_HZ)
            length = round(encoder.config.chunk_s * FRAME_RATE_HZ)
            first = FRAME_RATE_HZ + round(start / fps * FRAME_RATE_HZ) - context
            silent = frames[:1]  # deep in the silent edge
            parts = []
            for index in range(chunks):
                a = first + index * length
                part = frames[a : a + length + 2 * context]
                short = length + 2 * context - len(part)
                parts.append((torch.cat((part, silent.expand(short, -1))) if short else part).float())
            return parts
        samples = torch.from_numpy(self._sound_of(self.clips[pick]))
        # shift the clip so that the window starts at the grid's origin, its past kept as context
        context = round(encoder.config.context_s * SAMPLE_RATE_HZ)
        origin = round(start / fps * SAMPLE_RATE_HZ)
        shifted = torch.nn.functional.pad(samples, (context, 0))[origin:]
        return [_raw_chunk(encoder, shifted, index) for index in range(chunks)]

    def _sound_of(self, clip: Clip) -> FloatArray:
        samples = clip.waveform.samples
        return augment_audio(samples, self.random) if self.augment else samples


def _window(array: Rows, start: int, frames: int) -> Rows:
    """Rows start to start + frames; past the end the last row (rest, silence) goes on."""
    rows: Rows = array[np.minimum(np.arange(start, start + frames), len(array) - 1)]
    return rows


def _raw_chunk(encoder: SpeechEncoder, shifted: Tensor, index: int) -> Tensor:
    """Chunk ``index`` of sound whose first sample is the first chunk's context."""
    start = round(index * encoder.config.chunk_s * SAMPLE_RATE_HZ)
    part = shifted[start : start + encoder.chunk_samples]
    return torch.nn.functional.pad(part, (0, encoder.chunk_samples - len(part)))


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
