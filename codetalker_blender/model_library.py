"""The user's own model library on disk: bundles are added to it, checked and whole, and removed from it.

A bundle comes from a folder or a .zip, of which its three files are taken and nothing else, under names of
ours.  It is made in a draft folder beside its place and renamed, so that a half-copied one is never listed.
Standard library and numpy only.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from . import resources
from .contracts import Progress, no_progress
from .errors import BundleError, OutputError
from .model_files import (
    CONFIG_FILE,
    FACE_FILE,
    WEIGHTS_FILE,
    ModelCard,
    read_card,
    read_face_file,
    verify_file,
)

FILES = (CONFIG_FILE, WEIGHTS_FILE, FACE_FILE)
#: A card says of itself how long the other two files are; nothing says it of the card.
LONGEST_CARD_BYTES = 4 * 2**20
_BLOCK_BYTES = 2**20
#: No folder of Windows may have these names, or these characters in its name.
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(10))}
_FORBIDDEN = '<>:"/\\|?*'
_LONGEST_NAME = 60
#: What zipfile raises of archives that are damaged, encrypted or packed in a way it does not know.
_BAD_ZIP = (zipfile.BadZipFile, zlib.error, EOFError, RuntimeError, ValueError)


def add_bundle(source: Path, library: Path, progress: Progress = no_progress) -> Path:
    """Copy a bundle into the library, checked; -> its folder there.

    source: the bundle's folder, one of its three files, or a .zip that holds one bundle
    progress: "copy", in MB
    Raises BundleError when it is no whole bundle or is there already, OutputError when it cannot be
    written; the library is then as it was.
    """
    folder = source.parent if source.name in FILES else source
    with _opened(folder) as (name, open_file), draft(library) as made, _quoting(made, folder):
        _copy(open_file, CONFIG_FILE, made, LONGEST_CARD_BYTES)
        card = read_card(made)
        _refuse_known(card, library)
        needed = sum(record.bytes for record in card.files.values())
        disk = shutil.disk_usage(library)
        if needed > disk.free and disk.total:  # some network disks know neither
            raise OutputError(
                f"The model needs {needed / 1e9:.1f} GB where '{library}' has {disk.free / 1e9:.1f} GB left.",
                "Free some space, or choose another folder of models in the preferences.",
            )
        done = 0
        for file in (FACE_FILE, WEIGHTS_FILE):
            told = _told(progress, done, needed)
            done += _copy(open_file, file, made, card.files[file].bytes, told)
            verify_file(made, card, file)
        _check_face(made, card)
        return place(made, library, name)


def remove_bundle(folder: Path, library: Path | None) -> None:
    """Delete one of the user's own bundles.  Raises BundleError, OutputError; nothing is gone then."""
    if library is None or folder.parent.resolve() != library.resolve():
        raise BundleError(
            f"The model '{folder.name}' is not one of your own, so it is not removed.",
            "Models that came with the extension go with it.",
        )
    try:
        if folder.is_symlink():
            folder.unlink()  # what it points at belongs to somebody else
            return
        others = sorted({path.name for path in folder.iterdir()} - set(FILES))
        if others:
            raise BundleError(
                f"'{folder}' holds other things than a model ('{others[0]}'), so it is not removed.",
                "Move them elsewhere, or delete the folder yourself.",
            )
        with draft(library) as grave:
            folder.replace(grave / "bundle")
    except OSError as error:
        raise OutputError(
            f"'{folder}' cannot be removed: {error.strerror or error}.", "Close what uses it."
        ) from error


@contextmanager
def draft(library: Path) -> Iterator[Path]:
    """An empty hidden folder in the library, which is made if need be; in the end it is gone.

    Raises OutputError.
    """
    try:
        library.mkdir(parents=True, exist_ok=True)
        folder = Path(tempfile.mkdtemp(prefix=".draft-", dir=library))
    except OSError as error:
        raise OutputError(
            f"The folder of models '{library}' cannot be written to: {error.strerror or error}.",
            "Choose another one in the preferences.",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def place(bundle: Path, library: Path, name: str) -> Path:
    """Move a finished bundle from its draft to ``name``, or the first free name after it; -> where it is."""
    taken = {folder.name.lower() for folder in resources.list_models()}
    base = folder_name(name)
    tries = (base if number == 1 else f"{base} {number}" for number in range(1, 1000))
    free = next(n for n in tries if n.lower() not in taken and not (library / n).exists())
    target = library / free
    try:
        bundle.chmod(0o755)  # a draft is its owner's alone
        bundle.replace(target)
    except OSError as error:
        raise OutputError(f"'{target}' cannot be written: {error.strerror or error}.") from error
    return target


def folder_name(name: str) -> str:
    """``name`` as every disk takes it for a folder."""
    plain = "".join("_" if c in _FORBIDDEN or not c.isprintable() else c for c in name)
    plain = plain[:_LONGEST_NAME].strip(" .")
    return f"{plain}_" if plain.split(".")[0].lower() in _RESERVED else plain or "model"


def size_bytes(folder: Path) -> int:
    """What a bundle takes on the disk; files that cannot be read count nothing."""
    total = 0
    for name in FILES:
        try:
            total += (folder / name).stat().st_size
        except OSError:
            continue
    return total


_Open = Callable[[str], IO[bytes]]


@contextmanager
def _opened(source: Path) -> Iterator[tuple[str, _Open]]:
    """A bundle's name, and how to open its files.  Raises BundleError."""
    if source.is_dir():
        yield source.resolve().name, lambda name: (source / name).open("rb")
        return
    if source.suffix.lower() != ".zip" or not source.is_file():
        raise BundleError(
            f"'{source}' is neither a model's folder nor a .zip of one.",
            "Choose the folder that holds config.json, or its .zip.",
        )
    try:
        with zipfile.ZipFile(source) as archive:
            inside = _prefix(archive, source)
            name = inside.rstrip("/").rpartition("/")[2] or source.stem
            yield name, lambda name: archive.open(inside + name)
    except _BAD_ZIP as error:
        raise BundleError(
            f"'{source}' cannot be read as a .zip: {str(error).rstrip('.')}.", "Download it again."
        ) from error


def _prefix(archive: zipfile.ZipFile, source: Path) -> str:
    """The folder of the archive's one bundle, "" or ending in a slash."""
    found = [
        name[: -len(CONFIG_FILE)]
        for name in archive.namelist()
        if name.rpartition("/")[2] == CONFIG_FILE and not name.startswith("__MACOSX/")
    ]
    if len(found) != 1:
        raise BundleError(
            f"'{source}' holds {len(found)} model bundles where one is needed.",
            "Pack one folder of config.json, model.safetensors and face.npz.",
        )
    return found[0]


def _copy(
    open_file: _Open,
    name: str,
    folder: Path,
    limit_bytes: int,
    copied: Callable[[int], None] = lambda count: None,
) -> int:
    """Copy one file; -> its length.  Raises BundleError when it is missing or longer than the limit."""
    done = 0
    try:
        stream = open_file(name)
    except (OSError, KeyError) as error:
        raise BundleError(
            f"The model '{folder}' lacks its file {name}, or it cannot be read.", "Copy the whole folder."
        ) from error
    with stream:
        try:
            sink = (folder / name).open("xb")
        except OSError as error:
            raise _unwritten(folder, error) from error
        with sink:
            while block := stream.read(_BLOCK_BYTES):
                done += len(block)
                if done > limit_bytes:
                    raise BundleError(
                        f"'{folder / name}' is longer than the {limit_bytes} bytes that it should have.",
                        "Copy or download the bundle again.",
                    )
                try:
                    sink.write(block)
                except OSError as error:
                    raise _unwritten(folder, error) from error
                copied(done)
    return done


def _told(progress: Progress, before: int, total: int) -> Callable[[int], None]:
    return lambda copied: progress("copy", (before + copied) >> 20, total >> 20)


def _unwritten(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        f"The model cannot be copied to '{folder.parent}': {error.strerror or error}.", "Check the disk."
    )


def _refuse_known(card: ModelCard, library: Path) -> None:
    for folder in resources.list_models(library):
        try:
            same = read_card(folder).files == card.files
        except BundleError:
            continue
        if same:
            raise BundleError(f"The model '{card.name}' is there already, as '{folder.name}'.")


def _check_face(folder: Path, card: ModelCard) -> None:
    face = read_face_file(folder / FACE_FILE)
    expected = card.codec.get("vertex_count")
    if face.vertex_count != expected:
        raise BundleError(
            f"The model '{folder}' is inconsistent: its face has {face.vertex_count} vertices, "
            f"its networks are for {expected}.",
            "Copy or download the bundle again.",
        )


@contextmanager
def _quoting(made: Path, source: Path) -> Iterator[None]:
    """Errors name the source, which the user knows, in the draft's place."""
    try:
        yield
    except BundleError as error:
        raise BundleError(error.message.replace(str(made), str(source)), error.hint) from error
    except OSError as error:
        raise BundleError(f"'{source}' cannot be read: {error.strerror or error}.") from error
