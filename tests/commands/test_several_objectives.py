"""Several objectives as a user meets them: real Ray, real files; the table is the Pareto front."""

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from harness.results import SweepSummary
from harness.results.search_sentence import search_sentence
from harness.results.summary import FrontTrial
from harness.search.terminal import MAX_FRONT_ROWS, front_line, results_table
from harness.space.document import Objective
from tests.commands.test_report import page_of
from tests.conftest import Result, run
from tests.support.results import arm_summary, states, summary

OBJECTIVES = "objectives=[{metric: val_accuracy}, {metric: val_calibration_error}, {metric: busy_seconds}]"
SMALL = (
    *("--space", "digits_calibration", "--set", OBJECTIVES, "--set", "width=32", "--set", "epochs=3"),
    *("--set", "search.sampler.population_size=2", "--set", "concurrency=1"),
)


@dataclass(frozen=True)
class Swept:
    runs: Path
    result: Result
    address: str

    def search(self, *arguments: str) -> Result:
        return run("harness.search", *SMALL, "--address", self.address, "--runs-dir", str(self.runs), *arguments)

    @property
    def summary(self) -> dict[str, Any]:
        summary: dict[str, Any] = json.loads((self.runs / "digits_calibration" / "summary.json").read_text())
        return summary


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Swept:
    runs = tmp_path_factory.mktemp("runs")
    return Swept(runs, Swept(runs, Result(0, "", ""), ray_address).search("--trials", "6"), ray_address)


def test_the_table_shows_the_front_under_a_line_that_names_it(swept: Swept) -> None:
    out, summary = swept.result.out, swept.summary
    assert swept.result.code == 0, swept.result.all
    assert swept.result.err == ""
    front = summary["front"]
    assert f"Pareto front, {len(front)} of 6 complete trials" in out
    rows = re.findall(r"^(\w+-\d+) +(\d\.\d{3}) +(\d\.\d{3}) +(\d+\.\d) ", out, re.MULTILINE)
    assert [row[0] for row in rows] == [member["name"] for member in front]
    assert [float(row[1]) for row in rows] == sorted((float(row[1]) for row in rows), reverse=True)
    assert "best val_accuracy 0." in out, "a line of progress says of which objective the best is"
    assert "Seconds differ from run to run." in out
    shown = [line for line in out.split("go on:")[0].splitlines() if " running · " not in line]  # but for progress
    assert all(len(line) <= 80 for line in shown if "→" not in line)


def test_the_summary_holds_the_front_with_its_values(swept: Swept) -> None:
    summary = swept.summary
    metrics = [objective["metric"] for objective in summary["objectives"]]
    assert metrics == ["val_accuracy", "val_calibration_error", "busy_seconds"]
    assert summary["best"]["trial"] == summary["front"][0]["trial"]
    values = [list(member["values"].values()) for member in summary["front"]]
    assert all(0 <= error <= 1 and seconds > 0 for _, error, seconds in values)
    of_arms = {number for arm in summary["arms"].values() for number in arm["front"]}
    assert {member["trial"] for member in summary["front"]} <= of_arms, "an arm's own front holds more, never less"


def test_more_trials_go_on_with_the_same_front(swept: Swept) -> None:
    before = {member["trial"]: member["values"] for member in swept.summary["front"]}
    longer = swept.search("--trials", "9")
    assert longer.code == 0, longer.all
    assert swept.summary["states"]["complete"] == 9
    after = {member["trial"]: member["values"] for member in swept.summary["front"]}
    assert all(after[number] == values for number, values in before.items() if number in after)


def test_the_report_draws_the_front(swept: Swept) -> None:
    folder = swept.runs / "digits_calibration"
    assert not (folder / "report.error.txt").exists()
    words = page_of(folder)
    assert "The Pareto front" in words.all
    assert "expected calibration error (%), less is better" in words.all
    assert "busy seconds, less is better" in words.all
    for member in swept.summary["front"]:
        assert member["name"] in words.all


def test_the_server_holds_every_objective_and_their_names(swept: Swept) -> None:
    from harness.tracking.mlflow_view.mlflow_reader import MlflowReader

    sweep = MlflowReader(swept.summary["mlflow"]["tracking_uri"]).sweep("digits_calibration")
    assert sweep.tags["objective"] == "maximize val_accuracy, minimize val_calibration_error, minimize busy_seconds"
    trials = sweep.trials().set_index("trial")
    for member in swept.summary["front"]:
        for metric, value in member["values"].items():
            assert trials.loc[member["trial"], f"metrics.{metric}"] == pytest.approx(value)


def test_a_dry_run_names_the_objectives_and_warns_of_a_search_at_random(tmp_path: Path) -> None:
    runs = str(tmp_path / "runs")
    shown = run("harness.search", "--space", "digits_calibration", "--trials", "9", "--dry-run", "--runs-dir", runs)
    assert shown.code == 0, shown.all
    assert "to maximize val_accuracy, minimize val_calibration_error: the Pareto front" in shown.out
    assert "nsga2 draws its first generation at random: 10 complete trials of an arm, of 3 at most" in shown.out
    assert "pruner" not in shown.out.splitlines()[-1]


def summarised(front: list[FrontTrial], complete: int = 40) -> SweepSummary:
    arms = {name: arm_summary() for name in ("learned", "one_hot", "label_smoothing")}
    objectives = [Objective(metric="val_accuracy"), Objective(metric="epochs")]
    best = {} if front else {"best": None}
    return summary(arms, front, objectives=objectives, states=states(complete), **best)


def member(number: int, arm: str) -> FrontTrial:
    values = {"val_accuracy": 0.9 - 0.01 * number, "epochs": 40.0 - number}
    return FrontTrial(trial=number, name=f"{arm}-{number}", arm=arm, params={"lr": 0.1}, values=values)


def test_the_sentence_says_who_is_on_the_front_and_who_is_not() -> None:
    said = search_sentence(summarised([member(0, "one_hot"), member(1, "learned"), member(2, "learned")]))
    assert said.startswith("The front holds 2 of learned, 1 of one_hot, none of label_smoothing.")
    assert "by up to 5.3 points" in said, "1.96 √(2 · 0.9 · 0.1 / 250)"
    assert search_sentence(summarised([], complete=0)) == "No trial is complete yet: there is no front."


def test_a_long_front_is_cut_and_a_line_states_it() -> None:
    summary = summarised([member(number, "learned") for number in range(MAX_FRONT_ROWS + 5)])
    assert results_table(summary).row_count == MAX_FRONT_ROWS
    assert front_line(summary).endswith(f"; the first {MAX_FRONT_ROWS} here, all in summary.json")
