"""A space in which nothing is left to look up: what `load` returns and everything above reads."""

from collections.abc import Mapping
from typing import Literal

from harness.space.document import ArmName, Name, Objective, Search
from harness.space.parameters import Frozen, Value
from harness.space.settings import Parameters, Settings
from harness.training.config import Method, RunConfig

Role = Literal["arm", "baseline"]


class Arm(Frozen):
    """A method, every setting that is fixed in it, and every one that is searched.

    `fixed` and `parameters` share no name and together name every setting of a run but the method.
    """

    name: ArmName
    role: Role
    method: Method
    fixed: Settings
    parameters: Parameters

    def config(self, params: Mapping[str, Value]) -> RunConfig:
        """The run that a trial of this arm makes.

        Args:
            params: a value for each parameter of the arm.

        Raises:
            ValueError: a parameter is missing or not one of this arm's, or a run cannot be had with these
            values.
        """
        if params.keys() != self.parameters.keys():
            raise ValueError(f"arm {self.name} takes {sorted(self.parameters)} and got {sorted(params)}")
        return RunConfig.model_validate({"method": self.method, **self.fixed, **params})


class Space(Frozen):
    """What is studied, against what, and how: one validated, frozen value."""

    study: Name
    arms: tuple[Arm, ...]
    objective: Objective
    search: Search

    def arm(self, name: str) -> Arm:
        """The arm or baseline of that name; KeyError where there is none."""
        return {arm.name: arm for arm in self.arms}[name]

    def shares(self) -> dict[str, int]:
        """Trials of each arm: an even share of `search.trials`, the remainder to the first arms."""
        each, over = divmod(self.search.trials, len(self.arms))
        return {arm.name: each + (position < over) for position, arm in enumerate(self.arms)}
