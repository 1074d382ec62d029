"""Phones with times in, shape weights per frame out: a made speaker's face.

1. Tracks.  Opening, jaw, width, ... follow each phone's target (``articulation_targets.py``),
   blended by dominance functions: every phone pulls with a force that fades exponentially
   with the distance in time (Cohen & Massaro 1993, "Modeling coarticulation in synthetic visual speech").
2. Promises.  Blending alone leaves bilabials ajar and short vowels shut, so closures, openings,
   teeth contact, near teeth and rest in silence are enforced on the tracks, in millimetres.
3. Weights.  Per frame the shapes are solved so that the head's own mid-lips have that opening.

The upper face is ``articulation_upper.py``'s.  Only numpy.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from codetalker_blender.contracts import FloatArray, Waveform
from training.articulation_head import Floats, Head, LipMeasures, check_head
from training.articulation_holds import Holds
from training.articulation_targets import DIPHTHONGS, TARGETS, Style, Target
from training.articulation_upper import upper_face
from training.datasets.clip import Phone
from training.datasets.phones import OPEN_VOWELS, SIBILANTS, SILENCE, VOWELS
from training.metrics import phone_frames

#: Silences of this length and more are rest; shorter ones are a phone among others.
REST_FROM_S = 0.15
#: An open vowel's least opening: 3 mm are promised, the rest is margin for smoothing.
OPEN_VOWEL_MM = 3.6
#: A sibilant's jaw at its centre.
SIBILANT_JAW_MM = 1.5
#: What lips can part there without the jaw.
SIBILANT_OPENING_MM = 5.0
#: Lips move up to about 300 mm/s in speech; the opening stays a little below.
OPENING_SPEED_MM_S = 240.0
JAW_SPEED_MM_S = 180.0
#: Lower lip to upper teeth in f and v, wanted (2.0 mm counts as contact).
CONTACT_MM = 0.7
#: The lower lip reaches the teeth, and leaves them, by this share per frame.
_TUCK_STEP = 0.5
#: Weight up to which lips alone part (lowerDown, upperUp) before the jaw helps.
_PART_LIMIT = 0.6
#: How fast each track's dominance fades, 1/s, before and after the phone: rounding looks far ahead.
_FADE = {
    "opening_mm": (50.0, 50.0), "jaw_mm": (32.0, 32.0), "width_mm": (15.0, 22.0), "funnel": (18.0, 25.0),
    "tongue": (50.0, 50.0), "press": (50.0, 50.0), "tuck": (50.0, 50.0),
}  # fmt: skip
_FORCE = {
    "opening_mm": "opening_force",
    "jaw_mm": "jaw_force",
    "width_mm": "width_force",
    "funnel": "width_force",
}
#: Half of this share of a phone on each side of its centre pulls with full force.
_CORE = 0.4
#: Lips begin to settle in the last sound's fade and end in the silence; they begin to open in the
#: silence and end in the first sound: seconds in the sound and in the silence, where there is room.
_SETTLE_S, _PREPARE_S = (0.11, 0.035), (0.07, 0.04)


@dataclass(frozen=True)
class _Segment:
    """A monophthong target with its time."""

    target: Target
    start_s: float
    end_s: float
    gain: float


class Articulator:
    """Animates one head.  Measuring the head takes a second, so keep it."""

    def __init__(self, head: Head) -> None:
        check_head(head)
        self.head = head
        self.lips = LipMeasures(head)
        self._zero = np.zeros(len(head.shape_names))
        self._pucker_mm = -float(self.lips.width(self._direction({"mouthPucker": 1.0})[None])[0])
        spread = {"mouthStretch": 0.6, "mouthSmile": 0.4}
        self._spread = self._direction(spread)
        self._spread_mm = float(self.lips.width(self._spread[None])[0])
        self._funnel_mm = float(self.lips.opening(self._direction({"mouthFunnel": 1.0})[None])[0])
        self._tuck, self.contact_mm = self._find_contact()

    def animate(
        self,
        phones: tuple[Phone, ...],
        waveform: Waveform,
        fps: float,
        style: Style,
        rng: np.random.Generator,
    ) -> FloatArray:
        """Shape weights (T, K) in [0, 1] for speech; T = whole frames of the sound.

        phones cover the sound; their labels are the common set's (KeyError otherwise).
        """
        frames = max(1, int(waveform.duration_s * fps + 1e-6))
        loud = loudness(waveform, frames, fps)
        segments = _segments(phones, loud, fps, rng)
        time_s = np.arange(frames) / fps
        active = _activity(phones, time_s)
        tracks = {name: _blend(segments, name, time_s + style.lead_s, style.clarity) for name in _FADE}
        tracks["opening_mm"] = tracks["opening_mm"] * style.opening
        tracks["jaw_mm"] = tracks["jaw_mm"] * style.opening
        tracks["width_mm"] = tracks["width_mm"] * style.width
        tracks = {name: track * active for name, track in tracks.items()}
        _enforce(tracks, phones, fps)
        lean = float(np.clip(rng.normal(0.0, style.asymmetry), -0.25, 0.25))
        weights = self._solve(tracks, active * style.smile, active * style.frown, lean)
        for name, track in upper_face(phones, loud, fps, style, lean, rng).items():
            row = self.head.index(name)
            if row is not None:
                weights[:, row] = track
        return np.clip(weights, 0.0, 1.0).astype(np.float32)

    def _direction(self, parts: dict[str, float], lean: float = 0.0) -> Floats:
        """Weights (K,); a name without a side is meant for both, left a little more when lean > 0."""
        row = self._zero.copy()
        for name, value in parts.items():
            for suffix, factor in (("", 1.0), ("Left", 1.0 + lean), ("Right", 1.0 - lean)):
                index = self.head.index(name + suffix)
                if index is not None:
                    row[index] = value * factor
        return row

    def _solve(self, tracks: dict[str, Floats], smile: Floats, frown: Floats, lean: float) -> Floats:
        """Weights (T, K) whose mid-lips have the wanted opening."""
        opening = tracks["opening_mm"]
        jaw = self._direction({"jawOpen": 1.0})
        shut = self._direction({"mouthClose": 1.0})
        part = self._direction({"mouthLowerDown": 1.0, "mouthUpperUp": 0.5}, lean)
        narrow = np.clip(-tracks["width_mm"] / max(self._pucker_mm, 1e-3), 0.0, 1.0)
        widen = np.clip(tracks["width_mm"] / max(self._spread_mm, 1e-3), 0.0, 1.0)
        # Flared lips part by themselves: never more than the opening that is wanted.
        funnel = np.minimum(tracks["funnel"], 0.8 * opening / max(self._funnel_mm, 1e-3))
        weights = np.outer(tracks["jaw_mm"] / self.lips.jaw_mm, jaw)
        weights += np.outer(narrow, self._direction({"mouthPucker": 1.0}))
        weights += np.outer(widen, self._direction({"mouthStretch": 0.6, "mouthSmile": 0.4}, lean))
        weights += np.outer(funnel, self._direction({"mouthFunnel": 1.0}))
        weights += np.outer(tracks["press"], self._direction({"mouthPress": 1.0}))
        weights += np.outer(tracks["tongue"], self._direction({"tongueOut": 1.0}))
        weights += np.outer(smile, self._direction({"mouthSmile": 1.0, "cheekSquint": 0.6}, lean))
        weights += np.outer(frown, self._direction({"mouthFrown": 1.0}, lean))
        # Too closed: part the lips, then drop the jaw.  Too open: close the lips, then raise the jaw.
        weights += np.outer(np.minimum(self.lips.parting(weights, part, opening), _PART_LIMIT), part)
        weights += np.outer(self.lips.parting(weights, jaw, opening), jaw)
        weights += np.outer(np.minimum(self.lips.closing(weights, shut, opening), 1.0), shut)
        row = self.head.index("jawOpen")
        lift = np.minimum(self.lips.closing(weights, -jaw, opening), weights[:, row])
        weights -= np.outer(lift, jaw)
        tuck = np.clip(tracks["tuck"], 0.0, 1.0)[:, None]
        weights = (1.0 - tuck) * weights + tuck * self._tuck
        # Mixing with the tucked lip may have shut a short vowel next to f or v.
        weights += np.outer(self.lips.parting(weights, jaw, tracks["least_mm"]), jaw)
        return np.asarray(weights)

    def _find_contact(self) -> tuple[Floats, float]:
        """The lower lip at the upper teeth: the mildest pose that touches, and its distance in mm."""
        if not self.lips.has_teeth:
            return self._direction({"mouthRollLower": 0.6}), float("nan")
        jaw = 1.0 / self.lips.jaw_mm
        poses = np.array(
            [
                self._direction(
                    {
                        "jawOpen": jaw_mm * jaw, "mouthClose": close * jaw_mm * jaw,
                        "mouthRollLower": roll, "mouthUpperUp": up, "mouthShrugLower": shrug,
                    }
                )
                for jaw_mm, close, roll, up, shrug in itertools.product(
                    (0.5, 1.2, 1.6, 2.0, 2.5, 3.0), (0.0, 0.25, 0.5, 1.0),
                    (0.2, 0.4, 0.6, 0.8, 0.9, 0.95, 1.0), (0.0, 0.2), (0.0, 0.2, 0.4),
                )
            ]
        )  # fmt: skip
        distance, depth = self.lips.teeth_distance(poses)
        opening = self.lips.opening(poses)
        # Near, but neither through the teeth nor wide open.
        cost = 10.0 * np.maximum(distance - CONTACT_MM, 0.0) + 20.0 * np.maximum(depth, 0.0)
        cost += 10.0 * np.maximum(0.6 * CONTACT_MM - distance, 0.0)
        cost += np.abs(opening - 1.8) + 0.3 * poses.sum(axis=1)
        best = int(np.argmin(cost))
        return poses[best], float(distance[best])


def loudness(waveform: Waveform, frames: int, fps: float) -> Floats:
    """Loudness per frame (T,), 0 at the clip's quiet parts and 1 at its loud ones."""
    samples = waveform.samples.astype(np.float64)
    edges = np.minimum((np.arange(frames + 1) * waveform.rate_hz / fps).astype(int), len(samples))
    total = np.concatenate([[0.0], np.cumsum(samples**2)])
    power = (total[edges[1:]] - total[edges[:-1]]) / np.maximum(edges[1:] - edges[:-1], 1)
    level_db = 10.0 * np.log10(power + 1e-9)
    loud = float(np.percentile(level_db, 95))
    return np.asarray(np.clip((level_db - (loud - 30.0)) / 30.0, 0.0, 1.0))


def _rests(phone: Phone, phones: tuple[Phone, ...]) -> bool:
    """Is this silence long enough to rest in?  At either end of a clip every silence is."""
    at_end = phone is phones[0] or phone is phones[-1]
    return phone.label == SILENCE and (at_end or phone.duration_s >= REST_FROM_S)


def _segments(
    phones: tuple[Phone, ...], loud: Floats, fps: float, rng: np.random.Generator
) -> list[_Segment]:
    """Targets in time; diphthongs become two; long silences none; vowels open more when louder."""
    segments: list[_Segment] = []
    for phone in phones:
        if _rests(phone, phones):
            continue
        gain = 1.0
        if phone.label in VOWELS:
            own = phone_frames(phone, fps, len(loud))
            level = float(loud[own].max()) if len(own) else 0.8
            gain = (0.8 + 0.3 * level) * float(np.exp(rng.normal(0.0, 0.05)))
        first, second, share = DIPHTHONGS.get(phone.label, (phone.label, "", 1.0))
        middle = phone.start_s + share * phone.duration_s
        segments.append(_Segment(TARGETS[first], phone.start_s, middle, gain))
        if second:
            segments.append(_Segment(TARGETS[second], middle, phone.end_s, gain))
    return segments


def _blend(segments: list[_Segment], name: str, time_s: Floats, clarity: float) -> Floats:
    """One track (T,): targets weighted by dominance, which falls off exponentially around each phone."""
    if not segments:
        return np.zeros(len(time_s))
    start = np.array([s.start_s for s in segments])[:, None]
    end = np.array([s.end_s for s in segments])[:, None]
    scaled = name in ("opening_mm", "jaw_mm")
    value = np.array([getattr(s.target, name) * (s.gain if scaled else 1.0) for s in segments])
    force = np.array([getattr(s.target, _FORCE.get(name, "opening_force")) for s in segments])
    margin = 0.5 * (1.0 - _CORE) * (end - start)
    early = np.maximum(start + margin - time_s, 0.0)  # (phones, T) seconds still to come
    late = np.maximum(time_s - (end - margin), 0.0)  # seconds since
    before, after = _FADE[name]
    # The square root rounds the tip, so that tracks have no corner there.
    soft_early = np.sqrt(early**2 + 0.01**2) - 0.01
    soft_late = np.sqrt(late**2 + 0.01**2) - 0.01
    exponent = np.log(force)[:, None] - clarity * (before * soft_early + after * soft_late)
    dominance = np.exp(exponent - exponent.max(axis=0))  # shifted: no 0 / 0 far from speech
    return np.asarray((dominance * value[:, None]).sum(axis=0) / dominance.sum(axis=0))


def _activity(phones: tuple[Phone, ...], time_s: Floats) -> Floats:
    """(T,) 1 in speech, 0 in silences of 150 ms and more, with smooth ways between."""
    active = np.ones(len(time_s))
    for place, phone in enumerate(phones):
        if not _rests(phone, phones):
            continue
        fall, rise = np.zeros(len(time_s)), np.zeros(len(time_s))
        rest_from_s, rest_to_s = phone.start_s, phone.end_s
        if place:
            start_s = phone.start_s - min(_SETTLE_S[0], 0.5 * phones[place - 1].duration_s)
            rest_from_s += min(_SETTLE_S[1], 0.3 * phone.duration_s)
            fall = 1.0 - _smooth((time_s - start_s) / (rest_from_s - start_s))
        if place < len(phones) - 1:
            rest_to_s -= min(_PREPARE_S[1], 0.3 * phone.duration_s)
            end_s = phone.end_s + min(_PREPARE_S[0], 0.5 * phones[place + 1].duration_s)
            rise = _smooth((time_s - rest_to_s) / (end_s - rest_to_s))
        active = np.minimum(active, np.maximum(fall, rise))
        rest = int(np.argmin(np.abs(time_s - (rest_from_s + rest_to_s) / 2.0)))
        if phone.start_s <= time_s[rest] < phone.end_s:
            active[rest] = 0.0
    return active


def _smooth(x: Floats) -> Floats:
    x = np.clip(x, 0.0, 1.0)
    return np.asarray(x * x * (3.0 - 2.0 * x))


def _enforce(tracks: dict[str, Floats], phones: tuple[Phone, ...], fps: float) -> None:
    """Put the promises into the tracks, in place; adds "least_mm", the opening to keep per frame."""
    opening, jaw, tuck = tracks["opening_mm"], tracks["jaw_mm"], tracks["tuck"]
    frames = len(opening)
    least = tracks["least_mm"] = np.zeros(frames)
    holds = Holds(phones, fps, frames)
    taken = np.concatenate([holds.closed, holds.contact])
    every = np.arange(frames)
    if len(holds.contact):
        distance = np.abs(every[:, None] - holds.contact).min(axis=1)
        np.maximum(tuck, 1.0 - _TUCK_STEP * distance, out=tuck)
        # The lip is still leaving the teeth one frame later: the way to a wide vowel begins there.
        ramp = OPENING_SPEED_MM_S / fps * np.maximum(distance - 1, 0)
        np.minimum(opening, TARGETS["f"].opening_mm + ramp, out=opening)
    for phone in phones:
        own = phone_frames(phone, fps, frames)
        if phone.label in OPEN_VOWELS:
            free = own[~np.isin(own, taken)]
            if len(free):
                peak = int(free[np.argmax(opening[free])])
                np.maximum(opening, _tent(frames, peak, OPEN_VOWEL_MM, 0.6 * OPEN_VOWEL_MM), out=opening)
                least[peak] = OPEN_VOWEL_MM
        elif phone.label in SIBILANTS:
            distance = np.abs(every - _nearest_frame(phone, fps, frames))
            np.minimum(jaw, SIBILANT_JAW_MM + JAW_SPEED_MM_S / fps * distance, out=jaw)
            np.minimum(opening, SIBILANT_OPENING_MM + OPENING_SPEED_MM_S / fps * distance, out=opening)
    for peak in np.flatnonzero(least):
        np.minimum(tuck, 0.3 + 0.7 * np.abs(every - peak), out=tuck)
    opening[holds.closed] = 0.0
    tuck[holds.closed] = 0.0
    _limit_slope(opening, OPENING_SPEED_MM_S / fps)
    _limit_slope(jaw, JAW_SPEED_MM_S / fps)


def _nearest_frame(phone: Phone, fps: float, frames: int) -> int:
    return min(frames - 1, max(0, round(0.5 * (phone.start_s + phone.end_s) * fps)))


def _tent(frames: int, peak: int, height: float, slope: float) -> Floats:
    """(T,) ``height`` at ``peak``, falling by ``slope`` per frame, never below 0."""
    return np.asarray(np.maximum(height - slope * np.abs(np.arange(frames) - peak), 0.0))


def _limit_slope(track: Floats, step: float) -> None:
    """Lower the track, in place, until no two neighbours differ by more than ``step``; low points stay."""
    for frame in range(1, len(track)):
        track[frame] = min(track[frame], track[frame - 1] + step)
    for frame in range(len(track) - 2, -1, -1):
        track[frame] = min(track[frame], track[frame + 1] + step)
