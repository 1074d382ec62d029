"""The settings of an object and its take -> keys.  No model runs here, so a slider may call it.

take (in the file) ─► tune ─► layers ─► Per Frame | Compact | Existing Keys ─► animation.py

On the model's own face the motion is turned and scaled; a mesh of another topology is led by its fit.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import bpy
import numpy as np

from ...errors import TargetError
from ...face import compact
from ...face.binding import Binding
from ...face.compact import Basis
from ...face.fit import fit_similarity
from ...face.transfer import apply
from ...face.tuning import SEEDS, Tuning, tune
from ...face.weights import SEEN, region_weights
from ..mesh import target as targets
from ..writing import animation, keys, rig_animation, takes
from ..writing.rig_animation import ChannelValues
from ..writing.takes import Placed
from . import bindings, existing, head, laying, mapping, rig_rules
from .outcomes import Outcome, outcome_of, report

log = logging.getLogger(__name__)
#: The property of ``object.codetalker`` that belongs to a region: strength, smoothing.
SLIDERS = {name: (f"strength_{name}", f"smoothing_{name}") for name in SEEDS}
#: All sliders.
TUNING = (*(name for pair in SLIDERS.values() for name in pair), "closure", "offset_s")


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
    frames, rig, outcome, laid = _frames(obj, placed)
    with _with_companions(obj, frames, rig, keep=False):
        animation.replace_animation(obj, frames[obj], nla=obj.codetalker.use_nla, take=placed)
        report(obj, outcome)
    _turn_head(obj, laid, outcome)
    return outcome


def write_values(
    obj: bpy.types.Object,
    values: Mapping[bpy.types.Object, keys.KeyValues],
    rig: Sequence[ChannelValues],
    notes: Iterable[str],
) -> Outcome:
    """Write values of Existing Keys that come from elsewhere; there is no take, so nothing to tune.

    values: of the object and, where they have keys for it, its companions; rig: of its rig
    """
    with _with_companions(obj, values, rig, keep=False):
        animation.replace_animation(obj, values[obj], nla=obj.codetalker.use_nla)
    head.apply(obj, None, None, 0.0)
    obj.codetalker.output = "EXISTING"
    outcome = Outcome(
        key_count=sum(len(one.names) for one in values.values()),
        channel_count=sum(len(one.addresses) for one in rig),
        error_mm=None,
        rms_mm=None,
        notes="\n".join(notes),
        max_error_mm=obj.codetalker.max_error_mm,
        start_frame=values[obj].start_frame,
        frame_count=len(values[obj].values),
        regions=(),
        has_mid_lips=False,
        fitted=False,
        settings=_settings_text(obj),
    )
    report(obj, outcome)
    return outcome


def tuned_motion(obj: bpy.types.Object, placed: Placed) -> existing.Motion:
    """A take as the object's sliders have it, on the model's face.  Raises TargetError."""
    take = takes.unpack(placed.packed)
    tuned = tune(take.basis, take.regions, take.fps, settings_of(obj))
    start = placed.start_frame + tuned.late_frames
    laid = laying.lay(obj, tuned.basis, take.template, take.loudness, take.fps, start)
    seen = region_weights(take.regions, SEEN)
    return existing.Motion(tuned.basis, take.template, take.regions.mid_lips, take.fps, start, laid, seen)


def rewrite(obj: bpy.types.Object, scene: bpy.types.Scene) -> Outcome:
    """Write the take that the mesh has once more, after the settings changed.  Raises TargetError."""
    placed, former = _placed(obj, scene), outcome_of(obj)
    was_led = former is not None and former.fitted and obj.codetalker.output != "EXISTING"
    if was_led and bindings.kept_of(obj) is None:
        raise TargetError(f"The fit that led '{obj.name}' was forgotten.", bindings.AGAIN)
    frames, rig, outcome, laid = _frames(obj, placed)
    with _with_companions(obj, frames, rig, keep=True):
        animation.update_animation(obj, frames[obj], nla=obj.codetalker.use_nla)
        report(obj, outcome)
    _turn_head(obj, laid, outcome)
    return outcome


def remove(obj: bpy.types.Object) -> None:
    """Remove our animation of the object, and that of the meshes that are driven together with it."""
    followers = existing.followers(obj)
    with rig_animation.all_or_nothing(obj, ()) as rig, animation.together([obj, *followers]):
        rig_animation.write(obj, rig, (), nla=False, keep=False)
        for other in (obj, *followers):
            animation.remove_animation(other)
    head.apply(obj, None, None, 0.0)


def release(obj: bpy.types.Object) -> None:
    """Drive the object alone from now on: its companions are as they were."""
    former = existing.followers(obj)
    with animation.together(former):
        for other in former:
            animation.remove_animation(other)
    bindings.release(obj)
    obj.codetalker.mapping.companions.clear()


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
    if refusal is None and not keys.is_animated(obj.data.shape_keys):
        refusal = TargetError(f"'{obj.name}' has no CodeTalker animation yet.", "Generate one first.")
    return refusal or targets.busy_mode(obj)


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


@contextmanager
def _with_companions(
    obj: bpy.types.Object,
    frames: Mapping[bpy.types.Object, keys.Frames],
    rig: Sequence[ChannelValues],
    *,
    keep: bool,
) -> Iterator[None]:
    """The block writes onto the object; then its companions and its rig follow, or do not any more.

    All or none.  keep: see :func:`rig_animation.write`
    """
    nla, former = obj.codetalker.use_nla, existing.followers(obj)
    others = [other for other in frames if other != obj]
    for other in frames:
        animation.check(other, nla=nla)
    everyone = dict.fromkeys([obj, *others, *former])
    with rig_animation.all_or_nothing(obj, rig) as before, animation.together(everyone):
        yield
        rig_animation.write(obj, before, rig, nla=nla, keep=keep)
        for other in others:
            if other in former:
                animation.update_animation(other, frames[other], nla=nla)
            else:
                animation.replace_animation(other, frames[other], nla=nla)
        for other in former:
            if other not in others:
                animation.remove_animation(other)


def _turn_head(obj: bpy.types.Object, laid: laying.Laid | None, outcome: Outcome) -> None:
    """Last of all, since nothing takes it back."""
    if laid is None:
        head.apply(obj, None, None, 0.0)
    else:
        head.apply(obj, laid.head, laid.rotations, outcome.start_frame)


def _frames(
    obj: bpy.types.Object, placed: Placed
) -> tuple[Mapping[bpy.types.Object, keys.Frames], Sequence[ChannelValues], Outcome, laying.Laid | None]:
    """What to write onto the object and, of Existing Keys or a fit, onto its companions, and onto its rig.

    Last, what is laid on top.
    """
    assert isinstance(obj.data, bpy.types.Mesh)
    take, motion = takes.unpack(placed.packed), tuned_motion(obj, placed)
    start, frame_count, laid = motion.start_frame, len(motion.basis.weights), motion.layers
    group = obj.codetalker
    notes = [laid.note] if laid is not None and laid.note else []
    outcome = Outcome(
        key_count=0,
        channel_count=0,
        error_mm=None,
        rms_mm=None,
        notes="",
        max_error_mm=group.max_error_mm,
        start_frame=start,
        frame_count=frame_count,
        regions=take.regions.names,
        has_mid_lips=len(take.regions.mid_lips) > 0,
        fitted=False,
        settings=_settings_text(obj),
    )
    if group.output == "EXISTING":
        solved = existing.solve(obj, motion)
        outcome = replace(
            outcome,
            key_count=sum(len(values.names) for _, values in solved.values),
            channel_count=sum(len(values.addresses) for values in solved.rig),
            error_mm=solved.missed.max_mm,
            rms_mm=solved.missed.rms_mm,
            notes="\n".join([*solved.notes, *notes]),
        )
        return dict(solved.values), solved.rig, outcome, laid
    lead = bindings.leading(obj, take.template)
    on_top = laid.basis if laid is not None else None
    basis, error_mm = motion.basis, None
    if group.output == "COMPACT":
        reduced = compact.reduce(basis, group.max_error_mm / 1000.0)
        basis, error_mm = reduced.basis, reduced.error * 1000.0
    basis = _together(on_top, basis)
    moved = {obj: _turned(obj, take, basis)} if lead is None else _led(obj, lead, take, basis)
    frames: dict[bpy.types.Object, keys.FrameKeys | keys.BasisKeys] = {}
    for mesh, own in moved.items():
        rest = targets.rest_of(mesh)
        if group.output == "COMPACT":
            # Layers get keys of their own, so that the animator can mute or limit one.
            labels = laid.labels if laid is not None else ()
            frames[mesh] = keys.BasisKeys(own.shapes + rest, own.weights, start, labels)
        else:
            frames[mesh] = keys.FrameKeys(own.offsets(rest), start)
    still = [f"'{mesh.name}'" for mesh in mapping.companions(obj) if mesh not in frames]
    if lead is not None and still:
        notes.append(f"Not fitted, and so still: {', '.join(still)}.")
    return (
        frames,
        (),
        replace(
            outcome,
            key_count=len(frames[obj].shapes),
            error_mm=error_mm,
            fitted=lead is not None,
            notes="\n".join(notes),
        ),
        laid,
    )


def _turned(obj: bpy.types.Object, take: takes.Take, basis: Basis) -> Basis:
    """The motion on a mesh that is the model's face, which may have been turned and scaled."""
    rest = targets.rest_of(obj)
    if take.basis.shapes.shape[1] != len(rest):
        raise TargetError(
            f"'{obj.name}' has {len(rest):,} vertices where its animation was made for "
            f"{take.basis.shapes.shape[1]:,}.",
            "Generate again to tune it.",
        )
    similarity = fit_similarity(take.template, rest)
    return basis.transformed(similarity.scale * similarity.rotation)


def _led(
    obj: bpy.types.Object, lead: Binding, take: takes.Take, basis: Basis
) -> dict[bpy.types.Object, Basis]:
    """The motion on a mesh of another topology, and on those that were fitted together with it."""
    leads = {obj: lead, **bindings.companions(obj, take.template)}
    return {mesh: Basis(basis.weights, apply(own, basis.shapes)) for mesh, own in leads.items()}


def _together(first: Basis | None, second: Basis) -> Basis:
    """The sum of two motions."""
    if first is None:
        return second
    return Basis(
        np.concatenate([first.weights, second.weights], axis=1),
        np.concatenate([first.shapes, second.shapes]),
    )


def _settings_text(obj: bpy.types.Object) -> str:
    group = obj.codetalker
    names = [*TUNING, "output", "use_nla", *(["max_error_mm"] if group.output == "COMPACT" else [])]
    text = " ".join(f"{name}={getattr(group, name)}" for name in names) + laying.settings_text(obj)
    if group.output != "EXISTING":
        return f"{text} {bindings.settings_text(obj)}".rstrip()
    return f"{text} {mapping.settings_text(obj)} {rig_rules.settings_text(obj)}".rstrip()


def _no_take(obj: bpy.types.Object) -> TargetError:
    outcome, key = outcome_of(obj), obj.data.shape_keys
    imported = bool(keys.driven_names(key)) or keys.only_carries(key)
    if outcome is not None and outcome.error_mm is None and imported:
        return TargetError(
            f"The animation of '{obj.name}' was imported and has no raw motion.", "Generate one to tune it."
        )
    return TargetError(
        f"The file no longer holds the raw motion of '{obj.name}'.", "Generate again to tune it."
    )
