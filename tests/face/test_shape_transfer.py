"""The demo head's shapes carried over to a face of FLAME's size and axes whose own shapes are known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from codetalker_blender.contracts import FaceMesh, FloatArray
from codetalker_blender.errors import TargetError
from codetalker_blender.face.blendshapes import Blendshapes, demo_head_shapes
from codetalker_blender.face.shape_transfer import carry_to_face, check_face
from codetalker_blender.face.weights import solve_weights

from . import layouts
from .known_weights import lively, played, rms
from .layouts import UNITS_PER_METRE, flame_like


@cache
def carried() -> FloatArray:
    """(52, V, 3) metres, in the face's axes."""
    found = carry_to_face(flame_like().face, "made", demo_head_shapes().offsets) / np.float32(UNITS_PER_METRE)
    return found.astype(np.float32)


def own() -> FloatArray:
    return np.stack([flame_like().shapes[name] for name in demo_head_shapes().names])


def test_the_made_face_is_of_flames_size() -> None:
    face = flame_like().face
    assert face.vertex_count == layouts.FLAME_VERTICES
    height = np.ptp(face.vertices, axis=0)
    assert height.argmax() == 1 and 20 < height[1] < 40, "centimetres, Y up"


def test_shapes_arrive_as_the_faces_own_would_be() -> None:
    error, size = np.linalg.norm(carried() - own(), axis=2), np.linalg.norm(own(), axis=2)
    assert error.mean() < 0.1 * size.mean()


def test_known_weights_of_the_faces_own_shapes_come_back() -> None:
    names = demo_head_shapes().names
    known = lively(names, 120)
    mid_lips = flame_like().face.mid_lips
    found = solve_weights(Blendshapes(names, carried()), played(own(), known.values), 30.0, mid_lips=mid_lips)
    assert rms(found, known) <= 0.05


def test_a_face_turned_inside_out_gets_the_same() -> None:
    """Released templates come in either winding."""
    face = flame_like().face
    flipped = replace(face, triangles=np.ascontiguousarray(face.triangles[:, ::-1]))
    jaw = demo_head_shapes().chosen(["jawOpen"])
    found = carry_to_face(flipped, "made", jaw.offsets) / np.float32(UNITS_PER_METRE)
    np.testing.assert_allclose(found[0], carried()[demo_head_shapes().names.index("jawOpen")], atol=5e-4)


def ball() -> FaceMesh:
    """No face at all."""
    turn, height = np.meshgrid(np.arange(40) * np.pi / 20, np.linspace(0.05, np.pi - 0.05, 30))
    points = 0.1 * np.stack(
        [np.sin(height) * np.cos(turn), np.sin(height) * np.sin(turn), np.cos(height)], axis=-1
    )
    index = np.arange(1200).reshape(30, 40)
    a, b = index[:-1], np.roll(index[:-1], -1, axis=1)
    d, c = index[1:], np.roll(index[1:], -1, axis=1)
    triangles = np.concatenate(
        [np.stack([a, d, c], -1).reshape(-1, 3), np.stack([a, c, b], -1).reshape(-1, 3)]
    )
    empty = np.zeros(0, np.int32)
    return FaceMesh(points.reshape(-1, 3).astype(np.float32), triangles.astype(np.int32), empty, empty)


def test_what_is_no_face_is_refused_with_reasons() -> None:
    with pytest.raises(TargetError, match=r"cannot be carried over to the face of the model 'ball': .*\d"):
        carry_to_face(ball(), "ball", demo_head_shapes().offsets[:1])


def test_a_face_without_polygons_is_refused() -> None:
    face = replace(flame_like().face, triangles=np.zeros((0, 3), np.int32))
    with pytest.raises(TargetError, match="'made' has vertices and no polygons"):
        check_face(face, "made")
