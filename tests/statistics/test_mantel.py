"""Mantel's test on tables whose agreement is known: built so, renamed so, or none."""

import itertools
import math

import numpy as np
import pytest
from scipy.stats import spearmanr

from harness.statistics import mantel_test

DRAWS = 200


def scattered(generator: np.random.Generator, classes: int) -> np.ndarray:
    """Nearness of points in a plane: a table whose entries hang together, as likenesses do."""
    points = generator.normal(size=(classes, 2))
    near: np.ndarray = -np.linalg.norm(points[:, None] - points[None], axis=2)
    return near


def noisy(table: np.ndarray, generator: np.random.Generator, spread: float, *, symmetric: bool) -> np.ndarray:
    noise = spread * generator.normal(size=table.shape)
    return table + ((noise + noise.T) / math.sqrt(2) if symmetric else noise)


@pytest.mark.parametrize("symmetric", [True, False])
def test_the_correlation_is_spearman_s_over_the_pairs(symmetric: bool) -> None:
    generator = np.random.default_rng(0)
    table = scattered(generator, 7)
    a, b = (noisy(table, generator, 0.4, symmetric=symmetric) for _ in range(2))
    chosen = np.triu_indices(7, 1) if symmetric else np.nonzero(~np.eye(7, dtype=bool))
    result = mantel_test(a, b, 0, symmetric=symmetric)
    assert result.rho == pytest.approx(spearmanr(a[chosen], b[chosen]).statistic)
    assert result.pairs == len(chosen[0])
    assert result.low < result.rho < result.high


def test_ranks_alone_count_and_diagonals_do_not() -> None:
    generator = np.random.default_rng(1)
    a, b = scattered(generator, 6), scattered(generator, 6)
    result = mantel_test(a, b, 0)
    assert mantel_test(np.exp(a) + 5 * np.eye(6), b - 3 * np.eye(6), 0) == result
    assert mantel_test(a, -b, 0).rho == pytest.approx(-result.rho)


def test_with_few_classes_every_renaming_is_tried() -> None:
    generator = np.random.default_rng(2)
    table = scattered(generator, 5)
    a, b = (noisy(table, generator, 1.0, symmetric=False) for _ in range(2))
    off = ~np.eye(5, dtype=bool)
    result = mantel_test(a, b, 0)
    renamed = [b[np.ix_(order, order)] for order in itertools.permutations(range(5))]
    as_far = [spearmanr(a[off], other[off]).statistic >= result.rho - 1e-9 for other in renamed]
    assert result.p_value == pytest.approx(np.mean(as_far))
    assert result == mantel_test(a, b, 99), "nothing is drawn"


def test_classes_are_renamed_together_so_chance_agreement_is_called_as_often_as_it_says() -> None:
    """Of entries renamed one by one, the same tables would be called alike far more often than one in twenty."""
    generator = np.random.default_rng(3)
    called = naive = 0
    for seed in range(DRAWS):
        a, b = scattered(generator, 9), scattered(generator, 9)
        called += mantel_test(a, b, seed, symmetric=True, permutations=199).p_value <= 0.05
        rows, columns = np.triu_indices(9, 1)
        naive += spearmanr(a[rows, columns], b[rows, columns], alternative="greater").pvalue <= 0.05
    assert called / DRAWS == pytest.approx(0.05, abs=0.047)  # three standard errors
    assert naive / DRAWS > 0.1


def test_the_interval_holds_a_correlation_that_is_known_at_least_as_often_as_it_says() -> None:
    """The truth is that of a table so large that it hardly varies."""
    generator = np.random.default_rng(4)
    table = scattered(generator, 500)
    rows, columns = np.triu_indices(500, 1)
    large = [noisy(table, generator, 0.5, symmetric=True)[rows, columns] for _ in range(2)]
    truth = spearmanr(*large).statistic
    held = 0
    for seed in range(DRAWS):
        table = scattered(generator, 10)
        a, b = (noisy(table, generator, 0.5, symmetric=True) for _ in range(2))
        result = mantel_test(a, b, seed, symmetric=True, permutations=1)
        held += result.low <= truth <= result.high
    assert held / DRAWS >= 0.95


def test_a_flat_table_orders_nothing() -> None:
    flat = np.full((5, 5), 0.02) + 0.9 * np.eye(5)
    result = mantel_test(flat, scattered(np.random.default_rng(6), 5), 0)
    assert math.isnan(result.rho)
    assert math.isnan(result.p_value)


@pytest.mark.parametrize(
    ("a", "b"),
    [((4, 5), (4, 5)), ((4, 4), (5, 5)), ((2, 2), (2, 2)), ((9,), (9,))],
    ids=["oblong", "two", "small", "flat"],
)
def test_other_shapes_are_refused(a: tuple[int, ...], b: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"expected two tables \[C, C\] with C at least 3, got"):
        mantel_test(np.zeros(a), np.zeros(b), 0)
