"""Arm: one training method with its fixed settings and its parameters."""

from collections.abc import Callable, Mapping
from typing import Annotated, Literal

from pydantic import Field, field_validator

from harness.space.base import FrozenModel, Value
from harness.space.document import ArmName
from harness.space.parameters import AnyParameter, CategoricalParameter
from harness.space.settings import Parameters, Settings
from harness.training.config.run_config import MethodName, RunConfig

Role = Literal["arm", "baseline"]


class Arm(FrozenModel):
    """A method, its fixed settings and its parameters.

    `fixed` and `parameters` together hold every setting of a run but the method. A setting in both is a parameter with
    `when`, whose fixed value holds while the parameter is inactive. A parameter follows those that its `when` names.
    """

    name: ArmName
    role: Role
    method: MethodName
    fixed: Settings
    parameters: Parameters
    points: Annotated[tuple[Settings, ...], Field(strict=False)] = ()

    @field_validator("parameters")
    @classmethod
    def _sort_topologically(cls, parameters: Parameters) -> Parameters:
        ordered: dict[str, AnyParameter] = {}
        waiting = list(parameters)
        while waiting:
            ready = (name for name in waiting if (parameters[name].when or {}).keys() <= ordered.keys())
            name = next(ready, waiting[0])  # `harness.space.resolve` reports conditions in a cycle
            waiting.remove(name)
            ordered[name] = parameters[name]
        return ordered

    def sample(self, draw: Callable[[str, AnyParameter], Value]) -> dict[str, Value]:
        """Draw a value for each parameter that is active under the values drawn before: `draw(name, parameter)`."""
        values: dict[str, Value] = {}
        for name, parameter in self.parameters.items():
            if parameter.is_active({**self.fixed, **values}):
                values[name] = draw(name, parameter)
        return values

    @property
    def is_conditional(self) -> bool:
        """Whether any parameter has a condition (`when`)."""
        return any(parameter.when for parameter in self.parameters.values())

    @property
    def max_epochs(self) -> int:
        """Epochs of the longest run of the arm."""
        parameter = self.parameters.get("epochs")
        searched = parameter.choices if isinstance(parameter, CategoricalParameter) else parameter and parameter.ends
        return max(map(int, (self.fixed.get("epochs", 0), *(searched or ()))))

    def config(self, params: Mapping[str, Value]) -> RunConfig:
        """The configuration of a trial by the values of its active parameters; ValueError if these do not fit."""
        missing = object()
        active = self.sample(lambda name, parameter: params.get(name, missing))  # type: ignore[arg-type]
        if missing in active.values() or active.keys() != params.keys():
            raise ValueError(f"arm {self.name} expects {list(active)}, got {list(params)}")
        return RunConfig.model_validate({"method": self.method, **self.fixed, **params})
