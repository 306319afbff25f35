"""The line of a sweep that runs, and what the sentence under its table says about chance."""

import io
import math
import re

import pytest
from rich.console import Console
from scipy.stats import t

from harness.console import BAR_WIDTH, SweepProgress
from harness.results.search_sentence import search_sentence
from harness.space.document import Objective
from harness.tracking.spool.events import EpochMetrics, TrialEnded, TrialStarted
from tests.support.results import arm_summary, summary

BINOMIAL = 0.95 * 0.05 + 0.93 * 0.07


@pytest.mark.parametrize(
    ("seeds", "spread", "of", "chance"),
    [
        (1, None, "one seed", 1.96 * math.sqrt(BINOMIAL / 250)),
        (4, 0.002, "each of 4 seeds", 1.96 * math.sqrt(BINOMIAL / 1000)),  # the images alone move it further
        (4, 0.03, "each of 4 seeds", t.ppf(0.975, 6) * 0.03 * math.sqrt(2 / 4)),  # the seeds do
    ],
)
def test_the_effect_of_chance_covers_images_and_seeds(seeds: int, spread: float | None, of: str, chance: float) -> None:
    arms = {
        "learned": arm_summary("arm", val_accuracy=0.95, val_accuracy_std=spread),
        "one_hot": arm_summary("baseline", val_accuracy=0.93, val_accuracy_std=spread),
    }
    said = search_sentence(summary(arms, seeds_per_trial=seeds))
    assert f"learned is 2.0 points above the best baseline, one_hot, on 250 validation images of {of}; " in said
    shown = re.search(r"by up to (\d+\.\d) points", said)
    assert shown is not None
    assert float(shown[1]) == pytest.approx(100 * chance, abs=0.05)


def progress(width: int, failed: int = 0) -> SweepProgress:
    """A sweep of several objectives, three of whose six trials are through; a terminal is so wide."""
    console = Console(file=io.StringIO(), force_terminal=True, width=width)
    shown = SweepProgress(6, Objective(), is_multi_objective=True, ended=2, failed=failed, console=console)
    for number in (3, 4):
        shown(TrialStarted(trial=number, name=f"label_smoothing-{number}", params={}, tags={}))
    shown(EpochMetrics(trial=3, step=1, metrics={"val_accuracy": 0.9}))
    shown(TrialEnded(trial=3, state="complete", step=1))
    return shown


def test_a_wide_terminal_shows_the_whole_progress_line() -> None:
    shown = r"3/6 trials · 1 running · 0 failed · best val_accuracy 0\.900 \(label_smoothing-3\) · about 0 s left"
    assert re.fullmatch(shown, progress(200).line)


@pytest.mark.parametrize("width", [60, 80, 100])
@pytest.mark.parametrize("failed", [0, 1])
def test_a_narrow_terminal_shows_the_most_important_parts(width: int, failed: int) -> None:
    line = progress(width, failed).line
    assert BAR_WIDTH + 1 + len(line) <= width
    assert line.startswith("3/6 trials")
    assert line.endswith("about 0 s left")
    assert ("1 failed" in line) == bool(failed)


def test_what_is_waited_for_is_a_line_each_until_the_first_result() -> None:
    printed = io.StringIO()
    shown = SweepProgress(3, Objective(), console=Console(file=printed, width=80))
    for text in ("starting Ray", "starting workers", "starting workers", "waiting for the first result"):
        shown.stage(text)
    shown(TrialStarted(trial=0, name="learned-0", params={}, tags={}))
    shown(EpochMetrics(trial=0, step=1, metrics={"val_accuracy": 0.5}))
    shown.stage("waiting for the first result")
    assert printed.getvalue().splitlines()[:3] == [
        "starting Ray …",
        "starting workers …",
        "waiting for the first result …",
    ]
    assert [line[:12] for line in printed.getvalue().splitlines()[3:]] == ["first result"]


def test_a_terminal_shows_what_is_waited_for_in_the_bar_alone() -> None:
    printed = io.StringIO()
    with SweepProgress(3, Objective(), console=Console(file=printed, force_terminal=True, width=80)) as shown:
        assert shown.bar is not None
        shown.stage("starting workers")
        shown(TrialStarted(trial=0, name="learned-0", params={}, tags={}))
        assert shown.bar.tasks[0].description == "starting workers …"
        shown(EpochMetrics(trial=0, step=1, metrics={"val_accuracy": 0.5}))
        assert shown.bar.tasks[0].description.startswith("0/3 trials")


def test_a_pipe_gets_a_line_when_a_trial_ends_and_otherwise_once_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr("harness.console.time.monotonic", lambda: now)
    printed = io.StringIO()
    shown = SweepProgress(3, Objective(), console=Console(file=printed, width=80))
    for number in (0, 1):
        shown(TrialStarted(trial=number, name=f"learned-{number}", params={}, tags={}))
    heard = []
    for step in range(1, 31):  # a step every ten seconds; one trial ends at 100 s, the other goes on
        now = 100.0 + 10 * step
        shown(EpochMetrics(trial=1, step=step, metrics={"val_accuracy": 0.5}))
        if step == 10:
            shown(TrialEnded(trial=0, state="pruned", step=9))
        if printed.tell():
            heard.append((10 * step, printed.getvalue().splitlines()[-1][:28]))
            printed.seek(0)
            printed.truncate()
    assert [at for at, _ in heard] == [10, 70, 100, 170, 240]
    assert [line for _, line in heard[1:3]] == ["0/3 trials · 2 running · 0 f", "1/3 trials · 1 running · 0 f"]
