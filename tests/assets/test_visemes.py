"""The 15 Oculus visemes show what their names sound like, in millimetres."""

from __future__ import annotations

import numpy as np
import pytest

from .flesh import labiodental_gap
from .shipped_head import ARKIT, HEAD, OCULUS, Array, Head, load, mirror

VOWELS = ("aa", "E", "ih", "oh", "ou")


@pytest.fixture
def head() -> Head:
    return load()


def posed(head: Head, sound: str) -> Array:
    return head.rest + head.visemes[f"viseme_{sound}"]


def opening(head: Head, sound: str) -> float:
    """Millimetres above rest."""
    return head.mid_opening(posed(head, sound)) - head.mid_opening(head.rest)


def widening(head: Head, sound: str) -> float:
    return head.width(posed(head, sound)) - head.width(head.rest)


def forward(head: Head, sound: str) -> float:
    return float(-1e3 * head.visemes[f"viseme_{sound}"][head.face.mid_lips, 1].mean())


def test_names_and_weights() -> None:
    with np.load(HEAD / "shapes.npz", allow_pickle=False) as archive:
        assert tuple(archive["viseme_names"].tolist()) == OCULUS
        weights = archive["viseme_weights"]
        assert weights.shape == (len(OCULUS), len(ARKIT)) and set(archive["names"].tolist()) == ARKIT
    assert (weights >= 0).all() and (weights <= 1).all()
    assert len(np.unique(weights, axis=0)) == len(OCULUS), "no two visemes are the same"


def test_every_viseme_is_its_own_mirror(head: Head) -> None:
    for name, delta in head.visemes.items():
        twin = delta[mirror()] * np.array([-1.0, 1.0, 1.0])
        np.testing.assert_allclose(delta, twin, rtol=0, atol=1e-9, err_msg=name)


def test_silence_is_rest(head: Head) -> None:
    assert not head.visemes["viseme_sil"].any()


def test_p_closes_the_lips_and_presses_them(head: Head) -> None:
    assert abs(opening(head, "PP")) <= 0.5
    lips = head.face.regions["lips"]

    def red(points: Array) -> float:
        return float(np.ptp(points[lips, 2]))

    assert red(posed(head, "PP")) < 0.9 * red(head.rest)


def test_f_brings_the_lower_lip_to_the_upper_teeth(head: Head) -> None:
    assert labiodental_gap(head, posed(head, "FF")) <= 2.0
    others = [name for name in OCULUS if name != "viseme_FF"]
    assert min(labiodental_gap(head, head.rest + head.visemes[name]) for name in others) > 2.0


def test_th_shows_the_tongue_between_the_teeth(head: Head) -> None:
    points = posed(head, "TH")
    upper, lower = (points[head.face.regions[f"{arch}_teeth"]] for arch in ("upper", "lower"))
    middle = [arch[np.abs(arch[:, 0]) < 0.004] for arch in (upper, lower)]
    edges = middle[0][:, 2].min(), middle[1][:, 2].max()
    moved = np.flatnonzero(np.abs(head.deltas["tongueOut"]).max(axis=1) > 0)
    tip = points[moved[points[moved, 1].argmin()]]
    assert tip[1] < middle[0][:, 1].min() + 0.5e-3, "as far forward as the incisors' front"
    assert edges[1] - 1.5e-3 < tip[2] < edges[0], "and in the gap between them"


def test_vowels_open_in_order(head: Head) -> None:
    opened = {sound: opening(head, sound) for sound in VOWELS}
    assert opened["aa"] > opened["E"] + 2 > opened["ih"] + 4
    assert opened["oh"] > opened["ou"] + 4
    assert opened["aa"] > 12 and min(opened.values()) > 3


def test_rounding_and_spreading(head: Head) -> None:
    assert widening(head, "ou") < widening(head, "oh") - 3 < -10
    assert forward(head, "ou") > forward(head, "oh") > 2
    assert widening(head, "ih") >= widening(head, "E") > 1
    assert abs(widening(head, "aa")) < 1
    for sound in ("CH", "RR"):
        assert widening(head, sound) < -8 and forward(head, sound) > 3, sound


def test_sibilants_keep_the_teeth_together(head: Head) -> None:
    lower = head.face.regions["lower_teeth"]
    for sound in ("SS", "CH"):
        drop = 1e3 * np.linalg.norm(head.visemes[f"viseme_{sound}"][lower], axis=1).mean()
        assert drop < 1.6 and opening(head, sound) > 3, sound
