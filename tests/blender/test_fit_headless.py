"""Without a window: ``--fit`` lets a head of another topology speak, once fitted and then as it is."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.blender.preferences import data_folder
from codetalker_blender.blender.retargeting import bindings, fitting
from codetalker_blender.face.blendshapes import demo_head_face
from tests.blender import scenes
from tests.blender.conftest import write_buzz
from tests.blender.test_command import command
from tests.face import heads


@pytest.fixture
def blend(blender: None, tmp_path: Path) -> Path:
    """A .blend with a decimated head in centimetres."""
    face = demo_head_face()
    rest = face.vertices.astype(np.float64)
    mesh = heads.plain(rest, face.triangles.astype(np.int64))
    everywhere = np.ones(len(rest), bool)
    thin = heads.thinned(mesh, everywhere, face.mid_lips.astype(np.int64), 0.7, seed=3)
    head = scenes.add_mesh("Head", (100.0 * thin.points).astype(np.float32), thin.triangles)
    bpy.context.scene.codetalker.target = head
    path = tmp_path / "head.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(path))
    return path


def test_generate_and_batch_fit_where_it_is_needed(engine_python: str, blend: Path, tmp_path: Path) -> None:
    sound, out = tmp_path / "a.wav", tmp_path / "out"
    write_buzz(sound, 0.2)
    refused = command(engine_python, "generate", sound, "--blend", blend, "--save", tmp_path / "no.blend")
    assert refused.returncode == 2 and "fit that to it first" in refused.stderr and "--fit" in refused.stderr
    assert not (tmp_path / "no.blend").exists()
    kinds = [".mdd", *([".usd"] if compat.was_built_with("usd") else [])]
    kinds += [".abc"] if compat.was_built_with("alembic") else []
    rows = [
        {"name": "row", "audio": str(sound), "blend": str(blend), "fit": "yes", "save": "row.blend"},
        {"name": "again", "audio": str(sound), "blend": "out/row.blend", "fit": "yes", "save": "again.blend"}
        | {"export": [f"again{kind}" for kind in kinds]},
    ]
    manifest = tmp_path / "rows.json"
    manifest.write_text(json.dumps(rows[:1]))
    done = command(engine_python, "batch", manifest, "--output", out)
    assert done.returncode == 0, done.stderr
    assert json.loads((out / "row.batch.json").read_text())["report"]["fit"]["mean_mm"] < 1.0
    manifest.write_text(json.dumps(rows[1:]))
    done = command(engine_python, "batch", manifest, "--output", out)
    assert done.returncode == 0, done.stderr
    # The first row's file keeps the fit.
    assert json.loads((out / "again.batch.json").read_text())["report"]["stages"]["fit"] < 2.0
    assert all((out / f"again{kind}").stat().st_size > 10_000 for kind in kinds)
    bpy.ops.wm.open_mainfile(filepath=str(out / "again.blend"))
    head = bpy.data.objects["Head"]
    assert bindings.kept_of(head) is not None
    rest = scenes.evaluated(head, -50)
    assert max(np.abs(scenes.evaluated(head, frame) - rest).max() for frame in range(1, 5)) > 0.01


def kept_files() -> set[Path]:
    return set((data_folder() / fitting.FOLDER).glob("*"))


def test_the_same_mesh_in_another_file_is_not_fitted_again(
    engine_python: str, blend: Path, tmp_path: Path
) -> None:
    """By its content: neither the .blend nor names matter."""
    sound, out, before = tmp_path / "a.wav", tmp_path / "out", kept_files()
    write_buzz(sound, 0.2)
    head = bpy.data.objects["Head"]
    head.data.vertices[0].co.x += 0.02  # no other test's
    bpy.ops.wm.save_as_mainfile(filepath=str(blend))
    head.name, head.location.x = "Twin", 3.0
    twin = tmp_path / "twin.blend"
    bpy.ops.wm.save_as_mainfile(filepath=str(twin))
    rows = [{"name": path.stem, "audio": str(sound), "blend": str(path)} for path in (blend, twin)]
    manifest = tmp_path / "rows.json"
    manifest.write_text(json.dumps(rows))
    done = command(engine_python, "batch", manifest, "--fit", "--output", out)
    assert done.returncode == 0, done.stderr
    assert len(kept_files() - before) == 1
    seconds, packed = [], []
    for name in ("head", "twin"):
        report = json.loads((out / f"{name}.batch.json").read_text())["report"]
        seconds.append(report["stages"]["fit"])
        bpy.ops.wm.open_mainfile(filepath=str(out / f"{name}.blend"))
        kept = bindings.kept_of(bpy.context.scene.codetalker.target)
        assert kept is not None
        packed.append(kept.packed)
    assert seconds[1] < 0.3 * seconds[0], seconds
    assert packed[0] == packed[1]
