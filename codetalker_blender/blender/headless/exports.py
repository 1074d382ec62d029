"""The animated target -> files for other programs: Alembic, USD, MDD, PC2, or the model's raw motion.

Alembic and USD come from Blender's own exporters, where it has them: the object as it is seen, with
its modifiers and where it stands.  MDD and PC2 are the mesh alone, in its own space and before its
modifiers, for a mesh with the same vertices.  The raw motion is what the command line without
Blender writes: untuned offsets in metres, in the model's axes.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...contracts import FloatArray, Motion
from ...errors import OutputError, TargetError, UserError
from ...face.point_caches import write_mdd, write_pc2
from ...motion_files import write_motion
from .. import compat

log = logging.getLogger(__name__)
ALEMBIC, USD = (".abc",), (".usd", ".usda", ".usdc")
SUFFIXES = (*ALEMBIC, *USD, ".mdd", ".pc2", ".npz")


@dataclass(frozen=True)
class Performance:
    """What is exported.

    obj: the animated mesh; frames: the scene's frames in which it speaks
    motion: as the model gave it, by the model and in the style with these names
    """

    obj: bpy.types.Object
    scene: bpy.types.Scene
    frames: range
    motion: Motion
    model: str
    style: str


def check(path: Path) -> None:
    """Raises OutputError for a kind of file that this Blender cannot write."""
    kind = path.suffix.lower()
    if kind not in SUFFIXES:
        raise OutputError(
            f"'{path}' cannot be exported: '{kind}' is no format for it.", f"There are {' '.join(SUFFIXES)}."
        )
    for name, kinds in (("alembic", ALEMBIC), ("usd", USD)):
        if kind in kinds and not compat.was_built_with(name):
            raise OutputError(
                f"'{path}' cannot be exported: this Blender was built without {name.capitalize()}.",
                "Export MDD or PC2, or use Blender's own build.",
            )


def export(path: Path, performance: Performance) -> None:
    """Write one file.  Raises UserError; the scene stays as it was."""
    obj, scene, frames = performance.obj, performance.scene, performance.frames
    fps = scene.render.fps / scene.render.fps_base
    kind = path.suffix.lower()
    if kind == ".npz":
        write_motion(path, performance.motion, performance.model, performance.style)
    elif kind in (".mdd", ".pc2"):
        vertices = len(obj.data.vertices)
        with _kept_frame(scene), _bare_copy(obj, scene) as bare:
            points = _points(bare, scene, frames)
            if kind == ".mdd":
                write_mdd(path, points, len(frames), vertices, fps)
            else:
                write_pc2(path, points, len(frames), vertices, float(frames[0]))
    else:
        with _kept_frame(scene), _selected(obj, scene):
            try:
                if kind in ALEMBIC:
                    compat.export_alembic(path, frames[0], frames[-1])
                else:
                    _export_usd(path, scene, frames)
            except RuntimeError as error:  # how operators report their errors
                raise OutputError(f"'{path}' cannot be exported: {error}") from error
        if not path.is_file():
            raise OutputError(f"'{path}' was not written by Blender's exporter.", "The console says why.")


def _export_usd(path: Path, scene: bpy.types.Scene, frames: range) -> None:
    """USD takes the scene's own frame range."""
    kept = scene.frame_start, scene.frame_end
    scene.frame_start, scene.frame_end = frames[0], frames[-1]
    try:
        compat.export_usd(path)
    finally:
        scene.frame_start, scene.frame_end = kept


def _points(obj: bpy.types.Object, scene: bpy.types.Scene, frames: range) -> Iterator[FloatArray]:
    """(V, 3) per frame: where the shape keys put the vertices, in the object's own space."""
    for frame in frames:
        scene.frame_set(frame)
        shown = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
        mesh = shown.to_mesh()
        points = np.empty((len(mesh.vertices), 3), np.float32)
        mesh.vertices.foreach_get("co", points.ravel())
        shown.to_mesh_clear()
        yield points


@contextmanager
def _bare_copy(obj: bpy.types.Object, scene: bpy.types.Scene) -> Iterator[bpy.types.Object]:
    """Another object with the same mesh and keys, and no modifiers, for a while."""
    bare = obj.copy()
    try:
        bare.modifiers.clear()
        bare.hide_viewport = False
        scene.collection.objects.link(bare)
        yield bare
    finally:
        bpy.data.objects.remove(bare)


@contextmanager
def _selected(obj: bpy.types.Object, scene: bpy.types.Scene) -> Iterator[None]:
    """The exporters write what is selected.  Raises TargetError for what cannot be."""
    layer = scene.view_layers[0] if bpy.context.scene != scene else bpy.context.view_layer
    kept = [other for other in layer.objects if other.select_get(view_layer=layer)]
    try:
        for other in kept:
            other.select_set(False, view_layer=layer)
        try:
            obj.select_set(True, view_layer=layer)
        except RuntimeError as error:
            raise _hidden(obj) from error
        if not obj.select_get(view_layer=layer):
            raise _hidden(obj)
        yield
    finally:
        for other in layer.objects:
            other.select_set(other in kept, view_layer=layer)


def _hidden(obj: bpy.types.Object) -> UserError:
    return TargetError(f"'{obj.name}' is hidden, and exporters leave hidden objects out.", "Show it first.")


@contextmanager
def _kept_frame(scene: bpy.types.Scene) -> Iterator[None]:
    frame, subframe = scene.frame_current, scene.frame_subframe
    try:
        yield
    finally:
        scene.frame_set(frame, subframe=subframe)
