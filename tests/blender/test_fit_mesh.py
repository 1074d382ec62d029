"""A head of another topology: the model's face is fitted to it once, and every later run moves it.

The head is the demo head's own surface, re-meshed, decimated, turned and scaled, so that its true motion
is known.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
from mathutils import Euler, Matrix

from codetalker_blender import resources
from codetalker_blender.blender.mesh import target
from codetalker_blender.blender.retargeting import bindings, fit_preview, fitting, landmarks, tuning
from codetalker_blender.blender.retargeting.outcomes import Outcome
from codetalker_blender.blender.runs import generation
from codetalker_blender.blender.runs.preview import Preview, portrait_of
from codetalker_blender.blender.sidebar import fit_panel
from codetalker_blender.blender.writing import takes
from codetalker_blender.contracts import FloatArray, Motion, ShapeWeights
from codetalker_blender.errors import TargetError
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.model_files import read_card, read_face
from tests.blender import scenes, test_panels
from tests.face import heads

Array = NDArray[np.float64]

START, FRAMES = 5, 10
SCALE = 40.0
TURN = np.linalg.qr(np.random.default_rng(6).normal(size=(3, 3)))[0]
TURN = TURN * np.sign(np.linalg.det(TURN))
REST = demo_head_face().vertices.astype(np.float64)
TRIANGLES = demo_head_face().triangles.astype(np.int64)
MID = demo_head_face().mid_lips.astype(np.int64)


@cache
def remeshed() -> heads.Mesh:
    """The demo head with a fifth of a subdivided one's vertices."""
    finer = heads.subdivided(REST, TRIANGLES)
    return heads.thinned(finer, np.ones(len(finer.points), bool), MID, 0.18, seed=1)


def placed(points: Array) -> Array:
    """Metres of the demo head -> the test mesh's units and axes."""
    return np.asarray(points @ TURN.T * SCALE + [3.0, -1.0, 2.0])


@cache
def offsets() -> FloatArray:
    """(FRAMES, V, 3) an open, smiling, blinking mouth that shuts at the fifth frame."""
    names = ("jawOpen", "mouthSmileLeft", "mouthSmileRight", "mouthFunnel", "eyeBlinkLeft")
    phases = np.arange(FRAMES)[:, None] * np.linspace(0.3, 0.7, len(names)) + np.arange(len(names))
    weights = (0.4 - 0.4 * np.cos(phases)).astype(np.float32)
    weights[4] = 0.0
    return demo_head_shapes().motion(ShapeWeights(names, weights, 24.0))


@cache
def take() -> bytes:
    card = read_card(resources.default_model())
    return takes.capture(Motion(offsets(), 24.0, np.zeros((1, 1), np.int32), 24.0), demo_head_face(), card)


@cache
def computed(companions: bool) -> dict[str, bindings.Kept | None]:
    """What the target and its companions keep, by name; made once: numbers of objects differ."""
    scene = bpy.context.scene
    wanted = fitting.read(scene.codetalker.target, scene, *model())
    kept = fitting.compute(wanted).kept
    return {shape.name: kept[shape.uid] for shape in (wanted.target, *wanted.companions)}


def model() -> tuple[Any, Any]:
    folder = resources.default_model()
    card = read_card(folder)
    return read_face(folder, card), card


def fit(obj: bpy.types.Object, *companions: bpy.types.Object) -> None:
    """As the button does, with an earlier test's fit of the same meshes."""
    found = computed(bool(companions))
    for mesh in (obj, *companions):
        bindings.keep(mesh, found[mesh.name])


@pytest.fixture
def head(blender: None) -> bpy.types.Object:
    """With an armature, a subdivision, a key of the animator's own, and a turned and stretched object."""
    mesh = remeshed()
    obj = scenes.add_mesh("Head", placed(mesh.points).astype(np.float32), mesh.triangles)
    obj.scale, obj.rotation_euler, obj.location = (2.0, 3.0, 0.5), (0.3, 1.0, 2.0), (1.0, 2.0, 3.0)
    obj.shape_key_add(name="Basis", from_mix=False)
    own = obj.shape_key_add(name="Own", from_mix=False)
    own.points[0].co.x += 1.0
    own.value = 0.5
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.scene.collection.objects.link(rig)
    obj.modifiers.new("Armature", "ARMATURE").object = rig
    settings = bpy.context.scene.codetalker
    settings.target = obj
    settings.model, settings.model_folder = "OTHER_FOLDER", str(resources.default_model())
    settings.audio = str(resources.assets_folder() / "speech" / "demo.flac")
    bpy.context.view_layer.update()
    return obj


def speak(obj: bpy.types.Object) -> Outcome:
    return tuning.write(obj, takes.Placed(take(), START))


def moved(obj: bpy.types.Object, frame: int) -> Array:
    """Offsets from rest at a frame, metres and axes of the model."""
    still = scenes.evaluated(obj, START - 20).astype(np.float64)
    return np.asarray((scenes.evaluated(obj, frame) - still) @ TURN / SCALE)


def wanted(frame: int) -> Array:
    return remeshed().of(offsets()[frame - START].astype(np.float64))


def error_share(obj: bpy.types.Object) -> float:
    """Mean error over the mean size of the motion; the bar for speech stands in tests/face."""
    frames = range(START, START + FRAMES)
    errors = [np.linalg.norm(moved(obj, frame) - wanted(frame), axis=1).mean() for frame in frames]
    return float(np.sum(errors) / np.sum([np.linalg.norm(wanted(f), axis=1).mean() for f in frames]))


def target_line() -> str:
    return next(str(check) for check in generation.checks(bpy.context) if check.label == "Target")


def test_a_mesh_that_is_not_fitted_says_what_to_do(head: bpy.types.Object) -> None:
    assert "expects its own face of 4,828: fit that to it first" in target_line()
    with pytest.raises(RuntimeError, match="under Other Topology"):
        bpy.ops.codetalker.generate()
    assert bindings.kept_of(head) is None


def test_the_button_fits_and_the_mesh_speaks(head: bpy.types.Object) -> None:
    before = scenes.dump()
    assert bpy.ops.codetalker.fit_mesh() == {"FINISHED"}
    assert all(".custom.codetalker_fit" in line for line in scenes.differences(before, scenes.dump()))
    assert "3,445 vertices, fitted to 0." in target_line().replace(f"{len(head.data.vertices):,}", "3,445")
    outcome = speak(head)
    assert outcome.fitted and outcome.key_count == FRAMES and outcome.warning is None
    assert error_share(head) <= 0.025
    rest = scenes.evaluated(head, START - 20)
    np.testing.assert_array_equal(rest, scenes.evaluated(head, START + FRAMES + 20))
    assert head.data.shape_keys.key_blocks["Own"].value == 0.5


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_lips_close_where_the_model_closes_them(head: bpy.types.Object, output: str) -> None:
    fit(head)
    head.codetalker.output, head.codetalker.max_error_mm = output, 0.05
    speak(head)
    upper, lower = (np.flatnonzero((remeshed().pairs == v).all(axis=1))[0] for v in MID)
    rest, closed = remeshed().points[[upper, lower]], 0
    for frame in range(START, START + FRAMES):
        shown = rest + moved(head, frame)[[upper, lower]]
        own = REST[MID] + offsets()[frame - START][MID]
        gap, own_gap = (float(np.linalg.norm(points[0] - points[1])) for points in (shown, own))
        closed += own_gap < 0.5e-3
        assert gap == pytest.approx(own_gap, rel=0.05, abs=2e-4)
    assert closed >= 1


def test_the_preview_shows_the_fitted_mesh(head: bpy.types.Object) -> None:
    """In the scene's axes, as it will be when the keys are written."""
    fit(head)
    lead = bindings.leading(head, demo_head_face().vertices)
    assert lead is not None
    rest = target.rest_of(head)
    preview = Preview(portrait_of(head, rest, lead, 1.0), 24.0)
    preview.add(0, offsets())
    found: list[FloatArray] = []
    for _ in range(2):
        preview.advance(8 / 24 * len(found))
        shown = preview.frame()
        assert shown is not None
        found.append(shown[1])
    speak(head)
    head.data.shape_keys.key_blocks["Own"].value = 0.0
    seen = [scenes.evaluated(head, START + frame) for frame in (0, 8)]
    expected = (seen[1] - seen[0]) @ np.array(head.matrix_world)[:3, :3].T
    np.testing.assert_allclose(found[1] - found[0], expected, atol=1e-3)
    with pytest.raises(ValueError, match="for a face of 4828"):
        preview.add(0, np.zeros((1, len(rest), 3), np.float32))


def test_sliders_move_the_mesh_and_come_back(head: bpy.types.Object) -> None:
    fit(head)
    speak(head)
    before = moved(head, START + 8)
    head.codetalker.strength_mouth = head.codetalker.strength_jaw = 0.0
    assert np.abs(moved(head, START + 8)).max() < 0.5 * np.abs(before).max()
    assert bpy.ops.codetalker.reset_tuning() == {"FINISHED"}
    np.testing.assert_allclose(moved(head, START + 8), before, atol=1e-7)
    assert tuning.is_applied(head)


@pytest.mark.parametrize("output", ["PER_FRAME", "COMPACT"])
def test_removing_restores_all(head: bpy.types.Object, output: str) -> None:
    head.codetalker.output = output
    before = scenes.dump()
    fit(head)
    speak(head)
    speak(head)
    generation.remove(head, bpy.context.scene)
    bindings.keep(head, None)
    assert scenes.differences(before, scenes.dump()) == []


def test_a_forgotten_fit_leaves_the_animation_but_no_sliders(head: bpy.types.Object) -> None:
    before = scenes.dump()
    fit(head)
    assert bpy.ops.codetalker.show_fit() == {"FINISHED"}
    assert bpy.ops.codetalker.add_landmarks() == {"FINISHED"}
    assert bpy.ops.codetalker.forget_fit() == {"FINISHED"}
    assert scenes.differences(before, scenes.dump()) == []
    fit(head)
    speak(head)
    spoken = moved(head, START + 8)
    assert bpy.ops.codetalker.forget_fit() == {"FINISHED"}
    np.testing.assert_array_equal(moved(head, START + 8), spoken)
    with pytest.raises(TargetError, match="The fit that led 'Head' was forgotten"):
        tuning.rewrite(head, bpy.context.scene)
    with pytest.raises(RuntimeError, match="is not fitted"):
        bpy.ops.codetalker.forget_fit()


def test_a_saved_file_keeps_the_fit(head: bpy.types.Object, tmp_path: Path) -> None:
    fit(head)
    path = str(tmp_path / "fitted.blend")
    bpy.ops.wm.save_as_mainfile(filepath=path)
    bpy.ops.wm.open_mainfile(filepath=path)
    head = bpy.context.scene.codetalker.target
    assert "fitted to" in target_line()
    speak(head)
    assert error_share(head) <= 0.025
    copy = head.copy()
    copy.data = head.data.copy()
    bpy.context.scene.collection.objects.link(copy)
    speak(copy)
    np.testing.assert_array_equal(moved(copy, START + 8), moved(head, START + 8))


def shift_a_vertex(obj: bpy.types.Object) -> None:
    obj.data.shape_keys.reference_key.points[5].co.x += 0.1


def drop_a_face(obj: bpy.types.Object) -> None:
    obj.data.loops[0].vertex_index = (obj.data.loops[0].vertex_index + 7) % len(obj.data.vertices)


@pytest.mark.parametrize("change", [shift_a_vertex, drop_a_face])
def test_a_mesh_that_changed_since_is_refused(
    head: bpy.types.Object, change: Callable[[bpy.types.Object], None]
) -> None:
    fit(head)
    speak(head)
    change(head)
    assert "'Head' has changed since the model's face was fitted to it" in target_line()
    before = scenes.dump()
    with pytest.raises(TargetError, match="has changed since"):
        speak(head)
    with pytest.raises(TargetError, match="has changed since"):
        tuning.rewrite(head, bpy.context.scene)
    assert scenes.differences(before, scenes.dump()) == []


def test_a_fit_of_another_face_is_not_used(head: bpy.types.Object, tiny_model: Path) -> None:
    fit(head)
    bpy.context.scene.codetalker.model_folder = str(tiny_model)
    assert "expects its own face of 42" in target_line()
    with pytest.raises(RuntimeError, match="fitted to another model's face"):
        bpy.ops.codetalker.show_fit()


def add_ball(name: str, centre: Array, radius: float) -> bpy.types.Object:
    turn, rise = np.meshgrid(np.arange(32) * np.pi / 16, np.linspace(0.05, np.pi - 0.05, 20))
    points = np.stack([np.sin(rise) * np.cos(turn), np.sin(rise) * np.sin(turn), -np.cos(rise)], -1)
    index = np.arange(640).reshape(20, 32)
    quads = [index[:-1], np.roll(index[:-1], -1, 1), np.roll(index[1:], -1, 1), index[1:]]
    placed_points = (centre + radius * points.reshape(-1, 3)).astype(np.float32)
    return scenes.add_mesh(name, placed_points, np.stack(quads, -1).reshape(-1, 4))


def test_what_has_no_face_is_refused_with_reasons(head: bpy.types.Object) -> None:
    bpy.context.scene.codetalker.target = add_ball("Ball", np.zeros(3), 1.0)
    before = scenes.dump()
    with pytest.raises(RuntimeError, match=r"cannot be fitted to this mesh: .*(opening|needed|allowed)"):
        bpy.ops.codetalker.fit_mesh()
    half = bpy.context.scene.codetalker.target = scenes.add_sheet("Half")
    half.modifiers.new("Mirror", "MIRROR")
    with pytest.raises(RuntimeError, match=r"it has 42 vertices in the face.*apply that first"):
        bpy.ops.codetalker.fit_mesh()
    bpy.data.objects.remove(half)
    bpy.data.meshes.remove(bpy.data.meshes["Half"])
    bpy.context.scene.codetalker.target = bpy.data.objects["Ball"]
    assert scenes.differences(before, scenes.dump()) == []


def test_teeth_that_are_a_mesh_of_their_own_follow_rigidly(head: bpy.types.Object) -> None:
    """In other units and axes than the head; a hat, which lies away from the face, is left alone."""
    mesh = remeshed()
    in_teeth = np.isin(mesh.pairs[:, 0], demo_head_face().regions["lower_teeth"])
    rows = np.flatnonzero(in_teeth)
    numbers = np.full(len(in_teeth), -1)
    numbers[rows] = np.arange(len(rows))
    faces = numbers[mesh.triangles[in_teeth[mesh.triangles].all(axis=1)]]
    world = Matrix.LocRotScale((5.0, 6.0, 7.0), Euler((1.0, 2.0, 0.3)), (0.1, 0.1, 0.2))
    way = np.array(world.inverted() @ head.matrix_world)
    points = (placed(mesh.points[rows]) @ way[:3, :3].T + way[:3, 3]).astype(np.float32)
    teeth = scenes.add_mesh("Teeth", points, faces)
    hat = add_ball("Hat", placed(np.array([[0.0, 0.0, 0.5]])), 1.0)
    teeth.matrix_world, hat.matrix_world = world, head.matrix_world
    bpy.context.view_layer.update()
    for other in (teeth, hat):
        head.codetalker.mapping.companions.add().object = other
    scenes.evaluated(head, 1)
    before = scenes.dump()
    fit(head, teeth, hat)
    assert bindings.kept_of(hat) is None
    outcome = speak(head)
    assert outcome.warning == "Not fitted, and so still: 'Hat'." and hat.data.shape_keys is None
    back = np.linalg.inv(way[:3, :3]).T
    still = scenes.evaluated(teeth, START - 20)
    for frame in (START + 3, START + 8):
        found = (scenes.evaluated(teeth, frame) - still) @ back @ TURN / SCALE
        expected = wanted(frame)[rows]
        size = np.linalg.norm(expected, axis=1).mean()
        assert np.linalg.norm(found - expected, axis=1).mean() < 0.03 * size
    head.codetalker.strength_jaw = 0.0
    assert np.abs(scenes.evaluated(teeth, START + 8) - still).max() < 1e-4
    assert bpy.ops.codetalker.reset_tuning() == {"FINISHED"}
    head.codetalker.property_unset("strength_jaw")
    teeth.data.shape_keys.reference_key.points[0].co.x += 1.0
    with pytest.raises(TargetError, match="The mesh of 'Teeth' has changed"):
        speak(head)
    teeth.data.shape_keys.reference_key.points[0].co.x = points[0, 0]
    speak(head)
    generation.remove(head, bpy.context.scene)
    assert bpy.ops.codetalker.forget_fit() == {"FINISHED"}
    scenes.evaluated(head, 1)
    assert scenes.differences(before, scenes.dump()) == []
    fit(head, teeth, hat)
    speak(head)
    assert bpy.ops.codetalker.clear_companions() == {"FINISHED"}
    assert bindings.kept_of(teeth) is None and teeth.data.shape_keys is None
    assert bindings.kept_of(head) is not None and np.abs(moved(head, START + 8)).max() > 0.002


def test_the_models_own_face_needs_no_fit(blender: None) -> None:
    bpy.ops.codetalker.add_demo_head()
    settings = bpy.context.scene.codetalker
    settings.model, settings.model_folder = "OTHER_FOLDER", str(resources.default_model())
    with pytest.raises(RuntimeError, match="needs no fit"):
        bpy.ops.codetalker.fit_mesh()


def test_the_fit_is_shown_and_hidden(head: bpy.types.Object) -> None:
    fit(head)
    before = scenes.dump()
    assert bpy.ops.codetalker.show_fit() == {"FINISHED"}
    shown = fit_preview.of(head)
    assert shown is not None and shown.parent == head and shown.hide_render
    bpy.context.view_layer.update()
    assert np.allclose(np.array(shown.matrix_world), np.array(head.matrix_world))
    points = np.array([vertex.co for vertex in shown.data.vertices])
    assert np.linalg.norm(points - placed(REST), axis=1).mean() < 0.002 * SCALE
    assert bpy.ops.codetalker.show_fit() == {"FINISHED"}
    assert scenes.differences(before, scenes.dump()) == []


def test_landmarks_lie_on_the_fit_and_count_when_they_are_moved(head: bpy.types.Object) -> None:
    fit(head)
    bpy.ops.codetalker.add_landmarks()
    marks = landmarks.of(head)
    assert list(marks) == [
        "mouth", "lip_corner_left", "lip_corner_right", "nose_tip", "chin", "eye_left", "eye_right"
    ]  # fmt: skip
    corner = placed(REST[demo_head_face().lip_corners[0]])
    assert np.linalg.norm(np.array(marks["lip_corner_left"].location) - corner) < 0.003 * SCALE
    assert landmarks.placed(head) == {}
    marks["chin"].location.x += 0.5
    expected = np.array(marks["chin"].location)
    found = landmarks.placed(head)
    assert list(found) == ["chin"]
    np.testing.assert_allclose(found["chin"], expected, atol=1e-5)
    assert bpy.ops.codetalker.remove_landmarks() == {"FINISHED"}
    assert landmarks.of(head) == {}


def test_landmarks_without_a_fit_lie_in_the_face(blender: None) -> None:
    """An upright head on a body, in centimetres: the guess is near enough to be moved from."""
    body = [(x, y, z) for x in (-60.0, 60.0) for y in (-9.0, 12.0) for z in (-150.0, -20.0)]
    points = np.concatenate([REST * 100.0, body])
    obj = scenes.add_mesh("Person", points.astype(np.float32), TRIANGLES)
    settings = bpy.context.scene.codetalker
    settings.target, settings.model, settings.model_folder = (
        obj,
        "OTHER_FOLDER",
        str(resources.default_model()),
    )
    bpy.context.view_layer.update()
    bpy.ops.codetalker.add_landmarks()
    nose = np.array(landmarks.of(obj)["nose_tip"].location)
    assert np.linalg.norm(nose - 100.0 * REST[REST[:, 1].argmin()]) < 10.0


def test_one_undo_step_takes_a_fit_back(head: bpy.types.Object) -> None:
    bpy.ops.ed.undo_push(message="before")
    fit(head)
    bpy.ops.ed.undo_push(message="fitted")
    bpy.ops.ed.undo()
    assert bindings.kept_of(bpy.context.scene.codetalker.target) is None
    bpy.ops.ed.redo()
    assert bindings.kept_of(bpy.context.scene.codetalker.target) is not None


def test_the_panel_tells_how_good_the_fit_is(head: bpy.types.Object) -> None:
    panel = fit_panel.CODETALKER_PT_fit
    assert panel.poll(bpy.context)
    layout = test_panels.Layout([], [])
    panel.draw(SimpleNamespace(layout=layout), bpy.context)  # type: ignore[arg-type]
    assert "codetalker.fit_mesh" in layout.shown and "codetalker.show_fit" not in layout.shown
    fit(head)
    bpy.ops.codetalker.add_landmarks()
    layout = test_panels.Layout([], [])
    panel.draw(SimpleNamespace(layout=layout), bpy.context)  # type: ignore[arg-type]
    text = "\n".join(layout.shown)
    assert "mm off on average" in text and "of the mesh follows the face" in text
    assert "0 of 7 landmarks moved" in text and "codetalker.forget_fit" in text
    head.codetalker.output = "EXISTING"
    assert not panel.poll(bpy.context)
