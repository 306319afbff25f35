"""Augmentation of training images, a batch at a time on the device.

| augment | what happens to each image |
| --- | --- |
| crop_flip | shifted by up to an eighth of its height and width, zeros coming in; mirrored with chance ½ |
| crop_flip_cutout | then a square of half the height around some point is set to zero (arXiv:1708.04552) |

Zero is the mean, as images are standardised. The usual 4 and 16 pixels at 32×32.
"""

import torch
from torch import Tensor


def augment(inputs: Tensor, kind: str, stream: torch.Generator) -> Tensor:
    """Images [batch, channels, height, width] augmented as `kind` says, drawn from `stream`, a generator on the CPU."""
    if kind == "none":
        return inputs
    inputs = crop_flip(inputs, stream)
    return cutout(inputs, stream) if kind == "crop_flip_cutout" else inputs


def crop_flip(inputs: Tensor, stream: torch.Generator) -> Tensor:
    n, _, height, width = inputs.shape
    device = inputs.device
    rows, columns = (
        torch.arange(size) + torch.randint(-(size // 8), size // 8 + 1, (n, 1), generator=stream)
        for size in (height, width)
    )
    mirrored = torch.rand(n, 1, generator=stream) < 0.5
    columns = columns.flip(1).where(mirrored, columns)
    inside = _is_inside(rows, height)[:, :, None] & _is_inside(columns, width)[:, None, :]
    which = torch.arange(n)[:, None, None].to(device)
    rows = rows.clamp(0, height - 1)[:, :, None].to(device)
    columns = columns.clamp(0, width - 1)[:, None, :].to(device)
    # Index tensors around a slice put the indexed dimensions first.
    shifted = inputs[which, :, rows, columns].permute(0, 3, 1, 2)
    return shifted * inside[:, None].to(device)


def cutout(inputs: Tensor, stream: torch.Generator) -> Tensor:
    n, _, height, width = inputs.shape
    half = height // 4
    outside = []
    for size in (height, width):
        centre = torch.randint(size, (n, 1), generator=stream)
        offset = torch.arange(size) - centre
        outside.append((offset < -half) | (offset >= half))
    kept = outside[0][:, :, None] | outside[1][:, None, :]
    return inputs * kept[:, None].to(inputs.device)


def _is_inside(positions: Tensor, size: int) -> Tensor:
    return (positions >= 0) & (positions < size)
