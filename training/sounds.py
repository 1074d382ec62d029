"""A dataset's sound -> what the speech encoder reads, window by window, augmented.

``SpectraSounds`` keeps log-mel spectra and augments them per step; ``RawSounds`` serves encoders with
convolutions on raw sound, with augmented waveforms or with the frozen convolutions' output.
Both cut windows into the encoder's chunks and know how the encoder reads them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from codetalker_blender.engine.log_mel import MelFrontEnd, from_power
from codetalker_blender.engine.speech import FRAME_RATE_HZ, HOP, SAMPLE_RATE_HZ, SpeechEncoder

from .datasets.augment import augment_audio
from .datasets.clip import Clip
from .mel_augment import MelAugment, MelAugmenter
from .random_states import Stateful

#: Silence on both sides of every clip: more than any chunk's context.
EDGE_S = 1
SPECTRA_HZ = 100


class Sounds(Protocol):
    """Windows of clips as chunks, and the encoder's features of them."""

    def chunks(self, picks: Sequence[int], starts: Sequence[int], count: int) -> Tensor:
        """(windows * count, ...): ``count`` chunks of each window.

        picks: clips; starts: the windows' first motion frames, on the 50 Hz grid as well
        """
        ...

    def features(self, chunks: Tensor) -> Tensor:
        """:meth:`chunks` through the encoder: (windows * count, frames, hidden)."""
        ...

    def freeze(self, variants: int, /) -> bool:
        """The convolutions learn no more: prepare ``variants`` copies.  False where they go on learning."""
        ...

    def generators(self) -> dict[str, Stateful]:
        """The random generators of the augmentation."""
        ...


def make_sounds(clips: Sequence[Clip], encoder: SpeechEncoder, seed: int, augment: bool = True) -> Sounds:
    """The kind that fits the encoder's front end.

    Raises ValueError for a context that reaches beyond the silence around every clip.
    """
    if encoder.config.context_s > EDGE_S:
        context_s = encoder.config.context_s
        raise ValueError(f"context_s must be at most {EDGE_S} s in training, not {context_s:g}")
    if encoder.config.front_end == "log_mel":
        return SpectraSounds(clips, encoder, seed, augment)
    return RawSounds(clips, encoder, seed, augment)


class SpectraSounds:
    """Log-mel spectra of all clips in half precision (about 46 MB an hour)."""

    def __init__(self, clips: Sequence[Clip], encoder: SpeechEncoder, seed: int, augment: bool) -> None:
        front = encoder.network.feature_extractor
        assert isinstance(front, MelFrontEnd)
        self.encoder = encoder
        self.augmenter = MelAugmenter(MelAugment(), seed) if augment else None
        self._log_power = []
        for clip in clips:
            samples = torch.from_numpy(clip.waveform.samples)
            padded = F.pad(samples, (EDGE_S * SAMPLE_RATE_HZ, EDGE_S * SAMPLE_RATE_HZ + 2 * HOP))
            with torch.inference_mode():
                power = front.mel.power(encoder.levelled(padded[None]))[0]
            self._log_power.append(power.clamp_min(1e-9).log().half())

    def chunks(self, picks: Sequence[int], starts: Sequence[int], count: int) -> Tensor:
        config = self.encoder.config
        step = round(config.chunk_s * SPECTRA_HZ)
        context = round(config.context_s * SPECTRA_HZ)
        length = count * step + 2 * context - 1
        rows = []
        for pick, start in zip(picks, starts, strict=True):
            whole = self._log_power[pick]
            first = EDGE_S * SPECTRA_HZ + round(start / config.fps * SPECTRA_HZ) - context
            # past the end the silent edge goes on
            rows.append(whole[torch.arange(first, first + length).clamp_max(len(whole) - 1)].float())
        power = torch.stack(rows).exp()
        spectra = from_power(power) if self.augmenter is None else self._augmented(power, self.augmenter)
        # one window's chunks overlap by their contexts
        return spectra.unfold(1, step + 2 * context - 1, step).transpose(2, 3).flatten(0, 1)

    @staticmethod
    def _augmented(power: Tensor, augmenter: MelAugmenter) -> Tensor:
        return augmenter.hide(from_power(augmenter(power)))

    def features(self, chunks: Tensor) -> Tensor:
        return self.encoder.spectra_features(chunks)

    def freeze(self, _variants: int, /) -> bool:
        return False

    def generators(self) -> dict[str, Stateful]:
        return {} if self.augmenter is None else {"sounds": self.augmenter.generator}


class RawSounds:
    """Waveforms, augmented for every window; or, once :meth:`freeze` was called, cached 50 Hz frames."""

    def __init__(self, clips: Sequence[Clip], encoder: SpeechEncoder, seed: int, augment: bool) -> None:
        self.encoder = encoder
        self.augment = augment
        self.clips = clips
        self.random = np.random.default_rng([seed, 1])
        self._frames: list[list[Tensor]] = []

    def generators(self) -> dict[str, Stateful]:
        return {"sounds": self.random}

    def freeze(self, variants: int, /) -> bool:
        """Run the convolutions, no longer trained, over every clip once per augmented copy of its sound.

        They see 25 ms each and normalise nothing over time, so frames of whole clips are the
        frames of any chunk that starts on the 50 Hz grid.
        """
        edge = EDGE_S * SAMPLE_RATE_HZ
        place = next(self.encoder.parameters()).device
        self._frames = []
        for clip in self.clips:
            copies = []
            for _ in range(variants):
                padded = F.pad(self._sound_of(clip), (edge, edge + 2 * HOP))
                with torch.inference_mode():
                    levelled = self.encoder.levelled(padded[None].to(place))
                    copies.append(self.encoder.convolve(levelled)[0].half().cpu())
            self._frames.append(copies)
        return True

    def chunks(self, picks: Sequence[int], starts: Sequence[int], count: int) -> Tensor:
        cut = self._frozen if self._frames else self._raw
        return torch.stack([chunk for p, s in zip(picks, starts, strict=True) for chunk in cut(p, s, count)])

    def features(self, chunks: Tensor) -> Tensor:
        return self.encoder.chunk_features(chunks) if self._frames else self.encoder.chunks(chunks)

    def _frozen(self, pick: int, start: int, count: int) -> list[Tensor]:
        config, copies = self.encoder.config, self._frames[pick]
        frames = copies[int(self.random.integers(len(copies)))]
        context = round(config.context_s * FRAME_RATE_HZ)
        length = round(config.chunk_s * FRAME_RATE_HZ)
        first = EDGE_S * FRAME_RATE_HZ + round(start / config.fps * FRAME_RATE_HZ) - context
        places = (
            torch.arange(first + i * length, first + (i + 1) * length + 2 * context) for i in range(count)
        )
        return [frames[place.clamp_max(len(frames) - 1)].float() for place in places]

    def _raw(self, pick: int, start: int, count: int) -> list[Tensor]:
        config, encoder = self.encoder.config, self.encoder
        # the clip with its past as context, so that the window starts at the grid's origin
        context = round(config.context_s * SAMPLE_RATE_HZ)
        origin = round(start / config.fps * SAMPLE_RATE_HZ)
        shifted = F.pad(self._sound_of(self.clips[pick]), (context, 0))[origin:]
        parts = []
        for index in range(count):
            first = round(index * config.chunk_s * SAMPLE_RATE_HZ)
            part = shifted[first : first + encoder.chunk_samples]
            parts.append(F.pad(part, (0, encoder.chunk_samples - len(part))))
        return parts

    def _sound_of(self, clip: Clip) -> Tensor:
        samples = clip.waveform.samples
        return torch.from_numpy(augment_audio(samples, self.random) if self.augment else samples)
