"""Images of a run: one table of pixels in memory, and the parts of the data as indices into it.

Pixels stay as they were read (mostly a byte each; on a CPU, pages of a file that all trials of a node share) and are
standardised when a batch is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


def copy_to(device: torch.device, tensor: Tensor) -> Tensor:
    """Return a tensor of the CPU on `device`, copied while the device goes on with its work."""
    pinned = tensor.pin_memory() if device.type == "cuda" and tensor.numel() else tensor
    return pinned.to(device, non_blocking=True)


class PixelTable:
    """A table of images that returns them standardised: (x - mean) / std, by channel.

    Args:
        stored: [M, channels, height, width], of any number type.
        mean, std: [1, channels, 1, 1] in float32.
    """

    def __init__(self, stored: Tensor, mean: Tensor, std: Tensor) -> None:
        self.stored, self.mean, self.std = stored, mean, std
        self._copies: dict[torch.device, PixelTable] = {}

    def __getitem__(self, index: Tensor) -> Tensor:
        return self._standardised(self.stored[index])

    def crop(self, index: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Images [n] read at these rows [n, height] and columns [n, width] of each, in one gather."""
        # Index tensors around a slice put the indexed dimensions first.
        pixels = self.stored[index[:, None, None], :, rows[:, :, None], columns[:, None, :]]
        return self._standardised(pixels.permute(0, 3, 1, 2))

    def _standardised(self, pixels: Tensor) -> Tensor:
        return (pixels.float() - self.mean) / self.std

    def to(self, device: torch.device) -> "PixelTable":
        """The table on `device`; the trials of a process share the copy."""
        if device == self.stored.device:
            return self
        if device not in self._copies:
            tensors = (self.stored, self.mean, self.std)
            self._copies[device] = PixelTable(*(tensor.to(device) for tensor in tensors))
        return self._copies[device]


@dataclass(frozen=True)
class Images:
    """A part of the data: rows of a table of images, with their labels."""

    pixels: PixelTable
    index: Tensor  # [N] int64: rows of the table
    targets: Tensor  # [N] int64: true classes, -1 where unknown
    class_names: tuple[str, ...]
    given: Tensor | None = None  # [N] int64: the data set's own noisy labels
    reference: Tensor | None = None  # [N, classes]: soft labels to compare with, never trained on

    @classmethod
    def from_tensors(cls, inputs: Tensor, targets: Tensor, classes: int) -> "Images":
        """Images [N, channels, height, width] that are standardised already."""
        ones = torch.ones(1, inputs.shape[1], 1, 1)
        names = tuple(str(c) for c in range(classes))
        return cls(PixelTable(inputs, 0 * ones, ones), torch.arange(len(inputs)), targets, names)

    @property
    def classes(self) -> int:
        """Number of classes."""
        return len(self.class_names)

    @property
    def inputs(self) -> Tensor:
        """All images, standardised: [N, channels, height, width] in float32."""
        return self.pixels[self.index]

    @property
    def shape(self) -> torch.Size:
        """Channels, height and width of one image."""
        return self.pixels.stored.shape[1:]

    @property
    def are_vectors(self) -> bool:
        """Whether these are feature vectors: images of one pixel, with a channel for each feature."""
        return tuple(self.shape[1:]) == (1, 1)

    def batch(self, rows: Tensor | slice) -> Tensor:
        """Some of the images, standardised."""
        return self.pixels[self.index[rows]]

    def crop(self, images: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """Some of the images, standardised, read at these rows [n, height] and columns [n, width]."""
        return self.pixels.crop(self.index[images], rows, columns)

    def to(self, device: torch.device) -> "Images":
        return self._map(lambda tensor: tensor.to(device), self.pixels.to(device))

    def __getitem__(self, rows: Tensor) -> "Images":
        return self._map(lambda tensor: tensor[rows], self.pixels)

    def _map(self, change: Callable[[Tensor], Tensor], pixels: PixelTable) -> "Images":
        given, reference = (None if labels is None else change(labels) for labels in (self.given, self.reference))
        return Images(pixels, change(self.index), change(self.targets), self.class_names, given, reference)

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class DataSplits:
    """The parts that a run sees. It trains on the labels `noisy`; `train.targets`, the true classes, serve metrics."""

    train: Images
    noisy: Tensor  # [len(train)] int64
    meta: Images
    val: Images

    @property
    def images(self) -> Images:
        """All images that may be trained on: the training part, then the meta set."""
        train, meta = self.train, self.meta
        index, targets = torch.cat([train.index, meta.index]), torch.cat([train.targets, meta.targets])
        return Images(train.pixels, index, targets, train.class_names)

    def to(self, device: torch.device) -> "DataSplits":
        return DataSplits(self.train.to(device), self.noisy.to(device), self.meta.to(device), self.val.to(device))
