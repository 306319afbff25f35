"""The verdict of a confirmation on results whose truth is known: how often it is wrong, and what it says."""

import dataclasses
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from harness.confirm.evidence import ComparisonSpec, Confirmed
from harness.confirm.findings import circumstances, findings
from harness.confirm.plan import Configuration, Result
from harness.confirm.terminal import results_table
from harness.space import Space, parse
from harness.statistics import AnytimeValid, DecisionRule, FixedSample

TEST_IMAGES = 2000


def space(baselines: int = 2, arms: int = 1) -> Space:
    def entries(name: str, method: str, count: int) -> str:
        lines = [f"  {name}{i}: {{method: {method}}}" for i in range(count)]
        return "\n".join(lines) if lines else "  {}"

    ours, theirs = entries("ours", "learned", arms), entries("theirs", "one_hot", baselines)
    return parse(f"study: toy\narms:\n{ours}\nbaselines:\n{theirs}\n", "toy.yaml")


def confirmed(
    where: Space, arm: str, trial: int, test: Sequence[float], validation: Sequence[float] | None = None
) -> Confirmed:
    """A configuration with these accuracies on seeds 0, 1, …; a NaN is a run that diverged."""
    one = where.arm(arm)
    configuration = Configuration(arm, one.role, trial, {}, one.config({}), value=0.9)

    def result(seed: int, accuracy: float) -> Result:
        if math.isnan(accuracy):
            return Result("failed", 1, {}, {}, 0, 1.0, "diverged: train_loss is nan after epoch 1")
        val = accuracy if validation is None else validation[seed]
        rounded = round(accuracy * TEST_IMAGES) / TEST_IMAGES
        return Result("complete", 3, {"val_accuracy": val}, {"test_accuracy": rounded}, TEST_IMAGES, 1.0)

    return Confirmed(configuration, {seed: result(seed, accuracy) for seed, accuracy in enumerate(test)})


def question(looks: int, rule: DecisionRule | None = None, margin: float = 0.005) -> ComparisonSpec:
    return ComparisonSpec(rule or FixedSample(), looks, margin)


class World:
    """Methods over seeds: what a seed gives to all, what it gives to each, and what each image set adds.

    A configuration's own luck on a seed shows on validation and test images alike, so the choice by validation favours
    the lucky: the hard case for a verdict.
    """

    def __init__(self, seed: int, gain: float = 0.0, configurations: int = 3, baselines: int = 2) -> None:
        self.rng = np.random.default_rng(seed)
        self.space = space(baselines)
        self.gain, self.configurations, self.baselines = gain, configurations, baselines

    def draw(self, seeds: int) -> tuple[np.ndarray, np.ndarray]:
        """Test and validation accuracies [methods, seeds], arms' configurations first."""
        methods = self.configurations + self.baselines
        mean = 0.8 + self.gain * (np.arange(methods)[:, None] < self.configurations)
        luck = mean + self.rng.normal(0, 0.02, seeds) + self.rng.normal(0, 0.01, (methods, seeds))
        return luck + self.rng.normal(0, 0.001, luck.shape), luck + self.rng.normal(0, 0.001, luck.shape)

    def found(self, test: np.ndarray, validation: np.ndarray, rule: DecisionRule) -> dict[str, Any]:
        rows = list(zip(test, validation, strict=True))
        k = self.configurations
        ours = [confirmed(self.space, "ours0", i, *rows[i]) for i in range(k)]
        theirs = [confirmed(self.space, f"theirs{i}", 100 + i, *rows[k + i]) for i in range(self.baselines)]
        return findings(self.space, [*ours, *theirs], question(k, rule))


def wrong_verdicts(world: World, draws: int, seeds: Sequence[int], rule: DecisionRule) -> tuple[float, float]:
    """Shares of draws in which a look at any of these numbers of seeds says better, or worse."""
    better = worse = 0
    for _ in range(draws):
        test, validation = world.draw(seeds[-1])
        for n in seeds:
            outcome = world.found(test[:, :n], validation[:, :n], rule)["outcome"]
            if outcome != "undecided":
                better, worse = better + (outcome == "better"), worse + (outcome == "worse")
                break
    return better / draws, worse / draws


@pytest.mark.parametrize(("configurations", "baselines"), [(1, 1), (3, 2)])
def test_of_equals_neither_is_called_better_more_often_than_it_says(configurations: int, baselines: int) -> None:
    """5 % of 1,000 draws has a standard error of 0.7 %, half of it 0.5 %; the bounds leave three."""
    better, worse = wrong_verdicts(World(1, 0.0, configurations, baselines), 1000, [10], FixedSample())
    assert better <= 0.025 + 0.015
    assert better + worse <= 0.05 + 0.021


@pytest.mark.slow
def test_a_sequence_of_looks_calls_no_equals_different_more_often_than_it_says() -> None:
    better, worse = wrong_verdicts(World(2), 400, range(3, 31), AnytimeValid())
    assert better + worse <= 0.05


@pytest.mark.slow
def test_the_plain_rule_looked_at_after_every_seed_would_be_wrong_too_often() -> None:
    better, worse = wrong_verdicts(World(3, configurations=1, baselines=1), 300, range(3, 31), FixedSample())
    assert better + worse > 0.12


def test_a_real_gain_is_shown_with_its_size() -> None:
    world = World(4, gain=0.05)
    found = world.found(*world.draw(10), FixedSample())
    assert found["outcome"] == "better"
    low, high = found["gain"]["ci95"]
    assert 0 < low < 0.05 < high
    points = [f"{100 * value:.1f}" for value in (found["gain"]["mean_difference"], low, high)]
    assert found["verdict"].startswith("learned labels (ours0-")
    assert found["verdict"].endswith(f"by {points[0]} points [{points[1]}, {points[2]}], n = 10")


def test_a_baseline_that_wins_is_said_to() -> None:
    world = World(5, gain=-0.05)
    found = world.found(*world.draw(10), FixedSample())
    assert found["outcome"] == "worse"
    assert found["verdict"].startswith("the best baseline (theirs")
    assert found["gain"]["mean_difference"] < 0


def test_without_a_difference_it_says_how_many_seeds_would_show_one() -> None:
    where = space(baselines=1)
    rng = np.random.default_rng(6)
    test = 0.8 + rng.normal(0, 0.01, 10)
    ours = confirmed(where, "ours0", 0, test)
    theirs = confirmed(where, "theirs0", 1, test + rng.normal(0, 0.01, 10))
    found = findings(where, [ours, theirs], question(1))
    assert found["outcome"] == "undecided"
    needed = found["gain"]["needed_n"]
    assert 15 < needed < 90, "about 34 for a spread of one point, which ten seeds know roughly"
    assert found["verdict"].endswith(f"n = 10; {needed} seeds would be needed to show one of 0.5 points")
    wide = findings(where, [ours, theirs], question(1, margin=0.05))
    assert wide["verdict"].endswith("one of 5 points would have shown with a chance of 80 % or more")


def test_better_than_the_best_means_better_than_each() -> None:
    where = space(baselines=2)
    spread = np.linspace(-0.01, 0.01, 8)
    ours = confirmed(where, "ours0", 0, 0.9 + spread)
    weak, level = confirmed(where, "theirs0", 1, 0.5 - spread), confirmed(where, "theirs1", 2, 0.9 - spread)
    assert findings(where, [ours, weak], question(1))["outcome"] == "better"
    both = findings(where, [ours, weak, level], question(1))
    assert both["outcome"] == "undecided"
    assert both["gain"]["baseline"] == "theirs1"
    assert len(both["comparisons"]) == 2


def test_the_verdict_is_about_the_best_on_validation_whatever_the_test_part_says() -> None:
    where = space(baselines=1)
    base = confirmed(where, "theirs0", 9, [0.7, 0.71, 0.72])
    modest = confirmed(where, "ours0", 0, [0.75, 0.76, 0.77], validation=[0.9, 0.9, 0.9])
    lucky = confirmed(where, "ours0", 1, [0.95, 0.96, 0.97], validation=[0.8, 0.8, 0.8])
    found = findings(where, [modest, lucky, base], question(2))
    assert found["gain"]["trial"] == 0
    assert found["arms"]["ours0"]["trial"] == 0
    assert set(found["arms"]["ours0"]["configurations"]) == {"ours0-0", "ours0-1"}


def test_a_configuration_that_diverged_is_not_chosen_and_said_so() -> None:
    where = space(baselines=1)
    base = confirmed(where, "theirs0", 9, [0.7, 0.71, 0.72, 0.7])
    fragile = confirmed(where, "ours0", 0, [0.95, math.nan, 0.97, 0.96])
    sound = confirmed(where, "ours0", 1, [0.9, 0.91, 0.9, 0.92])
    found = findings(where, [fragile, sound, base], question(2))
    assert found["gain"]["trial"] == 1
    assert found["arms"]["ours0"]["configurations"]["ours0-0"]["failed"].keys() == {"1"}
    assert found["notes"] == ["ours0-0 diverged on 1 of 4 seeds: it is not chosen"]
    alone = findings(where, [fragile, base], question(1))
    assert alone["outcome"] == "not compared"
    assert alone["verdict"].startswith("nothing is confirmed")
    assert alone["gain"] is None


def test_a_diverged_run_of_a_baseline_is_left_out_of_the_pairs() -> None:
    where = space(baselines=1)
    ours = confirmed(where, "ours0", 0, [0.9, 0.91, 0.92, 0.93])
    base = confirmed(where, "theirs0", 1, [0.7, math.nan, 0.72, 0.72])
    found = findings(where, [ours, base], question(1))
    assert (found["gain"]["n"], found["arms"]["ours0"]["n"], found["arms"]["theirs0"]["n"]) == (3, 4, 3)
    assert found["gain"]["mean_difference"] == pytest.approx((0.2 + 0.2 + 0.21) / 3)


def test_p_values_are_corrected_for_every_configuration_ever_looked_at() -> None:
    where = space(baselines=1)
    rng = np.random.default_rng(8)
    base = confirmed(where, "theirs0", 9, 0.8 + rng.normal(0, 0.01, 6))
    ours = confirmed(where, "ours0", 0, 0.815 + rng.normal(0, 0.01, 6))
    once, five = (findings(where, [ours, base], question(looks)) for looks in (1, 5))
    assert five["comparisons"][0]["p_value"] == pytest.approx(5 * once["comparisons"][0]["p_value"])
    assert once["comparisons"][0]["ci95"] == once["comparisons"][0]["ci95_corrected"] == once["gain"]["ci95"]
    assert five["comparisons"][0]["ci95"] == once["comparisons"][0]["ci95"]
    assert five["gain"]["ci95"][0] < once["gain"]["ci95"][0]
    assert five["notes"] == ["corrected for 5 configurations: 4 more were tested before"]


def test_one_seed_tells_nothing() -> None:
    where = space(baselines=1)
    found = findings(where, [confirmed(where, "ours0", 0, [0.9]), confirmed(where, "theirs0", 1, [0.5])], question(1))
    assert found["outcome"] == "undecided"
    assert found["gain"]["ci95"] == found["arms"]["ours0"]["ci95"] == [None, None]
    assert found["comparisons"][0]["p_value"] == 1.0
    assert found["verdict"].endswith("n = 1; one seed tells nothing of the spread over seeds, run more")


def test_without_baselines_the_reach_is_told() -> None:
    where = space(baselines=0)
    found = findings(where, [confirmed(where, "ours0", 0, [0.9, 0.91, 0.92])], question(1))
    assert found["outcome"] == "not compared"
    assert "reach a test accuracy of 0.910 [0.885, 0.935], n = 3; there is no baseline" in found["verdict"]
    assert found["comparisons"] == []


def test_an_arm_without_a_complete_trial_is_named() -> None:
    where = space(baselines=2, arms=2)
    ours, base = confirmed(where, "ours0", 0, [0.9, 0.91]), confirmed(where, "theirs0", 1, [0.5, 0.52])
    found = findings(where, [ours, base], question(1))
    assert [note.split(" has no ")[0] for note in found["notes"]] == ["ours1", "theirs1"]
    assert found["arms"]["theirs1"]["n"] == 0
    assert found["arms"]["theirs1"]["test_accuracy_mean"] is None


def test_what_was_judged_more_than_once_is_told_with_the_chance_to_be_wrong() -> None:
    def look(n: int, sequential: bool = False) -> dict[str, Any]:
        return {"n": n, "sequential": sequential}

    assert circumstances({}, {}, [look(10)]) == []
    assert circumstances({}, {}, [look(4, True), look(9, True), look(20, True)]) == []
    (twice,) = circumstances({}, {}, [look(10), look(20)])
    assert twice.startswith("judged before at n = 10: with a chance of up to 10 %, not 5 %")
    (mixed,) = circumstances({}, {}, [look(10), look(20), look(25, True)])
    assert mixed.startswith("judged before at n = 10, 20: with a chance of up to 15 %")


def test_lost_runs_and_an_unfinished_search_are_told() -> None:
    notes = circumstances({"ours": 5, "theirs": 0, "others": 2}, {"ours-1 seed 3": "worker lost: no memory"}, [])
    assert notes[0] == "the search is not at its end; trials that are still to be run: 5 of ours, 2 of others"
    assert notes[1].startswith("1 run came to no result (ours-1 seed 3: worker lost: no memory)")


def test_of_several_objectives_each_is_told_of_the_test_part_and_the_verdict_is_of_accuracy() -> None:
    one = "study: toy\narms:\n  ours0: {method: learned}\nbaselines:\n  theirs0: {method: one_hot}\n"
    listed = "[{metric: val_accuracy}, {metric: val_calibration_error}, {metric: epochs}, {metric: busy_seconds}]"
    where = parse(f"{one}objectives: {listed}\n", "toy.yaml")

    def measured(arm: str, error: float) -> Confirmed:
        plain = confirmed(where, arm, 0, [0.8, 0.82, 0.81])
        results = {
            seed: dataclasses.replace(result, test={**result.test, "test_calibration_error": error + 0.01 * seed})
            for seed, result in plain.results.items()
        }
        return dataclasses.replace(plain, results=results)

    found = findings(where, [measured("ours0", 0.1), measured("theirs0", 0.3)], question(1))
    ours = found["arms"]["ours0"]["objectives"]
    assert ours == {
        "val_accuracy": pytest.approx(0.81),
        "val_calibration_error": pytest.approx(0.11),
        "epochs": 3,
        "busy_seconds": 1,
    }
    assert any("the verdict speaks of test accuracy alone" in note for note in found["notes"])
    assert "objectives" in found["saw"]
    told = Console(width=80, record=True, file=io.StringIO())
    told.print(results_table({**found, "name": "toy"}))
    lines = told.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("ours0-0") and " 0.110 " in line for line in lines)
    before = confirmed(where, "ours0", 0, [0.8, 0.82])
    assert before.objective("val_calibration_error") is None, "a run of before it was measured"


def test_of_one_objective_nothing_is_told_beside_it() -> None:
    where = space(1)
    found = findings(where, [confirmed(where, "ours0", 0, [0.8]), confirmed(where, "theirs0", 1, [0.7])], question(1))
    assert "objectives" not in found["arms"]["ours0"]
    assert "objectives" not in found["saw"]
