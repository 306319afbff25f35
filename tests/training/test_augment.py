"""Variation keeps an image what it is: shifted, mirrored, with a square missing."""

import torch
from torch import Tensor

from harness.training.config.run_config import RunConfig
from harness.training.data.augment import augmented_batch, draw_augmentation
from harness.training.data.images import Images
from harness.training.run import Run
from tests.training.run_helpers import epochs

IMAGES = torch.rand(60, 3, 16, 24, generator=torch.Generator().manual_seed(0)) + 0.5  # nowhere zero


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def augmented(kind: str, seed: int = 0) -> Tensor:
    """All images, augmented."""
    every = torch.arange(len(IMAGES))
    drawn = draw_augmentation(kind, [len(IMAGES)], IMAGES.shape[1:], stream(seed))
    return augmented_batch(Images.from_tensors(IMAGES, every, 1), every, drawn)


def shifted(image: Tensor, rows: int, columns: int) -> Tensor:
    """The image read `rows` lower and `columns` further right, zeros beyond its edge."""
    padded = torch.nn.functional.pad(image, (3, 3, 2, 2))
    return padded[:, 2 + rows : 18 + rows, 3 + columns : 27 + columns]


def test_crop_flip_shifts_by_up_to_an_eighth_and_mirrors_half() -> None:
    seen = set()
    for image, varied in zip(IMAGES, augmented("crop_flip"), strict=True):
        shifts = [
            (rows, columns, mirrored)
            for rows in range(-2, 3)
            for columns in range(-3, 4)
            for mirrored in (False, True)
            if torch.equal(varied, shifted(image, rows, columns).flip(2) if mirrored else shifted(image, rows, columns))
        ]
        assert len(shifts) == 1
        seen.add(shifts[0])
    assert {rows for rows, _, _ in seen} == set(range(-2, 3))
    assert {columns for _, columns, _ in seen} == set(range(-3, 4))
    assert {mirrored for _, _, mirrored in seen} == {False, True}


def test_cutout_sets_a_square_to_zero_and_nothing_else() -> None:
    widest = 0
    for image, varied in zip(augmented("crop_flip"), augmented("crop_flip_cutout"), strict=True):
        gone = ((varied == 0) & (image != 0)).all(0)
        rows, columns = gone.any(1).nonzero().flatten(), gone.any(0).nonzero().flatten()
        height, width = len(rows), len(columns)
        assert gone.sum() == height * width > 0
        assert (rows.diff() == 1).all()
        assert (columns.diff() == 1).all()
        assert max(height, width) <= 8
        widest = max(widest, height * width)
        assert torch.equal(varied[:, ~gone], image[:, ~gone])
    assert widest == 64


def test_variation_is_a_function_of_its_stream() -> None:
    for kind in ("crop_flip", "crop_flip_cutout"):
        first, again, other = (augmented(kind, seed) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
    assert torch.equal(augmented("none"), IMAGES)


def test_an_epoch_draws_batch_by_batch() -> None:
    """The draws of an epoch are those of its batches, one after the other, and the batches' images get their own."""
    images, every = Images.from_tensors(IMAGES, torch.arange(len(IMAGES)), 1), torch.arange(len(IMAGES))
    sizes = [25, 25, 10]
    together = draw_augmentation("crop_flip_cutout", sizes, IMAGES.shape[1:], one := stream())
    other = stream()
    for size, index, drawn in zip(sizes, every.split(25), together.split(sizes), strict=True):
        alone = draw_augmentation("crop_flip_cutout", [size], IMAGES.shape[1:], other)
        assert torch.equal(alone, drawn)
        assert torch.equal(augmented_batch(images, index, alone), augmented_batch(images, every, together)[index])
    assert torch.equal(one.get_state(), other.get_state())


def test_a_run_varies_what_it_trains_on_and_nothing_it_measures_by() -> None:
    config = RunConfig(width=16, epochs=2)
    plain, varied = Run(config), Run(config.model_copy(update={"augment": "crop_flip"}))
    assert torch.equal(plain.splits.val.inputs, varied.splits.val.inputs)
    assert epochs(plain, 1)[0]["train_loss"] < epochs(varied, 1)[0]["train_loss"]
