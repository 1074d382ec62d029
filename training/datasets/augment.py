"""Sound made different: pitch, tempo and formants by resampling; level, noise, colour and room on the fly.

Only numpy, cheap enough to run per training step.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FloatArray
from training.datasets.clip import SPEECH_RATE_HZ

#: Half the length of the interpolating filter, in input samples at the lower of both rates.
_SINC_HALF_WIDTH = 12
#: Places between two input samples are rounded to this grid: an error 70 dB below the sound.
_SINC_PHASES = 2048


def resample(samples: FloatArray, step: float) -> FloatArray:
    """Band-limited resampling (windowed sinc): output sample i is the input at i * step.

    step > 1 shortens (faster, higher voice when played at the same rate), step < 1 lengthens.
    samples: (n,) float32 -> (floor(n / step),) float32.
    """
    if step == 1.0:
        return samples.astype(np.float32)
    count = int(len(samples) / step)
    if step > 1.0:
        return _sinc(samples, np.arange(count) * step, 1.0 / step)
    return _sinc(samples, np.arange(count) * step, 1.0)


def _sinc(samples: FloatArray, places: NDArray[np.float64], cutoff: float) -> FloatArray:
    half = int(np.ceil(_SINC_HALF_WIDTH / cutoff))
    # The filter at every tap and every kind of fraction, once: far cheaper than anew per sample.
    distance = np.arange(-half + 1, half + 1)[:, None] - np.arange(_SINC_PHASES) / _SINC_PHASES
    window = np.cos(np.pi * distance / (2.0 * half)) ** 2
    filters = (cutoff * np.sinc(cutoff * distance) * window).astype(np.float32)  # (taps, phases)
    grid = np.round(places * _SINC_PHASES).astype(np.int64)
    base, phase = grid // _SINC_PHASES, grid % _SINC_PHASES
    padded = np.concatenate([np.zeros(half, np.float32), samples, np.zeros(half + 2, np.float32)])
    padded = padded.astype(np.float32)
    out = np.zeros(len(places), np.float32)
    # One pass per filter tap keeps memory at a few arrays of the clip's length.
    for row, taps in enumerate(filters):
        out += padded[base + (row + 1)] * taps[phase]
    return out


def augment_audio(samples: FloatArray, rng: np.random.Generator) -> FloatArray:
    """The same speech elsewhere: level, noise (10 to 40 dB below), dull or roomy sound.  Keeps the length.

    samples: (n,) float32 at 16 kHz -> (n,) float32, peak at most 1.0; each change is drawn by chance.
    """
    out = samples.astype(np.float32)
    if rng.random() < 0.3:
        out = _low_pass(out, float(rng.uniform(2500.0, 7000.0)))
    if rng.random() < 0.3:
        out = _room(out, rng)
    if rng.random() < 0.6:
        out = out + _noise(len(out), out, rng)
    gain_db = float(rng.uniform(-20.0, 6.0))
    out = out * np.float32(10.0 ** (gain_db / 20.0))
    peak = float(np.abs(out).max(initial=0.0))
    return (out / peak if peak > 1.0 else out).astype(np.float32)


def _noise(count: int, speech: FloatArray, rng: np.random.Generator) -> FloatArray:
    """White, pink or hum, 10 to 40 dB below the speech's own level."""
    kind = int(rng.integers(3))
    if kind == 2:
        time_s = np.arange(count) / SPEECH_RATE_HZ
        base_hz = float(rng.choice([50.0, 60.0, 120.0]))
        noise = sum(np.sin(2 * np.pi * base_hz * k * time_s + rng.uniform(0, 6.28)) / k for k in (1, 2, 3, 5))
        noise = np.asarray(noise, np.float64)
    else:
        noise = rng.standard_normal(count)
        if kind == 1:
            spectrum = np.fft.rfft(noise)
            spectrum /= np.sqrt(np.maximum(1.0, np.arange(len(spectrum))))
            noise = np.fft.irfft(spectrum, count)
    level = float(np.sqrt(np.mean(np.square(speech, dtype=np.float64))))
    below_db = float(rng.uniform(10.0, 40.0))
    noise *= level * 10.0 ** (-below_db / 20.0) / max(float(np.sqrt(np.mean(noise**2))), 1e-9)
    return np.asarray(noise, np.float32)


def _low_pass(samples: FloatArray, cutoff_hz: float) -> FloatArray:
    """A gentle slope above the cutoff (a cheap microphone, a telephone)."""
    spectrum = np.fft.rfft(samples)
    frequency = np.fft.rfftfreq(len(samples), 1.0 / SPEECH_RATE_HZ)
    return np.fft.irfft(spectrum / (1.0 + (frequency / cutoff_hz) ** 6), len(samples)).astype(np.float32)


def _room(samples: FloatArray, rng: np.random.Generator) -> FloatArray:
    """A small room: exponentially fading random echoes behind the direct sound."""
    length = int(SPEECH_RATE_HZ * rng.uniform(0.05, 0.25))
    decay = np.exp(-np.arange(length) * 6.9 / length)
    echoes = rng.standard_normal(length) * decay
    # 0.1 to 0.4 of the direct sound's energy comes back: present, but speech stays clear.
    echoes *= np.sqrt(rng.uniform(0.02, 0.15) / np.sum(echoes**2))
    echoes[0] = 1.0
    size = 1 << (len(samples) + length - 1).bit_length()
    mixed = np.fft.irfft(np.fft.rfft(samples, size) * np.fft.rfft(echoes, size), size)
    return mixed[: len(samples)].astype(np.float32)
