"""What a sweep would do, before it does it: arms, parameters, the first suggestions, and how long it will take.

The suggestions are those that the sweep will really start with. The time is a forecast (`harness.search.forecast`) from
a probe of each arm, here and now, on one core or on the GPU that there is.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from harness.console import duration
from harness.space import Arm, CategoricalParameter, Resources, Space
from harness.space.parameters import AnyParameter
from harness.space.strategies import NoPruner, Nsga2
from harness.training.config.run_config import RunConfig
from harness.tuning.cluster.address import ClusterError

if TYPE_CHECKING:
    from harness.search.forecast import Cost
    from harness.tuning.trial import Trial

FIRST = 5
PROBED = 3  # trials of each arm
STARTUP_SECONDS = 15.0  # Ray's start and the workers' imports, on two cores


@dataclass(frozen=True)
class Devices:
    """What there will be elsewhere: so many GPUs of a kind, or cores."""

    count: int
    kind: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """From 8xH100, or 64xCPU for cores.

        Raises:
            ValueError: it is neither.
        """
        found = re.fullmatch(r"([1-9]\d*)\s*[x×]\s*(\w[\w.-]*)", text.strip())
        if found is None:
            raise ValueError(f"expected a number of GPUs and their kind, as in 8xH100, or 64xCPU, got '{text}'")
        return cls(int(found[1]), found[2])

    @property
    def cores(self) -> bool:
        return self.kind.upper() == "CPU"

    def share(self, need: Resources) -> float:
        """What of one a trial holds."""
        return need.cpu if self.cores else 1.0 if need.gpu is None else need.gpu

    def fits(self, need: Resources) -> int:
        """Trials that fit at once, where each holds some."""
        return int(self.count / self.share(need) + 1e-9)

    def __str__(self) -> str:
        one = "core" if self.cores else self.kind
        return f"{self.count} {one}{'s' if self.count > 1 and one in ('core', 'GPU') else ''}"


def room(need: Resources, cores: int, gpus: int) -> tuple[str, int]:
    """A machine in words, and how many trials it has room for; where it has no GPU, none is held."""
    of_cores, of_gpus = Devices(cores, "CPU"), Devices(gpus, "GPU")
    if not gpus or not of_gpus.share(need):
        return str(of_cores), of_cores.fits(need)
    return f"{of_cores} and {of_gpus}", min(of_cores.fits(need), of_gpus.fits(need))


def check(space: Space, devices: Devices) -> None:
    """Return if a trial fits on them.

    Raises:
        ClusterError: it does not, or holds none of them.
    """
    share = devices.share(space.search.resources)
    if not 0 < share <= devices.count:
        name = "cpu" if devices.cores else "gpu"
        raise ClusterError(
            f"search.resources.{name}: expected a trial to hold some of {devices}, got {share:g}; "
            f"--set search.resources.{name}=1"
        )


def plan(space: Space, devices: Devices | None = None) -> str:
    """The plan in words, some lines to an arm, for this machine or for `devices`. Creates nothing.

    Raises:
        ClusterError: no trial fits on them.
    """
    if devices is not None:
        check(space, devices)
    shares = space.shares()
    lines = [f"to {', '.join(map(str, space.objectives))}{': the Pareto front' if space.several else ''}"]
    for arm in space.arms:
        lines += ["", f"{arm.name} ({arm.role}, {arm.method}): {shares[arm.name]} trials", *_settings(arm)]
    trials = _suggestions(space)
    lines += ["", "first suggestions"]
    lines += [f"  {trial.name:<20}{_values(trial.params)}" for trial in trials[:FIRST]]
    return "\n".join([*lines, *_generations(space), "", *_times(space, trials, devices)])


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
    from harness.tuning.study.sweep_study import SweepStudy

    with TemporaryDirectory() as folder:
        ledger = SweepStudy(Path(folder) / "study.journal", space)
        trials = []
        while (trial := ledger.next()) is not None:
            trials.append(trial)
        return trials


def _times(space: Space, trials: "list[Trial]", devices: Devices | None) -> list[str]:
    """How long it takes on this machine; or on devices elsewhere, for each number of workers."""
    import torch  # and the data of the probe: seconds

    from harness.search.forecast import forecast, sizes, thriftiest

    torch.set_num_threads(1)
    costs = _costs(space, trials)
    limit = space.search.concurrency
    seeds = space.search.seeds_per_trial
    what = f"{len(trials)} trials{f' on {seeds} seeds each' if seeds > 1 else ''}"
    if devices is None:
        here, fits = room(space.search.resources, os.cpu_count() or 1, torch.cuda.device_count())
        workers = max(1, min(limit or fits, fits))
        expected = forecast(space, costs, workers, STARTUP_SECONDS)
        whole = forecast(_unpruned(space), costs, workers, STARTUP_SECONDS)
        saved = "" if isinstance(space.search.pruner, NoPruner) else f", {duration(whole.seconds)} if none were stopped"
        return [f"{what}, {workers} at a time on {here} here: about {duration(expected.seconds)}{saved}"]
    share = devices.share(space.search.resources)
    most = min(limit or len(trials), len(trials), devices.fits(space.search.resources))
    expected_on = [forecast(space, costs, workers, STARTUP_SECONDS) for workers in sizes(most)]
    best = thriftiest(expected_on)
    unit = "core" if devices.cores else "GPU"
    rows = [
        f"  {each.workers:>7}  {duration(each.seconds):>9}  {duration(each.held * share):>{len(unit) + 10}}  "
        f"{100 * each.idle:>4.0f} %"
        for each in expected_on
    ]
    probed = "the GPU" if torch.cuda.is_available() else "a core"
    return [
        f"{what} on {devices}, {share:g} for each; if a trial is as fast there as on {probed} here:",
        f"  workers       time  {unit} time held    idle",
        *rows,
        f"least is wasted at about full speed with --concurrency {best.workers}",
    ]


def _costs(space: Space, trials: "list[Trial]") -> "dict[str, Cost]":
    """The mean over the first few trials of each arm."""
    from harness.search.forecast import Cost
    from harness.search.probe import epoch_seconds

    costs = {}
    for arm in space.arms:
        own = [trial.config for trial in trials if trial.arm == arm.name]
        probed = [epoch_seconds(config) for config in own[:PROBED]]
        if probed:
            epoch, before = (
                space.search.seeds_per_trial * sum(each) / len(probed) for each in zip(*probed, strict=True)
            )
            costs[arm.name] = Cost(epoch, before)
    return costs


def _unpruned(space: Space) -> Space:
    search = space.search.model_copy(update={"pruner": NoPruner(type="none")})
    return space.model_copy(update={"search": search})
