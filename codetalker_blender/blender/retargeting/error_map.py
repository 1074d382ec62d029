"""What Existing Keys miss of the motion, as a coloured face beside the target: *Show Error*, *Hide Error*.

    take, settings ─► existing.solve ─► millimetres on the model's face ─► a face with a material per colour

The keys stand for shapes of the model's face, and that is where the error can be measured; so it is shown
there, on a face of its own that belongs to nothing and goes with one button.
"""

from __future__ import annotations

from pathlib import Path

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FaceMesh, FloatArray, IntArray
from ...errors import TargetError, UserError
from ...face.blendshapes import demo_head_face, is_demo_template
from ...face.heat import heat_of
from ...face.model_shapes import template_of
from ...face.residual import Residual
from ...model_files import read_card, read_face
from ..bundles import models
from ..buttons import Button
from ..preferences import models_folder
from ..writing import takes
from . import existing, heat_maps, tuning
from .heat_maps import Kind
from .outcomes import outcome_of

KIND = Kind("CodeTalker Error", "codetalker_error")
#: Attributes of the face's vertices, millimetres.
RMS, LARGEST = "error_rms_mm", "error_largest_mm"
#: Rows are the world's axes in those of a template whose up is the key; the face looks along -Y.
_UPRIGHT = {
    "X": ((0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (1.0, 0.0, 0.0)),
    "Y": ((1.0, 0.0, 0.0), (0.0, 0.0, -1.0), (0.0, 1.0, 0.0)),
    "Z": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
}
#: Between the target and the face, as a share of the face's width.
_GAP = 0.3


def show(obj: bpy.types.Object, scene: bpy.types.Scene) -> Residual:
    """Put the coloured face beside the object, in place of an earlier one.  Raises UserError."""
    template, missed = _missed(obj, scene)
    triangles, up_axis = _face_of(template, scene)
    points = template.astype(np.float64) @ np.array(_UPRIGHT[up_axis]).T
    values = {RMS: missed.vertex_mm, LARGEST: missed.vertex_max_mm}
    heat = heat_of(missed.vertex_mm, triangles)
    face = heat_maps.show(KIND, obj.name, points, triangles, heat, values)
    _place(face, obj, points)
    scene.collection.objects.link(face)
    return missed


def obstacle(obj: bpy.types.Object | None, scene: bpy.types.Scene) -> TargetError | None:
    """Why there is no error that could be shown, or None.  Cheap: the panel asks on every redraw."""
    refusal = tuning.obstacle(obj, scene)
    if refusal is not None:
        return refusal
    assert obj is not None
    outcome = outcome_of(obj)
    if obj.codetalker.output != "EXISTING" or outcome is None or outcome.rms_mm is None:
        return TargetError(
            f"'{obj.name}' has no animation of Existing Keys.", "Choose that Output and generate."
        )
    return None


def _missed(obj: bpy.types.Object, scene: bpy.types.Scene) -> tuple[FloatArray, Residual]:
    """(V, 3) metres, the model's face, and what the keys miss on it, by the settings as they are now."""
    refusal = obstacle(obj, scene)
    placed = takes.stored(obj.data.shape_keys) if refusal is None else None
    if refusal is not None or placed is None:
        raise refusal or TargetError(
            f"The raw motion of '{obj.name}' cannot be read.", "Generate again to see what its keys miss."
        )
    motion = tuning.tuned_motion(obj, placed)
    return motion.template, existing.solve(obj, motion).missed


def _face_of(template: FloatArray, scene: bpy.types.Scene) -> tuple[IntArray, str]:
    """(F, 3) triangles and up axis of the face that has these vertices.  Raises TargetError."""
    if is_demo_template(template):
        return demo_head_face().triangles, "Z"
    folders = [choice.folder for choice in models.choices(models_folder())]
    if scene.codetalker.model_folder:
        folders.append(Path(bpy.path.abspath(scene.codetalker.model_folder)))
    for folder in folders:
        try:
            card = read_card(folder)
            face: FaceMesh = read_face(folder, card)
        except UserError:  # it is broken, or no model: another may be the one
            continue
        if np.array_equal(template_of(face, card.units_per_metre), template):
            return face.triangles, card.up_axis
    raise TargetError(
        "The model that made this motion is not among your models, and only it has the face to show.",
        "Choose it under Model, and try again.",
    )


def _place(face: bpy.types.Object, obj: bpy.types.Object, points: NDArray[np.float64]) -> None:
    """As tall as the object, standing beside it."""
    corners = heat_maps.corners_of(obj)
    low, high = corners.min(axis=0), corners.max(axis=0)
    size = np.ptp(points, axis=0)
    scale = float((high - low).max() / max(size.max(), 1e-9)) or 1.0
    own_low = scale * points.min(axis=0)
    face.scale = (scale, scale, scale)
    face.location = (
        high[0] + _GAP * scale * size[0] - own_low[0],
        0.5 * (low[1] + high[1]) - own_low[1] - 0.5 * scale * size[1],
        low[2] - own_low[2],
    )


class CODETALKER_OT_show_error(Button):
    bl_idname = "codetalker.show_error"
    bl_label = "Show Error"
    bl_description = (
        "Put a face beside the target that shows in colours how far the keys miss the motion, on the model's "
        "own face, as root mean square over the clip"
    )
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return obstacle(context.scene.codetalker.target, context.scene)

    def perform(self, context: bpy.types.Context) -> None:
        obj = context.scene.codetalker.target
        missed = show(obj, context.scene)
        self.report(
            {"INFO"},
            f"The keys of '{obj.name}' miss {missed.rms_mm:.2f} mm RMS, {missed.max_mm:.1f} mm at most",
        )


class CODETALKER_OT_hide_error(Button):
    bl_idname = "codetalker.hide_error"
    bl_label = "Hide Error"
    bl_description = "Take the coloured face away again"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        return None if heat_maps.shown(KIND) is not None else UserError("No error is shown.")

    def perform(self, context: bpy.types.Context) -> None:
        heat_maps.hide(KIND)


CLASSES = (CODETALKER_OT_show_error, CODETALKER_OT_hide_error)
