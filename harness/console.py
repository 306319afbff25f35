"""Terminal output: the progress of a sweep, tables, and the commands to type next.

On a terminal the progress is a bar that redraws itself. In a pipe or file it is a plain line when a trial has ended,
and once a minute otherwise.
"""

import argparse
import math
import os
import shlex
import shutil
import sys
import textwrap
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn
from rich.table import Table

from harness.common.formatting import format_duration
from harness.space.document import Objective
from harness.tracking.spool.events import EpochMetrics, Event, TrialEnded, TrialStarted, TrialWarning
from harness.tracking.tracking_uri import redact_uri

PLAIN_LINE_SECONDS = 5.0
SILENT_SECONDS = 60.0
BAR_WIDTH = 16


@dataclass
class SweepProgress:
    """Listener that shows how many trials have ended, the best so far and the time left.

    Attributes:
        total: the budget.
        objective: the (first) objective.
        ended, failed: trials that ended before this process, at first.
        best: the best value so far, and the name of its trial.
        is_multi_objective: whether there are several objectives.
        began: when the user's command began, as `time.monotonic` gives it.
        noun: what is counted.
        ranked: whether to show the best so far.
        verbose: print a line for each trial's end.
        line_interval: least number of seconds between plain lines.
    """

    total: int
    objective: Objective
    ended: int = 0
    failed: int = 0
    best: tuple[float, str] | None = None
    is_multi_objective: bool = False
    began: float = field(default_factory=lambda: time.monotonic())
    noun: str = "trials"
    ranked: bool = True
    verbose: bool = False
    console: Console = field(default_factory=lambda: Console(highlight=False))
    line_interval: float = PLAIN_LINE_SECONDS

    def __post_init__(self) -> None:
        self.running: dict[int, str] = {}
        self.latest: dict[int, float] = {}
        self.ended_before = self.printed_ended = self.ended
        self.printed_at = self.began
        self.first_result: float | None = None
        self.waiting_for = ""
        self.printed_line = ""
        self.bar: Progress | None = None

    def __enter__(self) -> Self:
        if self.console.is_terminal:
            columns = BarColumn(bar_width=BAR_WIDTH), TextColumn("{task.description}")
            self.bar = Progress(*columns, console=self.console, transient=True)
            self.task = self.bar.add_task("", total=self.total, completed=self.ended)
            self.bar.start()
            self._show_line()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.bar is not None:
            self.bar.stop()
        elif self.first_result is not None and kind is None and self.line != self.printed_line:
            self._print_line()

    def __call__(self, record: Event) -> None:
        match record:
            case TrialStarted():
                self.running[record.trial] = record.name
            case EpochMetrics():
                self.latest[record.trial] = record.metrics[self.objective.metric]
                if self.first_result is None:
                    self._print_first_result(record)
            case TrialEnded():
                self._count_end(record)
            case TrialWarning():
                self.note(record.text)
            case _:
                pass
        self._show_line()

    def stage(self, text: str) -> None:
        """Show what is waited for before the first result: on a terminal in the bar, else as a line."""
        if self.first_result is None and text != self.waiting_for:
            self.waiting_for = text
            self._print(f"{text} …")
            self._show_line()

    def note(self, text: str) -> None:
        self.console.print(text, soft_wrap=True, markup=False)

    @property
    def line(self) -> str:
        """Trials ended, running, failed; the best so far; the time left. A terminal gets as much as fits its width."""
        left = self._seconds_left()
        best = self.best if self.ranked else None
        prefix = f"best {self.objective.metric}" if self.is_multi_objective else "best"
        parts: dict[str, str] = {
            "ended": f"{self.ended}/{self.total} {self.noun}",
            "running": f"{len(self.running)} running",
            "failed": f"{self.failed} failed",
            "best": f"{prefix} {best[0]:.3f} ({best[1]})" if best else "",
            "left": f"about {format_duration(left)} left" if left is not None and self.ended < self.total else "",
        }
        dispensable = ["running", *([] if self.failed else ["failed"]), "best"]
        width = self.console.width - BAR_WIDTH - 1 if self.console.is_terminal else math.inf
        while len(line := " · ".join(filter(None, parts.values()))) > width and dispensable:
            del parts[dispensable.pop(0)]
        return line

    def _print_first_result(self, record: EpochMetrics) -> None:
        # What comes before it is the start of a worker, which later trials do not wait for.
        self.first_result = time.monotonic()
        waited = self.first_result - self.began
        value = f"{self.objective.metric} {self.latest[record.trial]:.3f}"
        self._print(f"first result after {waited:.1f} s: {self.running[record.trial]}, epoch {record.step}, {value}")

    def _count_end(self, record: TrialEnded) -> None:
        name = self.running.pop(record.trial, str(record.trial))
        self.ended += 1
        self.failed += record.state == "failed"
        value = self.latest.pop(record.trial, None)
        if (
            record.state == "complete"
            and value is not None
            and (self.best is None or self.objective.sign * value > self.objective.sign * self.best[0])
        ):
            self.best = (value, name)
        if self.verbose:
            metric = "" if value is None else f", {self.objective.metric} {value:.3f}"
            self._print(f"{name}: {record.state}{metric}{': ' + record.reason if record.reason else ''}")

    def _seconds_left(self) -> float | None:
        ended = self.ended - self.ended_before
        if self.first_result is None or ended == 0:
            return None
        # Running trials count as half done: else the estimate starts out far too long.
        pace = (time.monotonic() - self.first_result) / (ended + 0.5 * len(self.running))
        return pace * max(0.0, self.total - self.ended - 0.5 * len(self.running))

    def _print(self, text: str) -> None:
        if self.verbose or self.bar is None:
            self.console.print(text, soft_wrap=True, markup=False)

    def _show_line(self) -> None:
        if self.bar is not None:
            waiting = f"{self.waiting_for} …" if self.first_result is None and self.waiting_for else ""
            self.bar.update(self.task, completed=self.ended, description=waiting or self.line)
        elif self.first_result is not None:
            silent = time.monotonic() - self.printed_at
            if silent > (
                self.line_interval if self.ended > self.printed_ended else max(self.line_interval, SILENT_SECONDS)
            ):
                self.printed_at, self.printed_ended = time.monotonic(), self.ended
                self._print_line()

    def _print_line(self) -> None:
        self.printed_line = self.line
        self.console.print(self.line, soft_wrap=True)


def borderless_table() -> Table:
    """A table without lines, columns or rows."""
    return Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))


def plain_table(first: str, *numbers: str, last: str | None = None) -> Table:
    """An empty table without lines: a column of names, columns of numbers, and perhaps one of text."""
    table = borderless_table()
    table.add_column(first, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right")
    if last is not None:
        table.add_column(last, overflow="fold")
    return table


@contextmanager
def trimmed(console: Console) -> Iterator[None]:
    """Print what is printed in this block; into a pipe or file without the blanks that end its lines on a terminal."""
    if console.is_terminal:
        yield
        return
    with console.capture() as captured:
        yield
    lines = "\n".join(line.rstrip() for line in captured.get().splitlines())
    console.print(lines, soft_wrap=True, markup=False)


def print_result(table: Table, sentences: Iterable[str], commands: Iterable[tuple[str, str]]) -> None:
    """A table, sentences about it, and a line per (purpose, command), the commands below each other."""
    console = Console(highlight=False)
    with trimmed(console):
        console.print(table, "", sep="\n")
        for sentence in sentences:
            lines = textwrap.fill(sentence, console.width, break_long_words=False, break_on_hyphens=False)
            console.print(lines, soft_wrap=True, markup=False)  # a path stays whole, to be copied
        console.print("")
    for purpose, command in commands:
        console.print(f"{purpose:<13}{command}", soft_wrap=True, markup=False)


def quoted_flags(values: Mapping[str, object]) -> str:
    """The flags that have a value, quoted for a shell, each after a space."""
    return "".join(f" {flag} {shlex.quote(str(value))}" for flag, value in values.items() if value is not None)


def command_line(module: str, *arguments: object) -> str:
    """`python -m MODULE ARGUMENTS` as the user can call this interpreter from here: by its path, if not as `python`."""
    python, on_path = sys.executable, shutil.which("python")
    if on_path is not None and Path(on_path).parent == Path(python).parent:
        python = "python"
    elif Path.cwd() in Path(python).parents:
        python = os.path.relpath(python)
    return " ".join([python, "-m", module, *(shlex.quote(str(argument)) for argument in arguments)])


def follow_up_flags(options: argparse.Namespace, *, runs: bool = True) -> str:
    """The flags of a command that say where its sweep is kept, tracked and, for one that `runs` trials, run."""
    return quoted_flags(
        {
            "--runs-dir": None if options.runs_dir == Path("runs") else options.runs_dir,
            "--address": options.address if runs else None,
            "--tracking-uri": options.tracking_uri and redact_uri(options.tracking_uri),
        }
    )
