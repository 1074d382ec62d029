"""Names → shipped files and model bundles, in an installed zip or in a checkout.

Installed, the assets lie inside the package; in a checkout, beside it.  Standard library and
numpy only; nothing is created.
"""

from __future__ import annotations

from pathlib import Path

from .errors import BundleError, UserError
from .model_files import CONFIG_FILE, read_card

_PACKAGE = Path(__file__).resolve().parent
DEFAULT_MODEL = "default"


def assets_folder() -> Path:
    """The folder of the shipped files.  Raises UserError when the installation lacks it."""
    for folder in (_PACKAGE / "assets", _PACKAGE.parent / "assets"):
        if folder.is_dir():
            return folder
    raise UserError(
        f"The shipped files are missing: there is no folder 'assets' in '{_PACKAGE}'.",
        "Install the extension again.",
    )


def shipped(relative: str) -> Path:
    """A shipped file or folder, such as ``demo_head.blend`` or ``speech/demo.flac``.

    Raises UserError when it is not there.
    """
    path = assets_folder() / relative
    if not path.exists():
        raise UserError(f"The shipped file '{path}' is missing.", "Install the extension again.")
    return path


def default_model() -> Path:
    """The folder of the bundle that comes with the extension.  Raises UserError."""
    return shipped(f"models/{DEFAULT_MODEL}")


def list_models(user_folder: Path | None = None) -> list[Path]:
    """Folders of all bundles: the shipped ones first, then the user's, each by name.

    A folder counts when it holds a ``config.json`` and is not hidden; what is in it is not checked here.
    A user's folder that the disk refuses counts as absent, so that the shipped ones stay in reach.
    """
    found: list[Path] = []
    for library in (assets_folder() / "models", user_folder):
        try:
            if library is not None and library.is_dir():
                found += sorted(path.parent for path in library.glob(f"[!.]*/{CONFIG_FILE}"))
        except OSError:
            continue
    return found


def find_model(name_or_dir: str, user_folder: Path | None = None) -> Path:
    """The bundle called ``name_or_dir`` (its folder's name or its card's), or that very folder.

    A name wins over a folder of the current directory; write ``./name`` for the folder.
    Raises BundleError and lists the names there are.
    """
    models = list_models(user_folder)
    # The user's own model replaces a shipped one of the same name.
    for folder in reversed(models):
        if folder.name == name_or_dir:
            return folder
    for folder in reversed(models):
        if _card_name(folder) == name_or_dir:
            return folder
    folder = Path(name_or_dir)
    try:
        if (folder / CONFIG_FILE).is_file():
            return folder
        is_folder = bool(name_or_dir) and folder.is_dir()
    except OSError as error:
        raise BundleError(
            f"The model '{folder}' cannot be read: {error.strerror or error}.",
            "Check its name and permissions.",
        ) from error
    if is_folder:
        raise BundleError(
            f"'{folder}' is not a model bundle: it holds no {CONFIG_FILE}.",
            "Choose the folder that holds config.json, model.safetensors and face.npz.",
        )
    names = ", ".join(sorted({model.name for model in models})) or "none"
    raise BundleError(
        f"There is no model called '{name_or_dir}', and no such folder.", f"Installed models: {names}."
    )


def _card_name(folder: Path) -> str | None:
    """The name on a bundle's card; None for a broken bundle, which its own loading will explain."""
    try:
        return read_card(folder).name
    except BundleError:
        return None
