"""A mesh is recognised by its connectivity, whatever its coordinates, face order and quads."""

from __future__ import annotations

import numpy as np
import pytest

from codetalker_blender.contracts import IntArray
from codetalker_blender.face import topology
from codetalker_blender.face.topology import Match, compare, fingerprint, recognise, triangulate_like


def sheet(columns: int = 5, rows: int = 4) -> IntArray:
    """(quads, 4) corners of a sheet of quads."""
    index = np.arange(columns * rows, dtype=np.int32).reshape(rows, columns)
    quads: IntArray = np.stack(
        (index[:-1, :-1], index[:-1, 1:], index[1:, 1:], index[1:, :-1]), axis=-1
    ).reshape(-1, 4)
    return quads


def split(quads: IntArray, *, other: bool = False) -> IntArray:
    """Triangles of the quads along one diagonal or the other."""
    a, b, c, d = quads.T
    pair = ((a, b, d), (b, c, d)) if other else ((a, b, c), (a, c, d))
    triangles = np.stack([np.stack(triangle, axis=1) for triangle in pair], axis=1)
    return np.array(triangles, np.int32).reshape(-1, 3)


def polygons(faces: list[list[int]]) -> tuple[IntArray, IntArray, IntArray]:
    totals = np.array([len(face) for face in faces], np.int32)
    starts = np.concatenate([[0], np.cumsum(totals)[:-1]]).astype(np.int32)
    return np.array([corner for face in faces for corner in face], np.int32), starts, totals


def test_fingerprint_of_one_triangle_is_the_hash_of_its_bytes() -> None:
    # sha256 of the little-endian int32 bytes of 0, 1, 2.
    import hashlib

    expected = hashlib.sha256(b"\0\0\0\0\1\0\0\0\2\0\0\0").hexdigest()
    assert fingerprint(np.array([[1, 2, 0]], np.int32)) == expected


def test_fingerprint_ignores_order_and_rotation_but_not_winding() -> None:
    triangles = split(sheet())
    random = np.random.default_rng(0)
    shuffled = random.permutation(triangles)
    turned = np.stack([np.roll(row, random.integers(3)) for row in shuffled])
    assert fingerprint(turned) == fingerprint(triangles)
    assert fingerprint(triangles[:, ::-1]) != fingerprint(triangles)


def test_other_connectivity_changes_the_fingerprint() -> None:
    triangles = split(sheet())
    swapped = triangles.copy()
    swapped[triangles == 3], swapped[triangles == 4] = 4, 3
    assert fingerprint(swapped) != fingerprint(triangles)


def test_compare_tells_the_three_cases_apart() -> None:
    triangles = split(sheet())
    assert compare(triangles, 20, triangles[::-1], 20) is Match.SAME
    assert compare(triangles, 20, triangles[:, ::-1], 20) is Match.SAME, "only normals are flipped"
    assert compare(triangles, 20, triangles, 21) is Match.OTHER_COUNT
    assert compare(triangles, 20, triangles[:-1], 20) is Match.OTHER_CONNECTIVITY
    renumbered = (triangles + 1) % 20
    assert compare(triangles, 20, renumbered.astype(np.int32), 20) is Match.OTHER_CONNECTIVITY


def test_quads_count_whichever_diagonal_the_face_uses() -> None:
    quads = sheet()
    # The face splits every other quad along the other diagonal.
    face = np.concatenate([split(quads[::2]), split(quads[1::2], other=True)])
    corners, starts, totals = polygons(quads.tolist())
    triangles = triangulate_like(corners, starts, totals, face, 20)
    assert compare(face, 20, triangles, 20) is Match.SAME


def test_mixed_polygons_are_triangulated_in_their_order() -> None:
    corners, starts, totals = polygons([[0, 1, 2, 3, 4], [4, 3, 5], [5, 3, 2, 6]])
    triangles = triangulate_like(corners, starts, totals, np.zeros((0, 3), np.int32), 7)
    assert triangles.tolist() == [[0, 1, 2], [0, 2, 3], [0, 3, 4], [4, 3, 5], [5, 3, 2], [5, 2, 6]]


def test_mesh_without_faces_has_no_triangles() -> None:
    none = np.zeros(0, np.int32)
    triangles = triangulate_like(none, none, none, split(sheet()), 20)
    assert triangles.shape == (0, 3)
    assert compare(split(sheet()), 20, triangles, 20) is Match.OTHER_CONNECTIVITY


def test_bundle_without_triangles_takes_those_of_a_known_topology(monkeypatch: pytest.MonkeyPatch) -> None:
    triangles = split(sheet())
    none = np.zeros((0, 3), np.int32)
    assert compare(none, 20, triangles, 20) is Match.OTHER_CONNECTIVITY
    published = topology.KnownTopology("sheet", fingerprint(triangles), 20, len(triangles), 43, 1.0)
    monkeypatch.setattr(topology, "KNOWN_TOPOLOGIES", (*topology.KNOWN_TOPOLOGIES, published))
    assert recognise(triangles[::-1]) == published
    assert compare(none, 20, triangles, 20) is Match.SAME
    assert compare(none, 20, triangles[:, ::-1], 20) is Match.SAME
    assert compare(none, 21, triangles, 21) is Match.OTHER_CONNECTIVITY
