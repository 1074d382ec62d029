"""The button, end to end with a small real model: audio in, a speaking mesh out, refusals harmless."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.preferences import engine_settings
from codetalker_blender.blender.runs import generation, jobs
from codetalker_blender.contracts import Motion
from codetalker_blender.errors import UserError
from codetalker_blender.model_files import read_card, read_face
from tests.blender import scenes, speaking, timeline

Matrix = NDArray[np.float64]


def motion_of() -> Motion:
    """What the engine gives for the scene's request, asked for directly."""
    return jobs.run_blocking(generation.prepare(bpy.context), engine_settings())[0]


def write(prepared: generation.Prepared, motion: Motion) -> generation.Written:
    """What follows when the model is done."""
    return generation.write(prepared, generation.capture(prepared, motion))


def made_motion() -> Motion:
    """Some frames of centimetre offsets, for what does not depend on where a motion comes from."""
    offsets = np.random.default_rng(0).normal(scale=0.005, size=(8, 42, 3)).astype(np.float32)
    return Motion(offsets=offsets, fps=24.0, codes=np.zeros((8, 4), np.int32), model_fps=24.0)


def assert_speaks(
    obj: bpy.types.Object, motion: Motion, start: int, linear: Matrix, rest: scenes.Coordinates
) -> None:
    """At every frame the evaluated mesh is rest + linear · offsets, within 1e-5 of the head's height."""
    limit = 1e-5 * scenes.height(rest)
    for index, offsets in enumerate(motion.offsets):
        expected = rest + offsets @ linear.T
        assert np.abs(scenes.evaluated(obj, start + index) - expected).max() <= limit, (
            f"frame {start + index}"
        )
    for frame in (start - 1, start + len(motion.offsets)):
        assert np.abs(scenes.evaluated(obj, frame) - rest).max() <= limit, f"frame {frame}"


def test_mesh_speaks_and_the_second_run_changes_nothing(settings: bpy.types.bpy_struct) -> None:
    obj = settings.target = scenes.add_sheet()
    assert bpy.ops.codetalker.generate() == {"FINISHED"}
    first = scenes.dump()
    assert bpy.ops.codetalker.generate() == {"FINISHED"}
    assert scenes.dump() == first
    motion = motion_of()
    assert np.ptp(motion.offsets, axis=0).max() > 1e-4, "the model moves nothing, so this test shows nothing"
    assert_speaks(obj, motion, 1, np.eye(3), scenes.sheet_vertices())
    if compat.has_audio():
        assert [s.type for s in compat.all_strips(bpy.context.scene.sequence_editor)] == ["SOUND"]


@pytest.mark.parametrize(
    ("fps", "base", "start"), [(24, 1.0, 1), (25, 1.0, -15), (30, 1.001, 100), (60, 1.0, 7)]
)
def test_scene_keeps_its_rate_and_the_clip_its_duration(
    settings: bpy.types.bpy_struct, fps: int, base: float, start: int
) -> None:
    scene = bpy.context.scene
    obj = settings.target = scenes.add_sheet()
    scene.render.fps, scene.render.fps_base = fps, base
    scene.frame_start, scene.frame_end = 3, 33
    scene.frame_set(start)
    prepared = generation.prepare(bpy.context)
    motion, _ = jobs.run_blocking(prepared, engine_settings())
    write(prepared, motion)
    assert scene.render.fps == fps
    assert scene.render.fps_base == pytest.approx(base)
    assert (scene.frame_start, scene.frame_end, scene.frame_current) == (3, 33, start)
    assert motion.fps == pytest.approx(fps / base)
    assert len(motion.offsets) == pytest.approx(0.8 * fps / base, abs=2.5)
    assert_speaks(obj, motion, start, np.eye(3), scenes.sheet_vertices())


def turn_y_up() -> Matrix:
    """Z up, facing -Y -> Y up, facing Z."""
    return np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])


@pytest.mark.parametrize(
    ("linear", "move"),
    [
        (1000.0 * np.eye(3), (0, 0, 0)),
        (0.2 * np.eye(3), (5, -3, 2)),
        (turn_y_up(), (0, 1, 0)),
        (37.0 * turn_y_up() @ turn_y_up().T[:, [1, 2, 0]], (100, 0, 0)),
        (np.diag([-1.0, 1, 1]), (0, 0, 0)),
    ],
    ids=["x1000", "x0.2", "Y up", "scaled and turned", "mirrored"],
)
@pytest.mark.parametrize("own_key", [False, True])
def test_any_scale_and_axes(
    settings: bpy.types.bpy_struct, linear: Matrix, move: tuple[float, ...], own_key: bool
) -> None:
    rest = (scenes.sheet_vertices() @ linear.T + move).astype(np.float32)
    obj = settings.target = scenes.add_mesh("Face", rest, scenes.sheet_quads())
    if own_key:
        obj.shape_key_add(name="Basis", from_mix=False)
        obj.shape_key_add(name="Own", from_mix=False)
    obj.location, obj.scale, obj.rotation_euler = (1, 2, 3), (2, 3, 4), (0.1, 0.2, 0.3)
    motion = made_motion()
    write(generation.prepare(bpy.context), motion)
    assert_speaks(obj, motion, 1, linear, rest)


def test_another_identity_keeps_its_own_face(settings: bpy.types.bpy_struct) -> None:
    noise = np.random.default_rng(0).normal(scale=0.004, size=(42, 3))
    rest = (scenes.sheet_vertices() + noise).astype(np.float32)
    obj = settings.target = scenes.add_mesh("Other", rest, scenes.sheet_quads())
    written = write(generation.prepare(bpy.context), made_motion())
    assert 2.0 < written.residual_mm < 10.0
    assert written.scale == pytest.approx(1.0, abs=0.05)
    assert np.abs(scenes.evaluated(obj, 0) - rest).max() < 1e-6


def test_triangles_quads_and_flipped_normals_are_the_same_face(
    settings: bpy.types.bpy_struct, tiny_model: Path
) -> None:
    triangles = read_face(tiny_model, read_card(tiny_model)).triangles
    settings.target = scenes.add_mesh("Face", scenes.sheet_vertices(), triangles[::-1, ::-1])
    assert generation.prepare(bpy.context).target == "Face"


def test_settings_reach_the_request(settings: bpy.types.bpy_struct) -> None:
    settings.target = scenes.add_sheet()
    request = generation.prepare(bpy.context).request
    assert request.style.tolist() == [[1.0, 0.0, 0.0]]
    assert (request.temperature, request.seed, request.device) == (None, 0, "auto")
    settings.style, settings.variation = "lively", 0.5
    settings.seed, settings.device = 3, "cpu"
    request = generation.prepare(bpy.context).request
    assert request.style.tolist() == [[0.0, 1.0, 0.0]]
    assert (request.temperature, request.seed, request.device) == (0.5, 3, "cpu")


def refused(match: str) -> None:
    """The button refuses in one sentence, and the file is as it was."""
    before = scenes.dump()
    with pytest.raises(RuntimeError, match=match) as caught:
        bpy.ops.codetalker.generate()
    assert "Traceback" not in str(caught.value)
    assert len(str(caught.value).strip().splitlines()) == 1
    assert scenes.dump() == before


def other_connectivity() -> NDArray[np.int64]:
    quads = scenes.sheet_quads()
    return np.where(quads == 3, 4, np.where(quads == 4, 3, quads))


TARGETS: dict[str, tuple[Callable[[], bpy.types.Object | None], str]] = {
    "none": (lambda: None, "No target mesh"),
    "larger": (
        lambda: scenes.add_mesh("Big", scenes.sheet_vertices(8, 6), scenes.sheet_quads(8, 6)),
        "48 vertices where the model 'tiny' expects its own face of 42.*Existing Keys",
    ),
    "connectivity": (
        lambda: scenes.add_mesh("Odd", scenes.sheet_vertices(), other_connectivity()),
        "42 vertices.*connected differently",
    ),
    "point": (
        lambda: scenes.add_mesh("Point", np.zeros((42, 3), np.float32), scenes.sheet_quads()),
        "no extent",
    ),
}


@pytest.mark.parametrize("case", TARGETS)
def test_unfit_targets_are_refused(settings: bpy.types.bpy_struct, case: str) -> None:
    make, match = TARGETS[case]
    settings.target = make()
    refused(match)


def test_target_that_is_no_mesh_is_refused(settings: bpy.types.bpy_struct) -> None:
    light = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    bpy.context.scene.collection.objects.link(light)
    settings.target = light  # the poll keeps it out of the menu, not out of a script's hands
    refused("not a mesh")


def test_shared_mesh_is_refused(settings: bpy.types.bpy_struct) -> None:
    obj = settings.target = scenes.add_sheet()
    bpy.context.scene.collection.objects.link(bpy.data.objects.new("Twin", obj.data))
    refused("shared by 2 objects.*Make Single User")


@pytest.mark.parametrize("override", [False, True])
def test_linked_mesh_is_refused(settings: bpy.types.bpy_struct, tmp_path: Path, override: bool) -> None:
    library = tmp_path / "library.blend"
    obj = scenes.add_sheet("Linked")
    bpy.data.libraries.write(str(library), {obj})
    bpy.data.objects.remove(obj)
    with bpy.data.libraries.load(str(library), link=True) as (source, target):
        target.objects = source.objects
    obj = target.objects[0]
    bpy.context.scene.collection.objects.link(obj)
    settings.target = obj.override_create(remap_local_usages=True) if override else obj
    refused("Make Local")


def test_edit_mode_is_refused(settings: bpy.types.bpy_struct) -> None:
    obj = settings.target = scenes.add_sheet()
    bpy.context.view_layer.objects.active = obj
    bpy.ops.object.mode_set(mode="EDIT")
    with pytest.raises(RuntimeError, match="Edit Mode"):
        bpy.ops.codetalker.generate()
    bpy.ops.object.mode_set(mode="OBJECT")
    assert obj.data.shape_keys is None
    assert generation.prepare(bpy.context).target == "Face"


@pytest.mark.parametrize("content", [b"", b"this is not sound", b"RIFF\x10\0\0\0WAVE"])
def test_bad_sound_is_refused(settings: bpy.types.bpy_struct, tmp_path: Path, content: bytes) -> None:
    bad = tmp_path / "bad.wav"
    bad.write_bytes(content)
    settings.target, settings.audio = scenes.add_sheet(), str(bad)
    refused("bad.wav")


@pytest.mark.parametrize("name", ["", "absent.wav", "."])
def test_missing_sound_is_refused(settings: bpy.types.bpy_struct, tmp_path: Path, name: str) -> None:
    settings.target, settings.audio = scenes.add_sheet(), str(tmp_path / name) if name else ""
    refused("audio file|folder")


@pytest.mark.parametrize("damage", ["absent", "config", "weights", "face"])
def test_broken_model_is_refused(
    settings: bpy.types.bpy_struct, tmp_path: Path, tiny_model: Path, damage: str
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    if damage == "absent":
        shutil.rmtree(broken)
    else:
        file = broken / {"config": "config.json", "weights": "model.safetensors", "face": "face.npz"}[damage]
        file.write_bytes(file.read_bytes()[:-20])
    settings.target, settings.model_folder = scenes.add_sheet(), str(broken)
    if damage in ("absent", "config"):
        with pytest.raises(RuntimeError, match=r"config\.json"):
            bpy.ops.codetalker.generate()
    else:
        refused("broken|cut short")


def test_target_and_scene_renamed_while_the_model_runs_are_found_again(
    settings: bpy.types.bpy_struct,
) -> None:
    obj = settings.target = scenes.add_sheet()
    prepared = generation.prepare(bpy.context)
    obj.name, bpy.context.scene.name = "Renamed", "Act Two"
    scenes.add_sheet()  # takes over the name
    written = write(prepared, made_motion())
    assert written.target == "Renamed"
    assert obj.data.shape_keys is not None
    assert bpy.data.objects["Face"].data.shape_keys is None


def test_target_removed_while_the_model_runs_is_refused(settings: bpy.types.bpy_struct) -> None:
    settings.target = scenes.add_sheet()
    prepared = generation.prepare(bpy.context)
    bpy.data.objects.remove(settings.target)
    scenes.add_sheet()  # another one, of the same name
    before = scenes.dump()
    with pytest.raises(UserError, match="object 'Face' was removed while the model was running"):
        write(prepared, made_motion())
    assert scenes.dump() == before


def delete(obj: bpy.types.Object) -> None:
    """What X in the viewport does."""
    with bpy.context.temp_override(selected_objects=[obj], active_object=obj):
        bpy.ops.object.delete()


def test_target_deleted_from_the_scene_is_refused(settings: bpy.types.bpy_struct) -> None:
    obj = settings.target = scenes.add_sheet()
    prepared = generation.prepare(bpy.context)
    delete(obj)
    assert settings.target == obj, "the setting no longer keeps a deleted object, so this test shows nothing"
    reasons = {check.label: check.reason for check in generation.checks(bpy.context)}
    assert "not in the scene" in reasons["Target"]
    with pytest.raises(UserError, match="not in the scene"):
        write(prepared, made_motion())
    assert obj.data.shape_keys is None
    refused("not in the scene")


def test_deleted_twin_does_not_share_the_mesh(settings: bpy.types.bpy_struct) -> None:
    first = settings.target = scenes.add_sheet("First")
    second = bpy.data.objects.new("Second", first.data)
    bpy.context.scene.collection.objects.link(second)
    delete(first)
    # As another scene's setting does, which goes on naming it.
    bpy.data.scenes.new("Second Scene").codetalker.target = first
    settings.target = second
    assert "First" in bpy.data.objects
    assert generation.prepare(bpy.context).target == "Second"


@pytest.mark.skipif(not compat.has_audio(), reason="this Blender is built without audio")
def test_from_a_strip_the_mesh_speaks_what_is_heard(
    settings: bpy.types.bpy_struct, speech_file: Path
) -> None:
    """A strip cut to its later part gives the motion of that part, from the strip's first frame on."""
    obj = settings.target = scenes.add_sheet()
    strip = timeline.add_strip(speech_file, 20)
    timeline.set_left(strip, 26)
    settings.source, settings.strip = "STRIP", strip.name
    before = scenes.dump()
    prepared = generation.prepare(bpy.context)
    assert prepared.start_frame == 26
    audio = prepared.request.audio
    # Where Blender does not tell of retimed sound, a mixdown of the strip is read instead of its file.
    start_s = 6 / 24 if compat.tells_retiming(strip) else 0.0
    assert (audio.start_s, audio.duration_s) == pytest.approx((start_s, 13 / 24))
    motion, _ = jobs.run_blocking(prepared, engine_settings())
    written = write(prepared, motion)
    assert written.first_frame == 26
    speaking.assert_shows(obj, motion.offsets, 26)
    after = scenes.dump()
    strips_of = [found["scenes/Scene"]["sequence_editor"] for found in (before, after)]
    assert scenes.differences(*strips_of) == []
    strip.mute = True
    assert any("is muted" in text for text in write(generation.prepare(bpy.context), motion).warnings)


@pytest.mark.skipif(not compat.has_audio(), reason="this Blender is built without audio")
def test_renamed_target_moves_its_sound(settings: bpy.types.bpy_struct) -> None:
    obj = settings.target = scenes.add_sheet()
    write(generation.prepare(bpy.context), made_motion())
    obj.name = obj.data.name = "Renamed"
    bpy.context.scene.frame_set(40)
    write(generation.prepare(bpy.context), made_motion())
    found = compat.all_strips(bpy.context.scene.sequence_editor)
    assert [compat.strip_span(strip)[0] for strip in found] == [40]
    # A copy is not the renamed original: both speak.
    copy = settings.target = obj.copy()
    copy.data = obj.data.copy()
    bpy.context.scene.collection.objects.link(copy)
    bpy.context.scene.frame_set(90)
    write(generation.prepare(bpy.context), made_motion())
    found = compat.all_strips(bpy.context.scene.sequence_editor)
    assert sorted(compat.strip_span(strip)[0] for strip in found) == [40, 90]


def test_panel_lists_what_is_missing(settings: bpy.types.bpy_struct) -> None:
    reasons = {check.label: check.reason for check in generation.checks(bpy.context)}
    assert reasons == {"Audio": "", "Target": "No target mesh is chosen.", "Model": "", "Engine": ""}
    settings.target, settings.audio = scenes.add_sheet(), ""
    reasons = {check.label: check.reason for check in generation.checks(bpy.context)}
    assert [label for label, reason in reasons.items() if reason] == ["Audio"]
    settings.target = scenes.add_mesh("Big", scenes.sheet_vertices(8, 6), scenes.sheet_quads(8, 6))
    reasons = {check.label: check.reason for check in generation.checks(bpy.context)}
    assert "48 vertices" in reasons["Target"]


def test_a_device_that_failed_is_a_warning(
    settings: bpy.types.bpy_struct, obj: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine, hosted in this process, is sent to a device that this torch was built without."""
    torch = pytest.importorskip("torch", reason="the engine runs inside Blender here")
    if torch.backends.mps.is_available():
        pytest.skip("MPS works here")
    from codetalker_blender.engine import generate as engine_generate

    settings.target = obj
    monkeypatch.setattr(engine_generate, "choose_device", lambda name: torch.device("mps"))
    inside = dataclasses.replace(engine_settings(), mode="inside")
    prepared = generation.prepare(bpy.context)
    motion, report = jobs.run_blocking(prepared, inside)
    assert report.device == "cpu"
    written = generation.write(prepared, generation.capture(prepared, motion), report.notes)
    assert any("'mps' failed" in warning for warning in written.warnings)
