"""``object.codetalker.layers``: what is laid on top of the animation.  All off until somebody asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import bpy

from .follow import rewrite


def _switch(name: str, description: str) -> Any:
    return bpy.props.BoolProperty(name=name, description=description, options=set(), update=rewrite)


def _amount(name: str, description: str, default: float = 1.0, soft_max: float = 2.0) -> Any:
    return bpy.props.FloatProperty(
        name=name,
        description=description,
        default=default,
        min=0.0,
        soft_max=soft_max,
        max=5.0,
        options=set(),
        update=rewrite,
    )


def _seed() -> Any:
    return bpy.props.IntProperty(
        name="Seed", description="Another number gives other ones", min=0, options=set(), update=rewrite
    )


def _can_turn(group: CODETALKER_PG_layers, obj: bpy.types.Object) -> bool:
    # An armature's action is for its bones.
    return obj.type != "ARMATURE"


def _can_be_looked_at(group: CODETALKER_PG_layers, obj: bpy.types.Object) -> bool:
    return obj != group.id_data


class CODETALKER_PG_layers(bpy.types.PropertyGroup):
    if TYPE_CHECKING:
        use_blinks: bool
        blink_rate: float
        blink_amount: float
        blink_seed: int
        use_head: bool
        head_amount: float
        head_seed: int
        head_object: bpy.types.Object | None
        turned: bpy.types.Object | None
        use_gaze: bool
        gaze_at: str
        gaze_object: bpy.types.Object | None
        gaze_amount: float
        gaze_flicks: float
        gaze_seed: int
    else:
        use_blinks: _switch("Blinks", "Blink as people do who speak: most often where a pause begins")
        blink_rate: bpy.props.FloatProperty(
            name="Rate",
            description="Blinks per minute on average, those that the model makes itself included",
            default=22.0,
            min=1.0,
            soft_max=40.0,
            max=60.0,
            options=set(),
            update=rewrite,
        )
        blink_amount: bpy.props.FloatProperty(
            name="Closure",
            description="How far the lids shut; 1 is entirely",
            default=1.0,
            min=0.0,
            max=1.0,
            subtype="FACTOR",
            options=set(),
            update=rewrite,
        )
        blink_seed: _seed()
        use_head: _switch(
            "Head Motion", "Turn the head a little as the voice grows loud and soft; in silence it rests"
        )
        head_amount: _amount("Amount", "Factor on the turns, which are a few degrees at 1")
        head_seed: _seed()
        head_object: bpy.props.PointerProperty(
            name="Turned",
            description=(
                "Object whose delta transform turns the head, such as an empty that head, eyes and teeth "
                "follow; without one it is the target itself"
            ),
            type=bpy.types.Object,
            poll=_can_turn,
            update=rewrite,
        )
        turned: bpy.props.PointerProperty(
            description="Object that the layer turns now", type=bpy.types.Object, options={"HIDDEN"}
        )
        use_gaze: _switch(
            "Gaze", "Let the eyes hold whom they look at while the head moves, and flick a little"
        )
        gaze_at: bpy.props.EnumProperty(
            name="Look At",
            description="Whom the eyes look at, from where each of them is, in every frame",
            items=(
                ("AHEAD", "Straight Ahead", "What lies far ahead of the face as it stands at rest"),
                ("CAMERA", "Scene Camera", "The scene's camera, also where markers switch to another one"),
                ("OBJECT", "Object", "The origin of an object, which may move"),
            ),
            options=set(),
            update=rewrite,
        )
        gaze_object: bpy.props.PointerProperty(
            name="Object",
            description="Object whose origin the eyes look at",
            type=bpy.types.Object,
            poll=_can_be_looked_at,
            update=rewrite,
        )
        gaze_amount: _amount(
            "Hold", "How much of the head's turn the eyes take back; 1 is all of it", soft_max=1.0
        )
        gaze_flicks: _amount("Flicks", "Size of small jumps of the eyes; 0 is none", default=0.5)
        gaze_seed: _seed()
