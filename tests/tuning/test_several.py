"""Several objectives: their front, and samplers that search for it, whatever happens to the driver."""

import itertools
from pathlib import Path

import pytest

from harness.space import Space
from harness.tuning.study.pareto import dominates
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.study.trial_record import TrialRecord, best_trial, pareto_front
from harness.tuning.trial import Trial
from tests.tuning.conftest import measured, run_all, space

ACCURACY_AND_CALIBRATION = "objectives=[{metric: val_accuracy}, {metric: val_calibration_error}]"
NSGA2 = "search.sampler={type: nsga2, population_size: 4}"


def train(ledger: SweepStudy, trial: Trial, seconds: float = 1.0) -> None:
    """As a worker would: the nearer label_lr is to 0.1 the better the accuracy, the smaller the better calibrated."""
    lr = trial.params.get("label_lr", 5.0)
    accuracy = 1 / (1 + abs(lr - 0.1)) + 0.01 * trial.params.get("meta_interval", 0)
    for epoch in range(1, trial.config.epochs + 1):
        ledger.record_seconds(trial.number, epoch * seconds)
        metrics = measured(accuracy * (1 - 0.5**epoch)) | {"val_calibration_error": lr / 10}
        assert not ledger.report(trial.number, epoch, metrics), "no study of several is ever pruned"
    ledger.complete(trial.number)


def train_all(ledger: SweepStudy) -> None:
    while (trial := ledger.next()) is not None:
        train(ledger, trial)


def told(ledger: SweepStudy) -> list[tuple[str, dict[str, object], tuple[float, ...]]]:
    return [(entry.arm, entry.params, entry.values) for entry in ledger.trial_records()]


def points(entries: list[TrialRecord], where: Space) -> list[tuple[float, ...]]:
    return [where.gains(entry.values) for entry in entries]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "nsga2", "grid"])
def test_every_sampler_leaves_a_front(journal: Path, sampler: str) -> None:
    countable = [
        "arms.learned.parameters.label_lr={type: float, low: 0.05, high: 1.0, step: 0.05}",
        "baselines.one_hot.parameters.lr={type: float, low: 0.1, high: 1.0, step: 0.1}",
        f"search.sampler={sampler}",
        *(["search.sampler.startup_trials=5"] if sampler in ("tpe", "gp") else []),
        *(["search.sampler.population_size=4"] if sampler == "nsga2" else []),
    ]
    where = space(ACCURACY_AND_CALIBRATION, "search.trials=14", "epochs=2", *countable)
    ledger = SweepStudy(journal, where)
    train_all(ledger)
    entries = ledger.trial_records()
    members = pareto_front(entries, where)
    assert len(entries) == 14
    assert 0 < len(members) < 14
    on, every = points(members, where), points(entries, where)
    assert not any(dominates(point, member) for member in on for point in every)
    off = [entry for entry in entries if entry not in members]
    assert all(any(dominates(member, point) for member in on) for point in points(off, where))
    assert best_trial(entries, where) == members[0], "the best by the first objective is the first of the front"


def test_values_are_those_of_the_last_epoch_and_what_the_trial_cost(journal: Path) -> None:
    where = space("objectives=[{metric: val_loss}, {metric: epochs}, {metric: busy_seconds}]", "search.trials=1")
    ledger = SweepStudy(journal, where)
    trial = ledger.next()
    assert trial is not None
    train(ledger, trial, seconds=0.5)
    entry = SweepStudy(journal, where).trial_records()[0]
    assert entry.values == (entry.metrics["val_loss"], 9, 4.5)
    assert entry.value == entry.values[0]
    assert sorted(entry.curve) == list(range(1, 10)), "the first objective has its curve, as one alone has"


def test_a_trial_that_breaks_a_constraint_is_on_no_front(journal: Path) -> None:
    kept = "constraints=[label_lr * meta_interval >= 1]"
    where = space(ACCURACY_AND_CALIBRATION, kept, "search.trials=24", "epochs=2")
    ledger = SweepStudy(journal, where)
    train_all(ledger)
    learned = [entry for entry in ledger.trial_records() if entry.arm == "learned"]
    members = pareto_front(learned, where)
    assert members
    assert all(entry.params["label_lr"] * entry.params["meta_interval"] >= 1 for entry in members)


@pytest.mark.parametrize("objectives", [ACCURACY_AND_CALIBRATION, "objective={metric: val_loss}"])
def test_generations_do_not_depend_on_restarts(tmp_path: Path, objectives: str) -> None:
    settings = (objectives, NSGA2, "search.trials=24", "epochs=1")
    straight = SweepStudy(tmp_path / "straight", space(*settings))
    train_all(straight)
    for _ in range(24):
        ledger = SweepStudy(tmp_path / "pieces", space(*settings))
        trial = ledger.next()
        assert trial is not None
        train(ledger, trial)
    assert told(SweepStudy(tmp_path / "pieces", space(*settings))) == told(straight)


def test_every_line_of_a_journal_goes_on_to_the_same_front(tmp_path: Path) -> None:
    """A kill between any two writes, that of a generation's parents and of each value of a child included."""
    small = "search.sampler={type: nsga2, population_size: 3}"
    settings = (ACCURACY_AND_CALIBRATION, small, "search.trials=8", "epochs=1", "baselines={}")
    ledger = SweepStudy(tmp_path / "whole", space(*settings))
    train_all(ledger)
    wanted = told(ledger)
    lines = (tmp_path / "whole").read_bytes().splitlines(keepends=True)
    for cut in range(len(lines)):
        journal = tmp_path / f"cut{cut}"
        journal.write_bytes(b"".join(lines[:cut]))
        after = SweepStudy(journal, space(*settings))
        train_all(after)
        assert told(after) == wanted, f"cut after line {cut}: {lines[cut - 1].decode()}"


def test_generations_learn_from_those_before(journal: Path) -> None:
    """Children of parents near the front: most of their values are those of parents."""
    where = space(ACCURACY_AND_CALIBRATION, NSGA2, "search.trials=40", "epochs=1", "baselines={}")
    ledger = SweepStudy(journal, where)
    train_all(ledger)
    values = [entry.params["label_lr"] for entry in ledger.trial_records()]
    first, rest = values[:4], values[4:]
    assert len(set(first)) == 4
    assert len(set(rest)) < len(rest) * 3 / 4, "handed down"
    tried = [str(entry.params) for entry in ledger.trial_records()]
    assert len(set(tried)) >= 0.9 * len(tried), "a mutation alone may come to what was tried"


def test_points_tried_first_are_of_the_first_generation(journal: Path) -> None:
    tried = "arms.learned.points=[{label_lr: 0.1, meta_interval: 8}]"
    where = space(ACCURACY_AND_CALIBRATION, NSGA2, tried, "search.trials=40", "epochs=1", "baselines={}")
    ledger = SweepStudy(journal, where)
    train_all(ledger)
    later = [entry.params for entry in ledger.trial_records()][4:]
    assert any(params["label_lr"] == 0.1 or params["meta_interval"] == 8 for params in later)


def test_nothing_new_on_the_front_for_n_trials_ends_an_arm(journal: Path) -> None:
    rule = "search.stop_when={no_gain_trials: 3}"
    where = space(ACCURACY_AND_CALIBRATION, rule, "search.trials=40", "epochs=1", "search.sampler=random")
    ledger = SweepStudy(journal, where)
    course = itertools.cycle([(0.5, 0.2), (0.4, 0.1)])
    while (trial := ledger.next()) is not None:
        accuracy, error = next(course) if trial.arm == "learned" else (0.5, 0.5)
        ledger.report(trial.number, 1, measured(accuracy) | {"val_calibration_error": error})
        ledger.complete(trial.number)
    # learned: two new to the front, then three that are equal to these; one_hot: one, then three.
    arms = [entry.arm for entry in ledger.trial_records()]
    assert (arms.count("learned"), arms.count("one_hot")) == (5, 4)


def test_an_epoch_budget_holds_for_several(journal: Path) -> None:
    ledger = SweepStudy(journal, space(ACCURACY_AND_CALIBRATION, "search.epoch_budget=36"))
    train_all(ledger)
    assert [entry.arm for entry in ledger.trial_records()] == ["learned", "one_hot"] * 2


def test_one_objective_is_a_front_of_its_best(journal: Path) -> None:
    ledger = SweepStudy(journal, space())
    run_all(ledger)
    assert pareto_front(ledger.trial_records(), ledger.space)[0] == best_trial(ledger.trial_records(), ledger.space)
