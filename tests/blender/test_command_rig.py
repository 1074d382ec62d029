"""On the command line a rig follows, too: its keys are in the .blend that is saved."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.retargeting import rig_rules, rig_settings
from codetalker_blender.face.mapping_files import Preset, write_mapping
from codetalker_blender.face.rig_channels import RigChannel, Rule
from tests.blender import rigs
from tests.blender.conftest import write_buzz
from tests.blender.rigs import rotation
from tests.blender.test_command import command

OPEN, FULL = 30.0, 100.0
JAW, PROPERTY = 'pose.bones["jaw"].rotation_euler', '["open"]'


def rules(bone: str = "jaw") -> list[Rule]:
    """Both follow the same shape, so that one tells what the other must be."""
    whole = Rule("jawOpen", RigChannel("PROPERTY", holder="OBJECT", name="open"), output=(0.0, FULL))
    return [rotation("jawOpen", bone, 0, OPEN), whole]


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    write_buzz(path, 0.6)
    return path


@pytest.fixture
def blend(blender: None, tmp_path: Path) -> Path:
    """A mesh without keys of another topology, which a rig deforms; its rows are stored with the object."""
    rig = rigs.add_rig()
    rig["open"] = 0.0
    rig.id_properties_ui("open").update(min=0.0, max=FULL)
    rigs.add_head(rig, rules())
    path = tmp_path / "rig.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def curves(path: Path) -> dict[tuple[str, int], NDArray[np.float32]]:
    """The keys of the rig's object in a .blend: (data path, index) -> (n, 2) frames and values."""
    bpy.ops.wm.open_mainfile(filepath=str(path))
    owner = bpy.data.objects["Rig"].animation_data
    found: dict[tuple[str, int], NDArray[np.float32]] = {}
    if owner is None or owner.action is None:
        return found
    for collection in compat.played_fcurves(owner.action, compat.action_slot(owner)):
        for curve in collection:
            keys = np.empty((len(curve.keyframe_points), 2), np.float32)
            curve.keyframe_points.foreach_get("co", keys.ravel())
            found[curve.data_path, curve.array_index] = keys
    return found


def check(path: Path, bone: str = "jaw") -> None:
    """Both channels have a key per frame of the speech, of the same weights, which are not all alike."""
    found = curves(path)
    jaw, whole = found[f'pose.bones["{bone}"].rotation_euler', 0], found[PROPERTY, 0]
    assert len(jaw) == len(whole) > 12
    np.testing.assert_array_equal(jaw[:, 0], whole[:, 0])
    np.testing.assert_allclose(jaw[:, 1] / np.radians(OPEN), whole[:, 1] / FULL, atol=1e-4)
    assert np.ptp(whole[:, 1]) > 0.1
    assert set(found) == {(f'pose.bones["{bone}"].rotation_euler', 0), (PROPERTY, 0)}


def test_generate_keys_the_rig_as_the_object_says(
    engine_python: str, default_bundle: Path, blend: Path, sound: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out.blend"
    done = command(engine_python, "generate", sound, "--blend", blend, "--save", out)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["object"], report["keys"]) == ("Head", 0)
    assert not any("Head" in text or "Rig" in text for text in report["warnings"])
    check(out)
    head = bpy.data.objects["Head"]
    assert [block.name for block in head.data.shape_keys.key_blocks] == ["Basis"]
    assert rig_rules.rules_of(head) == rules()
    assert bpy.ops.codetalker.remove() == {"FINISHED"}, "what was made here can be removed there"
    assert head.data.shape_keys is None and bpy.data.objects["Rig"].animation_data is None


def test_a_mapping_file_brings_the_rows(
    engine_python: str, default_bundle: Path, blend: Path, sound: Path, tmp_path: Path
) -> None:
    """Of one row of a batch, in place of those that the object has; another row follows its own."""
    write_mapping(tmp_path / "lip.json", Preset({}, tuple(rules("lip"))))
    manifest = tmp_path / "rows.csv"
    manifest.write_text(
        "name,audio,blend,object,output-mode,mapping\n"
        "own,a.wav,rig.blend,Head,,\n"
        "file,a.wav,rig.blend,Head,existing,lip.json\n"
        "wrong,a.wav,rig.blend,Head,existing,wrong.json\n"
    )
    write_mapping(tmp_path / "wrong.json", Preset({}, tuple(rules("no such bone")[:1])))
    done = command(engine_python, "batch", manifest, "--output", tmp_path / "out")
    states = [(row["state"], row["error"]) for row in json.loads(done.stdout)["rows"]]
    assert done.returncode == 2 and [state for state, _ in states] == ["done", "done", "failed"], done.stderr
    assert "None of the 0 shape keys of 'Head'" in states[2][1]
    check(tmp_path / "out" / "own.blend")
    check(tmp_path / "out" / "file.blend", "lip")
    assert not (tmp_path / "out" / "wrong.blend").exists()


def test_an_object_without_rows_is_told_what_to_do(
    engine_python: str, default_bundle: Path, blend: Path, sound: Path, tmp_path: Path
) -> None:
    bpy.ops.wm.open_mainfile(filepath=str(blend))
    rig_settings.fill(bpy.data.objects["Head"], [], clear=True)
    bpy.ops.wm.save_mainfile()
    done = command(engine_python, "generate", sound, "--blend", blend, "--save", tmp_path / "out.blend")
    assert done.returncode == 2 and "let bones follow, under Mapping" in done.stderr
    assert not (tmp_path / "out.blend").exists()
