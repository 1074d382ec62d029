"""The live preview: the frames that a run will write, on the target as it stands in the scene."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("bpy", reason="needs Blender as a Python module (bpy)")

import dataclasses

import bpy

from codetalker_blender.blender.mesh import target as targets
from codetalker_blender.blender.preferences import engine_settings
from codetalker_blender.blender.runs import generation, jobs, preview
from codetalker_blender.blender.runs.preview import Portrait, Preview
from codetalker_blender.blender.writing import takes
from codetalker_blender.contracts import FloatArray
from codetalker_blender.model_files import read_card, read_face
from tests.blender import running, scenes


def portrait(obj: bpy.types.Object, model: Path) -> Portrait:
    card = read_card(model)
    target = targets.read_target(obj, bpy.context.scene)
    similarity = targets.align(target, read_face(model, card), card.name)
    return preview.portrait_of(obj, target.rest, similarity, card.units_per_metre)


def flat_portrait(vertices: int = 4) -> Portrait:
    return Portrait(
        np.zeros((vertices, 3), np.float32), np.zeros((0, 3), np.int32), np.eye(3, dtype=np.float32), 1.0
    )


def numbered(first: int, count: int) -> FloatArray:
    """Frames whose offsets are their own number."""
    numbers = np.arange(first, first + count, dtype=np.float32)
    return np.broadcast_to(numbers[:, None, None], (count, 4, 3))


def test_the_face_moves_as_the_written_animation_will(
    settings: Any, tiny_model: Path, long_speech_file: Path
) -> None:
    """On a target that is larger than the model's face, turned, and placed somewhere in the scene."""
    rest = (scenes.sheet_vertices() * 30.0)[:, [0, 2, 1]]
    obj = settings.target = scenes.add_mesh("Face", rest, scenes.sheet_quads())
    obj.location, obj.scale, obj.rotation_euler = (1, 2, 3), (2, 3, 4), (0.1, 0.2, 0.3)
    bpy.context.view_layer.update()
    prepared = dataclasses.replace(generation.prepare(bpy.context), portrait=portrait(obj, tiny_model))
    shown: dict[int, FloatArray] = {}
    frame_s = 1.0 / 24.0
    with pytest.MonkeyPatch.context() as patch:
        # Every frame that comes is looked at.
        real = Preview.add

        def add(self: Preview, first: int, offsets: FloatArray) -> None:
            real(self, first, offsets)
            for number in range(first, first + len(offsets)):
                self.advance(number * frame_s)
                found = self.frame()
                assert found is not None
                shown[found[0]] = found[1]

        patch.setattr(Preview, "add", add)
        written = running.finish(jobs.QUEUE.add(prepared, engine_settings()))
    assert written is not None and len(shown) >= written.outcome.frame_count - 1
    # What is written is within two micrometres of the model's motion, here 120 times as large.
    limit = 120 * takes.MAX_ERROR_M * 1.5
    world = np.array(obj.matrix_world)[:3, :3]
    middle = None
    for number, shape in shown.items():
        placed = scenes.evaluated(obj, written.first_frame + number) @ world.T
        middle = (placed - shape).mean(axis=0) if middle is None else middle
        np.testing.assert_allclose(placed - shape, np.broadcast_to(middle, placed.shape), atol=limit)


def test_frames_play_at_their_own_speed_and_begin_again() -> None:
    made = Preview(flat_portrait(), fps=10.0)
    assert not made.advance(0.0) and made.frame() is None
    made.add(0, numbered(0, 5))
    numbers = []
    for now in 100.0 + 0.1005 * np.arange(10):
        assert made.advance(float(now))
        found = made.frame()
        assert found is not None
        assert found[1][0, 0] == found[0]
        numbers.append(found[0])
    assert numbers == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4]
    made.add(5, numbered(5, 3))
    made.advance(101.0)
    made.advance(101.1)
    assert made.frame()[0] == 5


def test_only_the_newest_seconds_are_kept() -> None:
    made = Preview(flat_portrait(), fps=10.0)
    for first in range(0, 1000, 7):
        made.add(first, numbered(first, 7))
    held = sum(len(chunk) for chunk in made._chunks)
    assert 100 <= held < 107
    made.advance(0.0)
    found = made.frame()
    assert found is not None and found[0] == 1001 - held and found[1][0, 0] == found[0]
    # One chunk of a clip that comes at once.
    whole = Preview(flat_portrait(), fps=10.0)
    whole.add(0, numbered(0, 5000))
    assert [len(chunk) for chunk in whole._chunks] == [100]
    whole.advance(0.0)
    assert whole.frame()[0] == 4900


def test_there_is_a_picture_while_new_frames_push_the_shown_one_out() -> None:
    made = Preview(flat_portrait(), fps=10.0)
    made.add(0, numbered(0, 100))
    made.advance(0.0)
    made.add(100, numbered(100, 100))  # beside Blender, which draws before it looks at the run again
    found = made.frame()
    assert found is not None and found[0] == 100 and found[1][0, 0] == 100


def test_frames_of_another_face_are_no_frames() -> None:
    with pytest.raises(ValueError, match="4 vertices"):
        Preview(flat_portrait(), 10.0).add(0, np.zeros((1, 5, 3), np.float32))


def test_the_picture_is_what_the_viewer_sees(settings: Any, tiny_model: Path) -> None:
    seen = portrait(scenes.add_sheet(), tiny_model)
    turn = np.array([[0.0, 1, 0], [0, 0, 1], [1, 0, 0]])  # from the side
    made = preview.picture(seen, seen.rest, turn)
    assert made.points.dtype == made.colours.dtype == np.float32
    assert np.abs(made.points).max() <= 1.0
    scale = seen.radius * 1.03
    np.testing.assert_allclose(made.points[:, 0] * scale, seen.rest[:, 1], atol=1e-6)
    np.testing.assert_allclose(made.points[:, 1] * scale, seen.rest[:, 2], atol=1e-6)
    np.testing.assert_allclose(made.points[:, 2] * scale, -seen.rest[:, 0], atol=1e-6)
    assert np.all((made.colours >= 0) & (made.colours <= 1)) and np.ptp(made.colours[:, 0]) > 0.02


def test_normals_of_a_ball() -> None:
    theta, phi = np.meshgrid(np.linspace(0.1, 3.0, 24), np.linspace(0, 2 * np.pi, 48, endpoint=False))
    ball = np.stack(
        [np.sin(theta) * np.cos(phi), np.sin(theta) * np.sin(phi), np.cos(theta)], axis=-1
    ).reshape(-1, 3)
    index = np.arange(48 * 24).reshape(48, 24)
    following = np.roll(index, -1, axis=0)
    quads = np.stack([index[:, :-1], index[:, 1:], following[:, 1:], following[:, :-1]], -1).reshape(-1, 4)
    triangles = np.concatenate([quads[:, :3], quads[:, [0, 2, 3]]]).astype(np.int32)
    normals = preview.vertex_normals(ball.astype(np.float32), triangles)
    inner = (theta.ravel() > 0.3) & (theta.ravel() < 2.8)
    assert np.sum(normals * ball, axis=1)[inner].min() > 0.99
    assert np.abs(np.linalg.norm(normals, axis=1) - 1).max() < 1e-5


def test_without_a_window_nothing_is_drawn(settings: Any) -> None:
    settings.target = scenes.add_sheet()
    assert settings.use_preview
    assert generation.prepare(bpy.context).portrait is None
