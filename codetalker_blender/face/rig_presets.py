"""A rig's bones -> rules that let it speak: a single jaw bone, or the face of a Rigify rig.

What turns and how far is that of the demo head's ARKit shapes.  Which of a bone's own axes that is, and
which way, follows from where the bone points at rest; lengths are in widths of the rig's mouth, so that size
plays no part.  Numpy only.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np

from ..errors import TargetError
from .head_motion import HEAD_ANGLES
from .rig_channels import RigChannel, Rule
from .rotations import Array

#: Degrees of the demo head's jaw at jawOpen 1, and of a turn that brings its chin as far aside as jawLeft 1.
_OPEN, _ASIDE = 14.6, 4.5
#: Degrees of its eyes at eyeLook 1.
_LOOK = 25.0
#: Bones that no animator moves, and those of one side.
_HIDDEN = re.compile(r"^(DEF|ORG|MCH|WGT)-", re.IGNORECASE)
#: A head, but not a forehead, nor where its top ends.
_HEAD = re.compile(r"(?<!fore)head(?!.*(end|top|nub|tip|target))", re.IGNORECASE)
_ONE_SIDE = re.compile(
    r"([._ -](l|r|left|right)([._ -]|$)|^(l|r|left|right)[._ -]|left|right)", re.IGNORECASE
)
#: Degrees of the head's layer that rows for it take over; it is far from ever turning so much.
_HEAD_RANGE = 45.0
#: A part of a way, along one axis of a bone, below this share of the whole is left out.
_SLIGHT = 0.1
#: A jaw bone that points back at least so far belongs to a face that looks along +Y.
_BACKWARDS = 0.3

#: Where bones of a Rigify face go at weight 1: outwards (of a bone in the middle: to the character's left),
#: up and forwards, in mouth widths.  ``*`` stands for both sides.  From the demo head's shapes, whose
#: mouth is 50 mm wide, less what Rigify does by itself: the bones between corner and middle of a lip go a
#: quarter of the corner's way and half of the middle's, and the lower lip goes with the jaw.
_RIGIFY = """
jawForward: jaw_master 0 0 .12
mouthClose: lip.B 0 .28 .28, lip.B.*.001 0 .05 .05, lip.T 0 -.17 0, lip.T.*.001 0 -.02 0
mouthSmile*: lips.* .08 .14 -.07, cheek.B.*.001 .04 .08 0
mouthFrown*: lips.* .015 -.13 -.03
mouthStretch*: lips.* .08 -.05 -.055
mouthDimple*: lips.* .04 .01 -.08
mouthFunnel: lips.* -.13 0 .06, lip.T 0 .09 .15, lip.B 0 -.12 .15, lip.T.*.001 -.04 .025 .04,\
 lip.B.*.001 -.04 -.04 .04
mouthPucker: lips.* -.2 0 .07, lip.T 0 0 .16, lip.B 0 0 .16, lip.T.*.001 -.05 0 .045, lip.B.*.001 -.05 0 .045
mouthLeft: lip.T .16 0 0, lip.B .16 0 0, lip.T.*.001 .04 0 0 same, lip.B.*.001 .04 0 0 same,\
 lips.* .16 0 0 same
mouthRight: lip.T -.16 0 0, lip.B -.16 0 0, lip.T.*.001 -.04 0 0 same, lip.B.*.001 -.04 0 0 same,\
 lips.* -.16 0 0 same
mouthUpperUp*: lip.T.*.001 0 .08 0, lip.T 0 .06 0
mouthLowerDown*: lip.B.*.001 0 -.085 0, lip.B 0 -.07 0
mouthRollUpper: lip.T 0 0 -.06, lip.T.*.001 0 0 -.03
mouthRollLower: lip.B 0 .04 -.06, lip.B.*.001 0 .02 -.03
mouthShrugUpper: lip.T 0 .055 .025, lip.T.*.001 0 .03 .01
mouthShrugLower: lip.B 0 .06 .02, lip.B.*.001 0 .03 .01, chin 0 .08 .03
mouthPress*: lip.T.*.001 0 -.02 0, lip.B.*.001 0 .02 0
cheekPuff: cheek.B.*.001 .03 0 .09
cheekSquint*: cheek.T.*.001 0 .065 .03
noseSneer*: nose.*.001 0 .07 0
browInnerUp: brow.T.*.003 0 .14 0, brow.T.*.002 0 .07 0
browOuterUp*: brow.T.*.001 0 .13 0, brow.T.*.002 0 .07 0, brow.T.* 0 .08 0
browDown*: brow.T.*.003 -.045 -.11 .02, brow.T.*.002 -.02 -.11 0, brow.T.*.001 0 -.06 0
eyeWide*: lid.T.*.002 0 .036 0, lid.T.*.001 0 .025 0, lid.T.*.003 0 .025 0
tongueOut: tongue_master 0 .1 .5
"""
#: How far the middle of the demo head's lower lip goes at jawOpen 1, in mouth widths.
_PARTED = 0.54
#: Lids: the upper one's bones and those below them, from the outer corner on.
_LIDS = {"lid.T.*.001": "lid.B.*.003", "lid.T.*.002": "lid.B.*.002", "lid.T.*.003": "lid.B.*.001"}
#: How much of the way to the other lid a bone goes: (shape, of the upper lid, of the lower lid).
_LID_MOVES = (("eyeBlink*", 0.9, 0.1), ("eyeSquint*", 0.0, 0.25))
_RIGIFY_JAW, _RIGIFY_MOUTH = "jaw_master", ("lips.L", "lips.R")


@dataclass(frozen=True)
class RestBone:
    """A bone at rest.

    head: (3,) where it begins; axes: (3, 3) its own X, Y, Z as columns, of length one; Y is along the bone.
    Z is up, and the face looks along -Y.
    """

    head: Array
    axes: Array


def jaw_bone(names: Iterable[str]) -> str:
    """The bone that opens the jaw, by its name; "" for none."""
    found = [name for name in names if "jaw" in name.lower() and not _HIDDEN.match(name)]
    found = [name for name in found if not _ONE_SIDE.search(name)]
    return min(found, key=lambda name: (not re.search("master|root", name.lower()), len(name)), default="")


def jaw_rules(name: str, bone: RestBone, open_degrees: float = _OPEN) -> list[Rule]:
    """The jaw of one bone: open, left and right.

    A bone that lies askew turns about two or three of its own axes, which for turns as small as a jaw's is
    the turn about the axis between them.  A bone that points back is that of a face that looks there.
    """
    along = bone.axes[:, 1]
    across = np.array([-1.0 if along[1] > _BACKWARDS else 1.0, 0.0, 0.0])
    up = np.cross(along, across)
    length = float(np.linalg.norm(up))
    up = up / length if length > _SLIGHT else np.array([0.0, 0.0, 1.0])
    turns = (("jawOpen", across, open_degrees), ("jawLeft", up, _ASIDE), ("jawRight", up, -_ASIDE))
    return [
        Rule(shape, RigChannel("ROTATION", name, axis), output=(0.0, round(degrees * float(part), 3)))
        for shape, about, degrees in turns
        for axis, part in enumerate(bone.axes.T @ about)
        if abs(part) > _SLIGHT
    ]


def head_bone(names: Iterable[str]) -> str:
    """The bone that turns the head, by its name; "" for none."""
    found = [name for name in names if _HEAD.search(name) and not _HIDDEN.match(name)]
    found = [name for name in found if not _ONE_SIDE.search(name)]
    return min(found, key=len, default="")


def head_rules(name: str, bone: RestBone) -> list[Rule]:
    """The turns of the layer's head on one bone.

    A bone that lies askew turns about two or three of its own axes, as in :func:`jaw_rules`.
    """
    left, back, up = np.eye(3)
    return [
        Rule(
            angle,
            RigChannel("ROTATION", name, axis),
            (-_HEAD_RANGE, _HEAD_RANGE),
            (round(-_HEAD_RANGE * float(part), 3), round(_HEAD_RANGE * float(part), 3)),
        )
        for angle, about in zip(HEAD_ANGLES, (up, left, -back), strict=True)
        for axis, part in enumerate(bone.axes.T @ about)
        if abs(part) > _SLIGHT
    ]


def rigify_rules(bones: Mapping[str, RestBone]) -> list[Rule]:
    """The face of a Rigify rig, as far as it has the bones.  Raises TargetError for another rig."""
    if missing := [name for name in (_RIGIFY_JAW, *_RIGIFY_MOUTH) if name not in bones]:
        raise TargetError(
            f"The rig has no bone called '{missing[0]}', as the face of a Rigify rig has.",
            "Choose the rig that Rigify generated, not the one it was generated from.",
        )
    left, right = (bones[name].head for name in _RIGIFY_MOUTH)
    width = float(np.linalg.norm(left - right))
    jaw = bones[_RIGIFY_JAW]
    lip = bones["lip.B"].head if "lip.B" in bones else (left + right) / 2
    turn = 2 * np.arcsin(min(1.0, _PARTED / 2 * width / float(np.linalg.norm(lip - jaw.head))))
    rules = jaw_rules(_RIGIFY_JAW, jaw, round(float(np.degrees(turn)), 2))
    for line in _RIGIFY.strip().splitlines():
        shape, _, moves = line.partition(":")
        for move in moves.split(","):
            name, *numbers = move.split()
            for side in ("L", "R") if "*" in shape + name else ("",):
                # Of one side's shape the other side's bones stay; of a whole shape both go.
                outwards = -1.0 if side == "R" and "*" in name and "same" not in numbers else 1.0
                way = np.array([float(number) for number in numbers[:3]]) * (outwards, 1.0, 1.0)
                rules += _moves(bones, _sided(shape, side), _sided(name, side), _in_space(way) * width)
    for side in ("L", "R"):
        rules += _lids(bones, side) + _looks(bones, side)
    return rules


def as_visemes(rules: Iterable[Rule], mixtures: Mapping[str, Mapping[str, float]]) -> list[Rule]:
    """Rules for ARKit shapes, each from rest at weight 0, as rules for visemes.

    mixtures: viseme -> how much of each ARKit shape is in it
    """
    outputs: dict[tuple[str, RigChannel], float] = {}
    for rule in rules:
        for viseme, shares in mixtures.items():
            if share := shares.get(rule.shape, 0.0):
                key = (viseme, rule.channel)
                outputs[key] = outputs.get(key, 0.0) + share * rule.output[1]
    return [Rule(viseme, channel, output=(0.0, output)) for (viseme, channel), output in outputs.items()]


def _lids(bones: Mapping[str, RestBone], side: str) -> list[Rule]:
    rules = []
    for upper, lower in _LIDS.items():
        top, bottom = _sided(upper, side), _sided(lower, side)
        if top in bones and bottom in bones:
            gap = bones[bottom].head - bones[top].head
            for shape, down, up in _LID_MOVES:
                rules += _moves(bones, _sided(shape, side), top, down * gap)
                rules += _moves(bones, _sided(shape, side), bottom, -up * gap)
    return rules


def _looks(bones: Mapping[str, RestBone], side: str) -> list[Rule]:
    """The bone that an eye looks at goes aside, up and down."""
    eye, target = f"master_eye.{side}", f"eye.{side}"
    if eye not in bones or target not in bones:
        return []
    reach = float(np.linalg.norm(bones[target].head - bones[eye].head)) * np.tan(np.radians(_LOOK))
    out = 1.0 if side == "L" else -1.0
    ways = {"Out": (out, 0, 0), "In": (-out, 0, 0), "Up": (0, 1, 0), "Down": (0, -1, 0)}
    rules = []
    for where, way in ways.items():
        shape = _sided(f"eyeLook{where}*", side)
        rules += _moves(bones, shape, target, _in_space(np.array(way)) * reach)
    return rules


def _moves(bones: Mapping[str, RestBone], shape: str, name: str, way: Array) -> list[Rule]:
    """A bone goes a way, (3,) in the rig's space, along its own axes; none for a bone that is not there."""
    length = float(np.linalg.norm(way))
    if name not in bones or not length:
        return []
    parts = bones[name].axes.T @ way
    return [
        Rule(shape, RigChannel("LOCATION", name, axis), output=(0.0, round(float(part), 6)))
        for axis, part in enumerate(parts)
        if abs(part) > _SLIGHT * length
    ]


def _in_space(way: Array) -> Array:
    """(left, up, forwards) -> the rig's X, Y, Z."""
    left, up, forwards = way
    return np.array([left, -forwards, up])


def _sided(name: str, side: str) -> str:
    """A bone's name, or a shape's, with the side in place of the star."""
    if "." in name or "_" in name:
        return name.replace("*", side)
    return name.replace("*", {"L": "Left", "R": "Right"}.get(side, ""))
