"""Several objectives: their Pareto front, and samplers that search for it, whatever happens to the driver."""

import itertools
from pathlib import Path

import pytest

from harness.tuning.study.pareto import dominates
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.study.trial_record import best_trial, pareto_front
from harness.tuning.trial import Trial
from tests.tuning.conftest import measured, next_trial, space

ACCURACY_AND_CALIBRATION = "objectives=[{metric: val_accuracy}, {metric: val_calibration_error}]"
NSGA2 = "search.sampler={type: nsga2, population_size: 4}"


def train(study: SweepStudy, trial: Trial, seconds: float = 1.0) -> None:
    """As a worker would: the nearer label_lr is to 0.1 the better the accuracy, the smaller the better calibrated."""
    lr = trial.params.get("label_lr", 5.0)
    accuracy = 1 / (1 + abs(lr - 0.1)) + 0.01 * trial.params.get("meta_interval", 0)
    for epoch in range(1, trial.config.epochs + 1):
        study.record_seconds(trial.number, epoch * seconds)
        metrics = measured(accuracy * (1 - 0.5**epoch)) | {"val_calibration_error": lr / 10}
        assert not study.report(trial.number, epoch, metrics), "nothing is pruned by several objectives"
    study.complete(trial.number)


def trained(journal: Path, *overrides: str) -> SweepStudy:
    study = SweepStudy(journal, space(*overrides))
    while (trial := study.next()) is not None:
        train(study, trial)
    return study


def outcomes(study: SweepStudy) -> list[tuple[str, dict[str, object], tuple[float, ...]]]:
    return [(record.arm, record.params, record.values) for record in study.trial_records()]


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "nsga2", "grid"])
def test_every_sampler_leaves_a_front(journal: Path, sampler: str) -> None:
    finite = [
        "arms.learned.parameters.label_lr={type: float, low: 0.05, high: 1.0, step: 0.05}",
        "baselines.one_hot.parameters.lr={type: float, low: 0.1, high: 1.0, step: 0.1}",
        f"search.sampler={sampler}",
        *(["search.sampler.startup_trials=5"] if sampler in ("tpe", "gp") else []),
        *(["search.sampler.population_size=4"] if sampler == "nsga2" else []),
    ]
    study = trained(journal, ACCURACY_AND_CALIBRATION, "search.trials=14", "epochs=2", *finite)
    records = study.trial_records()
    front = pareto_front(records, study.space)
    assert len(records) == 14
    assert 0 < len(front) < 14
    gains = {record.number: study.space.utilities(record.values) for record in records}
    for record in records:
        dominated = any(dominates(gains[member.number], gains[record.number]) for member in front)
        assert dominated == (record not in front)
    assert best_trial(records, study.space) == front[0], "the best by the first objective is the first of the front"


def test_values_are_those_of_the_last_epoch_and_what_the_trial_cost(journal: Path) -> None:
    settings = space("objectives=[{metric: val_loss}, {metric: epochs}, {metric: busy_seconds}]", "search.trials=1")
    study = SweepStudy(journal, settings)
    train(study, next_trial(study), seconds=0.5)
    (record,) = SweepStudy(journal, settings).trial_records()
    assert record.values == (record.metrics["val_loss"], 9, 4.5)
    assert record.value == record.values[0]
    assert sorted(record.curve) == list(range(1, 10)), "the first objective has a curve"


def test_a_trial_that_violates_a_constraint_is_on_no_front(journal: Path) -> None:
    constraint = "constraints=[label_lr * meta_interval >= 1]"
    study = trained(journal, ACCURACY_AND_CALIBRATION, constraint, "search.trials=24", "epochs=2")
    front = pareto_front([record for record in study.trial_records() if record.arm == "learned"], study.space)
    assert front
    assert all(record.params["label_lr"] * record.params["meta_interval"] >= 1 for record in front)


@pytest.mark.parametrize("objectives", [ACCURACY_AND_CALIBRATION, "objective={metric: val_loss}"])
def test_generations_do_not_depend_on_restarts(tmp_path: Path, objectives: str) -> None:
    settings = (objectives, NSGA2, "search.trials=24", "epochs=1")
    for _ in range(24):
        study = SweepStudy(tmp_path / "pieces", space(*settings))
        train(study, next_trial(study))
    assert outcomes(study) == outcomes(trained(tmp_path / "straight", *settings))


def test_generations_learn_from_those_before(journal: Path) -> None:
    """Children of parents near the front: most of their values are those of parents."""
    study = trained(journal, ACCURACY_AND_CALIBRATION, NSGA2, "search.trials=40", "epochs=1", "baselines={}")
    params = [record.params for record in study.trial_records()]
    values = [values_of_trial["label_lr"] for values_of_trial in params]
    assert len(set(values[:4])) == 4
    assert len(set(values[4:])) < len(values[4:]) * 3 / 4, "inherited"
    assert len(set(map(str, params))) >= 0.9 * len(params), "a mutation alone may repeat a configuration"


def test_points_belong_to_the_first_generation(journal: Path) -> None:
    points = "arms.learned.points=[{label_lr: 0.1, meta_interval: 8}]"
    study = trained(journal, ACCURACY_AND_CALIBRATION, NSGA2, points, "search.trials=40", "epochs=1", "baselines={}")
    later = [record.params for record in study.trial_records()][4:]
    assert any(params["label_lr"] == 0.1 or params["meta_interval"] == 8 for params in later)


def test_nothing_new_on_the_front_for_n_trials_ends_an_arm(journal: Path) -> None:
    rule = "search.stop_when={no_gain_trials: 3}"
    overrides = (ACCURACY_AND_CALIBRATION, rule, "search.trials=40", "epochs=1", "search.sampler=random")
    study = SweepStudy(journal, space(*overrides))
    points = itertools.cycle([(0.5, 0.2), (0.4, 0.1)])
    while (trial := study.next()) is not None:
        accuracy, error = next(points) if trial.arm == "learned" else (0.5, 0.5)
        study.report(trial.number, 1, measured(accuracy) | {"val_calibration_error": error})
        study.complete(trial.number)
    # learned: two that are new on the front, then three equal to these; one_hot: one, then three.
    arms = [record.arm for record in study.trial_records()]
    assert (arms.count("learned"), arms.count("one_hot")) == (5, 4)


def test_an_epoch_budget_applies_to_several_objectives(journal: Path) -> None:
    study = trained(journal, ACCURACY_AND_CALIBRATION, "search.epoch_budget=36")
    assert [record.arm for record in study.trial_records()] == ["learned", "one_hot"] * 2


def test_the_front_of_one_objective_begins_with_its_best_trial(journal: Path) -> None:
    study = trained(journal)
    assert pareto_front(study.trial_records(), study.space)[0] == best_trial(study.trial_records(), study.space)
