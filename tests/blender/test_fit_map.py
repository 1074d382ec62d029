"""How far a mesh is from the fitted face, in colours on a copy of it, and gone without a trace."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender.retargeting import bindings, fit_map
from codetalker_blender.blender.sidebar import fit_panel
from codetalker_blender.contracts import FloatArray
from codetalker_blender.face.blendshapes import demo_head_face
from codetalker_blender.face.heat import COLOURS
from tests.blender import scenes, test_panels
from tests.blender.test_fit_mesh import fit, head, remeshed

__all__ = ["head"]  # a fixture


@pytest.fixture
def fitted(head: bpy.types.Object) -> Iterator[bpy.types.Object]:
    """With colours and a material of the animator's own."""
    colours = head.data.color_attributes.new("Own", "BYTE_COLOR", "CORNER")
    colours.data[0].color = (1.0, 0.0, 0.0, 1.0)
    head.data.materials.append(bpy.data.materials.new("Own"))
    fit(head)
    yield head


def everything() -> dict[str, Any]:
    found = scenes.dump()
    found["materials"] = sorted(material.name for material in bpy.data.materials)
    found["colours"] = [layer.name for mesh in bpy.data.meshes for layer in mesh.color_attributes]
    return found


def distances(obj: bpy.types.Object) -> tuple[bpy.types.Mesh, FloatArray]:
    copy = fit_map.of(obj)
    assert copy is not None and isinstance(copy.data, bpy.types.Mesh)
    found = np.empty(len(copy.data.vertices), np.float32)
    attribute = copy.data.attributes[fit_map.DISTANCE]
    assert isinstance(attribute, bpy.types.FloatAttribute)
    attribute.data.foreach_get("value", found)
    return copy.data, found


def test_colours_say_how_far_the_mesh_is_from_the_face(fitted: bpy.types.Object) -> None:
    assert bpy.ops.codetalker.show_fit_distance() == {"FINISHED"}
    mesh, found = distances(fitted)
    kept = bindings.kept_of(fitted)
    assert kept is not None and mesh.vertices[5].co == fitted.data.shape_keys.reference_key.points[5].co
    measured = found >= 0
    assert abs(float(found[measured].mean()) - kept.binding.quality.mean_mm) < 0.5
    regions, pairs = demo_head_face().regions, remeshed().pairs[:, 0]
    assert not measured[np.isin(pairs, regions["lower_teeth"])].any(), "rigid parts have their own places"
    assert measured[np.isin(pairs, regions["lips"])].mean() > 0.8
    for polygon in mesh.polygons:
        values = found[list(polygon.vertices)]
        material = mesh.materials[polygon.material_index]
        assert material is not None
        limit = material[fit_map.KIND.mark]
        assert values.mean() <= limit * (1 + 1e-5) if (values >= 0).all() else limit == 0.0
    assert {polygon.material_index for polygon in mesh.polygons} >= {0, len(COLOURS)}


def test_it_stands_beside_the_mesh_and_is_not_rendered(fitted: bpy.types.Object) -> None:
    bpy.ops.codetalker.show_fit_distance()
    copy = fit_map.of(fitted)
    assert copy is not None and copy.hide_render
    bpy.context.view_layer.update()
    corners = [
        np.array([obj.matrix_world @ type(obj.location)(c) for c in obj.bound_box]) for obj in (fitted, copy)
    ]
    assert corners[1][:, 0].min() > corners[0][:, 0].max()
    np.testing.assert_allclose(np.ptp(corners[1], axis=0), np.ptp(corners[0], axis=0), rtol=0.2)


def test_it_goes_without_a_trace(fitted: bpy.types.Object) -> None:
    before = everything()
    bpy.ops.codetalker.show_fit_distance()
    assert scenes.differences(before, everything()) != []
    assert bpy.ops.codetalker.show_fit_distance() == {"FINISHED"}
    assert scenes.differences(before, everything()) == []
    bpy.ops.codetalker.show_fit_distance()
    assert bpy.ops.codetalker.forget_fit() == {"FINISHED"}
    assert fit_map.of(fitted) is None
    assert not [one for one in bpy.data.materials if one.name.startswith("CodeTalker")]


def test_a_mesh_that_changed_since_is_refused(fitted: bpy.types.Object) -> None:
    fitted.data.shape_keys.reference_key.points[5].co.x += 0.1
    before = everything()
    with pytest.raises(RuntimeError, match="has changed since"):
        bpy.ops.codetalker.show_fit_distance()
    assert scenes.differences(before, everything()) == []
    bindings.keep(fitted, None)
    with pytest.raises(RuntimeError, match="is not fitted to 'Head'"):
        bpy.ops.codetalker.show_fit_distance()


def test_the_panel_has_the_legend(fitted: bpy.types.Object) -> None:
    def drawn() -> test_panels.Layout:
        layout = test_panels.Layout([], [])
        fit_panel.CODETALKER_PT_fit.draw(SimpleNamespace(layout=layout), bpy.context)  # type: ignore[arg-type]
        return layout

    assert "Show Fit Distance" in drawn().shown
    bpy.ops.codetalker.show_fit_distance()
    layout = drawn()
    legend = [text for text in layout.shown if text.endswith(" mm") or text == "not measured"]
    assert len(legend) == len(COLOURS) + 1 and legend[-1] == "not measured"
    assert "Hide Fit Distance" in layout.shown and "diffuse_color" not in layout.settable
