"""Digests of a run's data: equal for equal data, different for any other."""

from dataclasses import replace

import pytest

from harness.training.config.run_config import RunConfig
from harness.training.data.data_facts import describe_splits
from harness.training.data.images import DataSplits
from harness.training.data.splits import load_splits

CONFIG = RunConfig(noise="symmetric", noise_rate=0.4, train_size=200)


def digests(config: RunConfig, parts: DataSplits | None = None) -> dict[str, str]:
    parts_found = describe_splits(config, load_splits(config) if parts is None else parts)
    return {facts["context"]: facts["digest"] for facts in parts_found}


def test_the_parts_are_reported_with_their_sizes() -> None:
    parts_found = {facts.pop("context"): facts for facts in describe_splits(CONFIG, load_splits(CONFIG))}
    assert [(name, facts["images"]) for name, facts in parts_found.items()] == [
        ("train", 200),
        ("meta", 150),
        ("validation", 250),
    ]
    for facts in parts_found.values():
        assert (facts["name"], facts["source"], facts["shape"]) == ("digits", "scikit-learn", "[1, 8, 8]")
        assert len(facts["digest"]) == 16


def test_settings_that_do_not_concern_the_data_leave_the_digests_equal() -> None:
    assert digests(CONFIG) == digests(CONFIG.model_copy(update={"lr": 0.3, "method": "one_hot", "width": 7}))


@pytest.mark.parametrize(
    ("change", "others"),
    [
        ({"noise_rate": 0.3}, ("train",)),
        ({"noise": "pair"}, ("train",)),
        ({"train_size": 199}, ("train",)),
        ({"seed": 1}, ("train", "meta", "validation")),
    ],
    ids=str,
)
def test_other_data_have_other_digests(change: dict[str, object], others: tuple[str, ...]) -> None:
    before, after = digests(CONFIG), digests(CONFIG.model_copy(update=change))
    assert {context for context in before if before[context] != after[context]} == set(others)


def test_another_preprocessing_has_another_digest() -> None:
    parts = load_splits(CONFIG)
    pixels = parts.train.pixels
    brighter = replace(
        parts, train=replace(parts.train, pixels=type(pixels)(pixels.stored + 1, pixels.mean, pixels.std))
    )
    assert digests(CONFIG, parts)["train"] != digests(CONFIG, brighter)["train"]
