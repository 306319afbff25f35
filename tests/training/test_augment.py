"""Variation keeps an image what it is: shifted, mirrored, with a square missing."""

import torch
from torch import Tensor

from harness.training.config.run_config import RunConfig
from harness.training.data.augment import augment, crop_flip, cutout
from harness.training.run import Run
from tests.training.run_helpers import epochs

IMAGES = torch.rand(60, 3, 16, 24, generator=torch.Generator().manual_seed(0)) + 0.5  # nowhere zero


def stream(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def shifted(image: Tensor, rows: int, columns: int) -> Tensor:
    """The image read `rows` lower and `columns` further right, zeros beyond its edge."""
    padded = torch.nn.functional.pad(image, (3, 3, 2, 2))
    return padded[:, 2 + rows : 18 + rows, 3 + columns : 27 + columns]


def test_crop_flip_shifts_by_up_to_an_eighth_and_mirrors_half() -> None:
    seen = set()
    for image, varied in zip(IMAGES, crop_flip(IMAGES, stream()), strict=True):
        found = [
            (rows, columns, mirrored)
            for rows in range(-2, 3)
            for columns in range(-3, 4)
            for mirrored in (False, True)
            if torch.equal(varied, shifted(image, rows, columns).flip(2) if mirrored else shifted(image, rows, columns))
        ]
        assert len(found) == 1
        seen.add(found[0])
    assert {rows for rows, _, _ in seen} == set(range(-2, 3))
    assert {columns for _, columns, _ in seen} == set(range(-3, 4))
    assert {mirrored for _, _, mirrored in seen} == {False, True}


def test_cutout_sets_a_square_to_zero_and_nothing_else() -> None:
    widest = 0
    for image, varied in zip(IMAGES, cutout(IMAGES, stream()), strict=True):
        gone = (varied == 0).all(0)
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
        first, again, other = (augment(IMAGES, kind, stream(seed)) for seed in (1, 1, 2))
        assert torch.equal(first, again)
        assert not torch.equal(first, other)
    assert augment(IMAGES, "none", stream()) is IMAGES


def test_a_run_varies_what_it_trains_on_and_nothing_it_measures_by() -> None:
    config = RunConfig(width=16, epochs=2)
    plain, varied = Run(config), Run(config.model_copy(update={"augment": "crop_flip"}))
    assert torch.equal(plain.splits.val.inputs, varied.splits.val.inputs)
    assert epochs(plain, 1)[0]["train_loss"] < epochs(varied, 1)[0]["train_loss"]
