"""What a sweep would do, before it does it: arms, parameters, the first suggestions, and how long it will take.

The suggestions are those that the sweep will really start with. The time comes from a probe: one epoch of each arm, on
each seed of a trial, here and now, on one core. It is an upper bound as far as the pruner goes: what it will save is
not known before.
"""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from harness.display import duration
from harness.space import Arm, CategoricalParameter, Space
from harness.space.parameters import AnyParameter
from harness.space.strategies import NoPruner, Nsga2
from harness.training.config import RunConfig

if TYPE_CHECKING:
    from harness.tuning.ledger import Trial

FIRST = 5
STARTUP_SECONDS = 15.0  # Ray's start and the workers' imports, on two cores


def plan(space: Space) -> str:
    """The plan in words, some lines to an arm. Creates nothing."""
    shares = space.shares()
    lines = [f"to {', '.join(map(str, space.objectives))}{': the Pareto front' if space.several else ''}"]
    for arm in space.arms:
        lines += ["", f"{arm.name} ({arm.role}, {arm.method}): {shares[arm.name]} trials", *_settings(arm)]
    trials = _suggestions(space)
    lines += ["", "first suggestions"]
    lines += [f"  {trial.name:<20}{_values(trial.params)}" for trial in trials[:FIRST]]
    return "\n".join([*lines, *_generations(space), "", _time(space, trials)])


def _generations(space: Space) -> list[str]:
    """A word of warning where a genetic search ends before its second generation."""
    sampler = space.search.sampler
    most = max(space.shares().values())
    if not isinstance(sampler, Nsga2) or most > sampler.population_size:
        return []
    return [
        "",
        f"nsga2 draws its first generation at random: {sampler.population_size} complete trials of an arm, of {most} "
        "at most; allow more, or set search.sampler.population_size",
    ]


def _settings(arm: Arm) -> list[str]:
    defaults = RunConfig.model_fields
    fixed = {name: value for name, value in arm.fixed.items() if value != defaults[name].get_default()}
    lines = [f"  {name:<20}{_range(parameter)}" for name, parameter in arm.parameters.items()]
    return [*lines, f"  {'fixed':<20}{_values(fixed)}"]


def _range(parameter: AnyParameter) -> str:
    when = f" when {dict(parameter.when)}" if parameter.when else ""
    if isinstance(parameter, CategoricalParameter):
        return "one of " + ", ".join(map(str, parameter.choices)) + when
    steps = f" in steps of {parameter.step}" if parameter.step not in (None, 1) else ""
    return f"{parameter.low:g} … {parameter.high:g}{' (log)' if parameter.log else ''}{steps}{when}"


def _values(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{n} {v:.3g}" if isinstance(v, float) else f"{n} {v}" for n, v in settings.items())


def _suggestions(space: Space) -> "list[Trial]":
    """Every trial of the budget, as it would be suggested if no result came in."""
    from harness.tuning.ledger import Ledger

    with TemporaryDirectory() as folder:
        ledger = Ledger(Path(folder) / "study.journal", space)
        trials = []
        while (trial := ledger.next()) is not None:
            trials.append(trial)
        return trials


def _time(space: Space, trials: "list[Trial]") -> str:
    import torch  # and the data of the probe: seconds

    from harness.training.replicates import Replicates

    torch.set_num_threads(1)
    total = 0.0
    for arm in space.arms:
        own = [trial.config for trial in trials if trial.arm == arm.name]
        if not own:
            continue
        runs = Replicates(own[0], space.search.seeds_per_trial)
        began = time.perf_counter()
        runs.train_epoch()
        total += (time.perf_counter() - began) * sum(config.epochs for config in own)
    cores = os.cpu_count() or 1
    slots = max(1, min(space.search.concurrency or cores, int(cores / space.search.resources.cpu)))
    seeds = space.search.seeds_per_trial
    each = f" on {seeds} seeds each" if seeds > 1 else ""
    return (
        f"{len(trials)} trials{each}, {slots} at a time on {cores} cores here: at most about "
        f"{duration(total / slots + STARTUP_SECONDS)}"
        f"{'' if isinstance(space.search.pruner, NoPruner) else ', less by what the pruner stops'}"
    )
