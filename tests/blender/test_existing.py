"""Existing Keys: the motion becomes values of the keys that a mesh has, and nothing else of it changes."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender import resources
from codetalker_blender.blender.retargeting import existing, mapping, tuning
from codetalker_blender.blender.retargeting.outcomes import Outcome
from codetalker_blender.blender.runs import generation
from codetalker_blender.blender.sidebar import mapping_panel
from codetalker_blender.blender.writing import curves, owned_actions, takes
from codetalker_blender.contracts import FloatArray, Motion, ShapeWeights
from codetalker_blender.errors import TargetError
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.face.shape_names import ARKIT
from codetalker_blender.model_files import ModelCard
from tests.blender import scenes, test_panels

START, FRAMES = 5, 12
#: Shapes that the made motion uses, and the odd names that a mesh gives their keys.
KEYS = {
    "jawOpen": "A25_Jaw_Open",
    "mouthSmileLeft": "mouthSmile_L",
    "mouthSmileRight": "mouthSmile_R",
    "mouthFunnel": "MOUTHFUNNEL",
    "eyeBlinkLeft": "eyeBlink_L",
}
#: Of a known weight, by what the solver gives: its own regularising terms stand between.
SOLVED = 0.02


@cache
def known() -> ShapeWeights:
    """Smooth weights in [0, 0.8] of the shapes above."""
    phases = np.arange(FRAMES)[:, None] * np.linspace(0.2, 0.6, len(KEYS)) + np.arange(len(KEYS))
    return ShapeWeights(tuple(KEYS), (0.4 - 0.4 * np.cos(phases)).astype(np.float32), 24.0)


@cache
def take() -> bytes:
    """What a run of a model with the demo head's face would leave of that motion."""
    card = ModelCard(1, "demo", "", "CC0-1.0", 24.0, 1.0, "Z", ("neutral",), 0.0, {}, {}, {}, {})
    offsets = demo_head_shapes().motion(known())
    return takes.capture(Motion(offsets, 24.0, np.zeros((1, 1), np.int32), 24.0), demo_head_face(), card)


def add_cube(name: str, keys: list[str]) -> bpy.types.Object:
    """Eight vertices with shape keys, the first of which has a value of its own."""
    corners = np.array([(x, y, z) for x in (0, 1) for y in (0, 1) for z in (0, 1)], np.float32)
    faces = np.array([(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)])
    obj = scenes.add_mesh(name, corners, faces)
    obj.shape_key_add(name="Basis", from_mix=False)
    for index, key in enumerate(keys):
        block = obj.shape_key_add(name=key, from_mix=False)
        block.points[index % 8].co.z += 0.5
        block.value = 0.0  # new ones have 1 from 5.0 on
    obj.data.shape_keys.key_blocks[1].value = 0.3
    return obj


@pytest.fixture
def head(blender: None) -> bpy.types.Object:
    obj = add_cube("Head", [*KEYS.values(), "Nonsense"])
    bpy.context.scene.codetalker.target = obj
    obj.codetalker.output = "EXISTING"
    return obj


def speak(obj: bpy.types.Object) -> Outcome:
    return tuning.write(obj, takes.Placed(take(), START))


def values(obj: bpy.types.Object, key: str, start: int = START) -> FloatArray:
    """(FRAMES,) the value of a key as Blender plays it."""
    found = []
    for frame in range(start, start + FRAMES):
        bpy.context.scene.frame_set(frame)
        found.append(obj.data.shape_keys.key_blocks[key].value)
    bpy.context.scene.frame_set(1)
    return np.array(found, np.float32)


def saved() -> dict[str, Any]:
    bpy.context.scene.frame_set(1)
    return scenes.dump()


def test_keys_get_the_known_weights_on_a_mesh_of_any_kind(head: bpy.types.Object) -> None:
    outcome = speak(head)
    for shape, key in KEYS.items():
        np.testing.assert_allclose(values(head, key), known().of(shape), atol=SOLVED)
    assert np.all(values(head, "Nonsense") == 0.0)
    assert outcome.key_count == len(KEYS)
    assert outcome.rms_mm is not None and outcome.rms_mm < 0.2
    assert "mm RMS" in str(outcome)
    assert [block.name for block in head.data.shape_keys.key_blocks] == ["Basis", *KEYS.values(), "Nonsense"]


def test_around_the_clip_keys_have_their_former_values(head: bpy.types.Object) -> None:
    speak(head)
    key = head.data.shape_keys.key_blocks["A25_Jaw_Open"]
    for frame in (START - 30, START - 1, START + FRAMES, START + 100):
        bpy.context.scene.frame_set(frame)
        assert key.value == pytest.approx(0.3)


@pytest.mark.parametrize("use_nla", [False, True])
def test_running_again_changes_nothing(head: bpy.types.Object, use_nla: bool) -> None:
    head.codetalker.use_nla = use_nla
    speak(head)
    before = saved()
    speak(head)
    assert scenes.differences(before, saved()) == []
    tuning.rewrite(head, bpy.context.scene)
    assert scenes.differences(before, saved()) == []


@pytest.mark.parametrize("use_nla", [False, True])
def test_removing_restores_all(head: bpy.types.Object, use_nla: bool) -> None:
    """With an action of the animator's on one key and a driver on another, which are left alone."""
    head.codetalker.use_nla = use_nla
    blocks = head.data.shape_keys.key_blocks
    blocks["Nonsense"].keyframe_insert("value", frame=1)
    head.data.shape_keys.animation_data.action.name = "Mine"
    blocks["mouthSmile_L"].driver_add("value").driver.expression = "0.25"
    before = saved()
    outcome = speak(head)
    assert outcome.warning == "Left alone, because you animate them: 'mouthSmile_L' of 'Head'."
    np.testing.assert_allclose(values(head, "mouthSmile_L"), 0.25, atol=1e-6)
    np.testing.assert_allclose(values(head, "MOUTHFUNNEL"), known().of("mouthFunnel"), atol=SOLVED)
    bpy.context.scene.frame_set(START + 5)
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []


def test_keys_that_the_animator_keyed_are_left_alone(head: bpy.types.Object) -> None:
    head.data.shape_keys.key_blocks["A25_Jaw_Open"].keyframe_insert("value", frame=1)
    outcome = speak(head)
    assert "'A25_Jaw_Open' of 'Head'" in outcome.notes
    np.testing.assert_allclose(values(head, "A25_Jaw_Open"), 0.3, atol=1e-6)


def test_where_all_is_animated_it_says_so(head: bpy.types.Object) -> None:
    for name in KEYS.values():
        head.data.shape_keys.key_blocks[name].keyframe_insert("value", frame=1)
    before = saved()
    with pytest.raises(TargetError, match="You animate all of the mapped shape keys of 'Head' already"):
        speak(head)
    assert scenes.differences(before, saved()) == []


def test_tuning_and_other_outputs_come_and_go(head: bpy.types.Object) -> None:
    speak(head)
    head.codetalker.offset_s = 1.0
    np.testing.assert_allclose(
        values(head, "MOUTHFUNNEL", START + 24), known().of("mouthFunnel"), atol=SOLVED
    )
    assert bpy.ops.codetalker.reset_tuning() == {"FINISHED"}
    before = saved()
    head.codetalker.strength_jaw = head.codetalker.strength_mouth = 0.0
    assert values(head, "MOUTHFUNNEL").max() < 0.5 * known().of("mouthFunnel").max()
    assert bpy.ops.codetalker.reset_tuning() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []
    head.codetalker.output = "COMPACT"  # not possible on a cube: what was written stays
    assert not tuning.is_applied(head)
    np.testing.assert_allclose(values(head, "MOUTHFUNNEL"), known().of("mouthFunnel"), atol=SOLVED)


def test_a_write_that_fails_changes_nothing(head: bpy.types.Object, monkeypatch: pytest.MonkeyPatch) -> None:
    teeth = add_cube("Teeth", ["Jaw_Open"])
    head.codetalker.mapping.companions.add().object = teeth
    real = curves.animate

    def fail(key: bpy.types.Key, *arguments: Any, **options: Any) -> None:
        real(key, *arguments, **options)
        if key == teeth.data.shape_keys:
            raise MemoryError

    untouched = saved()
    with monkeypatch.context() as patch:
        patch.setattr(curves, "animate", fail)
        with pytest.raises(MemoryError):
            speak(head)
    assert scenes.differences(untouched, saved()) == []
    speak(head)
    spoken = saved()
    with monkeypatch.context() as patch:
        patch.setattr(owned_actions, "update", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tuning.rewrite(head, bpy.context.scene)
    np.testing.assert_allclose(values(teeth, "Jaw_Open"), known().of("jawOpen"), atol=SOLVED)
    assert bpy.ops.codetalker.rewrite() == {"FINISHED"}
    assert scenes.differences(spoken, saved()) == []


def test_several_meshes_are_driven_together(head: bpy.types.Object) -> None:
    teeth = add_cube("Teeth", ["Jaw_Open", "Other"])
    head.codetalker.mapping.companions.add().object = teeth
    before = saved()
    outcome = speak(head)
    assert outcome.key_count == len(KEYS) + 1
    np.testing.assert_array_equal(values(teeth, "Jaw_Open"), values(head, "A25_Jaw_Open"))
    head.codetalker.offset_s = 0.5
    np.testing.assert_allclose(values(teeth, "Jaw_Open", START + 12), known().of("jawOpen"), atol=SOLVED)
    assert bpy.ops.codetalker.reset_tuning() == {"FINISHED"}
    head.codetalker.property_unset("offset_s")
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, saved()) == []


def test_a_copy_of_the_target_leaves_the_meshes_to_the_original(head: bpy.types.Object) -> None:
    teeth = add_cube("Teeth", ["Jaw_Open"])
    head.codetalker.mapping.companions.add().object = teeth
    speak(head)
    copy = head.copy()
    copy.data = head.data.copy()
    bpy.context.scene.collection.objects.link(copy)
    generation.remove(copy, bpy.context.scene)
    np.testing.assert_allclose(values(teeth, "Jaw_Open"), known().of("jawOpen"), atol=SOLVED)


def test_one_undo_step_takes_all_back(head: bpy.types.Object) -> None:
    teeth = add_cube("Teeth", ["Jaw_Open"])
    head.codetalker.mapping.companions.add().object = teeth
    bpy.context.view_layer.update()
    bpy.ops.ed.undo_push(message="before")
    speak(head)
    bpy.ops.ed.undo_push(message="spoken")
    bpy.ops.ed.undo()
    for name in ("Head", "Teeth"):
        key = bpy.data.objects[name].data.shape_keys
        assert key.animation_data is None and key.get("codetalker") is None
    bpy.ops.ed.redo()
    assert bpy.data.objects["Teeth"].data.shape_keys.animation_data.action is not None


def test_mapping_and_controls_are_followed(head: bpy.types.Object) -> None:
    group = head.codetalker.mapping
    row = group.drives.add()
    row.shape, row.key, row.gain = "jawOpen", "Nonsense", 0.5
    control = group.controls.add()
    control.name, control.high = "jawOpen", 0.4
    speak(head)
    assert values(head, "Nonsense").max() == pytest.approx(0.2, abs=1e-3)
    assert np.all(values(head, "MOUTHFUNNEL") == 0.0)
    control = head.codetalker.mapping.controls["jawOpen"]
    control.high = 1.0  # the animation follows
    assert values(head, "Nonsense").max() > 0.3


def test_a_range_that_is_too_small_is_told(head: bpy.types.Object) -> None:
    head.data.shape_keys.key_blocks["MOUTHFUNNEL"].slider_max = 0.5
    outcome = speak(head)
    assert outcome.warning is not None and "'MOUTHFUNNEL' of 'Head'" in outcome.warning
    assert values(head, "MOUTHFUNNEL").max() == pytest.approx(0.5)


def test_visemes(blender: None) -> None:
    obj = add_cube("Head", ["aa", "E", "ih", "oh", "ou", "PP", "FF"])
    obj.codetalker.output, obj.codetalker.mapping.shape_set = "EXISTING", "VISEMES"
    assert existing.coverage(obj).startswith("7 of 15 visemes found; missing: viseme_sil")
    assert speak(obj).key_count == 7
    assert values(obj, "aa").max() > 0.1


def test_what_cannot_be_mapped_is_refused(blender: None) -> None:
    obj = add_cube("Box", ["One", "Two"])
    obj.codetalker.output = "EXISTING"
    with pytest.raises(TargetError, match="None of the 2 shape keys of 'Box' is named like one"):
        speak(obj)
    assert obj.data.shape_keys.animation_data is None


def test_readiness_tells_what_is_found(head: bpy.types.Object) -> None:
    settings = bpy.context.scene.codetalker
    settings.model, settings.model_folder = "OTHER_FOLDER", str(resources.default_model())
    assert target_line() == (
        "Target: 5 of 52 ARKit shapes found; missing: eyeLookDownLeft, eyeLookInLeft, eyeLookOutLeft, "
        "eyeLookUpLeft, eyeSquintLeft and 42 more"
    )


def test_mapping_is_edited_kept_and_loaded(head: bpy.types.Object, tmp_path: Path) -> None:
    speak(head)
    group = head.codetalker.mapping
    assert bpy.ops.codetalker.auto_map() == {"FINISHED"}
    rows = {row.shape: row.key for row in group.drives}
    assert {shape: key for shape, key in rows.items() if key} == KEYS and len(rows) == len(ARKIT)
    assert tuning.is_applied(head)
    group.drives[list(rows).index("cheekPuff")].key = "Nonsense"  # nothing of the motion puffs
    group.drives[list(rows).index("mouthFunnel")].gain = 0.5
    np.testing.assert_allclose(values(head, "MOUTHFUNNEL"), known().of("mouthFunnel") / 2, atol=SOLVED)
    group.active_drive = list(rows).index("jawOpen")
    assert bpy.ops.codetalker.add_drive() == {"FINISHED"}
    assert [row.shape for row in group.drives].count("jawOpen") == 2
    edited = mapping.of(head)
    path = str(tmp_path / "rig.json")
    assert bpy.ops.codetalker.save_mapping(filepath=path) == {"FINISHED"}
    assert bpy.ops.codetalker.auto_map() == {"FINISHED"}
    assert mapping.of(head) != edited
    assert bpy.ops.codetalker.load_mapping(filepath=path) == {"FINISHED"}
    assert mapping.of(head) == edited
    np.testing.assert_allclose(values(head, "MOUTHFUNNEL"), known().of("mouthFunnel") / 2, atol=SOLVED)
    (tmp_path / "other.json").write_text("[]")
    with pytest.raises(RuntimeError, match="is not a preset"):
        bpy.ops.codetalker.load_mapping(filepath=str(tmp_path / "other.json"))
    assert mapping.of(head) == edited


class Layout(test_panels.Layout):
    def template_list(self, kind: str, _: str, data: Any, listed: str, *__: Any, **___: Any) -> None:
        for item in getattr(data, listed):
            getattr(mapping_panel, kind).draw_item(None, bpy.context, self, data, item, 0, data, "")


def test_the_panel_lists_what_is_found_and_what_is_not(head: bpy.types.Object) -> None:
    head.shape_key_add(name="JawOpen.001", from_mix=False)
    layout = Layout([], [])
    panel = mapping_panel.CODETALKER_PT_mapping
    assert panel.poll(bpy.context)
    panel.draw(SimpleNamespace(layout=layout), bpy.context)  # type: ignore[arg-type]
    text = " ".join(layout.shown)
    assert "5 of 52 ARKit shapes found" in text and "Other keys: Nonsense" in text
    assert "shows jawOpen already" in text and "gain" not in layout.settable
    bpy.ops.codetalker.auto_map()
    layout = Layout([], [])
    panel.draw(SimpleNamespace(layout=layout), bpy.context)  # type: ignore[arg-type]
    assert {"shape_set", "enabled", "key", "gain", "low", "high", "multiplier", "offset"} <= {
        *layout.settable
    }
    head.codetalker.output = "COMPACT"
    assert not panel.poll(bpy.context)


def test_other_meshes_are_added_and_let_go(head: bpy.types.Object) -> None:
    rig = bpy.data.objects.new("Rig", None)
    bpy.context.scene.collection.objects.link(rig)
    teeth, hat = add_cube("Teeth", ["Jaw_Open"]), add_cube("Hat", ["Brim"])
    for obj in (head, teeth, hat):
        obj.parent = rig
    bpy.context.view_layer.update()
    for obj in bpy.context.view_layer.objects:
        obj.select_set(False)
    before = teeth.data.shape_keys.key_blocks["Jaw_Open"].value
    speak(head)
    assert bpy.ops.codetalker.add_companions() == {"FINISHED"}
    assert mapping.companions(head) == [teeth]
    np.testing.assert_array_equal(values(teeth, "Jaw_Open"), values(head, "A25_Jaw_Open"))
    with pytest.raises(RuntimeError, match="No other mesh is selected"):
        bpy.ops.codetalker.add_companions()
    assert bpy.ops.codetalker.clear_companions() == {"FINISHED"}
    assert teeth.data.shape_keys.animation_data is None
    assert teeth.data.shape_keys.key_blocks["Jaw_Open"].value == before
    np.testing.assert_allclose(values(head, "MOUTHFUNNEL"), known().of("mouthFunnel"), atol=SOLVED)


def target_line() -> str:
    return next(str(check) for check in generation.checks(bpy.context) if check.label == "Target")
