"""The losses that no paper defines: what they punish, and that they can be learnt from."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from training.losses import code_cross_entropy, gap_error, perplexity, weighted_motion, weighted_velocity


def one_gap(millimetres: float) -> Tensor:
    """(1, 1, 1): motion that opens the one gap of ``error`` so far."""
    return torch.tensor([[[millimetres]]])


def error(predicted: float, target: float) -> float:
    """Of a single gap that a single coefficient opens along z, closed at rest."""
    rest, rows = torch.zeros(1, 3), torch.tensor([[[0.0, 0.0, 1.0]]])
    return float(gap_error(one_gap(predicted), one_gap(target), rest, rows))


def test_equal_motion_has_no_gap_error() -> None:
    random = torch.Generator().manual_seed(0)
    rest, rows = torch.randn(4, 3, generator=random), torch.randn(6, 4, 3, generator=random)
    motion = torch.randn(2, 9, 6, generator=random)
    assert float(gap_error(motion, motion.clone(), rest, rows)) == 0.0
    assert float(gap_error(motion, motion + 0.1, rest, rows)) > 0.0


def test_a_parted_contact_weighs_more_than_a_wider_opening() -> None:
    assert error(0.0, 2.0) > 3 * error(10.0, 12.0)
    assert error(0.0, 2.0) > error(0.0, 1.0) > error(1.0, 2.0) > error(2.0, 3.0)
    # log(1 mm + 0) against log(1 mm + 2 mm)
    assert error(0.0, 2.0) == pytest.approx(1.0986, abs=2e-3)
    assert error(0.0, 2.0) == pytest.approx(error(2.0, 0.0))


def test_the_gap_is_a_distance_in_space_from_where_it_is_at_rest() -> None:
    rest = torch.tensor([[0.0, 0.0, 1.0], [3.0, 0.0, 0.0]])
    rows = torch.tensor([[[0.0, 0.0, -1.0], [0.0, 4.0, 0.0]]])
    found = gap_error(torch.tensor([[1.0]]), torch.tensor([[0.0]]), rest, rows)
    # the first pair closes from 1 mm, the second widens from 3 to 5 mm
    wanted = (torch.tensor(2.0).log() + torch.tensor(6.0 / 4.0).log()) / 2
    assert float(found) == pytest.approx(float(wanted), abs=2e-3)


@pytest.mark.parametrize("target", [0.0, 2.0])
def test_the_gradient_is_finite_where_lips_touch(target: float) -> None:
    rest, rows = torch.zeros(1, 3), torch.tensor([[[0.0, 0.0, 1.0]]])
    motion = one_gap(0.0).requires_grad_()
    gap_error(motion, one_gap(target), rest, rows).backward()
    assert motion.grad is not None
    assert motion.grad.isfinite().all()


def test_learning_by_the_gap_error_closes_and_opens() -> None:
    rest, rows = torch.tensor([[0.0, 0.0, 0.2]]), torch.tensor([[[0.0, 0.0, 1.0]]])
    target = torch.tensor([[[0.0]], [[4.0]]])
    motion = torch.tensor([[[3.0]], [[0.5]]], requires_grad=True)
    optimiser = torch.optim.Adam([motion], lr=0.05)
    for _ in range(200):
        optimiser.zero_grad()
        gap_error(motion, target, rest, rows).backward()
        optimiser.step()
    gaps = (rest + motion.detach() * rows[0]).norm(dim=-1).flatten()
    torch.testing.assert_close(gaps, torch.tensor([0.2, 4.2]), rtol=0, atol=0.2)


def test_of_open_and_closed_the_likelier_is_better_than_the_mean() -> None:
    """Closed in two of three frames: staying shut costs less than hanging half open."""

    def cost(guess: float) -> float:
        return 2 * error(guess, 0.0) + error(guess, 6.0)

    assert cost(0.0) < cost(2.0)
    assert cost(0.0) < cost(1.0)


def test_speed_ignores_where_motion_is_and_sees_that_it_moves() -> None:
    metric = torch.eye(3)[None]
    target = torch.randn(2, 8, 3, generator=torch.Generator().manual_seed(0))
    floor = float(weighted_velocity(target, target, metric))
    assert float(weighted_velocity(target + 0.5, target, metric)) == pytest.approx(floor, abs=1e-4)
    assert float(weighted_motion(target + 0.5, target, metric)) == pytest.approx(0.5, abs=1e-4)
    shaking = target.clone()
    shaking[:, ::2] += 0.5
    assert float(weighted_velocity(shaking, target, metric)) == pytest.approx(0.5, abs=1e-4)


def test_classes_are_right_or_wrong_per_component() -> None:
    codes = torch.tensor([[[0, 3], [1, 2]]])
    sure = 30.0 * torch.nn.functional.one_hot(codes, 4).float()
    assert float(code_cross_entropy(sure, codes)) == pytest.approx(0.0, abs=1e-5)
    blank = torch.zeros(1, 2, 2, 4)
    assert float(code_cross_entropy(blank, codes)) == pytest.approx(1.3863, abs=1e-4)
    one_wrong = float(code_cross_entropy(sure, torch.tensor([[[0, 3], [1, 1]]])))
    assert one_wrong == pytest.approx(30.0 / 4, abs=1e-3)


def test_perplexity_counts_the_codes_in_use() -> None:
    assert float(perplexity(torch.zeros(5, 2, dtype=torch.int64), 8)) == pytest.approx(1.0, abs=1e-4)
    assert float(perplexity(torch.arange(8).repeat(3, 1), 8)) == pytest.approx(8.0, abs=1e-3)
    assert float(perplexity(torch.arange(4), 8)) == pytest.approx(4.0, abs=1e-3)
