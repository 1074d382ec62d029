"""The face of a rig that Blender's own Rigify generates speaks by the rows that are made for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
import mathutils

from codetalker_blender.blender.retargeting import rig_rules
from codetalker_blender.contracts import FloatArray
from tests.blender import rigs, test_existing
from tests.blender.test_existing import FRAMES, START, known

MID_LIPS = ("DEF-lip.T.L", "DEF-lip.B.L")
OTHERS = ("DEF-lid.T.L.002", "lips.L", "DEF-chin")


@pytest.fixture(scope="module")
def rigify_face(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A .blend with a generated rig's face."""
    path = tmp_path_factory.mktemp("rigify") / "face.blend"
    words = [sys.executable]
    if bpy.app.binary_path:
        words = [bpy.app.binary_path, "--background", "--factory-startup", "--python"]
    words += [str(Path(__file__).with_name("drive_rigify.py")), "--", str(path)]
    done = subprocess.run(words, env=dict(os.environ), capture_output=True, text=True, timeout=300)
    if done.returncode == 3:
        pytest.skip("this Blender has no Rigify")
    assert path.is_file(), done.stdout[-2000:] + done.stderr[-2000:]
    return path


@pytest.fixture
def rig(blender: None, rigify_face: Path) -> bpy.types.Object:
    """The generated rig, in a scene of its own."""
    bpy.ops.wm.open_mainfile(filepath=str(rigify_face))
    return next(o for o in bpy.data.objects if o.type == "ARMATURE" and "jaw_master" in o.pose.bones)


def posed(rig: bpy.types.Object, *names: str) -> FloatArray:
    """(FRAMES, bones, 3) where bones begin, in mouth widths."""
    width = (rig.data.bones["lips.L"].head_local - rig.data.bones["lips.R"].head_local).length
    found = []
    for frame in range(START, START + FRAMES):
        bpy.context.scene.frame_set(frame)
        bones = rig.evaluated_get(bpy.context.evaluated_depsgraph_get()).pose.bones
        found.append([np.array(bones[name].head) / width for name in names])
    bpy.context.scene.frame_set(1)
    return np.array(found, np.float32)


def test_a_rigify_face_speaks(rig: bpy.types.Object) -> None:
    head = rigs.add_head(rig, [])
    rest = posed(rig, *MID_LIPS, *OTHERS)
    assert bpy.ops.codetalker.rigify_channels() == {"FINISHED"}
    rules = rig_rules.rules_of(head)
    assert len({rule.shape for rule in rules}) == 52
    outcome = test_existing.speak(head)
    assert not outcome.notes and outcome.channel_count > 60
    found = posed(rig, *MID_LIPS, *OTHERS)
    moved = found - rest
    weights = known()
    assert np.corrcoef(-moved[:, 4, 2], weights.of("jawOpen"))[0, 1] > 0.99
    blink = weights.of("eyeBlinkLeft")
    assert np.corrcoef(-moved[:, 2, 2], blink)[0, 1] > 0.99
    corner = moved[:, 3] @ np.array([1.0, 0.0, 1.0])
    assert np.corrcoef(corner, weights.of("mouthSmileLeft"))[0, 1] > 0.5
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    np.testing.assert_allclose(posed(rig, *MID_LIPS, *OTHERS), rest, atol=1e-6)


def show(rig: bpy.types.Object, head: bpy.types.Object, **weights: float) -> None:
    """Pose the rig by hand as the rows say."""
    for bone in rig.pose.bones:
        bone.location, bone.rotation_quaternion = (0, 0, 0), (1, 0, 0, 0)
    for rule in rig_rules.rules_of(head):
        bone, output = rig.pose.bones[rule.channel.bone], rule.output[1] * weights.get(rule.shape, 0.0)
        if rule.channel.kind == "LOCATION":
            bone.location[rule.channel.axis] += output
        elif output:
            turn = np.zeros(3)
            turn[rule.channel.axis] = np.radians(output)
            bone.rotation_quaternion = (
                mathutils.Euler(turn.tolist()).to_quaternion() @ bone.rotation_quaternion
            )


def test_lips_close_over_an_open_jaw_and_lids_meet(rig: bpy.types.Object) -> None:
    head = rigs.add_head(rig, [])
    bpy.ops.codetalker.rigify_channels()
    lips = (*MID_LIPS, "DEF-lip.T.L.001", "DEF-lip.B.L.001")
    rest = posed(rig, *lips)[0]
    for amount in (0.1, 0.5, 1.0):
        show(rig, head, jawOpen=amount)
        parted = posed(rig, *lips)[0] - rest
        opening = parted[0, 2] - parted[1, 2]
        assert 0.28 * amount < opening < 0.54 * amount
        show(rig, head, jawOpen=amount, mouthClose=amount)
        closed = posed(rig, *lips)[0] - rest
        np.testing.assert_allclose(closed[0] - closed[1], 0.0, atol=0.15 * opening)
        np.testing.assert_allclose(closed[2] - closed[3], 0.0, atol=0.15 * opening)
    lids = ("DEF-lid.T.L.002", "DEF-lid.B.L.002")
    show(rig, head)
    gap = np.diff(posed(rig, *lids)[0, :, 2])
    show(rig, head, eyeBlinkLeft=1.0)
    assert np.abs(np.diff(posed(rig, *lids)[0, :, 2])) < 0.1 * np.abs(gap)
