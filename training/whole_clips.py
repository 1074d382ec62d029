"""A dataset → whole clips, one per step, as the paper trains: full vertex motion, read from disk when needed.

The networks of the paper normalise over a clip's time and know no windows, so that a clip can be neither
cut nor batched with another.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from codetalker_blender.contracts import FloatArray
from codetalker_blender.engine.codebook import Codec
from codetalker_blender.engine.speech import SpeechEncoder

from .datasets.clip import Clip, Dataset
from .random_states import Stateful, restore, state_of
from .recorded_basis import sampled_offsets
from .windows import Batch, WindowSampler, frame_phones, phone_labels

#: Frames of the whole data set that means and spreads are taken from.
SAMPLED_FRAMES = 256


class WholeClips:
    """Draws every clip once before any comes again, in an order of chance.

    With several processes each takes its own clips out of the same order.
    """

    def __init__(
        self,
        dataset: Dataset,
        encoder: SpeechEncoder,
        units_per_metre: float,
        seed: int,
        *,
        index: int = 0,
        processes: int = 1,
    ) -> None:
        """units_per_metre: of the motion that the networks see; index: of this process."""
        self.encoder = encoder
        self.fps = encoder.config.fps
        self.style_count = len(dataset.styles)
        self.clips = dataset.clips
        self.labels = phone_labels(dataset.clips)
        #: codes are taken from the clip of each step
        self.codes: list[Tensor] = []
        self._dataset, self._units = dataset, units_per_metre
        self._index, self._processes = index, processes
        self._row = {label: row for row, label in enumerate(self.labels)}
        self._random = np.random.default_rng(seed)
        self._order: list[int] = []

    def draw(self, batch: int, _frames: int, *, chunks: int = 0) -> Batch:
        """The next clip, as long as it is.  batch: 1; chunks: 0 = no sound."""
        if batch != 1:
            raise ValueError(f"whole clips come one per step, not {batch}")
        while len(self._order) < self._processes:
            self._order += self._random.permutation(len(self.clips)).tolist()
        clip = self.clips[self._order[self._index]]
        del self._order[: self._processes]
        motion = torch.from_numpy(self._motion(clip))[None]
        sound = torch.from_numpy(clip.waveform.samples)
        if self.encoder.config.speech_frames == 2:
            # two speech frames to a motion frame: the sound decides where it is the shorter of the two
            motion = motion[:, : self.encoder.motion_frames(len(sound))]
        length = motion.shape[1]
        style = torch.zeros(1, 1, self.style_count)
        style[0, 0, clip.style] = 1.0
        phones = frame_phones(clip, self._row)[:length]
        return Batch(
            chunks=sound[None] if chunks else torch.empty(0),
            motion=motion,
            before=torch.zeros(1, motion.shape[2]),
            style=style,
            phones=torch.from_numpy(phones)[None],
            codes=torch.empty(1, length, 0, dtype=torch.int64),
        )

    def speech(self, batch: Batch) -> Tensor:
        """The encoder's features of a batch: (1, T * speech_frames, hidden)."""
        return self.encoder.whole(self.encoder.levelled(batch.chunks), batch.motion.shape[1])

    def freeze(self, _variants: int, /) -> bool:
        """Whether the stage is to leave the convolutions as they are: always, as in the paper."""
        return True

    def find_codes(self, codec: Codec) -> None:
        """Nothing: a clip's codes are found when it is drawn."""

    def sample_motion(self) -> FloatArray:
        """(frames, 3V): single frames from all over the data set, for means and spreads."""
        sampled = sampled_offsets(self._dataset, SAMPLED_FRAMES)
        return np.asarray(sampled * np.float32(self._units), np.float32)

    def example(self, frames: int) -> tuple[Clip, FloatArray]:
        """The first clip and the first ``frames`` frames of its motion (T, 3V)."""
        return self.clips[0], self._motion(self.clips[0])[:frames]

    def _motion(self, clip: Clip) -> FloatArray:
        """(T, 3V) float32 in the networks' units."""
        offsets = self._dataset.offsets(clip)
        return np.asarray(offsets.reshape(len(offsets), -1) * np.float32(self._units), np.float32)

    def stateful(self) -> dict[str, Stateful]:
        return {"clips": self}

    def state_dict(self) -> dict[str, Any]:
        return {"random": state_of(self._random), "order": list(self._order)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        restore(self._random, state["random"])
        self._order = [int(place) for place in state["order"]]


#: What a stage draws its batches from.
Sampler = WindowSampler | WholeClips
