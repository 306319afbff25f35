"""What is chosen to be confirmed, on which seeds, and what is found again of what was run."""

import itertools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness.confirm.configurations import Configuration, choose_configurations, fresh_seeds
from harness.confirm.plan import SeedPlan, SeedRun
from harness.confirm.plan_source import PlanSource
from harness.results.result_file import FormatVersionError
from harness.results.seed_result import SeedResult
from harness.space import Space
from harness.tuning.storage.workspace import Workspace
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.study.trial_record import pareto_front
from harness.tuning.trial import Trial
from tests.support.results import seed_result
from tests.tuning.conftest import run_all, run_to_end, space

EPOCHS = [f"{arm}.parameters.epochs={{type: int, low: 2, high: 9}}" for arm in ("arms.learned", "baselines.one_hot")]
METRICS, TEST = {"val_accuracy": 0.9}, {"test_accuracy": 0.8, "test_loss": 0.5}


def result_of(run: SeedRun) -> SeedResult:
    return seed_result(run.configuration, run.seed, epochs=9, metrics=METRICS, test=TEST, seconds=1.5)


def assert_saved(plan: SeedPlan, runs: Sequence[SeedRun]) -> None:
    """Each run's result on disk is that of `result_of`."""
    for run in runs:
        result = plan.result(run)
        assert result is not None
        assert result.model_dump() == result_of(run).model_dump()


def searched(journal: Path, where: Space) -> SweepStudy:
    study = SweepStudy(journal, where)
    run_all(study)
    return study


def test_the_best_of_each_arm_and_one_of_each_baseline_are_chosen(journal: Path) -> None:
    where = space("search.trials=12")
    entries = searched(journal, where).trial_records()
    chosen = choose_configurations(where, entries, top=3)
    best = {
        arm: sorted((entry for entry in entries if entry.arm == arm), key=lambda entry: -(entry.value or 0))
        for arm in ("learned", "one_hot")
    }
    assert [choice.trial for choice in chosen] == [e.number for e in (*best["learned"][:3], best["one_hot"][0])]
    assert [choice.role for choice in chosen] == ["arm"] * 3 + ["baseline"]
    assert chosen[0].config == where.arm("learned").config(best["learned"][0].params)


def test_the_least_is_the_best_where_the_objective_is_a_loss(journal: Path) -> None:
    where = space("objective.metric=val_loss", "objective.direction=minimize")
    entries = searched(journal, where).trial_records()
    chosen = choose_configurations(where, entries, top=1)
    assert chosen[0].value == min(
        entry.value for entry in entries if entry.arm == "learned" and entry.value is not None
    )


def test_of_several_objectives_an_arms_own_front_is_chosen_the_best_in_the_first_before_others(journal: Path) -> None:
    where = space("objectives=[{metric: val_accuracy}, {metric: epochs}]", "search.trials=16", *EPOCHS)
    entries = searched(journal, where).trial_records()
    for arm in where.arms:
        own = [entry for entry in entries if entry.arm == arm.name]
        front = [entry.number for entry in pareto_front(own, where)]
        choices = choose_configurations(where, entries, top=99)
        chosen = [choice.trial for choice in choices if choice.arm == arm.name]
        assert 1 < len(front) < (len(own) if arm.role == "arm" else 99)
        assert chosen == (front if arm.role == "arm" else front[:1])


def test_pruned_failed_and_infeasible_trials_are_not_chosen(journal: Path) -> None:
    where = space("constraints=[meta_interval <= 4]", "search.trials=20")
    study = SweepStudy(journal, where)
    fates = itertools.cycle([study.prune, lambda number: study.fail(number, "diverged: nan"), None])
    while (trial := study.next()) is not None:
        fate = next(fates)
        if fate is None:
            run_to_end(study, trial)
        else:
            study.report(trial.number, 1, {"val_accuracy": 0.99, "val_loss": 0.01, "seconds": 0.01})
            fate(trial.number)
    chosen = choose_configurations(where, study.trial_records(), top=20)
    by_number = {entry.number: entry for entry in study.trial_records()}
    ours = [by_number[choice.trial] for choice in chosen if choice.role == "arm"]
    assert ours
    assert all(entry.state == "complete" and entry.params["meta_interval"] <= 4 for entry in ours)


def test_equal_settings_are_one_configuration(journal: Path) -> None:
    where = space("arms.learned.parameters={label_lr: {type: categorical, choices: [0.1, 0.2]}}", "search.trials=20")
    chosen = choose_configurations(where, searched(journal, where).trial_records(), top=10)
    assert sorted(choice.params["label_lr"] for choice in chosen if choice.arm == "learned") == [0.1, 0.2]


def test_fresh_seeds_are_the_same_again_and_none_of_the_search_s(journal: Path) -> None:
    where = space()
    entries = searched(journal, where).trial_records()
    first = list(itertools.islice(fresh_seeds(where, entries), 40))
    assert list(itertools.islice(fresh_seeds(where, entries), 20)) == first[:20]
    assert len(set(first)) == 40
    assert where.arm("learned").config(entries[0].params).seed not in first
    assert list(itertools.islice(fresh_seeds(space("search.seed=6"), entries), 20)) != first[:20]


def test_a_seed_that_the_search_had_is_stepped_over(journal: Path) -> None:
    unused = next(fresh_seeds(space(), []))
    where = space(f"fixed.seed={unused}")
    entries = searched(journal, where).trial_records()
    assert unused not in itertools.islice(fresh_seeds(where, entries), 20)


@pytest.fixture
def plan(tmp_path: Path) -> SeedPlan:
    where = space()

    def configuration(arm: str, trial: int) -> Configuration:
        entry = where.arm(arm)
        params = entry.sample(lambda name, parameter: parameter.low)
        return Configuration(arm, entry.role, trial, params, entry.config(params), 0.9)

    chosen = [configuration("learned", 4), configuration("one_hot", 7)]
    return SeedPlan(chosen, fresh_seeds(where, []), tmp_path / "confirm")


def test_seeds_are_paired_and_one_is_finished_before_the_next(plan: SeedPlan) -> None:
    runs = plan.missing(3)
    assert [(run.configuration.name, run.index) for run in runs] == [
        (name, place) for place in range(3) for name in ("learned-4", "one_hot-7")
    ]
    assert runs[0].seed == runs[1].seed == runs[0].config.seed == runs[1].config.seed
    assert runs[0].config.model_copy(update={"seed": 0}) == runs[0].configuration.config


def test_what_was_run_is_not_run_again(plan: SeedPlan) -> None:
    for run in plan.missing(2)[:3]:
        plan.save(run, result_of(run))
    assert [run.name for run in plan.missing(2)] == ["one_hot-7 seed 2"]
    assert plan.n_complete_seeds() == 1
    assert_saved(plan, plan.runs(2)[:3])


def test_numbers_are_above_any_trial_s_and_one_for_each_run(plan: SeedPlan) -> None:
    numbers = [run.number for run in plan.missing(50)]
    assert len(set(numbers)) == 100
    assert min(numbers) >= 1_000_000
    assert [run.number for run in plan.missing(1)] == [1_000_004, 1_000_007]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"config": {}}', '{"format_version": 1, "state": ""}'])
def test_a_damaged_result_is_run_again(plan: SeedPlan, damage: str) -> None:
    run = plan.missing(1)[0]
    plan.save(run, result_of(run))
    (plan.run_folder(run) / "result.json").write_text(damage)
    assert plan.missing(1)[0] == run


def test_a_result_of_other_settings_is_not_taken_for_these(plan: SeedPlan) -> None:
    run = plan.missing(1)[0]
    plan.save(run, result_of(run))
    other = Configuration("learned", "arm", 4, {}, run.configuration.config.model_copy(update={"lr": 0.123}), 0.9)
    assert plan.result(SeedRun(other, run.index, run.seed)) is None
    assert_saved(plan, [run])


def test_configurations_stay_counted_when_they_are_no_longer_chosen(plan: SeedPlan) -> None:
    for run in plan.missing(2):
        plan.save(run, result_of(run))
    assert plan.tested_configurations() == {"learned-4"}, "baselines are no looks: they are not what is to be shown"


def source_of(plan: SeedPlan, seeds: int, more_seeds: Callable[[], int] | None = None) -> tuple[PlanSource, list[Any]]:
    """A source of the plan's runs, and the events that it emits."""
    source, events = PlanSource(plan, seeds, Workspace(plan.folder.parent.parent), more_seeds), []
    source.listeners.append(events.append)
    return source, events


def end_well(source: PlanSource, trial: Trial) -> None:
    source.record_seconds(trial.number, 1.5)
    source.report(trial.number, 9, METRICS)
    source.record_test(trial.number, TEST, 360)
    source.complete(trial.number)


def test_a_source_runs_what_is_missing_and_its_events_tell_a_confirmation_from_a_search(plan: SeedPlan) -> None:
    first = plan.missing(2)[0]
    plan.save(first, result_of(first))
    source, events = source_of(plan, 2)
    names = []
    while (trial := source.next()) is not None:
        names.append(trial.name)
        assert trial.at_end == ("evaluate_test",)
        assert source.is_open(trial.number)
        labels = plan.folder.parent / trial.folder / "labels.npz"
        labels.parent.mkdir(parents=True)
        labels.touch()
        end_well(source, trial)
        assert events[-1].artifacts == (str(labels),)
    assert names == ["one_hot-7 seed 1", "learned-4 seed 2", "one_hot-7 seed 2"]
    assert (source.missing, plan.n_complete_seeds(), source.failures) == (0, 2, {})
    assert_saved(plan, plan.runs(2))
    started, *_, ended = events
    assert (started.tags["kind"], started.tags["harness.kind"]) == ("confirmation", "confirmation")
    assert (started.tags["arm"], started.tags["role"]) == ("one_hot", "baseline")
    assert started.params["seed"] == int(started.tags["seed"]) == plan.seeds(1)[0]
    assert (ended.state, ended.step, ended.metrics) == ("complete", 9, TEST)


def test_a_diverged_run_has_a_result_and_any_other_failed_run_has_none(plan: SeedPlan) -> None:
    source, _ = source_of(plan, 1)
    diverged, out_of_memory = source.next(), source.next()
    assert diverged is not None
    assert out_of_memory is not None
    source.fail(diverged.number, "diverged: train_loss is nan after epoch 1")
    source.fail(out_of_memory.number, "out of memory: 8 GiB")
    assert [(result.state, result.reason[:8]) for _, result in plan.results(1)] == [("failed", "diverged")]
    assert source.failures == {"one_hot-7 seed 1": "out of memory: 8 GiB"}
    assert (source.next(), source.missing) == (None, 0)
    assert [run.name for run in plan.missing(1)] == ["one_hot-7 seed 1"]


def test_a_released_run_is_the_next_under_its_number(plan: SeedPlan) -> None:
    source, _ = source_of(plan, 2)
    first = source.next()
    assert first is not None
    source.release(first.number)
    assert not source.is_open(first.number)
    assert source.missing == 4
    assert source.next() == first


def test_seeds_are_added_once_all_runs_ended_until_enough(plan: SeedPlan) -> None:
    asked: list[int] = []

    def more_seeds() -> int:
        asked.append(plan.n_complete_seeds())
        return min(3, plan.n_complete_seeds() + 1)

    source, _ = source_of(plan, 1, more_seeds)
    first, second = source.next(), source.next()
    assert first is not None
    assert second is not None
    assert source.next() is None, "two runs are open"
    assert asked == []
    end_well(source, first)
    end_well(source, second)
    while (trial := source.next()) is not None:
        end_well(source, trial)
    assert plan.n_complete_seeds() == 3
    assert asked == [1, 2, 3]


def test_a_teacher_without_its_file_is_run_again(plan: SeedPlan) -> None:
    teachers = SeedPlan(
        plan.configurations, iter(plan.seeds(1)), plan.folder, kind="teacher", at_end=("export_logits",), required="x"
    )
    run = teachers.missing(1)[0]
    teachers.save(run, result_of(run))
    assert teachers.missing(1)[0] == run
    (teachers.run_folder(run) / "x").touch()
    assert teachers.missing(1)[0] != run


def test_no_seed_of_a_trial_of_several_is_taken_for_a_fresh_one(journal: Path) -> None:
    where = space("search.trials=4")
    fresh = list(itertools.islice(fresh_seeds(where, searched(journal, where).trial_records()), 3))
    # A search whose trials' second seed is what would be the first fresh one.
    several = space("search.trials=4", "search.seeds_per_trial=2", f"seed={fresh[0] - 1}")
    entries = searched(journal.with_name("several"), several).trial_records()
    assert list(itertools.islice(fresh_seeds(several, entries), 2)) == fresh[1:]


def test_a_result_of_another_version_is_refused_in_words(plan: SeedPlan) -> None:
    run = plan.missing(1)[0]
    plan.save(run, result_of(run))
    assert_saved(plan, [run])
    file = plan.run_folder(run) / "result.json"
    file.write_text(file.read_text().replace('"format_version": 1', '"format_version": 2'))
    with pytest.raises(FormatVersionError, match=r"result.json: expected format version 1, got 2; use"):
        plan.result(run)
