"""What the colours of a map of millimetres say.  Computes nothing."""

from __future__ import annotations

import math

import bpy

from ..layout import draw_text
from ..retargeting.heat_maps import Kind


def draw_legend(
    layout: bpy.types.UILayout, context: bpy.types.Context, face: bpy.types.Object, kind: Kind, title: str
) -> None:
    """A line per colour, from the least to the most."""
    draw_text(layout, context, title)
    column = layout.column(align=True)
    passed = 0.0
    for material in face.data.materials:
        if material is None:
            continue
        limit = material[kind.mark]
        text = f"over {passed:g} mm" if math.isinf(limit) else f"up to {limit:g} mm"
        row = column.split(factor=0.2)
        colour = row.column()
        colour.enabled = False  # to read, not to set
        colour.prop(material, "diffuse_color", text="")
        row.label(text=text if limit else "not measured")
        passed = limit
