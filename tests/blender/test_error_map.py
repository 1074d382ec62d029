"""What keys miss, shown in colours on a face of its own, and gone without a trace."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender.retargeting import error_map, heat_maps, tuning
from codetalker_blender.blender.sidebar import error_panel
from codetalker_blender.blender.writing import takes
from codetalker_blender.contracts import FloatArray, Motion
from codetalker_blender.face.blendshapes import demo_head_face, demo_head_shapes
from codetalker_blender.face.heat import COLOURS
from codetalker_blender.face.model_shapes import keep_shapes
from codetalker_blender.model_files import ModelCard
from tests.blender import scenes, test_panels
from tests.blender.test_existing import KEYS, add_cube, known, speak


@pytest.fixture
def head(blender: None) -> bpy.types.Object:
    """A rig without the jaw, which is what it then misses most."""
    obj = add_cube("Head", [key for shape, key in KEYS.items() if shape != "jawOpen"])
    bpy.context.scene.codetalker.target = obj
    obj.codetalker.output = "EXISTING"
    return obj


def everything() -> dict[str, Any]:
    bpy.context.scene.frame_set(1)  # what is animated has its value
    found = scenes.dump()
    found["materials"] = sorted(material.name for material in bpy.data.materials)
    return found


def shown() -> tuple[bpy.types.Object, bpy.types.Mesh]:
    face = heat_maps.shown(error_map.KIND)
    assert face is not None and isinstance(face.data, bpy.types.Mesh)
    return face, face.data


def values(mesh: bpy.types.Mesh, name: str) -> FloatArray:
    found = np.empty(len(mesh.vertices), np.float32)
    attribute = mesh.attributes[name]
    assert isinstance(attribute, bpy.types.FloatAttribute)
    attribute.data.foreach_get("value", found)
    return found


def test_colours_say_where_the_keys_miss_the_motion(head: bpy.types.Object) -> None:
    outcome = speak(head)
    assert bpy.ops.codetalker.show_error() == {"FINISHED"}
    face, mesh = shown()
    missed = values(mesh, error_map.RMS)
    assert np.sqrt((missed.astype(np.float64) ** 2).mean()) == pytest.approx(outcome.rms_mm, rel=1e-4)
    assert values(mesh, error_map.LARGEST).max() == pytest.approx(outcome.error_mm, rel=1e-4)
    regions = demo_head_face().regions
    assert missed[regions["jaw"]].mean() > 5 * missed[regions["upper_face"]].mean()
    means = np.array([missed[list(polygon.vertices)].mean() for polygon in mesh.polygons])
    limits = []
    for polygon, mean in zip(mesh.polygons, means, strict=True):
        material = mesh.materials[polygon.material_index]
        assert material is not None and mean <= material[error_map.KIND.mark] * (1 + 1e-5)
        limits.append(material[error_map.KIND.mark])
    worst = mesh.materials[mesh.polygons[int(means.argmax())].material_index]
    assert worst is not None and worst[error_map.KIND.mark] == max(limits) > 2 * min(limits)
    assert tuple(worst.diffuse_color)[:3] in [pytest.approx(colour) for colour in COLOURS[2:]]
    assert face.hide_render, "nobody renders it by mistake"
    bpy.context.view_layer.update()
    size = head.dimensions
    assert face.dimensions.z == pytest.approx(max(size.x, size.y, size.z), rel=0.01), "as tall as the target"


def test_it_goes_without_a_trace(head: bpy.types.Object) -> None:
    speak(head)
    before = everything()
    assert bpy.ops.codetalker.show_error() == {"FINISHED"}
    once = everything()
    assert bpy.ops.codetalker.show_error() == {"FINISHED"}
    assert scenes.differences(once, everything()) == [], "shown again it takes the place of the first"
    assert bpy.ops.codetalker.hide_error() == {"FINISHED"}
    assert scenes.differences(before, everything()) == []
    with pytest.raises(RuntimeError, match="No error is shown"):
        bpy.ops.codetalker.hide_error()


def test_removing_the_animation_takes_it_along(head: bpy.types.Object) -> None:
    before = everything()
    speak(head)
    bpy.ops.codetalker.show_error()
    assert bpy.ops.codetalker.remove() == {"FINISHED"}
    assert scenes.differences(before, everything()) == []


def test_it_says_why_there_is_nothing_to_show(head: bpy.types.Object) -> None:
    with pytest.raises(RuntimeError, match="has no CodeTalker animation yet"):
        bpy.ops.codetalker.show_error()


def test_a_face_that_no_model_has_is_refused_and_nothing_is_added(
    head: bpy.types.Object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("BLENDER_USER_DATAFILES", str(tmp_path))
    wider = replace(demo_head_face(), vertices=demo_head_face().vertices * np.float32(1.1))
    keep_shapes(wider, 1.0, tmp_path / "codetalker_blender" / "shapes", lambda offsets: offsets)
    card = ModelCard(1, "gone", "", "CC0-1.0", 24.0, 1.0, "Z", ("neutral",), 0.0, {}, {}, {}, {})
    motion = Motion(demo_head_shapes().motion(known()), 24.0, np.zeros((1, 1), np.int32), 24.0)
    tuning.write(head, takes.Placed(takes.capture(motion, wider, card), 1))
    before = everything()
    with pytest.raises(RuntimeError, match="is not among your models"):
        bpy.ops.codetalker.show_error()
    assert scenes.differences(before, everything()) == []


def test_the_panel_has_the_legend(head: bpy.types.Object) -> None:
    speak(head)
    bpy.ops.codetalker.show_error()
    layout = test_panels.Layout([], [])
    panel = SimpleNamespace(layout=layout)
    error_panel.CODETALKER_PT_error.draw(panel, bpy.context)  # type: ignore[arg-type]
    text = " ".join(layout.shown)
    assert "mm RMS" in text and "Missed by the keys of Head" in text
    _, mesh = shown()
    legend = [material[error_map.KIND.mark] for material in mesh.materials if material is not None]
    assert len(legend) == len(COLOURS) and legend == sorted(legend)
    assert all(f"up to {limit:g} mm" in layout.shown for limit in legend)
    assert "diffuse_color" not in layout.settable, "colours are there to be read"
