"""Weights from other programs onto a rig's keys, and a finished animation into files: both ways round."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender.interchange import exports, file_menus
from codetalker_blender.blender.retargeting import mapping, tuning
from codetalker_blender.blender.retargeting.outcomes import outcome_of
from codetalker_blender.contracts import ShapeWeights
from codetalker_blender.errors import OutputError
from codetalker_blender.face.shape_names import ARKIT
from codetalker_blender.face.weight_files import read_weights, write_csv, write_json, write_live_link
from codetalker_blender.motion_files import read_motion
from tests.blender import scenes, speaking, test_panels
from tests.blender.test_existing import FRAMES, KEYS, SOLVED, START, add_cube, known, saved, speak, values

#: Files keep seven digits.
WRITTEN = 1e-6


@pytest.fixture
def head(blender: None) -> bpy.types.Object:
    obj = add_cube("Head", [*KEYS.values(), "Nonsense"])
    bpy.context.scene.codetalker.target = obj
    return obj


def take_in(path: Path, **options: Any) -> Any:
    return bpy.ops.codetalker.import_weights(filepath=str(path), **options)


def bring_out(path: Path) -> Any:
    return bpy.ops.codetalker.export_animation(filepath=str(path))


def audio2face_csv(path: Path, weights: ShapeWeights) -> None:
    lines = [",".join(["timeCode", "emotionValues.joy", *(f"blendShapes.{name}" for name in weights.names)])]
    for frame, row in enumerate(weights.values):
        lines.append(",".join(map(str, [frame / weights.fps, 0.5, *row])))
    path.write_text("\n".join(lines))


WRITERS = {
    "live.csv": write_live_link,
    "plain.csv": write_csv,
    "plain.json": write_json,
    "a2f.csv": audio2face_csv,
}


@pytest.mark.parametrize("name", WRITERS)
def test_keys_follow_the_weights_of_a_file(head: bpy.types.Object, tmp_path: Path, name: str) -> None:
    WRITERS[name](tmp_path / name, known())
    options = {"fps": known().fps} if name == "live.csv" else {}  # it is shorter than a second
    assert take_in(tmp_path / name, start_frame=START, **options) == {"FINISHED"}
    for shape, key in KEYS.items():
        np.testing.assert_allclose(values(head, key), known().of(shape), atol=WRITTEN)
    assert np.all(values(head, "Nonsense") == 0.0)
    jaw = head.data.shape_keys.key_blocks["A25_Jaw_Open"]
    for frame in (START - 1, START + FRAMES):
        bpy.context.scene.frame_set(frame)
        assert jaw.value == pytest.approx(0.3)


def test_audio2faces_json_with_its_own_poses(head: bpy.types.Object, tmp_path: Path) -> None:
    path = tmp_path / "a2f.json"
    rows = ", ".join(f"[{weight}]" for weight in known().of("jawOpen"))
    path.write_text(f'{{"exportFps": 24, "facsNames": ["jawDrop"], "weightMat": [{rows}]}}')
    assert take_in(path, start_frame=START) == {"FINISHED"}
    np.testing.assert_allclose(values(head, "A25_Jaw_Open"), known().of("jawOpen"), atol=WRITTEN)
    assert outcome_of(head).key_count == 1


def test_the_files_rate_becomes_the_scenes(head: bpy.types.Object, tmp_path: Path) -> None:
    ramp = np.linspace(0.0, 1.0, 61, dtype=np.float32)[:, None]
    write_csv(tmp_path / "ramp.csv", ShapeWeights(("jawOpen",), ramp, 60.0))
    bpy.context.scene.frame_set(START)
    assert take_in(tmp_path / "ramp.csv") == {"FINISHED"}  # at the current frame
    found = values(head, "A25_Jaw_Open")
    np.testing.assert_allclose(found, np.arange(FRAMES) / 24.0, atol=1e-5)
    assert outcome_of(head).frame_count == 24


@pytest.mark.parametrize("use_nla", [False, True])
def test_it_replaces_ours_alone_and_is_removed(head: bpy.types.Object, tmp_path: Path, use_nla: bool) -> None:
    head.codetalker.output, head.codetalker.use_nla = "EXISTING", use_nla
    blocks = head.data.shape_keys.key_blocks
    blocks["Nonsense"].keyframe_insert("value", frame=1)
    blocks["mouthSmile_L"].driver_add("value").driver.expression = "0.25"
    teeth = add_cube("Teeth", ["Jaw_Open"])
    head.codetalker.mapping.companions.add().object = teeth
    before = saved()
    speak(head)
    write_csv(tmp_path / "w.csv", known())
    for _ in range(2):
        assert take_in(tmp_path / "w.csv", start_frame=START) == {"FINISHED"}
        np.testing.assert_allclose(values(head, "MOUTHFUNNEL"), known().of("mouthFunnel"), atol=WRITTEN)
        np.testing.assert_allclose(values(teeth, "Jaw_Open"), known().of("jawOpen"), atol=WRITTEN)
        np.testing.assert_allclose(values(head, "mouthSmile_L"), 0.25, atol=1e-6)
    refusal = tuning.obstacle(head, bpy.context.scene)
    assert refusal is not None and "was imported and has no raw motion" in refusal.message
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []


def test_controls_and_gains_of_the_mapping_hold(head: bpy.types.Object, tmp_path: Path) -> None:
    head.codetalker.output = "EXISTING"
    assert bpy.ops.codetalker.auto_map() == {"FINISHED"}
    group = head.codetalker.mapping
    group.controls["jawOpen"].high = 0.25
    group.controls["eyeBlinkLeft"].enabled = False
    next(row for row in group.drives if row.shape == "mouthFunnel").gain = 0.5
    write_csv(tmp_path / "w.csv", known())
    assert take_in(tmp_path / "w.csv", start_frame=START) == {"FINISHED"}
    np.testing.assert_allclose(
        values(head, "A25_Jaw_Open"), known().of("jawOpen").clip(max=0.25), atol=WRITTEN
    )
    assert np.all(values(head, "eyeBlink_L") == 0.0)
    np.testing.assert_allclose(values(head, "MOUTHFUNNEL"), known().of("mouthFunnel") / 2, atol=WRITTEN)
    assert bring_out(tmp_path / "again.csv") == {"FINISHED"}  # by the gains, back to the shape
    again = read_weights(tmp_path / "again.csv")
    np.testing.assert_allclose(again.of("mouthFunnel"), known().of("mouthFunnel"), atol=WRITTEN)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a,b\n1,2\n", r"w\.csv' is no known file of shape weights"),
        ("time_s,jawOpen\n0,0\n0.1,x\n", r"w\.csv', row 3, column 'jawOpen': 'x' is no finite number"),
        (
            "time_s,wings,tail\n0,0,0\n0.1,0,0\n",
            "None of the 2 columns is one of the 52 ARKit shapes: wings, tail",
        ),
        ("time_s,tongueOut\n0,0\n0.1,0\n", "No free key of 'Head' follows any of the 1 shapes"),
        (None, "cannot be read"),
    ],
)
def test_what_does_not_fit_changes_nothing(
    head: bpy.types.Object, tmp_path: Path, text: str | None, complaint: str
) -> None:
    if text is not None:
        (tmp_path / "w.csv").write_text(text)
    before = saved()
    with pytest.raises(RuntimeError, match=complaint):
        take_in(tmp_path / "w.csv")
    assert scenes.differences(before, saved()) == []


@pytest.mark.parametrize("name", ["face.livelink.csv", "face.csv", "face.json"])
def test_a_finished_animation_as_weights_and_back(head: bpy.types.Object, tmp_path: Path, name: str) -> None:
    head.codetalker.output = "EXISTING"
    speak(head)
    spoken = {key: values(head, key) for key in KEYS.values()}
    assert bring_out(tmp_path / name) == {"FINISHED"}
    assert [path.name for path in tmp_path.iterdir()] == [name]
    found = read_weights(tmp_path / name, 24.0)
    assert set(found.names) == set(ARKIT) and (found.frame_count, found.fps) == (FRAMES, 24.0)
    for shape in KEYS:
        np.testing.assert_allclose(found.of(shape), known().of(shape), atol=2 * SOLVED)
    assert take_in(tmp_path / name, start_frame=START, fps=24.0) == {"FINISHED"}
    for key, column in spoken.items():
        np.testing.assert_allclose(values(head, key), column, atol=2 * SOLVED)
    assert bring_out(tmp_path / f"again.{name}") == {"FINISHED"}
    again = read_weights(tmp_path / f"again.{name}", 24.0)
    for shape in KEYS:
        np.testing.assert_allclose(again.of(shape), found.of(shape), atol=WRITTEN)


def test_every_output_mode_has_weights(head: bpy.types.Object, tmp_path: Path) -> None:
    """Visemes are what the object is set to, Live Link Face is ARKit's all the same."""
    head.codetalker.output = "EXISTING"
    speak(head)
    head.codetalker.mapping.shape_set = "VISEMES"  # no key is named like one: the animation stays
    assert bring_out(tmp_path / "v.json") == {"FINISHED"}
    assert read_weights(tmp_path / "v.json").names[0] == "viseme_sil"
    assert bring_out(tmp_path / "v.livelink.csv") == {"FINISHED"}
    found = read_weights(tmp_path / "v.livelink.csv", 24.0)
    np.testing.assert_allclose(found.of("jawOpen"), known().of("jawOpen"), atol=2 * SOLVED)


def test_other_formats_from_the_window(obj: bpy.types.Object, tmp_path: Path) -> None:
    offsets = speaking.made_motion()
    speaking.speak(obj, offsets)
    for kind in exports.FORMATS.values():
        path = tmp_path / f"face{kind.endings[0]}"
        if kind.obstacle():
            with pytest.raises(RuntimeError, match=f"this Blender was built without {kind.label}"):
                bring_out(path)
        elif kind.endings[0] in (".livelink.csv", ".csv", ".json"):
            with pytest.raises(RuntimeError, match="has no shapes of this motion's face yet"):
                bring_out(path)
        else:
            assert bring_out(path) == {"FINISHED"}
            assert path.stat().st_size > 0
    raw = read_motion(tmp_path / "face.npz")
    assert raw.fps == 24.0
    np.testing.assert_allclose(raw.offsets, offsets, atol=3e-6)
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_nothing_to_export_is_said(head: bpy.types.Object, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="'Head' has no CodeTalker animation yet"):
        bring_out(tmp_path / "a.json")
    with pytest.raises(RuntimeError, match="No file is named"):
        bpy.ops.codetalker.export_animation(filepath="")
    head.codetalker.output = "EXISTING"
    speak(head)
    for path in (tmp_path / "a.fbx", tmp_path / "absent" / "a.json"):
        with pytest.raises(RuntimeError, match="cannot be"):
            bring_out(path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_gets_the_formats_ending(blender: None) -> None:
    check: Any = file_menus.CODETALKER_OT_export_animation.check
    for filepath, kind, expected in [
        ("/a/face", "MDD", "/a/face.mdd"),
        ("/a/face.mdd", "LIVE_LINK", "/a/face.livelink.csv"),
        ("/a/face.livelink.csv", "CSV", "/a/face.csv"),
        ("/a/face.usda", "USD", "/a/face.usda"),
        ("/a/", "USD", "/a/"),
    ]:
        browser = SimpleNamespace(filepath=filepath, format=kind)
        assert check(browser, bpy.context) == (filepath != expected)
        assert browser.filepath == expected


class Layout(test_panels.Layout):
    def prop(self, *_: Any, **__: Any) -> None:
        pass


@pytest.mark.parametrize("name", ["ALEMBIC", "USD"])
def test_a_format_that_this_blender_lacks_is_said(
    blender: None, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    kind = replace(exports.FORMATS[name], library="a library that no Blender has")
    monkeypatch.setitem(exports.FORMATS, name, kind)
    with pytest.raises(OutputError, match=f"this Blender was built without {kind.label}"):
        exports.check(Path(f"face{kind.endings[0]}"))
    layout = Layout([], [])
    browser = SimpleNamespace(layout=layout, format=name)
    file_menus.CODETALKER_OT_export_animation.draw(browser, bpy.context)  # type: ignore[arg-type]
    assert layout.shown == [f"This Blender was built without {kind.label}"]


def test_the_active_mesh_serves_where_no_target_is_chosen(head: bpy.types.Object, tmp_path: Path) -> None:
    bpy.context.scene.codetalker.target = None
    write_csv(tmp_path / "w.csv", known())
    bpy.context.view_layer.objects.active = None
    with pytest.raises(RuntimeError, match="No target mesh is chosen"):
        take_in(tmp_path / "w.csv", start_frame=START)
    bpy.context.view_layer.objects.active = head
    assert take_in(tmp_path / "w.csv", start_frame=START) == {"FINISHED"}
    assert bpy.context.scene.codetalker.target == head and mapping.of(head)
