"""Augmented spectra: each change does what its setting says, is seeded, and leaves silence silent."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import Tensor

from codetalker_blender.engine.log_mel import from_power
from training.mel_augment import MelAugment, MelAugmenter

#: Everything off, to switch on one change at a time.
NOTHING = MelAugment(
    gain_db=(0.0, 0.0), throat=0.0, colour_db=0.0, dull=0.0, room=0.0, noise=0.0, babble=0.0, mask=0.0
)


def power(windows: int = 4, frames: int = 80, bins: int = 64, seed: int = 0) -> Tensor:
    """Power spectra of something that starts and stops."""
    random = torch.Generator().manual_seed(seed)
    level = torch.rand(windows, frames, 1, generator=random).gt(0.4).float()
    return level * torch.empty(windows, frames, bins).exponential_(generator=random) + 1e-4


def only(seed: int = 0, **settings: object) -> MelAugmenter:
    return MelAugmenter(dataclasses.replace(NOTHING, **settings), seed)  # type: ignore[arg-type]


def decibels(ratio: Tensor) -> Tensor:
    return 10 * ratio.log10()


def test_with_everything_off_nothing_changes() -> None:
    augmenter = only()
    torch.testing.assert_close(augmenter(power()), power())
    spectra = from_power(power())
    assert torch.equal(augmenter.hide(spectra), spectra)


def test_a_change_of_level_moves_all_of_a_window_by_one_amount_in_its_range() -> None:
    changes = decibels(only(gain_db=(-18.0, 8.0))(power(64)) / power(64))
    assert changes.flatten(1).std(dim=1).max() < 1e-4
    each = changes[:, 0, 0]
    assert -18.0 <= float(each.min()) < -14.0
    assert 4.0 < float(each.max()) <= 8.0
    # 10 dB is log(10) in what the network sees, over its spread of 4
    shift = from_power(only(gain_db=(10.0, 10.0))(power() + 1.0)) - from_power(power() + 1.0)
    torch.testing.assert_close(shift, torch.full_like(shift, 2.302585 / 4), rtol=1e-4, atol=0)


@pytest.mark.parametrize("span", [(3.0, 40.0), (20.0, 20.0)])
def test_noise_lies_as_far_below_the_window_as_the_range_says(span: tuple[float, float]) -> None:
    clean = power(64) * torch.logspace(-3, 3, 64)[:, None, None]
    added = only(noise=1.0, snr_db=span)(clean) - clean
    assert added.min() >= -1e-3 * clean.max(dim=2).values.max()
    ratio = decibels(clean.mean(dim=(1, 2)) / added.mean(dim=(1, 2)))
    assert float(ratio.min()) >= span[0] - 0.1
    assert float(ratio.max()) <= span[1] + 0.1
    assert float(ratio.max() - ratio.min()) >= 0.8 * (span[1] - span[0])


def test_noise_is_steady_and_comes_as_often_as_its_chance() -> None:
    clean = torch.zeros(400, 40, 16)
    clean[:, :20] = 1.0
    added = only(noise=0.6, snr_db=(10.0, 10.0))(clean) - clean
    noisy = added.mean(dim=(1, 2)) > 1e-4
    assert 0.5 < float(noisy.float().mean()) < 0.7
    loud, quiet = added[noisy, :20].mean(), added[noisy, 20:].mean()
    assert float(loud / quiet) == pytest.approx(1.0, abs=0.05)


def test_babble_is_another_window_of_the_batch() -> None:
    """One window holds a low band, the other a high one; each gets the other's behind it."""
    clean = torch.full((2, 50, 20), 1e-6)
    clean[0, :, 3], clean[1, :, 15] = 1.0, 100.0
    mixed = only(babble=1.0, babble_db=(10.0, 10.0))(clean)
    assert float(decibels(mixed[0, :, 3] / mixed[0, :, 15]).mean()) == pytest.approx(10.0, abs=0.1)
    assert float(decibels(mixed[1, :, 15] / mixed[1, :, 3]).mean()) == pytest.approx(10.0, abs=0.1)


def test_another_throat_moves_all_peaks_of_a_window_by_one_factor() -> None:
    place = torch.arange(64.0)
    peaks = sum(torch.exp(-0.5 * ((place - centre) / 1.5) ** 2) for centre in (18.0, 45.0))
    assert isinstance(peaks, Tensor)
    moved = only(throat=0.14)(peaks.expand(100, 10, 64))

    def centre(part: Tensor, first: int) -> Tensor:
        own = part * (part > 0.05)
        return (own * torch.arange(first, first + part.shape[1])).sum(1) / own.sum(1)

    low, high = centre(moved[:, 0, :30], 0), centre(moved[:, 0, 30:], 30)
    torch.testing.assert_close(high / low, torch.full((100,), 45.0 / 18.0), rtol=0.02, atol=0)
    factors = 18.0 / low
    assert 0.85 < float(factors.min()) < 0.89
    assert 1.11 < float(factors.max()) < 1.15


def test_the_microphones_colour_is_smooth_and_stays_the_whole_window() -> None:
    change = decibels(only(colour_db=4.0)(power(200)) / power(200))
    assert change.std(dim=1).max() < 1e-3
    curve = change[:, 0]
    assert curve.diff(dim=1).abs().max() < 2.5
    # four cosines of spread 4, 4/2, 4/3, 4/4 dB: together 4 * sqrt(1 + 1/4 + 1/9 + 1/16) at the edge
    assert float(curve[:, 0].std()) == pytest.approx(4.77, rel=0.2)


def test_a_dull_window_keeps_its_low_bands_and_loses_its_highest() -> None:
    change = decibels(only(dull=1.0)(power(100)) / power(100))[:, 0]
    assert change[:, : int(0.6 * 64)].abs().max() < 1e-3
    assert (change[:, -1] < -40.0).float().mean() > 0.5
    assert (change.diff(dim=1) <= 1e-3).all()


def test_echoes_come_later_and_fade() -> None:
    click = torch.zeros(50, 100, 8)
    click[:, 30] = 1.0
    late = only(room=1.0)(click)
    torch.testing.assert_close(late[:, :31], click[:, :31])
    echo = late[:, 31:71]
    assert (echo > 0).all()
    assert (echo.diff(dim=1) < 0).all()
    amount = decibels(echo.sum(dim=1))
    assert -16.1 <= float(amount.min()) <= float(amount.max()) <= -3.9
    # a reverberation time of 0.2 to 0.6 s: 1 to 3 dB in 10 ms
    fade = decibels(echo[:, :-1] / echo[:, 1:])
    assert 0.99 <= float(fade.min()) <= float(fade.max()) <= 3.01
    assert late[:, 71:].abs().max() < 1e-6


def test_no_window_hears_another_but_as_babble() -> None:
    """Echoes and colours are per window."""
    one = torch.zeros(3, 60, 16)
    one[1] = 1.0
    changed = only(room=1.0, colour_db=4.0, dull=0.5, throat=0.1, noise=1.0)(one)
    assert changed[1].min() > 0
    assert changed[[0, 2]].abs().max() == 0


@pytest.mark.parametrize("seed", range(5))
def test_digital_silence_stays_silent(seed: int) -> None:
    augmenter = MelAugmenter(dataclasses.replace(MelAugment(), noise=1.0, babble=1.0, room=1.0), seed)
    silent = torch.zeros(3, 60, 64)
    assert augmenter(silent).abs().max() == 0
    beside = torch.cat((silent, power(3, 60)))
    augmented = augmenter.hide(from_power(augmenter(beside)))
    assert augmented.isfinite().all()
    # the window behind a silent one has no voice behind it, and silence no noise
    torch.testing.assert_close(augmented[:2], from_power(silent[:2]))


def test_quiet_windows_stay_as_quiet_as_the_level_says() -> None:
    """Everything at once may not make a window much louder than the level's upper end."""
    quiet = 1e-5 * power(200)
    change = decibels(MelAugmenter(MelAugment(), 0)(quiet).mean(dim=(1, 2)) / quiet.mean(dim=(1, 2)))
    assert change.isfinite().all()
    assert float(change.median()) < 8.0
    assert float(change.median()) > -18.0


def test_hiding_leaves_most_alone() -> None:
    spectra = from_power(power(300, 120))
    hidden = only(mask=0.5).hide(spectra)
    changed = hidden != spectra
    per_window = changed.float().mean(dim=(1, 2))
    assert 0.4 < float((per_window > 0).float().mean()) < 0.6
    # two spans of up to 12 moments and one of up to 10 bands
    assert float(per_window.max()) < 24 / 120 + 10 / 64
    mean = spectra.mean(dim=(1, 2), keepdim=True).expand_as(spectra)
    torch.testing.assert_close(hidden[changed], mean[changed])
    # whole bands and whole moments: what is left is a grid
    window = changed[per_window.argmax()]
    moments, bands = window.all(dim=1), window.all(dim=0)
    assert torch.equal(window, moments[:, None] | bands[None])


def test_the_seed_decides_and_a_state_goes_on() -> None:
    first, same, other = (MelAugmenter(MelAugment(), seed) for seed in (1, 1, 2))
    drawn = first(power())
    assert torch.equal(drawn, same(power()))
    assert not torch.equal(drawn, other(power()))
    assert not torch.equal(drawn, first(power()))
    other.generator.set_state(first.generator.get_state())
    assert torch.equal(first.hide(first(power())), other.hide(other(power())))
