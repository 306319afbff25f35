"""`when`, `points` and `constraints`: what a space can say beyond ranges."""

import math
from typing import Any

import pytest

from harness.space import Constraint, Space, SpaceError, parse
from harness.space.constraints import METRICS

CONDITIONAL = """\
study: conditional
fixed: {momentum: 0.5}
parameters:
  label_lr: {type: float, low: 0.01, high: 10.0, log: true, when: {method: learned}}
  momentum: {type: float, low: 0.0, high: 0.95, when: {labels: class}}
arms:
  searched:
    method: learned
    parameters:
      labels: {type: categorical, choices: [instance, class]}
  per_class: {method: learned, fixed: {labels: class}}
baselines:
  one_hot: {method: one_hot}
"""


def edited(old: str = "", new: str = "") -> Space:
    assert old in CONDITIONAL
    return parse(CONDITIONAL.replace(old, new, 1), "conditional.yaml")


def refused(old: str = "", new: str = "") -> str:
    with pytest.raises(SpaceError) as refusal:
        edited(old, new)
    return str(refusal.value)


def first(name: str, parameter: Any) -> Any:
    return parameter.ends[0]


def last(name: str, parameter: Any) -> Any:
    return parameter.ends[1]


def test_a_condition_on_what_an_arm_fixes_is_decided_at_once() -> None:
    space = edited()
    assert list(space.arm("one_hot").parameters) == []
    assert {name: p.when for name, p in space.arm("per_class").parameters.items()} == {
        "label_lr": None,
        "momentum": None,
    }
    assert space.arm("searched").parameters["momentum"].when == {"labels": ("class",)}


def test_a_parameter_exists_only_under_its_condition() -> None:
    arm = edited().arm("searched")
    assert arm.sample(first) == {"labels": "instance", "label_lr": 0.01}
    assert arm.sample(last) == {"labels": "class", "label_lr": 10.0, "momentum": 0.95}


def test_where_a_parameter_does_not_exist_its_fixed_value_holds() -> None:
    arm = edited().arm("searched")
    assert arm.config(arm.sample(first)).momentum == 0.5
    assert arm.config(arm.sample(last)).momentum == 0.95
    with pytest.raises(ValueError, match="searched expects"):
        arm.config({"labels": "instance", "label_lr": 1.0, "momentum": 0.9})


def test_a_parameter_comes_after_those_it_hangs_on_however_they_are_named() -> None:
    hanging = (
        "dataset: {type: categorical, choices: [digits], when: {epochs: 5}}\n"
        "      epochs: {type: int, low: 5, high: 6, "
    )
    arm = edited("labels: {type: categorical, choices: [instance, class]}",
                 "labels: {type: categorical, choices: [instance, class]}\n      " + hanging
                 + "when: {labels: [class]}}").arm("searched")  # fmt: skip
    order = list(arm.parameters)
    assert order.index("labels") < order.index("epochs") < order.index("dataset")
    assert "dataset" not in arm.sample(first)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("{method: learned}}", "{methd: learned}}", "conditional.yaml:4: parameters.label_lr.when.methd: expected "
         "another setting, got methd; did you mean method?"),
        ("{labels: class}}", "{labels: klass}}", "conditional.yaml:5: parameters.momentum.when.labels: expected one of "
         "instance, class, got the string 'klass'; did you mean class?"),
        ("{labels: class}}", "{label_lr: 1.0}}", "conditional.yaml:5: parameters.momentum.when.label_lr: expected a "
         "fixed, int or categorical setting, got label_lr, which is searched as a float"),
        ("{labels: class}}", "{momentum: 0.5}}", "expected another setting, got momentum"),
        ("choices: [instance, class]}", "choices: [instance, class], when: {epochs: 2}}\n"
         "      epochs: {type: int, low: 2, high: 3, when: {labels: class}}", "expected conditions without a cycle"),
    ],
)  # fmt: skip
def test_a_condition_that_cannot_be_is_refused(old: str, new: str, said: str) -> None:
    assert said in refused(old, new)


def test_points_are_kept_in_order_and_in_the_types_of_their_settings() -> None:
    arm = edited(
        "    method: learned\n", "    method: learned\n    points: [{label_lr: 1}, {labels: class, momentum: 0}]\n"
    )
    assert arm.arm("searched").points == ({"label_lr": 1.0}, {"labels": "class", "momentum": 0.0})


@pytest.mark.parametrize(
    ("point", "said"),
    [
        ("{label_lr: 11.0}", "points[0].label_lr: expected a value that the search could suggest, got the number 11.0"),
        ("{lr: 0.1}", "points[0].lr: expected a parameter of searched, got lr, not searched there"),
        ("{lrr: 0.1}", "points[0].lrr: expected a known key, got the unknown key lrr; did you mean lr?"),
        ("{labels: instance, momentum: 0.2}", "points[0].momentum: expected an active parameter"),
        ("3", "points[0]: expected a mapping, got the number 3"),
    ],
)
def test_a_point_that_could_not_be_suggested_is_refused(point: str, said: str) -> None:
    assert said in refused("    method: learned\n", f"    method: learned\n    points: [{point}]\n")


@pytest.mark.parametrize(
    ("text", "values", "violation"),
    [
        ("epochs * batch_size <= 4096", {"epochs": 40, "batch_size": 64}, 40 * 64 - 4096),
        ("epochs * batch_size <= 4096", {"epochs": 80, "batch_size": 64}, 80 * 64 - 4096),
        ("val_accuracy >= 0.5", {"val_accuracy": 0.75}, -0.25),
        ("0.1 <= lr <= 0.2", {"lr": 0.25}, 0.05),
        ("0.1 <= lr <= 0.2", {"lr": 0.05}, 0.05),
        ("-lr + 2 ** 3 / max(4, epochs, 2) - abs(-1) <= log(exp(sqrt(4)))", {"lr": 0.5, "epochs": 1}, -1.5),
    ],
)
def test_a_constraint_measures_how_far_it_is_broken(text: str, values: dict[str, float], violation: float) -> None:
    assert Constraint(text).violation(values) == pytest.approx(violation)
    assert Constraint(text).names == values.keys()


def test_equality_breaks_only_a_strict_constraint() -> None:
    assert Constraint("epochs <= 40").violation({"epochs": 40}) == 0
    assert Constraint("epochs < 40").violation({"epochs": 40}) > 0


@pytest.mark.parametrize(
    "text", ["1 / (epochs - 40) < 1", "log(epochs - 41) < 1", "epochs ** epochs ** epochs < 1", "val_loss < 1"]
)
def test_a_constraint_without_a_value_is_broken_without_end(text: str) -> None:
    assert Constraint(text).violation({"epochs": 40, "val_loss": math.nan}) == math.inf


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("epochs * batch_sizes <= 4096", "got batch_sizes; did you mean batch_size?"),
        ("__import__('os').system('true') < lr", "expected numbers, names"),
        ("abs(lr, lr) < 1", "expected 1 numbers for abs"),
        ("lr < 'a'", "expected numbers and names"),
        ("lr == 1", "expected <, <=, > or >="),
        ("lr + 1", "expected a comparison"),
        ("1 < 2", "expected a comparison of settings or metrics"),
        ("lr < 1" + "0" * 400, "at most 200"),
        ("lr <", "expected a comparison"),
        ("(" * 150, "expected a comparison"),
        ("dataset < 3", "got dataset"),
    ],
)  # fmt: skip
def test_a_constraint_is_nothing_but_a_comparison_of_numbers(text: str, said: str) -> None:
    with pytest.raises(SpaceError) as refusal:
        parse(f'{CONDITIONAL}constraints: ["{text}"]\n')
    assert said in str(refusal.value)


def test_the_metrics_of_constraints_are_those_that_a_run_measures() -> None:
    import torch

    from harness.training import metrics

    soft, given, truth = torch.eye(3)[[0, 1, 1]], torch.tensor([0, 1, 2]), torch.tensor([0, 1, 1])
    assert metrics.label_metrics(soft, given, truth).keys() <= set(METRICS)
    documented = {name for line in (metrics.__doc__ or "").splitlines() if line.startswith("| `")
                  for name in line.split("|")[1].replace("`", "").replace(" ", "").split(",")}  # fmt: skip
    assert documented == set(METRICS)


def test_conditions_follow_an_override() -> None:
    per_class = parse(CONDITIONAL, "conditional.yaml", ["labels=class"]).arm("searched")
    assert per_class.parameters["momentum"].when is None
    per_instance = parse(CONDITIONAL, "conditional.yaml", ["labels=instance"]).arm("searched")
    assert "momentum" not in per_instance.parameters
