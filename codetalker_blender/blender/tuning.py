"""The settings of an object and its take -> keys.  No model runs here, so a slider may call it.

take (in the file) ─► tune ─► Per Frame | Compact ─► animation.py
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, fields

import bpy

from ..errors import TargetError
from ..face import compact
from ..face.fit import fit_similarity
from ..face.tuning import SEEDS, Tuning, tune
from . import animation, keys, takes
from . import target as targets
from .takes import Placed

log = logging.getLogger(__name__)
#: The property of ``object.codetalker`` that belongs to a region: strength, smoothing.
SLIDERS = {name: (f"strength_{name}", f"smoothing_{name}") for name in SEEDS}
#: All sliders.
TUNING = (*(name for pair in SLIDERS.values() for name in pair), "closure", "offset_s")


@dataclass(frozen=True)
class Outcome:
    """What was written.

    key_count: shape keys of ours, without the closing rest key
    error_mm: largest distance of a vertex from the tuned motion, on the model's own face; None for
        Per Frame, which has none
    max_error_mm: what was asked for
    start_frame, frame_count: where it plays
    regions: those that the model's face has; has_mid_lips: whether its mid-lips are marked
    settings: what the object's settings were
    """

    key_count: int
    error_mm: float | None
    max_error_mm: float
    start_frame: float
    frame_count: int
    regions: tuple[str, ...]
    has_mid_lips: bool
    settings: str

    def __str__(self) -> str:
        if self.error_mm is None:
            return f"{self.key_count} keys"
        return f"{self.key_count} keys, at most {self.error_mm:.3f} mm off"

    @property
    def warning(self) -> str | None:
        """A sentence when the error bound could not be kept."""
        if self.error_mm is None or self.error_mm <= self.max_error_mm:
            return None
        return (
            f"The error is {self.error_mm:.4f} mm where at most {self.max_error_mm:.4f} mm was asked for: "
            "it is as small as Blender's numbers allow."
        )


def settings_of(obj: bpy.types.Object) -> Tuning:
    """The sliders of an object."""
    group = obj.codetalker
    return Tuning(
        strength={name: getattr(group, strength) for name, (strength, _) in SLIDERS.items()},
        smoothing_s={name: getattr(group, smoothing) for name, (_, smoothing) in SLIDERS.items()},
        closure=group.closure,
        offset_s=group.offset_s,
    )


def write(obj: bpy.types.Object, placed: Placed) -> Outcome:
    """Write a new take onto the object's mesh, tuned and in the form that its settings ask for."""
    frames, outcome = _frames(obj, placed)
    animation.replace_animation(obj, frames, nla=obj.codetalker.use_nla, take=placed)
    _report(obj, outcome)
    return outcome


def rewrite(obj: bpy.types.Object, scene: bpy.types.Scene) -> Outcome:
    """Write the take that the mesh has once more, after the settings changed.  Raises TargetError."""
    frames, outcome = _frames(obj, _placed(obj, scene))
    animation.update_animation(obj, frames, nla=obj.codetalker.use_nla)
    _report(obj, outcome)
    return outcome


def reset(obj: bpy.types.Object, scene: bpy.types.Scene) -> Outcome:
    """Set the sliders to their defaults and write; Output stays.

    Raises TargetError, with the sliders as they were, when they could not be applied.
    """
    takes.unpack(_placed(obj, scene).packed)
    for name in TUNING:
        obj.codetalker.property_unset(name)
    return rewrite(obj, scene)


def obstacle(obj: bpy.types.Object | None, scene: bpy.types.Scene) -> TargetError | None:
    """Why the sliders cannot be used, or None.  Cheap: the panel asks on every redraw."""
    refusal = unanimated(obj, scene)
    if refusal is None and not takes.has_take(obj.data.shape_keys):
        refusal = _no_take(obj)
    return refusal or targets.lost_rest(obj)


def unanimated(obj: bpy.types.Object | None, scene: bpy.types.Scene) -> TargetError | None:
    """Why there is no animation of ours on the object that could be changed now, or None."""
    refusal = targets.obstacle(obj, scene)
    if refusal is None and not keys.own_names(obj.data.shape_keys):
        refusal = TargetError(f"'{obj.name}' has no CodeTalker animation yet.", "Generate one first.")
    return refusal or targets.busy_mode(obj)


def outcome_of(obj: bpy.types.Object) -> Outcome | None:
    """What was written last, or None where nothing is."""
    key = obj.data.shape_keys if isinstance(obj.data, bpy.types.Mesh) else None
    if key is None or key.get(keys.MARK) is None or keys.REPORT not in key[keys.MARK]:
        return None
    values = key[keys.MARK][keys.REPORT].to_dict()
    if set(values) != {item.name for item in fields(Outcome)}:
        return None  # of another version
    values["regions"] = tuple(values["regions"].split())
    values["has_mid_lips"] = bool(values["has_mid_lips"])
    values["error_mm"] = values["error_mm"] if values["error_mm"] >= 0 else None
    return Outcome(**values)


def is_applied(obj: bpy.types.Object) -> bool:
    """Whether the animation shows what the settings say; a script may have set them in Edit Mode."""
    outcome = outcome_of(obj)
    return outcome is None or outcome.settings == _settings_text(obj)


def _placed(obj: bpy.types.Object, scene: bpy.types.Scene) -> Placed:
    """The take that the object's mesh has.  Raises TargetError for what :func:`obstacle` names, and more."""
    refusal = obstacle(obj, scene)
    placed = takes.stored(obj.data.shape_keys) if refusal is None else None
    if refusal is not None or placed is None:
        raise refusal or _no_take(obj)
    return placed


def _frames(obj: bpy.types.Object, placed: Placed) -> tuple[keys.FrameKeys | keys.BasisKeys, Outcome]:
    assert isinstance(obj.data, bpy.types.Mesh)
    take = takes.unpack(placed.packed)
    group, rest = obj.codetalker, targets.rest_coordinates(obj.data)
    if take.basis.shapes.shape[1] != len(rest):
        raise TargetError(
            f"'{obj.name}' has {len(rest):,} vertices where its animation was made for "
            f"{take.basis.shapes.shape[1]:,}.",
            "Generate again to tune it.",
        )
    similarity = fit_similarity(take.template, rest)
    matrix = similarity.scale * similarity.rotation
    tuned = tune(take.basis, take.regions, take.fps, settings_of(obj))
    start, frame_count = placed.start_frame + tuned.late_frames, len(tuned.basis.weights)
    frames: keys.FrameKeys | keys.BasisKeys
    if group.output == "COMPACT":
        reduced = compact.reduce(tuned.basis, group.max_error_mm / 1000.0)
        shapes = reduced.basis.transformed(matrix).shapes + rest
        frames, error_mm = keys.BasisKeys(shapes, reduced.basis.weights, start), reduced.error * 1000.0
    else:
        frames = keys.FrameKeys(tuned.basis.transformed(matrix).offsets(rest), start)
        error_mm = None
    return frames, Outcome(
        key_count=len(frames.shapes),
        error_mm=error_mm,
        max_error_mm=group.max_error_mm,
        start_frame=start,
        frame_count=frame_count,
        regions=take.regions.names,
        has_mid_lips=len(take.regions.mid_lips) > 0,
        settings=_settings_text(obj),
    )


def _report(obj: bpy.types.Object, outcome: Outcome) -> None:
    values = {**vars(outcome), "regions": " ".join(outcome.regions)}
    values["has_mid_lips"] = int(outcome.has_mid_lips)
    values["error_mm"] = -1.0 if outcome.error_mm is None else outcome.error_mm
    obj.data.shape_keys[keys.MARK][keys.REPORT] = values


def _settings_text(obj: bpy.types.Object) -> str:
    group = obj.codetalker
    names = [*TUNING, "output", "use_nla", *(["max_error_mm"] if group.output == "COMPACT" else [])]
    return " ".join(f"{name}={getattr(group, name)}" for name in names)


def _no_take(obj: bpy.types.Object) -> TargetError:
    return TargetError(
        f"The file no longer holds the raw motion of '{obj.name}'.", "Generate again to tune it."
    )
