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


def train(study: SweepStudy, trial: Trial, seconds: float = 1.0) -> None:
    """As a worker would: the nearer label_lr is to 0.1 the better the accuracy, the smaller the better calibrated."""
    lr = trial.params.get("label_lr", 5.0)
    accuracy = 1 / (1 + abs(lr - 0.1)) + 0.01 * trial.params.get("meta_interval", 0)
    for epoch in range(1, trial.config.epochs + 1):
        study.record_seconds(trial.number, epoch * seconds)
        metrics = measured(accuracy * (1 - 0.5**epoch)) | {"val_calibration_error": lr / 10}
        assert not study.report(trial.number, epoch, metrics), "no study of several is ever pruned"
    study.complete(trial.number)


def train_all(study: SweepStudy) -> None:
    while (trial := study.next()) is not None:
        train(study, trial)


def told(study: SweepStudy) -> list[tuple[str, dict[str, object], tuple[float, ...]]]:
    return [(record.arm, record.params, record.values) for record in study.trial_records()]


def points(records: list[TrialRecord], where: Space) -> list[tuple[float, ...]]:
    return [where.gains(record.values) for record in records]


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
    study = SweepStudy(journal, where)
    train_all(study)
    records = study.trial_records()
    members = pareto_front(records, where)
    assert len(records) == 14
    assert 0 < len(members) < 14
    on, every = points(members, where), points(records, where)
    assert not any(dominates(point, member) for member in on for point in every)
    off = [record for record in records if record not in members]
    assert all(any(dominates(member, point) for member in on) for point in points(off, where))
    assert best_trial(records, where) == members[0], "the best by the first objective is the first of the front"


def test_values_are_those_of_the_last_epoch_and_what_the_trial_cost(journal: Path) -> None:
    where = space("objectives=[{metric: val_loss}, {metric: epochs}, {metric: busy_seconds}]", "search.trials=1")
    study = SweepStudy(journal, where)
    trial = study.next()
    assert trial is not None
    train(study, trial, seconds=0.5)
    record = SweepStudy(journal, where).trial_records()[0]
    assert record.values == (record.metrics["val_loss"], 9, 4.5)
    assert record.value == record.values[0]
    assert sorted(record.curve) == list(range(1, 10)), "the first objective has its curve, as one alone has"


def test_a_trial_that_breaks_a_constraint_is_on_no_front(journal: Path) -> None:
    kept = "constraints=[label_lr * meta_interval >= 1]"
    where = space(ACCURACY_AND_CALIBRATION, kept, "search.trials=24", "epochs=2")
    study = SweepStudy(journal, where)
    train_all(study)
    learned = [record for record in study.trial_records() if record.arm == "learned"]
    members = pareto_front(learned, where)
    assert members
    assert all(record.params["label_lr"] * record.params["meta_interval"] >= 1 for record in members)


@pytest.mark.parametrize("objectives", [ACCURACY_AND_CALIBRATION, "objective={metric: val_loss}"])
def test_generations_do_not_depend_on_restarts(tmp_path: Path, objectives: str) -> None:
    settings = (objectives, NSGA2, "search.trials=24", "epochs=1")
    straight = SweepStudy(tmp_path / "straight", space(*settings))
    train_all(straight)
    for _ in range(24):
        study = SweepStudy(tmp_path / "pieces", space(*settings))
        trial = study.next()
        assert trial is not None
        train(study, trial)
    assert told(SweepStudy(tmp_path / "pieces", space(*settings))) == told(straight)


def test_every_line_of_a_journal_goes_on_to_the_same_front(tmp_path: Path) -> None:
    """A kill between any two writes, that of a generation's parents and of each value of a child included."""
    small = "search.sampler={type: nsga2, population_size: 3}"
    settings = (ACCURACY_AND_CALIBRATION, small, "search.trials=8", "epochs=1", "baselines={}")
    study = SweepStudy(tmp_path / "whole", space(*settings))
    train_all(study)
    wanted = told(study)
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
    study = SweepStudy(journal, where)
    train_all(study)
    values = [record.params["label_lr"] for record in study.trial_records()]
    first, rest = values[:4], values[4:]
    assert len(set(first)) == 4
    assert len(set(rest)) < len(rest) * 3 / 4, "handed down"
    tried = [str(record.params) for record in study.trial_records()]
    assert len(set(tried)) >= 0.9 * len(tried), "a mutation alone may come to what was tried"


def test_points_tried_first_are_of_the_first_generation(journal: Path) -> None:
    tried = "arms.learned.points=[{label_lr: 0.1, meta_interval: 8}]"
    where = space(ACCURACY_AND_CALIBRATION, NSGA2, tried, "search.trials=40", "epochs=1", "baselines={}")
    study = SweepStudy(journal, where)
    train_all(study)
    later = [record.params for record in study.trial_records()][4:]
    assert any(params["label_lr"] == 0.1 or params["meta_interval"] == 8 for params in later)


def test_nothing_new_on_the_front_for_n_trials_ends_an_arm(journal: Path) -> None:
    rule = "search.stop_when={no_gain_trials: 3}"
    where = space(ACCURACY_AND_CALIBRATION, rule, "search.trials=40", "epochs=1", "search.sampler=random")
    study = SweepStudy(journal, where)
    course = itertools.cycle([(0.5, 0.2), (0.4, 0.1)])
    while (trial := study.next()) is not None:
        accuracy, error = next(course) if trial.arm == "learned" else (0.5, 0.5)
        study.report(trial.number, 1, measured(accuracy) | {"val_calibration_error": error})
        study.complete(trial.number)
    # learned: two new to the front, then three that are equal to these; one_hot: one, then three.
    arms = [record.arm for record in study.trial_records()]
    assert (arms.count("learned"), arms.count("one_hot")) == (5, 4)


def test_an_epoch_budget_holds_for_several(journal: Path) -> None:
    study = SweepStudy(journal, space(ACCURACY_AND_CALIBRATION, "search.epoch_budget=36"))
    train_all(study)
    assert [record.arm for record in study.trial_records()] == ["learned", "one_hot"] * 2


def test_one_objective_is_a_front_of_its_best(journal: Path) -> None:
    study = SweepStudy(journal, space())
    run_all(study)
    assert pareto_front(study.trial_records(), study.space)[0] == best_trial(study.trial_records(), study.space)
