"""What the shipped model says with the shipped speech, and how lips are judged on any mesh."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.face.closest import ClosestPlaces
from codetalker_blender.face.surface import Surface
from training import metrics
from training.datasets.clip import Phone

from . import heads

Array = NDArray[np.float64]
Index = NDArray[np.int64]

ASSETS = Path(__file__).resolve().parents[2] / "assets"
#: Lips deeper in each other than this are not judged: it is the far side of a lip.
_DEEPEST_M = 0.004


@dataclass(frozen=True, eq=False)
class Clip:
    """One sentence: offsets (T, V, 3) metres of the demo head at 30 frames per second, and its phones."""

    offsets: FloatArray
    phones: tuple[Phone, ...]


@cache
def clips() -> tuple[Clip, ...]:
    """The demo sentence and those that are held out, by the default model; skips without torch."""
    pytest.importorskip("torch", reason="the model's motion needs torch")
    from codetalker_blender.contracts import AudioSource, GenerateRequest
    from codetalker_blender.model_files import read_card
    from codetalker_blender.street import ModelCache, run

    model = ASSETS / "models" / "default"
    card = read_card(model)
    found, models = [], ModelCache()
    for sound in [ASSETS / "speech" / "demo.flac", *sorted((ASSETS / "speech" / "heldout").glob("*.flac"))]:
        facts = json.loads(sound.with_suffix(".json").read_text(encoding="utf-8"))
        style = np.eye(len(card.styles), dtype=np.float32)[:1]
        motion = run(GenerateRequest(AudioSource(sound), model, style, device="cpu"), cache=models)
        phones = tuple(Phone(**phone) for phone in facts["phones"])
        found.append(Clip(motion.offsets, phones))
    return tuple(found)


def closures(points: Array, mid_lips: Index, motions: Sequence[NDArray[Any]]) -> list[bool]:
    """Per /p b m/ of all clips: do the lips of a mesh close (metrics.bilabial_closures)?

    points: (n, 3) the mesh at rest, metres of human size; mid_lips: (2,); motions: (T, n, 3) per clip
    """
    face = FaceMesh(
        points.astype(np.float32),
        np.zeros((0, 3), np.int32),
        mid_lips.astype(np.int32),
        mid_lips[:0].astype(np.int32),
    )
    rest = metrics.rest_opening_mm(face)
    found = []
    for clip, motion in zip(clips(), motions, strict=True):
        opening = metrics.mouth_opening_mm(motion, face)
        found += metrics.bilabial_closures(opening, rest, clip.phones, 30.0)
    return found


def kept(before: list[bool], after: list[bool]) -> float:
    """The share of closures that are still there."""
    both = [b for a, b in zip(before, after, strict=True) if a]
    assert len(both) >= 40
    return sum(both) / len(both)


@dataclass(frozen=True, eq=False)
class Lips:
    """Triangles of the facing parts of both lips of a mesh that was made from a head, and their vertices."""

    upper: Index
    lower: Index

    @classmethod
    def of(cls, mesh: heads.Mesh, head: heads.Head) -> Lips:
        """The lips' red and what they touch with, off the corners."""
        ring = head.labels.mouth_ring[mesh.pairs]
        place = head.labels.mouth_place[mesh.pairs]
        last = int(head.labels.mouth_place.max())
        red = ((ring >= 3) & (ring <= 6)).all(axis=1)
        found = []
        for side in (place < last // 2 - 1, place > last // 2 + 1):
            chosen = red & side.all(axis=1)
            found.append(mesh.triangles[chosen[mesh.triangles].all(axis=1)])
        return cls(*found)

    def depth_mm(self, points: Array) -> float:
        """How far one lip stands in the other; negative: how far they are from touching."""
        deepest = -np.inf
        for own, other in ((self.upper, self.lower), (self.lower, self.upper)):
            surface = Surface(points, other)
            rows = np.unique(own)
            place = ClosestPlaces(surface, 0.004).find(points[rows])
            away = points[rows] - place.of(surface, points)
            normals = surface.face_normals[place.triangle]
            above = np.einsum("ij,ij->i", away, normals)
            # At an edge of the patch what is beside it is neither above nor below it.
            facing = np.abs(above) > 0.7 * place.distance
            depth = np.where(facing & (place.distance < _DEEPEST_M), -above, -np.inf)
            deepest = max(deepest, float(depth.max(initial=-np.inf)))
        return 1e3 * deepest
