"""BIWI in the form CodeTalker trains on: ``vertices_npy/F2_e37.npy`` (T, 70110) at 25 frames per second.

Positions are centred and divided by their range, so a unit is no metre (about 0.187 m).
``wav/F2_e37.wav``, ``templates.pkl`` and, where the user has them, ``regions/lve.txt`` and ``fdd.txt``.
Fanelli et al., "A 3-D Audio-Visual Corpus of Affective Communication", 2010; splits as in
:data:`training.datasets.splits.BIWI_SPLITS`.
"""

from __future__ import annotations

import re
from pathlib import Path

from codetalker_blender.face.topology import BIWI

from .clip import Dataset
from .folder import (
    NO_SOURCES,
    FaceSources,
    VertexFolder,
    mean_face,
    open_templates,
    recordings_of,
    vertex_survey,
)
from .recordings import Survey, read_split
from .splits import BIWI_SPLITS, TRAIN, published_split

FPS = 25.0
#: Speaker, and "e" for the emotional reading; the neutral one (F2_37) is in no split.
_NAME = re.compile(r"([FM][0-9])_e[0-9]{2}", re.ASCII)


def survey_biwi(
    root: Path,
    face: FaceSources = NO_SOURCES,
    *,
    vertex_count: int = BIWI.vertex_count,
    metres_per_unit: float = BIWI.metres_per_unit,
) -> Survey:
    """List ``root``.  Raises UserError when nothing in it can be used."""
    templates, template_file = open_templates(root)
    styles = BIWI_SPLITS[TRAIN].speakers
    files = VertexFolder(root, templates, template_file, vertex_count, 1, 1.0 / metres_per_unit, styles)
    recordings, outside = recordings_of(files, _place)
    return vertex_survey(files, mean_face(files, face), FPS, tuple(BIWI_SPLITS), recordings, outside)


def _place(name: str) -> tuple[str, str] | None:
    named = _NAME.fullmatch(name)
    split = published_split(BIWI_SPLITS, named[1], name) if named else None
    return (split, named[1]) if named and split else None


def read_biwi(
    root: Path,
    split: str,
    face: FaceSources = NO_SOURCES,
    *,
    vertex_count: int = BIWI.vertex_count,
    metres_per_unit: float = BIWI.metres_per_unit,
    skip_bad: bool = False,
) -> Dataset:
    """One split, see :func:`training.datasets.recordings.read_split`.  Raises UserError."""
    survey = survey_biwi(root, face, vertex_count=vertex_count, metres_per_unit=metres_per_unit)
    return read_split(survey, split, skip_bad=skip_bad)
