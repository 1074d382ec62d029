"""The panel in another language: the table is used, and used rightly."""

from __future__ import annotations

import ast
import string
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import properties
from codetalker_blender.blender.retargeting import mapping_settings
from codetalker_blender.blender.sidebar import operators, panels, translations

PACKAGE = Path(str(translations.__file__)).parents[2]
TABLES = ("translations", "german")
#: Words that are the same in every language.
KEPT = {"ARKit", "CPU", "CUDA", "Metal"}


def texts_in_the_code() -> set[str]:
    """Every plain text in the code, but for the table itself."""
    found = set()
    for path in PACKAGE.rglob("*.py"):
        if path.stem not in TABLES:
            nodes = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            found |= {
                node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)
            }
    # a button's reason to be grey is shown without its full stop, and some sentences get theirs late
    return found | {text.removesuffix(".") for text in found} | {f"{text}." for text in found}


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


def labels_of(group: type[Any]) -> set[str]:
    """The names of its settings and of what can be chosen in them; of a button or panel, its own."""
    own = {str(group.bl_label)} if issubclass(group, bpy.types.Operator | bpy.types.Panel) else set()
    for setting in group.bl_rna.properties:
        if setting.is_runtime and not setting.is_hidden and setting.type not in ("POINTER", "COLLECTION"):
            own.add(setting.name)
            own |= {item.name for item in getattr(setting, "enum_items_static", ())}
    return own


def test_the_main_panels_are_translated_whole(blender: None) -> None:
    groups = [
        *(properties.CODETALKER_PG_scene, properties.CODETALKER_PG_object),
        *(mapping_settings.CODETALKER_PG_drive, mapping_settings.CODETALKER_PG_control),
        *(operators.CODETALKER_OT_generate, operators.CODETALKER_OT_rewrite, operators.CODETALKER_OT_remove),
        *(panels.CODETALKER_PT_tuning, panels.CODETALKER_PT_sampling),
    ]
    needed = set().union(*map(labels_of, groups)) - KEPT
    for language, table in translations.TABLE.items():
        assert not needed - {english for _, english in table}, language


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
