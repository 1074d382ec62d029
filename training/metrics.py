"""The measures of facial motion, each with its exact definition.  Pure numpy.

The same label hides different maths in different papers, so every variant has its own name.
Motion is offsets (T, V, 3) from a template, in template units; truth and prediction of different
lengths are cut to the shorter.  Millimetre measures take ``mm_per_unit`` (1000 for metres).
Phone times, where needed, serve scoring alone.  Measures over nothing are NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh, Waveform
from training.datasets.clip import Phone
from training.datasets.phones import BILABIALS, LABIODENTALS, OPEN_VOWELS, SILENCE

Floats = NDArray[np.float64]
Array = NDArray[Any]

#: A bilabial counts as closed, and an open vowel as falsely closed, up to this much above rest.
CLOSURE_MM = 1.0
#: Lower lip to upper teeth.
CONTACT_MM = 2.0
#: Silences longer than this must be still.
SILENCE_FROM_S = 0.3


def _pair(truth: Array, predicted: Array) -> tuple[Floats, Floats]:
    frames = min(len(truth), len(predicted))
    return truth[:frames].astype(np.float64), predicted[:frames].astype(np.float64)


def _distances(truth: Array, predicted: Array) -> Floats:
    """(T, V) distance per vertex."""
    a, b = _pair(truth, predicted)
    return np.asarray(np.linalg.norm(a - b, axis=-1))


def _mean(values: Array) -> float:
    return float(np.mean(values)) if np.size(values) else float("nan")


def _correlation(a: Array, b: Array) -> float:
    """Pearson's r; NaN when either does not vary."""
    if len(a) < 2 or float(np.std(a)) < 1e-9 or float(np.std(b)) < 1e-9:
        return float("nan")
    return float(np.corrcoef(a.astype(np.float64), b.astype(np.float64))[0, 1])


# Whole-face and lip errors -------------------------------------------------------------------


def lve_codetalker(truths: Sequence[Array], predictions: Sequence[Array], lips: Array) -> float:
    """Mean over all frames POOLED over the clips of max over lip v of |GT-P|^2 (no root); unit^2.

    CodeTalker ``main/cal_metric.py``.
    """
    pairs = zip(truths, predictions, strict=True)
    return _mean(np.concatenate([(_distances(g[:, lips], p[:, lips]) ** 2).max(axis=1) for g, p in pairs]))


def lve_per_clip(truths: Sequence[Array], predictions: Sequence[Array], lips: Array) -> float:
    """As :func:`lve_codetalker`, per clip, then averaged over clips; unit^2 (DiffSpeaker, UniTalker)."""
    return _mean(np.array([lve_codetalker([g], [p], lips) for g, p in zip(truths, predictions, strict=True)]))


def lve_mm(
    truths: Sequence[Array], predictions: Sequence[Array], lips: Array, mm_per_unit: float = 1000.0
) -> float:
    """Mean over pooled frames of max over lip v of |GT-P|; mm (MeshTalk's kind, no alignment)."""
    pairs = zip(truths, predictions, strict=True)
    return mm_per_unit * _mean(
        np.concatenate([_distances(g[:, lips], p[:, lips]).max(axis=1) for g, p in pairs])
    )


def mve_mm(truths: Sequence[Array], predictions: Sequence[Array], mm_per_unit: float = 1000.0) -> float:
    """Mean over all v and pooled t of |GT-P|; mm (FaceDiffuser)."""
    per_frame = [_distances(g, p).mean(axis=1) for g, p in zip(truths, predictions, strict=True)]
    return mm_per_unit * _mean(np.concatenate(per_frame))


def _dynamics(offsets: Array, region: Array) -> Floats:
    """(T, n) squared distance from the template."""
    return np.asarray((offsets[:, region].astype(np.float64) ** 2).sum(axis=-1))


def _fdd_of_clip(truth: Array, predicted: Array, upper: Array) -> float:
    g, p = _pair(truth, predicted)
    return float(np.std(_dynamics(g, upper), axis=0).mean() - np.std(_dynamics(p, upper), axis=0).mean())


def fdd_codetalker(truths: Sequence[Array], predictions: Sequence[Array], upper: Array) -> float:
    """Per clip: d(t,v) = |offset|^2 for upper-face v; population std over t; mean over v; SIGNED GT-P.

    Mean over clips; unit^2.  CodeTalker ``main/cal_metric.py``.
    """
    return _mean(np.array([_fdd_of_clip(g, p, upper) for g, p in zip(truths, predictions, strict=True)]))


def fdd_abs(truths: Sequence[Array], predictions: Sequence[Array], upper: Array) -> float:
    """Mean over clips of the absolute per-clip :func:`fdd_codetalker`; unit^2 (FaceDiffuser)."""
    return _mean(np.array([abs(_fdd_of_clip(g, p, upper)) for g, p in zip(truths, predictions, strict=True)]))


def fdd_rel(
    truths: Sequence[Array], predictions: Sequence[Array], region: Array, styles: Sequence[int]
) -> float:
    """100 * sum_v |std(d_GT) - std(d_P)| / sum_v std(d_GT); %.

    std over all frames POOLED over the clips of one speaking style (take at least 60 s of speech
    per style: on single 3 s clips even a second draw of the very same process scores 88 %), then
    averaged over styles.  styles: one per clip.
    """
    scores = []
    for style in sorted(set(styles)):
        chosen = [_pair(g, p) for g, p, s in zip(truths, predictions, styles, strict=True) if s == style]
        std_g = np.std(np.concatenate([_dynamics(g, region) for g, _ in chosen]), axis=0)
        std_p = np.std(np.concatenate([_dynamics(p, region) for _, p in chosen]), axis=0)
        total = float(std_g.sum())
        scores.append(100.0 * float(np.abs(std_g - std_p).sum()) / total if total > 0 else float("nan"))
    return _mean(np.array(scores))


def fd(truth: Array, predicted: Array) -> float:
    """Frechet distance of per-frame coefficients (T, K); |m1-m2|^2 + tr(S1+S2-2(S1 S2)^1/2).

    Population of one clip (DualTalk ``metric/metric.py`` averages over clips), or pooled frames.
    """
    a, b = truth.astype(np.float64), predicted.astype(np.float64)
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    # tr((S1 S2)^1/2) = tr((R S2 R)^1/2) with R = S1^1/2: symmetric, so its eigenvalues are safe.
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0.0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross)


def diversity_mm(samples: Sequence[Array], mm_per_unit: float = 1000.0) -> float:
    """Mean distance (over v and t) between all pairs of samples from the same speech; mm (ProbTalk3D)."""
    pairs = [(i, j) for i in range(len(samples)) for j in range(i + 1, len(samples))]
    return mm_per_unit * _mean(np.array([_distances(samples[i], samples[j]).mean() for i, j in pairs]))


# The mouth -----------------------------------------------------------------------------------


def mouth_opening_mm(offsets: Array, face: FaceMesh, mm_per_unit: float = 1000.0) -> Floats:
    """Distance between the mid upper-lip and mid lower-lip vertex; (T,) mm."""
    pair = offsets[:, face.mid_lips].astype(np.float64) + face.vertices[face.mid_lips]
    return np.asarray(mm_per_unit * np.linalg.norm(pair[:, 0] - pair[:, 1], axis=-1))


def rest_opening_mm(face: FaceMesh, mm_per_unit: float = 1000.0) -> float:
    """The template's own mid-lip distance; mm."""
    upper, lower = face.vertices[face.mid_lips].astype(np.float64)
    return float(mm_per_unit * np.linalg.norm(upper - lower))


def corner_distance_mm(offsets: Array, face: FaceMesh, mm_per_unit: float = 1000.0) -> Floats:
    """Distance between the lip corners; (T,) mm."""
    pair = offsets[:, face.lip_corners].astype(np.float64) + face.vertices[face.lip_corners]
    return np.asarray(mm_per_unit * np.linalg.norm(pair[:, 0] - pair[:, 1], axis=-1))


def mod_mm(truth_opening_mm: Array, predicted_opening_mm: Array) -> float:
    """Mean over t of the absolute difference of mouth opening; mm (DiffPoseTalk)."""
    a, b = _pair(truth_opening_mm, predicted_opening_mm)
    return _mean(np.abs(a - b))


def opening_r(truth_opening_mm: Array, predicted_opening_mm: Array) -> float:
    """Pearson's r of one clip's mouth opening with its target (average it over clips)."""
    return _correlation(*_pair(truth_opening_mm, predicted_opening_mm))


def rounding_r(truth_corners_mm: Array, predicted_corners_mm: Array) -> float:
    """Pearson's r of one clip's lip-corner distance with its target (average it over clips)."""
    return _correlation(*_pair(truth_corners_mm, predicted_corners_mm))


def lower_lip(face: FaceMesh) -> NDArray[np.int64]:
    """The vertices of ``region_lips`` with fewer edges to the lower mid-lip vertex than to the upper."""
    upper, lower = (int(vertex) for vertex in face.mid_lips)
    lips = np.asarray(face.regions.get("lips", np.zeros(0, np.int32)), np.int64)
    if not len(lips):
        return np.array([lower])
    steps_up, steps_down = _edge_steps(face, upper), _edge_steps(face, lower)
    return lips[steps_down[lips] < steps_up[lips]]


def _edge_steps(face: FaceMesh, start: int) -> Floats:
    """Edges from ``start`` to every vertex (V,); inf where unconnected."""
    corners = face.triangles.astype(np.int64)
    edges = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [2, 0]]])
    edges = np.concatenate([edges, edges[:, ::-1]])
    steps = np.full(face.vertex_count, np.inf)
    steps[start] = 0.0
    for distance in range(1, face.vertex_count):
        reached = edges[np.isfinite(steps[edges[:, 0]]) & ~np.isfinite(steps[edges[:, 1]]), 1]
        if not len(reached):
            break
        steps[reached] = distance
    return steps


def teeth_distance_mm(
    offsets: Array, face: FaceMesh, lower: Array | None = None, mm_per_unit: float = 1000.0
) -> Floats:
    """Nearest lower-lip vertex to the nearest vertex of ``region_upper_teeth``; (T,) mm.

    lower: the lower lip's vertices where they are known, else :func:`lower_lip`'s.  NaN without teeth.
    """
    teeth = np.asarray(face.regions.get("upper_teeth", np.zeros(0, np.int32)), np.int64)
    if not len(teeth):
        return np.full(len(offsets), np.nan)
    lip = lower_lip(face) if lower is None else lower
    out = np.zeros(len(offsets))
    for frame, row in enumerate(offsets.astype(np.float64)):
        a, b = face.vertices[lip] + row[lip], face.vertices[teeth] + row[teeth]
        squared = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2.0 * a @ b.T
        out[frame] = np.sqrt(max(float(squared.min()), 0.0))
    return mm_per_unit * out


# By phone ------------------------------------------------------------------------------------


def phone_frames(phone: Phone, fps: float, frames: int, around: int = 0) -> NDArray[np.int64]:
    """Frames t with start <= t / fps < end, widened by ``around`` frames on both sides.

    Without widening a phone shorter than a frame may own none; it is then not judged.
    """
    first = int(np.ceil(phone.start_s * fps - 1e-6)) - around
    last = int(np.ceil(phone.end_s * fps - 1e-6)) + around
    return np.arange(max(first, 0), min(last, frames))


def bilabial_closures(opening_mm: Array, rest_mm: float, phones: Sequence[Phone], fps: float) -> list[bool]:
    """Per /p b m/: is the mid-lip distance <= rest + 1.0 mm at some frame of the phone +-1 frame?"""
    judged = (phone_frames(p, fps, len(opening_mm), 1) for p in phones if p.label in BILABIALS)
    return [bool(opening_mm[own].min() <= rest_mm + CLOSURE_MM) for own in judged if len(own)]


def false_closures(opening_mm: Array, rest_mm: float, phones: Sequence[Phone], fps: float) -> list[bool]:
    """Per open vowel (aa ae ah ao eh ow ay ey aw): does it stay <= rest + 1.0 mm for the whole phone?"""
    judged = (phone_frames(p, fps, len(opening_mm)) for p in phones if p.label in OPEN_VOWELS)
    return [bool(opening_mm[own].max() <= rest_mm + CLOSURE_MM) for own in judged if len(own)]


def labiodental_contacts(teeth_mm: Array, phones: Sequence[Phone], fps: float) -> list[bool]:
    """Per /f v/: does the lower lip come within 2.0 mm of the upper teeth (at some frame of it +-1 frame)?"""
    judged = (phone_frames(p, fps, len(teeth_mm), 1) for p in phones if p.label in LABIODENTALS)
    return [bool(teeth_mm[own].min() <= CONTACT_MM) for own in judged if len(own)]


def silent_frames(phones: Sequence[Phone], fps: float, frames: int) -> NDArray[np.bool_]:
    """(T,) True in silences over 300 ms."""
    silent = np.zeros(frames, bool)
    for phone in phones:
        if phone.label == SILENCE and phone.duration_s > SILENCE_FROM_S:
            silent[phone_frames(phone, fps, frames)] = True
    return silent


def lip_speed_mm_s(offsets: Array, lips: Array, fps: float, mm_per_unit: float = 1000.0) -> Floats:
    """Mean speed of the lip vertices from frame t-1 to t; (T,) mm/s, the first is 0."""
    step = np.linalg.norm(np.diff(offsets[:, lips].astype(np.float64), axis=0), axis=-1).mean(axis=1)
    return np.asarray(np.concatenate([[0.0], mm_per_unit * fps * step])[: len(offsets)])


def silence_stillness(opening_mm: Array, speed_mm_s: Array, silent: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean mouth opening (mm) and mean lip speed (mm/s) over the silent frames."""
    return _mean(opening_mm[silent]), _mean(speed_mm_s[silent])


# Timing --------------------------------------------------------------------------------------


def slcc(opening_mm: Array, waveform: Waveform, fps: float) -> float:
    """Pearson's r of one clip of the audio's RMS per frame with mouth opening (arXiv 2503.20308)."""
    power = np.concatenate([[0.0], np.cumsum(waveform.samples.astype(np.float64) ** 2)])
    edges = np.minimum((np.arange(len(opening_mm) + 1) * waveform.rate_hz / fps).astype(int), len(power) - 1)
    count = np.maximum(np.diff(edges), 1)
    return _correlation(np.sqrt((power[edges[1:]] - power[edges[:-1]]) / count), opening_mm)


def mtm_ms(truth_opening_mm: Array, predicted_opening_mm: Array, fps: float, band_s: float = 0.3) -> float:
    """Temporal misalignment of mouth-opening extrema by derivative dynamic time warping; ms.

    Both curves are warped onto each other by the squared difference of Keogh's derivatives of the
    z-normed curves, within ``band_s``; the measure is the mean |time difference| along the path at
    the truth's local extrema (the idea of arXiv 2503.20308; the band is ours).
    """
    a, b = _pair(truth_opening_mm, predicted_opening_mm)
    if len(a) < 4 or a.std() < 1e-9 or b.std() < 1e-9:
        return float("nan")
    slope_a, slope_b = _keogh_slope((a - a.mean()) / a.std()), _keogh_slope((b - b.mean()) / b.std())
    path = _warp(np.square(slope_a[:, None] - slope_b[None]), max(1, round(band_s * fps)))
    turns = np.diff(np.sign(np.diff(a)))
    extrema = set((np.flatnonzero(turns) + 1).tolist())
    # slope i belongs to frame i + 1
    gaps = [abs(i - j) for i, j in path if i + 1 in extrema]
    return 1000.0 / fps * _mean(np.array(gaps))


def _keogh_slope(x: Floats) -> Floats:
    return np.asarray(((x[1:-1] - x[:-2]) + (x[2:] - x[:-2]) / 2.0) / 2.0)


def _warp(cost: Floats, band: int) -> list[tuple[int, int]]:
    """The cheapest monotone path from corner to corner within |i - j| <= band."""
    n = len(cost)
    total = np.full((n + 1, n + 1), np.inf)
    total[0, 0] = 0.0
    for i in range(1, n + 1):
        for j in range(max(1, i - band), min(n, i + band) + 1):
            total[i, j] = cost[i - 1, j - 1] + min(total[i - 1, j - 1], total[i - 1, j], total[i, j - 1])
    path, i, j = [], n, n
    while i > 0 and j > 0:
        path.append((i - 1, j - 1))
        steps = (
            (total[i - 1, j - 1], i - 1, j - 1),
            (total[i - 1, j], i - 1, j),
            (total[i, j - 1], i, j - 1),
        )
        _, i, j = min(steps)
    return path


# Codes ---------------------------------------------------------------------------------------


def codebook_perplexity(codes: Array, code_count: int) -> float:
    """exp(entropy of code use) over all given codes; 1 to ``code_count``."""
    share = np.bincount(np.asarray(codes).ravel(), minlength=code_count) / max(np.size(codes), 1)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def dead_codes(codes: Array, code_count: int) -> int:
    """How many of the codes are never used."""
    return int((np.bincount(np.asarray(codes).ravel(), minlength=code_count) == 0).sum())
