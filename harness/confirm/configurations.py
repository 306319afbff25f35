"""Which configurations of a search are trained again, and on which fresh seeds."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from harness.common.seeds import consecutive_seeds, derive_seed
from harness.space import Space
from harness.space.arm import Role
from harness.training.config.run_config import RunConfig
from harness.tuning.study.trial_record import TrialRecord, pareto_front


@dataclass(frozen=True, eq=False)
class Configuration:
    """The settings of a trial of the search. `value` is the (first) objective that the search measured."""

    arm: str
    role: Role
    trial: int
    params: dict[str, Any]
    config: RunConfig
    value: float

    @property
    def name(self) -> str:
        return f"{self.arm}-{self.trial}"


def choose_configurations(space: Space, records: Iterable[TrialRecord], top: int) -> list[Configuration]:
    """The best `top` configurations of each arm and the best one of each baseline, by the search's objective.

    Only complete trials that kept the constraints count; of trials with equal settings, the first. With several
    objectives only trials on the arm's own Pareto front count, ranked by the first objective.
    """
    records = list(records)
    chosen = []
    for arm in space.arms:
        own = [record for record in records if record.arm == arm.name and record.values and record.feasible]
        by_settings: dict[RunConfig, TrialRecord] = {}
        for record in pareto_front(own, space) if space.is_multi_objective else own:
            settings = arm.config(record.params).model_copy(update={"seed": 0})
            by_settings.setdefault(settings, record)
        ranked = sorted(by_settings.values(), key=lambda record: space.utilities(record.values), reverse=True)
        for record in ranked[: top if arm.role == "arm" else 1]:
            config = arm.config(record.params)
            chosen.append(Configuration(arm.name, arm.role, record.number, record.params, config, record.values[0]))
    return chosen


def fresh_seeds(space: Space, records: Iterable[TrialRecord]) -> Iterator[int]:
    """Infinitely many seeds, derived from the search's seed; no trial of the search used one of them."""
    first_seeds = {space.arm(record.arm).config(record.params).seed for record in records}
    used = {seed for first in first_seeds for seed in consecutive_seeds(first, space.search.seeds_per_trial)}
    index = 0
    while True:
        seed = derive_seed(space.search.seed, f"confirmation:{index}") % 2**31
        if seed not in used:
            used.add(seed)
            yield seed
        index += 1
