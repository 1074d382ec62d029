"""Existing Keys on what comes from another file: refused, with nothing changed, until it is local."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender import resources
from codetalker_blender.blender.runs import generation
from codetalker_blender.errors import TargetError
from tests.blender import scenes
from tests.blender.test_existing import KEYS, SOLVED, add_cube, known, speak, target_line, values


def linked(path: Path, keys: list[str]) -> bpy.types.Object:
    """A rig that is linked from a file of its own, with the output set there."""
    obj = add_cube("Rig", keys)
    obj.codetalker.output = "EXISTING"
    bpy.data.libraries.write(str(path), {obj})
    mesh = obj.data
    assert isinstance(mesh, bpy.types.Mesh)
    bpy.data.objects.remove(obj)
    bpy.data.meshes.remove(mesh)
    with bpy.data.libraries.load(str(path), link=True) as (source, target):
        target.objects = source.objects
    found = target.objects[0]
    assert isinstance(found, bpy.types.Object)
    bpy.context.scene.collection.objects.link(found)
    return found


def overridden(obj: bpy.types.Object, *, mesh_too: bool) -> bpy.types.Object:
    found = obj.override_create(remap_local_usages=True)
    assert isinstance(found, bpy.types.Object)
    if mesh_too:
        found.data = found.data.override_create(remap_local_usages=False)
    return found


@pytest.mark.parametrize(
    ("kind", "sentence"),
    [
        ("linked", r"'Rig' is linked from 'character\.blend'"),
        ("override", "'Rig' is a library override, which cannot be given shape keys or their animation"),
        ("override of mesh too", "'Rig' is a library override"),
    ],
)
def test_a_rig_from_another_file_is_refused(
    settings: bpy.types.bpy_struct, tmp_path: Path, kind: str, sentence: str
) -> None:
    rig = linked(tmp_path / "character.blend", list(KEYS.values()))
    if kind != "linked":
        rig = overridden(rig, mesh_too=kind == "override of mesh too")
    settings.target = rig
    settings.model_folder = str(resources.default_model())
    before = scenes.dump()
    with pytest.raises(TargetError, match=f"{sentence}.*Make Local"):
        generation.prepare(bpy.context)
    assert sentence.replace("\\", "") in target_line(), "and the panel says so before anything runs"
    assert scenes.differences(before, scenes.dump()) == []


@pytest.mark.parametrize("override", [False, True])
def test_a_companion_from_another_file_is_refused_and_the_head_stays(
    blender: None, tmp_path: Path, override: bool
) -> None:
    teeth = linked(tmp_path / "teeth.blend", ["Jaw_Open"])
    if override:
        teeth = overridden(teeth, mesh_too=False)
    head = add_cube("Head", list(KEYS.values()))
    head.codetalker.output = "EXISTING"
    head.codetalker.mapping.companions.add().object = teeth
    before = scenes.dump()
    with pytest.raises(TargetError, match=r"'Rig' is .*Make Local"):
        speak(head)
    assert scenes.differences(before, scenes.dump()) == []


def test_once_it_is_local_it_speaks(blender: None, tmp_path: Path) -> None:
    rig = linked(tmp_path / "character.blend", list(KEYS.values()))
    for item in (rig, rig.data):
        assert item is not None
        item.make_local()
    bpy.context.scene.codetalker.target = rig
    assert speak(rig).key_count == len(KEYS)
    for shape, key in KEYS.items():
        np.testing.assert_allclose(values(rig, key), known().of(shape), atol=SOLVED)
