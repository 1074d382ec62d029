"""The scene -> one request for the engine, and the engine's motion -> keys on the target.

    prepare(context) ─► Prepared ─► (a job) ─► Motion ─► capture ─► write(prepared, take) ─► Written

Between the two the animator may rename, delete or edit anything, so ``Prepared`` holds session numbers,
which survive a new name and an undo, and ``write`` looks everything up and checks it again.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TypeVar

import bpy

from ...contracts import FaceMesh, GenerateRequest, Motion
from ...errors import TargetError, UserError
from ...face.binding import Binding
from ...face.fit import Similarity
from ...face.model_shapes import template_of
from ...model_files import ModelCard, read_card, read_face
from ..bundles import models
from ..mesh import target as targets
from ..preferences import engine_settings
from ..retargeting import bases, bindings, error_map, existing, heat_maps, laying, tuning
from ..retargeting.outcomes import Outcome
from ..sound import sources, strips
from ..writing import animation, keys, takes
from . import styles
from .preview import Portrait, portrait_of

Found = TypeVar("Found", bpy.types.Scene, bpy.types.Object)


@dataclass(frozen=True)
class Prepared:
    """One run, read from the scene.

    scene, target: their names then; scene_uid, target_uid: Blender's numbers for them in this session
    source: where the speech lies; start_frame: where the first frame of the motion goes
    note: a sentence for the animator about what was read, or ""
    portrait: the target for a preview, where one is wanted
    """

    request: GenerateRequest
    card: ModelCard
    face: FaceMesh
    scene: str
    scene_uid: int
    target: str
    target_uid: int
    source: sources.Source
    start_frame: int
    note: str = ""
    portrait: Portrait | None = None


@dataclass(frozen=True)
class Written:
    """What a run put into the scene.

    first_frame, last_frame: whole frames, between which the face may start and end
    warnings: sentences about what the animator should know
    """

    target: str
    first_frame: int
    last_frame: int
    outcome: Outcome
    #: Of the target against the model's face; 1 and 0 where it is not that face.
    scale: float
    residual_mm: float
    warnings: tuple[str, ...]

    def __str__(self) -> str:
        return f"'{self.target}' speaks from frame {self.first_frame} to {self.last_frame} ({self.outcome})."


@dataclass(frozen=True)
class Check:
    """One line of the panel's pre-flight list.

    reason: why not, empty when all is well; detail: then what was found, if there is more to say
    """

    label: str
    reason: str
    detail: str = ""

    def __str__(self) -> str:
        return self.reason or (f"{self.label}: {self.detail}" if self.detail else self.label)


def prepare(context: bpy.types.Context) -> Prepared:
    """Read the scene and refuse all that can be refused before the engine runs.  Raises UserError."""
    scene = context.scene
    settings = scene.codetalker
    source = sources.locate(context)
    folder = models.require_folder(settings)
    card = read_card(folder)
    face = read_face(folder, card)
    target = targets.read_target(settings.target, scene)
    similarity = _align(settings.target, target, face, card)
    by_keys = settings.target.codetalker.output == "EXISTING"
    if by_keys:
        bases.check(folder, card)
        existing.check_keys(settings.target)
    animation.check(settings.target, nla=settings.target.codetalker.use_nla)
    lays_shapes = laying.layers_of(settings.target).moves_shapes
    style, note = styles.mix_rows(scene, card, source.start_frame)
    engine = engine_settings()
    portrait = None
    if similarity is not None and settings.use_preview and not bpy.app.background:
        portrait = portrait_of(settings.target, target.rest, similarity, card.units_per_metre)
    return Prepared(
        request=GenerateRequest(
            audio=sources.read(source),
            model=folder,
            style=style,
            device=engine.device if settings.device == "preferences" else settings.device,
            fps=strips.frames_per_second(scene),
            temperature=settings.own_variation if settings.own_variation >= 0.0 else None,
            seed=settings.seed,
            shapes=bases.folder() if by_keys or lays_shapes else None,
            needs_shapes=by_keys,
        ),
        card=card,
        face=face,
        scene=scene.name,
        scene_uid=scene.session_uid,
        target=target.name,
        target_uid=settings.target.session_uid,
        source=source,
        start_frame=source.start_frame,
        note=note,
        portrait=portrait,
    )


def waiting_for(prepared: Prepared) -> TargetError | None:
    """Why a finished result cannot be written just now (the animator is in Edit Mode), or None."""
    obj = _of_session(bpy.data.objects, prepared.target_uid)
    return targets.busy_mode(obj) if obj is not None else None


def _of_session(items: Iterable[Found], uid: int) -> Found | None:
    """The scene or object with Blender's number for it, whatever it is called now."""
    return next((item for item in items if item.session_uid == uid), None)


def capture(prepared: Prepared, motion: Motion) -> bytes:
    """The motion as a take, which is what the file keeps of it.  Touches no bpy; runs in any thread."""
    return takes.capture(motion, prepared.face, prepared.card)


def write(prepared: Prepared, take: bytes, notes: tuple[str, ...] = ()) -> Written:
    """Put a take onto the target, as its settings say, and the sound onto the timeline.

    notes: the engine's, which join the warnings
    Raises UserError, with the scene as it was, when the target or the scene have gone or changed so
    that they do not fit any more.
    """
    scene = _of_session(bpy.data.scenes, prepared.scene_uid)
    obj = _of_session(bpy.data.objects, prepared.target_uid)
    if scene is None or obj is None:
        gone = f"scene '{prepared.scene}'" if scene is None else f"object '{prepared.target}'"
        raise TargetError(
            f"The {gone} was removed while the model was running.", "Undo its removal, then generate again."
        )
    target = targets.read_target(obj, scene)
    similarity = _align(obj, target, prepared.face, prepared.card)
    own = similarity if isinstance(similarity, Similarity) else None
    former = keys.last_owner(obj.data.shape_keys)
    outcome = tuning.write(obj, takes.Placed(take, prepared.start_frame))
    if former and former not in scene.objects:
        # The target was renamed since the last run.
        strips.rename_owner(scene, former, obj.name)
    sound = sources.place(prepared.source, scene, obj.name)
    first, last = outcome.frames[0], outcome.frames[-1]
    found = [prepared.note, *notes, *prepared.source.notes, sound, outcome.warning]
    warnings = [*found, *_warnings(scene, obj, last)]
    return Written(
        target=obj.name,
        first_frame=first,
        last_frame=last,
        outcome=outcome,
        scale=own.scale if own else 1.0,
        residual_mm=own.residual_mm(prepared.card.units_per_metre) if own else 0.0,
        warnings=tuple(text for text in warnings if text),
    )


def _align(
    obj: bpy.types.Object, target: targets.Target, face: FaceMesh, card: ModelCard
) -> Similarity | Binding | None:
    """As :func:`targets.align`, or the fit that leads the mesh; None for an output that works on any mesh.

    Raises TargetError.
    """
    if obj.codetalker.output == "EXISTING":
        return None
    template = template_of(face, card.units_per_metre)
    lead = bindings.leading(obj, template)
    if lead is None:
        return targets.align(target, face, card.name)
    bindings.companions(obj, template)  # refuses those that do not fit any more
    return lead


def remove(obj: bpy.types.Object | None, scene: bpy.types.Scene) -> None:
    """Take our animation off the object, and its sound off the timeline.  Raises TargetError."""
    refusal = tuning.unanimated(obj, scene)
    if refusal is not None:
        raise refusal
    assert obj is not None
    owner = keys.last_owner(obj.data.shape_keys)
    tuning.remove(obj)
    face = heat_maps.shown(error_map.KIND)
    if face is not None and face[error_map.KIND.mark] in (owner, obj.name):
        heat_maps.hide(error_map.KIND)
    for name in {owner, obj.name} - set(scene.objects.keys()) | {obj.name}:
        strips.remove_sound(scene, name)


def checks(context: bpy.types.Context) -> list[Check]:
    """The pre-flight list.  Cheap enough for every redraw: a mesh is compared when its polygons change."""
    settings = context.scene.codetalker
    found = []
    try:
        found.append(Check("Audio", "", str(sources.locate(context))))
    except UserError as error:
        found.append(Check("Audio", error.message))
    card, folder, model_reason = None, None, ""
    try:
        folder = models.require_folder(settings)
        card = models.card(folder)
    except UserError as error:
        model_reason = error.message
    refusal: UserError | None = targets.obstacle(settings.target, context.scene)
    if refusal is None and settings.target is not None:
        refusal = targets.busy_mode(settings.target)
    if refusal is not None:
        found.append(Check("Target", refusal.message))
    elif card is not None and folder is not None:
        look = existing.fit if settings.target.codetalker.output == "EXISTING" else bindings.fit
        fit = look(settings.target, folder, card)
        found.append(Check("Target", fit.reason, fit.detail))
    else:
        found.append(Check("Target", ""))
    found.append(Check("Model", model_reason))
    blended = [settings.style, settings.style_b] if settings.style_mix else [settings.style]
    if card is not None and not set(blended) <= set(card.styles):
        found.append(Check("Style", "No speaking style is chosen."))
    missing = engine_settings().missing()
    found.append(Check("Engine", f"{missing}." if missing else ""))
    return found


def _warnings(scene: bpy.types.Scene, obj: bpy.types.Object, last_frame: int) -> list[str]:
    found = []
    if last_frame > scene.frame_end:
        found.append(f"The speech goes on to frame {last_frame}, the scene ends at {scene.frame_end}.")
    if obj.show_only_shape_key:
        found.append(f"'{obj.name}' shows only its active shape key: switch off Solo Active Shape Key.")
    animated = obj.data.shape_keys.animation_data
    if animated is not None and any(track.is_solo for track in animated.nla_tracks):
        found.append("An NLA track is soloed, which silences the others.")
    return found
