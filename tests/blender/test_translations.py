"""The panel in another language: the table is used, and used rightly."""

from __future__ import annotations

import ast
import string
from pathlib import Path

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender.sidebar import translations

FOLDER = Path(str(translations.__file__)).parents[1]


def texts_in_the_code() -> set[str]:
    """Every plain text in the code that talks to Blender, but for the table itself."""
    found = set()
    for path in FOLDER.rglob("*.py"):
        if path.name != "translations.py":
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            found |= {
                node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    # a button's reason to be grey is shown without its full stop
    return found | {text.removesuffix(".") for text in found}


@pytest.mark.parametrize("language", translations.TABLE)
def test_every_text_of_the_table_stands_in_the_code(language: str) -> None:
    used = texts_in_the_code()
    assert [text for _, text in translations.TABLE[language] if text not in used] == []


@pytest.mark.parametrize("language", translations.TABLE)
def test_translations_take_the_same_values(language: str) -> None:
    def fields(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    for (_, english), other in translations.TABLE[language].items():
        assert fields(english) == fields(other)
        assert other.strip() and other.endswith(".") == english.endswith(".")


def test_labels_of_operators_are_where_blender_looks_for_them(blender: None) -> None:
    """Blender asks for an operator's label under the operator's own context, for all else under "*"."""
    table = translations.TABLE["de"]
    for name in dir(bpy.ops.codetalker):
        rna = getattr(bpy.ops.codetalker, name).get_rna_type()
        if ("*", rna.name) in table:
            assert (rna.translation_context, rna.name) in table, rna.name


def test_the_panel_speaks_german(blender: None) -> None:
    view = bpy.context.preferences.view
    look_up = bpy.app.translations.pgettext_iface
    try:
        view.language = "de_DE"
    except TypeError:
        pytest.skip("this Blender has no other languages")
    try:
        view.use_translate_interface = view.use_translate_tooltips = True
        assert look_up("Second Style") == "Zweiter Stil"
        assert look_up("Generate from Audio", "Operator") == "Aus Ton erzeugen"
        table = translations.TABLE["de"]
        # where Blender has a word of its own, that one is shown
        english = [
            text for (context, text), german in table.items() if look_up(text, context) == text != german
        ]
        assert not english
    finally:
        view.language = "en_US"
    assert look_up("Second Style") == "Second Style"


def test_unregistering_takes_the_words_back(blender: None) -> None:
    import codetalker_blender

    codetalker_blender.unregister()
    try:
        assert bpy.app.translations.pgettext_iface("Second Style") == "Second Style"
    finally:
        codetalker_blender.register()
