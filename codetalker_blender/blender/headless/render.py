"""A speaking head -> still frames, a contact sheet of them, and a short video with sound."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from .. import compat

Pixels = NDArray[np.float32]  # (height, width, 4), bottom row first, as Blender keeps images

#: 3 × 5 dots per digit, row by row from the top, for the captions of the contact sheet.
_DIGITS = {
    "0": "111101101101111", "1": "010110010010111", "2": "111001111100111", "3": "111001111001111",
    "4": "101101111001001", "5": "111100111001111", "6": "111100111101111", "7": "111001010010010",
    "8": "111101111101111", "9": "111101111001111", ".": "000000000000010", "s": "011100010001110",
    " ": "000000000000000", "-": "000000111000000",
}  # fmt: skip


@dataclass(frozen=True)
class RenderSize:
    """Small enough for two cores: less than a second a frame.

    width, height: pixels; samples: light paths per pixel
    """

    width: int = 320
    height: int = 320
    samples: int = 12


def set_up_cycles(scene: bpy.types.Scene, size: RenderSize) -> None:
    """Cycles on the CPU, tuned for many small frames of one head."""
    # An add-on brings Cycles, so Blender's own list of engines lacks it.
    scene.render.engine = "CYCLES"  # type: ignore[assignment]
    scene.render.resolution_x, scene.render.resolution_y = size.width, size.height
    scene.render.resolution_percentage = 100
    # Keeps textures and unchanged geometry between frames.
    scene.render.use_persistent_data = True
    scene.render.use_sequencer = False
    cycles = scene.cycles
    cycles.device = "CPU"
    cycles.samples = size.samples
    cycles.use_adaptive_sampling = False
    # A dozen samples and the fast denoiser cost a third of what a clean picture without one costs.
    cycles.use_denoising = compat.has_denoiser()
    cycles.denoising_prefilter = cycles.denoising_quality = "FAST"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 2, 1, 1
    cycles.caustics_reflective = cycles.caustics_refractive = False


def render_frames(
    scene: bpy.types.Scene, frames: Sequence[int], folder: Path, progress: Callable[[int, int], None]
) -> list[Path]:
    """Render the scene's frames as PNG into ``folder``; progress(done, total) after each."""
    compat.set_png_output(scene.render)
    paths = []
    for index, frame in enumerate(frames):
        path = folder / f"{frame:04d}.png"
        scene.frame_set(frame)
        scene.render.filepath = str(path)
        bpy.ops.render.render(write_still=True, scene=scene.name)
        paths.append(path)
        progress(index + 1, len(frames))
    return paths


def choose_frames(opening: NDArray[np.float32], count: int) -> list[int]:
    """``count`` telling moments of a clip, in order: its widest and its most closed mouths by turns.

    opening: (T,) mouth opening per frame.  The clip is cut into ``count`` equal parts; even parts give
    their widest frame, odd ones their most closed.
    """
    parts = [part for part in np.array_split(np.arange(len(opening)), count) if len(part)]
    pick = (np.argmax, np.argmin)
    return [int(part[pick[i % 2](opening[part])]) for i, part in enumerate(parts)]


def contact_sheet(pictures: Sequence[Path], captions: Sequence[str], columns: int, output: Path) -> None:
    """One PNG of equal pictures in rows, each with its caption (digits, '.', 's', '-') below it."""
    tiles = [_captioned(_read_pixels(path), text) for path, text in zip(pictures, captions, strict=True)]
    while len(tiles) % columns:
        tiles.append(np.zeros_like(tiles[0]))
    rows = [np.concatenate(tiles[i : i + columns], axis=1) for i in range(0, len(tiles), columns)]
    # Blender's bottom row comes first, so the last row of tiles does too.
    _write_pixels(np.concatenate(rows[::-1], axis=0), output)


def encode_video(
    pictures: Sequence[Path],
    sound: Path | None,
    like: bpy.types.Scene,
    output: Path,
    sound_frame: int = 1,
) -> None:
    """The pictures as an MP4 at the rate and size of scene ``like``, with the sound.

    sound_frame: where the sound starts; 1 is the first picture, and what comes before is not heard
    Works in a scene of its own, which is removed again.
    """
    scene = bpy.data.scenes.new("CodeTalker Video")
    try:
        render = scene.render
        render.fps, render.fps_base = like.render.fps, like.render.fps_base
        render.resolution_x, render.resolution_y = like.render.resolution_x, like.render.resolution_y
        render.resolution_percentage = 100
        render.use_sequencer = True
        # The pictures are finished: no second tone mapping.
        scene.view_settings.view_transform = "Standard"  # type: ignore[assignment]
        scene.frame_start, scene.frame_end = 1, len(pictures)
        sequence = compat.strips(scene.sequence_editor_create())
        strip = sequence.new_image(name="Frames", filepath=str(pictures[0]), channel=1, frame_start=1)
        for path in pictures[1:]:
            strip.elements.append(path.name)
        compat.set_strip_length(strip, len(pictures))
        if sound is not None and compat.has_audio():
            sequence.new_sound(name="Speech", filepath=str(sound), channel=2, frame_start=sound_frame)
        compat.set_video_output(render, output)
        bpy.ops.render.render(animation=True, scene=scene.name)
    finally:
        bpy.data.scenes.remove(scene)


def _read_pixels(path: Path) -> Pixels:
    image = bpy.data.images.load(str(path), check_existing=False)
    try:
        pixels = np.empty((image.size[1], image.size[0], 4), np.float32)
        image.pixels.foreach_get(pixels.ravel())
        return pixels
    finally:
        bpy.data.images.remove(image)


def _write_pixels(pixels: Pixels, path: Path) -> None:
    height, width = pixels.shape[:2]
    image = bpy.data.images.new("CodeTalker Sheet", width, height)
    try:
        image.pixels.foreach_set(np.ascontiguousarray(pixels, np.float32).ravel())
        image.filepath_raw = str(path)
        image.file_format = "PNG"
        image.save()
    finally:
        bpy.data.images.remove(image)


def _captioned(picture: Pixels, text: str, dot: int = 2) -> Pixels:
    """The picture with a dark strip below it that carries the text in dots of ``dot`` pixels."""
    height, width = 9 * dot, picture.shape[1]
    strip = np.zeros((height, width, 4), np.float32)
    strip[..., 3] = 1.0
    for index, char in enumerate(text):
        dots = np.array([bit == "1" for bit in _DIGITS[char]]).reshape(5, 3)
        block = np.kron(dots[::-1], np.ones((dot, dot), bool))
        left = (2 + index * 4) * dot
        if left + 3 * dot <= width:
            strip[2 * dot : 7 * dot, left : left + 3 * dot][block] = 1.0
    return np.concatenate([strip, picture], axis=0)
