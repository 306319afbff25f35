"""The verdict of a confirmation on results whose truth is known: how often it is wrong, and what it says."""

import io
import math
from collections.abc import Sequence

import numpy as np
import pytest
from rich.console import Console

from harness.confirm.configurations import Configuration
from harness.confirm.evidence import ComparisonSpec
from harness.confirm.findings import build_confirmation, caveats
from harness.confirm.terminal import results_table
from harness.results.confirmation import Confirmation, Evaluation
from harness.results.seed_result import SeedResult
from harness.space import Space, parse
from harness.statistics import AnytimeValid, DecisionRule, FixedSample
from tests.support.results import seed_result

TEST_IMAGES = 2000

Measured = tuple[Configuration, dict[int, SeedResult]]


def toy_space(baselines: int = 1, arms: int = 1) -> Space:
    def entries(name: str, method: str, count: int) -> str:
        return "\n".join(f"  {name}{i}: {{method: {method}}}" for i in range(count)) or "  {}"

    ours, theirs = entries("ours", "learned", arms), entries("theirs", "one_hot", baselines)
    return parse(f"study: toy\narms:\n{ours}\nbaselines:\n{theirs}\n", "toy.yaml")


SPACE, ALONE, TWO_BASELINES = toy_space(), toy_space(baselines=0), toy_space(baselines=2)


def measured(
    space: Space, arm: str, trial: int, test: Sequence[float], validation: Sequence[float] | None = None
) -> Measured:
    """A configuration with these accuracies on seeds 0, 1, …; a NaN is a run that diverged."""
    chosen = space.arm(arm)
    configuration = Configuration(arm, chosen.role, trial, {}, chosen.config({}), value=0.9)

    def result(seed: int, accuracy: float) -> SeedResult:
        if math.isnan(accuracy):
            return seed_result(configuration, seed, state="failed", reason="diverged: train_loss is nan after epoch 1")
        val = accuracy if validation is None else validation[seed]
        test = {"test_accuracy": round(accuracy * TEST_IMAGES) / TEST_IMAGES}
        return seed_result(
            configuration, seed, epochs=3, metrics={"val_accuracy": val}, test=test, test_images=TEST_IMAGES
        )

    return configuration, {seed: result(seed, accuracy) for seed, accuracy in enumerate(test)}


def confirmation(
    space: Space,
    results: Sequence[Measured],
    n_comparisons: int = 1,
    rule: DecisionRule | None = None,
    margin: float = 0.005,
) -> Confirmation:
    spec = ComparisonSpec(rule or FixedSample(), n_comparisons, margin)
    return build_confirmation(space, results, spec, name="toy", n=max(len(by_seed) for _, by_seed in results))


class AccuracySimulation:
    """Random accuracies of arms' configurations and baselines, with effects of the seed, of both, and of the images.

    The effect of a configuration on a seed is the same on validation and test images. So the choice by validation
    favours the lucky: the hard case for a verdict.
    """

    def __init__(self, seed: int, gain: float = 0.0, configurations: int = 3, baselines: int = 2) -> None:
        self.rng = np.random.default_rng(seed)
        self.space = toy_space(baselines)
        self.gain, self.configurations, self.baselines = gain, configurations, baselines

    def draw(self, seeds: int) -> tuple[np.ndarray, np.ndarray]:
        """Test and validation accuracies [methods, seeds], arms' configurations first."""
        methods = self.configurations + self.baselines
        mean = 0.8 + self.gain * (np.arange(methods)[:, None] < self.configurations)
        effects = mean + self.rng.normal(0, 0.02, seeds) + self.rng.normal(0, 0.01, (methods, seeds))
        test, validation = (effects + self.rng.normal(0, 0.001, effects.shape) for _ in range(2))
        return test, validation

    def confirmation(self, test: np.ndarray, validation: np.ndarray, rule: DecisionRule) -> Confirmation:
        rows, k = list(zip(test, validation, strict=True)), self.configurations
        ours = [measured(self.space, "ours0", i, *rows[i]) for i in range(k)]
        theirs = [measured(self.space, f"theirs{i}", 100 + i, *rows[k + i]) for i in range(self.baselines)]
        return confirmation(self.space, [*ours, *theirs], k, rule)

    def error_rates(self, draws: int, seeds: Sequence[int], rule: DecisionRule) -> tuple[float, float]:
        """Fractions of draws in which the verdict at any of these numbers of seeds is better, or worse."""
        outcomes = []
        for _ in range(draws):
            test, validation = self.draw(seeds[-1])
            verdicts = (self.confirmation(test[:, :n], validation[:, :n], rule).outcome for n in seeds)
            outcomes.append(next((outcome for outcome in verdicts if outcome != "undecided"), "undecided"))
        return outcomes.count("better") / draws, outcomes.count("worse") / draws


@pytest.mark.parametrize(("configurations", "baselines"), [(1, 1), (3, 2)])
def test_equal_methods_are_called_different_no_more_often_than_stated(configurations: int, baselines: int) -> None:
    """5 % of 1,000 draws has a standard error of 0.7 %, half of it 0.5 %; the bounds leave three."""
    better, worse = AccuracySimulation(1, 0.0, configurations, baselines).error_rates(1000, [10], FixedSample())
    assert better <= 0.025 + 0.015
    assert better + worse <= 0.05 + 0.021


@pytest.mark.slow
def test_a_sequence_of_verdicts_keeps_the_error_rate() -> None:
    assert sum(AccuracySimulation(2).error_rates(150, range(3, 31), AnytimeValid())) <= 0.05


def test_a_real_gain_is_shown_with_its_size() -> None:
    simulation = AccuracySimulation(4, gain=0.05)
    result = simulation.confirmation(*simulation.draw(10), FixedSample())
    assert result.outcome == "better"
    low, high = result.gain.ci95
    assert 0 < low < 0.05 < high
    points = [f"{100 * value:.1f}" for value in (result.gain.mean_difference, low, high)]
    assert result.verdict.startswith("learned labels (ours0-")
    assert result.verdict.endswith(f"by {points[0]} points [{points[1]}, {points[2]}], n = 10")


def test_a_baseline_can_win() -> None:
    simulation = AccuracySimulation(5, gain=-0.05)
    result = simulation.confirmation(*simulation.draw(10), FixedSample())
    assert result.outcome == "worse"
    assert result.verdict.startswith("the best baseline (theirs")
    assert result.gain.mean_difference < 0


def test_without_a_difference_it_says_how_many_seeds_would_show_one() -> None:
    rng = np.random.default_rng(6)
    test = 0.8 + rng.normal(0, 0.01, 10)
    both = [measured(SPACE, "ours0", 0, test), measured(SPACE, "theirs0", 1, test + rng.normal(0, 0.01, 10))]
    result = confirmation(SPACE, both)
    assert result.outcome == "undecided"
    assert 15 < result.gain.required_n < 90, "about 34 for a spread of one point, which ten seeds know roughly"
    assert result.verdict.endswith(f"n = 10; {result.gain.required_n} seeds would be needed to show one of 0.5 points")
    wide = confirmation(SPACE, both, margin=0.05)
    assert wide.verdict.endswith("one of 5 points would have shown with a chance of 80 % or more")


def test_better_than_the_best_means_better_than_each() -> None:
    spread = np.linspace(-0.01, 0.01, 8)
    ours = measured(TWO_BASELINES, "ours0", 0, 0.9 + spread)
    weak = measured(TWO_BASELINES, "theirs0", 1, 0.5 - spread)
    level = measured(TWO_BASELINES, "theirs1", 2, 0.9 - spread)
    assert confirmation(TWO_BASELINES, [ours, weak]).outcome == "better"
    both = confirmation(TWO_BASELINES, [ours, weak, level])
    assert both.outcome == "undecided"
    assert both.gain.baseline == "theirs1"
    assert len(both.comparisons) == 2


def test_the_verdict_is_about_the_best_on_validation() -> None:
    base = measured(SPACE, "theirs0", 9, [0.7, 0.71, 0.72])
    modest = measured(SPACE, "ours0", 0, [0.75, 0.76, 0.77], validation=[0.9, 0.9, 0.9])
    lucky = measured(SPACE, "ours0", 1, [0.95, 0.96, 0.97], validation=[0.8, 0.8, 0.8])
    result = confirmation(SPACE, [modest, lucky, base], 2)
    assert (result.gain.trial, result.arms["ours0"].best_name) == (0, "ours0-0")
    assert set(result.arms["ours0"].configurations) == {"ours0-0", "ours0-1"}


def test_a_configuration_that_diverged_is_not_chosen() -> None:
    base = measured(SPACE, "theirs0", 9, [0.7, 0.71, 0.72, 0.7])
    fragile = measured(SPACE, "ours0", 0, [0.95, math.nan, 0.97, 0.96])
    sound = measured(SPACE, "ours0", 1, [0.9, 0.91, 0.9, 0.92])
    result = confirmation(SPACE, [fragile, sound, base], 2)
    assert result.gain.trial == 1
    assert result.arms["ours0"].configurations["ours0-0"].failed.keys() == {1}
    assert result.notes == ["ours0-0 diverged on 1 of 4 seeds: it is not chosen"]
    alone = confirmation(SPACE, [fragile, base])
    assert (alone.outcome, alone.gain) == ("not compared", None)
    assert alone.verdict.startswith("nothing is confirmed")


def test_a_diverged_run_of_a_baseline_is_left_out_of_the_pairs() -> None:
    ours = measured(SPACE, "ours0", 0, [0.9, 0.91, 0.92, 0.93])
    base = measured(SPACE, "theirs0", 1, [0.7, math.nan, 0.72, 0.72])
    result = confirmation(SPACE, [ours, base])
    assert (result.gain.n, result.arms["ours0"].best.n, result.arms["theirs0"].best.n) == (3, 4, 3)
    assert result.gain.mean_difference == pytest.approx((0.2 + 0.2 + 0.21) / 3)


def test_p_values_are_corrected_for_every_configuration_ever_tested() -> None:
    rng = np.random.default_rng(8)
    base = measured(SPACE, "theirs0", 9, 0.8 + rng.normal(0, 0.01, 6))
    ours = measured(SPACE, "ours0", 0, 0.815 + rng.normal(0, 0.01, 6))
    once, five = (confirmation(SPACE, [ours, base], n) for n in (1, 5))
    (one,), (other,) = once.comparisons, five.comparisons
    assert other.p_value == pytest.approx(5 * one.p_value)
    assert one.ci95 == one.ci95_corrected == once.gain.ci95 == other.ci95
    assert five.gain.ci95.low < once.gain.ci95.low
    assert five.notes == ["corrected for 5 configurations: 4 more were tested before"]


def test_one_seed_has_no_interval() -> None:
    result = confirmation(SPACE, [measured(SPACE, "ours0", 0, [0.9]), measured(SPACE, "theirs0", 1, [0.5])])
    assert result.outcome == "undecided"
    assert result.gain.ci95 == result.arms["ours0"].best.ci95 == (None, None)
    assert result.comparisons[0].p_value == 1.0
    assert result.verdict.endswith("n = 1; one seed tells nothing of the spread over seeds, run more")


def test_without_baselines_the_accuracy_is_the_verdict() -> None:
    result = confirmation(ALONE, [measured(ALONE, "ours0", 0, [0.9, 0.91, 0.92])])
    assert (result.outcome, result.comparisons) == ("not compared", [])
    assert "reach a test accuracy of 0.910 [0.885, 0.935], n = 3; there is no baseline" in result.verdict


def test_an_arm_without_a_complete_trial_is_named() -> None:
    space = toy_space(baselines=2, arms=2)
    both = [measured(space, "ours0", 0, [0.9, 0.91]), measured(space, "theirs0", 1, [0.5, 0.52])]
    result = confirmation(space, both)
    assert [note.split(" has no ")[0] for note in result.notes] == ["ours1", "theirs1"]
    assert result.arms["theirs1"].best is None


@pytest.mark.parametrize(
    ("evaluations", "note"),
    [
        ([(10, False)], ""),
        ([(4, True), (9, True), (20, True)], ""),
        ([(10, False), (20, False)], "judged before at n = 10: with a chance of up to 10 %, not 5 %"),
        ([(10, False), (20, False), (25, True)], "judged before at n = 10, 20: with a chance of up to 15 %"),
    ],
)
def test_repeated_verdicts_are_noted_with_the_chance_of_an_error(
    evaluations: list[tuple[int, bool]], note: str
) -> None:
    notes = caveats({}, {}, [Evaluation(n=n, sequential=sequential) for n, sequential in evaluations])
    assert len(notes) == bool(note)
    assert "".join(notes).startswith(note)


def test_lost_runs_and_an_unfinished_search_are_noted() -> None:
    notes = caveats({"ours": 5, "theirs": 0, "others": 2}, {"ours-1 seed 3": "worker lost: no memory"}, [])
    assert notes[0] == "the search is not at its end; trials that are still to be run: 5 of ours, 2 of others"
    assert notes[1].startswith("1 run ended without a result (ours-1 seed 3: worker lost: no memory)")


def test_several_objectives_are_listed_and_the_verdict_is_about_accuracy() -> None:
    one = "study: toy\narms:\n  ours0: {method: learned}\nbaselines:\n  theirs0: {method: one_hot}\n"
    listed = "[{metric: val_accuracy}, {metric: val_calibration_error}, {metric: epochs}, {metric: busy_seconds}]"
    space = parse(f"{one}objectives: {listed}\n", "toy.yaml")

    def calibrated(arm: str, error: float) -> Measured:
        configuration, plain = measured(space, arm, 0, [0.8, 0.82, 0.81])
        return configuration, {
            seed: result.model_copy(update={"test": {**result.test, "test_calibration_error": error + 0.01 * seed}})
            for seed, result in plain.items()
        }

    confirmed = confirmation(space, [calibrated("ours0", 0.1), calibrated("theirs0", 0.3)])
    expected = {"val_accuracy": 0.81, "val_calibration_error": 0.11, "epochs": 3, "busy_seconds": 1}
    assert confirmed.arms["ours0"].best.objectives == pytest.approx(expected)
    assert any("the verdict speaks of test accuracy alone" in note for note in confirmed.notes)
    assert "objectives" in confirmed.data_used
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(results_table(confirmed))
    lines = console.export_text().splitlines()
    assert max(map(len, lines)) <= 80
    assert any(line.startswith("ours0-0") and " 0.110 " in line for line in lines)


def test_a_single_objective_is_not_listed() -> None:
    result = confirmation(SPACE, [measured(SPACE, "ours0", 0, [0.8]), measured(SPACE, "theirs0", 1, [0.7])])
    assert result.arms["ours0"].best.objectives == {}
    assert "objectives" not in result.data_used


class TestDoubts:
    """Of the test part: the verdict itself says them, wherever it is shown."""

    @pytest.mark.parametrize(
        ("validation", "test"),
        [
            ((0.93, 0.94, 0.92), (0.098, 0.1, 0.099)),
            ((0.93, 0.94, 0.92), (0.7, 0.71, 0.72)),
            ((0.93,), (0.098,)),
        ],
        ids=["chance", "far below", "one seed"],
    )
    def test_a_test_accuracy_far_below_validation_is_in_the_verdict(
        self, validation: Sequence[float], test: Sequence[float]
    ) -> None:
        result = confirmation(ALONE, [measured(ALONE, "ours0", 3, test, validation)])
        beside = f"ours0-3 {np.mean(test):.3f} beside {np.mean(validation):.3f}"
        assert f"; doubtful: test accuracy is far below validation accuracy ({beside}); look whether" in result.verdict

    @pytest.mark.parametrize(
        ("validation", "test"),
        [
            ((0.93, 0.94, 0.92), (0.91, 0.92, 0.9)),
            ((0.946, 0.94, 0.95), (0.934, 0.93, 0.94)),
            ((1.0, 1.0, 1.0), (0.99, 1.0, 0.99)),
            ((0.7, 0.95, 0.8), (0.72, 0.7, 0.6)),
            ((0.8, 0.81, 0.82), (0.93, 0.94, 0.92)),
        ],
        ids=["two points", "README", "all right", "wide spread", "above"],
    )
    def test_an_ordinary_difference_is_not(self, validation: Sequence[float], test: Sequence[float]) -> None:
        assert "doubtful" not in confirmation(ALONE, [measured(ALONE, "ours0", 3, test, validation)]).verdict

    def test_an_accuracy_that_may_be_chance_is_told(self) -> None:
        results = [measured(ALONE, "ours0", 3, (0.105, 0.1, 0.11), (0.11, 0.1, 0.12))]
        spec = ComparisonSpec(FixedSample(), 1, 0.005)
        result = build_confirmation(ALONE, results, spec, name="toy", n=3, chance=0.1)
        assert "doubtful: test accuracy is not shown to be better than chance, 0.100 (ours0-3 0.105)" in result.verdict
        assert "doubtful" not in build_confirmation(ALONE, results, spec, name="toy", n=3).verdict


def test_intervals_of_accuracies_end_at_one() -> None:
    result = confirmation(ALONE, [measured(ALONE, "ours0", 3, (1.0, 1.0, 0.9995))])
    configuration = result.arms["ours0"].configurations["ours0-3"]
    assert configuration.ci95 is not None
    low, high = configuration.ci95
    assert low is not None
    assert 0.99 < low < 1.0 == high
    assert "[0.999, 1.000]" in result.verdict
