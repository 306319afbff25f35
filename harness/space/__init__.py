"""Search spaces: from a YAML file or from Python values to one frozen, validated `Space`.

    text ──yaml_file──▶ keys ──document──▶ types ──resolve──▶ arms ──▶ Space
                          └────────────── errors ──────────────┘

`Space(…)` takes the keys of a space file as Python values; `load` and `parse` read them from YAML. Each raises one
`SpaceError` with all problems. The settings that a space fixes or searches are the fields of `RunConfig`. The package
needs pydantic and PyYAML alone; `harness.tuning` translates a space to Optuna.
"""

from harness.space.arm import Arm
from harness.space.base import Value
from harness.space.constraints import Constraint
from harness.space.document import Objective, Resources, Search, StopWhen
from harness.space.errors.problems import Problem, SpaceError
from harness.space.parameters import CategoricalParameter, FloatParameter, IntParameter
from harness.space.space import Space
from harness.space.yaml_file.canonical import difference, dump
from harness.space.yaml_file.load import load, parse

__all__ = [
    "Arm",
    "CategoricalParameter",
    "Constraint",
    "FloatParameter",
    "IntParameter",
    "Objective",
    "Problem",
    "Resources",
    "Search",
    "Space",
    "SpaceError",
    "StopWhen",
    "Value",
    "difference",
    "dump",
    "load",
    "parse",
]
