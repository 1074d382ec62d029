"""The panel in another language: the table is used, and used rightly."""

from __future__ import annotations

import ast
import string
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import bpy

from codetalker_blender.blender import _classes as package_classes
from codetalker_blender.blender.runs import jobs
from codetalker_blender.blender.sidebar import model_panels, panels, rig_panel, translations

PACKAGE = Path(str(translations.__file__)).parents[2]
TABLES = ("translations", "german", "german_tooltips")
#: Words that are the same in every language.
KEPT = {
    *("ARKit", "CPU", "CUDA", "CodeTalker", "Metal", "NVIDIA", "X", "Y", "Z"),
    *("Alembic", "Live Link Face", "MDD", "PC2", "USD"),
}
#: What draws a text, and which of its arguments that is where it is not called `text`.
DRAWN = {"label": 0, "prop": 2, "operator": 1, "progress": 1, "draw_text": 2, "draw_setting": 3}


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


def words_of(group: type[Any]) -> tuple[set[str], set[str]]:
    """Labels and tooltips of a panel or button, of its settings, and of what can be chosen in them."""
    labels, tips, rna = set(), set(), group.bl_rna
    # and not what Blender's own classes bring along
    own = {name for cls in group.__mro__ if "codetalker" in cls.__module__ for name in cls.__annotations__}
    if issubclass(group, bpy.types.Operator | bpy.types.Panel):
        labels.add(str(group.bl_label))
    if issubclass(group, bpy.types.Operator):
        module, name = group.bl_idname.split(".")
        rna = getattr(getattr(bpy.ops, module), name).get_rna_type()
        tips.add(rna.description)
    for setting in rna.properties:
        # a group within a group is never drawn as such, and goes without a name of its own
        if (
            setting.identifier in own
            and setting.is_runtime
            and not setting.is_hidden
            and setting.name != setting.identifier
        ):
            chosen = [setting, *getattr(setting, "enum_items_static", ())]
            labels |= {one.name for one in chosen}
            tips |= {one.description for one in chosen}
    return labels - {""}, tips - {""}


def drawn_texts(path: Path) -> set[str]:
    """Every plain text with a letter in it that a file's code gives to Blender's layouts."""
    found = set()
    for call in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(call, ast.Call):
            continue
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        given = [word.value for word in call.keywords if word.arg == "text"]
        if name not in DRAWN:
            continue
        given += call.args[DRAWN[name] : DRAWN[name] + 1] if name not in ("prop", "operator") else []
        for value in given:
            either = [value.body, value.orelse] if isinstance(value, ast.IfExp) else [value]
            found |= {str(one.value) for one in either if isinstance(one, ast.Constant)}
    return {text for text in found if any(map(str.isalpha, text))}


def test_every_panel_and_button_is_translated_whole(blender: None) -> None:
    classes = [cls for cls in package_classes() if "codetalker" in cls.__name__.lower()]
    assert len(classes) > 40
    labels, tips = (set().union(*words) for words in zip(*map(words_of, classes), strict=True))
    for path in (*PACKAGE.glob("blender/sidebar/*.py"), *PACKAGE.glob("blender/interchange/*.py")):
        labels |= drawn_texts(path)
    for path in (*PACKAGE.glob("blender/setup/*.py"), *PACKAGE.glob("blender/runs/*.py")):
        labels |= drawn_texts(path)
    shown = (panels.REGION_LABELS, model_panels.STAGES, rig_panel.UNITS, jobs.STAGES)
    labels = labels.union(*(words.values() for words in shown)) - KEPT
    for language, table in translations.TABLE.items():
        known = {english for _, english in table}
        assert sorted(labels - known) == [], language
        assert sorted(tips - known) == [], language


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
