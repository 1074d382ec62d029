"""Log-mel spectra as the speech encoder's front end, in place of wav2vec 2.0's convolutions on raw sound.

Turns levelled sound (batch, n) into 50 Hz frames (batch, channels, L), as transformers' feature extractor
does, so that either fits the same transformer.  Only torch; the filters are transformers'.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.audio_utils import mel_filter_bank

SAMPLE_RATE_HZ = 16_000
#: Samples per spectrum and between two: 25 ms, 10 ms.  Two spectra make one frame of 20 ms.
WINDOW, SPECTRUM_HOP = 400, 160
_FFT = 1024
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 7600.0
#: Power of digital silence, 60 dB below speech at nominal level; noise below it is not heard.
POWER_FLOOR = 1e-6
#: log power of levelled speech has about this mean and spread: networks like numbers near 1.
_MEAN, _SPREAD = -5.0, 4.0


def from_power(power: Tensor) -> Tensor:
    """Mel power (...) -> what the network sees."""
    return (torch.log(power + POWER_FLOOR) - _MEAN) / _SPREAD


class LogMel(nn.Module):
    """Spectra on a mel scale; nothing is learned."""

    window: Tensor
    filters: Tensor

    def __init__(self, bins: int) -> None:
        super().__init__()
        filters = mel_filter_bank(_FFT // 2 + 1, bins, _LOWEST_HZ, _HIGHEST_HZ, SAMPLE_RATE_HZ)
        window = torch.hann_window(WINDOW, periodic=False)
        # made anew at every start, so that a bundle does not carry constants
        self.register_buffer("window", window, persistent=False)
        self.register_buffer(
            "filters", torch.from_numpy(filters).float() / window.square().sum(), persistent=False
        )

    def power(self, samples: Tensor) -> Tensor:
        """(batch, n) -> (batch, (n - 400) // 160 + 1, bins); 1 per hertz-bin of white noise at RMS 1."""
        pieces = samples.unfold(-1, WINDOW, SPECTRUM_HOP) * self.window
        spectra: Tensor = torch.view_as_real(torch.fft.rfft(pieces, _FFT)).square().sum(-1)
        return spectra @ self.filters


class MelFrontEnd(nn.Module):
    """Log-mel spectra and two small convolutions that halve their rate."""

    def __init__(self, bins: int, channels: int) -> None:
        super().__init__()
        self.mel = LogMel(bins)
        self.first = nn.Conv1d(bins, channels, 3, padding=1)
        self.second = nn.Conv1d(channels, channels, 3, stride=2, padding=1)

    def forward(self, samples: Tensor) -> Tensor:
        """Levelled sound (batch, n) -> (batch, channels, L), L as wav2vec 2.0's (n - 400) // 320 + 1."""
        # in float32 whatever the network's precision: power spans more than half precision holds
        with torch.autocast(samples.device.type, enabled=False):
            power = self.mel.power(samples.float())
        return self.reduce(from_power(power))

    def reduce(self, spectra: Tensor) -> Tensor:
        """Log-mel spectra at 100 Hz (batch, n, bins) -> frames at 50 Hz (batch, channels, ceil(n / 2))."""
        x = F.gelu(self.first(spectra.transpose(1, 2).to(self.first.weight.dtype)))
        return F.gelu(self.second(x))
