"""The pictures of an evaluation show what they say they show."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from codetalker_blender.contracts import FloatArray
from training.datasets.clip import Clip
from training.plots import codes_figure, face_figure, openings_figure, view_of, write_plots
from training.score_clip import Prediction
from training.scores import Evaluation, evaluate

from ..engine.tiny import grid_face
from .made import made_dataset


def made_evaluation(wrong: int | None = None, codes: bool = True) -> Evaluation:
    """Predictions equal to the truth but for the vertex ``wrong``, which is 5 mm off."""
    data = made_dataset(clips=5, seconds=1.0)

    def predict(clip: Clip) -> Prediction:
        offsets: FloatArray = data.offsets(clip)
        if wrong is not None:
            offsets[:, wrong, 1] += 0.005
        return Prediction(offsets, np.arange(30, dtype=np.int32)[:, None] % 4 if codes else None, 8)

    return evaluate(data, predict)


def test_only_what_there_is_to_show_is_drawn(tmp_path: Path) -> None:
    whole = made_evaluation()
    assert write_plots(tmp_path / "all", whole, "m", "Z") == ["codes.png", "face_error.png", "openings.png"]
    assert sorted(path.name for path in (tmp_path / "all").iterdir()) == [
        "codes.png", "face_error.png", "openings.png",
    ]  # fmt: skip
    blind = dataclasses.replace(
        made_evaluation(codes=False),
        clips=tuple(row.replace(opening_mm=row.opening_mm * np.nan) for row in whole.clips),
    )
    without_codes = dataclasses.replace(blind, clips=tuple(row.replace(codes=None) for row in blind.clips))
    assert write_plots(tmp_path / "few", without_codes, "m", "Z") == ["face_error.png"]


@pytest.mark.parametrize(("up_axis", "front"), [("Z", (0, -1, 0)), ("Y", (0, 0, 1))])
def test_the_front_view_looks_the_face_in_the_eyes(up_axis: str, front: tuple[float, ...]) -> None:
    """+x is the character's left and right in the picture, and what points to the front is nearest."""
    up = np.eye(3)["XYZ".index(up_axis)]
    vertices = np.array([[1, 0, 0], up, front], np.float32)
    face = dataclasses.replace(grid_face(), vertices=vertices, triangles=np.array([[0, 1, 2]], np.int32))
    view = view_of(face, up_axis, 0.0)
    assert view.points == pytest.approx(np.array([[1, 0], [0, 1], [0, 0]]), abs=1e-9)
    assert view.depth == pytest.approx([0, 0, 1])
    turned = view_of(face, up_axis, 90.0)
    assert turned.depth == pytest.approx([1, 0, 0], abs=1e-9), "turned, the character's left is nearest"


def test_the_wrong_vertex_is_dark_and_no_other() -> None:
    wrong = 8
    evaluation = made_evaluation(wrong)
    figure = face_figure(evaluation, "m", "Z")
    front = figure.axes[0].collections[0]
    view = view_of(evaluation.ruler.face, "Z", 0.0)
    triangles = evaluation.ruler.face.triangles
    order = np.argsort(view.depth[triangles].mean(axis=1))
    touched = (triangles[order] == wrong).any(axis=1)
    # green over red falls from the light colour of no error on, whatever the shading
    hue = front.get_facecolors()[:, 1] / front.get_facecolors()[:, 0]
    assert touched.any()
    assert hue[touched].max() < hue[~touched].min()


def test_a_face_without_triangles_is_drawn_as_points() -> None:
    evaluation = made_evaluation()
    face = dataclasses.replace(evaluation.ruler.face, triangles=np.zeros((0, 3), np.int32))
    bare = dataclasses.replace(evaluation, ruler=dataclasses.replace(evaluation.ruler, face=face))
    points = face_figure(bare, "m", "Z").axes[0].collections[0]
    assert len(points.get_offsets()) == face.vertex_count


def test_openings_show_both_curves_and_the_phones() -> None:
    evaluation = made_evaluation()
    row = evaluation.clips[0]
    axes = openings_figure([row], evaluation.styles, "m").axes[0]
    curves = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert np.array_equal(curves["truth"], row.truth_opening_mm)
    assert np.array_equal(curves["prediction"], row.opening_mm)
    assert [text.get_text() for text in axes.texts] == [phone.label for phone in row.phones]


def test_codes_are_sorted_by_use_with_the_unused_last() -> None:
    codes = np.array([[2, 2], [2, 5], [2, 5]], np.int32)
    figure = codes_figure(codes, 8, "m")
    shares = [bar.get_height() for bar in figure.axes[0].patches]
    assert shares == pytest.approx([100 * 4 / 6, 100 * 2 / 6, 0, 0, 0, 0, 0, 0])
    assert "6 of 8 never used" in figure.axes[0].get_title()
