"""What the panels of the sidebar have in common: their place."""

from __future__ import annotations

from typing import Literal

import bpy


class SidebarPanel(bpy.types.Panel):
    """A panel in our tab, of the 3D View's sidebar unless it says otherwise; never registered itself."""

    bl_category = "CodeTalker"
    bl_space_type: Literal["VIEW_3D", "SEQUENCE_EDITOR"] = "VIEW_3D"
    bl_region_type = "UI"
