"""Windows of clips as motion on a basis: exact, on one grid, at rest past the end, drawn by a seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from training import losses
from training.articulation_head import read_head
from training.parts import PARTS, shape_parts
from training.sounds import make_sounds
from training.windows import SILENCE, VertexBasis, WindowSampler, motion_metric, vertex_basis

from ..engine.variants import variant_networks
from .made import made_dataset

HEAD = read_head(Path(__file__).parents[2] / "assets" / "head")


def made_sampler(seed: int = 0, clips: int = 3, seconds: float = 4.0) -> WindowSampler:
    dataset = made_dataset(clips=clips, seconds=seconds)
    encoder = variant_networks("log mel")[2]
    sounds = make_sounds(dataset.clips, encoder, seed)
    return WindowSampler(dataset, vertex_basis(dataset.deltas), sounds, 30.0, seed)


# The basis -------------------------------------------------------------------------------------


def largest_error_mm(basis: VertexBasis, deltas: NDArray[np.float32]) -> float:
    back = (basis.from_weights @ basis.rows).reshape(deltas.shape)
    return float(np.linalg.norm(back - deltas, axis=-1).max() * 1e3)


def test_the_basis_is_orthonormal_and_exact_within_its_bound() -> None:
    dataset = made_dataset()
    basis = vertex_basis(dataset.deltas)
    assert len(basis.rows) == 3
    assert basis.part.tolist() == [0, 0, 0]
    np.testing.assert_allclose(basis.rows @ basis.rows.T, np.eye(3), atol=1e-5)
    assert largest_error_mm(basis, dataset.deltas) <= 0.1
    assert basis.error_mm <= 0.1


def test_too_rich_motion_for_the_basis_is_refused() -> None:
    deltas = np.random.default_rng(0).standard_normal((12, 42, 3)).astype(np.float32)
    with pytest.raises(ValueError, match="no basis of rank <= 4"):
        vertex_basis(deltas, largest=4)


@pytest.fixture(scope="module")
def parted() -> tuple[VertexBasis, NDArray[np.int64]]:
    of = shape_parts(HEAD.deltas, HEAD.face)
    return vertex_basis(HEAD.deltas, of), of


def test_the_basis_of_the_head_in_parts_is_orthonormal_and_spans_every_shape(
    parted: tuple[VertexBasis, NDArray[np.int64]],
) -> None:
    basis, _ = parted
    np.testing.assert_allclose(basis.rows @ basis.rows.T, np.eye(len(basis.rows)), atol=1e-5)
    assert len(basis.part) == len(basis.rows) <= 128
    assert set(basis.part.tolist()) == set(range(len(PARTS)))
    assert largest_error_mm(basis, HEAD.deltas) <= 0.101
    assert basis.error_mm <= 0.1


def test_rows_of_brows_and_lids_move_only_what_their_shapes_move(
    parted: tuple[VertexBasis, NDArray[np.int64]],
) -> None:
    """Brows come after lids into the basis, so theirs may hold what is left of both."""
    basis, of = parted
    moves = np.linalg.norm(HEAD.deltas, axis=-1) > 0  # (K, V)
    for part, shapes in ((PARTS.index("lids"), {2}), (PARTS.index("brows"), {1, 2})):
        allowed = moves[np.isin(of, list(shapes))].any(axis=0)
        rows = basis.rows[basis.part == part].reshape(-1, len(allowed), 3)
        assert np.abs(rows[:, ~allowed]).max() < 1e-6
        assert np.abs(rows[:, allowed]).max() > 1e-3


def test_lids_shapes_need_no_other_rows_and_brows_none_of_the_mouth(
    parted: tuple[VertexBasis, NDArray[np.int64]],
) -> None:
    basis, of = parted
    size = np.abs(basis.from_weights)
    mouth_rows, brow_rows = basis.part == 0, basis.part == 1
    # within the basis's tolerance: 0.1 mm over some hundred vertices
    assert size[of == 2][:, mouth_rows | brow_rows].max() < 2e-3
    assert size[of == 1][:, mouth_rows].max() < 2e-3
    assert size[of == 1][:, brow_rows].max() > 2e-2


def test_rounding_does_not_turn_the_basis_of_mirrored_shapes() -> None:
    """Stages of one run, and its processes, make the basis each for itself."""
    random = np.random.default_rng(0)
    noisy = HEAD.deltas + (1e-9 * random.standard_normal(HEAD.deltas.shape)).astype(np.float32)
    of = shape_parts(HEAD.deltas, HEAD.face)
    np.testing.assert_allclose(vertex_basis(noisy, of).rows, vertex_basis(HEAD.deltas, of).rows, atol=1e-5)


def test_a_part_that_later_parts_span_needs_no_rows() -> None:
    deltas = np.zeros((2, 5, 3), np.float32)
    deltas[0, 0, 2], deltas[1, 0, 2] = 0.005, 0.003
    basis = vertex_basis(deltas, np.array([0, 1]))
    assert basis.part.tolist() == [1]
    np.testing.assert_allclose(basis.from_weights @ basis.rows, deltas.reshape(2, -1), atol=1e-7)


def test_the_weighted_error_is_the_vertices_own() -> None:
    """In coefficients it must equal the weighted root mean square over vertices, in mm."""
    dataset = made_dataset()
    basis = vertex_basis(dataset.deltas)
    lips = dataset.face.regions["lips"]
    metric = motion_metric(basis.rows, dataset.face, {"lips": 3.0}, basis.part)
    random = np.random.default_rng(0)
    error = random.standard_normal((5, 3)).astype(np.float32) * 0.01
    offsets = (error @ basis.rows).reshape(5, -1, 3)
    share = np.full(dataset.face.vertex_count, 1 / dataset.face.vertex_count)
    share[lips] += 3.0 / len(lips)
    share /= share.sum()
    wanted = 1e3 * np.sqrt((np.square(offsets).sum(-1) * share).sum(-1)).mean()
    got = losses.weighted_motion(torch.from_numpy(error), torch.zeros(5, 3), metric)
    assert float(got) == pytest.approx(wanted, rel=1e-3)


def test_the_parts_of_the_face_are_judged_apart() -> None:
    """The mouth by the mean of its frames, what rests most of the time by its root mean square."""
    dataset = made_dataset()
    basis = vertex_basis(dataset.deltas)
    rank = len(basis.rows)
    parts = np.arange(rank) % 2
    both = motion_metric(basis.rows, dataset.face, {}, parts)
    error = np.random.default_rng(0).standard_normal((40, rank)) * 0.01
    error[4:, parts == 1] = 0.0
    per_part = []
    for part in (0, 1):
        offsets = ((error * (parts == part)) @ basis.rows).reshape(40, -1, 3)
        per_part.append(1e3 * np.sqrt(np.square(offsets).sum(-1).mean(-1)))
    wanted = per_part[0].mean() + np.sqrt(np.square(per_part[1]).mean())
    moved = torch.from_numpy(error.astype(np.float32))
    got = losses.weighted_motion(moved, torch.zeros(40, rank), both)
    assert float(got) == pytest.approx(wanted, rel=1e-3)


# Windows ---------------------------------------------------------------------------------------


def test_two_samplers_of_one_seed_draw_the_same() -> None:
    first, same, other = made_sampler(1), made_sampler(1), made_sampler(2)
    for _ in range(2):
        a, b, c = (sampler.draw(4, 60, chunks=2) for sampler in (first, same, other))
        for field in ("chunks", "motion", "before", "style", "phones"):
            assert torch.equal(getattr(a, field), getattr(b, field))
        assert not torch.equal(a.motion, c.motion)
    assert not torch.equal(first.draw(4, 60).motion, a.motion)


def test_a_window_is_a_piece_of_its_clip() -> None:
    """Motion, the frame before it, phones and style belong to one place of one clip."""
    sampler = made_sampler()
    random = np.random.default_rng(0)
    for motion in sampler.motion:  # so that every frame is known by its motion
        motion[:120] = random.standard_normal((120, 3))
    batch = sampler.draw(64, 30)
    starts = []
    for index in range(64):
        pick = int(batch.style[index, 0].argmax())  # made clips have a style each
        whole, piece = sampler.motion[pick], batch.motion[index].numpy()
        same = (whole == piece[0]).all(axis=1)
        if not piece[0].any():
            continue  # the rest behind a clip looks the same everywhere
        start = int(same.nonzero()[0][0])
        starts.append(start)
        held = np.minimum(np.arange(start, start + 30), len(whole) - 1)
        np.testing.assert_array_equal(piece, whole[held])
        np.testing.assert_array_equal(batch.phones[index].numpy(), sampler.phones[pick][held])
        np.testing.assert_array_equal(
            batch.before[index].numpy(), whole[start - 1] if start else 0 * whole[0]
        )
    # three motion frames are five of 50 Hz
    assert all(start % 3 == 0 for start in starts)
    assert 0.05 < np.mean([start == 0 for start in starts]) < 0.4
    assert max(starts) > 60


def test_windows_past_the_end_are_rest_and_silence() -> None:
    sampler = made_sampler(clips=1, seconds=1.0)
    batch = sampler.draw(2, 120, chunks=4)
    assert batch.motion.shape[1] == 120
    assert batch.motion[:, 60:].abs().max() == 0
    assert (batch.phones[:, 60:] == sampler.labels.index(SILENCE)).all()
    assert batch.chunks.isfinite().all()


def test_sound_is_cut_only_where_it_is_asked_for_and_codes_come_with_it() -> None:
    sampler = made_sampler()
    batch = sampler.draw(3, 60)
    assert batch.chunks.numel() == 0
    assert batch.codes.shape == (3, 60, 0)
    sampler.codes = [torch.arange(len(motion))[:, None].repeat(1, 2) for motion in sampler.motion]
    batch = sampler.draw(3, 60, chunks=2)
    assert len(batch.chunks) == 6
    assert batch.codes.shape == (3, 60, 2)
    steps = batch.codes[:, :, 0].diff(dim=1)
    # the last code goes on past the end
    assert set(steps.flatten().tolist()) <= {0, 1}
    assert (batch.codes[:, 0, 0] % 3 == 0).all()


def test_longer_clips_come_more_often() -> None:
    sampler = made_sampler(clips=2)
    sampler.motion[0] = sampler.motion[0][:30]
    lengths = np.array([len(motion) for motion in made_sampler(clips=2).motion])
    np.testing.assert_allclose(sampler.chances, lengths / lengths.sum())
