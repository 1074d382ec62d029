"""What a model bundle is on disk, as far as no torch is needed to know it.

A bundle is a folder of ``config.json`` (the card and the three configs),
``model.safetensors`` (the weights) and ``face.npz`` (the template and its regions).
This file reads the card and the face; ``engine/bundle.py`` adds the weights.
Standard library and numpy only, so that Blender's side can list and check bundles.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from .contracts import REGION_NAMES, FaceMesh, FloatArray
from .errors import BundleError

FORMAT_VERSION = 1
CONFIG_FILE = "config.json"
WEIGHTS_FILE = "model.safetensors"
FACE_FILE = "face.npz"


@dataclass(frozen=True)
class FileRecord:
    """Size and hash of one file of the bundle, as written when it was saved."""

    bytes: int
    sha256: str


@dataclass(frozen=True)
class ModelCard:
    """A bundle's ``config.json``.

    fps: motion frames per second
    units_per_metre: template units in one metre (1.0: the template is in metres)
    up_axis: "X", "Y" or "Z", the template's up
    styles: speaking-style names, row by row of the style embedding
    temperature: the default for sampling codes; 0 = nearest code
    codec, query, speech: the engine's configs as plain values (read by the engine)
    notes: free text for people: data, hours, metrics
    """

    format_version: int
    name: str
    description: str
    licence: str
    fps: float
    units_per_metre: float
    up_axis: str
    styles: tuple[str, ...]
    temperature: float
    codec: Mapping[str, Any]
    query: Mapping[str, Any]
    speech: Mapping[str, Any]
    files: Mapping[str, FileRecord]
    notes: Mapping[str, Any] = field(default_factory=dict)

    def style_row(self, name: str) -> int:
        """The row of the style called ``name``; raises BundleError with the names there are."""
        if name in self.styles:
            return self.styles.index(name)
        raise BundleError(
            f"The model '{self.name}' has no style called '{name}'.",
            f"It has: {', '.join(self.styles)}.",
        )

    def style_mix(self, text: str) -> FloatArray:
        """A style's name, or "A=0.3,B=0.7" -> mix weights (1, styles) float32.

        Raises BundleError for a name that there is not, a weight that is none, and weights that do not
        add up to 1.
        """
        mix = np.zeros((1, len(self.styles)), np.float32)
        if text in self.styles or "=" not in text:
            mix[0, self.style_row(text)] = 1.0
            return mix
        for part in text.split(","):
            name, equals, number = part.rpartition("=")
            try:
                weight = float(number)
            except ValueError:
                weight = math.nan
            if not equals or not 0.0 <= weight <= 1.0:
                raise BundleError(
                    f"'{part.strip()}' in the style '{text}' is no name with a weight from 0 to 1.",
                    "Write it like A=0.3,B=0.7.",
                )
            mix[0, self.style_row(name.strip())] += weight
        if not math.isclose(total := float(mix.sum()), 1.0, abs_tol=1e-3):
            raise BundleError(f"The weights of the style '{text}' add up to {total:g}.", "They must give 1.")
        return mix


def read_card(folder: Path) -> ModelCard:
    """Read and check ``config.json`` strictly: unknown, missing or ill-typed fields are refused.

    Raises BundleError.
    """
    path = folder / CONFIG_FILE
    try:
        return _read_card(folder, path)
    except RecursionError as error:  # of the parser, or of quoting a value
        raise BundleError(
            f"'{path}' cannot be read: its values are nested too deeply.",
            "Copy or download the bundle again.",
        ) from error


def _read_card(folder: Path, path: Path) -> ModelCard:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError) as error:
        raise BundleError(
            f"'{folder}' is not a model bundle: it holds no {CONFIG_FILE}.",
            "Choose the folder that holds config.json, model.safetensors and face.npz.",
        ) from error
    except OSError as error:
        raise _unreadable(path, error) from error
    except ValueError as error:
        raise BundleError(f"'{path}' cannot be read as JSON: {error}.") from error
    if not isinstance(values, dict):
        raise BundleError(f"'{path}' must hold one JSON object.")
    version = values.get("format_version")
    if version != FORMAT_VERSION:
        raise BundleError(
            f"'{path}' has format version {version!r}; this extension reads {FORMAT_VERSION}.",
            "Install the version of the extension that made the bundle, or export it again.",
        )
    known = {item.name for item in fields(ModelCard)}
    unknown, missing = sorted(set(values) - known), sorted(known - set(values) - {"notes"})
    if unknown or missing:
        parts = [f"unknown field '{name}'" for name in unknown[:3]]
        parts += [f"missing field '{name}'" for name in missing[:3]]
        raise BundleError(f"'{path}' does not fit the format: {', '.join(parts)}.")
    return _checked_card(values, path)


def _checked_card(values: dict[str, Any], path: Path) -> ModelCard:
    def refuse(name: str, want: str) -> BundleError:
        return BundleError(f"'{path}': field '{name}' must be {want}, not {values[name]!r:.80}.")

    for name in ("name", "description", "licence", "up_axis"):
        if not isinstance(values[name], str):
            raise refuse(name, "text")
    for name in ("fps", "units_per_metre", "temperature"):
        value = values[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or not _is_finite(value):
            raise refuse(name, "a finite number")
        if value < 0 or (value == 0 and name != "temperature"):
            raise refuse(name, "positive")
    if values["up_axis"] not in ("X", "Y", "Z"):
        raise refuse("up_axis", "'X', 'Y' or 'Z'")
    styles = values["styles"]
    if not isinstance(styles, list) or not styles or not all(isinstance(s, str) for s in styles):
        raise refuse("styles", "a list of at least one name")
    if len(set(styles)) != len(styles):
        raise refuse("styles", "a list without repeated names")
    for name in ("codec", "query", "speech", "files", "notes"):
        if not isinstance(values.get(name, {}), dict):
            raise refuse(name, "an object")
    files = {}
    for name in (WEIGHTS_FILE, FACE_FILE):
        record = values["files"].get(name)
        if not (
            isinstance(record, dict)
            and set(record) == {"bytes", "sha256"}
            and isinstance(record["bytes"], int)
            and isinstance(record["sha256"], str)
        ):
            raise refuse("files", f"an object with bytes and sha256 of {name}")
        files[name] = FileRecord(**record)
    return ModelCard(**{**values, "styles": tuple(styles), "files": files, "notes": values.get("notes", {})})


def _is_finite(value: float) -> bool:
    """False for whole numbers beyond all floats, too, of which math.isfinite raises."""
    try:
        return math.isfinite(value)
    except OverflowError:
        return False


def verify_file(folder: Path, card: ModelCard, name: str, *, hash_too: bool = True) -> Path:
    """Check one file of the bundle against its record; return its path.  Raises BundleError."""
    path, record = folder / name, card.files[name]
    lacking = BundleError(
        f"The model bundle '{folder}' lacks its file {name}.", "Copy the whole folder again."
    )
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise lacking
        _compare(path, record, status.st_size, hash_too=hash_too)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise lacking from error
    except OSError as error:
        raise _unreadable(path, error) from error
    return path


def _compare(path: Path, record: FileRecord, size: int, *, hash_too: bool) -> None:
    """Raises BundleError when the file differs from its record, OSError when it cannot be read."""
    if size != record.bytes:
        raise BundleError(
            f"'{path}' has {size} bytes where its config.json says {record.bytes}: "
            "it is cut short or changed.",
            "Copy or download the bundle again.",
        )
    if hash_too:
        digest = file_record(path).sha256
        if digest != record.sha256:
            raise BundleError(
                f"'{path}' has sha256 {digest[:12]}… where its config.json says {record.sha256[:12]}…: "
                "its content was damaged or changed.",
                "Copy or download the bundle again.",
            )


def _unreadable(path: Path, error: OSError) -> BundleError:
    return BundleError(
        f"'{path}' cannot be read: {error.strerror or error}.", "Check its name and permissions."
    )


def file_record(path: Path) -> FileRecord:
    """Size and sha256 of a file, read in blocks."""
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileRecord(bytes=path.stat().st_size, sha256=digest)


def read_face(folder: Path, card: ModelCard) -> FaceMesh:
    """The bundle's face, checked against the card's size and hash.  Raises BundleError."""
    return read_face_file(verify_file(folder, card, FACE_FILE))


def read_face_file(path: Path) -> FaceMesh:
    """Read a ``face.npz``: arrays template, triangles, mid_lips, lip_corners, region_*.

    Raises BundleError when an array is missing, misshaped or points outside the template.
    """
    try:
        with np.load(path, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise BundleError(f"'{path}' cannot be read as an .npz of arrays: {error}.") from error
    names = ["template", "triangles", "mid_lips", "lip_corners"] + [f"region_{n}" for n in REGION_NAMES]
    for name in names:
        if name not in arrays:
            raise BundleError(f"'{path}' lacks the array '{name}'.")
    template = arrays["template"]
    if template.ndim != 2 or template.shape[1] != 3 or not len(template) or not np.isfinite(template).all():
        raise BundleError(f"'{path}': 'template' must be finite and (V, 3), not {template.shape}.")
    triangles = arrays["triangles"]
    if triangles.ndim != 2 or triangles.shape[1] != 3:
        raise BundleError(f"'{path}': 'triangles' must be (F, 3), not {triangles.shape}.")
    for name in names[1:]:
        array = arrays[name]
        if array.dtype.kind not in "iu":
            raise BundleError(f"'{path}': '{name}' must hold vertex indices, not {array.dtype}.")
        if array.size and (array.min() < 0 or array.max() >= len(template)):
            raise BundleError(f"'{path}': '{name}' points at vertex {int(array.max())} of {len(template)}.")
    for name in ("mid_lips", "lip_corners"):
        if arrays[name].shape not in ((2,), (0,)):
            raise BundleError(f"'{path}': '{name}' must have 2 or 0 entries, not shape {arrays[name].shape}.")
    return FaceMesh(
        vertices=template.astype(np.float32),
        triangles=triangles.astype(np.int32),
        mid_lips=arrays["mid_lips"].astype(np.int32),
        lip_corners=arrays["lip_corners"].astype(np.int32),
        regions={n: arrays[f"region_{n}"].astype(np.int32).ravel() for n in REGION_NAMES},
    )


def write_face_file(path: Path, face: FaceMesh) -> None:
    """The inverse of :func:`read_face_file`; regions the face lacks are written with length 0."""
    empty = np.zeros(0, np.int32)
    regions = {f"region_{n}": np.asarray(face.regions.get(n, empty), np.int32) for n in REGION_NAMES}
    with path.open("wb") as stream:  # numpy would add an ending to a path that has another
        np.savez_compressed(
            stream,
            template=face.vertices.astype(np.float32),
            triangles=face.triangles.astype(np.int32),
            mid_lips=face.mid_lips.astype(np.int32),
            lip_corners=face.lip_corners.astype(np.int32),
            **regions,
        )
