"""The rows of Bones and Properties: made for kinds of rigs, edited, kept in a file."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender.retargeting import rig_rules, rig_settings
from codetalker_blender.blender.sidebar import rig_panel
from codetalker_blender.face.rig_channels import RigChannel, Rule
from tests.blender import rigs, test_panels
from tests.blender.rigs import rotation
from tests.blender.test_existing import FRAMES, START, known, speak

OPEN = 30.0


@pytest.fixture
def rig(blender: None) -> bpy.types.Object:
    return rigs.add_rig()


@pytest.fixture
def head(rig: bpy.types.Object) -> bpy.types.Object:
    return rigs.add_head(rig, [rotation("jawOpen", "jaw", 0, OPEN)])


@pytest.mark.parametrize("roll", [0.0, 0.7])
@pytest.mark.parametrize("shape_set", ["ARKIT", "VISEMES"])
def test_the_jaw_preset_opens_the_mouth(
    head: bpy.types.Object, rig: bpy.types.Object, shape_set: str, roll: float
) -> None:
    """However the bone is rolled: a turn about an axis that is none of its own."""
    bpy.context.view_layer.objects.active = rig
    bpy.ops.object.mode_set(mode="EDIT")
    rig.data.edit_bones["jaw"].roll += roll
    bpy.ops.object.mode_set(mode="OBJECT")
    head.codetalker.mapping.shape_set = shape_set
    assert bpy.ops.codetalker.jaw_channels() == {"FINISHED"}
    rows = head.codetalker.rig.channels
    assert {row.bone for row in rows} == {"jaw"} and (shape_set != "ARKIT" or len(rows) == (6 if roll else 3))
    speak(head)
    tips = []
    for frame in range(START, START + FRAMES):
        bpy.context.scene.frame_set(frame)
        tips.append(rig.pose.bones["jaw"].tail.copy())
    drop = rig.data.bones["jaw"].tail_local.z - np.array(tips)[:, 2]
    assert np.corrcoef(drop, known().of("jawOpen"))[0, 1] > 0.9
    assert drop.max() > 0.005, "metres; it opens downwards"


def test_rows_are_kept_in_the_mapping_file(
    head: bpy.types.Object, rig: bpy.types.Object, tmp_path: Path
) -> None:
    rules = [
        Rule("jawOpen", RigChannel("SCALE", "jaw", 2), (0.25, 0.5), (1.0, 1.5)),
        Rule("mouthFunnel", RigChannel("PROPERTY", "jaw", holder="BONE", name="äöü"), output=(0.0, -2.0)),
        Rule("mouthFunnel", RigChannel("PROPERTY", holder="DATA", name="x")),
    ]
    rig_settings.fill(head, rules, clear=True)
    path = str(tmp_path / "rig.json")
    assert bpy.ops.codetalker.save_mapping(filepath=path) == {"FINISHED"}
    assert bpy.ops.codetalker.clear_channels() == {"FINISHED"}
    assert bpy.ops.codetalker.load_mapping(filepath=path) == {"FINISHED"}
    assert rig_rules.rules_of(head) == rules
    assert not head.codetalker.mapping.drives, "names of keys stay automatic"
    Path(path).write_text(Path(path).read_text().replace('"axis": "Z"', '"axis": "W"'))
    with pytest.raises(RuntimeError, match="channel 1: 'axis' must be X, Y or Z"):
        bpy.ops.codetalker.load_mapping(filepath=path)
    assert rig_rules.rules_of(head) == rules


class Layout(test_panels.Layout):
    def template_list(self, kind: str, _: str, data: Any, listed: str, *__: Any, **___: Any) -> None:
        for item in getattr(data, listed):
            getattr(rig_panel, kind).draw_item(None, bpy.context, self, data, item, 0, data, "")


def test_rows_are_edited_in_the_panel(head: bpy.types.Object, rig: bpy.types.Object) -> None:
    assert bpy.ops.codetalker.add_channel() == {"FINISHED"}
    row = head.codetalker.rig.channels[1]
    row.kind, row.holder = "PROPERTY", "BONE"
    layout = Layout([], [])
    layout_of = SimpleNamespace(layout=layout)
    rig_panel.CODETALKER_PT_rig.draw(layout_of, bpy.context)  # type: ignore[arg-type]
    assert {"shape", "kind", "holder", "bone", "property_name", "output_high"} <= set(layout.settable)
    assert any("1 of 2 channels of 'Rig' follow" in text for text in layout.shown)
    assert bpy.ops.codetalker.remove_channel() == {"FINISHED"}
    assert rig_rules.rules_of(head) == [rotation("jawOpen", "jaw", 0, OPEN)]
    rig.data.bones["jaw"].name = "chew"
    with pytest.raises(RuntimeError, match='has a name with "jaw" in it'):
        bpy.ops.codetalker.jaw_channels()
    with pytest.raises(RuntimeError, match="no bone called 'jaw_master'"):
        bpy.ops.codetalker.rigify_channels()
