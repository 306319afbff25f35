"""`--warm-start NAME:3`: the best configurations of an earlier sweep, tried first in this one.

They become points of the space, so that they are part of the question the sweep asks, and its space.yaml holds them.
Where they came from stands in provenance.json; from there the same command again takes them, whatever became of the
earlier sweep in the meantime.

Arms are matched by name and method, parameters by name. An earlier trial counts where it is complete and kept its own
constraints; the best are those of this space's objective, of several the first, after the last epoch. What an arm's
parameters cannot take is left to be suggested.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from harness.common.errors import HarnessError
from harness.results.provenance import Provenance, WarmStartOrigin, WarmStartPoint
from harness.space import Arm, CategoricalParameter, IntParameter, Space, SpaceError, load
from harness.space.parameters import AnyParameter, Value, same
from harness.tuning.storage.sweep_folder import FolderError, find_sweep

if TYPE_CHECKING:
    from harness.tuning.study.trial_record import TrialRecord

BEST = 3
FLAG = "--warm-start"


class NoWarmStart(HarnessError):
    """The earlier sweep gives nothing to start from; says what to do."""


@dataclass(frozen=True)
class WarmStart:
    """A space with points of an earlier sweep before its own.

    Args:
        space: the space so changed.
        origin: the earlier sweep and its points, kept in provenance.json.
        left_out: what of them the space does not take, a line each.
    """

    space: Space
    origin: WarmStartOrigin
    left_out: list[str] = field(default_factory=list)

    @property
    def line(self) -> str:
        """What was found, in a line."""
        arms = ", ".join(f"{len(points)} of {arm}" for arm, points in self.origin.points.items())
        return f"warm start from {self.origin.sweep}: {arms} first"


def warm_start(space: Space, text: str, runs_dir: Path, target: Path) -> WarmStart:
    """`space`, with the best of an earlier sweep as the first points of its arms.

    Args:
        text: NAME, or NAME:K for the best K of each arm; NAME is a sweep in `runs_dir`, or the path of one.
        target: the folder of the sweep to come.

    Raises:
        FolderError: there is no such sweep.
        NoWarmStart: it has nothing to offer, or this space no use for it.
    """
    name, best = _parsed(text)
    if space.search.sampler.type == "grid":
        raise NoWarmStart(f"{FLAG}: expected a sampler that suggests, got grid, which tries everything; leave it out")
    known = _recorded(target, name, best)
    if known is not None:
        return _with_points(space, known)
    is_path = Path(name).name != name and (Path(name) / "study.journal").is_file()
    earlier = Path(name) if is_path else find_sweep(runs_dir, name, FLAG)
    if earlier.resolve() == target.resolve():
        raise NoWarmStart(f"{FLAG}: expected an earlier sweep, got the one to run; leave it out, or choose a --name")
    points, left_out = _best_of(space, earlier, best)
    earlier_provenance = Provenance.load_or_none(earlier)
    commit = earlier_provenance.git.commit if earlier_provenance else None
    origin = WarmStartOrigin(sweep=name, best=best, folder=str(earlier), commit=commit, points=points)
    return _with_points(space, origin, left_out)


def earlier_sweep(text: str) -> str:
    """The sweep that a value of --warm-start names."""
    return _parsed(text)[0]


def _parsed(text: str) -> tuple[str, int]:
    name, colon, count = text.rpartition(":")
    if not colon:
        return text, BEST
    if not name or not count.isdecimal() or int(count) < 1:
        raise NoWarmStart(f"{FLAG}: expected NAME or NAME:K, the best K of each arm, got '{text}'")
    return name, int(count)


def _recorded(target: Path, name: str, best: int) -> WarmStartOrigin | None:
    """Origin that this sweep was started with before, if it was for the same arguments."""
    provenance = Provenance.load_or_none(target)
    origin = provenance.warm_start if provenance else None
    return origin if origin and (origin.sweep, origin.best) == (name, best) else None


def _with_points(space: Space, origin: WarmStartOrigin, left_out: Sequence[str] = ()) -> WarmStart:
    def started(arm: Arm) -> Arm:
        first = [each.point for each in origin.points.get(arm.name, [])]
        own = [point for point in arm.points if dict(point) not in first]
        return arm.model_copy(update={"points": (*first, *own)})

    return WarmStart(
        space.model_copy(update={"arms": tuple(map(started, space.arms))}), origin, list(dict.fromkeys(left_out))
    )


def _best_of(space: Space, earlier: Path, best: int) -> tuple[dict[str, list[WarmStartPoint]], list[str]]:
    """Points of each arm that both spaces have, and what of them was left out."""
    from harness.tuning.study.sweep_study import read_trial_records  # Optuna takes a second to import

    try:
        before = load(earlier / "space.yaml")
        entries = read_trial_records(earlier / "study.journal", before)
    except (SpaceError, FolderError) as error:
        raise NoWarmStart(f"{FLAG} {earlier}: expected a sweep that can be read; {error}") from error
    there = {(arm.name, arm.method) for arm in before.arms}
    shared = [arm for arm in space.arms if (arm.name, arm.method) in there]
    if not shared:
        had = ", ".join(f"{name} ({method})" for name, method in sorted(there))
        want = ", ".join(f"{arm.name} ({arm.method})" for arm in space.arms)
        raise NoWarmStart(f"{FLAG}: expected an arm of this space, {want}, in {earlier}, got {had}; rename one")
    left_out: list[str] = []
    points = {arm.name: list(_points(space, arm, entries, best, left_out)) for arm in shared}
    if not any(points.values()):
        raise NoWarmStart(
            f"{FLAG}: expected complete trials in {earlier} with parameters that are searched here, got none; "
            "go on with that sweep, or leave this out"
        )
    return points, left_out


def _points(
    space: Space, arm: Arm, entries: "Sequence[TrialRecord]", best: int, left_out: list[str]
) -> Iterator[WarmStartPoint]:
    seen: list[dict[str, Value]] = []
    for entry in _ranked(space, arm, entries):
        if len(seen) == best:
            return
        point, words = _taken(arm, entry)
        left_out += words
        if point and point not in seen:
            seen.append(point)
            yield WarmStartPoint(trial=entry.name, point=point)


def _ranked(space: Space, arm: Arm, entries: "Sequence[TrialRecord]") -> "list[TrialRecord]":
    """The arm's complete trials that kept their constraints, the best first, the earlier of equals first."""
    metric = space.objective.metric
    sign = 1 if space.objective.direction == "maximize" else -1
    own = [e for e in entries if e.arm == arm.name and e.state == "complete" and e.feasible and metric in e.metrics]
    return sorted(own, key=lambda entry: -sign * entry.metrics[metric])


def _taken(arm: Arm, entry: "TrialRecord") -> tuple[dict[str, Value], list[str]]:
    """What the arm's parameters take of a trial's, and words on what they do not."""
    point: dict[str, Value] = {}
    words = []
    for name, parameter in arm.parameters.items():
        if name not in entry.params:
            continue
        value = entry.params[name]
        if not parameter.contains(value):
            words.append(f"{name} {_shown(value)} of {entry.name} is not in {_range(parameter)}: left to be suggested")
        elif all(other not in point or same(point[other], among) for other, among in (parameter.when or {}).items()):
            point[name] = int(value) if isinstance(parameter, IntParameter) else value
    return point, words


def _shown(value: Value) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _range(parameter: AnyParameter) -> str:
    if isinstance(parameter, CategoricalParameter):
        return ", ".join(map(str, parameter.choices))
    return f"{_shown(parameter.low)} … {_shown(parameter.high)}"
