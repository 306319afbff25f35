"""The private names of Optuna that the harness relies on: here and nowhere else.

Checked with Optuna 5.0.0. What breaks if a later version changes one of them, and which test fails then:

    name                                used for                                      tests/tuning/
    FrozenTrial._trial_id, Trial(…)     numbers over all arms; interrupted trials     test_sweep_study.py
    Trial._suggest                      the value of any parameter                    test_sweep_study.py
    Study._get_trials                   the trials that a surrogate model sees        test_deduplicating_sampler.py
    system_attrs["fixed_params"]        points, and trials that are run again         test_deduplicating_sampler.py
    HyperbandPruner._try_initialization the same suggestions after a restart          test_kills.py
"""

import copy
from collections.abc import Container, Iterable, Sequence
from typing import Any, cast

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import HyperbandPruner
from optuna.trial import FrozenTrial, TrialState


def trial_id(trial: FrozenTrial | optuna.Trial) -> int:
    """Index of a trial among all trials of the storage, in the order of their creation."""
    return int(trial._trial_id)


def resume_trial(study: optuna.Study, trial: FrozenTrial) -> optuna.Trial:
    """The handle of a running trial that another process created."""
    return optuna.Trial(study, trial._trial_id)


def suggest(trial: optuna.Trial, name: str, distribution: BaseDistribution) -> Any:
    """Suggest a value, as `suggest_float`, `suggest_int` or `suggest_categorical` would for `distribution`."""
    return trial._suggest(name, distribution)


def fixed_parameters(trial: FrozenTrial) -> dict[str, Any]:
    """The values with which a trial was enqueued."""
    fixed: dict[str, Any] = trial.system_attrs.get("fixed_params", {})
    return fixed


def initialize_brackets(pruner: HyperbandPruner) -> None:
    """Create the brackets now.

    Otherwise the first `prune` creates them, and which trials a sampler sees would depend on when the driver started.
    """
    pruner._try_initialization(cast(optuna.Study, None))  # it reads the study only where max_resource is "auto"


class _StudyView:
    def __init__(self, study: optuna.Study, trials: Sequence[FrozenTrial], pruned: Sequence[FrozenTrial]) -> None:
        self._study = study
        self._trials = trials
        self._pruned = pruned

    def __getattr__(self, name: str) -> Any:
        return getattr(self._study, name)

    def _get_trials(
        self, deepcopy: bool = True, states: Container[TrialState] | None = None, use_cache: bool = False
    ) -> list[FrozenTrial]:
        trials = [trial for trial in self._trials if states is None or trial.state in states]
        if states is not None and TrialState.PRUNED in states:
            trials += self._pruned
        return copy.deepcopy(trials) if deepcopy else trials


def study_view(study: optuna.Study, trials: Sequence[FrozenTrial], as_pruned: Iterable[FrozenTrial]) -> optuna.Study:
    """`study`, for a sampler that shall see only `trials`.

    Args:
        as_pruned: failed trials that the sampler sees as pruned before their first epoch.
    """
    pruned = []
    for failed in as_pruned:
        trial = copy.copy(failed)
        trial.state, trial.values, trial.intermediate_values = TrialState.PRUNED, None, {}
        pruned.append(trial)
    return cast(optuna.Study, _StudyView(study, trials, pruned))
