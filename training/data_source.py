"""Which data set, as a command line names it: its kind, its folder and what else its reader needs."""

from __future__ import annotations

import argparse
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from codetalker_blender.errors import UserError
from codetalker_blender.face.topology import BIWI, FLAME
from training.datasets.biwi import survey_biwi
from training.datasets.blendshapes import DEFAULT_HEAD, survey_blendshapes
from training.datasets.clip import Dataset
from training.datasets.folder import FaceSources, survey_folder
from training.datasets.recordings import Survey, read_split
from training.datasets.synthetic import DEFAULT_CACHE, build
from training.datasets.vocaset import survey_vocaset

SYNTHETIC = "synthetic"
RECORDED_KINDS = ("vocaset", "biwi", "folder", "blendshapes")
KINDS = (SYNTHETIC, *RECORDED_KINDS)


def positive(text: str) -> float:
    """An argument that is a positive number."""
    value = float(text)
    if not 0.0 < value < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} is not a positive number")
    return value


def add_source_options(parser: argparse.ArgumentParser, kinds: Collection[str]) -> None:
    """The options that the readers of ``kinds`` need beside a folder."""
    add = parser.add_argument
    if set(kinds) & set(RECORDED_KINDS):
        add("--skip-bad", action="store_true", help="leave out clips with problems, as training would")
    if set(kinds) & {"vocaset", "biwi", "folder"}:
        add("--mesh", type=Path, metavar="FILE", help=".ply or .obj with the face's polygons")
        add("--regions", type=Path, metavar="DIR", help="folder of lve.txt, fdd.txt or FLAME_masks.pkl")
    counts = {"vocaset": FLAME.vertex_count, "biwi": BIWI.vertex_count}
    if set(kinds) & set(counts):
        usual = ", ".join(f"{count} in {kind}" for kind, count in counts.items() if kind in kinds)
        add("--vertices", type=int, metavar="N", help=f"vertices (default {usual})")
    if "biwi" in kinds:
        metres = BIWI.metres_per_unit
        add(
            "--metres-per-unit", type=positive, default=metres, metavar="X", help=f"of biwi, default {metres}"
        )
    if set(kinds) & {"blendshapes", SYNTHETIC}:
        add("--head", type=Path, default=DEFAULT_HEAD, metavar="DIR", help="face.npz and shapes.npz")


def survey(kind: str, root: Path, options: argparse.Namespace) -> Survey:
    """List the recorded data set in ``root``; options: of :func:`add_source_options`.  Raises UserError."""
    if not root.is_dir():
        raise UserError(f"There is no folder '{root}'.", "Check the path.")
    if kind == "blendshapes":
        return survey_blendshapes(root, options.head)
    face = FaceSources(options.mesh, options.regions)
    if kind == "vocaset":
        return survey_vocaset(root, face, vertex_count=options.vertices or FLAME.vertex_count)
    if kind == "biwi":
        return survey_biwi(
            root, face, vertex_count=options.vertices or BIWI.vertex_count,
            metres_per_unit=options.metres_per_unit,
        )  # fmt: skip
    return survey_folder(root, face)


@dataclass(frozen=True)
class DataSource:
    """A data set as ``--data KIND [PATH]`` names it; path: the cache of the made corpus where it is that."""

    kind: str
    path: Path

    def open(
        self, split: str, options: argparse.Namespace, *, seed: int = 0, minutes: float | None = None
    ) -> Dataset:
        """One split.  seed, minutes: of the made corpus.  Raises UserError."""
        if self.kind == SYNTHETIC:
            return build(seed, minutes, split=split, cache_dir=self.path, head_dir=options.head, report=print)
        return read_split(survey(self.kind, self.path, options), split, skip_bad=options.skip_bad)


def data_source(words: list[str]) -> DataSource:
    """From the words after ``--data``.  Raises UserError."""
    kind, *paths = words
    if kind not in KINDS:
        raise UserError(f"There is no kind of data set called '{kind}'.", f"There are {', '.join(KINDS)}.")
    if len(paths) > 1 or (not paths and kind != SYNTHETIC):
        raise UserError(
            f"--data {kind} takes {'at most ' if kind == SYNTHETIC else ''}one folder, not {len(paths)}."
        )
    return DataSource(kind, Path(paths[0]) if paths else DEFAULT_CACHE)
