"""One phone set for every synthesiser: ARPAbet without stress, plus ``ax`` (schwa) and ``pau`` (silence).

flite speaks this set already.  espeak-ng has its own names (Kirshenbaum-like, several
allophones each); the table below maps every name its English voices use.  A name that is
not in the table is an error, never silence: a silent phone would teach a closed mouth.
"""

from __future__ import annotations

from codetalker_blender.errors import UserError

SILENCE = "pau"
BILABIALS = frozenset({"p", "b", "m"})
LABIODENTALS = frozenset({"f", "v"})
SIBILANTS = frozenset({"s", "z", "sh", "zh", "ch", "jh"})
#: The vowels whose mouth must open (definition of ``false_closure``).
OPEN_VOWELS = frozenset({"aa", "ae", "ah", "ao", "eh", "ow", "ay", "ey", "aw"})
VOWELS = OPEN_VOWELS | {"ax", "er", "ih", "iy", "oy", "uh", "uw"}
CONSONANTS = ("b ch d dh f g hh jh k l m n ng p r s sh t th v w y z zh").split()
PHONES = frozenset(VOWELS) | frozenset(CONSONANTS) | {SILENCE}

#: espeak-ng name -> phones; several phones share the time equally.
_ESPEAK: dict[str, tuple[str, ...]] = {
    # pauses, glottal stop and the short glide that only marks a palatal release
    "_": ("pau",), "_:": ("pau",), "_!": ("pau",), "_^_": ("pau",), "_|": ("pau",), "|": ("pau",),
    "?": ("t",), ";": ("y",),
    # stops, affricates, nasals
    "p": ("p",), "b": ("b",), "m": ("m",), "m-": ("m",), "t": ("t",), "t#": ("t",), "t2": ("t",),
    "d": ("d",), "d#": ("d",), "k": ("k",), "g": ("g",), "tS": ("ch",), "dZ": ("jh",),
    "n": ("n",), "n-": ("n",), "N": ("ng",), "*": ("t",), "**": ("r",),
    # fricatives
    "f": ("f",), "v": ("v",), "v#": ("v",), "T": ("th",), "D": ("dh",), "s": ("s",), "z": ("z",),
    "z#": ("z",), "z/2": ("z",), "S": ("sh",), "Z": ("zh",), "h": ("hh",), "x": ("hh",), "C": ("hh",),
    # approximants
    "l": ("l",), "L": ("l",), "l#": ("l",), "r": ("r",), "r-": ("r",), "r/": ("r",), "R2": ("r",),
    "w": ("w",), "w#": ("hh", "w"), "W": ("hh", "w"), "j": ("y",),
    # syllabic l
    "@L": ("ax", "l"), "l-": ("ax", "l"),
    # short vowels
    "a": ("ae",), "aa": ("ae",), "a2": ("ae",), "a#": ("ax",), "@": ("ax",), "@2": ("ax",), "@5": ("ax",),
    "@-": ("ax",), "E": ("eh",), "E2": ("eh",), "E#": ("eh",), "e": ("eh",), "e#": ("ih",), "I": ("ih",),
    "I2": ("ih",), "I#": ("ih",), "i": ("iy",), "V": ("ah",), "0": ("aa",), "0#": ("aa",), "O": ("ao",),
    "O2": ("ao",), "U": ("uh",), "u": ("uw",), "o": ("ow",), "u#": ("uw",), "y#": ("iy",),
    # long vowels and diphthongs
    "A:": ("aa",), "A": ("aa",), "A#": ("aa",), "O:": ("ao",), "i:": ("iy",), "u:": ("uw",), "3:": ("er",),
    "3": ("er",), "aI": ("ay",), "aI2": ("ay",), "eI": ("ey",), "OI": ("oy",), "aU": ("aw",), "oU": ("ow",),
    "e:": ("ey",),
    "o:": ("ow",), "a:": ("aa",), "E:": ("eh",),
    # vowels before r
    "A@": ("aa", "r"), "O@": ("ao", "r"), "o@": ("ao", "r"), "e@": ("eh", "r"), "i@": ("iy", "ax"),
    "i@3": ("iy", "r"), "U@": ("uh", "r"), "aI@": ("ay", "ax"), "aI3": ("ay", "er"), "aU@": ("aw", "ax"),
    "VR": ("er",), "IR": ("er",), "ER": ("er",), "UR": ("er",),
}  # fmt: skip


def from_flite(label: str) -> str:
    """flite's label as a phone of the common set; a stress digit is dropped.  Raises UserError."""
    plain = label.rstrip("012")
    if plain not in PHONES:
        raise UserError(f"flite spoke a phone called '{label}', which the phone table does not know.")
    return plain


def from_espeak(name: str) -> tuple[str, ...]:
    """espeak-ng's phoneme name as phones of the common set, which share its time equally.

    Raises UserError for a name that the table lacks.
    """
    try:
        return _ESPEAK[name]
    except KeyError:
        raise UserError(
            f"espeak-ng spoke a phoneme called '{name}', which the phone table does not know.",
            "Add it to training/datasets/phones.py or use another espeak-ng voice.",
        ) from None
