"""`--warm-start NAME:3`: the best configurations of an earlier sweep are tried first.

They become points of the space, and so part of its space.yaml. provenance.json records where they came from. The same
command later reads them from there, even if the earlier sweep has changed or is gone.

Arms are matched by name and method, parameters by name. Only complete trials that kept their own constraints count,
ranked by this space's (first) objective after the last epoch. Values that a parameter does not contain are left out,
and suggested by the sampler instead.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.common.errors import InputError
from harness.common.formatting import format_setting
from harness.results.provenance import Provenance, WarmStartOrigin, WarmStartPoint
from harness.space import Arm, CategoricalParameter, IntParameter, Space, SpaceError, load
from harness.space.base import Value
from harness.space.parameters import AnyParameter
from harness.tuning.storage.sweep_folder import FolderError, find_sweep

if TYPE_CHECKING:
    from harness.tuning.study.trial_record import TrialRecord

DEFAULT_COUNT = 3
FLAG = "--warm-start"


@dataclass(frozen=True)
class WarmStart:
    """A space with points of an earlier sweep before its own.

    Attributes:
        space: the space with these points.
        origin: the earlier sweep and its points, as provenance.json holds them.
        left_out: one line for each value that was left out.
    """

    space: Space
    origin: WarmStartOrigin
    left_out: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        arms = ", ".join(f"{len(points)} of {arm}" for arm, points in self.origin.points.items())
        return f"warm start from {self.origin.sweep}: {arms} first"


def warm_start(space: Space, text: str, runs_dir: Path, target: Path) -> WarmStart:
    """`space` with the best configurations of an earlier sweep as the first points of its arms.

    Args:
        text: NAME, or NAME:K for the best K of each arm; NAME is a sweep in `runs_dir`, or the path of one.
        target: the folder of the new sweep.

    Raises:
        FolderError: there is no such sweep.
        InputError: it has no points for this space.
    """
    name, count = _parse(text)
    if space.search.sampler.type == "grid":
        raise InputError(f"{FLAG}: expected a sampler that suggests, got grid, which tries everything; leave it out")
    provenance = Provenance.load_or_none(target)
    recorded = provenance.warm_start if provenance is not None else None
    if recorded is not None and (recorded.sweep, recorded.best) == (name, count):
        return _with_points(space, recorded)
    is_path = Path(name).name != name and (Path(name) / "study.journal").is_file()
    earlier = Path(name) if is_path else find_sweep(runs_dir, name, FLAG)
    if earlier.resolve() == target.resolve():
        raise InputError(f"{FLAG}: expected an earlier sweep, got the one to run; leave it out, or choose a --name")
    points, left_out = _best_points(space, earlier, count)
    earlier_provenance = Provenance.load_or_none(earlier)
    commit = None if earlier_provenance is None else earlier_provenance.git.commit
    origin = WarmStartOrigin(sweep=name, best=count, folder=str(earlier), commit=commit, points=points)
    return _with_points(space, origin, left_out)


def earlier_sweep(text: str) -> str:
    """The name of the sweep in a value of --warm-start."""
    return _parse(text)[0]


def _parse(text: str) -> tuple[str, int]:
    name, colon, count = text.rpartition(":")
    if not colon:
        return text, DEFAULT_COUNT
    if not name or not count.isdecimal() or int(count) < 1:
        raise InputError(f"{FLAG}: expected NAME or NAME:K, the best K of each arm, got '{text}'")
    return name, int(count)


def _with_points(space: Space, origin: WarmStartOrigin, left_out: Sequence[str] = ()) -> WarmStart:
    def with_points(arm: Arm) -> Arm:
        first = [start.point for start in origin.points.get(arm.name, [])]
        return arm.model_copy(update={"points": (*first, *(p for p in arm.points if dict(p) not in first))})

    arms = tuple(map(with_points, space.arms))
    return WarmStart(space.model_copy(update={"arms": arms}), origin, list(dict.fromkeys(left_out)))


def _best_points(space: Space, earlier: Path, count: int) -> tuple[dict[str, list[WarmStartPoint]], list[str]]:
    """Points of each arm that both spaces have, with the trials they come from; and what was left out of them."""
    from harness.tuning.study.sweep_study import read_trial_records  # Optuna takes a second to import

    try:
        before = load(earlier / "space.yaml")
        records = read_trial_records(earlier / "study.journal", before)
    except (SpaceError, FolderError) as error:
        raise InputError(f"{FLAG} {earlier}: expected a sweep that can be read; {error}") from error
    earlier_arms = {(arm.name, arm.method) for arm in before.arms}
    shared = [arm for arm in space.arms if (arm.name, arm.method) in earlier_arms]
    if not shared:
        got = ", ".join(f"{name} ({method})" for name, method in sorted(earlier_arms))
        want = ", ".join(f"{arm.name} ({arm.method})" for arm in space.arms)
        raise InputError(f"{FLAG}: expected an arm of this space, {want}, in {earlier}, got {got}; rename one")
    left_out: list[str] = []
    points = {arm.name: list(_points(space, arm, records, count, left_out)) for arm in shared}
    if not any(points.values()):
        raise InputError(
            f"{FLAG}: expected complete trials in {earlier} with parameters that are searched here, got none; "
            "go on with that sweep, or leave this out"
        )
    return points, left_out


def _points(
    space: Space, arm: Arm, records: "Sequence[TrialRecord]", count: int, left_out: list[str]
) -> Iterator[WarmStartPoint]:
    """Up to `count` different points of an arm, best first; appends to `left_out`."""
    metric = space.objective.metric
    sign = 1 if space.objective.direction == "maximize" else -1
    own = [r for r in records if r.arm == arm.name and r.state == "complete" and r.feasible and metric in r.metrics]
    points: list[dict[str, Value]] = []
    for record in sorted(own, key=lambda record: -sign * record.metrics[metric]):
        if len(points) == count:
            return
        point: dict[str, Value] = {}
        for name, parameter in arm.parameters.items():
            if name not in record.params:
                continue
            value = record.params[name]
            if not parameter.contains(value):
                range_ = describe_range(parameter)
                left_out.append(
                    f"{name} {format_setting(value)} of {record.name} is not in {range_}: left to be suggested"
                )
            elif parameter.is_active(point):
                point[name] = int(value) if isinstance(parameter, IntParameter) else value
        if point and point not in points:
            points.append(point)
            yield WarmStartPoint(trial=record.name, point=point)


def describe_range(parameter: AnyParameter, *, full: bool = False) -> str:
    """The values of a parameter as text; `full`: with their scale, step and condition."""
    if isinstance(parameter, CategoricalParameter):
        values = ("one of " if full else "") + ", ".join(map(str, parameter.choices))
    else:
        values = f"{format_setting(parameter.low)} … {format_setting(parameter.high)}"
        values += " (log)" if full and parameter.log else ""
        values += f" in steps of {parameter.step}" if full and parameter.step not in (None, 1) else ""
    return values + (f" when {dict(parameter.when)}" if full and parameter.when else "")
