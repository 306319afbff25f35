"""What is chosen to be confirmed, on which seeds, and what is found again of what was run."""

import itertools
from pathlib import Path

import pytest

from harness.confirm.plan import Configuration, Job, Plan, Result, Results, choose, fresh_seeds
from harness.space import Space
from harness.tuning.storage.sweep_folder import FolderError
from harness.tuning.storage.workspace import Workspace
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.study.trial_record import pareto_front
from tests.tuning.conftest import run_all, run_to_end, space

EPOCHS = [f"{arm}.parameters.epochs={{type: int, low: 2, high: 9}}" for arm in ("arms.learned", "baselines.one_hot")]
RESULT = Result("complete", 9, {"val_accuracy": 0.9}, {"test_accuracy": 0.8, "test_loss": 0.5}, 360, 1.5)


def searched(journal: Path, where: Space) -> SweepStudy:
    ledger = SweepStudy(journal, where)
    run_all(ledger)
    return ledger


def test_the_best_of_each_arm_and_one_of_each_baseline_are_chosen(journal: Path) -> None:
    where = space("search.trials=12")
    entries = searched(journal, where).trial_records()
    chosen = choose(where, entries, top=3)
    best = {
        arm: sorted((entry for entry in entries if entry.arm == arm), key=lambda entry: -(entry.value or 0))
        for arm in ("learned", "one_hot")
    }
    assert [one.trial for one in chosen] == [e.number for e in (*best["learned"][:3], best["one_hot"][0])]
    assert [one.role for one in chosen] == ["arm"] * 3 + ["baseline"]
    assert chosen[0].config == where.arm("learned").config(best["learned"][0].params)


def test_the_least_is_the_best_where_the_objective_is_a_loss(journal: Path) -> None:
    where = space("objective.metric=val_loss", "objective.direction=minimize")
    entries = searched(journal, where).trial_records()
    chosen = choose(where, entries, top=1)
    assert chosen[0].value == min(
        entry.value for entry in entries if entry.arm == "learned" and entry.value is not None
    )


def test_of_several_objectives_an_arms_own_front_is_chosen_the_best_in_the_first_before_others(journal: Path) -> None:
    where = space("objectives=[{metric: val_accuracy}, {metric: epochs}]", "search.trials=16", *EPOCHS)
    entries = searched(journal, where).trial_records()
    for arm in where.arms:
        own = [entry for entry in entries if entry.arm == arm.name]
        front = [entry.number for entry in pareto_front(own, where)]
        chosen = [one.trial for one in choose(where, entries, top=99) if one.arm == arm.name]
        assert 1 < len(front) < (len(own) if arm.role == "arm" else 99)
        assert chosen == (front if arm.role == "arm" else front[:1])


def test_pruned_failed_and_infeasible_trials_are_not_chosen(journal: Path) -> None:
    where = space("constraints=[meta_interval <= 4]", "search.trials=20")
    ledger = SweepStudy(journal, where)
    fates = itertools.cycle([ledger.prune, lambda number: ledger.fail(number, "diverged: nan"), None])
    while (trial := ledger.next()) is not None:
        fate = next(fates)
        if fate is None:
            run_to_end(ledger, trial)
        else:
            ledger.report(trial.number, 1, {"val_accuracy": 0.99, "val_loss": 0.01, "seconds": 0.01})
            fate(trial.number)
    chosen = choose(where, ledger.trial_records(), top=20)
    by_number = {entry.number: entry for entry in ledger.trial_records()}
    ours = [by_number[one.trial] for one in chosen if one.role == "arm"]
    assert ours
    assert all(entry.state == "complete" and entry.params["meta_interval"] <= 4 for entry in ours)


def test_equal_settings_are_one_configuration(journal: Path) -> None:
    where = space("arms.learned.parameters={label_lr: {type: categorical, choices: [0.1, 0.2]}}", "search.trials=20")
    chosen = choose(where, searched(journal, where).trial_records(), top=10)
    assert sorted(one.params["label_lr"] for one in chosen if one.arm == "learned") == [0.1, 0.2]


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
def plan(tmp_path: Path) -> Plan:
    where = space()

    def configuration(arm: str, trial: int) -> Configuration:
        entry = where.arm(arm)
        params = entry.draw(lambda name, parameter: parameter.low)
        return Configuration(arm, entry.role, trial, params, entry.config(params), 0.9)

    chosen = [configuration("learned", 4), configuration("one_hot", 7)]
    return Plan(chosen, fresh_seeds(where, []), Results(tmp_path / "confirm", Workspace(tmp_path)))


def test_seeds_are_paired_and_one_is_finished_before_the_next(plan: Plan) -> None:
    jobs = plan.missing(3)
    assert [(job.configuration.name, job.place) for job in jobs] == [
        (name, place) for place in range(3) for name in ("learned-4", "one_hot-7")
    ]
    assert jobs[0].seed == jobs[1].seed == jobs[0].config.seed == jobs[1].config.seed
    assert jobs[0].config.model_copy(update={"seed": 0}) == jobs[0].configuration.config


def test_what_was_run_is_not_run_again(plan: Plan) -> None:
    for job in plan.missing(2)[:3]:
        plan.results.put(job, RESULT)
    assert [job.name for job in plan.missing(2)] == ["one_hot-7 seed 2"]
    assert plan.covered() == 1
    assert [result for _, result in plan.ended(2)] == [RESULT] * 3


def test_numbers_are_above_any_trial_s_and_one_for_each_run(plan: Plan) -> None:
    numbers = [job.number for job in plan.missing(50)]
    assert len(set(numbers)) == 100
    assert min(numbers) >= 1_000_000
    assert [job.number for job in plan.missing(1)] == [1_000_004, 1_000_007]


@pytest.mark.parametrize("damage", ["", "{", "[]", "null", '{"config": {}}', '{"result": {}, "config": {"seed": 1}}'])
def test_a_damaged_result_is_run_again(plan: Plan, damage: str) -> None:
    job = plan.missing(1)[0]
    plan.results.put(job, RESULT)
    (plan.results.of(job) / "result.json").write_text(damage)
    assert plan.missing(1)[0] == job


def test_a_result_of_other_settings_is_not_taken_for_these(plan: Plan) -> None:
    job = plan.missing(1)[0]
    plan.results.put(job, RESULT)
    other = Configuration("learned", "arm", 4, {}, job.configuration.config.model_copy(update={"lr": 0.123}), 0.9)
    assert plan.results.get(Job(other, job.place, job.seed)) is None
    assert plan.results.get(job) == RESULT


def test_configurations_stay_counted_when_they_are_no_longer_chosen(plan: Plan) -> None:
    for job in plan.missing(2):
        plan.results.put(job, RESULT)
    assert plan.results.tested_configurations() == {"learned-4"}, (
        "baselines are no looks: they are not what is to be shown"
    )


def test_the_records_tell_a_confirmation_from_a_search(plan: Plan, tmp_path: Path) -> None:
    job = plan.missing(1)[0]
    start = job.start()
    assert (start.tags["kind"], start.tags["harness.kind"]) == ("confirmation", "confirmation")
    assert (start.tags["arm"], start.tags["role"], start.tags["seed"]) == ("learned", "arm", str(job.seed))
    assert start.params["seed"] == job.seed
    end = plan.results.end(job, RESULT)
    assert (end.trial, end.state, end.step, end.metrics["test_accuracy"]) == (job.number, "complete", 9, 0.8)
    assert end.artifacts == ()
    plan.results.of(job).mkdir(parents=True)
    (plan.results.of(job) / "labels.npz").touch()
    assert plan.results.end(job, RESULT).artifacts == (str(plan.results.of(job) / "labels.npz"),)


def test_no_seed_of_a_trial_of_several_is_taken_for_a_fresh_one(journal: Path) -> None:
    where = space("search.trials=4")
    fresh = list(itertools.islice(fresh_seeds(where, searched(journal, where).trial_records()), 3))
    # A search whose trials' second seed is what would be the first fresh one.
    several = space("search.trials=4", "search.seeds_per_trial=2", f"seed={fresh[0] - 1}")
    entries = searched(journal.with_name("several"), several).trial_records()
    assert list(itertools.islice(fresh_seeds(several, entries), 2)) == fresh[1:]


def test_a_result_of_another_version_is_refused_in_words(plan: Plan) -> None:
    job = plan.missing(1)[0]
    plan.results.put(job, RESULT)
    assert plan.results.get(job) == RESULT
    file = plan.results.of(job) / "result.json"
    file.write_text(file.read_text().replace('"version": 1', '"version": 2'))
    with pytest.raises(FolderError, match=r"result.json: expected a result of version 1, got 2; go on with"):
        plan.results.get(job)
