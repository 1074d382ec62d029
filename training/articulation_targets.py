"""Where each phone wants the mouth: the numbers of the articulation model.

Openings and widths are millimetres on a face of human size.  They follow what phonetics
textbooks report in kind (jaw low in open vowels, teeth near in sibilants, lips protruded in
uw, ow, w, sh), chosen by us and judged by eye; they are not measurements of a speaker.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Target:
    """One phone's mouth.

    opening_mm: mid-lip distance above rest; jaw_mm: drop of the lower incisors
    width_mm: change of the distance between the lip corners (negative: rounded)
    funnel: share of flared lips (sh, ch, r, ao); roll: lower lip tucked in; press: lips pressed
    tongue: share of the tongue shown
    opening_force, jaw_force, width_force: how much of its own way the phone gets (dominance height)
    """

    opening_mm: float
    jaw_mm: float
    width_mm: float = 0.0
    funnel: float = 0.0
    tongue: float = 0.0
    press: float = 0.0
    tuck: float = 0.0
    opening_force: float = 1.0
    jaw_force: float = 1.0
    width_force: float = 0.6


#: Monophthongs and consonants of the common phone set.
TARGETS: dict[str, Target] = {
    # vowels: lips open, jaw follows
    "aa": Target(12.0, 9.5, 0.0),
    "ae": Target(10.5, 8.0, 2.5),
    "ah": Target(8.5, 6.5, 0.0),
    "ao": Target(9.5, 8.0, -5.0, funnel=0.35, width_force=1.0),
    "eh": Target(8.0, 6.0, 2.0),
    "ih": Target(5.5, 4.0, 2.0),
    "iy": Target(4.8, 2.8, 4.5, width_force=0.9),
    "uh": Target(4.5, 3.6, -4.5, funnel=0.25, width_force=0.9),
    "uw": Target(3.2, 2.8, -8.5, funnel=0.15, width_force=1.4),
    "er": Target(4.8, 3.5, -3.5, funnel=0.3, width_force=0.8),
    "ax": Target(5.0, 3.8, 0.0, opening_force=0.7, jaw_force=0.7, width_force=0.3),
    # the first half of ow; its second half is uw
    "o": Target(6.8, 5.5, -5.5, funnel=0.3, width_force=1.1),
    # lips
    "p": Target(0.0, 1.6, 0.0, press=0.75, opening_force=2.5, width_force=0.25),
    "b": Target(0.0, 1.6, 0.0, press=0.65, opening_force=2.5, width_force=0.25),
    "m": Target(0.0, 1.6, 0.0, press=0.45, opening_force=2.5, width_force=0.25),
    "f": Target(2.0, 1.8, 0.5, tuck=1.0, opening_force=2.0, width_force=0.4),
    "v": Target(2.0, 1.8, 0.5, tuck=0.9, opening_force=2.0, width_force=0.4),
    "w": Target(2.2, 2.6, -8.5, funnel=0.1, opening_force=1.3, width_force=1.6),
    # teeth near
    "s": Target(3.6, 0.9, 1.5, opening_force=0.9, jaw_force=1.8),
    "z": Target(3.6, 1.0, 1.2, opening_force=0.9, jaw_force=1.8),
    "sh": Target(4.6, 1.3, -5.0, funnel=0.6, opening_force=1.0, jaw_force=1.8, width_force=1.2),
    "zh": Target(4.6, 1.4, -5.0, funnel=0.6, opening_force=1.0, jaw_force=1.8, width_force=1.2),
    "ch": Target(4.3, 1.3, -4.5, funnel=0.55, opening_force=1.0, jaw_force=1.8, width_force=1.2),
    "jh": Target(4.3, 1.3, -4.5, funnel=0.55, opening_force=1.0, jaw_force=1.8, width_force=1.2),
    # tongue
    "th": Target(4.2, 2.6, 0.5, tongue=0.35, opening_force=0.9),
    "dh": Target(4.0, 2.6, 0.3, tongue=0.25, opening_force=0.8),
    "t": Target(3.8, 1.8, 0.5, opening_force=0.6, jaw_force=1.0, width_force=0.25),
    "d": Target(3.8, 2.0, 0.5, opening_force=0.6, jaw_force=1.0, width_force=0.25),
    "n": Target(3.8, 2.2, 0.5, opening_force=0.6, jaw_force=0.9, width_force=0.25),
    "l": Target(5.0, 3.4, 0.5, opening_force=0.6, jaw_force=0.6, width_force=0.25),
    "r": Target(3.8, 2.8, -4.5, funnel=0.4, opening_force=0.7, width_force=0.8),
    "y": Target(3.8, 2.2, 3.0, opening_force=0.7, width_force=0.5),
    "k": Target(5.0, 3.4, 0.0, opening_force=0.45, jaw_force=0.5, width_force=0.1),
    "g": Target(5.0, 3.4, 0.0, opening_force=0.45, jaw_force=0.5, width_force=0.1),
    "ng": Target(4.8, 3.2, 0.0, opening_force=0.45, jaw_force=0.5, width_force=0.1),
    # hh has no mouth of its own
    "hh": Target(6.0, 4.5, 0.0, opening_force=0.12, jaw_force=0.12, width_force=0.05),
    # a pause too short to rest in
    "pau": Target(1.6, 1.4, 0.0, opening_force=0.5, jaw_force=0.5, width_force=0.15),
}

#: Diphthong -> (first target, second target, share of its time that belongs to the first).
DIPHTHONGS: dict[str, tuple[str, str, float]] = {
    "ay": ("aa", "iy", 0.58),
    "aw": ("aa", "uw", 0.55),
    "oy": ("ao", "iy", 0.52),
    "ey": ("eh", "iy", 0.55),
    "ow": ("o", "uw", 0.55),
}


@dataclass(frozen=True)
class Style:
    """A way of speaking.

    opening, width: factors on the targets
    clarity: steepness of the dominance functions (above 1: phones blend less)
    lead_s: how much earlier than the sound the face moves
    asymmetry: spread of the left-right difference, drawn per clip
    brow: size of brow accents; accents: how many of the stressed vowels get one
    blinks_per_minute: on average
    smile, frown: weights of the corners while speaking; posture: brows kept raised (positive) or
        lowered (negative); lids: how far they hang; both through the whole clip
    """

    name: str
    opening: float
    width: float
    clarity: float
    lead_s: float
    asymmetry: float
    brow: float
    accents: float
    blinks_per_minute: float
    smile: float = 0.0
    frown: float = 0.0
    posture: float = 0.0
    lids: float = 0.0


STYLES = (
    Style("neutral", 1.0, 1.0, 1.0, 0.02, 0.04, 0.35, 0.45, 16.0),
    Style("lively", 1.22, 1.2, 1.15, 0.015, 0.10, 0.65, 0.75, 21.0, smile=0.16),
    Style("calm", 0.78, 0.82, 0.85, 0.03, 0.05, 0.18, 0.25, 12.0, smile=0.04),
    Style("mumbling", 0.62, 0.6, 0.75, 0.025, 0.07, 0.12, 0.2, 18.0),
    Style("precise", 1.12, 1.32, 1.35, 0.025, 0.02, 0.4, 0.5, 10.0, smile=0.03),
    Style("cheerful", 1.08, 1.15, 1.0, 0.02, 0.06, 0.5, 0.6, 20.0, smile=0.26, posture=0.12),
    Style("stern", 0.88, 0.9, 1.2, 0.015, 0.03, 0.3, 0.3, 9.0, frown=0.2, posture=-0.3),
    Style("tired", 0.72, 0.72, 0.72, 0.04, 0.08, 0.15, 0.15, 24.0, frown=0.1, lids=0.18),
)
