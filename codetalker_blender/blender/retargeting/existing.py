"""Tuned motion on the model's face -> values of the shape keys that the target has, on meshes of any kind.

    motion ─► solve_weights (the model's face) ─► mapping.py (names) ─► KeyValues per mesh

The target's own vertices do not matter here; what is missed is measured on the model's face.  A face that is
not the demo head's gets its shapes at the first run, from the worker (bases.py says where they are).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

import bpy
import numpy as np

from ...contracts import FloatArray, IntArray, ShapeWeights
from ...errors import TargetError, UserError, listed
from ...face.blendshapes import Blendshapes
from ...face.compact import Basis
from ...face.head_motion import HEAD_ANGLES
from ...face.layers import joined
from ...face.names import key_weights
from ...face.residual import Residual, residual
from ...face.shape_controls import ShapeControl, SolveSettings
from ...face.weights import solve_weights
from ...model_files import ModelCard
from ..mesh import target as targets
from ..mesh.readiness import Fit
from ..writing import animation, curves, keys, takes
from ..writing.rig_animation import ChannelValues
from . import bases, mapping, rig_values
from .laying import Laid


@dataclass(frozen=True)
class Motion:
    """A tuned motion on the model's face.

    basis: offsets in metres, template axes, at ``fps``
    template: (V, 3) metres; mid_lips: (2,) or (0,)
    start_frame: scene frame of the first one, which may lie between two frames
    layers: what is laid on top, or None
    vertex_weights: (V,) how much each vertex counts; None: all alike
    """

    basis: Basis
    template: FloatArray
    mid_lips: IntArray
    fps: float
    start_frame: float
    layers: Laid | None = None
    vertex_weights: FloatArray | None = None


@dataclass(frozen=True)
class Solved:
    """What is to be written.

    values: of each mesh that has keys for it; the object itself is the first, with keys or without
    rig: of what holds the rig's channels
    missed: of the motion by the shapes in use, on the model's own face
    notes: sentences for the animator
    """

    values: tuple[tuple[bpy.types.Object, keys.KeyValues], ...]
    rig: tuple[ChannelValues, ...]
    missed: Residual
    notes: tuple[str, ...]


def solve(obj: bpy.types.Object, motion: Motion) -> Solved:
    """Key values for the object and its companions.  Raises TargetError where there is nothing to drive."""
    check_keys(obj)
    driven = mapping.of(obj)
    followed = (rule.shape for rule in rig_values.usable(obj).rules)
    used = [shape for shape in dict.fromkeys([*driven, *followed]) if shape in mapping.shapes_of(obj)]
    shapes = bases.of_take(motion.template, obj.codetalker.mapping.shape_set).chosen(used)
    settings = SolveSettings(controls=mapping.controls(obj))
    question = _question(shapes, motion, settings)
    weights, missed = _solved(question), _missed(question)
    by_name = mapping.for_layers(obj) if motion.layers is not None else {}
    weights = _with_layers(weights, motion, settings.controls)
    wanted = key_weights({**driven, **by_name}, weights)
    values, rig, notes = values_of(obj, wanted, _with_head(weights, motion), motion.start_frame)
    return Solved(values, rig, missed, notes)


def solve_all(motion: Motion, shape_set: str, controls: Mapping[str, ShapeControl]) -> ShapeWeights:
    """Weights of all shapes of a set, for other programs.  Raises TargetError when the face has none."""
    shapes, settings = bases.of_take(motion.template, shape_set), SolveSettings(controls=controls)
    weights = _solved(_question(shapes, motion, settings))
    return _with_layers(weights, motion, controls).chosen(shapes.names)


@dataclass(frozen=True)
class _Question:
    """What the solver is asked; equal where its answer is.  Whatever only layers change asks nothing new."""

    digest: bytes
    shapes: Blendshapes = field(compare=False)
    motion: Motion = field(compare=False)
    settings: SolveSettings = field(compare=False)


def _question(shapes: Blendshapes, motion: Motion, settings: SolveSettings) -> _Question:
    digest = hashlib.blake2b(repr((shapes.names, motion.fps, settings)).encode(), digest_size=16)
    counts = motion.vertex_weights if motion.vertex_weights is not None else np.zeros(0)
    for values in (shapes.offsets, motion.basis.weights, motion.basis.shapes, motion.mid_lips, counts):
        digest.update(f"{values.shape} {values.dtype}".encode())
        digest.update(np.ascontiguousarray(values).data)
    return _Question(digest.digest(), shapes, motion, settings)


@lru_cache(maxsize=2)
def _solved(asked: _Question) -> ShapeWeights:
    shapes, motion, counts = asked.shapes, asked.motion, asked.motion.vertex_weights
    return solve_weights(shapes, motion.basis, motion.fps, asked.settings, counts, mid_lips=motion.mid_lips)


@lru_cache(maxsize=2)
def _missed(asked: _Question) -> Residual:
    return residual(asked.shapes, _solved(asked), asked.motion.basis)


def _with_layers(weights: ShapeWeights, motion: Motion, controls: Mapping[str, ShapeControl]) -> ShapeWeights:
    """Weights with what is laid on top, but for shapes that are switched off."""
    if motion.layers is None:
        return weights
    off = {shape for shape, control in controls.items() if not control.enabled}
    return joined(weights, motion.layers.weights, without=off)


def _with_head(weights: ShapeWeights, motion: Motion) -> ShapeWeights:
    """Weights with the turns of the head beside them."""
    if motion.layers is None or motion.layers.head_angles is None:
        return weights
    values = np.concatenate([weights.values, motion.layers.head_angles], axis=1).astype(np.float32)
    return ShapeWeights((*weights.names, *HEAD_ANGLES), values, weights.fps)


def values_of(
    obj: bpy.types.Object, wanted: ShapeWeights, weights: ShapeWeights, start_frame: float
) -> tuple[tuple[tuple[bpy.types.Object, keys.KeyValues], ...], tuple[ChannelValues, ...], tuple[str, ...]]:
    """What each mesh and the rig get, and sentences for the animator.

    wanted: values of keys, by name; weights: of the shapes that the rig follows; both at the scene's rate
    The object itself is always among the meshes: where its rig alone moves, without keys.
    """
    values, notes = _key_values(obj, wanted, start_frame)
    rig, rig_notes = rig_values.values(obj, weights, start_frame)
    if obj not in dict(values):
        nothing = np.zeros((weights.frame_count, 0), np.float32)
        values = ((obj, keys.KeyValues((), nothing, (), start_frame)), *values)
    return values, rig, (*notes, *rig_notes)


def _key_values(
    obj: bpy.types.Object, wanted: ShapeWeights, start_frame: float
) -> tuple[tuple[tuple[bpy.types.Object, keys.KeyValues], ...], tuple[str, ...]]:
    """Values of keys, by name -> those of each mesh that has the keys, and what the animator should know.

    wanted: at the scene's frame rate; keys that the animator animates are left alone
    """
    values, taken, short = [], [], []
    for mesh in mapping.meshes(obj):
        free, left_alone = _keys_of(mesh, wanted.names)
        taken += [f"'{name}' of '{mesh.name}'" for name in left_alone]
        if not free:
            continue
        key = mesh.data.shape_keys
        columns = wanted.values[:, [wanted.names.index(name) for name in free]]
        values.append(
            (mesh, keys.KeyValues(free, columns, keys.resting(key, free), start_frame)),
        )
        for name, highest, lowest in zip(free, columns.max(axis=0), columns.min(axis=0), strict=True):
            block = key.key_blocks[name]
            if highest > block.slider_max + 1e-4 or lowest < block.slider_min - 1e-4:
                short.append(f"'{name}' of '{mesh.name}'")
    notes = []
    if taken:
        notes.append(f"Left alone, because you animate them: {listed(taken)}.")
    if short:
        notes.append(f"The range of these keys is too small for the motion and cuts it off: {listed(short)}.")
    return tuple(values), tuple(notes)


def check_keys(obj: bpy.types.Object) -> None:
    """Raises TargetError when none of the object's keys, and nothing of its rig, can be driven, or a
    companion or the rig cannot be written.
    """
    for other in mapping.companions(obj):
        refusal = targets.obstacle(other, other.users_scene[0]) or targets.busy_mode(other)
        if refusal is not None:
            raise refusal
        keys.refuse_foreign_absolute(other)
        animation.refuse_muted_nla(other, nla=obj.codetalker.use_nla)
    if rig_values.check(obj):
        return
    driven = mapping.of(obj)
    if not driven:
        kind, shapes = mapping.SETS[obj.codetalker.mapping.shape_set]
        count = sum(len(mapping.own_keys(mesh)) for mesh in mapping.meshes(obj))
        raise TargetError(
            f"None of the {count} shape keys of '{obj.name}' is named like one of the {len(shapes)} {kind}.",
            "Choose other Shapes, map keys by hand, or let bones follow, under Mapping.",
        )
    names = tuple(drive.key for drives in driven.values() for drive in drives)
    free, taken = _keys_of(obj, names)
    if not free and not taken:
        raise TargetError(
            f"None of the mapped shape keys is on '{obj.name}' itself.",
            "Choose the mesh that has most of them as Target, and the others under Mapping.",
        )
    if not free:
        raise TargetError(
            f"You animate all of the mapped shape keys of '{obj.name}' already.",
            "Remove your own keyframes or drivers from those that shall speak.",
        )


def fit(obj: bpy.types.Object, folder: Path, card: ModelCard) -> Fit:
    """The line about the target in the pre-flight list."""
    try:
        news = bases.news(folder, card)
        check_keys(obj)
    except UserError as error:
        return Fit("", error.message)
    return Fit(f"{coverage(obj)}; {news}" if news else coverage(obj), "")


def coverage(obj: bpy.types.Object) -> str:
    """How many shapes have keys, and which have none."""
    kind, shapes = mapping.SETS[obj.codetalker.mapping.shape_set]
    driven, rig = mapping.of(obj), rig_values.coverage(obj)
    if rig and not driven:
        return rig
    missing = [shape for shape in shapes if shape not in driven]
    text = f"{rig}; " if rig else ""
    text += f"{len(driven)} of {len(shapes)} {kind} found"
    return f"{text}; missing: {listed(missing)}" if missing else text


def followers(obj: bpy.types.Object) -> list[bpy.types.Object]:
    """The companions that we drive together with the object; none for a copy of an object that we drove."""
    key = obj.data.shape_keys if isinstance(obj.data, bpy.types.Mesh) else None
    owner = keys.last_owner(key)
    if owner and owner != obj.name and owner in bpy.data.objects:
        return []
    moved = [other for other in mapping.companions(obj) if keys.is_animated(other.data.shape_keys)]
    # One with a take of its own speaks by itself.
    return [other for other in moved if not takes.has_take(other.data.shape_keys)]


def _keys_of(mesh: bpy.types.Object, wanted: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Of the wanted keys those on this mesh that are free, and those that the animator animates."""
    present = set(mapping.own_keys(mesh))
    taken = curves.taken_names(mesh.data.shape_keys) if present else set()
    found = [name for name in dict.fromkeys(wanted) if name in present]
    return tuple(n for n in found if n not in taken), tuple(n for n in found if n in taken)
