"""Measures of timing: how motion follows its sound and its target.  Pure numpy; see ``metrics.py``."""

from __future__ import annotations

import numpy as np

from codetalker_blender.contracts import Waveform
from training.metrics import Array, Floats, correlation


def slcc(opening_mm: Array, waveform: Waveform, fps: float) -> float:
    """Pearson's r of one clip of the audio's RMS per frame with mouth opening (arXiv 2503.20308)."""
    power = np.concatenate([[0.0], np.cumsum(waveform.samples.astype(np.float64) ** 2)])
    edges = np.minimum((np.arange(len(opening_mm) + 1) * waveform.rate_hz / fps).astype(int), len(power) - 1)
    count = np.maximum(np.diff(edges), 1)
    return correlation(np.sqrt((power[edges[1:]] - power[edges[:-1]]) / count), opening_mm)


def mtm_ms(truth_opening_mm: Array, predicted_opening_mm: Array, fps: float, band_s: float = 0.3) -> float:
    """Temporal misalignment of mouth-opening extrema by derivative dynamic time warping; ms.

    Both curves are warped onto each other by the squared difference of Keogh's derivatives of the
    z-normed curves, within ``band_s``; the measure is the mean |time difference| along the path at
    the truth's local extrema (the idea of arXiv 2503.20308; the band is ours).
    """
    frames = min(len(truth_opening_mm), len(predicted_opening_mm))
    a, b = (curve[:frames].astype(np.float64) for curve in (truth_opening_mm, predicted_opening_mm))
    # "not over" and not "under": the deviation of an unknown curve is NaN
    if frames < 4 or not (a.std() > 1e-9 and b.std() > 1e-9):
        return float("nan")
    slope_a, slope_b = _keogh_slope((a - a.mean()) / a.std()), _keogh_slope((b - b.mean()) / b.std())
    path = warping_path(slope_a, slope_b, max(1, round(band_s * fps)))
    turns = np.diff(np.sign(np.diff(a)))
    extrema = set((np.flatnonzero(turns) + 1).tolist())
    # slope i belongs to frame i + 1
    gaps = [abs(i - j) for i, j in path if i + 1 in extrema]
    return 1000.0 / fps * float(np.mean(gaps)) if gaps else float("nan")


def _keogh_slope(x: Floats) -> Floats:
    return np.asarray(((x[1:-1] - x[:-2]) + (x[2:] - x[:-2]) / 2.0) / 2.0)


def warping_path(a: Floats, b: Floats, band: int) -> list[tuple[int, int]]:
    """The cheapest monotone path from end to start of two curves (n,) within |i - j| <= band.

    The cost of a pair is its squared difference.  Row i keeps its 2 band + 1 columns alone, as plain
    floats: an array access per cell would take most of the time.
    """
    n, width, far = len(a), 2 * band + 1, float("inf")
    padded = np.concatenate([np.full(band, np.nan), b, np.full(band, np.nan)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, width)
    # column k of row i is the pair (i, i + k - band); outside the curves it costs infinitely much
    cost = np.nan_to_num(np.square(a[:, None] - windows), nan=far).tolist()
    first = [far] * (width + 1)
    first[band] = 0.0
    totals = [first]
    for row in cost:
        above, left, total = totals[-1], far, []
        for k in range(width):
            # in the row above, the same column is one step back in both curves
            left = row[k] + min(above[k], above[k + 1], left)
            total.append(left)
        total.append(far)
        totals.append(total)
    path, i, k = [], n - 1, band
    while i >= 0 and i + k - band >= 0:
        path.append((i, i + k - band))
        both, one, other = totals[i][k], totals[i][k + 1], totals[i + 1][k - 1] if k else far
        if both <= one and both <= other:
            i -= 1
        elif one <= other:
            i, k = i - 1, k + 1
        else:
            k -= 1
    return path
