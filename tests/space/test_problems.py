# ruff: noqa: E501  (a line that a terminal shows is one line here too)
"""What is refused, and in what words: every problem at once, each with its line and a remedy."""

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from harness.space import Space, SpaceError, load, parse

Problems = Callable[..., list[str]]

LINE = re.compile(r"\S+(:\d+)?: (\S+: )?expected .+, got .+; .+")


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("low: 0.01, high: 10.0", "low: '1e-2', high: 10.0",
         "small.yaml:11: arms.learned.parameters.label_lr.low: expected a number, got the string '1e-2'; write 0.01"),
        ("low: 0.01, high: 10.0", "low: 0.01, high: 2.5E+3x",
         "small.yaml:11: arms.learned.parameters.label_lr.high: expected a number, got the string '2.5E+3x'; write a number"),
        ("low: 0.01, high: 10.0", "low: -1, high: 10.0",
         "small.yaml:11: arms.learned.parameters.label_lr.log: expected low above 0 for log: true, got low: -1.0; raise low, or drop log"),
        ("low: 0.01, high: 10.0, log: true", "low: -1, high: 10.0",
         "small.yaml:11: arms.learned.parameters.label_lr.low: expected a number above 0, got -1.0; choose a number above 0"),
        ("low: 1, high: 8", "low: 9, high: 8",
         "small.yaml:12: arms.learned.parameters.meta_interval.high: expected at least low, which is 9, got the number "
         "8; swap low and high"),
        ("low: 1, high: 8", "low: 1, high: 8, step: 3",
         "small.yaml:12: arms.learned.parameters.meta_interval.step: expected steps from 1 that reach high, 8, got the number 3; write high: 7, or change step"),
        ("low: 1, high: 8", "low: 1, high: true",
         "small.yaml:12: arms.learned.parameters.meta_interval.high: expected a whole number, got true; write a number"),
        ("low: 1, high: 8", "low: 1, high: 8.0",
         "small.yaml:12: arms.learned.parameters.meta_interval.high: expected a whole number, got the number 8.0; write 8"),
        ("low: 1, high: 8", "low: 1, high: .inf",
         "small.yaml:12: arms.learned.parameters.meta_interval.high: expected a whole number, got the number inf; write a number"),
        ("low: 1, high: 8", "low: 1",
         "small.yaml:12: arms.learned.parameters.meta_interval.high: expected the key high, got nothing; add `high: …`"),
        ("type: int, low: 1", "low: 1",
         "small.yaml:12: arms.learned.parameters.meta_interval: expected a type, got none; add type: float | int | categorical"),
        ("type: int, low: 1", "type: integer, low: 1",
         "small.yaml:12: arms.learned.parameters.meta_interval.type: expected one of float, int, categorical, got the string 'integer'; did you mean int?"),
        ("type: int, low: 1", "type: float, low: 1",
         "small.yaml:12: arms.learned.parameters.meta_interval.type: expected type int or categorical, as meta_interval is a whole number, got float; write int"),
        ("{type: int, low: 1, high: 8}", "{type: categorical, choices: [1, 2, 1]}",
         "small.yaml:12: arms.learned.parameters.meta_interval.choices: expected each choice once, got the number 1 twice; remove one of the two"),
        ("{type: int, low: 1, high: 8}", "{type: categorical, choices: [1, 0]}",
         "small.yaml:12: arms.learned.parameters.meta_interval.choices[1]: expected a number of at least 1, got 0; choose a number of at least 1"),
        ("{type: int, low: 1, high: 8}", "{type: categorical, choices: []}",
         "small.yaml:12: arms.learned.parameters.meta_interval.choices: expected at least 1 entry, got a list of 0; add or remove entries"),
        ("{type: int, low: 1, high: 8}", "8",
         "small.yaml:12: arms.learned.parameters.meta_interval: expected a mapping with a type, got the number 8; write {type: …, …}, or move the value to fixed"),
        ("meta_interval:", "meta_intervall:",
         "small.yaml:12: arms.learned.parameters.meta_intervall: expected a known key, got the unknown key meta_intervall; did you mean meta_interval?"),
        ("noise: symmetric", "dataset: digit",
         "small.yaml:3: fixed.dataset: expected a data set, npz:FILE, folder:DIR or table:FILE, got the string 'digit'; did you mean digits?"),
        ("noise: symmetric", "method: learned",
         "small.yaml:3: fixed.method: expected a setting, got method, which is an arm's own; write it beside the arm's fixed and parameters"),
        ("noise: symmetric", "lr: 0.1",
         "small.yaml:6: parameters.lr: expected a setting fixed or searched, got both; remove it from one of the two"),
        ("noise: symmetric", "noise: no",
         "small.yaml:3: fixed.noise: expected a noise, or module:function of your own, got the string 'no'; did you mean none?"),
        ("noise: symmetric", "train_on_meta: yes",
         "small.yaml:3: fixed.train_on_meta: expected true or false, got the string 'yes'; write true"),
        ("noise: symmetric", "train_on_meta: off",
         "small.yaml:3: fixed.train_on_meta: expected true or false, got the string 'off'; write false"),
        ("noise: symmetric", "width: 1_000",
         "small.yaml:3: fixed.width: expected a whole number, got the string '1_000'; write 1000"),
        ("noise: symmetric", "width: 1:30",
         "small.yaml:3: fixed.width: expected a whole number, got the string '1:30'; write a number"),
        ("noise: symmetric", "noise_rate: 0.2",
         "small.yaml:4: fixed.noise_rate: expected each key once, got it again after line 3; remove one of the two"),
        ("  one_hot:", "  learned:",
         "small.yaml:14: baselines.learned: expected a name of its own, got the name of an arm; rename one of the two"),
        ("method: one_hot", "metod: one_hot",
         "small.yaml:14: baselines.one_hot.method: expected the key method, got nothing; add `method: …`"),
        ("study: small", "study: ../small",
         "small.yaml:1: study: expected letters, digits and . _ - only, a letter or digit first, got the string '../small'; choose another name"),
        ("study: small", "study: 7", "small.yaml:1: study: expected a string, got the number 7; quote it"),
        ("study: small", "1: small",
         "small.yaml:1: expected a name as key, got a key of YAML type int; quote it, or write the keys out"),
        ("trials: 5", "trials: 5\n  sampler: tpa",
         "small.yaml:20: search.sampler: expected one of tpe, random, qmc, gp, cmaes, nsga2, grid, got the string 'tpa'; did you mean tpe?"),
        ("trials: 5", "trials: 5\n  pruner: {type: median, warmup: 3}",
         "small.yaml:20: search.pruner.warmup: expected a known key, got the unknown key warmup; did you mean warmup_epochs?"),
        ("trials: 5", "trials: 5\n  sampler: grid",
         "small.yaml:20: search.sampler: expected countable values, for grid, got a range in arms.learned.parameters.label_lr; give it a step, or use qmc"),
        ("trials: 5", "trials: 5\nobjective: {metric: val_loss, direction: maximize}",
         "small.yaml:20: objective.direction: expected minimize for val_loss, got maximize; write direction: minimize"),
        ("trials: 5", "trials: 5\nobjective: {metric: epochs}",
         "small.yaml:20: objective.metric: expected val_accuracy or val_loss, got epochs; write one of these first and this one second, under objectives"),
        ("trials: 5", "trials: 5\nobjective: {metric: val_acuracy}",
         "small.yaml:20: objective.metric: expected one of val_accuracy, val_loss, val_calibration_error, epochs, busy_seconds, got the string 'val_acuracy'; did you mean val_accuracy?"),
        ("trials: 5", "trials: 5\nobjectives: [{metric: val_loss}]",
         "small.yaml:20: objectives: expected two objectives or more, got one; write objective: {metric: …}"),
        ("trials: 5", "trials: 5\nobjectives:\n  - {metric: busy_seconds}\n  - {metric: val_loss}",
         "small.yaml:21: objectives[0].metric: expected val_accuracy or val_loss, got busy_seconds; write one of these first and this one second, under objectives"),
        ("trials: 5", "trials: 5\nobjectives:\n  - {metric: val_loss}\n  - {metric: val_loss}",
         "small.yaml:22: objectives[1].metric: expected each metric once, got val_loss again; remove one of the two"),
        ("trials: 5", "trials: 5\nobjectives:\n  - {metric: val_loss}\n  - {metric: epochs, direction: maximize}",
         "small.yaml:22: objectives[1].direction: expected minimize for epochs, got maximize; write direction: minimize"),
        ("trials: 5", "trials: 5\nobjective: {metric: val_loss}\nobjectives: [{metric: val_loss}, {metric: epochs}]",
         "small.yaml:21: objectives: expected objective or objectives, got both; remove one of the two"),
        ("trials: 5", "trials: 5\n  sampler: cmaes\nobjectives: [{metric: val_loss}, {metric: epochs}]",
         "small.yaml:20: search.sampler: expected a sampler for several objectives, got cmaes beside 2 objectives; use nsga2, tpe or gp"),
        ("trials: 5", "trials: 5\n  pruner: median\nobjectives: [{metric: val_loss}, {metric: epochs}]",
         "small.yaml:20: search.pruner: expected none, where there are several objectives, got median beside 2 objectives; write pruner: none"),
        ("trials: 5", "trials: 5\n  stop_when: {expected_improvement_below: 0.1}\nobjectives: [{metric: val_loss}, {metric: epochs}]",
         "small.yaml:20: search.stop_when.expected_improvement_below: expected a condition for several objectives, got an expected improvement beside 2 objectives; use no_gain_trials, which watches the Pareto front"),
        ("trials: 5", "trials: 5\n  sampler: {type: nsga2, population_size: 1}",
         "small.yaml:20: search.sampler.population_size: expected a number of at least 2, got 1; choose a number of at least 2"),
        ("trials: 5", "trials: 5\n  stop_when: {}",
         "small.yaml:20: search.stop_when: expected a condition, got none; give no_gain_trials or expected_improvement_below"),
        ("arms:\n  learned:", "arms:\n  learn.ed:",
         "small.yaml:8: arms.learn.ed: expected letters, digits and _ - only, a letter or digit first, got the string 'learn.ed'; choose another name"),
    ],
)  # fmt: skip
def test_a_mistake_is_reported_with_its_line_and_a_remedy(problems: Problems, old: str, new: str, line: str) -> None:
    assert line in problems(old, new)


def test_a_wrong_metric_is_one_problem(problems: Problems) -> None:
    assert len(problems("trials: 5", "trials: 5\nobjectives: [{metric: val_los}, {metric: epochs}]")) == 1


def test_every_problem_comes_at_once_in_the_order_of_the_file(problems: Problems) -> None:
    lines = problems(
        "noise: symmetric\n  noise_rate: 0.4",
        "nois: symmetric\n  noise_rate: 1.4",
        overrides=["arms.learned.parameters.meta_interval.high=0", "label_lrr=3", "search.trials=1.5"],
    )
    assert [line.partition(": ")[0] for line in lines] == [
        "small.yaml:3",
        "small.yaml:4",
        "--set label_lrr=3",
        "--set arms.learned.parameters.meta_interval.high=0",
        "--set search.trials=1.5",
    ]
    assert all(LINE.fullmatch(line.removeprefix("--set ")) for line in lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "got nothing"),
        ("# a comment\n", "got nothing"),
        ("- 1\n", "expected a mapping with study"),
        ("study: [", "small:1"),
        ("study: a\n\tfixed: {}\n", "small:2: expected readable YAML, got character '\\t'"),
        ("study: a: b", "got mapping values are not allowed here; check the quotes, brackets, colons"),
        ("study: *name", "got undefined alias 'name'"),
        ("study: a\n---\nstudy: b", "got another document"),
        ("study: \x07", "got special characters are not allowed"),
        ('study: "\\U00110000"', "readable YAML"),
        ("[" * 50_000, "few levels, got more"),
        ("study: &a [*a]", "fewer aliases"),
        ("\n".join(["a0: &a0 [1, 1]", *(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 30))]), "fewer aliases"),
        ("study: !!python/object/apply:os.getcwd []", "quote it, or drop its tag"),
        ("study: !!int many", "YAML type int"),
        ("study: !!timestamp 2020-01-01", "got YAML type timestamp"),
        ("? [a]\n: b", "a name as key"),
        ("{{a: 1}: b}", "a name as key"),
        ("a: &a {}\nb: {<<: *a}", "write the keys out"),
        ("study: " + "9" * 5000, "small:1: study"),
    ],
)  # fmt: skip
def test_an_invalid_space_file_is_refused_in_words(text: str, said: str) -> None:
    with pytest.raises(SpaceError) as refusal:
        parse(text, "small")
    assert said in str(refusal.value)
    assert all(LINE.fullmatch(line) for line in str(refusal.value).splitlines())


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"study: small\nfixed: \xff\n", "small.yaml:2: expected text in UTF-8, got the byte 0xff"),
        ("study: small".encode("utf-16"), "small.yaml:1: expected text in UTF-8"),
        (b"study: small\n" + b"#" * 200_000, "got more than 128 KiB"),
    ],
)
def test_a_binary_file_is_refused_in_words(space_file: Path, content: bytes, said: str) -> None:
    space_file.write_bytes(content)
    with pytest.raises(SpaceError, match=re.escape(said)):
        load("small.yaml")


def test_aliases_that_do_not_multiply_are_read(loaded: Callable[..., Space]) -> None:
    space = loaded("low: 0.01, high: 0.5", "low: &low 0.01, high: 0.5")
    assert loaded("low: 0.01, high: 10.0", "low: *low, high: 10.0") == space
