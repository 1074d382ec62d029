"""A preview in the corner of the 3D Views: drawn over them, without anything in the scene.

Drawn by the gpu module into a picture of its own, which then lies on the viewport; it is seen from where
the viewport looks.  When it ends, or Blender does, there is nothing to take back but a draw handler.
"""

from __future__ import annotations

import logging
import time

import blf
import bpy
import gpu
import numpy as np
from mathutils import Matrix
from numpy.typing import NDArray

from ...contracts import FloatArray
from .. import compat
from . import preview
from .preview import Preview

log = logging.getLogger(__name__)
#: The square's side: this share of the viewport's smaller side, and at most so many points.
_SHARE, _LARGEST = 0.45, 300
_MARGIN = 12
_BACKGROUND = (0.02, 0.021, 0.024, 1.0)
#: Painted larger than shown, which smooths the edges.
_FINER = 1.5


class Inset:
    """Shows one preview from ``show`` to ``hide``."""

    def __init__(self, shown: Preview) -> None:
        self._preview = shown
        self._handler: object | None = None
        self._failed = False
        self._elements: gpu.types.GPUIndexBuf | None = None
        self._canvas: gpu.types.GPUOffScreen | None = None
        self._content: object = None  # what is painted on it: frame and view
        #: the longest that one drawing has taken, seconds
        self.worst_s = 0.0

    def show(self) -> None:
        """Draw in all 3D Views from now on; a second call changes nothing."""
        if self._handler is None and not self._failed:
            self._handler = bpy.types.SpaceView3D.draw_handler_add(self._draw, (), "WINDOW", "POST_PIXEL")

    def hide(self) -> None:
        """Leave the 3D Views as they were."""
        if self._handler is not None:
            bpy.types.SpaceView3D.draw_handler_remove(self._handler, "WINDOW")
            self._handler = None
        self._elements = None
        if self._canvas is not None:
            self._canvas.free()
            self._canvas = self._content = None
        redraw()

    def _draw(self) -> None:
        if self._failed:
            return
        started = time.perf_counter()
        try:
            self._draw_face(bpy.context)
        except Exception:
            # Whatever a graphics driver dislikes must not print at every redraw, nor stop the job.
            self._failed = True
            log.exception("The live preview cannot be drawn; the run goes on without it")
        self.worst_s = max(self.worst_s, time.perf_counter() - started)

    def _draw_face(self, context: bpy.types.Context) -> None:
        due = self._preview.frame()
        region, view = context.region, context.region_data
        if due is None or region is None or view is None:
            return
        number, shape = due
        scale = context.preferences.system.ui_scale
        side = int(min(_SHARE * min(region.width, region.height), _LARGEST * scale))
        if side < 40 * scale:
            return
        x = region.width - _sidebar_width(context) - side - int(_MARGIN * scale)
        y = int(_MARGIN * scale)
        towards = np.array(view.view_matrix, np.float64)[:3, :3]
        towards /= np.linalg.norm(towards, axis=1, keepdims=True)
        canvas = self._painted((number, towards.tobytes()), shape, towards, int(_LARGEST * scale * _FINER))
        gpu.state.blend_set("NONE")
        compat.draw_linear_texture(canvas.texture_color, (x, y), side)
        font = 0
        blf.size(font, 11 * scale)
        blf.color(font, 0.9, 0.9, 0.9, 1.0)
        blf.position(font, x + 6 * scale, y + 6 * scale, 0)
        blf.draw(font, f"CodeTalker  {number + 1}")

    def _painted(
        self, content: object, shape: FloatArray, towards: NDArray[np.float64], side: int
    ) -> gpu.types.GPUOffScreen:
        """The face in a picture; painted anew only when there is other content: mouse moves redraw, too."""
        if self._canvas is None:
            self._canvas = gpu.types.GPUOffScreen(side, side, format="RGBA8")
        if content != self._content:
            self._paint(self._canvas, preview.picture(self._preview.portrait, shape, towards))
            self._content = content
        return self._canvas

    def _paint(self, canvas: gpu.types.GPUOffScreen, seen: preview.Picture) -> None:
        if self._elements is None:
            self._elements = gpu.types.GPUIndexBuf(type="TRIS", seq=self._preview.portrait.triangles)
        form = gpu.types.GPUVertFormat()
        form.attr_add(id="pos", comp_type="F32", len=3, fetch_mode="FLOAT")
        form.attr_add(id="color", comp_type="F32", len=4, fetch_mode="FLOAT")
        vertices = gpu.types.GPUVertBuf(form, len(seen.points))
        vertices.attr_fill("pos", seen.points)
        vertices.attr_fill("color", seen.colours)
        batch = gpu.types.GPUBatch(type="TRIS", buf=vertices, elem=self._elements)
        depth_test, depth_mask = gpu.state.depth_test_get(), gpu.state.depth_mask_get()
        with canvas.bind(), gpu.matrix.push_pop(), gpu.matrix.push_pop_projection():
            gpu.state.active_framebuffer_get().clear(color=_BACKGROUND, depth=1.0)
            gpu.matrix.load_identity()
            gpu.matrix.load_projection_matrix(Matrix.Identity(4))
            gpu.state.depth_test_set("LESS_EQUAL")
            gpu.state.depth_mask_set(True)
            batch.draw(gpu.shader.from_builtin("SMOOTH_COLOR"))
            gpu.state.depth_mask_set(depth_mask)
            gpu.state.depth_test_set(depth_test)


def redraw() -> None:
    """Have all 3D Views drawn again."""
    for window in bpy.context.window_manager.windows:
        for area in window.screen.areas:
            if area.type == "VIEW_3D":
                for region in area.regions:
                    if region.type == "WINDOW":
                        region.tag_redraw()


def _sidebar_width(context: bpy.types.Context) -> int:
    """What the sidebar covers of the viewport's right side."""
    if not context.preferences.system.use_region_overlap:
        return 0
    sides = [region for region in context.area.regions if region.type == "UI" and region.alignment == "RIGHT"]
    return sum(region.width for region in sides if region.width > 1)
