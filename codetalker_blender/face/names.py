"""Names of shapes ⇄ names of a rig's keys: an automatic mapping by name, never by order.

    shapes, keys ─► match ─► Match (mapping, unmapped, doubtful) ─► (the animator) ─► key_weights

One shape may drive several keys with gains, and several shapes one key.  What is mapped but may be wrong is
listed as doubtful, with the reason.  Standard library and numpy only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..contracts import ShapeWeights
from .shape_names import ARKIT, DIRECTIONS, VISEMES
from .vendor_names import BARE_SOUNDS, CHARACTER_CREATOR_MARKS, SOUNDS, TABLES, VISEME_PREFIX

#: So many keys of one kind make bare sounds credible.
_ENOUGH_SOUNDS = 5
#: So many keys that only Character Creator has tell one of its characters.
_ENOUGH_MARKS = 3
#: How sure a reading is; of the keys for a shape only those read surest are driven.
_SAME, _ALIAS, _SIDE_OF, _BOTH_SIDES, _GUESS = range(5)

_BLENDER_COPY = re.compile(r"\.\d{3}$")
#: A point may stand before a side, too, as Blender writes it: mouthSmile.L.
_NODE = re.compile(r"^.*[.:|](?!(?:l|r|left|right)$)(?=.)", re.IGNORECASE)
_NUMBER_IN_FRONT = re.compile(r"^(?:!ex-|AK_\d\d_|A\d\d_)", re.IGNORECASE)
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|[^\W\d_]")
_VISEME = re.compile(f"^{VISEME_PREFIX}([a-z]+)$", re.IGNORECASE)
_SIDES = {"l": "left", "left": "left", "r": "right", "right": "right"}


@dataclass(frozen=True)
class Drive:
    """A key that follows a shape: its value gains ``gain`` times the shape's weight."""

    key: str
    gain: float = 1.0


@dataclass(frozen=True)
class Doubt:
    """A key whose mapping the animator should look at; ``reason`` completes "… because"."""

    key: str
    reason: str


#: shape -> the keys that it drives
NameMapping = Mapping[str, tuple[Drive, ...]]


@dataclass(frozen=True)
class Match:
    """What the names say.

    mapping: shape -> keys, in the order of the shapes; shapes that drive nothing are absent
    unmapped_shapes, unmapped_keys: in the order they were given
    doubtful: mapped, or left out for another key, and worth a look
    """

    mapping: NameMapping
    unmapped_shapes: tuple[str, ...]
    unmapped_keys: tuple[str, ...]
    doubtful: tuple[Doubt, ...]


@dataclass(frozen=True)
class _Reading:
    """One way to read a key's name."""

    shapes: tuple[tuple[str, float], ...]
    rank: int
    doubt: str = ""


def match(shapes: Sequence[str], keys: Sequence[str]) -> Match:
    """Map ``shapes`` (ARKit's, visemes, or names of a file) to a mesh's ``keys`` by their names.

    Keys spelled like a shape but for case, numbers in front and the way of the side come first, then the
    tables of :mod:`.vendor_names`, then sides of a shape that has none (browInnerUp on browInnerUp_L and _R),
    then both sides together (mouthSmile by half of either).
    """
    keys = list(dict.fromkeys(keys))
    reader = _Reader(shapes, keys)
    readings = {key: reading for key in keys if (reading := reader.read(key))}
    best: dict[str, int] = {}
    for reading in readings.values():
        for shape, _ in reading.shapes:
            best[shape] = min(best.get(shape, reading.rank), reading.rank)
    drives: dict[str, list[Drive]] = {}
    doubts: list[Doubt] = []
    driven: set[str] = set()
    for key in sorted(readings, key=lambda key: (key not in shapes, len(key), keys.index(key))):
        reading = readings[key]
        taken = [(shape, gain) for shape, gain in reading.shapes if best[shape] == reading.rank]
        if reading.rank == _SAME and taken and taken[0][0] in drives:
            first = drives[taken[0][0]][0].key
            doubts.append(Doubt(key, f"'{first}' shows {taken[0][0]} already, so this key is left alone"))
            continue
        for shape, gain in taken:
            drives.setdefault(shape, []).append(Drive(key, gain))
            driven.add(key)
        if taken and reading.doubt:
            doubts.append(Doubt(key, reading.doubt))
    ordered = {shape: tuple(drives[shape]) for shape in shapes if shape in drives}
    listed = driven | {doubt.key for doubt in doubts}
    return Match(
        ordered,
        tuple(shape for shape in shapes if shape not in ordered),
        tuple(key for key in keys if key not in listed),
        tuple(sorted(doubts, key=lambda doubt: keys.index(doubt.key))),
    )


def merged(matches: Iterable[Match]) -> Match:
    """The matches of one character's meshes (head, teeth, tongue, brows, lashes) as one.

    A key that several meshes have is driven on all of them by the one mapping.
    """
    parts = list(matches)
    shapes = list(dict.fromkeys(name for part in parts for name in (*part.mapping, *part.unmapped_shapes)))
    mapping = {
        shape: tuple(dict.fromkeys(drive for part in parts for drive in part.mapping.get(shape, ())))
        for shape in shapes
        if any(shape in part.mapping for part in parts)
    }
    return Match(
        mapping,
        tuple(shape for shape in shapes if shape not in mapping),
        tuple(dict.fromkeys(key for part in parts for key in part.unmapped_keys)),
        tuple(dict.fromkeys(doubt for part in parts for doubt in part.doubtful)),
    )


def key_weights(mapping: NameMapping, weights: ShapeWeights) -> ShapeWeights:
    """What the keys get: for each, the sum over its shapes of gain times weight.

    Shapes of the mapping without weights count as resting.
    """
    keys = list(dict.fromkeys(drive.key for drives in mapping.values() for drive in drives))
    values = np.zeros((weights.frame_count, len(keys)), np.float32)
    for shape, drives in mapping.items():
        column = weights.of(shape)
        for drive in drives:
            values[:, keys.index(drive.key)] += np.float32(drive.gain) * column
    return ShapeWeights(tuple(keys), values, weights.fps)


def as_shapes(weights: ShapeWeights, shapes: Sequence[str]) -> ShapeWeights:
    """Weights under somebody else's names (Audio2Face's own poses) as weights of ``shapes``.

    Names are read as :func:`match` reads keys; a shape that several names show gets their mean.  What no
    name shows is absent.
    """
    mapping = match(shapes, weights.names).mapping
    columns = [np.mean([weights.of(drive.key) for drive in drives], axis=0) for drives in mapping.values()]
    values = np.stack(columns, axis=1) if columns else np.zeros((weights.frame_count, 0))
    return ShapeWeights(tuple(mapping), values.astype(np.float32), weights.fps)


class _Reader:
    """Reads key names of one mesh in terms of some shapes."""

    def __init__(self, shapes: Sequence[str], keys: Sequence[str]) -> None:
        self._shapes, self._keys = frozenset(shapes), keys
        # The first of two shapes that differ in nothing but their spelling wins.
        self._by_plain = {_plain(shape): shape for shape in reversed(shapes)}
        self._by_sided = {_sided(shape): shape for shape in reversed(shapes)}

    def read(self, key: str) -> _Reading | None:
        """What ``key`` shows."""
        plain, sided = _plain(key), _sided(key)
        if shape := self._by_plain.get(plain) or self._by_sided.get(sided):
            return _Reading(((shape, 1.0),), _SAME, self._same_doubt(shape))
        if (sound := _prefixed_sound(key)) in self._shapes:
            return _Reading(((sound, 1.0),), _SAME)
        bare = self._bare_sound(key)
        table = _BY_PLAIN.get(plain) or _BY_SIDED.get(sided)
        for found in (bare, table) if bare and not bare.doubt else (table, bare):
            if found:
                return self._within(found)
        for side in ("left", "right"):
            if sided.endswith(side):
                whole = self._by_sided.get(sided.removesuffix(side))
                return _Reading(((whole, 1.0),), _SIDE_OF) if whole else None
        left, right = self._by_sided.get(f"{sided}left"), self._by_sided.get(f"{sided}right")
        if left and right and left not in DIRECTIONS:
            return _Reading(((left, 0.5), (right, 0.5)), _BOTH_SIDES)
        return None

    def _within(self, reading: _Reading) -> _Reading | None:
        """The part of a reading that the given shapes can drive."""
        shapes = tuple(pair for pair in reading.shapes if pair[0] in self._shapes)
        return _Reading(shapes, reading.rank, reading.doubt) if shapes else None

    def _same_doubt(self, shape: str) -> str:
        if shape == "jawOpen" and len(CHARACTER_CREATOR_MARKS.intersection(self._keys)) >= _ENOUGH_MARKS:
            return "Character Creator opens the jaw with a bone as well, which teeth and tongue follow"
        return ""

    def _bare_sound(self, key: str) -> _Reading | None:
        kinds = [sounds for sounds in BARE_SOUNDS if key.lower() in sounds]
        if not kinds:
            return None
        company = [sum(other.lower() in sounds for other in self._keys) for sounds in kinds]
        sound = kinds[int(np.argmax(company))][key.lower()]
        if max(company) >= _ENOUGH_SOUNDS:
            return _Reading(((sound, 1.0),), _ALIAS)
        return _Reading(((sound, 1.0),), _GUESS, "its name is a sound, but others are missing")


def _prefixed_sound(key: str) -> str:
    found = _VISEME.match(_stem(key))
    return SOUNDS.get(found[1].lower(), "") if found else ""


def _stem(key: str) -> str:
    """The name without Blender's copy number, the node before it, and a vendor's number in front."""
    return _NUMBER_IN_FRONT.sub("", _NODE.sub("", _BLENDER_COPY.sub("", key)))


def _plain(key: str) -> str:
    return "".join(letter for letter in _stem(key).lower() if letter.isalnum())


def _sided(key: str) -> str:
    """Words in lower case with every side written out and at the end: Eye_L_Look_Up -> eyelookupleft."""
    words = [word.lower() for word in _WORD.findall(_stem(key))]
    sides = [_SIDES[word] for word in words if word in _SIDES]
    others = [word for word in words if word not in _SIDES]
    return "".join(others + sides) if others else "".join(words)


def _tables() -> tuple[dict[str, _Reading], dict[str, _Reading]]:
    """The vendors' lines by plain and by sided name of the key."""
    by_plain: dict[str, _Reading] = {}
    by_sided: dict[str, _Reading] = {}
    for table, doubt in TABLES:
        for line in table.strip().splitlines():
            for short, side in (("L", "Left"), ("R", "Right")) if "*" in line else (("", ""),):
                key, _, terms = line.partition(":")
                shapes = []
                for term in terms.replace("*", side).split("+"):
                    *gain, shape = term.split()
                    shapes.append((shape, float(gain[0]) if gain else 1.0))
                rank = _GUESS if doubt else _BOTH_SIDES if shapes[0][1] != 1.0 else _ALIAS
                reading = _Reading(tuple(shapes), rank, doubt)
                key = key.replace("_*", f"_{short}").replace("*", short)
                by_plain.setdefault(_plain(key), reading)
                by_sided.setdefault(_sided(key), reading)
    return by_plain, by_sided


_BY_PLAIN, _BY_SIDED = _tables()
#: The shapes that automatic mapping knows by heart.
KNOWN_SHAPES = (*ARKIT, *VISEMES)
