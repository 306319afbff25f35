"""A space in which nothing is left to look up: what `load` returns and everything above reads."""

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from harness.space.constraints import Constraint
from harness.space.document import ArmName, Name, Objective, Search
from harness.space.parameters import AnyParameter, CategoricalParameter, Frozen, IntParameter, Value
from harness.space.settings import Parameters, Settings
from harness.training.config.run_config import Method, RunConfig

Role = Literal["arm", "baseline"]


class Arm(Frozen):
    """A method, every setting that is fixed in it, and every one that is searched.

    Together `fixed` and `parameters` name every setting of a run but the method. What both name is a parameter with
    `when`: the fixed value holds where the parameter does not exist. A parameter stands after those its `when` names.
    """

    name: ArmName
    role: Role
    method: Method
    fixed: Settings
    parameters: Parameters
    points: Annotated[tuple[Settings, ...], Field(strict=False)] = ()

    @field_validator("parameters")
    @classmethod
    def _parents_first(cls, parameters: Parameters) -> Parameters:
        placed: dict[str, AnyParameter] = {}
        waiting = list(parameters)
        while waiting:
            # Conditions in a circle have no first; `harness.space.resolve` complains of them.
            free = (name for name in waiting if (parameters[name].when or {}).keys() <= placed.keys())
            name = next(free, waiting[0])
            waiting.remove(name)
            placed[name] = parameters[name]
        return placed

    def draw(self, pick: Callable[[str, AnyParameter], Value]) -> dict[str, Value]:
        """A value for each parameter that exists, `pick(name, parameter)`, beside those picked before it."""
        drawn: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            if parameter.active({**self.fixed, **drawn}):
                drawn[name] = pick(name, parameter)
        return drawn

    @property
    def conditional(self) -> bool:
        """Whether a parameter exists beside some values of others alone."""
        return any(parameter.when for parameter in self.parameters.values())

    @property
    def most_epochs(self) -> int:
        """Epochs of the longest run that the arm may make."""
        every = [self.fixed["epochs"]] if "epochs" in self.fixed else []
        match self.parameters.get("epochs"):
            case CategoricalParameter() as searched:
                every += searched.choices
            case IntParameter() as searched:
                every.append(searched.high)
        return max(map(int, every))

    def config(self, params: Mapping[str, Value]) -> RunConfig:
        """The run that a trial of this arm makes.

        Args:
            params: a value for each parameter of the arm that exists beside the others.

        Raises:
            ValueError: a value is missing, is of no parameter that exists, or makes no run with the others.
        """
        missing = object()
        existing = self.draw(lambda name, parameter: params.get(name, missing))  # type: ignore[arg-type]
        if missing in existing.values() or existing.keys() != params.keys():
            raise ValueError(f"arm {self.name} takes {list(existing)} and got {list(params)}")
        return RunConfig.model_validate({"method": self.method, **self.fixed, **params})


class Space(Frozen):
    """What is studied, against what, and how: one validated, frozen value."""

    study: Name
    arms: tuple[Arm, ...]
    objectives: Annotated[tuple[Objective, ...], Field(strict=False, min_length=1)]
    constraints: Annotated[tuple[Constraint, ...], Field(strict=False)] = ()
    search: Search

    @property
    def objective(self) -> Objective:
        """The only objective, or the first of several: what a run is good for."""
        return self.objectives[0]

    @property
    def several(self) -> bool:
        """Whether the result is a Pareto front, and not one best trial."""
        return len(self.objectives) > 1

    def gains(self, values: Iterable[float]) -> tuple[float, ...]:
        """A trial's values, one an objective, each turned so that more is better."""
        return tuple(objective.sign * value for objective, value in zip(self.objectives, values, strict=True))

    def arm(self, name: str) -> Arm:
        """The arm or baseline of that name; KeyError where there is none."""
        return {arm.name: arm for arm in self.arms}[name]

    def shares(self) -> dict[str, int]:
        """Trials of each arm: an even share of `search.trials`, the remainder to the first arms."""
        each, over = divmod(self.search.trials, len(self.arms))
        return {arm.name: each + (position < over) for position, arm in enumerate(self.arms)}
