"""The names of facial shapes that everything here speaks of: ARKit's 52 and the 15 Oculus visemes.

Standard library only.  Sources: Apple, ``ARFaceAnchor.BlendShapeLocation``; Meta, "Viseme reference" of
the Oculus lip sync.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

#: In the order of Live Link Face's columns, which write them with a capital.
ARKIT = tuple(
    """
    eyeBlinkLeft eyeLookDownLeft eyeLookInLeft eyeLookOutLeft eyeLookUpLeft eyeSquintLeft eyeWideLeft
    eyeBlinkRight eyeLookDownRight eyeLookInRight eyeLookOutRight eyeLookUpRight eyeSquintRight eyeWideRight
    jawForward jawRight jawLeft jawOpen
    mouthClose mouthFunnel mouthPucker mouthRight mouthLeft mouthSmileLeft mouthSmileRight
    mouthFrownLeft mouthFrownRight mouthDimpleLeft mouthDimpleRight mouthStretchLeft mouthStretchRight
    mouthRollLower mouthRollUpper mouthShrugLower mouthShrugUpper mouthPressLeft mouthPressRight
    mouthLowerDownLeft mouthLowerDownRight mouthUpperUpLeft mouthUpperUpRight
    browDownLeft browDownRight browInnerUp browOuterUpLeft browOuterUpRight
    cheekPuff cheekSquintLeft cheekSquintRight noseSneerLeft noseSneerRight tongueOut
    """.split()
)

#: In Meta's order.
VISEMES = tuple(f"viseme_{sound}" for sound in "sil PP FF TH DD kk CH SS nn RR aa E ih oh ou".split())

#: Shapes that are made for another one's full effect, and never exceed it: lips shut over an open jaw.
CORRECTIVES: Mapping[str, str] = {"mouthClose": "jawOpen"}

#: Sideways motions of the one jaw and the one mouth: opposites, not two sides of a face.
DIRECTIONS = frozenset({"jawLeft", "jawRight", "mouthLeft", "mouthRight"})

#: Of these, a face shows one at a time.
OPPOSITES = (
    ("jawLeft", "jawRight"),
    ("mouthLeft", "mouthRight"),
    *((f"eyeBlink{side}", f"eyeWide{side}") for side in ("Left", "Right")),
    *((f"eyeLookUp{side}", f"eyeLookDown{side}") for side in ("Left", "Right")),
    *((f"eyeLookIn{side}", f"eyeLookOut{side}") for side in ("Left", "Right")),
)

_ARKIT_BY_LOWER = {name.lower(): name for name in ARKIT}


def arkit_name(name: str) -> str | None:
    """The ARKit shape that ``name`` is but for its case, such as EyeBlinkLeft."""
    return _ARKIT_BY_LOWER.get(name.lower())


def mirrored_pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    """Those of ``names`` that a face with mirrored expression moves alike.

    Left and right ones; but eyes that look to one side turn one of them in and the other out.
    """
    present = list(dict.fromkeys(names))
    pairs = []
    for name in present:
        if not name.endswith("Left") or name in DIRECTIONS:
            continue
        partner = f"{name.removesuffix('Left')}Right"
        if "LookIn" in name:
            partner = partner.replace("LookIn", "LookOut")
        elif "LookOut" in name:
            partner = partner.replace("LookOut", "LookIn")
        if partner in present:
            pairs.append((name, partner))
    return pairs
