"""How panels and preferences show what Blender's layouts cannot by themselves."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

import bpy
from bpy.app.translations import pgettext_iface as iface_

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

#: Pixels of a letter on average, and of what stands beside a text, at Blender's own scale of 1.
_LETTER, _BESIDE = 6.6, 80
#: Letters in the narrowest line, and in one where there is no region to fit it into.
_NARROWEST, _WIDEST = 24, 1000


def for_properties(layout: bpy.types.UILayout) -> bpy.types.UILayout:
    """The same layout, with names beside values and without dots for keyframes."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    return layout


def draw_text(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    text: str,
    icon: IconItems = "NONE",
    width: float | None = None,
) -> None:
    """A text in as many lines as it takes; Blender would cut it off.

    width: pixels at a scale of 1; None takes the region's
    """
    if width is None and context.region is not None:
        width = context.region.width / context.preferences.system.ui_scale
    letters = _WIDEST if width is None else max(_NARROWEST, int((width - _BESIDE) / _LETTER))
    column = layout.column(align=True)
    for number, line in enumerate(textwrap.wrap(iface_(text), letters) or [""]):
        column.label(text=line, icon="BLANK1" if number and icon != "NONE" else icon, translate=False)
