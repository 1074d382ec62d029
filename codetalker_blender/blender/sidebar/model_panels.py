"""What the sidebar shows of models: the chosen one's card, the library's buttons, importing."""

from __future__ import annotations

from pathlib import Path

import bpy
from bpy.app.translations import pgettext_iface as iface_

from ...errors import BundleError
from ..bundles import import_buttons, imports, library, models
from ..layout import draw_setting, draw_text, for_properties
from ..properties import CODETALKER_PG_scene
from .base import SidebarPanel

PARENT = "CODETALKER_PT_generate"
#: What the panel calls the stages of an import.
STAGES = {
    "template": "Reading the template",
    "stage 1": "Reading stage 1",
    "stage 2": "Reading stage 2",
    "bundle": "Writing the model",
}
#: How many styles are named; there may be dozens.
NAMED_STYLES = 4
#: Of a line of the card, what the value gets.
_VALUE_SHARE = 0.7


class CODETALKER_PT_model(SidebarPanel):
    bl_idname = "CODETALKER_PT_model"
    bl_parent_id = PARENT
    bl_label = "Model"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        folder = models.chosen_folder(context.scene.codetalker)
        if folder is None:
            draw_text(layout, context, "No model is chosen", "INFO")
        else:
            _draw_card(layout, context, folder)
        row = layout.row(align=True)
        row.operator(library.CODETALKER_OT_add_model.bl_idname, icon="ADD")
        row.operator(library.CODETALKER_OT_remove_model.bl_idname, text="Remove", icon="REMOVE")
        row = layout.row(align=True)
        row.operator(library.CODETALKER_OT_open_models_folder.bl_idname, icon="FILE_FOLDER")
        row.operator(library.CODETALKER_OT_refresh_models.bl_idname, text="Refresh", icon="FILE_REFRESH")


class CODETALKER_PT_import(SidebarPanel):
    bl_idname = "CODETALKER_PT_import"
    bl_parent_id = CODETALKER_PT_model.bl_idname
    bl_label = "Import Checkpoints"
    bl_options = {"DEFAULT_CLOSED"}

    def draw(self, context: bpy.types.Context) -> None:
        layout = for_properties(self.layout)
        run = imports.current()
        group = context.window_manager.codetalker_import
        column = layout.column()
        column.enabled = run is None
        for name in ("stage1", "stage2", "template", "subject", "mesh", "regions", "model_name", "licence"):
            column.prop(group, name)
        column.label(text="If the checkpoints are not the released ones")
        for name in ("codec_heads", "query_heads", "speech_heads"):
            column.prop(group, name)
        if run is not None:
            layout.progress(factor=run.fraction, text=STAGES.get(run.stage, run.stage.capitalize()))
            layout.operator(import_buttons.CODETALKER_OT_cancel_import.bl_idname, icon="CANCEL")
            return
        layout.operator(import_buttons.CODETALKER_OT_import_model.bl_idname, icon="IMPORT")
        reason = import_buttons.obstacle(context)
        if reason:
            draw_text(layout, context, reason, "INFO")


def draw_style(layout: bpy.types.UILayout, settings: CODETALKER_PG_scene) -> None:
    """The style and, where the model has several, the second one and the mix of the two."""
    draw_setting(layout, settings, "style")
    folder = models.chosen_folder(settings)
    card = models.card_or_none(folder) if folder else None
    if card is None or len(card.styles) < 2:
        return
    draw_setting(layout, settings, "style_b")
    draw_setting(layout, settings, "style_mix", keyed=True)


def draw_variation(layout: bpy.types.UILayout, settings: CODETALKER_PG_scene) -> None:
    """Variation with the way back to the model's own, and the seed with one that draws another."""
    row = layout.row(align=True)
    row.prop(settings, "variation")
    if settings.own_variation >= 0.0:
        row.operator("codetalker.model_variation", text="", icon="LOOP_BACK")
    row = layout.row(align=True)
    row.enabled = settings.variation > 0.0
    row.prop(settings, "seed")
    row.operator("codetalker.new_seed", text="", icon="FILE_REFRESH")


def _draw_card(layout: bpy.types.UILayout, context: bpy.types.Context, folder: Path) -> None:
    try:
        card, facts = models.card(folder), models.facts(folder)
    except BundleError as error:
        draw_text(layout, context, error.message, "ERROR")
        return
    named = ", ".join(card.styles[:NAMED_STYLES]) + (", …" if len(card.styles) > NAMED_STYLES else "")
    rows = {
        "Name": card.name,
        "Vertices": facts.face,
        "Rate": iface_("{rate} fps").format(rate=f"{card.fps:g}"),
        "Styles": f"{len(card.styles)}: {named}",
        "Reach": iface_("Looks back only" if facts.looks_back else "Looks both ways"),
        "Licence": card.licence,
        "On Disk": facts.size,
    }
    column = layout.column(align=True)
    for label, value in rows.items():
        row = column.split(factor=1.0 - _VALUE_SHARE)
        row.label(text=label)
        draw_text(row, context, value, share=_VALUE_SHARE)


CLASSES = (
    CODETALKER_PT_model,
    CODETALKER_PT_import,
)
