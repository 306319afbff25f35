"""What a person sees of a sweep: one moving line while it runs, a table at its end.

On a terminal the line is a bar that redraws itself; into a pipe or file it is a plain line when something has ended,
and one a minute where nothing has.
"""

import math
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from harness.tracking.spool.events import EpochMetrics, Event, TrialEnded, TrialStarted, TrialWarning

PLAIN_LINE_SECONDS = 5.0
SILENT_SECONDS = 60.0
BAR_WIDTH = 16


class SweepProgress:
    """A listener of a ledger that shows how far its sweep is.

    Args:
        trials: the budget.
        ended: trials that ended before this sitting.
        metric, direction: the objective.
        best: the best value before this sitting, and the name of its trial.
        several: whether the objective is the first of several.
        began: when the user's command began, as of `time.monotonic`.
        noun: what is counted.
        ranked: whether a best so far is worth showing.
        quiet: show nothing.
        every: seconds between plain lines, at least.
    """

    def __init__(
        self,
        trials: int,
        *,
        metric: str,
        direction: str,
        ended: int = 0,
        failed: int = 0,
        best: tuple[float, str] | None = None,
        several: bool = False,
        began: float | None = None,
        noun: str = "trials",
        ranked: bool = True,
        verbose: bool = False,
        quiet: bool = False,
        console: Console | None = None,
        every: float = PLAIN_LINE_SECONDS,
    ) -> None:
        self.trials, self.ended, self.failed, self.best = trials, ended, failed, best
        self.metric, self.sign = metric, 1 if direction == "maximize" else -1
        self.noun, self.ranked = noun, ranked
        self.of = f"{metric} " if several else ""
        self.verbose, self.every = verbose, every
        self.console = console or Console(highlight=False, quiet=quiet)
        self.running: dict[int, str] = {}
        self.latest: dict[int, float] = {}
        self.ended_before = ended
        self.began = began or time.monotonic()
        self.first_result: float | None = None
        self.spoke = self.began
        self.told = ended
        self.bar: Progress | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            self.bar = Progress(
                BarColumn(bar_width=BAR_WIDTH),
                TextColumn("{task.description}"),
                console=self.console,
                transient=True,
            )
            self.task = self.bar.add_task("starting Ray …", total=self.trials, completed=self.ended)
            self.bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
        elif self.first_result is not None and kind is None:
            self.console.print(self.line, soft_wrap=True)

    def __call__(self, record: Event) -> None:
        match record:
            case TrialStarted():
                self.running[record.trial] = record.name
            case EpochMetrics():
                self.latest[record.trial] = record.metrics[self.metric]
                if self.first_result is None:
                    self._tell_first(record)
            case TrialEnded():
                self._count(record)
            case TrialWarning():
                self.console.print(record.text, soft_wrap=True, markup=False)
            case _:
                pass
        self._show()

    @property
    def line(self) -> str:
        """Trials done, running, failed; the best so far; the time left. On a terminal, of these what fits the line."""
        left = self._seconds_left()
        best = self.best if self.ranked else None
        parts: dict[str, str] = {
            "done": f"{self.ended}/{self.trials} {self.noun}",
            "running": f"{len(self.running)} running",
            "failed": f"{self.failed} failed",
            "best": f"best {self.of}{best[0]:.3f} ({best[1]})" if best else "",
            "left": f"about {duration(left)} left" if left is not None and self.ended < self.trials else "",
        }
        least = ["running", *([] if self.failed else ["failed"]), "best"]  # matters
        room = self.console.width - BAR_WIDTH - 1 if self.console.is_terminal else math.inf
        while len(line := " · ".join(filter(None, parts.values()))) > room and least:
            del parts[least.pop(0)]
        return line

    def _tell_first(self, record: EpochMetrics) -> None:
        # What comes before it is the start of a worker, which later trials do not wait for.
        self.first_result = time.monotonic()
        waited = self.first_result - self.began
        reached = f"{self.running[record.trial]}, epoch {record.step}, {self.metric} {self.latest[record.trial]:.3f}"
        self._say(f"first result after {waited:.1f} s: {reached}")

    def _count(self, record: TrialEnded) -> None:
        name = self.running.pop(record.trial, str(record.trial))
        self.ended += 1
        self.failed += record.state == "failed"
        value = self.latest.pop(record.trial, None)
        if (
            record.state == "complete"
            and value is not None
            and (self.best is None or self.sign * value > self.sign * self.best[0])
        ):
            self.best = (value, name)
        if self.verbose:
            shown = "" if value is None else f", {self.metric} {value:.3f}"
            self._say(f"{name}: {record.state}{shown}{': ' + record.reason if record.reason else ''}")

    def _seconds_left(self) -> float | None:
        here = self.ended - self.ended_before
        if self.first_result is None or here == 0:
            return None
        # Trials under way count as half done: else the estimate starts out far too long.
        pace = (time.monotonic() - self.first_result) / (here + 0.5 * len(self.running))
        return pace * max(0.0, self.trials - self.ended - 0.5 * len(self.running))

    def _say(self, text: str) -> None:
        if self.verbose or self.bar is None:
            self.console.print(text, soft_wrap=True, markup=False)

    def _show(self) -> None:
        if self.bar is not None:
            self.bar.update(self.task, completed=self.ended, description=self.line)
        elif self.first_result is not None:
            silent = time.monotonic() - self.spoke
            if silent > (self.every if self.ended > self.told else max(self.every, SILENT_SECONDS)):
                self.spoke, self.told = time.monotonic(), self.ended
                self.console.print(self.line, soft_wrap=True)


def results_table(summary: Mapping[str, Any]) -> Table:
    """The arms of a sweep, best first: accuracy, labels put right, parameters; of several objectives, the front."""
    if "front" in summary:
        return _front_table(summary)
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("arm", no_wrap=True)
    table.add_column("trials", justify="right")
    seeds = summary.get("seeds_per_trial", 1)
    over = "" if seeds == 1 else f",\n{seeds} seeds"
    table.add_column(f"validation\naccuracy{over}", justify="right")
    table.add_column("wrong labels\nput right", justify="right")
    table.add_column("parameters", overflow="fold")
    ranked = sorted(summary["arms"].items(), key=lambda item: -(item[1]["val_accuracy"] or 0.0))
    for name, arm in ranked:
        params = arm["params"] or {}
        table.add_row(
            name,
            str(arm["trials"]),
            _share(arm["val_accuracy"]) + _spread(arm),
            _share(arm["noisy_labels_corrected"], percent=True),
            "\n".join(f"{key} {escape(_short(value))}" for key, value in params.items()) or "no trial completed",
            end_section=True,
        )
    return table


def _spread(arm: Mapping[str, Any]) -> str:
    """The standard deviation over the seeds of a trial, where it has several."""
    spread = arm.get("val_accuracy_std")
    return "" if spread is None else f" ± {spread:.3f}"


def verdict(summary: Mapping[str, Any]) -> str:
    """One sentence on what won, and by how much over the tuned baselines.

    Beside it the half-width of a 95 % interval that takes the two accuracies as independent binomials: an upper bound,
    since both were measured on the same images. Trials of k seeds were measured on k draws of the validation part. As
    the draws overlap, and noise and weights are drawn anew with them, images × k may count too much; so the interval is
    the wider of that one and Student's, from the spread over the seeds: t √((s₁² + s₂²) / k), 2 (k - 1) degrees of
    freedom. Of several objectives: whose trials the front holds.
    """
    if "front" in summary:
        return _front_verdict(summary)
    arms = summary["arms"]
    ours = _top(arms, "arm")
    theirs = _top(arms, "baseline")
    if ours is None or theirs is None:
        missing = "arm" if ours is None else "baseline"
        return f"No {missing} has a complete trial yet: nothing to compare."
    mine, other = arms[ours]["val_accuracy"], arms[theirs]["val_accuracy"]
    gap = 100 * (mine - other)
    words = "level with" if abs(gap) < 0.05 else f"{abs(gap):.1f} points {'above' if gap > 0 else 'below'}"
    images, seeds = arms[ours]["val_images"], summary.get("seeds_per_trial", 1)
    noise = _chance(arms[ours], arms[theirs], seeds)
    of = _seeds(seeds)
    return (
        f"{ours} is {words} the best baseline, {theirs}, on {images} validation images of {of}; "
        f"chance alone moves such a difference by up to {noise:.1f} points."
    )


def _chance(one: Mapping[str, Any], other: Mapping[str, Any], seeds: int) -> float:
    """Points by which chance moves the difference of two arms' accuracies 95 times in 100, as `verdict` has it."""
    mine, theirs = one["val_accuracy"], other["val_accuracy"]
    noise = 196 * math.sqrt((mine * (1 - mine) + theirs * (1 - theirs)) / (one["val_images"] * seeds))
    if seeds > 1:
        from scipy.stats import t  # a second to import

        spread = math.hypot(one["val_accuracy_std"], other["val_accuracy_std"])
        noise = max(noise, 100 * float(t.ppf(0.975, 2 * (seeds - 1))) * spread / math.sqrt(seeds))
    return noise


def _seeds(count: int) -> str:
    return "one seed" if count == 1 else f"each of {count} seeds"


OBJECTIVES = {
    "val_accuracy": ("validation\naccuracy", "{:.3f}"),
    "val_loss": ("validation\nloss", "{:.3f}"),
    "val_calibration_error": ("calibration\nerror", "{:.3f}"),
    "epochs": ("epochs", "{:.0f}"),
    "busy_seconds": ("busy\nseconds", "{:.1f}"),
}
"""How an objective is headed and written in a table."""


def on_test(metric: str) -> str:
    """How an objective is headed where it was measured on the test part."""
    heading = OBJECTIVES[metric][0]
    return f"{heading}, test" if metric == "val_calibration_error" else heading.replace("validation", "test")


def shown(metric: str, value: float | None) -> str:
    return "–" if value is None else OBJECTIVES[metric][1].format(value)


MOST_SHOWN = 20
MOST_BESIDE_PARAMETERS = 3


def front_line(summary: Mapping[str, Any]) -> str:
    """What the table of several objectives is, in a line."""
    count, complete = len(summary["front"]), summary["states"]["complete"]
    more = f"; the first {MOST_SHOWN} here, all in summary.json" if count > MOST_SHOWN else ""
    return f"Pareto front, {count} of {complete} complete trials: what gains in one loses in another{more}"


def _front_table(summary: Mapping[str, Any]) -> Table:
    """The trials on the front, best first by the first objective."""
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    table.add_column("trial", no_wrap=True)
    metrics = [objective["metric"] for objective in summary["objectives"]]
    for metric in metrics:
        table.add_column(OBJECTIVES[metric][0], justify="right")
    with_parameters = len(metrics) <= MOST_BESIDE_PARAMETERS
    if with_parameters:
        table.add_column("parameters")
    for member in summary["front"][:MOST_SHOWN]:
        values = [shown(metric, member["values"][metric]) for metric in metrics]
        params = ", ".join(f"{key}={escape(_short(value))}" for key, value in member["params"].items())
        table.add_row(member["name"], *values, *([params] if with_parameters else []))
    return table


def _front_verdict(summary: Mapping[str, Any]) -> str:
    """Whose trials the front holds, and how little one measurement says about that."""
    if not summary["front"]:
        return "No trial is complete yet: there is no front."
    holders = [member["arm"] for member in summary["front"]]
    counts = {arm: holders.count(arm) for arm in sorted(summary["arms"], key=holders.count, reverse=True)}
    held = ", ".join(f"{count} of {arm}" for arm, count in counts.items() if count)
    none = [arm for arm, count in counts.items() if not count]
    lacking = f", none of {' or '.join(none)}" if none else ""
    best, seeds = summary["arms"][summary["best"]["arm"]], summary.get("seeds_per_trial", 1)
    chance = f"chance alone moves a difference of accuracies like the best by up to {_chance(best, best, seeds):.1f}"
    noisy = any(objective["metric"] == "busy_seconds" for objective in summary["objectives"])
    clock = " Seconds differ from run to run." if noisy else ""
    return (
        f"The front holds {held}{lacking}. Each was measured once, on {best['val_images']} validation images of "
        f"{_seeds(seeds)}: {chance} points, and may put a trial on the front or keep it off.{clock}"
    )


def _top(arms: Mapping[str, Any], role: str) -> str | None:
    known = [name for name, arm in arms.items() if arm["role"] == role and arm["val_accuracy"] is not None]
    return max(known, key=lambda name: arms[name]["val_accuracy"], default=None)


def _share(value: float | None, *, percent: bool = False) -> str:
    if value is None:
        return "–"
    return f"{100 * value:.0f} %" if percent else f"{value:.3f}"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
