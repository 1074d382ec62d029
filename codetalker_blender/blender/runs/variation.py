"""Two small buttons beside Variation and Seed."""

from __future__ import annotations

import random

import bpy

from ...errors import UserError
from ..buttons import Button

#: Seeds beyond this do not fit Blender's integers.
HIGHEST_SEED = 2**31 - 1


class CODETALKER_OT_new_seed(Button):
    bl_idname = "codetalker.new_seed"
    bl_label = "New Seed"
    bl_description = "Choose another seed by chance, for another take of the same speech"
    bl_options = {"UNDO"}

    def perform(self, context: bpy.types.Context) -> None:
        settings = context.scene.codetalker
        # Not Python's shared generator, which a script may have seeded.
        drawn = random.SystemRandom().randrange(HIGHEST_SEED)
        settings.seed = drawn if drawn != settings.seed else HIGHEST_SEED


class CODETALKER_OT_model_variation(Button):
    bl_idname = "codetalker.model_variation"
    bl_label = "As the Model Brings It"
    bl_description = "Set Variation back to what the chosen model was made for"
    bl_options = {"UNDO"}

    @classmethod
    def obstacle(cls, context: bpy.types.Context) -> UserError | None:
        if context.scene.codetalker.own_variation < 0.0:
            return UserError("Variation is the model's own already.")
        return None

    def perform(self, context: bpy.types.Context) -> None:
        context.scene.codetalker.property_unset("own_variation")


CLASSES = (
    CODETALKER_OT_new_seed,
    CODETALKER_OT_model_variation,
)
