"""Output of `--dry-run`: arms with their parameters, the first suggestions, and how long the sweep takes here.

The suggestions are those that the sweep will start with.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from harness.common.formatting import format_duration, format_settings
from harness.search.forecast import TrialTiming, forecast, measure_timing
from harness.search.warm_start import describe_range
from harness.space import Arm, Resources, Space
from harness.space.strategies import NoPruner, Nsga2
from harness.training.config.run_config import default_settings
from harness.tuning.cluster.capacity import trials_on_node
from harness.tuning.study.sweep_study import SweepStudy
from harness.tuning.trial import Trial

SHOWN_SUGGESTIONS = 5
MEASURED_TRIALS = 3  # of each arm
STARTUP_SECONDS = 15.0  # Ray's start and the workers' imports, on two cores


def machine_capacity(need: Resources, cores: int, gpus: int) -> tuple[str, int]:
    """A description of the machine, and how many trials fit on it at once. Without a GPU, trials use none."""
    machine = f"{cores} core{'s' if cores > 1 else ''}"
    gpu = min(1, gpus) if need.gpu is None or not gpus else need.gpu
    need = need.model_copy(update={"gpu": float(gpu), "accelerator": None})
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    fits = trials_on_node(need, {"CPU": cores, "GPU": gpus, "memory": memory})
    return f"{machine} and {gpus} GPU{'s' if gpus > 1 else ''}" if gpu else machine, fits


def describe_plan(space: Space) -> str:
    """The plan as text: arms with their settings, the first suggestions, the expected time. Creates nothing."""
    shares = space.trials_per_arm()
    lines = [f"to {', '.join(map(str, space.objectives))}{': the Pareto front' if space.is_multi_objective else ''}"]
    for arm in space.arms:
        lines += ["", f"{arm.name} ({arm.role}, {arm.method}): {shares[arm.name]} trials", *_settings(arm)]
    trials = _suggestions(space)
    lines += ["", "first suggestions"]
    lines += [f"  {trial.name:<20}{_values(trial.params)}" for trial in trials[:SHOWN_SUGGESTIONS]]
    return "\n".join([*lines, *_generation_warning(space), "", _expected_time(space, trials)])


def _generation_warning(space: Space) -> list[str]:
    """A warning if a genetic search ends before its second generation."""
    sampler = space.search.sampler
    most = max(space.trials_per_arm().values())
    if not isinstance(sampler, Nsga2) or most > sampler.population_size:
        return []
    return [
        "",
        f"nsga2 draws its first generation at random: {sampler.population_size} complete trials of an arm, of {most} "
        "at most; allow more, or set search.sampler.population_size",
    ]


def _settings(arm: Arm) -> list[str]:
    defaults = default_settings(arm.method)
    fixed = {name: value for name, value in arm.fixed.items() if value != defaults[name]}
    searched = {name: describe_range(parameter, full=True) for name, parameter in arm.parameters.items()}
    return [f"  {name:<20}{text}" for name, text in {**searched, "fixed": _values(fixed)}.items()]


def _values(params: Mapping[str, Any]) -> str:
    return ", ".join(format_settings(params))


def _suggestions(space: Space) -> list[Trial]:
    """Every trial of the budget, as it would be suggested if no result came in."""
    with TemporaryDirectory() as folder:
        study = SweepStudy(Path(folder) / "study.journal", space)
        return list(iter(study.next, None))


def _expected_time(space: Space, trials: list[Trial]) -> str:
    """Expected duration of the sweep on this machine, as text."""
    torch.set_num_threads(1)
    search, timings = space.search, _timings(space, trials)
    machine, fits = machine_capacity(search.resources, os.cpu_count() or 1, torch.cuda.device_count())
    workers = max(1, min(search.concurrency or fits, fits))
    expected, unpruned = (
        forecast(plan, timings, workers, STARTUP_SECONDS) for plan in (space, space.with_search(pruner=NoPruner()))
    )
    saved = "" if isinstance(search.pruner, NoPruner) else f", {format_duration(unpruned)} if none were stopped"
    note = "" if fits else "; as it is, no trial fits on this machine: see search.resources"
    seeds = f" on {search.seeds_per_trial} seeds each" if search.seeds_per_trial > 1 else ""
    duration = format_duration(expected)
    return f"{len(trials)} trials{seeds}, {workers} at a time on {machine} here: about {duration}{saved}{note}"


def _timings(space: Space, trials: list[Trial]) -> dict[str, TrialTiming]:
    """Mean timing of the first few trials of each arm."""
    timings = {}
    for arm in space.arms:
        own = [trial for trial in trials if trial.arm == arm.name]
        measured = [measure_timing(trial.config) for trial in own[:MEASURED_TRIALS]]
        if measured:
            share = space.search.seeds_per_trial / len(measured)
            timings[arm.name] = TrialTiming(
                share * sum(timing.epoch for timing in measured), share * sum(timing.setup for timing in measured)
            )
    return timings
