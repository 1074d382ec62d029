"""Every difference between Blender 4.2 and 5.2 that the rest of this folder need not know.

    4.4  actions got slots, layers and channelbags; 5.0 dropped ``Action.fcurves``
    4.5  ``SequenceEditor.strips`` beside ``sequences``; 5.0 dropped the old name
    5.0  an image format belongs to a media type, and video is one
    5.0  a texture drawn over a viewport is taken for what its framebuffer holds, before that for linear light
    5.0  the Sequencer shows a scene of its own (``WorkSpace.sequencer_scene``), not always the window's
    5.1  strips got ``left_handle`` and ``content_start``; the old names go in 6.0

Each function asks for the attribute, not for the version number, wherever that is possible.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import bpy
import numpy as np
from numpy.typing import NDArray

#: Options of a path property that may start with ``//``, the .blend's folder; 4.5 asks to be told.
PATH_OPTIONS: Any = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()


def new_fcurves(action: bpy.types.Action, owner: bpy.types.ID) -> Any:
    """The F-curve collection of an empty ``action`` for ``owner`` (its slot is made where slots exist)."""
    if not hasattr(action, "slots"):
        return action.fcurves
    slot = action.slots.new(id_type=owner.id_type, name=owner.name)
    strip = action.layers.new("CodeTalker").strips.new(type="KEYFRAME")
    return strip.channelbag(slot, ensure=True).fcurves


def fcurve_collections(action: bpy.types.Action) -> Iterator[Any]:
    """Every F-curve collection in the action, of all slots."""
    if not hasattr(action, "slots"):
        yield action.fcurves
        return
    for layer in action.layers:
        for strip in layer.strips:
            for bag in strip.channelbags:
                yield bag.fcurves


def played_fcurves(action: bpy.types.Action, slot: Any) -> list[Any]:
    """The F-curve collections that a user of ``slot`` plays: all of them where there are no slots."""
    if not hasattr(action, "slots"):
        return [action.fcurves]
    bags = [bag for layer in action.layers for strip in layer.strips for bag in strip.channelbags]
    return [bag.fcurves for bag in bags if slot is not None and bag.slot_handle == slot.handle]


def action_slot(holder: Any) -> Any:
    """The slot that an AnimData or an NLA strip plays; None where there are no slots."""
    return getattr(holder, "action_slot", None)


def remove_slot(action: bpy.types.Action, slot: Any) -> None:
    """Remove a slot and its curves."""
    if slot is not None:
        action.slots.remove(slot)


def assign_action(holder: Any, action: bpy.types.Action, like: Any = None) -> Any:
    """Let an AnimData or an NLA strip play ``action``; -> the slot it plays, None where there are none.

    like: a slot of the action that this one is a copy of; without it the action's first slot is taken
    """
    if holder.id_data is not None and getattr(holder, "action", None) != action:
        holder.action = action
    if not hasattr(action, "slots"):
        return None
    slot = next((slot for slot in action.slots if like and slot.handle == like.handle), action.slots[0])
    holder.action_slot = slot
    return slot


def new_nla_strip(track: bpy.types.NlaTrack, name: str, frame: int, action: bpy.types.Action) -> Any:
    """An NLA strip called ``name`` that plays ``action``; 4.3 names it after the action when it makes it."""
    strip = track.strips.new(name, frame, action)
    strip.name = name
    assign_action(strip, action)
    return strip


def strips(editor: Any) -> Any:
    """The strips of a sequence editor or a meta strip.  (An empty one is falsy: no ``or`` of the names.)"""
    return editor.strips if hasattr(editor, "strips") else editor.sequences


def all_strips(editor: bpy.types.SequenceEditor) -> list[Any]:
    """All strips, those inside meta strips too."""
    return list(editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all)


def strip_span(strip: Any) -> tuple[int, int]:
    """First frame a strip covers and the frame after its last."""
    if hasattr(strip, "left_handle"):
        return int(strip.left_handle), int(strip.right_handle)
    return int(strip.frame_final_start), int(strip.frame_final_end)


def set_strip_length(strip: Any, frames: int) -> None:
    """Let a strip cover ``frames`` frames from its first one on."""
    if hasattr(strip, "right_handle"):
        strip.right_handle = strip.left_handle + frames
    else:
        strip.frame_final_duration = frames


def strip_content_start(strip: Any) -> float:
    """The frame at which the strip's file starts, were it not trimmed."""
    return float(strip.content_start if hasattr(strip, "content_start") else strip.frame_start)


def set_strip_content_start(strip: Any, frame: float) -> None:
    """Move a strip so that its file starts at ``frame``."""
    setattr(strip, "content_start" if hasattr(strip, "content_start") else "frame_start", frame)


def strip_trim_start(strip: Any) -> int:
    """Frames that a hard split took off the file's beginning; they lie before :func:`strip_content_start`."""
    if hasattr(strip, "content_trim_start"):
        return int(strip.content_trim_start)
    return int(getattr(strip, "animation_offset_start", 0))


def strip_is_retimed(strip: Any) -> bool:
    """Whether the strip plays at another speed than its file, or at several, as far as Blender tells."""
    return len(getattr(strip, "retiming_keys", ())) > 1


def tells_retiming(strip: Any) -> bool:
    """Whether :func:`strip_is_retimed` knows.

    Up to 4.4 Blender does not tell of sound, and ``frame_duration`` is that of the retimed strip.
    """
    return hasattr(strip, "retiming_keys")


def strip_sound_offset_s(strip: Any) -> float:
    """Seconds by which the strip's sound is shifted against it (4.5 and later)."""
    return float(getattr(strip, "sound_offset", 0.0))


def sequencer_scene(context: bpy.types.Context) -> bpy.types.Scene:
    """The scene whose timeline the Sequencer shows."""
    shown: bpy.types.Scene | None = getattr(context.workspace, "sequencer_scene", None)
    return shown or context.scene


def mix_down(scene: bpy.types.Scene, path: Path, rate_hz: int) -> None:
    """Write what the scene's frames sound like as a mono 16-bit WAV file.  Raises RuntimeError.

    It evaluates the scene at every frame, and sets the scene's audio rate and channels.
    """
    scene.render.ffmpeg.audio_mixrate = rate_hz
    scene.render.ffmpeg.audio_channels = "MONO"
    options: dict[str, Any] = {"container": "WAV", "codec": "PCM", "format": "S16", "accuracy": 1024}
    operator: Any = bpy.ops.sound.mixdown
    # Older ones take these from the scene.
    known = operator.get_rna_type().properties
    options |= {name: value for name, value in (("mixrate", rate_hz), ("channels", "MONO")) if name in known}
    with bpy.context.temp_override(scene=scene, view_layer=scene.view_layers[0], sequencer_scene=scene):
        operator(filepath=str(path), check_existing=False, **options)


def corner_vertices(mesh: bpy.types.Mesh) -> NDArray[np.int32]:
    """(L,) the vertex of every face corner, in a fraction of the time that ``mesh.loops`` takes."""
    corners = np.empty(len(mesh.loops), np.int32)
    attribute: Any = mesh.attributes.get(".corner_vert")
    if attribute is not None:
        attribute.data.foreach_get("value", corners)
    else:
        mesh.loops.foreach_get("vertex_index", corners)
    return corners


def strip_is_trimmed(strip: Any) -> bool:
    """Whether the strip covers less, or more, than its file had when it was added."""
    content = strip.content_duration if hasattr(strip, "content_duration") else strip.frame_duration
    left, right = strip_span(strip)
    return bool(right - left != content)


def set_video_output(render: bpy.types.RenderSettings, path: Path) -> None:
    """Let ``bpy.ops.render.render(animation=True)`` write one H.264 + AAC MP4 file at ``path``."""
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "VIDEO"
    settings.file_format = "FFMPEG"
    render.ffmpeg.format = "MPEG4"
    render.ffmpeg.codec = "H264"
    render.ffmpeg.constant_rate_factor = "MEDIUM"
    render.ffmpeg.audio_codec = "AAC"
    render.ffmpeg.audio_bitrate = 128
    render.use_file_extension = False
    render.filepath = str(path)


def set_png_output(render: bpy.types.RenderSettings) -> None:
    """Let renders be written as 8-bit RGB PNG."""
    settings = render.image_settings
    if hasattr(settings, "media_type"):
        settings.media_type = "IMAGE"
    settings.file_format = "PNG"
    settings.color_mode = "RGB"
    settings.compression = 15


def has_denoiser() -> bool:
    """Whether Cycles can denoise (some Linux packages cannot, and a render that asks for it then fails)."""
    return bool(getattr(sys.modules.get("_cycles"), "with_openimagedenoise", False))


def has_audio() -> bool:
    """Whether this build can read sound (Blender 4.2's Python module and some Linux packages cannot)."""
    return bool(getattr(bpy.app.build_options, "audaspace", False))


def was_built_with(library: str) -> bool:
    """Whether this build has "alembic" or "usd" (some Linux packages lack both)."""
    return bool(getattr(bpy.app.build_options, library, False))


def export_alembic(path: Path, first: int, last: int) -> None:
    """The selected objects, at whole frames; returns when the file is written."""
    bpy.ops.wm.alembic_export(
        filepath=str(path),
        start=first,
        end=last,
        selected=True,
        as_background_job=False,
        check_existing=False,
    )


def export_usd(path: Path) -> None:
    """The selected objects, in the scene's frame range; textures stay where they are."""
    wanted: dict[str, Any] = {
        "filepath": str(path),
        "selected_objects_only": True,
        "export_animation": True,
        # The file is moved to its place when it is whole, so what it names must not depend on the folder.
        "relative_paths": False,
        "export_textures": False,  # up to 4.2
        "export_textures_mode": "KEEP",  # from 4.3 on
        "check_existing": False,
    }
    known = bpy.ops.wm.usd_export.get_rna_type().properties  # type: ignore[call-arg]
    bpy.ops.wm.usd_export(**{name: value for name, value in wanted.items() if name in known})


def draw_linear_texture(texture: Any, position: tuple[int, int], side: int) -> None:
    """Draw a square texture of linear light over a viewport, in a draw handler.

    position: of its lower left corner, and side: pixels of the region
    """
    # there is no gpu module without a window
    from gpu_extras.presets import draw_texture_2d  # noqa: PLC0415

    options: dict[str, Any] = {"is_scene_linear_with_rec709_srgb_target": True}
    known = inspect.signature(draw_texture_2d).parameters
    options = {name: value for name, value in options.items() if name in known}
    draw_texture_2d(texture, position, side, side, **options)
