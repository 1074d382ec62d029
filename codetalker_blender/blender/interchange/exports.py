"""The animated target -> files for other programs: scenes, point caches, weights of shapes, raw motion.

Alembic and USD come from Blender's own exporters, where it has them: the object as it is seen, with
its modifiers and where it stands.  MDD and PC2 are the mesh alone, in its own space and before its
modifiers, for a mesh with the same vertices.  Weights are those of shape_weights.py, from the first frame of
the speech on.  The raw motion is what the command line without Blender writes: untuned offsets in metres,
in the model's axes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import bpy
import numpy as np

from ...contracts import FloatArray, Motion
from ...disk import explained, refuse_full
from ...errors import OutputError, TargetError, UserError, reason_of
from ...face.point_caches import write_mdd, write_pc2
from ...face.weight_files import write_csv, write_json, write_live_link
from ...motion_files import write_motion
from .. import compat
from ..retargeting import tuning
from ..retargeting.outcomes import outcome_of
from ..writing import takes
from . import shape_weights


@dataclass(frozen=True)
class Format:
    """A kind of file.

    label, about: for the animator; endings: of its files, the usual one first
    library: without which a Blender cannot write it
    """

    label: str
    about: str
    endings: tuple[str, ...]
    library: str = ""

    def obstacle(self) -> str:
        """Why this Blender cannot write it, or ""."""
        if not self.library or compat.was_built_with(self.library):
            return ""
        return f"this Blender was built without {self.label}"


#: By identifier.
FORMATS = {
    "ALEMBIC": Format("Alembic", "The object as it is seen, frame by frame", (".abc",), "alembic"),
    "USD": Format("USD", "The object as it is seen, frame by frame", (".usdc", ".usd", ".usda"), "usd"),
    "MDD": Format("MDD", "Point cache of the mesh before its modifiers", (".mdd",)),
    "PC2": Format("PC2", "Point cache of the mesh before its modifiers", (".pc2",)),
    "LIVE_LINK": Format(
        "Live Link Face", "Weights of ARKit's 52 shapes as Epic's app writes them", (".livelink.csv",)
    ),
    "CSV": Format("Weights (CSV)", "Weights of ARKit shapes or visemes, with seconds", (".csv",)),
    "JSON": Format("Weights (JSON)", "Weights of ARKit shapes or visemes", (".json",)),
    "RAW": Format("Raw Motion (NumPy)", "Offsets of the model's own face, before tuning", (".npz",)),
}
WEIGHTS = tuple(FORMATS[name] for name in ("LIVE_LINK", "CSV", "JSON"))
ENDINGS = tuple(ending for kind in FORMATS.values() for ending in kind.endings)


@dataclass(frozen=True)
class Performance:
    """What is exported.

    obj: the animated mesh; frames: the scene's frames in which it speaks
    motion: as the model gave it, by the model and in the style with these names; None for an animation
        that is in the scene already, whose raw motion is in its take
    """

    obj: bpy.types.Object
    scene: bpy.types.Scene
    frames: range
    motion: Motion | None = None
    model: str = ""
    style: str = ""


def finished(obj: bpy.types.Object | None, scene: bpy.types.Scene) -> Performance:
    """The animation that an object in the scene has.  Raises TargetError where there is none of ours."""
    refusal = tuning.unanimated(obj, scene)
    if refusal is not None:
        raise refusal
    assert obj is not None
    outcome = outcome_of(obj)
    if outcome is None:
        raise TargetError(
            f"The animation of '{obj.name}' is from another version of this extension.",
            "Generate again to export it.",
        )
    return Performance(obj, scene, outcome.frames)


def format_of(path: Path) -> Format:
    """Raises OutputError for an ending that no format has."""
    ending = ending_of(path.name)
    if not ending:
        raise OutputError(
            f"'{path}' cannot be exported: '{path.suffix}' is no format for it.",
            f"There are {' '.join(ENDINGS)}.",
        )
    return next(kind for kind in FORMATS.values() if ending in kind.endings)


def ending_of(name: str) -> str:
    """The longest ending of a format that a file's name has, or ""."""
    return max((ending for ending in ENDINGS if name.lower().endswith(ending)), key=len, default="")


def holds_weights(path: Path) -> bool:
    """Whether the file is one of weights, which need shapes of the model's face.  Raises OutputError."""
    return format_of(path) in WEIGHTS


def check(path: Path) -> None:
    """Raises OutputError for a kind of file that this Blender cannot write."""
    if reason := format_of(path).obstacle():
        raise OutputError(
            f"'{path}' cannot be exported: {reason}.", "Export MDD or PC2, or use Blender's own build."
        )


def export(path: Path, performance: Performance) -> None:
    """Write one file.  Raises UserError; the scene stays as it was."""
    check(path)
    obj, scene = performance.obj, performance.scene
    kind = format_of(path)
    if kind == FORMATS["RAW"]:
        write_motion(path, performance.motion or _raw_motion(obj), performance.model, performance.style)
    elif kind == FORMATS["LIVE_LINK"]:
        write_live_link(path, *shape_weights.shown_with_turns(obj, scene))
    elif kind in (FORMATS["CSV"], FORMATS["JSON"]):
        write = write_csv if kind == FORMATS["CSV"] else write_json
        write(path, shape_weights.shown(obj, scene, obj.codetalker.mapping.shape_set))
    elif kind in (FORMATS["MDD"], FORMATS["PC2"]):
        _export_points(path, performance)
    else:
        _export_scene(path, performance)


def _raw_motion(obj: bpy.types.Object) -> Motion:
    """What the file keeps of it: the offsets to 0.002 mm, at the scene's rate, and no codes."""
    placed = takes.stored(obj.data.shape_keys)
    if placed is None:
        raise TargetError(
            f"The file holds no raw motion of '{obj.name}'.", "Export another format, or generate again."
        )
    take = takes.unpack(placed.packed)
    return Motion(take.basis.offsets(), take.fps, np.zeros((0, 0), np.int32), take.fps)


def _export_points(path: Path, performance: Performance) -> None:
    obj, scene, frames = performance.obj, performance.scene, performance.frames
    vertices = len(obj.data.vertices)
    with _kept_frame(scene), _bare_copy(obj, scene) as bare:
        points = _points(bare, scene, frames)
        if format_of(path) == FORMATS["MDD"]:
            fps = scene.render.fps / scene.render.fps_base
            write_mdd(path, points, len(frames), vertices, fps)
        else:
            write_pc2(path, points, len(frames), vertices, float(frames[0]))


def _export_scene(path: Path, performance: Performance) -> None:
    """By Blender's own exporters."""
    scene, frames = performance.scene, performance.frames
    with _kept_frame(scene), _selected(performance.obj, scene):
        with explained(path):
            # When the disk is full, Blender's Alembic exporter ends Blender.
            needed_bytes = _size_of(performance.obj, len(frames))
            refuse_full(path, needed_bytes, "Free some space, or export fewer frames.")
        try:
            if format_of(path) == FORMATS["ALEMBIC"]:
                compat.export_alembic(path, frames[0], frames[-1])
            else:
                _export_usd(path, scene, frames)
        except RuntimeError as error:  # how operators report their errors
            raise OutputError(f"'{path}' cannot be exported: {reason_of(error)}.") from error
    if not path.is_file():
        raise OutputError(f"'{path}' was not written by Blender's exporter.", "The console says why.")


def _size_of(obj: bpy.types.Object, frame_count: int) -> int:
    """About how many bytes an object takes as it is seen: a place per vertex, a normal per sharp corner."""
    instance = obj.evaluated_get(bpy.context.evaluated_depsgraph_get())
    mesh = instance.to_mesh()
    points, corners = len(mesh.vertices), len(mesh.loops) if mesh.normals_domain != "POINT" else 0
    instance.to_mesh_clear()
    last = obj.modifiers[-1] if len(obj.modifiers) else None
    # What is left to whoever reads the file.
    finer = 4**last.levels if isinstance(last, bpy.types.SubsurfModifier) and last.show_viewport else 1
    return 12 * frame_count * (points + corners) // finer


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
