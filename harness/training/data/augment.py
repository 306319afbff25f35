"""Augmentation of training images: drawn for an epoch on the CPU, applied to a batch on the device.

| augment | what happens to each image |
| --- | --- |
| crop_flip | shifted by up to an eighth of its height and width, zeros coming in; mirrored with chance ½ |
| crop_flip_cutout | then a square of half the height around some point is set to zero (arXiv:1708.04552) |

Zero is the mean, as images are standardised. The usual 4 and 16 pixels at 32×32.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from harness.training.data.images import Images


def draw_augmentation(kind: str, sizes: Sequence[int], shape: torch.Size, stream: torch.Generator) -> Tensor:
    """Draw the augmentation of an epoch from `stream`, a generator on the CPU.

    Args:
        sizes: images of each batch.
        shape: channels, height and width of an image.

    Returns:
        int64 [images, 0] for none, else [images, 3 or 5]: shift of the rows, shift of the columns, 1 for a mirrored
        image, and with cutout row and column of the square's centre.
    """
    if kind == "none":
        return torch.empty(sum(sizes), 0, dtype=torch.int64)
    _, height, width = shape
    batches = []
    for n in sizes:
        drawn = [torch.randint(-(size // 8), size // 8 + 1, (n, 1), generator=stream) for size in (height, width)]
        drawn.append((torch.rand(n, 1, generator=stream) < 0.5).long())
        if kind == "crop_flip_cutout":
            drawn += [torch.randint(size, (n, 1), generator=stream) for size in (height, width)]
        batches.append(torch.cat(drawn, dim=1))
    return torch.cat(batches)


def augmented_batch(images: Images, index: Tensor, drawn: Tensor) -> Tensor:
    """Return some of the images, [n, channels, height, width], augmented as drawn, [n, k]: one gather of pixels."""
    if not drawn.shape[1]:
        return images.batch(index)
    _, height, width = images.shape
    down, right, mirrored, *centre = drawn[:, :, None].unbind(1)
    rows, columns = _positions(height, drawn) + down, _positions(width, drawn) + right
    columns = columns.flip(1).where(mirrored > 0, columns)
    kept = _is_inside(rows, height)[:, :, None] & _is_inside(columns, width)[:, None, :]
    if centre:
        half = height // 4
        outside = [
            ~_is_inside(_positions(size, drawn) - middle + half, 2 * half)
            for size, middle in zip((height, width), centre, strict=True)
        ]
        kept = kept & (outside[0][:, :, None] | outside[1][:, None, :])
    return images.crop(index, rows.clamp(0, height - 1), columns.clamp(0, width - 1)) * kept[:, None]


def _positions(size: int, like: Tensor) -> Tensor:
    return torch.arange(size, device=like.device)


def _is_inside(positions: Tensor, size: int) -> Tensor:
    return (positions >= 0) & (positions < size)
