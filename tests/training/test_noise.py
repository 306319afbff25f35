"""Noise is exact, of its kind, and a function of its seed."""

from collections.abc import Callable

import pytest
import torch
from pydantic import ValidationError

from harness.training.config.run_config import RunConfig
from harness.training.data import noise
from harness.training.data.class_names import numbered_classes, sort_names
from harness.training.data.images import Images
from harness.training.data.noise import (
    CLASS_MAPS,
    asymmetric,
    class_map,
    inject_noise,
    instance,
    pair,
    predict_by_halves,
    symmetric,
)
from harness.training.data.pool import load_pool
from harness.training.data.splits import load_splits
from harness.training.errors import DataError
from harness.training.rng import generator

Noise = Callable[[Images, RunConfig, torch.Generator], torch.Tensor]
TARGETS = torch.randint(0, 7, (501,), generator=torch.Generator().manual_seed(5))


def inject(
    kind: Noise, targets: torch.Tensor, classes: int, rate: float, seed: int, noise_map: str = ""
) -> torch.Tensor:
    """Noisy classes of blank images."""
    blank = Images.from_tensors(torch.zeros(len(targets), 1, 1, 1), targets, classes)
    return kind(blank, RunConfig(noise_rate=rate, noise_map=noise_map), generator(seed, "noise"))


def test_symmetric_noise_spreads_evenly_over_the_other_classes() -> None:
    zeros = torch.zeros(30_000, dtype=torch.int64)
    counts = torch.bincount(inject(symmetric, zeros, 4, 0.6, 1), minlength=4)
    assert int(counts[0]) == 12_000
    # Each of three classes is expected 6,000 times with a deviation of √(18000·⅓·⅔) = 63; five of them.
    assert (counts[1:] - 6000).abs().max() < 316


@pytest.mark.parametrize("kind", ["symmetric", "pair", "instance"])
@pytest.mark.parametrize("rate", [0.0, 0.333, 0.4, 0.9])
def test_digits_are_corrupted_by_exactly_the_rate_as_the_seed_says(kind: str, rate: float) -> None:
    config = RunConfig().model_copy(update={"noise": kind, "noise_rate": rate})
    first, again, other = (load_splits(config.model_copy(update={"seed": seed})) for seed in (0, 0, 1))
    assert int((first.noisy != first.train.targets).sum()) == round(rate * len(first.train))
    assert torch.equal(first.noisy, again.noisy)
    assert not torch.equal(first.noisy, other.noisy)
    assert torch.equal(first.train.targets, load_pool(config).targets[first.train.index])


def test_pair_noise_moves_to_the_next_class_and_from_the_last_to_the_first() -> None:
    noisy = inject(pair, TARGETS, 7, 0.4, 0)
    moved = noisy != TARGETS
    assert int(moved.sum()) == round(0.4 * 501)
    assert torch.equal(noisy[moved], (TARGETS[moved] + 1) % 7)
    assert 0 in noisy[moved & (TARGETS == 6)]


def test_asymmetric_noise_moves_its_share_of_each_class_that_has_a_target() -> None:
    noisy = inject(asymmetric, TARGETS, 7, 0.3, 0, "2>5 5>2 0>6")
    for c in range(7):
        members = noisy[c == TARGETS]
        moved = members[members != c]
        assert len(moved) == (round(0.3 * len(members)) if c in (0, 2, 5) else 0)
        assert set(moved.tolist()) <= {0: {6}, 2: {5}, 5: {2}}.get(c, set())


def test_classes_are_confused_as_is_usual_for_the_set_or_as_the_user_says_or_with_the_next() -> None:
    config = RunConfig(noise="asymmetric", noise_rate=0.4)
    digits = numbered_classes(10)
    assert class_map(config, digits) == {2: 7, 3: 8, 7: 1, 5: 6, 6: 5}
    assert class_map(config.model_copy(update={"dataset": "CIFAR10"}), digits) == {9: 1, 2: 0, 4: 7, 3: 5, 5: 3}
    assert class_map(config.model_copy(update={"dataset": "npz:mine.npz"}), digits[:3]) == {0: 1, 1: 2, 2: 0}
    assert class_map(config.model_copy(update={"noise_map": "1>0  0>1"}), digits) == {1: 0, 0: 1}
    for text in CLASS_MAPS.values():
        RunConfig(noise_map=text)


ANIMALS = ("Arctic fox", "bird", "café cat", "dog")
TEN_BY_NUMBER = sort_names(str(number) for number in range(1, 11))  # 1, …, 9, 10: class 0 is named 1


@pytest.mark.parametrize(
    ("text", "names", "expected"),
    [
        ("bird>dog dog>bird", ANIMALS, {1: 3, 3: 1}),
        ("1>3 3>0", ANIMALS, {1: 3, 3: 0}),
        ("BIRD>dog", ANIMALS, {1: 3}),
        ("'Arctic fox>dog' \"cafe\N{COMBINING ACUTE ACCENT} cat\">bird", ANIMALS, {0: 3, 2: 1}),
        ("2>7 10>1", TEN_BY_NUMBER, {1: 6, 9: 0}),
    ],
)
def test_classes_are_named_by_name_or_by_index_and_numbers_that_are_names_are_names(
    text: str, names: tuple[str, ...], expected: dict[int, int]
) -> None:
    assert class_map(RunConfig(noise="asymmetric", noise_map=text), names) == expected


@pytest.mark.parametrize(
    ("text", "names", "words"),
    [
        (
            "1>10 12>0",
            numbered_classes(10),
            "expected a class from 0 to 9 on each side, got 10, 12; correct '1>10 12>0'",
        ),
        ("bird>cow", ANIMALS, "expected a class of Arctic fox, bird, café cat, dog on each side, got cow; correct"),
        ("1>4", ANIMALS, "got 4; correct '1>4'"),
        ("0>1", TEN_BY_NUMBER, "got 0; correct '0>1'"),
        (
            "1>2 bird>dog",
            ANIMALS,
            "expected each class once on the left, with another on the right, got '1>2 bird>dog'",
        ),
        ("dog>3", ANIMALS, "expected each class once on the left, with another on the right"),
    ],
)
def test_a_class_map_of_classes_that_are_not_there_or_there_twice_is_refused_in_words(
    text: str, names: tuple[str, ...], words: str
) -> None:
    with pytest.raises(DataError, match=f"noise_map: .*{words}"):
        class_map(RunConfig(noise="asymmetric", noise_map=text), names)


@pytest.mark.parametrize("text", ["1>2,2>1", "1->2", "1=>2", "a b>c", ">1", "a>", "'a>b", "1"])
def test_a_class_map_in_another_form_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValidationError, match="expected classes as in '2>7 3>8' or 'cat>dog', got"):
        RunConfig(noise_map=text)


LOG_P = torch.tensor([[0.98, 0.01, 0.01], [0.3, 0.6, 0.1], [0.2, 0.1, 0.7]], dtype=torch.float64).log()


def test_instance_noise_flips_hard_images_more_and_to_what_they_resemble(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images of class 0 in three kinds: easy, taken for 1, taken for 2."""
    of_kind = torch.arange(9000) % 3
    monkeypatch.setattr(noise, "predict_by_halves", lambda *_: LOG_P[of_kind])
    noisy = inject(instance, torch.zeros(9000, dtype=torch.int64), 3, 0.2, 0)
    wrong = [noisy[of_kind == kind] for kind in range(3)]
    shares = [float((labels > 0).float().mean()) for labels in wrong]
    assert sum(shares) == pytest.approx(3 * 0.2)
    losses = (-LOG_P[:, 0]).tolist()
    # Without replacement the easy are drawn a little more than in proportion, as the hard run out.
    assert shares[0] < 0.02
    assert 1 < shares[2] / shares[1] < losses[2] / losses[1]
    assert float((wrong[1] == 1).sum() / (wrong[1] > 0).sum()) == pytest.approx(6 / 7, abs=0.05)
    assert float((wrong[2] == 2).sum() / (wrong[2] > 0).sum()) == pytest.approx(7 / 8, abs=0.05)


def test_the_simple_model_knows_images_that_it_was_not_fitted_on() -> None:
    pool = load_pool(RunConfig())
    log_p = predict_by_halves(pool.inputs, pool.targets, 10, generator(0, "noise"))
    torch.testing.assert_close(log_p.exp().sum(1), torch.ones(len(pool), dtype=torch.float64))
    accuracy = float((log_p.argmax(1) == pool.targets).float().mean())
    assert 0.9 < accuracy < 0.99  # scikit-learn's own, cross-validated on two halves: 0.95


def test_instance_noise_on_digits_is_harder_than_symmetric() -> None:
    config = RunConfig(noise="instance", noise_rate=0.2)
    parts = load_splits(config)
    log_p = predict_by_halves(parts.train.inputs, parts.train.targets, 10, generator(9, "another"))
    losses = -log_p[torch.arange(len(parts.train)), parts.train.targets]
    wrong = parts.noisy != parts.train.targets
    assert losses[wrong].mean() > 3 * losses[~wrong].mean()


def test_images_of_one_colour_can_be_corrupted_too() -> None:
    blank = Images.from_tensors(torch.zeros(40, 1, 12, 12), torch.arange(40) % 4, 4)
    config = RunConfig(noise="instance", noise_rate=0.5)
    assert int((inject_noise(config, blank, generator(0, "noise")) != blank.targets).sum()) == 20
