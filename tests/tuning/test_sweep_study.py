"""The study: nothing lost, nothing twice, whatever happens to the driver."""

import math
from pathlib import Path

import optuna
import pytest
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from harness.tracking.spool.events import EpochMetrics, TrialEnded, TrialStarted
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.study.trial_record import best_trial
from tests.tuning.conftest import Recorder, measured, rising, run_all, run_to_end, space


def test_the_budget_is_shared_evenly_and_in_turn(journal: Path) -> None:
    trials = run_all(SweepStudy(journal, space()))
    assert [trial.arm for trial in trials] == ["learned", "one_hot"] * 4
    assert [trial.number for trial in trials] == list(range(8))


def test_a_larger_budget_goes_on_and_a_smaller_one_takes_nothing_back(journal: Path) -> None:
    run_all(SweepStudy(journal, space()))
    longer = SweepStudy(journal, space("search.trials=11"))
    assert longer.missing == 3
    assert [trial.number for trial in run_all(longer)] == [8, 9, 10]
    shorter = SweepStudy(journal, space("search.trials=4"))
    assert shorter.missing == 0
    assert shorter.next() is None
    assert len(shorter.trial_records()) == 11


def test_suggestions_do_not_depend_on_restarts(tmp_path: Path) -> None:
    straight = run_all(SweepStudy(tmp_path / "straight", space()))
    pieces = [run_all(SweepStudy(tmp_path / "pieces", space()), most=1)[0] for _ in range(8)]
    assert [trial.params for trial in pieces] == [trial.params for trial in straight]
    assert len({str(trial.params) for trial in straight}) == 8


def test_another_seed_gives_other_suggestions(tmp_path: Path) -> None:
    one = run_all(SweepStudy(tmp_path / "one", space()))
    other = run_all(SweepStudy(tmp_path / "other", space("search.seed=6")))
    assert [trial.params for trial in one] != [trial.params for trial in other]


def test_a_running_trial_is_taken_up_under_its_number_before_anything_new(journal: Path) -> None:
    killed = SweepStudy(journal, space())
    first, second = killed.next(), killed.next()
    assert first is not None
    assert second is not None
    killed.report(first.number, 1, measured(0.3))
    recorder = Recorder()
    after = SweepStudy(journal, space(), [recorder])
    assert after.missing == 8
    again = after.next()
    assert again == first
    assert not after.report(first.number, 1, measured(0.3))
    run_to_end(after, first)
    assert after.next() == second
    assert [record.trial for record in recorder.of(TrialStarted)] == [0, 1]
    record = after.trial_records()[0]
    assert record.state == "complete"
    assert sorted(record.curve) == list(range(1, 10))


def test_a_torn_tail_costs_only_itself(journal: Path) -> None:
    run_all(SweepStudy(journal, space()), most=3)
    whole = journal.read_bytes()
    journal.write_bytes(whole + b'{"op_code":4,"worker_id":"x","study')
    study = SweepStudy(journal, space())
    assert journal.read_bytes() == whole
    run_all(study)
    assert [record.state for record in SweepStudy(journal, space()).trial_records()] == ["complete"] * 8


def test_every_prefix_of_a_journal_goes_on_to_the_same_trials(tmp_path: Path) -> None:
    """A kill at any byte: the next driver ends with every trial once, and with the same suggestions."""
    small = ["search.trials=4", "epochs=2"]
    run_all(SweepStudy(tmp_path / "whole", space(*small)))
    whole = (tmp_path / "whole").read_bytes()
    wanted = [
        (record.arm, record.params, record.value)
        for record in SweepStudy(tmp_path / "whole", space(*small)).trial_records()
    ]
    for cut in range(0, len(whole), 97):
        journal = tmp_path / f"cut{cut}"
        journal.write_bytes(whole[:cut])
        study = SweepStudy(journal, space(*small))
        run_all(study)
        found = [(record.arm, record.params, record.value) for record in study.trial_records()]
        assert found == wanted, f"cut at byte {cut}"


def test_states_are_told_as_they_are(journal: Path) -> None:
    recorder = Recorder()
    study = SweepStudy(journal, space(), [recorder])
    done, pruned, failed = study.next(), study.next(), study.next()
    assert done is not None
    assert pruned is not None
    assert failed is not None
    run_to_end(study, done)
    study.report(pruned.number, 1, measured(0.1))
    study.prune(pruned.number)
    study.fail(failed.number, "diverged: train_loss is nan after epoch 1")
    learned = optuna.load_study(study_name="learned", storage=JournalStorage(JournalFileBackend(str(journal))))
    assert [trial.state.name for trial in learned.get_trials()] == ["COMPLETE", "FAIL"]
    records = {record.number: record for record in study.trial_records()}
    assert records[0].value == pytest.approx(rising(done, 9))
    assert (records[1].state, records[1].value) == ("pruned", None)
    assert records[2].reason == "diverged: train_loss is nan after epoch 1"
    ends = {record.trial: record for record in recorder.of(TrialEnded)}
    assert {number: end.state for number, end in ends.items()} == {0: "complete", 1: "pruned", 2: "failed"}


def test_the_value_is_that_of_the_last_epoch_not_the_best(journal: Path) -> None:
    study = SweepStudy(journal, space("search.trials=2"))
    trial = study.next()
    assert trial is not None
    run_to_end(study, trial, lambda trial, epoch: 0.9 if epoch == 2 else 0.5)
    assert study.trial_records()[0].value == 0.5


def test_the_pruner_stops_the_worse_of_an_arm_and_looks_at_no_other(journal: Path) -> None:
    halving = "search.pruner={type: successive_halving, min_epochs: 2, reduction_factor: 2}"
    study = SweepStudy(journal, space(halving, "search.trials=12", "search.sampler=random"))

    def curve(trial: object, epoch: int) -> float:
        return 0.9 if getattr(trial, "arm", "") == "one_hot" else rising(trial, epoch)  # type: ignore[arg-type]

    run_all(study, curve)
    records = study.trial_records()
    learned = [record for record in records if record.arm == "learned"]
    assert {record.state for record in learned} == {"complete", "pruned"}
    assert all(max(record.curve) in (2, 4, 8) for record in learned if record.state == "pruned")
    # Equal values: none of them is worse than another.
    assert {record.state for record in records if record.arm == "one_hot"} == {"complete"}


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
    halving = ["baselines={}", "search.pruner=successive_halving", "search.trials=16", "search.sampler=random"]
    study = SweepStudy(journal, space(*halving, epochs))
    run_all(study)
    pruned = {max(record.curve) for record in study.trial_records() if record.state == "pruned"}
    assert min(rungs) in pruned
    assert pruned <= rungs


def test_the_wilcoxon_pruner_stops_what_is_below_the_best_whatever_its_epochs(journal: Path) -> None:
    lengths = "baselines.one_hot.parameters.epochs={type: int, low: 4, high: 9}"
    study = SweepStudy(journal, space("search.pruner=wilcoxon", lengths, "search.trials=24", "search.sampler=random"))
    run_all(study)
    records = study.trial_records()
    learned = [record for record in records if record.arm == "learned"]
    pruned = [record for record in learned if record.state == "pruned"]
    top = best_trial(learned, study.space)
    assert top is not None
    assert 0 < len(pruned) < len(learned)
    assert all(max(record.curve) >= 3 for record in pruned), "the test needs a few epochs to tell"
    assert all(record.curve[step] < top.curve[step] for record in pruned for step in record.curve)


def test_points_come_first(journal: Path) -> None:
    points = "arms.learned.points=[{label_lr: 0.25, meta_interval: 3}, {label_lr: 2.0}]"
    trials = [trial for trial in run_all(SweepStudy(journal, space(points))) if trial.arm == "learned"]
    assert trials[0].params == {"label_lr": 0.25, "meta_interval": 3}
    assert trials[1].params["label_lr"] == 2.0
    assert 1 <= trials[1].params["meta_interval"] <= 8


def test_a_trial_that_breaks_a_constraint_cannot_win(journal: Path) -> None:
    study = SweepStudy(journal, space("constraints=[label_lr * meta_interval >= 1]", "search.trials=12"))
    run_all(study)
    records = study.trial_records()
    kept = [record for record in records if record.arm == "learned" and record.feasible]
    assert 0 < len(kept) < 6
    assert all(record.params["label_lr"] * record.params["meta_interval"] >= 1 for record in kept)
    learned = [record for record in records if record.arm == "learned"]
    top = best_trial(learned, study.space)
    assert top is not None
    assert top.value == max(record.value or 0 for record in kept)


def test_an_epoch_budget_ends_each_arm_at_its_share(journal: Path) -> None:
    study = SweepStudy(journal, space("search.epoch_budget=36"))
    run_all(study)
    assert [record.arm for record in study.trial_records()] == ["learned", "one_hot"] * 2


def test_no_gain_for_n_trials_ends_an_arm(journal: Path) -> None:
    study = SweepStudy(journal, space("search.trials=40", "search.stop_when={no_gain_trials: 3}"))
    run_all(study, lambda trial, epoch: 0.5)
    assert [record.arm for record in study.trial_records()] == ["learned", "one_hot"] * 4


def test_a_small_expected_improvement_ends_an_arm(journal: Path) -> None:
    rule = "search.stop_when={expected_improvement_below: 0.5}"
    study = SweepStudy(journal, space("search.trials=80", "search.sampler=random", rule))
    run_all(study)
    assert 40 <= len(study.trial_records()) < 80


@pytest.mark.parametrize("sampler", ["tpe", "random", "qmc", "gp", "cmaes", "nsga2"])
def test_every_sampler_keeps_to_inclusive_bounds_and_types(journal: Path, sampler: str) -> None:
    tight = [
        "arms.learned.parameters.meta_interval={type: int, low: 3, high: 4, log: true}",
        "arms.learned.parameters.label_lr={type: float, low: 0.5, high: 1.0, step: 0.25}",
    ]
    trials = run_all(SweepStudy(journal, space(*tight, f"search.sampler={sampler}", "search.trials=24")))
    learned = [trial for trial in trials if trial.arm == "learned"]
    assert {trial.params["meta_interval"] for trial in learned} == {3, 4}
    assert {trial.params["label_lr"] for trial in learned} <= {0.5, 0.75, 1.0}
    assert all(type(trial.params["meta_interval"]) is int for trial in learned)
    assert all(0.01 <= trial.params["lr"] <= 1.0 for trial in trials if trial.arm == "one_hot")


def test_the_grid_tries_every_combination_once(journal: Path) -> None:
    grid = [
        "arms.learned.parameters={label_lr: {type: categorical, choices: [0.1, 1.0]}, "
        "meta_interval: {type: int, low: 1, high: 2}}",
        "baselines={}",
        "search.sampler=grid",
        "search.trials=4",
    ]
    tried = [tuple(sorted(trial.params.items())) for trial in run_all(SweepStudy(journal, space(*grid)))]
    assert len(set(tried)) == len(tried) == 4


def test_a_conditional_parameter_exists_only_under_its_condition(journal: Path) -> None:
    conditional = [
        "arms.learned.parameters.labels={type: categorical, choices: [instance, class]}",
        "arms.learned.parameters.label_smoothing={type: float, low: 0.1, high: 0.2, when: {labels: class}}",
        "search.trials=30",
    ]
    learned = [t for t in run_all(SweepStudy(journal, space(*conditional))) if t.arm == "learned"]
    assert {trial.params["labels"] for trial in learned} == {"instance", "class"}
    assert all(("label_smoothing" in trial.params) == (trial.params["labels"] == "class") for trial in learned)


def test_metrics_are_told_before_they_are_written_down(journal: Path) -> None:
    """A listener that dies leaves the journal behind the listeners, never before them."""

    class Full(Exception):
        pass

    def full(record: object) -> None:
        if isinstance(record, EpochMetrics):
            raise Full

    study = SweepStudy(journal, space(), [full])
    trial = study.next()
    assert trial is not None
    with pytest.raises(Full):
        study.report(trial.number, 1, measured(0.5))
    assert SweepStudy(journal, space()).trial_records()[0].curve == {}


def test_minimising_takes_the_smallest(journal: Path) -> None:
    study = SweepStudy(journal, space("objective={metric: val_loss, direction: minimize}"))
    run_all(study)
    top = best_trial(study.trial_records(), study.space)
    assert top is not None
    assert top.value == min(record.value if record.value is not None else math.inf for record in study.trial_records())


def test_a_failed_trial_is_tried_again_under_its_number(journal: Path) -> None:
    study = SweepStudy(journal, space("search.trials=4"))
    first = study.next()
    assert first is not None
    study.report(first.number, 1, measured(0.2))
    study.fail(first.number, "OutOfMemoryError: no")
    run_all(study)
    assert SweepStudy(journal, space("search.trials=4")).missing == 0
    again = SweepStudy(journal, space("search.trials=4"))
    assert again.retry_failed() == [0]
    assert again.missing == 1
    killed = SweepStudy(journal, space("search.trials=4"))
    assert [trial.number for trial in run_all(killed)] == [0]
    records = killed.trial_records()
    assert [record.number for record in records] == [0, 1, 2, 3]
    assert {record.state for record in records} == {"complete"}
    assert records[0].params == first.params
    assert killed.next() is None


def test_an_epoch_budget_counts_the_epochs_of_every_seed(journal: Path) -> None:
    study = SweepStudy(journal, space("search.epoch_budget=36", "search.seeds_per_trial=2"))
    trials = run_all(study)
    assert [trial.arm for trial in trials] == ["learned", "one_hot"], "two seeds of nine epochs are an arm's share"
    assert {trial.seeds for trial in trials} == {2}
