"""Weights of shapes ⇄ the animation on the keys of a mesh.

file ─► place (the mapping) ─► key values          finished animation ─► shown ─► file
"""

from __future__ import annotations

import bpy
import numpy as np
from numpy.typing import NDArray

from ...contracts import FloatArray, ShapeWeights
from ...errors import TargetError, listed
from ...face.curves import resample_offsets
from ...face.gaze import look_angles
from ...face.names import NameMapping, as_shapes, key_weights
from ..mesh import target as targets
from ..retargeting import existing, mapping, rig_values, tuning
from ..retargeting.outcomes import Outcome
from ..sound import strips
from ..writing import animation, keys, takes


def place(
    obj: bpy.types.Object, scene: bpy.types.Scene, weights: ShapeWeights, start_frame: int
) -> tuple[Outcome, str]:
    """Let the mapped keys of an object and its companions follow weights, in place of our animation.

    weights: at any rate, under any names that the automatic mapping reads as shapes of the object's set
    start_frame: the scene's frame of their first one
    returns: what was written, and a sentence on what was not, or ""
    Raises TargetError, with the scene as it was, when nothing of it fits.
    """
    refusal = targets.obstacle(obj, scene) or targets.busy_mode(obj)
    if refusal is not None:
        raise refusal
    animation.check(obj, nla=obj.codetalker.use_nla)
    existing.check_keys(obj)
    driven = mapping.of(obj)
    kind, shapes = mapping.SETS[obj.codetalker.mapping.shape_set]
    known = as_shapes(weights, shapes)
    if not known.names:
        raise TargetError(
            f"None of the {len(weights.names)} columns is one of the {len(shapes)} {kind}: "
            f"{listed(weights.names)}.",
            "Choose other Shapes under Mapping, or another file.",
        )
    used = {shape: drives for shape, drives in driven.items() if shape in known.names}
    values = resample_offsets(known.values, known.fps, strips.frames_per_second(scene))
    controls = mapping.controls(obj)
    columns = [
        controls[name].applied(column) if name in controls else column
        for name, column in zip(known.names, values.T, strict=True)
    ]
    moved = ShapeWeights(known.names, np.stack(columns, axis=1), strips.frames_per_second(scene))
    placed, rig, notes = existing.values_of(obj, key_weights(used, moved), moved, float(start_frame))
    moving = {rule.shape for rule in rig_values.usable(obj).rules}.intersection(known.names)
    if not dict(placed)[obj].names and not moving:
        raise TargetError(
            f"No free key of '{obj.name}' follows any of the {len(known.names)} shapes that there are: "
            f"{listed(known.names)}.",
            "Map keys by hand under Mapping, or choose another file.",
        )
    idle = [name for name in known.names if name not in {*used, *moving} and known.of(name).any()]
    lost = f"No key follows {listed(idle)}." if idle else ""
    return tuning.write_values(obj, dict(placed), rig, notes), " ".join([*notes, lost]).strip()


def shown_with_turns(
    obj: bpy.types.Object, scene: bpy.types.Scene
) -> tuple[ShapeWeights, NDArray[np.float64]]:
    """What our animation of an object shows by ARKit's shapes, and (T, 9) radians of LIVE_LINK_ROTATIONS.

    Those of the head are its layer's, those of the eyes what their shapes come to.  Raises TargetError.
    """
    placed = takes.stored(obj.data.shape_keys)
    motion = tuning.tuned_motion(obj, placed) if placed is not None else None
    weights = shown(obj, scene, "ARKIT", motion)
    turns = np.zeros((weights.frame_count, 3, 3))
    if motion is not None and motion.layers is not None and motion.layers.head_angles is not None:
        turns[:, 0] = motion.layers.head_angles
    # Eyes turn to the left and up; an ARKit pitch goes down.
    turns[:, 1:, :2] = look_angles(weights) * (1.0, -1.0)
    return weights, np.radians(turns.reshape(-1, 9))


def shown(
    obj: bpy.types.Object, scene: bpy.types.Scene, shape_set: str, motion: existing.Motion | None = None
) -> ShapeWeights:
    """What our animation of an object shows, from its first frame on.

    shape_set: see mapping.SETS; motion: that of the object's take, where it is known

    A tuned motion is solved for all of the set's shapes, whatever keys the object has.  Where there is
    no motion, because weights were imported, they are what the keys have, by the mapping.
    Raises TargetError.
    """
    own_set = obj.codetalker.mapping.shape_set == shape_set
    placed = takes.stored(obj.data.shape_keys)
    if placed is not None:
        controls = mapping.controls(obj) if own_set else {}
        return existing.solve_all(motion or tuning.tuned_motion(obj, placed), shape_set, controls)
    if not own_set:
        kind, other = mapping.SETS[shape_set][0], mapping.SETS[obj.codetalker.mapping.shape_set][0]
        raise TargetError(
            f"The keys of '{obj.name}' follow {other}, not {kind}.", "Export them as plain weights."
        )
    return _of_keys(obj, strips.frames_per_second(scene))


def _of_keys(obj: bpy.types.Object, fps: float) -> ShapeWeights:
    """The weights that give the keys of the object and its companions the values that we wrote."""
    columns: dict[str, FloatArray] = {}
    for mesh in (obj, *existing.followers(obj)):
        own = animation.read_own(mesh)
        if isinstance(own, keys.KeyValues):
            columns |= {
                name: column
                for name, column in zip(own.names, own.values.T, strict=True)
                if name not in columns
            }
    used: NameMapping = {
        shape: drives
        for shape, drives in mapping.of(obj).items()
        if any(drive.key in columns for drive in drives)
    }
    if not used:
        raise TargetError(
            f"No key of '{obj.name}' that CodeTalker animates follows a shape.", "Look under Mapping."
        )
    # gains: (shapes, keys).  Of weights that give the same values, those of least length.
    gains = np.zeros((len(used), len(columns)))
    places = {name: place for place, name in enumerate(columns)}
    for row, drives in enumerate(used.values()):
        for drive in drives:
            if drive.key in places:
                gains[row, places[drive.key]] = drive.gain
    values = np.stack(list(columns.values()), axis=1) @ np.linalg.pinv(gains)
    return ShapeWeights(tuple(used), values.astype(np.float32), fps)
