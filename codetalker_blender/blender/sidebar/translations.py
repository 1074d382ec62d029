"""The panel's words in other languages; English is what stands in the code.

Blender looks up labels, tooltips and plain texts of panels and reports by itself; sentences with a value in
them are looked up where they are made, before the value is put in.  What is missing stays English.
"""

from __future__ import annotations

from typing import Any

import bpy

from . import german, german_tooltips

#: Blender looks for the labels of operators under this context, for all else under the other.
_OPERATOR, _ANY = "Operator", "*"

#: language -> (context, English) -> translation
TABLE: dict[str, Any] = {
    "de": {
        **{(_OPERATOR, english): word for english, word in german.BUTTONS.items()},
        **{(_ANY, english): word for english, word in {**german.LABELS, **german_tooltips.TOOLTIPS}.items()},
    }
}


def register() -> None:
    """Make the table known to Blender."""
    bpy.app.translations.register(__name__, TABLE)


def unregister() -> None:
    """Take it back."""
    bpy.app.translations.unregister(__name__)
