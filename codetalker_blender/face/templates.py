"""Template files of the data sets → one face at rest: .ply, .obj, .npy, .npz or templates.pkl.

A template is (V, 3) positions in the data set's own units and axes; meshes bring triangles too.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..contracts import REGION_NAMES, FaceMesh, FloatArray, IntArray
from ..errors import UserError
from . import topology
from .meshes import Mesh, read_mesh
from .plain_pickles import read_plain_pickle
from .topology import KnownTopology

_KINDS = ".ply, .obj, .npy, .npz or .pkl"


def read_template(path: Path, subject: str | None = None) -> Mesh:
    """The template in ``path``; ``subject`` chooses among several (templates.pkl, .npz).

    Raises UserError.
    """
    try:
        there = path.is_file()
    except OSError as error:
        raise UserError(f"'{path}' cannot be read: {error.strerror or error}.") from error
    if not there:
        raise UserError(f"There is no template file '{path}'.", f"Give a {_KINDS} file.")
    suffix = path.suffix.lower()
    if suffix in (".pkl", ".npz"):
        templates = read_templates(path)
        return _without_faces(templates[_chosen(templates, subject, path)])
    if subject is not None:
        raise UserError(
            f"'{path}' holds one template, so --subject {subject} chooses nothing.", "Leave it out."
        )
    if suffix in (".ply", ".obj"):
        return read_mesh(path)
    if suffix == ".npy":
        return _without_faces(_positions(_load_numpy(path), str(path)))
    raise UserError(f"'{path}' is no template file that can be read.", f"Give a {_KINDS} file.")


def read_templates(path: Path) -> dict[str, FloatArray]:
    """Every subject's template in a templates.pkl or .npz: subject -> (V, 3) float32.  Raises UserError."""
    content = read_plain_pickle(path) if path.suffix.lower() == ".pkl" else _load_numpy(path)
    if isinstance(content, np.ndarray):
        content = {path.stem: content}
    if not isinstance(content, Mapping) or not content:
        raise UserError(f"'{path}' holds no templates by subject.", "Give the data set's own templates file.")
    return {str(name): _positions(value, f"{path}: {name}") for name, value in content.items()}


def face_of(template: Mesh, mesh: Mesh | None, regions: Mapping[str, IntArray]) -> FaceMesh:
    """The bundle's face: template positions, the mesh's triangles (else the template's own) and regions.

    What the known topologies tell (:func:`known_face`) stands in for the mid-lip vertices.  Raises UserError.
    """
    count = len(template.vertices)
    if mesh is not None and len(mesh.vertices) != count:
        raise UserError(
            f"The mesh has {len(mesh.vertices)} vertices but the template has {count}.",
            "Give the mesh of the same face.",
        )
    if mesh is not None and not len(mesh.triangles):
        raise UserError(
            "The mesh has no faces, so it gives no triangles.", "Give a mesh with faces, or none."
        )
    triangles = template.triangles if mesh is None else mesh.triangles
    known = known_face(triangles, count)
    empty = np.zeros(0, np.int32)
    return FaceMesh(
        vertices=template.vertices,
        triangles=triangles,
        mid_lips=np.array(known.mid_lips if known else (), np.int32),
        lip_corners=empty,
        regions={name: regions.get(name, empty) for name in REGION_NAMES},
    )


def known_face(triangles: IntArray, vertex_count: int) -> KnownTopology | None:
    """The published topology that a face is, if any: the one rule for its scale and its mid-lip vertices.

    Triangles decide where there are any, in either winding, as for the mesh to be animated
    (``topology.compare``).  Without them the bundle takes those of the first recognised mesh, so the
    count decides.
    """
    if len(triangles):
        return topology.recognise(triangles) or topology.recognise(triangles[:, ::-1])
    return next((known for known in topology.KNOWN_TOPOLOGIES if known.vertex_count == vertex_count), None)


def _chosen(templates: Mapping[str, FloatArray], subject: str | None, path: Path) -> str:
    names = sorted(templates)
    if subject is None and len(names) == 1:
        return names[0]
    listed = ", ".join(names[:12]) + (", …" if len(names) > 12 else "")
    if subject is None:
        raise UserError(f"'{path}' holds {len(names)} templates.", f"Choose one with --subject: {listed}.")
    if subject not in templates:
        raise UserError(f"'{path}' has no subject '{subject}'.", f"It has: {listed}.")
    return subject


def _load_numpy(path: Path) -> Any:
    """An array, or the arrays of an .npz by name.  Raises UserError."""
    try:
        loaded = np.load(path, allow_pickle=False)
        if isinstance(loaded, np.ndarray):
            return loaded
        with loaded:
            return {name: loaded[name] for name in loaded.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise UserError(f"'{path}' cannot be read as arrays of numbers: {error}.") from error


def _positions(value: Any, where: str) -> FloatArray:
    """(V, 3) float32 of an array (V, 3) or (3V,), ones in front allowed.  Raises UserError."""
    if not isinstance(value, np.ndarray) or value.dtype.kind not in "fiu":
        raise UserError(f"'{where}' is no array of numbers.")
    shape = value.shape
    while value.ndim > 1 and value.shape[0] == 1:
        value = value[0]
    flat = value.ndim == 1 and value.size % 3 == 0
    fits = value.size and (flat or (value.ndim == 2 and value.shape[1] == 3))
    if not fits:
        raise UserError(f"'{where}' has shape {shape}; a template is (V, 3) or (3V,).")
    positions: FloatArray = value.reshape(-1, 3).astype(np.float32)
    if not np.isfinite(positions).all():
        raise UserError(f"'{where}' holds positions that are no finite numbers.")
    return positions


def _without_faces(positions: FloatArray) -> Mesh:
    return Mesh(positions, np.zeros((0, 3), np.int32))
