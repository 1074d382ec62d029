"""Mel power spectra made different: another throat, microphone, room and level, other noise.

Works on whole batches of spectra, so that every training step hears every clip anew for next to nothing
(the same on waveforms takes longer than the step).  Only torch.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor


@dataclass(frozen=True)
class MelAugment:
    """How far to go; chances are per window.

    gain_db: lowest and highest change of level
    throat: largest change of the formants' frequencies, as a share
    colour_db: spread of the microphone's smooth frequency response
    dull: chance that nothing is left above a random frequency
    room: chance of late echoes; noise: of steady noise; babble: of another window's voice behind
    snr_db: lowest and highest distance of the noise; babble_db: the same of other voices
    mask: chance that SpecAugment (Park et al. 2019) hides a few bands and moments
    """

    gain_db: tuple[float, float] = (-18.0, 8.0)
    throat: float = 0.14
    colour_db: float = 4.0
    dull: float = 0.15
    room: float = 0.3
    noise: float = 0.6
    snr_db: tuple[float, float] = (3.0, 40.0)
    babble: float = 0.1
    babble_db: tuple[float, float] = (10.0, 28.0)
    mask: float = 0.5


class MelAugmenter:
    """Draws from one seeded generator; ``generator`` may be saved and restored."""

    def __init__(self, settings: MelAugment, seed: int) -> None:
        self.settings = settings
        self.generator = torch.Generator().manual_seed(seed)

    def __call__(self, power: Tensor) -> Tensor:
        """Power spectra (batch, frames, bins) at 100 Hz -> the same shape, other sound."""
        settings = self.settings
        power = self._throat(power)
        power = power * self._colour(power.shape[0], power.shape[2])
        power = self._room(power)
        loud = power.mean(dim=(1, 2), keepdim=True)
        if settings.babble:
            behind = power.roll(1, dims=0) * (loud / loud.roll(1, dims=0).clamp_min(1e-12))
            behind = behind.roll(int(torch.randint(power.shape[1], (1,), generator=self.generator)), dims=1)
            power = power + behind * self._below(len(power), settings.babble_db, settings.babble)
        if settings.noise:
            shape = self._colour(power.shape[0], power.shape[2])
            # a band of Gaussian noise has chi-squared power; a band is several bins wide
            noise = shape * torch.empty_like(power).exponential_(generator=self.generator).lerp(
                torch.ones(()), 0.5
            )
            noise = noise / noise.mean(dim=(1, 2), keepdim=True) * loud
            power = power + noise * self._below(len(power), settings.snr_db, settings.noise)
        return power * _from_db(self._uniform(len(power), *settings.gain_db))

    def hide(self, spectra: Tensor) -> Tensor:
        """SpecAugment on what the network sees: bands and moments set to the window's mean."""
        batch, frames, bins = spectra.shape
        keep = torch.ones_like(spectra, dtype=torch.bool)
        on = self._chance(batch, self.settings.mask)
        for size, length, axis in ((frames, 12, 1), (frames, 12, 1), (bins, 10, 2)):
            first = (self._uniform(batch, 0.0, 1.0) * size).long()
            count = (self._uniform(batch, 0.0, 1.0) * length).long()
            place = torch.arange(size).view((1, -1, 1) if axis == 1 else (1, 1, -1))
            keep &= ~((place >= first) & (place < first + count) & on)
        return torch.where(keep, spectra, spectra.mean(dim=(1, 2), keepdim=True))

    def _throat(self, power: Tensor) -> Tensor:
        """Formants moved along the mel axis, which is near enough to logarithmic above 500 Hz."""
        batch, _, bins = power.shape
        factor = 1.0 + self._uniform(batch, -self.settings.throat, self.settings.throat)[:, 0]
        place = (torch.arange(bins) * factor).clamp(0, bins - 1)  # (batch, bins)
        left = place.floor().long().clamp_max(bins - 2)
        share = (place - left)[:, None]
        index = left[:, None].expand(-1, power.shape[1], -1)
        return torch.lerp(power.gather(2, index), power.gather(2, index + 1), share)

    def _colour(self, batch: int, bins: int) -> Tensor:
        """(batch, 1, bins) smooth factors on power: a sum of slow cosines, some cut off above a bin."""
        place = torch.linspace(0.0, math.pi, bins)
        curve = torch.zeros(batch, 1, bins)
        for order in range(1, 5):
            size = torch.randn(batch, 1, 1, generator=self.generator) * self.settings.colour_db / order
            curve = curve + size * torch.cos(order * place)
        cut = self._uniform(batch, 0.6, 1.0) * bins
        steep = (torch.arange(bins) - cut).clamp_min(0.0) * 4.0
        return _from_db(curve - torch.where(self._chance(batch, self.settings.dull), steep, 0.0))

    def _room(self, power: Tensor) -> Tensor:
        """Late echoes: every moment's power fades out behind it, 100 to 300 dB per second."""
        batch, length = len(power), 40
        per_frame_db = self._uniform(batch, 1.0, 3.0)
        fade = _from_db(-per_frame_db * torch.arange(length))  # (batch, 1, length)
        fade = fade / fade.sum(-1, keepdim=True)
        amount = _from_db(self._uniform(batch, -16.0, -4.0)) * self._chance(batch, self.settings.room)
        kernel = F.pad(amount * fade, (1, 0))  # nothing comes back at once
        columns = F.pad(power.transpose(1, 2), (length, 0))  # (batch, bins, frames + length)
        late = F.conv1d(columns.transpose(0, 1), kernel.flip(-1), groups=batch)
        return power + late.permute(1, 2, 0)

    def _below(self, batch: int, span_db: tuple[float, float], chance: float) -> Tensor:
        return _from_db(-self._uniform(batch, *span_db)) * self._chance(batch, chance)

    def _uniform(self, batch: int, low: float, high: float) -> Tensor:
        return low + (high - low) * torch.rand(batch, 1, 1, generator=self.generator)

    def _chance(self, batch: int, probability: float) -> Tensor:
        return torch.rand(batch, 1, 1, generator=self.generator) < probability


def _from_db(decibels: Tensor) -> Tensor:
    return torch.pow(10.0, decibels / 10.0)
