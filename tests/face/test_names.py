"""Keys of known vendors are found by name; what is left out or doubtful is said; presets keep it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import ShapeWeights
from codetalker_blender.errors import UserError
from codetalker_blender.face.mapping_files import Preset, read_mapping, write_mapping
from codetalker_blender.face.names import (
    KNOWN_SHAPES,
    Drive,
    Match,
    NameMapping,
    as_shapes,
    key_weights,
    match,
    merged,
)
from codetalker_blender.face.shape_names import ARKIT, VISEMES, mirrored_pairs

from .vendor_lists import ARKIT_RIGS, AUDIO2FACE, CC3, CC4_EXTENDED, VENDORS, VISEME_RIGS, VROID

ROOT = Path(__file__).resolve().parents[2]


def keys_of(mapping: NameMapping, shape: str) -> list[str]:
    return sorted(drive.key for drive in mapping.get(shape, ()))


def doubted(found: Match) -> set[str]:
    return {doubt.key for doubt in found.doubtful}


def test_the_sets_are_whole() -> None:
    assert len(set(ARKIT)) == 52 and len(set(VISEMES)) == 15 and len(set(KNOWN_SHAPES)) == 67


@pytest.mark.parametrize("rig", ARKIT_RIGS)
@pytest.mark.parametrize("backwards", [False, True])
def test_all_52_shapes_are_found_whatever_the_order(rig: str, backwards: bool) -> None:
    keys = ARKIT_RIGS[rig][:: -1 if backwards else 1]
    found = match(ARKIT, keys)
    assert found.unmapped_shapes == ()
    for shape, drives in found.mapping.items():
        core = shape.lower().removesuffix("left").removesuffix("right")
        for drive in drives:
            assert core in drive.key.lower().replace("_", "").replace(".", ""), (shape, drive.key)
            if shape.endswith(("Left", "Right")) and "Look" not in shape:
                letter = "l" if shape.endswith("Left") else "r"
                words = drive.key.lower()
                assert words.endswith(("left", "_l", ".l") if letter == "l" else ("right", "_r", ".r")) or (
                    drive.key.endswith(letter.upper())
                ), (shape, drive.key)
    assert all(drive.gain == 1.0 for drives in found.mapping.values() for drive in drives)


@pytest.mark.parametrize("rig", VISEME_RIGS)
def test_all_15_visemes_are_found(rig: str) -> None:
    found = match(VISEMES, VISEME_RIGS[rig])
    assert not (found.unmapped_shapes or found.unmapped_keys or found.doubtful)
    sounds = {"e": "E", "i": "ih", "o": "oh", "u": "ou"}
    for shape, (drive,) in found.mapping.items():
        sound = drive.key.split("_")[-1].lower()
        assert shape.removeprefix("viseme_") == sounds.get(sound, shape.removeprefix("viseme_"))
        assert sound in (shape.removeprefix("viseme_").lower(), *sounds)


def test_gaze_of_character_creator() -> None:
    """Its keys say which eye and where to; ARKit's say inwards and outwards."""
    mapping = match(ARKIT, CC4_EXTENDED).mapping
    assert keys_of(mapping, "eyeLookOutLeft") == ["Eye_L_Look_L"]
    assert keys_of(mapping, "eyeLookInLeft") == ["Eye_L_Look_R"]
    assert keys_of(mapping, "eyeLookInRight") == ["Eye_R_Look_L"]
    assert keys_of(mapping, "eyeLookOutRight") == ["Eye_R_Look_R"]


def test_character_creator_lacks_the_tongue_alone() -> None:
    assert match(ARKIT, CC4_EXTENDED).unmapped_shapes == ("tongueOut",)


def test_one_shape_drives_several_keys() -> None:
    mapping = match(ARKIT, CC4_EXTENDED).mapping
    assert keys_of(mapping, "browInnerUp") == ["Brow_Raise_Inner_L", "Brow_Raise_Inner_R"]
    assert len(mapping["mouthFunnel"]) == len(mapping["mouthPucker"]) == 4
    assert keys_of(match(ARKIT, ["cheekPuffRight", "cheekPuffLeft"]).mapping, "cheekPuff") == [
        "cheekPuffLeft",
        "cheekPuffRight",
    ]


def test_several_shapes_drive_one_key_in_shares() -> None:
    found = match(ARKIT, ["mouthSmile", "eyesClosed", "Eyes_Blink"])
    assert found.mapping["mouthSmileLeft"] == found.mapping["mouthSmileRight"] == (Drive("mouthSmile", 0.5),)
    assert found.mapping["eyeBlinkLeft"] == (Drive("Eyes_Blink", 0.5),)
    assert found.unmapped_keys == ("eyesClosed",)


def test_a_key_for_both_sides_rests_where_each_side_has_its_own() -> None:
    found = match(ARKIT, VROID)
    assert found.mapping["eyeBlinkLeft"] == (Drive("Fcl_EYE_Close_L"),)
    assert found.mapping["eyeBlinkRight"] == (Drive("Fcl_EYE_Close_R"),)
    assert "Fcl_EYE_Close" in found.unmapped_keys
    split = match(ARKIT, ["browInnerUp", "browInnerUpLeft", "browInnerUpRight"])
    assert split.mapping["browInnerUp"] == (Drive("browInnerUp"),)
    assert split.unmapped_keys == ("browInnerUpLeft", "browInnerUpRight")


def test_vroid_speaks_its_five_vowels() -> None:
    found = match(VISEMES, VROID)
    for vowel, sound in zip("AIUEO", ("aa", "ih", "ou", "E", "oh"), strict=True):
        assert found.mapping[f"viseme_{sound}"] == (Drive(f"Fcl_MTH_{vowel}"),)
    assert {"viseme_SS", "viseme_kk"} <= set(found.unmapped_shapes)


def test_a_second_key_for_a_shape_is_doubtful_and_left_alone() -> None:
    found = match(ARKIT, ["A25_Jaw_Open", "jawOpen"])
    assert found.mapping["jawOpen"] == (Drive("jawOpen"),)
    assert doubted(found) == {"A25_Jaw_Open"} and "'jawOpen'" in found.doubtful[0].reason
    assert found.unmapped_keys == ()


def test_the_jaw_of_character_creator_is_doubtful() -> None:
    assert doubted(match(ARKIT, CC4_EXTENDED)) == {"Jaw_Open"}
    assert "bone" in match(ARKIT, CC4_EXTENDED).doubtful[0].reason
    assert not match(ARKIT, ["Jaw_Open", "Mouth_Close"]).doubtful


def test_guesses_are_doubtful() -> None:
    assert "Mouth_Open" in doubted(match(ARKIT, CC3))
    assert "V_Lip_Open" in doubted(match(VISEMES, ["V_Lip_Open", "V_Explosive"]))
    lone = match(VISEMES, ["A", "Height", "Width"])
    assert lone.mapping["viseme_aa"] == (Drive("A"),) and doubted(lone) == {"A"}
    assert not match(VISEMES, list("AIUEO")).doubtful
    assert match(VISEMES, list("あいうえお")).mapping["viseme_oh"] == (Drive("お"),)


def test_a_sure_name_beats_a_guess() -> None:
    found = match(ARKIT, ["Mouth_Open", "jawOpen"])
    assert found.mapping["jawOpen"] == (Drive("jawOpen"),) and found.unmapped_keys == ("Mouth_Open",)


@pytest.mark.parametrize(
    "key",
    ["Basis", "", "Left", "R_", "mouth", "jaw", "Ear_Up_L", "Fcl_HA_Hide", "...", "eyelid", "AK_25_", "ключ"],
)
def test_strange_names_are_left_alone(key: str) -> None:
    found = match(ARKIT, [key])
    assert not found.mapping and found.unmapped_keys == (key,) and found.unmapped_shapes == ARKIT


def test_blenders_copies_are_read() -> None:
    assert match(ARKIT, ["jawOpen.001"]).mapping["jawOpen"] == (Drive("jawOpen.001"),)


def test_meshes_of_one_character_are_driven_together() -> None:
    head = match(ARKIT, list(ARKIT))
    teeth = match(ARKIT, ["JawOpen", "jawLeft", "Something"])
    lashes = match(ARKIT, ["eyeBlinkLeft", "eyeBlink_R"])
    whole = merged([head, teeth, lashes])
    assert keys_of(whole.mapping, "jawOpen") == ["JawOpen", "jawOpen"]
    assert keys_of(whole.mapping, "jawLeft") == ["jawLeft"]
    assert keys_of(whole.mapping, "eyeBlinkRight") == ["eyeBlinkRight", "eyeBlink_R"]
    assert whole.unmapped_shapes == () and whole.unmapped_keys == ("Something",)
    assert merged([teeth, lashes]).unmapped_shapes == tuple(
        shape for shape in ARKIT if shape not in ("jawOpen", "jawLeft", "eyeBlinkLeft", "eyeBlinkRight")
    )


def test_keys_get_the_gains_and_sums_of_their_shapes() -> None:
    weights = ShapeWeights(
        ("mouthSmileLeft", "mouthSmileRight", "jawOpen"),
        np.array([[1.0, 0.5, 0.2], [0.0, 0.4, 0.6]], np.float32),
        24.0,
    )
    mapping = {
        "mouthSmileLeft": (Drive("smile", 0.5),),
        "mouthSmileRight": (Drive("smile", 0.5), Drive("right", 2.0)),
        "tongueOut": (Drive("tongue"),),
    }
    found = key_weights(mapping, weights)
    assert found.names == ("smile", "right", "tongue") and found.fps == 24.0
    np.testing.assert_allclose(found.values, [[0.75, 1.0, 0.0], [0.2, 0.8, 0.0]], atol=1e-6)


def test_audio2faces_own_poses_become_arkit_shapes() -> None:
    values = np.linspace(0, 0.9, len(AUDIO2FACE), dtype=np.float32)[None]
    weights = ShapeWeights(tuple(AUDIO2FACE), values, 60.0)
    found = as_shapes(weights, ARKIT)
    assert found.of("browInnerUp")[0] == pytest.approx(values[0, 2:4].mean())
    assert found.of("jawOpen") == weights.of("jawDrop")
    assert found.of("eyeLookUpLeft") == found.of("eyeLookUpRight") == weights.of("eyesLookUp")
    assert found.of("eyeLookOutRight") == weights.of("eyesLookRight") == found.of("eyeLookInLeft")
    assert found.of("jawRight") == weights.of("jawSlideRight")
    assert "tongueOut" not in found.names


def test_pairs_move_alike_on_a_face_that_looks_aside() -> None:
    pairs = set(mirrored_pairs(ARKIT))
    assert ("mouthSmileLeft", "mouthSmileRight") in pairs and ("eyeLookUpLeft", "eyeLookUpRight") in pairs
    assert ("eyeLookInLeft", "eyeLookOutRight") in pairs and ("eyeLookOutLeft", "eyeLookInRight") in pairs
    assert not {name for pair in pairs for name in pair} & {"jawLeft", "jawRight", "mouthLeft", "mouthRight"}
    assert len(pairs) == 18


def some(names: Iterable[str], most: int = 3) -> str:
    """The first few names, and how many more."""
    listed = list(names)
    more = f" and {len(listed) - most} more" if len(listed) > most else ""
    return ", ".join(f"`{name}`" for name in listed[:most]) + more


def coverage() -> str:
    """A table for the guide: how many keys and shapes of each vendor's list find each other."""
    lines = [
        "| rig | keys | mapped | ARKit of 52 | visemes of 15 | left alone | doubtful |",
        "|---|---|---|---|---|---|---|",
    ]
    for vendor, keys in VENDORS.items():
        found = [match(ARKIT, keys), match(VISEMES, keys)]
        driven = {drive.key for one in found for drives in one.mapping.values() for drive in drives}
        doubtful = [key for key in keys if any(key in doubted(one) for one in found)]
        alone = [key for key in keys if key not in driven and key not in doubtful]
        counts = (len(keys), len(driven), *(len(one.mapping) for one in found))
        lines.append("| " + " | ".join(map(str, (vendor, *counts, some(alone), some(doubtful)))) + " |")
    return "\n".join(lines)


def test_the_guide_has_the_coverage() -> None:
    """To make it anew: python -c "from tests.face.test_names import coverage; print(coverage())"."""
    assert coverage() in (ROOT / "docs" / "guide.md").read_text(encoding="utf-8")


def test_coverage_per_vendor() -> None:
    def numbers(vendor: str) -> tuple[int, int]:
        keys = VENDORS[vendor]
        return len(match(ARKIT, keys).mapping), len(match(VISEMES, keys).mapping)

    assert numbers("Rocketbox") == (52, 15)
    assert numbers("CC4 with visemes") == (51, 14), "tongueOut and silence have no key"
    assert numbers("CC3")[0] >= 30 and numbers("CC3")[1] == 14
    assert numbers("VRoid") >= (6, 5) and numbers("VRM 0") == numbers("VRM 1") == (10, 5)
    assert numbers("MPFB Microsoft") == (0, 15)
    assert numbers("Audio2Face")[0] >= 48


def test_a_preset_keeps_the_mapping(tmp_path: Path) -> None:
    mapping = dict(match(KNOWN_SHAPES, [*VROID, "ключ"]).mapping)
    mapping["jawOpen"] = (Drive("ключ", -0.25), Drive("Fcl_MTH_A", 1 / 3))
    path = tmp_path / "Vröid.json"
    write_mapping(path, Preset(mapping))
    assert read_mapping(path) == Preset(mapping)
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "nothing else is left"


def preset(**changes: object) -> dict[str, object]:
    return {
        "format": "codetalker mapping",
        "version": 1,
        "drives": {"jawOpen": [{"key": "Jaw", "gain": 1.0}]},
        **changes,
    }


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"a": 1}', "is not a preset"),
        ("[1, 2]", "is not a preset"),
        ("no json", "cannot be read as JSON"),
        ('{"format": "codetalker mapping", "format": "x"}', "'format' comes twice"),
        (b"\xff\xfe\x00", "cannot be read as text"),
        (preset(version=3), "version 3"),
        (preset(channels=[]), "unknown field 'channels'"),
        (preset(more=1), "unknown field 'more'"),
        (preset(drives=[]), "'drives' must be"),
        (preset(drives={"jawOpen": []}), "'jawOpen' must have a list"),
        (preset(drives={"jawOpen": [{"key": "Jaw"}]}), "'key' and 'gain'"),
        (preset(drives={"jawOpen": [{"key": 3, "gain": 1}]}), "must be a name, not 3"),
        (preset(drives={"jawOpen": [{"key": "Jaw", "gain": True}]}), "finite number, not True"),
        (preset(drives={"jawOpen": [{"key": "Jaw", "gain": float("nan")}]}), "finite number, not nan"),
        (
            preset(drives={"jawOpen": [{"key": "J", "gain": 1}, {"key": "J", "gain": 2}]}),
            "the same key twice",
        ),
    ],
)
def test_a_foreign_preset_is_refused_in_a_sentence(tmp_path: Path, content: object, says: str) -> None:
    path = tmp_path / "preset.json"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        path.write_text(content if isinstance(content, str) else json.dumps(content))
    with pytest.raises(UserError, match=says) as caught:
        read_mapping(path)
    assert "preset.json" in caught.value.message and "\n" not in str(caught.value)


def test_a_preset_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"none\.json.*cannot be read"):
        read_mapping(tmp_path / "none.json")
