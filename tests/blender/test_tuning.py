"""Output and tuning: sliders change our animation and nothing else, and need the file alone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
from mathutils import Matrix

from codetalker_blender.blender import animation, compat, curves, generation, keys, panels, takes, tuning
from codetalker_blender.contracts import FaceMesh, FloatArray, Motion
from codetalker_blender.errors import TargetError
from codetalker_blender.face.tuning import soft_regions
from codetalker_blender.model_files import ModelCard
from tests.blender import scenes
from tests.blender.scenes import Coordinates

#: On a sheet of 26 cm, what float32 keys leave of an exact motion, and the cache of a lossless one.
EXACT = 5e-6
START = 5


def sheet_face() -> FaceMesh:
    """The sheet as a model's face: two rows of lips, a jaw below, brows above, lids between."""
    rows = np.arange(42, dtype=np.int32).reshape(6, 7)
    quads = scenes.sheet_quads()
    return FaceMesh(
        vertices=scenes.sheet_vertices(),
        triangles=np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32),
        mid_lips=rows[[2, 1], 3],
        lip_corners=rows[1, [6, 0]],
        regions={"lips": rows[1:3].ravel(), "jaw": rows[0], "eyelids": rows[4], "upper_face": rows[5]},
    )


def card() -> ModelCard:
    return ModelCard(1, "sheet", "", "CC0-1.0", 24.0, 1.0, "Z", ("neutral",), 0.0, {}, {}, {}, {})


def made_motion(frames: int = 20, seed: int = 0) -> FloatArray:
    """A sheet that moves by centimetres, smoothly, and not the same way twice."""
    random = np.random.default_rng(seed)
    waves = np.sin(np.arange(frames)[:, None] * random.uniform(0.2, 1.2, 6) + random.uniform(0, 6, 6))
    shapes = random.normal(scale=0.004, size=(6, 42, 3)) * 0.6 ** np.arange(6)[:, None, None]
    offsets: FloatArray = np.einsum("tk,kvc->tvc", waves, shapes).astype(np.float32)
    return offsets


def speak(obj: bpy.types.Object, offsets: FloatArray, start: int = START) -> tuning.Outcome:
    """What a run of the model does with its motion."""
    motion = Motion(offsets, 24.0, np.zeros((1, 1), np.int32), 24.0)
    take = takes.capture(motion, sheet_face(), card())
    return tuning.write(obj, takes.Placed(take, start))


def assert_shows(
    obj: bpy.types.Object, offsets: FloatArray, start: float = START, limit: float = EXACT
) -> None:
    """Every frame shows rest + offsets, and around them the sheet is at rest."""
    rest = scenes.sheet_vertices()
    padded = np.pad(offsets, ((1, 1), (0, 0), (0, 0)))
    for index, expected in enumerate(padded):
        frame = start - 1 + index
        found = scenes.evaluated(obj, int(np.floor(frame)), frame - np.floor(frame))
        assert np.abs(found - rest - expected).max() <= limit, f"frame {frame}"
    for frame in (start - 30, start + len(offsets) + 30):
        assert np.abs(scenes.evaluated(obj, int(frame)) - rest).max() <= limit, f"frame {frame}"


def shown(obj: bpy.types.Object, frame: int) -> Coordinates:
    """The offsets from rest at a frame."""
    found: Coordinates = scenes.evaluated(obj, frame) - scenes.sheet_vertices()
    return found


@pytest.fixture
def obj(blender: None) -> bpy.types.Object:
    """A sheet that is the target."""
    sheet = scenes.add_sheet()
    bpy.context.scene.codetalker.target = sheet
    return sheet


def add_own(obj: bpy.types.Object, what: str) -> None:
    """Something of the animator's: a key, an action, NLA and a driver, or nothing."""
    if what == "nothing":
        return
    obj.shape_key_add(name="Basis", from_mix=False)
    smile = obj.shape_key_add(name="Smile", from_mix=False)
    key = obj.data.shape_keys
    if what == "key":
        return
    smile.keyframe_insert("value", frame=1)
    key.animation_data.action.name = "Mine"
    if what == "action":
        return
    animation_data = key.animation_data
    track = animation_data.nla_tracks.new()
    track.name = "Mine"
    strip = track.strips.new("Mine", 1, animation_data.action)
    compat.assign_action(strip, animation_data.action)
    animation_data.action = None
    obj.shape_key_add(name="Driven", from_mix=False)
    key.key_blocks["Driven"].driver_add("value").driver.expression = "0.25"


OWN = ["nothing", "key", "action", "nla and driver"]


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
@pytest.mark.parametrize("use_nla", [False, True])
def test_each_output_shows_the_motion_and_removing_restores(
    obj: bpy.types.Object, own: str, output: str, use_nla: bool
) -> None:
    add_own(obj, own)
    obj.codetalker.output, obj.codetalker.use_nla = output, use_nla
    bpy.context.scene.frame_set(1)
    before = scenes.dump()
    offsets = made_motion()
    outcome = speak(obj, offsets)
    assert_shows(obj, offsets, limit=EXACT if output == "PER_FRAME" else 1e-4 + EXACT)
    assert (outcome.error_mm is None) == (output == "PER_FRAME")
    bpy.context.scene.frame_set(1)
    generation.remove(obj, bpy.context.scene)
    assert scenes.differences(before, scenes.dump()) == []
    assert not bpy.data.actions or own != "nothing"


@pytest.mark.parametrize("bound_mm", [1.0, 0.1, 0.01])
def test_compact_keeps_the_bound_and_says_by_how_much(obj: bpy.types.Object, bound_mm: float) -> None:
    obj.codetalker.output, obj.codetalker.max_error_mm = "COMPACT", bound_mm
    offsets = made_motion()
    outcome = speak(obj, offsets)
    worst = max(np.linalg.norm(shown(obj, START + i) - row, axis=1).max() for i, row in enumerate(offsets))
    assert 1000 * worst <= bound_mm + 0.003
    assert 1000 * worst == pytest.approx(outcome.error_mm, abs=0.003)
    assert outcome.key_count == len(obj.data.shape_keys.key_blocks) - 1 < len(offsets)
    values = np.array([block.value for block in obj.data.shape_keys.key_blocks])
    assert (np.abs(values) <= 1).all()


def test_compact_takes_more_keys_for_a_smaller_error(obj: bpy.types.Object) -> None:
    obj.codetalker.output = "COMPACT"
    speak(obj, made_motion())
    counts = []
    for bound_mm in (8.0, 3.0, 0.002):
        obj.codetalker.max_error_mm = bound_mm
        counts.append(len(keys.own_names(obj.data.shape_keys)))
    assert counts[0] < counts[1] < counts[2] <= 6


@pytest.mark.parametrize("own", OWN)
@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_sliders_go_and_come_back(obj: bpy.types.Object, own: str, output: str) -> None:
    add_own(obj, own)
    obj.codetalker.output = output
    offsets = made_motion()
    speak(obj, offsets)
    bpy.context.scene.frame_set(1)
    before = scenes.dump()
    obj.codetalker.strength_mouth = 0.0
    share = soft_regions(sheet_face(), 1.0).weights[0]
    bound = EXACT if output == "PER_FRAME" else 1e-4 + EXACT
    for index in (0, 7, 19):
        expected = offsets[index] * (1 - share)[:, None]
        # The file keeps regions in half precision.
        np.testing.assert_allclose(shown(obj, START + index), expected, atol=bound + 2e-5)
    assert bpy.ops.codetalker.reset_tuning() == {"FINISHED"}
    bpy.context.scene.frame_set(1)
    assert scenes.differences(before, scenes.dump()) == []


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_sliders_set_before_a_run_and_after_give_the_same(obj: bpy.types.Object, output: str) -> None:
    def set_sliders() -> None:
        group = obj.codetalker
        group.output, group.strength_jaw, group.smoothing_mouth, group.closure = output, 1.4, 0.06, 0.7

    offsets = made_motion()
    speak(obj, offsets)
    set_sliders()
    after = np.array([shown(obj, frame) for frame in range(START, START + 20)])
    generation.remove(obj, bpy.context.scene)
    set_sliders()
    speak(obj, offsets)
    np.testing.assert_array_equal([shown(obj, frame) for frame in range(START, START + 20)], after)
    assert np.abs(after - offsets).max() > 1e-3


@pytest.mark.parametrize("use_nla", [False, True])
@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
@pytest.mark.parametrize("own", ["nothing", "action"])
def test_time_offset_moves_the_animation(obj: bpy.types.Object, output: str, use_nla: bool, own: str) -> None:
    add_own(obj, own)
    obj.codetalker.output, obj.codetalker.use_nla = output, use_nla
    obj.codetalker.max_error_mm = 0.002
    offsets = made_motion(8)
    speak(obj, offsets)
    for offset_s, start in ((0.25, START + 6), (-0.5, START - 12), (0.0625, START + 1.5), (0.0, START)):
        obj.codetalker.offset_s = offset_s
        assert_shows(obj, offsets, start, limit=2e-5)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_a_slider_keeps_where_the_animator_put_our_strip(obj: bpy.types.Object, output: str) -> None:
    obj.codetalker.output, obj.codetalker.use_nla = output, True
    offsets = made_motion()
    speak(obj, offsets)
    track = obj.data.shape_keys.animation_data.nla_tracks[0]
    track.name = "Line 12"
    track.strips[0].frame_start_ui += 30
    obj.codetalker.strength_mouth = obj.codetalker.strength_jaw = 1.5
    obj.codetalker.strength_mouth = obj.codetalker.strength_jaw = 1.0
    obj.codetalker.offset_s = 0.5
    assert [track.name for track in obj.data.shape_keys.animation_data.nla_tracks] == ["Line 12"]
    assert_shows(obj, offsets, START + 30 + 12, limit=1e-4 + EXACT)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
@pytest.mark.parametrize("own", ["nothing", "key"])
def test_a_slider_keeps_where_the_animator_moved_our_keyframes(
    obj: bpy.types.Object, output: str, own: str
) -> None:
    add_own(obj, own)
    obj.codetalker.output, obj.codetalker.max_error_mm = output, 0.5
    offsets = made_motion()
    speak(obj, offsets)
    for fcurves in compat.fcurve_collections(obj.data.shape_keys.animation_data.action):
        for curve in fcurves:
            for point in curve.keyframe_points:
                point.co.x += 40
            curve.update()
    # More keys for Compact: the new ones must lie where the others have been moved.
    obj.codetalker.max_error_mm = 0.002
    obj.codetalker.strength_mouth = 1.2
    obj.codetalker.strength_mouth = 1.0
    assert_shows(obj, offsets, START + 40, limit=2e-5)


def test_a_slider_leaves_what_the_animator_set_on_our_keys(obj: bpy.types.Object) -> None:
    obj.codetalker.output = "COMPACT"
    speak(obj, made_motion())
    block = obj.data.shape_keys.key_blocks["CodeTalker 0002"]
    block.mute, block.vertex_group = True, "Left"
    obj.active_shape_key_index = 2
    action = obj.data.shape_keys.animation_data.action
    obj.keyframe_insert("location", frame=3)
    obj.codetalker.strength_mouth = 1.3
    block = obj.data.shape_keys.key_blocks["CodeTalker 0002"]
    assert (block.mute, block.vertex_group, obj.active_shape_key.name) == (True, "Left", "CodeTalker 0002")
    assert obj.data.shape_keys.animation_data.action == action
    assert obj.animation_data.action is not None
    paths = [c.data_path for found in compat.fcurve_collections(obj.animation_data.action) for c in found]
    assert paths.count("location") == 3


def test_a_slider_on_a_copy_leaves_the_original(obj: bpy.types.Object) -> None:
    offsets = made_motion()
    obj.codetalker.output = "COMPACT"
    speak(obj, offsets)
    copy = obj.copy()
    copy.data = obj.data.copy()
    bpy.context.scene.collection.objects.link(copy)
    copy.codetalker.strength_mouth = 0.0
    copy.codetalker.offset_s = 1.0
    assert_shows(obj, offsets, limit=1e-4 + EXACT)
    assert np.abs(shown(copy, START) - scenes.sheet_vertices() * 0).max() <= 1e-4
    assert np.abs(shown(copy, START + 24 + 7)).max() > 1e-3


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_output_can_be_changed_afterwards(obj: bpy.types.Object, output: str) -> None:
    add_own(obj, "key")
    offsets = made_motion()
    speak(obj, offsets)
    obj.codetalker.output = "COMPACT"
    assert_shows(obj, offsets, limit=1e-4 + EXACT)
    obj.codetalker.use_nla = True
    assert obj.data.shape_keys.animation_data.action is None
    assert_shows(obj, offsets, limit=1e-4 + EXACT)
    obj.codetalker.output = "PER_FRAME"
    obj.codetalker.use_nla = False
    assert not obj.data.shape_keys.animation_data.nla_tracks
    assert_shows(obj, offsets)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_take_survives_saving_and_loading(obj: bpy.types.Object, tmp_path: Path, output: str) -> None:
    offsets = made_motion()
    obj.codetalker.output, obj.codetalker.closure = output, 0.5
    speak(obj, offsets)
    expected = shown(obj, START + 3)
    bpy.ops.wm.save_as_mainfile(filepath=str(tmp_path / "saved.blend"))
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.ops.wm.open_mainfile(filepath=str(tmp_path / "saved.blend"))
    obj = bpy.data.objects["Face"]
    assert obj.codetalker.closure == 0.5
    np.testing.assert_array_equal(shown(obj, START + 3), expected)
    obj.codetalker.closure = 0.0
    assert_shows(obj, offsets, limit=EXACT if output == "PER_FRAME" else 1e-4 + EXACT)


def test_a_mesh_that_was_scaled_and_turned_since_moves_along(obj: bpy.types.Object) -> None:
    """As Apply > All Transforms does with the mesh and its keys."""
    offsets = made_motion()
    obj.codetalker.output = "COMPACT"
    speak(obj, offsets)
    linear = 3.0 * np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    assert isinstance(obj.data, bpy.types.Mesh)
    obj.data.transform(Matrix(linear.tolist()).to_4x4(), shape_keys=True)
    obj.codetalker.closure = 0.0001
    found = scenes.evaluated(obj, START + 3) - scenes.sheet_vertices() @ linear.T
    np.testing.assert_allclose(found, offsets[3] @ linear.T, atol=3 * (1e-4 + EXACT))


def forget(obj: bpy.types.Object) -> None:
    del obj.data.shape_keys[takes.PROPERTY]


def damage(obj: bpy.types.Object) -> None:
    stored = obj.data.shape_keys[takes.PROPERTY]
    stored["packed"] = bytes(stored["packed"])[:-200]


def empty(obj: bpy.types.Object) -> None:
    obj.data.shape_keys[takes.PROPERTY] = {"packed": 3}


@pytest.mark.parametrize("spoil", [forget, damage, empty])
def test_without_the_take_sliders_say_so_and_the_animation_stays(
    obj: bpy.types.Object, spoil: Callable[[bpy.types.Object], None]
) -> None:
    offsets = made_motion()
    speak(obj, offsets)
    spoil(obj)
    obj.codetalker.strength_mouth = 0.0
    assert_shows(obj, offsets)
    before = scenes.dump()
    with pytest.raises(RuntimeError, match=r"raw motion.*Generate again"):
        bpy.ops.codetalker.rewrite()
    with pytest.raises(RuntimeError, match=r"raw motion.*Generate again"):
        bpy.ops.codetalker.reset_tuning()
    assert scenes.differences(before, scenes.dump()) == []
    assert bpy.ops.codetalker.remove() == {"FINISHED"}


def test_sliders_without_an_animation_wait_for_one(obj: bpy.types.Object) -> None:
    obj.codetalker.strength_mouth = 0.5
    assert obj.data.shape_keys is None
    refusal = tuning.obstacle(obj, bpy.context.scene)
    assert refusal is not None and "no CodeTalker animation" in str(refusal)
    with pytest.raises(RuntimeError, match="no CodeTalker animation"):
        bpy.ops.codetalker.remove()


def test_settings_made_in_edit_mode_can_be_applied_later(obj: bpy.types.Object) -> None:
    offsets = made_motion()
    speak(obj, offsets)
    assert tuning.is_applied(obj)
    bpy.context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    obj.codetalker.offset_s = 1.0
    with pytest.raises(RuntimeError, match="Edit Mode"):
        bpy.ops.codetalker.rewrite()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert not tuning.is_applied(obj)
    assert_shows(obj, offsets)
    assert bpy.ops.codetalker.rewrite() == {"FINISHED"}
    assert tuning.is_applied(obj)
    assert_shows(obj, offsets, START + 24)


def test_nla_that_is_switched_off_is_refused(obj: bpy.types.Object) -> None:
    offsets = made_motion()
    speak(obj, offsets)
    obj.data.shape_keys.animation_data.use_nla = False
    before = scenes.dump()["shape_keys/Key"]
    obj.codetalker.use_nla = True
    assert scenes.dump()["shape_keys/Key"] == before
    with pytest.raises(TargetError, match="NLA"):
        tuning.rewrite(obj, bpy.context.scene)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_a_slider_that_fails_midway_changes_nothing(
    obj: bpy.types.Object, output: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    add_own(obj, "action")
    obj.codetalker.output, obj.codetalker.use_nla = output, True
    speak(obj, made_motion())
    obj.codetalker.strength_mouth = 1.5
    bpy.context.scene.frame_set(1)
    before = scenes.dump()
    real = curves.update

    def fail(*arguments: object, **options: object) -> None:
        real(*arguments, **options)  # type: ignore[arg-type]
        raise MemoryError

    monkeypatch.setattr(curves, "update", fail)
    frames = animation.read_own(obj)
    assert frames is not None
    shifted = type(frames)(**{**vars(frames), "start_frame": frames.start_frame + 3})
    with pytest.raises(MemoryError):
        animation.update_animation(obj, shifted, nla=True)
    bpy.context.scene.frame_set(1)
    after = scenes.dump()
    assert scenes.differences(before, after) == []


def test_basis_that_was_sculpted_stays_under_the_speech(obj: bpy.types.Object) -> None:
    offsets = made_motion()
    obj.codetalker.output = "COMPACT"
    speak(obj, offsets)
    basis = obj.data.shape_keys.reference_key
    bump = np.zeros((42, 3), np.float32)
    bump[10] = (0.0, -0.02, 0.0)
    basis.points.foreach_set("co", (scenes.sheet_vertices() + bump).ravel())
    obj.codetalker.closure = 0.0001
    np.testing.assert_allclose(shown(obj, START + 4), offsets[4] + bump, atol=2e-4)
    generation.remove(obj, bpy.context.scene)
    assert obj.data.shape_keys is None
    found = np.empty((42, 3), np.float32)
    obj.data.vertices.foreach_get("co", found.ravel())
    np.testing.assert_array_equal(found, scenes.sheet_vertices() + bump)


def test_compact_without_its_basis_is_refused(obj: bpy.types.Object) -> None:
    obj.codetalker.output = "COMPACT"
    speak(obj, made_motion())
    obj.shape_key_remove(obj.data.shape_keys.key_blocks["Basis"])
    refusal = tuning.obstacle(obj, bpy.context.scene)
    assert refusal is not None and "Basis" in str(refusal)
    before = scenes.dump()["shape_keys/Key"]
    obj.codetalker.strength_mouth = 0.0
    assert scenes.dump()["shape_keys/Key"] == before


class Layout:
    """Stands in for Blender's layout, which cannot be drawn without a window: notes what is put on it."""

    def __init__(self, shown: list[str], settable: list[str]) -> None:
        self.shown, self.settable, self.enabled = shown, settable, True

    def _part(self, **options: object) -> Layout:
        part = Layout(self.shown, self.settable)
        part.enabled = self.enabled
        return part

    row = column = box = _part

    def label(self, text: str, icon: str = "NONE") -> None:
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.shown.append(text)

    def prop(self, data: bpy.types.bpy_struct, name: str) -> None:
        assert data.bl_rna.properties[name].description
        if self.enabled:
            self.settable.append(name)

    def operator(self, name: str, icon: str = "NONE") -> None:
        assert icon in bpy.types.UILayout.bl_rna.functions["operator"].parameters["icon"].enum_items
        assert getattr(bpy.ops.codetalker, name.split(".")[1]).get_rna_type().description
        self.shown.append(name)


def drawn(panel: type[bpy.types.Panel]) -> tuple[str, list[str]]:
    """All text of a panel, and the settings that can be changed in it."""
    layout = Layout([], [])
    panel.draw(SimpleNamespace(layout=layout), bpy.context)  # type: ignore[arg-type]
    return "\n".join(layout.shown), layout.settable


def test_panels_say_why_sliders_are_dead_and_what_was_written(obj: bpy.types.Object) -> None:
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert "no CodeTalker animation" in text and not settable
    obj.codetalker.output = "COMPACT"
    text, settable = drawn(panels.CODETALKER_PT_generate)
    assert {"output", "max_error_mm", "use_nla"} <= set(settable)
    speak(obj, made_motion())
    text, settable = drawn(panels.CODETALKER_PT_generate)
    assert "keys, at most 0.0" in text
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert set(settable) == set(tuning.TUNING)
    forget(obj)
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert "no longer holds the raw motion" in text and not settable
    bpy.context.scene.codetalker.target = None
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert "No target mesh" in text and not settable


def test_run_slider_and_removal_are_undone_one_by_one(obj: bpy.types.Object) -> None:
    offsets = made_motion()
    bpy.ops.ed.undo_push(message="before")
    speak(obj, offsets)
    bpy.ops.ed.undo_push(message="run")
    obj.codetalker.strength_mouth = 0.0
    bpy.ops.ed.undo_push(message="slider")
    tuned = shown(obj, START + 3)
    assert bpy.ops.codetalker.remove("EXEC_DEFAULT", True) == {"FINISHED"}
    assert obj.data.shape_keys is None
    bpy.ops.ed.undo()
    obj = bpy.data.objects["Face"]
    np.testing.assert_array_equal(shown(obj, START + 3), tuned)
    bpy.ops.ed.undo()
    obj = bpy.data.objects["Face"]
    assert obj.codetalker.strength_mouth == 1.0 and tuning.is_applied(obj)
    assert_shows(obj, offsets)
    # The raw motion is there again, too.
    obj.codetalker.strength_mouth = 0.0
    np.testing.assert_array_equal(shown(obj, START + 3), tuned)
