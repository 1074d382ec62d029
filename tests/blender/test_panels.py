"""The panels: what they show, what can be set in them, and why not."""

from __future__ import annotations

import dataclasses
from types import SimpleNamespace

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import blf
import bpy

from codetalker_blender.blender.layout import draw_text
from codetalker_blender.blender.preferences import PYTHON_VARIABLE
from codetalker_blender.blender.retargeting import tuning
from codetalker_blender.blender.runs import jobs
from codetalker_blender.blender.sidebar import panels, runs_panels, sequencer_panel
from codetalker_blender.blender.sound import sources
from codetalker_blender.blender.writing import takes
from tests.blender import running, scenes, speaking
from tests.blender.speaking import made_motion, sheet_face, speak


class Layout:
    """Stands in for Blender's layout, which cannot be drawn without a window: notes what is put on it."""

    def __init__(self, shown: list[str], settable: list[str]) -> None:
        self.shown, self.settable, self.enabled = shown, settable, True

    def _part(self, **options: object) -> Layout:
        part = type(self)(self.shown, self.settable)
        part.enabled = self.enabled
        return part

    row = column = box = split = _part

    def label(self, text: str, icon: str = "NONE", translate: bool = True) -> None:
        assert icon in bpy.types.UILayout.bl_rna.functions["label"].parameters["icon"].enum_items
        self.shown.append(text)

    def separator(self) -> None:
        pass

    def prop(
        self,
        data: bpy.types.bpy_struct,
        name: str,
        text: str | None = None,
        icon: str = "NONE",
        expand: bool = False,
    ) -> None:
        assert data.bl_rna.properties[name].description
        self.shown.append(data.bl_rna.properties[name].name if text is None else text)
        if self.enabled:
            self.settable.append(name)

    def prop_decorator(self, data: bpy.types.bpy_struct, name: str) -> None:
        assert data.bl_rna.properties[name].is_animatable

    def operator(self, name: str, text: str = "", icon: str = "NONE") -> SimpleNamespace:
        assert icon in bpy.types.UILayout.bl_rna.functions["operator"].parameters["icon"].enum_items
        assert getattr(bpy.ops.codetalker, name.split(".")[1]).get_rna_type().description
        self.shown += [name, text]
        return SimpleNamespace()

    def progress(self, factor: float, text: str) -> None:
        assert 0.0 <= factor <= 1.0
        self.shown.append(text)


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
    assert "keys, at most 0.0" in text and "Frames " in text and "codetalker.play" in text
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert set(settable) == set(tuning.TUNING)
    del obj.data.shape_keys[takes.PROPERTY]
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert "no longer holds the raw motion" in text and not settable
    bpy.context.scene.codetalker.target = None
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert "No target mesh" in text and not settable


def test_every_slider_can_be_told_from_the_others(obj: bpy.types.Object) -> None:
    """Under each of the two headings every region is named once."""
    speak(obj, made_motion())
    text, _ = drawn(panels.CODETALKER_PT_tuning)
    lines = text.split("\n")
    regions = list(panels.REGION_LABELS.values())
    first, second = lines.index("Strength"), lines.index("Smoothing")
    assert lines[first + 1 : second] == regions
    assert lines[second + 1 : second + 1 + len(regions)] == regions


@pytest.mark.parametrize("panel", [runs_panels.CODETALKER_PT_runs, runs_panels.CODETALKER_PT_sequencer_runs])
def test_runs_are_listed(settings: bpy.types.bpy_struct, panel: type[bpy.types.Panel]) -> None:
    assert not panel.poll(bpy.context)
    for name in ("First", "Second"):
        settings.target = scenes.add_sheet(name)
        text, _ = drawn(panels.CODETALKER_PT_generate)
        running.add()
    assert "Add to the Queue" in text
    assert "use_preview" in drawn(panels.CODETALKER_PT_generate)[1]
    assert panel.poll(bpy.context)
    lines = drawn(panel)[0].split("\n")
    assert lines.index("First") < lines.index("Starting") < lines.index("Second: waiting")
    assert lines.count("codetalker.cancel") == 2 and "codetalker.cancel_all" in lines
    for run in (jobs.QUEUE.current, *jobs.QUEUE.waiting):
        jobs.QUEUE.drop(run)  # another file is loaded
    assert panel.poll(bpy.context)
    text, _ = drawn(panel)
    assert "speech of 'First' was dropped" in text and "speech of 'Second' was dropped" in text
    running.add()
    assert "dropped" not in drawn(panel)[0]


def test_progress_shares_its_panel_with_no_other_text(settings: bpy.types.bpy_struct) -> None:
    """Or Blender would draw that over the bar when the run ends with the mouse on it."""
    settings.target = scenes.add_sheet()
    before = [drawn(panel)[0] for panel in (panels.CODETALKER_PT_generate, runs_panels.CODETALKER_PT_runs)]
    running.add()
    after = [drawn(panel)[0] for panel in (panels.CODETALKER_PT_generate, runs_panels.CODETALKER_PT_runs)]
    assert before[0] == after[0].replace("Add to the Queue", "Generate from Audio")
    assert before[1] == "" and after[1].split("\n")[0] == "Starting"


def test_regions_that_the_face_lacks_are_named(
    obj: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    face = sheet_face()
    fewer = dataclasses.replace(face, regions={"lips": face.regions["lips"]}, mid_lips=np.zeros(0, np.int32))
    monkeypatch.setattr(speaking, "sheet_face", lambda: fewer)
    speak(obj, made_motion())
    text, settable = drawn(panels.CODETALKER_PT_tuning)
    assert f"{panels.NOT_MARKED}: Jaw, Upper Face, Eyelids, Lip Closure" in text
    assert "strength_mouth" in settable
    assert not {"strength_jaw", "smoothing_eyelids", "closure"} & set(settable)


def test_an_engine_that_cannot_run_leads_to_its_preferences(
    obj: bpy.types.Object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PYTHON_VARIABLE, "/no/such/python")
    text, _ = drawn(panels.CODETALKER_PT_generate)
    assert "'/no/such/python' does not exist.\ncodetalker.open_preferences" in text
    with pytest.raises(RuntimeError, match="not enabled"):  # it is registered, and not installed
        bpy.ops.codetalker.open_preferences()


def test_each_source_shows_what_it_needs(obj: bpy.types.Object) -> None:
    group = bpy.context.scene.codetalker
    own = {sources.FILE: {"audio"}, sources.STRIP_BY_NAME: {"strip"}, sources.ACTIVE_STRIP: set()}
    for source, wanted in own.items():
        group.source = source
        _, settable = drawn(panels.CODETALKER_PT_generate)
        assert {"audio", "strip"} & set(settable) == wanted
        assert {"source", "target", "model", "style", "limit_to_scene_range"} <= set(settable)


def test_demo_head_is_offered_where_no_target_is_chosen(obj: bpy.types.Object) -> None:
    for panel in (panels.CODETALKER_PT_generate, sequencer_panel.CODETALKER_PT_sequencer):
        bpy.context.scene.codetalker.target = obj
        assert "codetalker.add_demo_head" not in drawn(panel)[0]
        bpy.context.scene.codetalker.target = None
        assert "codetalker.add_demo_head" in drawn(panel)[0]


def test_sequencers_panel_has_the_button_and_its_reasons(obj: bpy.types.Object) -> None:
    bpy.context.scene.codetalker.source = sources.ACTIVE_STRIP
    text, settable = drawn(sequencer_panel.CODETALKER_PT_sequencer)
    assert f"codetalker.generate\n{sequencer_panel.LABEL}" in text
    assert "No strip is active in the Sequencer" in text
    assert {"target", "model", "style", "limit_to_scene_range"} <= set(settable)
    assert not {"source", "audio"} & set(settable)


def test_long_reasons_are_wrapped_to_the_sidebar(blender: None) -> None:
    sentence = "The strip 'Speech' is a movie strip, not a sound strip, so choose another one with speech."
    lines = wrapped(sentence)
    assert len(lines) > 1 and " ".join(lines) == sentence
    blf.size(0, 11.0)  # Blender's own letters, as high as they are in panels
    assert max(blf.dimensions(0, line)[0] for line in lines) <= 300 - 80, "margins and an icon take 80"
    name = "a_name_of_a_file_or_of_a_key_that_is_longer_than_the_line_by_far_and_has_no_space"
    assert "".join(wrapped(name)) == name


@pytest.mark.parametrize(
    "sentence",
    ["Audio: 'the demonstration.flac' from frame 1", "100% of the mesh follows the face of the model"],
)
def test_no_word_stands_alone_on_the_last_line(blender: None, sentence: str) -> None:
    first, last = wrapped(sentence)
    assert len(last.split()) > 1 < len(first.split())


def wrapped(sentence: str) -> list[str]:
    """The lines of a sentence in a sidebar that is 300 wide, on a screen with twice the pixels."""
    layout = Layout([], [])
    styles = bpy.context.preferences.ui_styles
    preferences = SimpleNamespace(system=SimpleNamespace(ui_scale=2.0), ui_styles=styles)
    context = SimpleNamespace(region=SimpleNamespace(width=600), preferences=preferences)
    draw_text(layout, context, sentence, "ERROR")  # type: ignore[arg-type]
    return layout.shown
