"""Which ARKit shapes or visemes a model's face has, and where they are kept when it is not the demo head.

    request.shapes (a folder) ─► the worker fits and keeps (face/model_shapes.py) ─► of_take ─► existing.py

Nothing is made here: that takes seconds, and so happens in the worker, before the model runs.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

import numpy as np

from ...contracts import FloatArray
from ...errors import TargetError
from ...face.blendshapes import Blendshapes, is_demo_template, visemes_of
from ...face.model_shapes import kept_file, shapes_of, template_of
from ...face.shape_transfer import check_face
from ...model_files import FACE_FILE, ModelCard, read_face
from ..bundles import models
from ..preferences import data_folder

#: The folder of kept shapes, in that of what this machine keeps.
FOLDER = "shapes"


def folder() -> Path:
    """Where shapes are kept; it need not exist."""
    return data_folder() / FOLDER


def check(model: Path, card: ModelCard) -> None:
    """Raises UserError when a model's face neither has shapes nor can be given any."""
    _known(model, *_question(model, card))


def news(model: Path, card: ModelCard) -> str:
    """What the animator should know about the shapes of a model's face, or "".  Raises UserError as above."""
    kept = _known(model, *_question(model, card))
    if kept is None or (folder() / kept).is_file():
        return ""
    return "the first run also fits the demo head to this model's face, which takes about 15 s"


def of_take(template: FloatArray, shape_set: str) -> Blendshapes:
    """The shapes of the face (V, 3) metres that a take is of.  Raises TargetError when there are none.

    shape_set: "ARKIT" or "VISEMES"
    """
    return _shapes(template.tobytes(), shape_set, _changed_ns(kept_file(template, folder())))


def _question(model: Path, card: ModelCard) -> tuple[str, int]:
    """The hash and time of a model's face, which make another question of another one."""
    return card.files[FACE_FILE].sha256, _changed_ns(model / FACE_FILE)


def _changed_ns(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


@lru_cache(maxsize=8)
def _known(model: Path, sha256: str, changed_ns: int) -> Path | None:
    """The name of the file of a face's shapes; None where it is the demo head, which has its own."""
    card = models.card(model)
    face = read_face(model, card)
    template = template_of(face, card.units_per_metre)
    if is_demo_template(template):
        return None
    check_face(face, card.name)
    return kept_file(template, Path())


@lru_cache(maxsize=4)  # a slider asks for the same ones at every pixel of its way
def _shapes(template: bytes, shape_set: str, changed_ns: int) -> Blendshapes:
    found = shapes_of(np.frombuffer(template, np.float32).reshape(-1, 3), folder())
    if found is None:
        raise TargetError(
            "This computer has no shapes of this motion's face yet, or they were damaged.",
            "Generate once more with the Output Existing Keys, which makes them.",
        )
    return found if shape_set == "ARKIT" else visemes_of(found)
