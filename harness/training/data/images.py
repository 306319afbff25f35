"""Images as a run holds them: one table of pixels, shared, and parts of it by index.

Pixels stay as they were read (a byte each, most often; on a CPU, pages of one file that all trials of a node share)
and are standardised as they are drawn. All parts of a pool point into the same table, so a trial costs little beside
its model.
"""

from dataclasses import dataclass

import torch
from torch import Tensor


class Pixels:
    """A table of images that gives them standardised: (x - mean) / std, by channel.

    Args:
        stored: [M, channels, height, width], of any number type.
        mean, std: [1, channels, 1, 1] in float32.
    """

    def __init__(self, stored: Tensor, mean: Tensor, std: Tensor) -> None:
        self.stored, self.mean, self.std = stored, mean, std
        self._elsewhere: dict[torch.device, Pixels] = {}

    def __getitem__(self, index: Tensor) -> Tensor:
        return (self.stored[index].float() - self.mean) / self.std

    def to(self, device: torch.device) -> "Pixels":
        """The table on `device`; the trials of a process share the copy."""
        if device == self.stored.device:
            return self
        if device not in self._elsewhere:
            tensors = (self.stored, self.mean, self.std)
            self._elsewhere[device] = Pixels(*(tensor.to(device) for tensor in tensors))
        return self._elsewhere[device]


@dataclass(frozen=True)
class Images:
    """A part of a table of images, with what is known of each."""

    pixels: Pixels
    index: Tensor  # [N] int64: rows of the table
    targets: Tensor  # [N] int64: true classes, -1 where unknown
    classes: int
    given: Tensor | None = None  # [N] int64: the data set's own noisy labels
    reference: Tensor | None = None  # [N, classes]: soft labels to compare with, never trained on

    @classmethod
    def of(cls, inputs: Tensor, targets: Tensor, classes: int) -> "Images":
        """Images [N, channels, height, width] that are as they should be."""
        one = torch.ones(1, inputs.shape[1], 1, 1)
        return cls(Pixels(inputs, 0 * one, one), torch.arange(len(inputs)), targets, classes)

    @property
    def inputs(self) -> Tensor:
        """All of them, standardised: [N, channels, height, width] in float32."""
        return self.pixels[self.index]

    @property
    def shape(self) -> torch.Size:
        """Channels, height and width of one image."""
        return self.pixels.stored.shape[1:]

    def batch(self, chosen: Tensor | slice) -> Tensor:
        """Some of them, standardised."""
        return self.pixels[self.index[chosen]]

    def to(self, device: torch.device) -> "Images":
        return Images(
            self.pixels.to(device),
            self.index.to(device),
            self.targets.to(device),
            self.classes,
            None if self.given is None else self.given.to(device),
            None if self.reference is None else self.reference.to(device),
        )

    def __getitem__(self, chosen: Tensor) -> "Images":
        return Images(
            self.pixels,
            self.index[chosen],
            self.targets[chosen],
            self.classes,
            None if self.given is None else self.given[chosen],
            None if self.reference is None else self.reference[chosen],
        )

    def __len__(self) -> int:
        return len(self.targets)


@dataclass(frozen=True)
class DataSplits:
    """What a run sees. `noisy` are the labels trained on; `train.targets`, the truth, serve measuring alone."""

    train: Images
    noisy: Tensor  # [len(train)] int64
    meta: Images
    val: Images

    def to(self, device: torch.device) -> "DataSplits":
        return DataSplits(self.train.to(device), self.noisy.to(device), self.meta.to(device), self.val.to(device))
