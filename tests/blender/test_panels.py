"""The panels: what they show, what can be set in them, and why not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import panels, takes, tuning
from tests.blender.speaking import (
    made_motion,
    speak,
)


class Layout:
    """Stands in for Blender's layout, which cannot be drawn without a window: notes what is put on it."""

    def __init__(self, shown: list[str], settable: list[str]) -> None:
        self.shown, self.settable, self.enabled = shown, settable, True

    def _part(self, **options: object) -> Layout:
        part = Layout(self.shown, self.settable)
        part.enabled = self.enabled
        return part

    row = column = box = _part

    def label(self, text: str, icon: str = "NONE") -> None:
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.shown.append(text)

    def prop(self, data: bpy.types.bpy_struct, name: str) -> None:
        assert data.bl_rna.properties[name].description
        if self.enabled:
            self.settable.append(name)

    def operator(self, name: str, icon: str = "NONE") -> None:
        assert icon in bpy.types.UILayout.bl_rna.functions["operator"].parameters["icon"].enum_items
        assert getattr(bpy.ops.codetalker, name.split(".")[1]).get_rna_type().description
        self.shown.append(name)


def drawn(panel: type[bpy.types.Panel]) -> tuple[str, list[str]]:
    """All text of a panel, and the settings that can be changed in it."""
    layout = Layout([], [])
    panel.draw(SimpleNamespace(layout=layout), bpy.context)  # type: ignore[arg-type]
    return "\n".join(layout.shown), layout.settable


def test_panels_say_why_sliders_are_dead_and_what_was_written(obj: bpy.types.Object) -> None:
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert "no CodeTalker animation" in text and not settable
    obj.codetalker.output = "COMPACT"
    text, settable = drawn(panels.CODETALKER_PT_generate)
    assert {"output", "max_error_mm", "use_nla"} <= set(settable)
    speak(obj, made_motion())
    text, settable = drawn(panels.CODETALKER_PT_generate)
    assert "keys, at most 0.0" in text
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert set(settable) == set(tuning.TUNING)
    del obj.data.shape_keys[takes.PROPERTY]
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert "no longer holds the raw motion" in text and not settable
    bpy.context.scene.codetalker.target = None
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert "No target mesh" in text and not settable
