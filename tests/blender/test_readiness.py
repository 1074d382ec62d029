"""Readiness of the target: what the panel says about mesh and model, and when it looks again."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender import resources
from codetalker_blender.blender import compat
from codetalker_blender.blender.mesh import readiness
from codetalker_blender.blender.runs import generation
from codetalker_blender.face import topology
from codetalker_blender.model_files import read_card, read_face
from tests.blender import scenes


@pytest.fixture
def settings(blender: None, tiny_model: Path) -> bpy.types.bpy_struct:
    group: bpy.types.bpy_struct = bpy.context.scene.codetalker
    group.model, group.model_folder = "OTHER_FOLDER", str(tiny_model)
    return group


def line() -> str:
    """What the panel shows of the target."""
    return next(str(check) for check in generation.checks(bpy.context) if check.label == "Target")


def turn_a_quad(obj: bpy.types.Object) -> None:
    """Let the mesh's first polygon have other corners; all counts stay."""
    obj.data.loops[0].vertex_index = 20
    obj.data.update()


def test_line_tells_size_and_topology(settings: bpy.types.bpy_struct, tiny_model: Path) -> None:
    assert line() == "No target mesh is chosen."
    obj = settings.target = scenes.add_sheet()
    assert line() == "Target: 42 vertices, the topology of 'tiny'"
    settings.target = scenes.add_mesh("Big", scenes.sheet_vertices(8, 6), scenes.sheet_quads(8, 6))
    assert line().startswith("'Big' has 48 vertices where the model 'tiny' expects its own face of 42")
    settings.target = obj
    triangles = read_face(tiny_model, read_card(tiny_model)).triangles
    settings.target = scenes.add_mesh("Flipped", scenes.sheet_vertices(), triangles[::-1, ::-1])
    assert line() == "Target: 42 vertices, the topology of 'tiny'"


def test_known_topology_is_named(
    settings: bpy.types.bpy_struct, tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    triangles = read_face(tiny_model, read_card(tiny_model)).triangles
    known = topology.KnownTopology("FLAME", topology.fingerprint(triangles), 42, len(triangles), 0, 1.0)
    monkeypatch.setattr(topology, "KNOWN_TOPOLOGIES", (known,))
    settings.target = scenes.add_mesh("Known", scenes.sheet_vertices(), triangles)
    assert line() == "Target: 42 vertices, FLAME topology"


def test_edit_of_the_mesh_is_noticed_at_once(settings: bpy.types.bpy_struct) -> None:
    obj = settings.target = scenes.add_sheet("Edited")
    assert line().startswith("Target: 42 vertices")
    kept = obj.data.loops[0].vertex_index
    turn_a_quad(obj)
    assert "'Edited' has the 42 vertices" in line() and "connected differently" in line()
    assert not bpy.app.background or bpy.ops.codetalker.generate.poll()
    obj.data.loops[0].vertex_index = kept
    assert line() == "Target: 42 vertices, the topology of 'tiny'"


def test_broken_face_is_named(settings: bpy.types.bpy_struct, tmp_path: Path, tiny_model: Path) -> None:
    import shutil

    settings.target = scenes.add_sheet()
    copy = tmp_path / "broken"
    shutil.copytree(tiny_model, copy)
    settings.model_folder = str(copy)
    assert line().startswith("Target: 42")
    (copy / "face.npz").write_bytes(b"nothing")
    assert "face.npz" in line() and "cut short or changed" in line()


def test_redraws_compare_nothing(blender: None) -> None:
    """On the shipped head: one comparison, and then so little that a redraw does not feel it."""
    if not (resources.assets_folder() / "models" / resources.DEFAULT_MODEL / "config.json").is_file():
        pytest.skip("there is no default model in this checkout")
    bpy.ops.codetalker.add_demo_head()
    readiness._compared.cache_clear()
    folder = resources.default_model()
    card, head = read_card(folder), bpy.context.scene.codetalker.target
    durations = []
    for _ in range(20):
        started = time.perf_counter()
        assert readiness.fit(head, folder, card).reason == ""
        durations.append(time.perf_counter() - started)
    assert readiness._compared.cache_info().misses == 1
    assert np.median(durations) < 0.005


def test_corners_are_those_of_the_mesh(blender: None) -> None:
    mesh: Any = scenes.add_sheet().data
    np.testing.assert_array_equal(compat.corner_vertices(mesh), scenes.sheet_quads().ravel())
