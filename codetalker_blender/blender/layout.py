"""How panels and preferences show what Blender's layouts cannot by themselves."""

from __future__ import annotations

import textwrap
from bisect import bisect_left
from functools import lru_cache
from typing import TYPE_CHECKING

import blf
import bpy
from bpy.app.translations import pgettext_iface as iface_

if TYPE_CHECKING:
    from bpy.stub_internal.rna_enums import IconItems

#: Pixels of what stands beside a text in a panel, at Blender's own scale of 1.
_BESIDE = 80
#: Pixels of the narrowest line, and of one where there is no region to fit it into.
_NARROWEST, _WIDEST = 120, 10_000
#: Of a line, what the name of a setting gets.
_NAME_SHARE = 0.33
#: Blender's own letters.
_FONT = 0


def for_properties(layout: bpy.types.UILayout) -> bpy.types.UILayout:
    """The same layout, with names beside values and without dots for keyframes."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    return layout


def draw_setting(
    layout: bpy.types.UILayout,
    group: bpy.types.bpy_struct,
    name: str,
    *,
    text: str = "",
    icon: IconItems = "NONE",
    keyed: bool = False,
) -> bpy.types.UILayout:
    """A setting whose value gets more of a narrow sidebar than Blender's split gives it.

    text: in place of the setting's name; keyed: with the dot that sets keyframes
    -> the row of the value, for what stands beside it
    """
    setting = group.bl_rna.properties[name]
    split = layout.split(factor=_NAME_SHARE)
    split.use_property_split = False
    named = split.row()
    named.alignment = "RIGHT"
    if setting.type != "BOOLEAN":
        named.label(text=text or setting.name)
    row = split.row(align=True)
    if setting.type == "BOOLEAN":
        row.prop(group, name)
    else:
        row.prop(group, name, text="", icon=icon)
    if keyed:
        row.prop_decorator(group, name)
    return row


def draw_text(
    layout: bpy.types.UILayout,
    context: bpy.types.Context,
    text: str,
    icon: IconItems = "NONE",
    width: float | None = None,
    share: float = 1.0,
) -> None:
    """A text in as many lines as it takes; Blender would cut it off.

    width: pixels at a scale of 1; None takes the region's
    share: of that, what the layout has
    """
    styles, scale = context.preferences.ui_styles, context.preferences.system.ui_scale
    if width is None and context.region is not None:
        width = context.region.width / scale
    room = _WIDEST if width is None else max(_NARROWEST, int(share * (width - _BESIDE)))
    points = styles[0].widget.points if styles else 11.0
    column = layout.column(align=True)
    for number, line in enumerate(_lines(iface_(text), room, points)):
        column.label(text=line, icon="BLANK1" if number and icon != "NONE" else icon, translate=False)


@lru_cache(maxsize=512)  # panels are drawn anew with every move of the mouse
def _lines(text: str, room: float, points: float) -> tuple[str, ...]:
    """As few lines as fit into ``room`` pixels, of about the same length: none holds a lone last word."""

    def wrapped(letters: int) -> list[str]:
        return textwrap.wrap(text, letters) or [""]

    def widest(lines: list[str]) -> float:
        blf.size(_FONT, points)
        return max(blf.dimensions(_FONT, line)[0] for line in lines)

    # Fewer letters to a line are narrower lines and more of them, so that neither needs to be counted down.
    lengths = range(1, max(len(text), 1) + 1)
    longest = max(1, bisect_left(lengths, True, key=lambda letters: widest(wrapped(letters)) > room))
    count = len(wrapped(longest))
    even = bisect_left(lengths[:longest], True, key=lambda letters: len(wrapped(letters)) <= count)
    return tuple(wrapped(lengths[even]))
