"""The measures of facial motion, each with its exact definition.  Pure numpy.

The same label hides different maths in different papers, so every variant has its own name.
Motion is offsets (T, V, 3) from a template, in template units; truth and prediction of different
lengths are cut to the shorter.  Millimetre measures take ``mm_per_unit`` (1000 for metres).
Phone times, where needed, serve scoring alone.  Measures over nothing are NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh, FloatArray
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
#: Frames whose lip-to-teeth distances are in memory at once.
TEETH_BLOCK = 32


def _pair(truth: Array, predicted: Array) -> tuple[Floats, Floats]:
    frames = min(len(truth), len(predicted))
    return truth[:frames].astype(np.float64), predicted[:frames].astype(np.float64)


def vertex_distances(truth: Array, predicted: Array) -> Floats:
    """(T, V) |GT-P| per vertex, in the motion's unit."""
    a, b = _pair(truth, predicted)
    return np.asarray(np.linalg.norm(a - b, axis=-1))


def _mean(values: Array) -> float:
    return float(np.mean(values)) if np.size(values) else float("nan")


def correlation(a: Array, b: Array) -> float:
    """Pearson's r of two curves of one length; NaN when either does not vary or is not known."""
    # "not over" and not "under": the deviation of an unknown curve is NaN
    if len(a) < 2 or not (float(np.std(a)) > 1e-9 and float(np.std(b)) > 1e-9):
        return float("nan")
    return float(np.corrcoef(a.astype(np.float64), b.astype(np.float64))[0, 1])


# Whole-face and lip errors -------------------------------------------------------------------


def lip_errors(truth: Array, predicted: Array, lips: Array) -> Floats:
    """(T,) max over lip v of |GT-P|, in the motion's unit; what every LVE is a mean of.

    Without lips there is nothing to measure: (0,).
    """
    if not len(lips):
        return np.zeros(0)
    return np.asarray(vertex_distances(truth[:, lips], predicted[:, lips]).max(axis=1))


def _lip_errors(truths: Sequence[Array], predictions: Sequence[Array], lips: Array) -> list[Floats]:
    return [lip_errors(g, p, lips) for g, p in zip(truths, predictions, strict=True)]


def lve_codetalker(truths: Sequence[Array], predictions: Sequence[Array], lips: Array) -> float:
    """Mean over all frames POOLED over the clips of max over lip v of |GT-P|^2 (no root); unit^2.

    CodeTalker ``main/cal_metric.py``.
    """
    return _mean(np.concatenate(_lip_errors(truths, predictions, lips)) ** 2)


def lve_per_clip(truths: Sequence[Array], predictions: Sequence[Array], lips: Array) -> float:
    """As :func:`lve_codetalker`, per clip, then averaged over clips; unit^2 (DiffSpeaker, UniTalker)."""
    return _mean(np.array([_mean(errors**2) for errors in _lip_errors(truths, predictions, lips)]))


def lve_mm(
    truths: Sequence[Array], predictions: Sequence[Array], lips: Array, mm_per_unit: float = 1000.0
) -> float:
    """Mean over pooled frames of max over lip v of |GT-P|; mm (MeshTalk's kind, no alignment)."""
    return mm_per_unit * _mean(np.concatenate(_lip_errors(truths, predictions, lips)))


def mve_mm(truths: Sequence[Array], predictions: Sequence[Array], mm_per_unit: float = 1000.0) -> float:
    """Mean over all v and pooled t of |GT-P|; mm (FaceDiffuser)."""
    per_frame = [vertex_distances(g, p).mean(axis=1) for g, p in zip(truths, predictions, strict=True)]
    return mm_per_unit * _mean(np.concatenate(per_frame))


# Dynamics of the upper face -------------------------------------------------------------------


@dataclass(frozen=True)
class Dynamics:
    """How much each vertex of a region varies: d(t,v) = |offset|^2 over the frames of a clip, or of several.

    frames: how many; mean: (n,) of d, unit^2; squares: (n,) sum over frames of (d - mean)^2
    """

    frames: int
    mean: Floats
    squares: Floats

    @property
    def std(self) -> Floats:
        """(n,) population standard deviation of d; NaN over no frame."""
        return np.sqrt(self.squares / self.frames) if self.frames else np.full(len(self.mean), np.nan)

    def at(self, chosen: NDArray[np.bool_]) -> Dynamics:
        """Those of some of the vertices; chosen: (n,)."""
        return Dynamics(self.frames, self.mean[chosen], self.squares[chosen])


def dynamics(offsets: Array, region: Array) -> Dynamics:
    """The dynamics of one clip's motion (T, V, 3) at the vertices of ``region``."""
    moved = np.asarray((offsets[:, region].astype(np.float64) ** 2).sum(axis=-1))
    mean = moved.mean(axis=0) if len(moved) else np.zeros(moved.shape[1])
    return Dynamics(len(moved), mean, np.asarray(((moved - mean) ** 2).sum(axis=0)))


def pooled(parts: Sequence[Dynamics]) -> Dynamics:
    """The dynamics of all frames of ``parts`` together, as if their clips were one."""
    frames = sum(part.frames for part in parts)
    mean = sum((part.frames * part.mean for part in parts), np.zeros(1)) / max(frames, 1)
    # each part's spread about its own mean, and its mean's distance from the common one (Chan et al.)
    squares = sum((part.squares + part.frames * (part.mean - mean) ** 2 for part in parts), np.zeros(1))
    return Dynamics(frames, mean, squares)


def fdd_of_clip(truth: Dynamics, predicted: Dynamics) -> float:
    """Mean over v of std(d_GT) - std(d_P), signed; unit^2.  NaN for a region without vertices."""
    return _mean(truth.std - predicted.std)


def fdd_of_style(truths: Sequence[Dynamics], predictions: Sequence[Dynamics]) -> float:
    """100 * sum_v |std(d_GT) - std(d_P)| / sum_v std(d_GT) over one style's clips, pooled; %."""
    std_g, std_p = pooled(truths).std, pooled(predictions).std
    total = float(std_g.sum())
    return 100.0 * float(np.abs(std_g - std_p).sum()) / total if total > 0 else float("nan")


def _fdd_per_clip(truths: Sequence[Array], predictions: Sequence[Array], upper: Array) -> Floats:
    pairs = (_pair(g, p) for g, p in zip(truths, predictions, strict=True))
    return np.array([fdd_of_clip(dynamics(g, upper), dynamics(p, upper)) for g, p in pairs])


def fdd_codetalker(truths: Sequence[Array], predictions: Sequence[Array], upper: Array) -> float:
    """Per clip: d(t,v) = |offset|^2 for upper-face v; population std over t; mean over v; SIGNED GT-P.

    Mean over clips; unit^2.  CodeTalker ``main/cal_metric.py``.
    """
    return _mean(_fdd_per_clip(truths, predictions, upper))


def fdd_abs(truths: Sequence[Array], predictions: Sequence[Array], upper: Array) -> float:
    """Mean over clips of the absolute per-clip :func:`fdd_codetalker`; unit^2 (FaceDiffuser)."""
    return _mean(np.abs(_fdd_per_clip(truths, predictions, upper)))


def fdd_rel(
    truths: Sequence[Array], predictions: Sequence[Array], region: Array, styles: Sequence[int]
) -> float:
    """:func:`fdd_of_style` averaged over the styles; %.

    std over all frames POOLED over the clips of one speaking style (take at least 60 s of speech
    per style: on single 3 s clips even a second draw of the very same process scores 88 %), then
    averaged over styles.  styles: one per clip.
    """
    scores = []
    for style in sorted(set(styles)):
        chosen = [_pair(g, p) for g, p, s in zip(truths, predictions, styles, strict=True) if s == style]
        scores.append(
            fdd_of_style([dynamics(g, region) for g, _ in chosen], [dynamics(p, region) for _, p in chosen])
        )
    return _mean(np.array(scores))


# Distributions and samples --------------------------------------------------------------------


def motion_basis(frames: Array, most: int = 32) -> FloatArray:
    """Leading principal components of motion: frames (N, V, 3) -> (K, 3V) orthonormal rows, K <= most.

    Components that carry nothing (under 1e-6 of the first one's deviation) are left out.
    """
    flat = frames.reshape(len(frames), -1).astype(np.float32)
    flat = flat - flat.mean(axis=0)
    _, sizes, rows = np.linalg.svd(flat, full_matrices=False)
    kept = int((sizes > 1e-6 * max(float(sizes.max(initial=0.0)), 1e-12)).sum())
    return np.asarray(rows[: min(kept, most)], np.float32)


def coefficients(offsets: Array, basis: FloatArray, mm_per_unit: float = 1000.0) -> Floats:
    """Motion (T, V, 3) in a :func:`motion_basis`; (T, K) mm.

    Divided by the root of the vertex count, so that the squared length of a row is the mean squared
    offset of a vertex, whatever the mesh's resolution.
    """
    scale = mm_per_unit / np.sqrt(max(offsets.shape[1], 1))
    return np.asarray(scale * (offsets.reshape(len(offsets), -1) @ basis.T), np.float64)


def fd(truth: Array, predicted: Array) -> float:
    """Frechet distance of per-frame coefficients (T, K); |m1-m2|^2 + tr(S1+S2-2(S1 S2)^1/2).

    Population of one clip (DualTalk ``metric/metric.py`` averages over clips), or pooled frames.
    NaN under two frames or without coefficients.
    """
    a, b = truth.astype(np.float64), predicted.astype(np.float64)
    if min(len(a), len(b)) < 2 or not a.shape[1]:
        return float("nan")
    cov_a, cov_b = np.atleast_2d(np.cov(a, rowvar=False)), np.atleast_2d(np.cov(b, rowvar=False))
    values, vectors = np.linalg.eigh(cov_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    # tr((S1 S2)^1/2) = tr((R S2 R)^1/2) with R = S1^1/2: symmetric, so its eigenvalues are safe.
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root @ cov_b @ root), 0.0)).sum()
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2.0 * cross)


def diversity_mm(samples: Sequence[Array], mm_per_unit: float = 1000.0) -> float:
    """Mean distance (over v and t) between all pairs of samples from the same speech; mm (ProbTalk3D)."""
    pairs = [(i, j) for i in range(len(samples)) for j in range(i + 1, len(samples))]
    return mm_per_unit * _mean(np.array([vertex_distances(samples[i], samples[j]).mean() for i, j in pairs]))


# The mouth -----------------------------------------------------------------------------------


def _pair_distance_mm(offsets: Array, face: FaceMesh, pair: Array, mm_per_unit: float) -> Floats:
    """(T,) mm between the two vertices of ``pair``; NaN where the face does not name two."""
    if len(pair) != 2:
        return np.full(len(offsets), np.nan)
    ends = offsets[:, pair].astype(np.float64) + face.vertices[pair]
    return np.asarray(mm_per_unit * np.linalg.norm(ends[:, 0] - ends[:, 1], axis=-1))


def mouth_opening_mm(offsets: Array, face: FaceMesh, mm_per_unit: float = 1000.0) -> Floats:
    """Distance between the mid upper-lip and mid lower-lip vertex; (T,) mm, NaN on a face without them.

    ``face.vertices`` must be the template of the clip's speaker.
    """
    return _pair_distance_mm(offsets, face, face.mid_lips, mm_per_unit)


def rest_opening_mm(face: FaceMesh, mm_per_unit: float = 1000.0) -> float:
    """The template's own mid-lip distance; mm."""
    return float(mouth_opening_mm(np.zeros((1, face.vertex_count, 3)), face, mm_per_unit)[0])


def corner_distance_mm(offsets: Array, face: FaceMesh, mm_per_unit: float = 1000.0) -> Floats:
    """Distance between the lip corners; (T,) mm, NaN on a face without them."""
    return _pair_distance_mm(offsets, face, face.lip_corners, mm_per_unit)


def mod_mm(truth_opening_mm: Array, predicted_opening_mm: Array) -> float:
    """Mean over t of the absolute difference of mouth opening; mm (DiffPoseTalk)."""
    a, b = _pair(truth_opening_mm, predicted_opening_mm)
    return _mean(np.abs(a - b))


def opening_r(truth_opening_mm: Array, predicted_opening_mm: Array) -> float:
    """Pearson's r of one clip's mouth opening with its target (average it over clips)."""
    return correlation(*_pair(truth_opening_mm, predicted_opening_mm))


def rounding_r(truth_corners_mm: Array, predicted_corners_mm: Array) -> float:
    """Pearson's r of one clip's lip-corner distance with its target (average it over clips)."""
    return correlation(*_pair(truth_corners_mm, predicted_corners_mm))


def swap_margin_r(own: Sequence[float], swapped: Sequence[float]) -> float:
    """How much a clip's own sound explains: mean over clips of r(own sound) - r(another clip's sound).

    Both are correlations with the clip's own target; clips that lack one are not judged.  A model that
    ignores what it hears scores 0, even where all speech is alike.
    """
    margins = np.array(own, np.float64) - np.array(swapped, np.float64)
    return _mean(margins[np.isfinite(margins)])


def lower_lip(face: FaceMesh) -> NDArray[np.int64]:
    """The vertices of ``region_lips`` with fewer edges to the lower mid-lip vertex than to the upper.

    Only the mid-lip vertex where the face has no lips; none where it has no mid-lip vertices either.
    """
    if len(face.mid_lips) != 2:
        return np.zeros(0, np.int64)
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

    lower: the lower lip's vertices where they are known, else :func:`lower_lip`'s.  NaN without either.
    """
    teeth = np.asarray(face.regions.get("upper_teeth", np.zeros(0, np.int32)), np.int64)
    lip = lower_lip(face) if lower is None else lower
    if not len(teeth) or not len(lip):
        return np.full(len(offsets), np.nan)
    out = np.zeros(len(offsets))
    for start in range(0, len(offsets), TEETH_BLOCK):
        block = offsets[start : start + TEETH_BLOCK]
        a = face.vertices[lip] + block[:, lip].astype(np.float64)
        b = face.vertices[teeth] + block[:, teeth].astype(np.float64)
        squared = (a**2).sum(-1)[:, :, None] + (b**2).sum(-1)[:, None] - 2.0 * a @ b.transpose(0, 2, 1)
        out[start : start + len(block)] = np.sqrt(np.maximum(squared.min(axis=(1, 2)), 0.0))
    return mm_per_unit * out


# By phone ------------------------------------------------------------------------------------


def phone_frames(phone: Phone, fps: float, frames: int, around: int = 0) -> NDArray[np.int64]:
    """Frames t with start <= t / fps < end, widened by ``around`` frames on both sides.

    Without widening a phone shorter than a frame may own none; it is then not judged.
    """
    first = int(np.ceil(phone.start_s * fps - 1e-6)) - around
    last = int(np.ceil(phone.end_s * fps - 1e-6)) + around
    return np.arange(max(first, 0), min(last, frames))


def _known(curve: Array, judged: Iterable[NDArray[np.int64]]) -> Iterator[Array]:
    """The curve at each phone's frames, without phones that own none or where the curve is not known."""
    for own in judged:
        if len(own) and np.isfinite(curve[own]).all():
            yield curve[own]


def bilabial_closures(opening_mm: Array, rest_mm: float, phones: Sequence[Phone], fps: float) -> list[bool]:
    """Per /p b m/: is the mid-lip distance <= rest + 1.0 mm at some frame of the phone +-1 frame?"""
    judged = (phone_frames(p, fps, len(opening_mm), 1) for p in phones if p.label in BILABIALS)
    return [bool(part.min() <= rest_mm + CLOSURE_MM) for part in _known(opening_mm, judged)]


def false_closures(opening_mm: Array, rest_mm: float, phones: Sequence[Phone], fps: float) -> list[bool]:
    """Per open vowel (aa ae ah ao eh ow ay ey aw): does it stay <= rest + 1.0 mm for the whole phone?"""
    judged = (phone_frames(p, fps, len(opening_mm)) for p in phones if p.label in OPEN_VOWELS)
    return [bool(part.max() <= rest_mm + CLOSURE_MM) for part in _known(opening_mm, judged)]


def labiodental_contacts(teeth_mm: Array, phones: Sequence[Phone], fps: float) -> list[bool]:
    """Per /f v/: does the lower lip come within 2.0 mm of the upper teeth (at some frame of it +-1 frame)?"""
    judged = (phone_frames(p, fps, len(teeth_mm), 1) for p in phones if p.label in LABIODENTALS)
    return [bool(part.min() <= CONTACT_MM) for part in _known(teeth_mm, judged)]


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


# Codes ---------------------------------------------------------------------------------------


def codebook_perplexity(codes: Array, code_count: int) -> float:
    """exp(entropy of code use) over all given codes; 1 to ``code_count``."""
    share = np.bincount(np.asarray(codes).ravel(), minlength=code_count) / max(np.size(codes), 1)
    share = share[share > 0]
    return float(np.exp(-(share * np.log(share)).sum()))


def dead_codes(codes: Array, code_count: int) -> int:
    """How many of the codes are never used."""
    return int((np.bincount(np.asarray(codes).ravel(), minlength=code_count) == 0).sum())
