"""A model's face prepared for fitting: in metres, with skin, other parts, mouth and named points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from ..contracts import FaceMesh
from .lips import Mouth, find_mouth
from .surface import Floats, Index, Mask, Surface, unit

#: The parts that move as rigid bodies, and the regions that name their vertices.
RIGID_REGIONS = ("upper_teeth", "lower_teeth", "eyes")
#: Every name that a landmark may have; a model may lack some.
MARKS = ("mouth", "lip_corner_left", "lip_corner_right", "nose_tip", "chin", "eye_left", "eye_right")
#: The face proper reaches this far beyond its regions, and this far behind their middle, metres.
_MARGIN_M, _DEPTH_M = 0.006, 0.035


@dataclass(frozen=True, eq=False)
class Part:
    """A piece of the model that is not skin.

    name: "upper_teeth", "lower_teeth", "eye" or "" (tongue, brows: they bend)
    vertices: (n,) of the model
    """

    name: str
    vertices: Index

    @property
    def rigid(self) -> bool:
        return self.name != ""


@dataclass(frozen=True, eq=False)
class ModelFace:
    """A model's face in metres.

    whole: all of it; skin: the triangles of the skin alone, over the same vertices
    core: vertices of the face proper; up: (3,) from mouth to brows, length 1
    parts: pieces besides the skin; jaw: vertices of its region, which may be none
    mouth: None where the model does not tell
    marks: name -> (3,) metres, the points that a user can place on a mesh by hand
    """

    whole: Surface
    skin: Surface
    core: Index
    up: Floats
    parts: tuple[Part, ...]
    jaw: Index
    mouth: Mouth | None
    marks: Mapping[str, Floats]

    @property
    def sides(self) -> Floats:
        """(V,) side of the mouth; 0 everywhere where the model does not tell."""
        return np.zeros(len(self.whole.points)) if self.mouth is None else self.mouth.sides

    @property
    def outside(self) -> Index:
        """Vertices of the skin that are not behind the lips."""
        chosen = np.zeros(len(self.whole.points), bool)
        chosen[self.skin.triangles.ravel()] = True
        if self.mouth is not None:
            chosen &= ~self.mouth.inside
        return np.flatnonzero(chosen)


def prepare(face: FaceMesh, units_per_metre: float) -> ModelFace:
    """A bundle's face as a ModelFace; units_per_metre: template units in one metre."""
    points = face.vertices.astype(np.float64) / units_per_metre
    whole = Surface(points, face.triangles.astype(np.int64).reshape(-1, 3))
    regions = {name: np.asarray(index, np.int64) for name, index in face.regions.items() if len(index)}
    on_skin = _skin(whole, regions, face)
    skin = whole.part(on_skin[whole.triangles].all(axis=1))
    mouth = find_mouth(face, skin)
    soft = [regions[name] for name in ("lips", "eyelids", "upper_face", "jaw") if name in regions]
    marked = np.unique(np.concatenate(soft)) if soft else np.flatnonzero(on_skin)
    marked = marked[on_skin[marked]]
    up = _up(points, regions)
    core = marked
    marks: dict[str, Floats] = {}
    if mouth is not None:
        front = np.cross(mouth.across, up)
        core = _face_proper(skin, marked, mouth, np.stack([mouth.across, up, front]), on_skin)
        marks = _marks(points, regions, mouth, core, up, front, face)
    jaw = regions.get("jaw", np.zeros(0, np.int64))
    return ModelFace(whole, skin, core, up, _parts(whole, on_skin, regions), jaw, mouth, marks)


def _skin(whole: Surface, regions: Mapping[str, Index], face: FaceMesh) -> Mask:
    """(V,) the piece that has the lips, or the largest one where none is named."""
    lips = regions.get("lips", np.asarray(face.mid_lips, np.int64))
    pieces = whole.pieces
    own = pieces[lips] if len(lips) else pieces[whole.triangles[:, 0]]
    return np.asarray(pieces == np.bincount(own).argmax())


def _up(points: Floats, regions: Mapping[str, Index]) -> Floats:
    """From the mouth to the brows or the lids, or along the template's longest side."""
    for name in ("upper_face", "eyelids"):
        if name in regions and "lips" in regions:
            way = points[regions[name]].mean(axis=0) - points[regions["lips"]].mean(axis=0)
            axis = np.zeros(3)
            axis[np.abs(way).argmax()] = np.sign(way[np.abs(way).argmax()])
            return axis
    axis = np.zeros(3)
    axis[np.ptp(points, axis=0).argmax()] = 1.0
    return axis


def _face_proper(skin: Surface, marked: Index, mouth: Mouth, axes: Floats, on_skin: Mask) -> Index:
    """Skin that looks forward within the regions' outline, nose and cheeks too."""
    local = skin.points @ axes.T
    low, high = local[marked].min(axis=0) - _MARGIN_M, local[marked].max(axis=0) + _MARGIN_M
    low[2] = local[marked, 2].mean() - _DEPTH_M
    within = (local > low).all(axis=1) & (local[:, :2] < high[:2]).all(axis=1)
    return np.flatnonzero(within & on_skin & ~mouth.inside & (skin.normals @ axes[2] > 0.1))


def _marks(
    points: Floats,
    regions: Mapping[str, Index],
    mouth: Mouth,
    core: Index,
    up: Floats,
    front: Floats,
    face: FaceMesh,
) -> dict[str, Floats]:
    middle = points[mouth.corners].mean(axis=0)
    found = {
        "mouth": points[face.mid_lips].mean(axis=0),
        "lip_corner_left": points[mouth.corners[0]],
        "lip_corner_right": points[mouth.corners[1]],
        "nose_tip": points[core[(points[core] @ front).argmax()]],
    }
    if "jaw" in regions:
        jaw = regions["jaw"]
        central = jaw[np.abs((points[jaw] - middle) @ mouth.across) < 0.3 * mouth.half_width]
        if len(central):
            found["chin"] = points[central[(points[central] @ unit((front - up)[None])[0]).argmax()]]
    if "eyelids" in regions:
        lids = regions["eyelids"]
        aside = (points[lids] - middle) @ mouth.across
        for name, side in (("eye_left", aside > 0), ("eye_right", aside < 0)):
            if side.any():
                found[name] = points[lids[side]].mean(axis=0)
    return found


def _parts(whole: Surface, on_skin: Mask, regions: Mapping[str, Index]) -> tuple[Part, ...]:
    found = []
    used = np.zeros(len(whole.points), bool)
    used[whole.triangles.ravel()] = True
    for piece in np.unique(whole.pieces[used & ~on_skin]):
        vertices = np.flatnonzero((whole.pieces == piece) & used)
        name = ""
        for region in RIGID_REGIONS:
            if region in regions and np.isin(vertices, regions[region]).mean() > 0.5:
                name = "eye" if region == "eyes" else region
        found.append(Part(name, vertices))
    return tuple(found)
