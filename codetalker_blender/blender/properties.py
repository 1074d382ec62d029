"""The settings: of a run in ``scene.codetalker``, of the animation on a mesh in ``object.codetalker``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from . import compat
from .bundles import models
from .preferences import DEVICES, models_folder
from .retargeting import layer_settings, mapping_settings, rig_settings
from .retargeting.follow import rewrite
from .sound import heard, sources


def _model_items(group: CODETALKER_PG_scene, context: bpy.types.Context | None) -> list[models.EnumItem]:
    return models.model_items(models_folder())


def _style_items(group: CODETALKER_PG_scene, context: bpy.types.Context | None) -> list[models.EnumItem]:
    folder = models.chosen_folder(group)
    card = models.card_or_none(folder) if folder else None
    return models.style_items(card.styles if card else ())


def _first_style(group: CODETALKER_PG_scene, context: bpy.types.Context) -> None:
    """A style is a row of one model's table and means nothing in another's."""
    for name in ("style", "style_b"):
        group.property_unset(name)


def _variation(group: CODETALKER_PG_scene) -> float:
    if group.own_variation >= 0.0:
        return float(group.own_variation)
    folder = models.chosen_folder(group)
    card = models.card_or_none(folder) if folder else None
    return card.temperature if card else 0.0


def _set_variation(group: CODETALKER_PG_scene, value: float) -> None:
    group.own_variation = value


def _sound_strips(group: CODETALKER_PG_scene, context: bpy.types.Context, typed: str) -> list[str]:
    return heard.sound_names(compat.sequencer_scene(context))


def _is_mesh(group: CODETALKER_PG_scene, obj: bpy.types.Object) -> bool:
    return obj.type == "MESH"


class CODETALKER_PG_scene(bpy.types.PropertyGroup):
    if TYPE_CHECKING:
        source: str
        audio: str
        strip: str
        limit_to_scene_range: bool
        target: bpy.types.Object | None
        model: str
        model_folder: str
        style: str
        device: str
        style_b: str
        style_mix: float
        own_variation: float
        variation: float
        seed: int
        use_preview: bool
    else:
        source: bpy.props.EnumProperty(
            name="Source",
            description="Where the speech comes from",
            items=(
                (
                    sources.ACTIVE_STRIP,
                    "Active Strip",
                    "What is heard of the Sequencer's active sound strip, where it is heard",
                ),
                (
                    sources.STRIP_BY_NAME,
                    "Strip by Name",
                    "What is heard of a certain sound strip, where it is heard",
                ),
                (
                    sources.FILE,
                    "File",
                    "A sound file, from the current frame on; it is added to the Sequencer",
                ),
            ),
            default=sources.FILE,
        )
        strip: bpy.props.StringProperty(
            name="Strip",
            description="Sound strip with the speech",
            search=_sound_strips,
            # The name of a strip of another scene is not in the list.
            search_options={"SUGGESTION", "SORT"},
        )
        limit_to_scene_range: bpy.props.BoolProperty(
            name="Limit to Scene Range",
            description=(
                "Use only what is heard between the scene's first and last frame, or in its preview range "
                "where that is used"
            ),
        )
        audio: bpy.props.StringProperty(
            name="Audio",
            description="Recording of the speech",
            subtype="FILE_PATH",
            options=compat.PATH_OPTIONS,
        )
        target: bpy.props.PointerProperty(
            name="Target", description="Head that shall speak", type=bpy.types.Object, poll=_is_mesh
        )
        model: bpy.props.EnumProperty(
            name="Model",
            description="Model bundle that turns speech into motion",
            items=_model_items,
            update=_first_style,
        )
        model_folder: bpy.props.StringProperty(
            name="Folder",
            description="Folder of a model bundle",
            subtype="DIR_PATH",
            options=compat.PATH_OPTIONS,
            update=_first_style,
        )
        style: bpy.props.EnumProperty(
            name="Style", description="Speaking style", items=_style_items, options=set()
        )
        style_b: bpy.props.EnumProperty(
            name="Second Style",
            description="Speaking style that Mix leads to",
            items=_style_items,
            options=set(),
        )
        style_mix: bpy.props.FloatProperty(
            name="Mix",
            description=(
                "How much of the second style is spoken: 0 is the first alone, 1 the second alone; "
                "keyframes are followed through the speech"
            ),
            min=0.0,
            max=1.0,
            subtype="FACTOR",
        )
        device: bpy.props.EnumProperty(
            name="Device",
            description="Where the model runs",
            items=(
                ("preferences", "As in the Preferences", "The device chosen in the preferences"),
                *DEVICES,
            ),
            default="preferences",
        )
        own_variation: bpy.props.FloatProperty(
            description="The variation that replaces the model's own; below 0 nothing does",
            default=-1.0,
            options={"HIDDEN"},
        )
        variation: bpy.props.FloatProperty(
            name="Variation",
            description=(
                "How freely motions are drawn; 0 always takes the likeliest one, and until you change it "
                "this is what the model brings along"
            ),
            min=0.0,
            soft_max=2.0,
            precision=2,
            options=set(),
            get=_variation,
            set=_set_variation,
        )
        seed: bpy.props.IntProperty(
            name="Seed",
            description="Number that repeats the same drawing of motions; without variation it does nothing",
            min=0,
            options=set(),
        )
        use_preview: bpy.props.BoolProperty(
            name="Live Preview",
            description="Show the moving face in a corner of the 3D View while the model runs",
            default=True,
        )


def _strength() -> Any:
    return bpy.props.FloatProperty(
        name="Strength",
        description="Factor on the motion of this part of the face; 1 is as generated",
        min=0.0,
        soft_max=2.0,
        max=5.0,
        default=1.0,
        options=set(),
        update=rewrite,
    )


def _smoothing() -> Any:
    return bpy.props.FloatProperty(
        name="Smoothing",
        description=(
            "Smoothing of the motion of this part of the face over time, in seconds (standard deviation); "
            "it moves nothing earlier or later"
        ),
        min=0.0,
        soft_max=0.2,
        max=2.0,
        step=1,
        precision=3,
        options=set(),
        update=rewrite,
    )


class CODETALKER_PG_object(bpy.types.PropertyGroup):
    """Not animatable: a curve on a slider would change nothing."""

    if TYPE_CHECKING:
        output: str
        max_error_mm: float
        use_nla: bool
        mapping: mapping_settings.CODETALKER_PG_mapping
        rig: rig_settings.CODETALKER_PG_rig
        layers: layer_settings.CODETALKER_PG_layers
        strength_mouth: float
        strength_jaw: float
        strength_upper_face: float
        strength_eyelids: float
        smoothing_mouth: float
        smoothing_jaw: float
        smoothing_upper_face: float
        smoothing_eyelids: float
        closure: float
        offset_s: float
    else:
        output: bpy.props.EnumProperty(
            name="Output",
            description="What is written onto the mesh",
            items=(
                ("PER_FRAME", "Per Frame", "One shape key per frame: exact, and large in the file"),
                ("COMPACT", "Compact", "A few weighted shape keys with curves: small, within a chosen error"),
                (
                    "EXISTING",
                    "Existing Keys",
                    "Values of the shape keys that the mesh has, such as ARKit's; on any mesh",
                ),
            ),
            options=set(),
            update=rewrite,
        )
        max_error_mm: bpy.props.FloatProperty(
            name="Maximum Error",
            description=(
                "Largest distance in millimetres, of any vertex in any frame, from the exact motion, on the "
                "model's own head; as many keys are written as this takes"
            ),
            min=0.001,
            soft_max=1.0,
            max=10.0,
            default=0.1,
            step=1,
            precision=3,
            options=set(),
            update=rewrite,
        )
        use_nla: bpy.props.BoolProperty(
            name="NLA Track",
            description="Play the animation from an NLA track of its own instead of as the active action",
            options=set(),
            update=rewrite,
        )
        mapping: bpy.props.PointerProperty(type=mapping_settings.CODETALKER_PG_mapping)
        rig: bpy.props.PointerProperty(type=rig_settings.CODETALKER_PG_rig)
        layers: bpy.props.PointerProperty(type=layer_settings.CODETALKER_PG_layers)
        strength_mouth: _strength()
        strength_jaw: _strength()
        strength_upper_face: _strength()
        strength_eyelids: _strength()
        smoothing_mouth: _smoothing()
        smoothing_jaw: _smoothing()
        smoothing_upper_face: _smoothing()
        smoothing_eyelids: _smoothing()
        closure: bpy.props.FloatProperty(
            name="Lip Closure",
            description="How far lips that are nearly shut get shut; they never go through each other",
            min=0.0,
            max=1.0,
            subtype="FACTOR",
            options=set(),
            update=rewrite,
        )
        offset_s: bpy.props.FloatProperty(
            name="Time Offset",
            description="Seconds by which the face moves later than the sound; negative is earlier",
            soft_min=-0.5,
            soft_max=0.5,
            min=-60.0,
            max=60.0,
            step=1,
            precision=3,
            options=set(),
            update=rewrite,
        )
