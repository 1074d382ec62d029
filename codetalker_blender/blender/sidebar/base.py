"""What the extension's panels have in common: their place, and how they show properties."""

from __future__ import annotations

from typing import Literal

import bpy


class SidebarPanel(bpy.types.Panel):
    """A panel in our tab, of the 3D View's sidebar unless it says otherwise; never registered itself."""

    bl_category = "CodeTalker"
    bl_space_type: Literal["VIEW_3D", "SEQUENCE_EDITOR"] = "VIEW_3D"
    bl_region_type = "UI"


def for_properties(layout: bpy.types.UILayout) -> bpy.types.UILayout:
    """The same layout, with names beside values and without dots for keyframes."""
    layout.use_property_split = True
    layout.use_property_decorate = False
    return layout
