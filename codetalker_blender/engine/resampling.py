"""A sound's samples at one rate → the same sound at another, block by block, without delay.

Windowed-sinc interpolation (Kaiser window) in polyphase form: the exact ratio of the two
rates repeats after ``up`` outputs and ``down`` inputs, so a fixed matrix turns a window of
inputs into a tile of outputs, and a long sound becomes a row of matrix products.
Design formulas: J. F. Kaiser, "Nonrecursive digital filter design using the I0-sinh window
function", 1974; β and length as in Oppenheim & Schafer, "Discrete-Time Signal Processing", 7.5.3.
Numpy only.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from ..contracts import FloatArray

#: Stop-band attenuation of the filter, dB; the pass-band ripple is as small.
STOP_BAND_DB = 100.0
#: Of the band that both rates can hold, the share at its upper end where the filter falls off.
TRANSITION = 0.1
#: Outputs made by one matrix product, per row; more wastes products with zero, fewer wastes copies.
_TILE = 64
#: Elements of one product's left side: bounds the memory of a step to a few MB.
_STEP_ELEMENTS = 1 << 21


@dataclass(frozen=True)
class _Tile:
    """Outputs ``first .. first + n`` of a period.

    offset: index of the first input used, counted from the period's first input
    matrix: (window, n) float32, the filter at each output's distance to each input
    """

    first: int
    offset: int
    matrix: FloatArray


class Resampler:
    """Feeds on blocks of samples, returns blocks of samples at the other rate.

    Output n lies at n / rate_to seconds and input k at k / rate_from seconds, both counted from
    the sound's start; outside the sound is silence.  With ``first_output`` above 0 the first
    sample returned is that one, and the first one pushed must be ``first_input``.  How the sound
    is cut into blocks does not change the result beyond float32 rounding.
    """

    def __init__(self, rate_from: int, rate_to: int, first_output: int = 0) -> None:
        if rate_from <= 0 or rate_to <= 0 or first_output < 0:
            raise ValueError(f"rates must be positive, not {rate_from} and {rate_to}; first_output >= 0")
        divisor = math.gcd(rate_from, rate_to)
        self._up, self._down = rate_to // divisor, rate_from // divisor
        self._same = rate_from == rate_to
        #: half the filter's length, in inputs
        self.reach = 0 if self._same else _half_length(self._up, self._down)
        # Several periods of a simple ratio make one, so that a tile is worth a product.
        repeat = math.ceil(_TILE / self._up)
        self._period_outputs, self._period_inputs = self._up * repeat, self._down * repeat
        self._tiles = [] if self._same else self._make_tiles()
        period = 0 if self._same else first_output // self._period_outputs
        self._skip = first_output if self._same else first_output - period * self._period_outputs
        self._made = period * self._period_outputs
        wanted_from = period * self._period_inputs - self.reach
        #: index of the first sample that must be pushed
        self.first_input = first_output if self._same else max(0, wanted_from)
        self._taken = self.first_input
        if self._same:
            self._skip = 0
        # What lies before the sound's start counts as silence.
        self._buffer = np.zeros(self.first_input - wanted_from if not self._same else 0, np.float32)

    def push(self, block: FloatArray) -> FloatArray:
        """Take (n,) float32 samples; return the outputs (m,) that can be made by now."""
        self._taken += len(block)
        if self._same:
            return np.asarray(block, np.float32)
        self._buffer = np.concatenate([self._buffer, np.asarray(block, np.float32)])
        return self._drain()

    def finish(self) -> FloatArray:
        """The last outputs: up to the end of the sound, ceil(inputs · rate_to / rate_from) in all."""
        if self._same:
            return np.zeros(0, np.float32)
        missing = -(-self._taken * self._up // self._down) - self._made
        periods = max(0, -(-missing // self._period_outputs))
        silence = periods * self._period_inputs + 2 * self.reach + 1 - len(self._buffer)
        self._buffer = np.concatenate([self._buffer, np.zeros(max(0, silence), np.float32)])
        skip = self._skip
        return self._drain()[: max(0, missing - skip)]

    def _drain(self) -> FloatArray:
        """All whole periods that the buffer covers."""
        pieces = []
        position, length = 0, len(self._buffer)
        most = max(1, _STEP_ELEMENTS // max(tile.matrix.shape[0] for tile in self._tiles))
        while True:
            # The last input of a period's last tile lies at most reach behind the period's end.
            ready = (length - position - 2 * self.reach - 1) // self._period_inputs
            if ready <= 0:
                break
            periods = min(ready, most)
            pieces.append(self._periods(self._buffer[position:], periods))
            position += periods * self._period_inputs
        self._buffer = self._buffer[position:].copy()
        result = np.concatenate(pieces) if pieces else np.zeros(0, np.float32)
        self._made += len(result)
        skipped = min(self._skip, len(result))
        self._skip -= skipped
        return result[skipped:]

    def _periods(self, inputs: FloatArray, periods: int) -> FloatArray:
        """(periods · period_outputs,) outputs; ``inputs`` starts ``reach`` before the first period."""
        outputs = np.empty((periods, self._period_outputs), np.float32)
        for tile in self._tiles:
            window, count = tile.matrix.shape
            start = tile.offset + self.reach
            rows = sliding_window_view(inputs[start:], window)[:: self._period_inputs][:periods]
            outputs[:, tile.first : tile.first + count] = rows @ tile.matrix
        return outputs.reshape(-1)

    def _make_tiles(self) -> list[_Tile]:
        """The filter, sampled for every output of a period."""
        tiles = []
        for first in range(0, self._period_outputs, _TILE):
            numbers = np.arange(first, min(first + _TILE, self._period_outputs))
            whole, part = np.divmod(numbers * self._down, self._up)  # position = whole + part / up
            offset = int(whole[0]) - self.reach + (1 if part[0] else 0)
            last = int(whole[-1]) + self.reach
            inputs = np.arange(offset, last + 1)
            distance = (whole[None, :] - inputs[:, None]) + part[None, :] / self._up
            matrix = _kernel(distance, self._up, self._down, self.reach).astype(np.float32)
            tiles.append(_Tile(first=first, offset=offset, matrix=matrix))
        return tiles


def resample(samples: FloatArray, rate_from: int, rate_to: int) -> FloatArray:
    """A whole sound at another rate: (n,) float32 → (ceil(n · rate_to / rate_from),) float32."""
    resampler = Resampler(rate_from, rate_to)
    return np.concatenate([resampler.push(samples), resampler.finish()])


def _half_length(up: int, down: int) -> int:
    """Inputs on each side of an output that the filter needs for its slope and attenuation."""
    transition = TRANSITION * 0.5 * min(1.0, up / down)  # cycles per input
    return math.ceil((STOP_BAND_DB - 7.95) / (2.285 * 2 * math.pi * transition) / 2)


def _kernel(distance: NDArray[np.float64], up: int, down: int, reach: int) -> NDArray[np.float64]:
    """The low-pass at ``distance`` (inputs) from its centre: stops where the narrower band ends."""
    cutoff = (1.0 - TRANSITION / 2) * 0.5 * min(1.0, up / down)  # cycles per input
    inside = np.clip(1.0 - (distance / reach) ** 2, 0.0, None)
    beta = 0.1102 * (STOP_BAND_DB - 8.7)
    window = np.i0(beta * np.sqrt(inside)) / np.i0(beta)
    return np.asarray(2 * cutoff * np.sinc(2 * cutoff * distance) * window * (np.abs(distance) <= reach))
