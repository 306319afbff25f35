"""The index, updated as trials end in any order, equals what a loop over all trials finds."""

import heapq
import random

import optuna
import pytest
from optuna.trial import FrozenTrial, TrialState

from harness.tuning.study import trial_index
from harness.tuning.study.trial_index import TrialIndex

ENDS = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL)


def training_subset(trials: list[FrozenTrial], sign: int) -> list[FrozenTrial]:
    """The latest, and the best of the rest."""
    latest, older = trials[-trial_index.LATEST :], trials[: -trial_index.LATEST]
    complete = [(sign * trial.values[0], trial.number) for trial in older if trial.state == TrialState.COMPLETE]
    return [*(trials[number] for _, number in heapq.nlargest(trial_index.BEST, complete)), *latest]


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("direction", ["maximize", "minimize"])
def test_the_index_equals_a_loop_over_all_trials(seed: int, direction: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_index, "LATEST", 6)
    monkeypatch.setattr(trial_index, "BEST", 3)
    rng = random.Random(seed)
    study = optuna.create_study(direction=direction, sampler=optuna.samplers.RandomSampler(seed=seed))
    running_trials: list[optuna.Trial] = []
    for _ in range(60):
        if rng.random() < 0.5 or not running_trials:
            running_trials.append(study.ask())
            running_trials[-1].suggest_int("width", 0, 30)
        else:
            state = rng.choice(ENDS)
            value = rng.randrange(5) if state == TrialState.COMPLETE else None  # of so few that some are equal
            study.tell(running_trials.pop(rng.randrange(len(running_trials))), value, state)
        if rng.random() < 0.3:
            continue  # several things happen between two updates

        index = trial_index.trial_index(study)
        trials = study.get_trials(deepcopy=False)
        assert index.training_subset() == training_subset(trials, 1 if direction == "maximize" else -1)
        assert all(index.ended[state] == sum(trial.state == state for trial in trials) for state in ENDS)
        for width in range(31):
            of_width = [trial.number for trial in trials if trial.params["width"] == width]
            assert index.contains({"width": width}, except_number=-1) == bool(of_width)
            running = [number for number in of_width if trials[number].state == TrialState.RUNNING]
            assert not running or index.contains({"width": width}, except_number=running[0]) == (len(of_width) > 1)


def test_the_model_sees_all_trials_of_several_objectives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial_index, "LATEST", 6)
    study = optuna.create_study(directions=["maximize", "minimize"])
    for value in range(20):
        study.tell(study.ask(), [value, value])
    assert len(trial_index.trial_index(study).training_subset()) == 20


def test_one_is_not_true() -> None:
    study = optuna.create_study()
    study.add_trial(
        optuna.trial.create_trial(
            params={"nesterov": True},
            distributions={"nesterov": optuna.distributions.CategoricalDistribution([True])},
            value=0,
        )
    )
    index: TrialIndex = trial_index.trial_index(study)
    assert index.contains({"nesterov": True}, except_number=-1)
    assert not index.contains({"nesterov": 1}, except_number=-1)
