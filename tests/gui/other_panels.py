"""Acts outside the 3D View's tab: the Sequencer's panel, the preferences; and the demo head from nothing."""

from __future__ import annotations

import bpy

from tests.gui import extension
from tests.gui.hands import Steps
from tests.gui.program import MODULE
from tests.gui.stage import AUDIO, Stage

_START = 21


def active_strip(stage: Stage) -> Steps:
    """The panel beside the strips: the active one is spoken, from where it lies."""
    compat = extension.module("blender.compat")
    if not compat.has_audio():
        return
    yield from stage.prepare()
    scene = bpy.context.scene
    editor = scene.sequence_editor_create()
    path = bpy.path.abspath(AUDIO)
    strip = compat.strips(editor).new_sound(name="Speech", filepath=path, channel=1, frame_start=_START)
    strip.sound.filepath = AUDIO
    editor.active_strip = strip
    if hasattr(bpy.context.workspace, "sequencer_scene"):  # from 5.0 on the Sequencer has a scene of its own
        bpy.context.workspace.sequencer_scene = scene
    area = stage.hands.area()
    area.type = "SEQUENCE_EDITOR"
    yield 0.5
    yield from stage.open_tab("SEQUENCE_EDITOR")
    with stage.hands.over(area="SEQUENCE_EDITOR"):
        bpy.ops.sequencer.view_all()
    yield from stage.picture("sequencer")
    yield from stage.hands.press("codetalker.generate", "SEQUENCE_EDITOR")
    yield from stage.wait("a speech to be generated", extension.is_running, 5)
    yield from stage.finish()
    yield 0.3
    outcome = extension.module("blender.retargeting.outcomes").outcome_of(stage.head)
    assert outcome is not None, "nothing was written"
    assert outcome.start_frame == _START, f"the speech starts at frame {outcome.start_frame}"
    strips = compat.all_strips(scene.sequence_editor)
    assert len(strips) == 1, f"{len(strips)} strips play where there was one"


def demo_head(stage: Stage) -> Steps:
    """In an empty scene one button brings a head that can speak."""
    yield from stage.empty()
    yield from stage.open_tab()
    yield from stage.hands.press("codetalker.add_demo_head")
    yield 1.0
    assert stage.settings.target is not None, "no target is chosen"
    stage.settings.audio = str(stage.project / "speech" / "demo.flac")
    assert bpy.ops.codetalker.generate.poll(), "the new head cannot speak"


def preferences(stage: Stage) -> Steps:
    """The extension's preferences say what the engine is, and the check finds nothing to complain about."""
    yield from stage.empty()
    area = stage.hands.area()
    area.type = "PREFERENCES"
    bpy.context.preferences.active_section = "ADDONS"
    bpy.context.window_manager.addon_search = "CodeTalker"
    yield 0.5
    bpy.ops.preferences.addon_expand(module=MODULE)
    area.tag_redraw()
    yield 1.0
    stage.snap("preferences")
    bpy.ops.codetalker.check_installation("INVOKE_DEFAULT")
    examination = extension.module("blender.setup.examination")
    yield from stage.wait("the check to end", lambda: not examination.current().running, 120)
    yield 0.5
    stage.snap("check")
    problems = [f"{one.subject}: {one.problem}" for one in examination.current().findings if one.problem]
    assert not problems, "; ".join(problems)
