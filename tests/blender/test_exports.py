"""What is exported moves like the target, in Blender's own readers, and exporting changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy
from mathutils import Matrix

from codetalker_blender.blender import compat
from codetalker_blender.blender.interchange import exports
from codetalker_blender.blender.interchange.exports import Performance
from codetalker_blender.contracts import FloatArray, Motion
from codetalker_blender.errors import OutputError, TargetError
from codetalker_blender.motion_files import read_motion
from tests.blender import scenes
from tests.blender.speaking import START, made_motion, speak

FRAMES = range(START, START + 20)


@pytest.fixture
def performance(obj: bpy.types.Object) -> Performance:
    """A speaking sheet that was moved, turned and given a modifier."""
    offsets = made_motion()
    speak(obj, offsets)
    obj.matrix_world = Matrix.Translation((0.3, -1.0, 2.0)) @ Matrix.Rotation(0.7, 4, "X")
    obj.modifiers.new("Thick", "SOLIDIFY")
    motion = Motion(offsets, 24.0, np.zeros((1, 1), np.int32), 24.0)
    return Performance(obj, bpy.context.scene, FRAMES, motion, "sheet", "neutral")


def world(obj: bpy.types.Object, frame: int) -> FloatArray:
    """(V, 3) where the object is seen."""
    points = scenes.evaluated(obj, frame)
    matrix = np.array(obj.evaluated_get(bpy.context.evaluated_depsgraph_get()).matrix_world)
    seen: FloatArray = (points @ matrix[:3, :3].T + matrix[:3, 3]).astype(np.float32)
    return seen


@pytest.mark.parametrize("kind", ["mdd", "pc2"])
def test_a_point_cache_plays_on_a_bare_mesh(performance: Performance, tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"face.{kind}"
    bpy.context.scene.frame_set(START + 3)
    before = scenes.dump()
    exports.export(path, performance)
    assert scenes.differences(before, scenes.dump()) == []
    performance.obj.modifiers.clear()
    twin = scenes.add_sheet("Twin")
    cache = twin.modifiers.new("Cache", "MESH_CACHE")
    cache.cache_format, cache.filepath = kind.upper(), str(path)
    cache.frame_start = START
    for frame in FRAMES:
        np.testing.assert_allclose(
            scenes.evaluated(twin, frame), scenes.evaluated(performance.obj, frame), atol=1e-6
        )


@pytest.mark.parametrize("kind", ["abc", "usd", "usda", "usdc"])
def test_a_scene_format_shows_what_was_seen(performance: Performance, tmp_path: Path, kind: str) -> None:
    if not compat.was_built_with("alembic" if kind == "abc" else "usd"):
        pytest.skip("this Blender was built without it")
    path = tmp_path / f"face.{kind}"
    other = scenes.add_sheet("Other")
    other.select_set(True)
    performance.obj.select_set(False)
    bpy.context.scene.frame_set(START + 3)
    before = scenes.dump()
    exports.export(path, performance)
    assert scenes.differences(before, scenes.dump()) == []
    assert (other.select_get(), performance.obj.select_get()) == (True, False)
    expected = {frame: world(performance.obj, frame) for frame in FRAMES}
    known = set(bpy.data.objects)
    if kind == "abc":
        bpy.ops.wm.alembic_import(filepath=str(path), as_background_job=False, set_frame_range=False)
    else:
        bpy.ops.wm.usd_import(filepath=str(path), set_frame_range=False)
    (made,) = [new for new in set(bpy.data.objects) - known if new.type == "MESH"]
    for frame, points in expected.items():
        np.testing.assert_allclose(world(made, frame), points, atol=2e-5)
    assert np.abs(expected[START] - expected[START + 10]).max() > 1e-3


def test_the_raw_motion_is_what_the_model_gave(performance: Performance, tmp_path: Path) -> None:
    exports.export(tmp_path / "face.npz", performance)
    np.testing.assert_array_equal(read_motion(tmp_path / "face.npz").offsets, performance.motion.offsets)


@pytest.mark.skipif(not bpy.app.alembic.supported, reason="this Blender is built without Alembic")
def test_a_hidden_object_is_refused_where_it_would_be_left_out(
    performance: Performance, tmp_path: Path
) -> None:
    performance.obj.hide_set(True)
    with pytest.raises(TargetError, match="'Face' is hidden"):
        exports.export(tmp_path / "face.abc", performance)
    exports.export(tmp_path / "face.mdd", performance)  # takes the mesh alone
    assert [path.name for path in tmp_path.iterdir()] == ["face.mdd"]


@pytest.mark.parametrize("name", ["face.fbx", "face"])
def test_other_formats_are_refused_at_once(name: str) -> None:
    with pytest.raises(OutputError, match=r"There are \.abc \.usd"):
        exports.check(Path(name))


@pytest.mark.parametrize("kind", ["abc", "usdc"])
def test_a_disk_that_is_too_small_is_refused_before_anything_is_written(
    performance: Performance, tmp_path: Path, kind: str
) -> None:
    """Blender's Alembic exporter would end Blender, and the animator's work with it."""
    if not compat.was_built_with({"abc": "alembic", "usdc": "usd"}[kind]):
        pytest.skip("this Blender is built without it")
    endless = replace(performance, frames=range(START, START + 10**12))
    bpy.context.scene.frame_set(START + 3)
    before = scenes.dump()
    with pytest.raises(OutputError, match=r"it needs \d+\.\d GB where .* are free"):
        exports.export(tmp_path / f"face.{kind}", endless)
    assert not list(tmp_path.iterdir()) and scenes.differences(before, scenes.dump()) == []
