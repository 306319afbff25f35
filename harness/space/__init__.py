"""A space file → one frozen, validated `Space`: what is studied, against what, and how it is searched.

    text  ──source──▶  data with lines  ──overrides──▶  data  ──document──▶  types  ──resolve──▶  Space
                           └────────────── problems ──────────────┴── explain ──┘

`load` is the way in. It either gives a `Space` or raises one `SpaceError` with every problem found, a line each. The
types rest on `harness.training.config.RunConfig`: what may be fixed or searched are its fields, within the
bounds they have there. Needs pydantic and PyYAML alone, and knows of no sampler's library: what an arm's parameters are
to Optuna is decided in `harness.tuning`.
"""

from harness.space.constraints import Constraint
from harness.space.document import Objective, Resources, Search, StopWhen
from harness.space.errors.problems import Problem, SpaceError
from harness.space.load import find, load, parse
from harness.space.parameters import CategoricalParameter, FloatParameter, IntParameter, Value
from harness.space.record import difference, dump
from harness.space.spec import Arm, Space

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
    "find",
    "load",
    "parse",
]
