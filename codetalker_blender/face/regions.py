"""Region files of the data sets → vertex lists by the names of ``contracts.REGION_NAMES``.

BIWI hands out ``lve.txt`` (lips) and ``fdd.txt`` (upper face), comma separated; FLAME hands out
``FLAME_masks.pkl``.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from ..contracts import IntArray
from ..errors import UserError
from .plain_pickles import read_plain_pickle

TEXT_FILES = {"lve.txt": "lips", "fdd.txt": "upper_face"}
FLAME_FILE = "FLAME_masks.pkl"
#: Our region -> the masks it is the union of; those in the second list may be absent.
FLAME_MASKS = {"lips": ("lips",), "upper_face": ("forehead", "eye_region")}
FLAME_EXTRA_MASKS = {"eyes": ("left_eyeball", "right_eyeball")}


def read_regions(folder: Path, vertex_count: int) -> dict[str, IntArray]:
    """The regions that ``folder``'s files name: region -> sorted vertex indices.

    Raises UserError when there is no such file, or one is unreadable or points outside the face.
    """
    regions: dict[str, IntArray] = {}
    try:
        there = [name for name in (FLAME_FILE, *TEXT_FILES) if (folder / name).is_file()]
    except OSError as error:
        raise UserError(f"'{folder}' cannot be read: {error.strerror or error}.") from error
    for name in there:
        if name == FLAME_FILE:
            regions |= _flame_regions(folder / name)
        else:
            regions[TEXT_FILES[name]] = _read_indices(folder / name)
    if not regions:
        wanted = ", ".join((*TEXT_FILES, FLAME_FILE))
        raise UserError(f"'{folder}' holds no region files.", f"It should hold one or more of: {wanted}.")
    for region, indices in regions.items():
        if not len(indices) or indices.min() < 0 or indices.max() >= vertex_count:
            reach = f"{indices.min()} to {indices.max()}" if len(indices) else "none"
            raise UserError(
                f"Region '{region}' in '{folder}' names vertices {reach}, "
                f"but the template has {vertex_count}.",
                "Give the regions of the same face.",
            )
    return {region: np.unique(indices).astype(np.int32) for region, indices in regions.items()}


def _read_indices(path: Path) -> IntArray:
    """Whole numbers with commas or blanks between them."""
    try:
        words = path.read_text(encoding="utf-8").replace(",", " ").split()
        return np.array([int(word) for word in words], np.int64)
    except (OSError, ValueError, OverflowError) as error:
        raise UserError(f"'{path}' is no list of vertex indices: {error}.") from error


def _flame_regions(path: Path) -> dict[str, IntArray]:
    masks = read_plain_pickle(path)
    if not isinstance(masks, Mapping):
        raise UserError(f"'{path}' holds no masks by name.")
    regions = {}
    for region, names in (FLAME_MASKS | FLAME_EXTRA_MASKS).items():
        missing = [name for name in names if name not in masks]
        if missing and region in FLAME_EXTRA_MASKS:
            continue
        if missing:
            raise UserError(f"'{path}' lacks the mask '{missing[0]}'.", "Give FLAME's own FLAME_masks.pkl.")
        parts = [np.asarray(masks[name]).ravel() for name in names]
        if any(part.dtype.kind not in "iu" for part in parts):
            raise UserError(f"'{path}': the masks {', '.join(names)} must hold vertex indices.")
        regions[region] = np.concatenate(parts).astype(np.int64)
    return regions
