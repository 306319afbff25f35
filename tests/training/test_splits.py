"""The four parts of the data never mix."""

import pytest
import torch
from torch import Tensor

from harness.training.config.run_config import RunConfig
from harness.training.data.images import DataSplits
from harness.training.data.pool import load_pool, load_test
from harness.training.data.readers import digits
from harness.training.data.splits import load_splits
from harness.training.data.stratified import stratified_split
from harness.training.errors import DataError
from harness.training.run import Run
from tests.training.run_helpers import tensors

NOISY = RunConfig(noise="symmetric", noise_rate=0.4)


def rows(images: Tensor) -> set[bytes]:
    """Each image as a value; all images of digits differ."""
    return {image.cpu().numpy().tobytes() for image in images}


def drawn(parts: DataSplits) -> dict[str, set[bytes]]:
    return {name: rows(getattr(parts, name).inputs) for name in ("train", "meta", "val")}


def test_four_parts_are_disjoint_and_make_up_the_data_set() -> None:
    parts = [*drawn(load_splits(NOISY)).values(), rows(load_test(NOISY).inputs)]
    assert [len(part) for part in parts] == [1438 - 150 - 250, 150, 250, 359]
    assert len(set.union(*parts)) == 1797 == sum(map(len, parts))


@pytest.mark.parametrize("seed", [0, 7])
def test_each_part_has_the_classes_in_proportion(seed: int) -> None:
    parts = load_splits(NOISY.model_copy(update={"seed": seed}))
    whole = load_pool(NOISY).targets
    for part in (parts.train, parts.meta, parts.val):
        expected = torch.bincount(whole) * len(part) / len(whole)
        # Images of each class are dealt out evenly: a part is off by less than one image at either of its ends.
        assert (torch.bincount(part.targets) - expected).abs().max() < 2


def test_seeds_draw_train_meta_and_val_anew_and_the_same_seed_draws_them_again() -> None:
    first, again, other = (drawn(load_splits(NOISY.model_copy(update={"seed": seed}))) for seed in (1, 1, 2))
    assert first == again
    for name, part in first.items():
        assert part != other[name]


def test_no_seed_moves_the_test_part() -> None:
    pools = [set.union(*drawn(load_splits(NOISY.model_copy(update={"seed": seed}))).values()) for seed in range(3)]
    assert pools[0] == pools[1] == pools[2]
    assert pools[0].isdisjoint(rows(load_test(NOISY).inputs))


def test_no_test_image_can_be_reached_from_a_run() -> None:
    run = Run(NOISY)
    run.train_epoch()
    test = load_test(NOISY)
    held = [tensor for tensor in tensors(run) if tensor.shape[1:] == (1, 8, 8)]
    assert {tensor.dtype for tensor in held} == {torch.uint8, torch.float32}
    for tensor in held:
        forbidden = test.pixels.stored if tensor.dtype == torch.uint8 else test.inputs
        assert rows(tensor).isdisjoint(rows(forbidden))


def test_cut_gives_what_was_asked_and_the_rest() -> None:
    targets = torch.tensor([0] * 50 + [1] * 30 + [2] * 7)
    parts = stratified_split(targets, [20, 5], torch.Generator().manual_seed(3))
    assert [len(part) for part in parts] == [20, 5, 62]
    assert torch.equal(torch.cat(parts).sort().values, torch.arange(87))


def test_sets_that_leave_nothing_to_train_on_are_refused_in_words() -> None:
    with pytest.raises(DataError, match=r"meta_size 1200 \+ val_size 250: digits has 1438 images .* make one smaller"):
        load_splits(NOISY.model_copy(update={"meta_size": 1200}))


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    raw, expected = digits.read(NOISY).train, load_digits()
    assert (raw.images[:, 0] == expected.images).all()
    assert raw.truth.tolist() == expected.target.tolist()
