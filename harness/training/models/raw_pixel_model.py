"""A trained network with its standardisation, for use outside the harness."""

from torch import Tensor, nn


class RawPixelModel(nn.Module):
    """Logits [N, classes] of images [N, channels, height, width] as the data set has them.

    `mean` and `std` [1, channels, 1, 1] are those of the pool that `network` was trained on.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, std: Tensor) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", mean)
        self.register_buffer("std", std)

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network((images.float() - self.mean) / self.std)
        return logits
