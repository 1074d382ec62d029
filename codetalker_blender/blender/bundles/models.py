"""The model library as the panel shows it: names and styles, read from the bundles' cards."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import bpy

from ... import model_library, resources
from ...errors import BundleError, UserError
from ...face.templates import known_face
from ...model_files import CONFIG_FILE, ModelCard, read_card, read_face
from ..preferences import models_folder

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


def chosen_folder(settings: bpy.types.PropertyGroup) -> Path | None:
    """The folder of the bundle that the scene's settings name, or None when they name none."""
    if settings.model == OTHER_FOLDER:
        return Path(bpy.path.abspath(settings.model_folder)) if settings.model_folder else None
    return next((c.folder for c in choices(models_folder()) if c.name == settings.model), None)


def require_folder(settings: bpy.types.PropertyGroup) -> Path:
    """As :func:`chosen_folder`.  Raises UserError when none is chosen."""
    folder = chosen_folder(settings)
    if folder is None:
        raise UserError("No model is chosen.", "Choose one under Model.")
    return folder


def card_or_none(folder: Path) -> ModelCard | None:
    """The bundle's card, or None when it cannot be read; loading says why."""
    try:
        return card(folder)
    except BundleError:
        return None


def card(folder: Path) -> ModelCard:
    """The bundle's card; re-read only when its file changes, since panels ask on every redraw."""
    return _read_card(folder, _changed_ns(folder))


def _changed_ns(folder: Path) -> int:
    try:
        return (folder / CONFIG_FILE).stat().st_mtime_ns
    except OSError:
        return 0


@lru_cache(maxsize=64)
def _read_card(folder: Path, changed_ns: int) -> ModelCard:
    return read_card(folder)


@dataclass(frozen=True)
class ModelFacts:
    """What a panel says of a bundle beyond its card's own words.

    face: how many vertices, and which published topology that is, if any
    looks_back: its codec looks back only, so that a clip of any length costs the same per second
    size: on the disk, such as "21.5 MB"
    """

    face: str
    looks_back: bool
    size: str


def facts(folder: Path) -> ModelFacts:
    """The bundle's facts; found anew only when its card changes, as ``card``.  Raises BundleError."""
    return _read_facts(folder, _changed_ns(folder))


@lru_cache(maxsize=64)
def _read_facts(folder: Path, changed_ns: int) -> ModelFacts:
    known = _read_card(folder, changed_ns)
    face = read_face(folder, known)
    topology = known_face(face.triangles, face.vertex_count)
    return ModelFacts(
        face=f"{face.vertex_count:,}" + (f" ({topology.name})" if topology else ""),
        looks_back=bool(known.codec.get("causal")),
        size=f"{model_library.size_bytes(folder) / 1e6:,.1f} MB",
    )


def refresh() -> None:
    """Forget what was read of cards and faces."""
    _read_card.cache_clear()
    _read_facts.cache_clear()


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
