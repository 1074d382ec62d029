"""The rims of the eyes' openings: found on the model, and where a fit lays them."""

from __future__ import annotations

import numpy as np

from codetalker_blender.face import registration
from codetalker_blender.face.rims import Ends, eye_rims
from codetalker_blender.face.surface import Surface
from tests.face import heads

SQUARE = Surface(np.array([[0.0, 0, 0], [1, 0, 0], [1, 1, 0], [0, 1, 0]]), np.array([[0, 1, 2], [0, 2, 3]]))


def test_the_nearest_end_of_a_surface_is_on_its_border_and_not_on_an_edge_within() -> None:
    places, ways = Ends.of(SQUARE).closest(np.array([[0.5, 0.4, 0.3], [1.2, 0.5, 0.0], [-1.0, -1.0, 0.0]]))
    np.testing.assert_allclose(places, [[0.5, 0.0, 0.0], [1.0, 0.5, 0.0], [0.0, 0.0, 0.0]], atol=1e-12)
    np.testing.assert_allclose(np.abs(ways[:2]), [[1, 0, 0], [0, 1, 0]], atol=1e-12)


def test_a_surface_without_end_has_none() -> None:
    closed = Surface(
        np.array([[0.0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]]),
        np.array([[0, 2, 1], [0, 1, 3], [0, 3, 2], [1, 2, 3]]),
    )
    assert len(Ends.of(closed).starts) == 0


def test_the_openings_of_a_child_s_eyes_lie_where_they_are() -> None:
    """The child's eyes are a third taller than the model's, on skin that is smooth above and below."""
    face, child = heads.face(), heads.young()
    found = registration.fit(face, 1.0, child.points, child.triangles)
    rim = eye_rims(found.template.skin, found.template.marks)
    assert len(rim) > 40 and set(np.sign(found.template.whole.points[rim, 0])) == {-1.0, 1.0}
    apart_mm = 1e3 * np.linalg.norm(found.preview[rim] - child.points[rim], axis=1)
    assert apart_mm.mean() < 0.2
    # Which is not so by itself: the alignment alone leaves them millimetres away.
    aligned = found.placement.to_mesh(found.template.whole.points)
    assert 1e3 * np.linalg.norm(aligned[rim] - child.points[rim], axis=1).mean() > 2.0
