"""Two small buttons beside Variation and Seed."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import bpy

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import OperatorReturnItems

#: Seeds beyond this do not fit Blender's integers.
HIGHEST_SEED = 2**31 - 1


class CODETALKER_OT_new_seed(bpy.types.Operator):
    bl_idname = "codetalker.new_seed"
    bl_label = "New Seed"
    bl_description = "Choose another seed by chance, for another take of the same speech"
    bl_options = {"UNDO"}

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        settings = context.scene.codetalker
        # Not Python's shared generator, which a script may have seeded.
        drawn = random.SystemRandom().randrange(HIGHEST_SEED)
        settings.seed = drawn if drawn != settings.seed else HIGHEST_SEED
        return {"FINISHED"}


class CODETALKER_OT_model_variation(bpy.types.Operator):
    bl_idname = "codetalker.model_variation"
    bl_label = "As the Model Brings It"
    bl_description = "Set Variation back to what the chosen model was made for"
    bl_options = {"UNDO"}

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if context.scene.codetalker.own_variation < 0.0:
            cls.poll_message_set("Variation is the model's own already")
            return False
        return True

    def execute(self, context: bpy.types.Context) -> set[OperatorReturnItems]:
        context.scene.codetalker.property_unset("own_variation")
        return {"FINISHED"}


CLASSES = (
    CODETALKER_OT_new_seed,
    CODETALKER_OT_model_variation,
)
