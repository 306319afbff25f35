"""Parts of residual networks: the sum of branch and shortcut, and initial weights (He et al. 2015)."""

from torch import Tensor, nn


def make_conv(before: int, after: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """Return a convolution that keeps height and width but for its stride, without bias: BatchNorm follows."""
    if size == 1 and stride > 1:
        return StridedPointwiseConv(before, after, stride)
    return nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)


class StridedPointwiseConv(nn.Conv2d):
    """A 1×1 convolution with a stride, as two steps: take every n-th pixel, then convolve.

    As one step it is not safe on a CPU: for fewer channels than a vector holds, oneDNN 3.12 writes past the end of its
    memory in the gradient of the weights (uxlfoundation/oneDNN#6035), and runs crash or go wrong.
    """

    def __init__(self, before: int, after: int, pixel_stride: int) -> None:
        super().__init__(before, after, 1, bias=False)
        self.pixel_stride = pixel_stride

    def forward(self, inputs: Tensor) -> Tensor:
        return super().forward(inputs[..., :: self.pixel_stride, :: self.pixel_stride])


class ResidualSum(nn.Module):
    """branch(x) + shortcut(x)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        total: Tensor = self.branch(inputs) + self.shortcut(inputs)
        return total


def initialise_he(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
