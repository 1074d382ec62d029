"""What is written: each form shows the motion, within its bound, and can be changed, undone and removed."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
from mathutils import Matrix

from codetalker_blender.blender.retargeting import tuning
from codetalker_blender.blender.runs import generation
from codetalker_blender.blender.writing import keys
from codetalker_blender.errors import TargetError
from tests.blender import scenes
from tests.blender.speaking import (
    EXACT,
    OWN,
    START,
    add_own,
    assert_shows,
    made_motion,
    shown,
    speak,
)


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
    assert np.abs(shown(copy, START)).max() <= 1e-4, "the copy does not start a second later"
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


def test_nla_that_is_switched_off_is_refused(obj: bpy.types.Object) -> None:
    offsets = made_motion()
    speak(obj, offsets)
    obj.data.shape_keys.animation_data.use_nla = False
    before = scenes.dump()["shape_keys/Key"]
    obj.codetalker.use_nla = True
    assert scenes.dump()["shape_keys/Key"] == before
    with pytest.raises(TargetError, match="NLA"):
        tuning.rewrite(obj, bpy.context.scene)


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
