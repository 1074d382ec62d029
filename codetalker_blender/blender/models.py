"""The model library as the panel shows it: names and styles, read from the bundles' cards."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from .. import resources
from ..errors import BundleError, UserError
from ..model_files import CONFIG_FILE, ModelCard, read_card

#: What a list shows that would otherwise be empty; Blender complains about a value without an item.
NOTHING = "NOTHING"
#: The choice that takes the folder from ``model_folder`` instead of the library.
OTHER_FOLDER = "OTHER_FOLDER"
EnumItem = tuple[str, str, str, int]


@dataclass(frozen=True)
class ModelChoice:
    """A bundle of the library.  ``name`` is its folder's name; ``card`` is None when it is broken."""

    name: str
    folder: Path
    card: ModelCard | None


def choices(user_folder: Path | None) -> list[ModelChoice]:
    """All bundles, shipped ones first; a user's bundle replaces a shipped one of the same name."""
    try:
        folders = resources.list_models(user_folder)
    except UserError:
        return []
    by_name = {folder.name: folder for folder in folders}
    return [ModelChoice(name, folder, card_or_none(folder)) for name, folder in by_name.items()]


def card_or_none(folder: Path) -> ModelCard | None:
    """The bundle's card, or None when it cannot be read; loading says why."""
    try:
        return card(folder)
    except BundleError:
        return None


def card(folder: Path) -> ModelCard:
    """The bundle's card; re-read only when its file changes, since panels ask on every redraw."""
    path = folder / CONFIG_FILE
    try:
        changed_ns = path.stat().st_mtime_ns
    except OSError:
        changed_ns = 0
    return _read_card(folder, changed_ns)


@lru_cache(maxsize=64)
def _read_card(folder: Path, changed_ns: int) -> ModelCard:
    return read_card(folder)


def model_items(user_folder: Path | None) -> list[EnumItem]:
    """Enum items of the library and of "Other Folder".

    The shipped default has number 0, the others a number made from their name, so that a stored
    choice survives when bundles come and go.
    """
    rows = []
    for choice in choices(user_folder):
        label = choice.card.name if choice.card else f"{choice.name} (broken)"
        about = choice.card.description if choice.card else "This bundle's config.json cannot be read"
        rows.append((choice.name, label, about))
    return _kept(tuple(rows))


@lru_cache(maxsize=16)
def _kept(rows: tuple[tuple[str, str, str], ...]) -> list[EnumItem]:
    # Cached because Blender does not copy the strings of a dynamic enum: they must stay alive.
    items: list[EnumItem] = [(*row, _number(row[0])) for row in rows]
    if not any(number == 0 for *_, number in items):
        items.insert(0, (NOTHING, "None", "Choose a model", 0))
    items.append((OTHER_FOLDER, "Other Folder", "A model bundle in a folder of your choice", 1))
    return items


def _number(name: str) -> int:
    if name == resources.DEFAULT_MODEL:
        return 0
    return 2 + zlib.crc32(name.encode()) % 0x7FFFFFF0


@lru_cache(maxsize=64)
def style_items(styles: tuple[str, ...]) -> list[EnumItem]:
    """Enum items of a card's styles; the number is the row of the style."""
    if not styles:
        return [(NOTHING, "None", "The chosen model cannot be read", 0)]
    return [(name, name, "Speaking style", row) for row, name in enumerate(styles)]
