"""The study of a sweep: no trial is lost and none runs twice, whatever happens to the driver."""

from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from harness.tracking.spool.events import EpochMetrics, TrialEnded, TrialStarted
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.study.trial_record import TrialRecord, best_trial
from harness.tuning.trial import Trial
from tests.tuning.conftest import Recorder, measured, next_trial, rising, run_all, run_to_end, searched, space

RANDOM = "search.sampler=random"


def records_of(study: SweepStudy, arm: str = "learned") -> list[TrialRecord]:
    return [record for record in study.trial_records() if record.arm == arm]


def best_of(study: SweepStudy, arm: str = "learned") -> TrialRecord:
    best = best_trial(records_of(study, arm), study.space)
    assert best is not None
    return best


# Budget and restarts


def test_the_budget_is_shared_evenly_and_in_turn(journal: Path) -> None:
    trials = run_all(SweepStudy(journal, space()))
    assert [trial.arm for trial in trials] == ["learned", "one_hot"] * 4
    assert [trial.number for trial in trials] == list(range(8))


def test_a_larger_budget_continues_and_a_smaller_one_removes_nothing(journal: Path) -> None:
    searched(journal)
    longer = SweepStudy(journal, space("search.trials=11"))
    assert longer.missing == 3
    assert [trial.number for trial in run_all(longer)] == [8, 9, 10]
    shorter = SweepStudy(journal, space("search.trials=4"))
    assert shorter.missing == 0
    assert shorter.next() is None
    assert len(shorter.trial_records()) == 11


def test_suggestions_depend_on_the_seed_and_not_on_restarts(tmp_path: Path) -> None:
    straight = run_all(SweepStudy(tmp_path / "straight", space()))
    pieces = [run_all(SweepStudy(tmp_path / "pieces", space()), most=1)[0] for _ in range(8)]
    assert [trial.params for trial in pieces] == [trial.params for trial in straight]
    assert len({str(trial.params) for trial in straight}) == 8
    other = run_all(SweepStudy(tmp_path / "other", space("search.seed=6")))
    assert [trial.params for trial in other] != [trial.params for trial in straight]


def test_a_running_trial_is_resumed_under_its_number_before_any_new_one(journal: Path) -> None:
    killed = SweepStudy(journal, space())
    first, second = next_trial(killed), next_trial(killed)
    killed.report(first.number, 1, measured(0.3))
    recorder = Recorder()
    after = SweepStudy(journal, space(), [recorder])
    assert after.missing == 8
    assert after.next() == first
    assert not after.report(first.number, 1, measured(0.3))
    run_to_end(after, first)
    assert after.next() == second
    assert [event.trial for event in recorder.of(TrialStarted)] == [0, 1]
    record = after.trial_records()[0]
    assert record.state == "complete"
    assert sorted(record.curve) == list(range(1, 10))


def test_every_prefix_of_a_journal_continues_to_the_same_trials(tmp_path: Path) -> None:
    """A kill at any byte: the next driver ends with every trial once, and with the same suggestions."""
    small = ["search.trials=4", "epochs=2"]
    wanted = searched(tmp_path / "whole", *small).trial_records()
    whole = (tmp_path / "whole").read_bytes()
    for cut in range(0, len(whole), 97):
        journal = tmp_path / f"cut{cut}"
        journal.write_bytes(whole[:cut])
        assert searched(journal, *small).trial_records() == wanted, f"cut at byte {cut}"


def test_a_failed_trial_is_retried_under_its_number(journal: Path) -> None:
    study = SweepStudy(journal, space("search.trials=4"))
    first = next_trial(study)
    study.report(first.number, 1, measured(0.2))
    study.fail(first.number, "OutOfMemoryError: no")
    run_all(study)
    again = SweepStudy(journal, space("search.trials=4"))
    assert again.missing == 0
    assert again.retry_failed() == [0]
    assert again.missing == 1
    killed = SweepStudy(journal, space("search.trials=4"))
    assert [trial.number for trial in run_all(killed)] == [0]
    records = killed.trial_records()
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert {record.state for record in records} == {"complete"}
    assert records[0].params == first.params
    assert killed.next() is None


# Results


def test_end_states_are_the_same_for_optuna_records_and_listeners(journal: Path) -> None:
    recorder = Recorder()
    study = SweepStudy(journal, space(), [recorder])
    done, pruned, failed = next_trial(study), next_trial(study), next_trial(study)
    run_to_end(study, done, lambda trial, epoch: 0.9 if epoch == 2 else 0.5)
    study.report(pruned.number, 1, measured(0.1))
    study.prune(pruned.number)
    study.fail(failed.number, "diverged: train_loss is nan after epoch 1")
    learned = optuna.load_study(study_name="learned", storage=JournalStorage(JournalFileBackend(str(journal))))
    assert [trial.state.name for trial in learned.get_trials()] == ["COMPLETE", "FAIL"]
    records = study.trial_records()
    assert [record.state for record in records] == ["complete", "pruned", "failed"]
    assert [record.value for record in records] == [0.5, None, None], "that of the last epoch, not the best"
    assert records[2].reason == "diverged: train_loss is nan after epoch 1"
    assert [(end.trial, end.state) for end in recorder.of(TrialEnded)] == [
        (0, "complete"),
        (1, "pruned"),
        (2, "failed"),
    ]


def test_listeners_receive_metrics_before_they_are_written(journal: Path) -> None:
    """If a listener fails, the journal is behind the listeners, never before them."""

    class Full(Exception):
        pass

    def full(event: object) -> None:
        if isinstance(event, EpochMetrics):
            raise Full

    study = SweepStudy(journal, space(), [full])
    trial = next_trial(study)
    with pytest.raises(Full):
        study.report(trial.number, 1, measured(0.5))
    assert SweepStudy(journal, space()).trial_records()[0].curve == {}


def test_a_trial_that_violates_a_constraint_cannot_win(journal: Path) -> None:
    study = searched(journal, "constraints=[label_lr * meta_interval >= 1]", "search.trials=12")
    feasible = [record for record in records_of(study) if record.feasible]
    assert 0 < len(feasible) < 6
    assert all(record.params["label_lr"] * record.params["meta_interval"] >= 1 for record in feasible)
    assert best_of(study).value == max(record.value or 0 for record in feasible)


# Pruners


def test_the_pruner_compares_trials_of_one_arm_alone(journal: Path) -> None:
    halving = "search.pruner={type: successive_halving, min_epochs: 2, reduction_factor: 2}"

    def curve(trial: Trial, epoch: int) -> float:
        return 0.9 if trial.arm == "one_hot" else rising(trial, epoch)

    study = searched(journal, halving, "search.trials=12", RANDOM, curve=curve)
    learned = records_of(study)
    assert {record.state for record in learned} == {"complete", "pruned"}
    assert all(max(record.curve) in (2, 4, 8) for record in learned if record.state == "pruned")
    # Equal values: none of them is worse than another.
    assert {record.state for record in records_of(study, "one_hot")} == {"complete"}


@pytest.mark.parametrize(
    ("epochs", "rungs"),
    [
        ("arms.learned.fixed.epochs=40", {16, 32}),
        ("arms.learned.fixed.epochs=10", {4, 8}),
        ("arms.learned.fixed.epochs=2", {1}),
        ("arms.learned.parameters.epochs={type: int, low: 10, high: 20}", {8, 16}),
        ("arms.learned.parameters.epochs={type: categorical, choices: [20, 10]}", {8, 16}),
    ],
)
def test_the_first_rung_is_at_two_fifths_of_the_longest_run(journal: Path, epochs: str, rungs: set[int]) -> None:
    study = searched(journal, "baselines={}", "search.pruner=successive_halving", "search.trials=16", RANDOM, epochs)
    pruned = {max(record.curve) for record in study.trial_records() if record.state == "pruned"}
    assert min(rungs) in pruned
    assert pruned <= rungs


def test_the_wilcoxon_pruner_stops_what_is_below_the_best_whatever_its_epochs(journal: Path) -> None:
    lengths = "baselines.one_hot.parameters.epochs={type: int, low: 4, high: 9}"
    study = searched(journal, "search.pruner=wilcoxon", lengths, "search.trials=24", RANDOM)
    pruned = [record for record in records_of(study) if record.state == "pruned"]
    best = best_of(study)
    assert 0 < len(pruned) < len(records_of(study))
    assert all(max(record.curve) >= 3 for record in pruned), "the test needs a few epochs"
    assert all(record.curve[epoch] < best.curve[epoch] for record in pruned for epoch in record.curve)


# Stopping rules


@pytest.mark.parametrize(
    ("overrides", "curve", "trials"),
    [
        (["search.epoch_budget=36"], rising, {4}),
        (["search.epoch_budget=36", "search.seeds_per_trial=2"], rising, {2}),
        (["search.trials=40", "search.stop_when={no_gain_trials: 3}"], lambda trial, epoch: 0.5, {8}),
        (["search.trials=80", RANDOM, "search.stop_when={expected_improvement_below: 0.5}"], rising, range(40, 80)),
    ],
    ids=["epoch budget", "epochs of every seed", "no gain", "small expected improvement"],
)
def test_a_stopping_rule_ends_the_arms(journal: Path, overrides: list[str], curve: object, trials: set[int]) -> None:
    study = searched(journal, *overrides, curve=curve)  # type: ignore[arg-type]
    arms = [record.arm for record in study.trial_records()]
    assert len(arms) in trials
    assert len(arms) >= 40 or arms == ["learned", "one_hot"] * (len(arms) // 2)


# Suggestions


def test_points_come_first(journal: Path) -> None:
    points = "arms.learned.points=[{label_lr: 0.25, meta_interval: 3}, {label_lr: 2.0}]"
    first, second = records_of(searched(journal, points))[:2]
    assert first.params == {"label_lr": 0.25, "meta_interval": 3}
    assert second.params["label_lr"] == 2.0
    assert 1 <= second.params["meta_interval"] <= 8


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "cmaes", "nsga2"])
def test_every_sampler_keeps_to_inclusive_bounds_and_types(journal: Path, sampler: str) -> None:
    tight = [
        "arms.learned.parameters.meta_interval={type: int, low: 3, high: 4, log: true}",
        "arms.learned.parameters.label_lr={type: float, low: 0.5, high: 1.0, step: 0.25}",
    ]
    study = searched(journal, *tight, f"search.sampler={sampler}", "search.trials=24")
    learned = [record.params for record in records_of(study)]
    assert {params["meta_interval"] for params in learned} == {3, 4}
    assert {params["label_lr"] for params in learned} <= {0.5, 0.75, 1.0}
    assert all(type(params["meta_interval"]) is int for params in learned)
    assert all(0.01 <= record.params["lr"] <= 1.0 for record in records_of(study, "one_hot"))


def test_the_grid_tries_every_combination_once(journal: Path) -> None:
    parameters = (
        "arms.learned.parameters={label_lr: {type: categorical, choices: [0.1, 1.0]}, "
        "meta_interval: {type: int, low: 1, high: 2}}"
    )
    study = searched(journal, parameters, "baselines={}", "search.sampler=grid", "search.trials=4")
    tried = [tuple(sorted(record.params.items())) for record in study.trial_records()]
    assert len(set(tried)) == len(tried) == 4
