"""The command that a search or a confirmation prints to go on: every option that the same sweep needs is in it."""

import re
import shlex
from pathlib import Path

import pytest

from harness.results import SweepSummary
from tests.conftest import Result, run

SMALL = ("--space", "label_lr.yaml", "--set", "width=8", "--set", "epochs=1")
LIKE_ONE_HOT = ("--set", "arms.learned.fixed.label_smoothing=0.0", "--set", "arms.learned.fixed.label_follow=0.0")


def next_arguments(result: Result, module: str) -> list[str]:
    """The arguments of the command printed as `go on:`."""
    (line,) = re.findall(rf"^go on: .* -m {re.escape(module)} (.*)$", result.out, re.MULTILINE)
    return shlex.split(line)


@pytest.mark.slow
def test_going_on_keeps_every_option_of_the_sweep(tmp_path: Path, ray_address: str) -> None:
    runs = str(tmp_path / "it's here")
    options = (
        *LIKE_ONE_HOT,  # so that the confirmation leaves the question open
        *("--seed", "3", "--name", "mine", "--concurrency", "1", "--time-budget", "300", "--system-metrics"),
        *("--runs-dir", runs, "--address", ray_address),
    )
    first = run("harness.search", *SMALL, *options, "--trials", "3")
    assert first.code == 0, first.all
    arguments = next_arguments(first, "harness.search")
    assert set(arguments) == {*SMALL, *options, "--trials", "6"}
    again = run("harness.search", *arguments)
    assert again.code == 0, again.all
    assert sum(SweepSummary.load(tmp_path / "it's here" / "mine").states.model_dump().values()) == 6
    confirmed = run(
        "harness.confirm", "mine", "--seeds", "2", "--top", "1", "--margin", "2", "--concurrency", "1",
        "--runs-dir", runs, "--address", ray_address,
    )  # fmt: skip
    assert confirmed.code == 0, confirmed.all
    arguments = next_arguments(confirmed, "harness.confirm")
    assert arguments[:7] == ["mine", "--top", "1", "--margin", "2.0", "--concurrency", "1"]
    assert arguments[-3:] == ["--sequential", "--seeds", "50"]
