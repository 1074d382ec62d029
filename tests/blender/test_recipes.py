"""The commands of docs/pipeline.md, as they stand there, with the shipped model and head."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import compat
from codetalker_blender.face.mapping_files import Preset, write_mapping
from codetalker_blender.face.names import Drive
from tests.blender import scenes
from tests.blender.conftest import write_buzz
from tests.blender.test_command import ROOT, command

GUIDE = ROOT / "docs" / "pipeline.md"
BLENDER_MODULE, PLAIN_MODULE = "codetalker_blender.blender", "codetalker_blender"


def recipes() -> list[str]:
    """The lines of the guide's shell blocks, but for those with a cluster, which has tests of its own."""
    blocks = GUIDE.read_text(encoding="utf-8").split("```sh\n")[1:]
    text = "".join(block.partition("```")[0] for block in blocks).replace("\\\n", " ")
    return [line for line in text.splitlines() if line and "ray" not in line]


def as_module(recipe: str) -> tuple[str, list[str]]:
    """The module that stands for the recipe's program, and its arguments.

    ``blender --background FILE --command codetalker X`` is X in the bpy module, with FILE opened.
    """
    words = shlex.split(recipe)
    if words[0] == "python":
        assert words[1] == "-m"
        return words[2], words[3:]
    start = words.index("--command")
    assert words[:2] == ["blender", "--background"]
    assert words[start + 1] == "codetalker"
    opened = [part for file in words[2:start] for part in ("--blend", file)]
    return BLENDER_MODULE, [*words[start + 2 :], *opened]


def save_heads(path: Path, names: list[str]) -> None:
    """The shipped head as a .blend of somebody's own, with as many of it as there are names."""
    bpy.ops.wm.open_mainfile(filepath=str(ROOT / "assets" / "demo_head.blend"), load_ui=False)
    head, scene = bpy.data.objects["CodeTalker Head"], bpy.context.scene
    for name in names[1:]:
        other = head.copy()
        other.data, other.name = head.data.copy(), name
        scene.collection.objects.link(other)
    head.name = names[0]
    scene.render.engine = "CYCLES"  # type: ignore[assignment]
    scene.render.resolution_x = scene.render.resolution_y = 16
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    path.parent.mkdir(exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=True)


def save_rig(path: Path) -> None:
    """A box with one key, whose name says nothing to the automatic mapping."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scenes.add_mesh("Rig", scenes.sheet_vertices(), scenes.sheet_quads()).shape_key_add(name="Basis")
    bpy.data.objects["Rig"].shape_key_add(name="Kiefer", from_mix=False).value = 0.0
    bpy.ops.wm.save_as_mainfile(filepath=str(path))


@pytest.fixture
def studio(blender: None, default_bundle: Path, tmp_path: Path) -> Path:
    """A folder with all that the recipes name."""
    save_heads(tmp_path / "head.blend", ["Head"])
    save_heads(tmp_path / "scenes" / "kitchen.blend", ["Anna", "Ben"])
    save_heads(tmp_path / "scenes" / "street.blend", ["Anna"])
    save_rig(tmp_path / "scenes" / "rig.blend")
    write_mapping(tmp_path / "scenes" / "rig.json", Preset({"jawOpen": (Drive("Kiefer"),)}))
    for name in ("line", "dialogue/010", "dialogue/020", "dialogue/030", "recordings/a", "recordings/s1/b"):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True, parents=True)
        write_buzz(path, 0.2)
    (tmp_path / "dialogue" / "030.wav").rename(tmp_path / "dialogue" / "030.flac")
    shots = GUIDE.read_text(encoding="utf-8").partition("```csv\n")[2].partition("```")[0]
    (tmp_path / "shots.csv").write_text(shots)
    return tmp_path


def test_the_guide_has_recipes() -> None:
    assert len(recipes()) >= 6
    assert {as_module(recipe)[0] for recipe in recipes()} == {BLENDER_MODULE, PLAIN_MODULE}


@pytest.mark.parametrize("recipe", recipes())
def test_a_recipe_does_what_it_says(engine_python: str, studio: Path, recipe: str) -> None:
    module, arguments = as_module(recipe)
    written = (studio / "shots.csv").read_text() if "shots.csv" in recipe else recipe
    for ending, library in ((".abc", "alembic"), (".usd", "usd")):
        if ending in written and not compat.was_built_with(library):
            pytest.skip(f"this Blender is built without {library}")
    done = command(engine_python, *arguments, module=module, folder=studio)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["status"] == "done"
    rows = report.get("rows", [report])
    assert len(rows) == {"recordings": 2, "shots.csv": 4}.get(arguments[1], 1)
    for row in rows:
        outputs = [studio / path for path in row["outputs"]]
        assert outputs
        assert all(path.stat().st_size > 0 for path in outputs)
    heads = [Path(path) for row in rows for path in row["outputs"] if path.endswith(".blend")]
    if heads:
        bpy.ops.wm.open_mainfile(filepath=str(studio / heads[-1]))
        meshes = [obj.data for obj in bpy.data.objects if obj.type == "MESH" and obj.data.shape_keys]
        assert any(mesh.shape_keys.get("codetalker") is not None for mesh in meshes)
    if "--mapping" in recipe:
        key, values = bpy.data.objects["Rig"].data.shape_keys, []
        for frame in range(report["first_frame"], report["last_frame"] + 1):
            bpy.context.scene.frame_set(frame)
            values.append(key.key_blocks["Kiefer"].value)
        assert max(values) > 1.2 * min(values) >= 0.0
