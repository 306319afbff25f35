"""Noise is exact, of its kind, and a function of its seed."""

import pytest
import torch

from harness.training.noise import symmetric
from harness.training.random import generator

TARGETS = torch.randint(0, 7, (501,), generator=torch.Generator().manual_seed(5))


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.333, 0.4, 0.9])
def test_symmetric_noise_makes_exactly_its_share_wrong(rate: float) -> None:
    noisy = symmetric(TARGETS, 7, rate, generator(0, "noise"))
    assert int((noisy != TARGETS).sum()) == round(rate * 501)
    assert set(noisy.tolist()) <= set(range(7))


def test_symmetric_noise_spreads_evenly_over_the_other_classes() -> None:
    zeros = torch.zeros(30_000, dtype=torch.int64)
    counts = torch.bincount(symmetric(zeros, 4, 0.6, generator(1, "noise")), minlength=4)
    assert int(counts[0]) == 12_000
    # Each of three classes is expected 6,000 times with a deviation of √(18000·⅓·⅔) = 63; five of them.
    assert (counts[1:] - 6000).abs().max() < 316


def test_noise_is_a_function_of_its_seed() -> None:
    first, again, other = (symmetric(TARGETS, 7, 0.4, generator(seed, "noise")) for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_noise_leaves_the_true_classes_as_they_are() -> None:
    before = TARGETS.clone()
    symmetric(TARGETS, 7, 0.4, generator(0, "noise"))
    assert torch.equal(TARGETS, before)
