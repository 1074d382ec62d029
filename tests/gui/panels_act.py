"""Acts of the sub-panels: layers, mapping and its error, bones, another topology."""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from tests.gui import extension
from tests.gui.hands import Steps
from tests.gui.stage import Stage

_FRAMES = range(1, 140, 3)
#: What a blink moves of the demo head, at least.
_BLINKS_M = 0.003
#: Seconds that a fit may take here.
_FIT_S = 180.0
#: Titles of sub-panels below Remove: Model, then Mapping or Other Topology, Tuning, Layers.
_SECOND, _TUNING = 2, 3


def layers(stage: Stage) -> Steps:
    """A tick at Blinks makes the eyes blink at once; the tick taken away, they are as before."""
    yield from _speak(stage, "PER_FRAME")
    before = _shown(stage)
    yield from stage.unfold(_TUNING)  # this one is open, and closes
    yield from stage.unfold(_TUNING + 1)
    yield from _tick(stage, "codetalker.layers.use_blinks")
    blinked = float(np.abs(_shown(stage) - before).max())
    assert blinked > _BLINKS_M, f"blinks move the face by {1000 * blinked:.1f} mm"
    for name in ("use_head", "use_gaze"):
        yield from _tick(stage, f"codetalker.layers.{name}")
    turned = stage.head.delta_rotation_euler
    assert stage.head.animation_data.action is not None, f"nothing turns the head: {turned}"
    yield from stage.picture("layers")
    for name in ("use_gaze", "use_head", "use_blinks"):
        yield from _tick(stage, f"codetalker.layers.{name}")
    np.testing.assert_allclose(_shown(stage), before, atol=1e-6)


def error(stage: Stage) -> Steps:
    """Show Error puts a coloured face beside the head, and Hide Error takes it away with its colours."""
    yield from _speak(stage, "EXISTING")
    yield from _open_mapping(stage)
    yield from stage.hands.press("codetalker.auto_map")
    yield 0.5
    rows = len(stage.head.codetalker.mapping.drives)
    assert rows >= 52, f"{rows} rows are listed"
    yield from stage.picture("mapping")
    yield from stage.unfold(2, below="codetalker.add_companions")
    objects, materials = len(bpy.data.objects), len(bpy.data.materials)
    yield from stage.hands.press("codetalker.show_error")
    yield 0.5
    face = next(obj for obj in bpy.data.objects if obj.name.startswith("CodeTalker Error"))
    assert len(face.data.materials) >= 6 and len(bpy.data.objects) == objects + 1
    colours = np.empty(len(face.data.polygons), np.int32)
    face.data.polygons.foreach_get("material_index", colours)
    assert len(set(colours.tolist())) > 1, "the whole face has one colour"
    view = stage.hands.area().spaces.active.region_3d
    view.view_perspective = "PERSP"
    with stage.hands.over():
        bpy.ops.view3d.view_axis(type="FRONT")
    yield 1.0
    view.view_location, view.view_distance = (stage.head.location + face.location) / 2, 1.0
    view.view_location.z += 0.15
    yield from stage.picture("error")
    yield from stage.hands.press("codetalker.hide_error")
    yield 0.5
    assert (len(bpy.data.objects), len(bpy.data.materials)) == (objects, materials)


def bones(stage: Stage) -> Steps:
    """Jaw Bone lists the rig's jaw, which then opens with the mouth; a number in its row changes how far."""
    yield from stage.prepare()
    stage.head.codetalker.output = "EXISTING"
    rig = _add_rig(stage)
    yield from stage.generate()
    yield from stage.finish()
    yield 0.5
    yield from _open_mapping(stage)
    yield from stage.unfold(1, below="codetalker.add_companions")
    yield from stage.hands.paste("codetalker.rig.object", rig)
    yield from stage.hands.press("codetalker.jaw_channels")
    yield 0.5
    group = stage.head.codetalker.rig
    assert group.object == bpy.data.objects[rig], f"the rig is {group.object}"
    assert len(group.channels) > 0, "no row is listed"
    widest = max(_FRAMES, key=lambda frame: _opened(rig, frame))
    assert _opened(rig, widest) > 0.05, f"the jaw turns by {_opened(rig, widest):.3f} radians at most"
    group.active_channel = 0
    yield from stage.picture("bones")
    before = _opened(rig, widest)
    row = group.channels[0]
    yield from stage.hands.paste("codetalker.rig.channels[0].output_high", f"{row.output_high / 2:.3f}")
    after = _opened(rig, widest)
    assert after < 0.8 * before, f"half the turn leaves {after:.3f} of {before:.3f} radians"


def topology(stage: Stage) -> Steps:
    """A head with other polygons is fitted and speaks; Show Fit shows what was fitted."""
    yield from stage.prepare()
    head = stage.head
    head.shape_key_clear()
    modifier = head.modifiers.new("Fewer", "DECIMATE")
    modifier.ratio = 0.7
    with bpy.context.temp_override(window=stage.hands.window, active_object=head, object=head):
        bpy.ops.object.modifier_apply(modifier=modifier.name)
    yield 0.3
    yield from stage.picture("other-topology-refused", of="UI")
    assert not bpy.ops.codetalker.generate.poll(), "a mesh of another topology needs a fit"
    yield from stage.unfold(_SECOND)
    yield from stage.hands.press("codetalker.fit_mesh")
    operators = extension.module("blender.retargeting.fit_operators")
    yield from stage.wait("the fit to begin", operators.is_going, 10)
    yield from stage.picture("fitting", of="UI")
    yield from stage.wait("the fit", lambda: not operators.is_going(), _FIT_S)
    yield 0.5
    assert bpy.ops.codetalker.generate.poll(), "the mesh is fitted and cannot speak"
    yield from stage.hands.press("codetalker.show_fit")
    yield from stage.picture("other-topology")
    yield from stage.hands.press("codetalker.show_fit")
    yield from stage.generate()
    yield from stage.finish()
    yield 0.5
    moved = float(np.ptp(_shown(stage), axis=0).max())
    assert moved > 0.004, f"the face moves by {1000 * moved:.1f} mm at most"


def _speak(stage: Stage, output: str) -> Steps:
    yield from stage.prepare()
    stage.head.codetalker.output = output
    yield from stage.generate()
    yield from stage.finish()
    yield 0.5
    assert stage.speaks(stage.head.name)


def _open_mapping(stage: Stage) -> Steps:
    """The sub-panel Mapping open and Tuning shut, so that its own sub-panels come next."""
    yield from stage.unfold(_TUNING)
    yield from stage.unfold(_SECOND)


def _tick(stage: Stage, name: str) -> Steps:
    place = yield from stage.hands.find(name)
    yield from stage.hands.click(place)
    yield 0.6


def _shown(stage: Stage) -> NDArray[np.float32]:
    """(frames, V, 3) the head as it is deformed over the speech."""
    return np.stack([stage.coordinates(frame) for frame in _FRAMES])


def _add_rig(stage: Stage) -> str:
    """An armature with a jaw in the head's place; -> its name."""
    rig = bpy.data.objects.new("Rig", bpy.data.armatures.new("Rig"))
    bpy.context.scene.collection.objects.link(rig)
    with bpy.context.temp_override(window=stage.hands.window):
        bpy.context.view_layer.objects.active = rig
        bpy.ops.object.mode_set(mode="EDIT")
        for name, head, tail in (
            ("head", (0.0, 0.0, 0.0), (0.0, 0.0, 0.2)),
            ("jaw", (0.0, 0.02, 0.08), (0.0, -0.08, 0.04)),
        ):
            bone = rig.data.edit_bones.new(name)
            bone.head, bone.tail = head, tail
        bpy.ops.object.mode_set(mode="OBJECT")
    return rig.name


def _opened(rig: str, frame: int) -> float:
    """How far the jaw bone is turned at a frame, radians."""
    bpy.context.scene.frame_set(frame)
    bone = bpy.data.objects[rig].pose.bones["jaw"]
    return float(bone.matrix_basis.to_quaternion().angle)
