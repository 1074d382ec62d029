"""The settings of a scene: one group, ``scene.codetalker``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import bpy

from ..errors import UserError
from . import compat, models
from .preferences import DEVICES, models_folder


def _model_items(group: CODETALKER_PG_scene, context: bpy.types.Context | None) -> list[models.EnumItem]:
    return models.model_items(models_folder())


def _style_items(group: CODETALKER_PG_scene, context: bpy.types.Context | None) -> list[models.EnumItem]:
    folder = model_path(group)
    card = models.card_or_none(folder) if folder else None
    return models.style_items(card.styles if card else ())


def _first_style(group: CODETALKER_PG_scene, context: bpy.types.Context) -> None:
    """A style is a row of one model's table and means nothing in another's."""
    group.property_unset("style")


def _is_mesh(group: CODETALKER_PG_scene, obj: bpy.types.Object) -> bool:
    return obj.type == "MESH"


def model_path(group: CODETALKER_PG_scene) -> Path | None:
    """The folder of the chosen bundle, or None when none is chosen."""
    if group.model == models.OTHER_FOLDER:
        return Path(bpy.path.abspath(group.model_folder)) if group.model_folder else None
    return next((c.folder for c in models.choices(models_folder()) if c.name == group.model), None)


class CODETALKER_PG_scene(bpy.types.PropertyGroup):
    if TYPE_CHECKING:
        audio: str
        target: bpy.types.Object | None
        model: str
        model_folder: str
        style: str
        device: str
        use_temperature: bool
        temperature: float
        seed: int
    else:
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
        style: bpy.props.EnumProperty(name="Style", description="Speaking style", items=_style_items)
        device: bpy.props.EnumProperty(
            name="Device",
            description="Where the model runs",
            items=(
                ("preferences", "As in the Preferences", "The device chosen in the preferences"),
                *DEVICES,
            ),
            default="preferences",
        )
        use_temperature: bpy.props.BoolProperty(
            name="Own Temperature", description="Replace the temperature that the model brings"
        )
        temperature: bpy.props.FloatProperty(
            name="Temperature",
            description="How freely motion codes are drawn; 0 always takes the nearest code",
            min=0.0,
            soft_max=1.0,
        )
        seed: bpy.props.IntProperty(
            name="Seed", description="Repeats the same drawing of motion codes", min=0
        )


def chosen_model(group: CODETALKER_PG_scene) -> Path:
    """The folder of the chosen bundle.  Raises UserError when none is chosen."""
    folder = model_path(group)
    if folder is None:
        raise UserError("No model is chosen.", "Choose one under Model.")
    return folder
