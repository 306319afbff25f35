"""A space as a sweep keeps it: its dump reads back equal, and differences are listed."""

import pickle
from typing import Any

import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.space import difference, dump, load, parse

FLOATS = st.floats(1e-9, 1e9, allow_nan=False)
WORDS = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,12}", fullmatch=True)


@st.composite
def ranges(draw: st.DrawFn) -> dict[str, Any]:
    low, high = sorted((draw(FLOATS), draw(FLOATS)))
    return {"type": "float", "low": low, "high": high, "log": draw(st.booleans())}


@st.composite
def whole_ranges(draw: st.DrawFn) -> dict[str, Any]:
    low, step, steps = draw(st.integers(1, 9)), draw(st.integers(1, 5)), draw(st.integers(0, 9))
    if draw(st.booleans()):
        return {"type": "int", "low": low, "high": low + step * steps, "step": step}
    return {"type": "int", "low": low, "high": low + steps, "log": True}


def choices(values: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(
        {"type": st.just("categorical"), "choices": st.lists(values, min_size=1, max_size=4, unique=True)}
    )


PARAMETERS = st.fixed_dictionaries(
    {},
    optional={
        "lr": st.one_of(ranges(), choices(FLOATS)),
        "label_lr": ranges().map(lambda parameter: parameter | {"when": {"method": "learned"}}),
        "meta_interval": whole_ranges(),
        "width": st.one_of(whole_ranges(), choices(st.integers(1, 512))),
        "labels": choices(st.sampled_from(["instance", "class"])),
        "weight_decay": ranges().map(lambda parameter: parameter | {"when": {"labels": ["class"]}}),
    },
)
FIXED = st.fixed_dictionaries(
    {}, optional={"momentum": st.floats(0, 1, exclude_max=True), "epochs": st.integers(1, 99), "model": st.just("cnn")}
)
ENTRIES = st.fixed_dictionaries(
    {"method": st.sampled_from(["learned", "one_hot", "label_smoothing"])},
    optional={"fixed": FIXED, "parameters": PARAMETERS, "points": st.lists(st.just({}), max_size=2)},
)
LEARNED_ALONE = ("label_lr", "meta_interval", "labels", "weight_decay")
"""Of `PARAMETERS`: those that no other method has, or whose condition is on one."""


def _without_idle_parameters(space: dict[str, Any]) -> dict[str, Any]:
    """Remove from each section what none of its methods has."""
    entries = [*space["arms"].values(), *space.get("baselines", {}).values()]
    for section, methods in (
        (space, {entry["method"] for entry in entries}),
        *((entry, {entry["method"]}) for entry in entries),
    ):
        if "learned" not in methods and "parameters" in section:
            section["parameters"] = {k: v for k, v in section["parameters"].items() if k not in LEARNED_ALONE}
    return space


SPACES = st.fixed_dictionaries(
    {"study": WORDS, "arms": st.dictionaries(WORDS.map(lambda word: f"a{word}"), ENTRIES, min_size=1, max_size=3)},
    optional={
        "fixed": FIXED,
        "parameters": PARAMETERS,
        "baselines": st.dictionaries(WORDS.map(lambda word: f"b{word}"), ENTRIES, max_size=2),
        "constraints": st.lists(st.sampled_from(["lr < 0.5", "1 <= epochs * width", "val_loss <= 2.0"]), max_size=2),
        "search": st.fixed_dictionaries(
            {},
            optional={
                "trials": st.integers(1, 1000),
                "sampler": st.sampled_from(["tpe", {"type": "qmc", "scramble": False}, {"type": "gp"}]),
                "pruner": st.sampled_from(["none", "median", {"type": "hyperband", "max_epochs": 27}]),
                "stop_when": st.just({"no_gain_trials": 5}),
                "resources": st.just({"cpu": 0.5, "memory_gib": 2.0}),
            },
        ),
    },
)


@settings(max_examples=60, deadline=None)
@given(written=SPACES.map(_without_idle_parameters))
def test_what_is_dumped_loads_as_the_same_space(written: dict[str, Any]) -> None:
    space = parse(yaml.safe_dump(written))
    assert parse(dump(space)) == space
    assert dump(parse(dump(space))) == dump(space)
    assert difference(space, parse(dump(space))) == []


def test_equal_spaces_give_equal_texts_however_they_are_written() -> None:
    one = parse("study: a\nfixed: {lr: 1, epochs: 3}\narms: {x: {method: learned}}")
    other = parse("arms:\n  x: {fixed: {epochs: 3}, method: learned}\nfixed: {lr: 1.0}\nstudy: a")
    assert dump(one) == dump(other)


def test_a_space_crosses_process_boundaries() -> None:
    space = load("label_lr")
    assert pickle.loads(pickle.dumps(space)) == space


def changed(*overrides: str) -> list[str]:
    return difference(load("label_lr", ["label_lr=1.0"]), load("label_lr", ["label_lr=1.0", *overrides]))


def test_a_changed_budget_is_not_a_difference() -> None:
    assert changed("trials=99", "concurrency=3", "search.resources.gpu=0.5", "study=other", "epoch_budget=9") == []
    assert changed("time_budget_seconds=9", "search.stop_when.no_gain_trials=3") == []


def test_differences_of_two_spaces_are_listed_key_by_key() -> None:
    assert changed("search.seed=7", "arms.learned.fixed.train_on_meta=false") == [
        "arms.learned.fixed.train_on_meta: true → false",
        "search.seed: 0 → 7",
    ]
    assert "arms.learned.parameters.lr.low: nothing → 0.3" in difference(
        load("label_lr", ["lr=0.3"]), load("label_lr", ["parameters.lr.low=0.3", "parameters.lr.high=0.5"])
    )


def test_an_arm_more_is_another_question() -> None:
    more = difference(load("label_lr"), load("label_lr", ["baselines.third={method: one_hot}"]))
    assert "baselines.third.method: nothing → one_hot" in more


def test_a_dump_says_every_setting() -> None:
    space = load("label_lr")
    for arm in yaml.safe_load(dump(space))["arms"].values():
        assert {"seed", "batch_size", "device"} <= arm["fixed"].keys()
