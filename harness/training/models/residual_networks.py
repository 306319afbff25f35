"""Residual networks in the form used for images of CIFAR's size: the stem is one 3×3 convolution of stride 1.

    resnet18, resnet34   He et al. 2016, arXiv:1512.03385. Four stages of basic blocks with w, 2w, 4w, 8w channels;
                         `width` is w, 64 in the usual ResNet.
    wrn28                WRN-28-k of Zagoruyko and Komodakis 2016, arXiv:1605.07146. Three stages of four pre-activation
                         blocks with 16k, 32k, 64k channels; `width` is the factor k, 10 in the paper's best.

All stages but the first halve height and width. Convolutions start as in He et al. 2015.
"""

from collections.abc import Callable, Sequence

from torch import Tensor, nn

from harness.training.models import Shape


def resnet18(shape: Shape, classes: int, width: int) -> nn.Module:
    return _resnet(shape, classes, width, (2, 2, 2, 2))


def resnet34(shape: Shape, classes: int, width: int) -> nn.Module:
    return _resnet(shape, classes, width, (3, 4, 6, 3))


def wrn28(shape: Shape, classes: int, width: int) -> nn.Module:
    blocks = _stages(_pre_activation_block, 16, 16 * width, (4, 4, 4))
    last = 64 * width
    return _network([_conv(shape[0], 16), *blocks, nn.BatchNorm2d(last), nn.ReLU()], last, classes)


def _resnet(shape: Shape, classes: int, width: int, depths: Sequence[int]) -> nn.Module:
    stem = _conv(shape[0], width), nn.BatchNorm2d(width), nn.ReLU()
    return _network([*stem, *_stages(_basic_block, width, width, depths)], 8 * width, classes)


def _stages(
    block: Callable[[int, int, int], list[nn.Module]], before: int, width: int, depths: Sequence[int]
) -> list[nn.Module]:
    """Stages of `depths` blocks with width, 2·width, 4·width, … channels, after `before` channels."""
    layers: list[nn.Module] = []
    for stage, depth in enumerate(depths):
        after = width * 2**stage
        for number in range(depth):
            layers += block(before, after, 2 if stage and not number else 1)
            before = after
    return layers


def _network(layers: Sequence[nn.Module], channels: int, classes: int) -> nn.Module:
    """The layers, a linear classifier on the mean over all pixels, and initial weights."""
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes))
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network


def _basic_block(before: int, after: int, stride: int) -> list[nn.Module]:
    branch = nn.Sequential(
        _conv(before, after, stride=stride),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        _conv(after, after),
        nn.BatchNorm2d(after),
    )
    shortcut: nn.Module = nn.Identity()
    if before != after or stride > 1:
        shortcut = nn.Sequential(_conv(before, after, 1, stride), nn.BatchNorm2d(after))
    return [ResidualSum(branch, shortcut), nn.ReLU()]


def _pre_activation_block(before: int, after: int, stride: int) -> list[nn.Module]:
    activation = nn.BatchNorm2d(before), nn.ReLU()
    branch = _conv(before, after, stride=stride), nn.BatchNorm2d(after), nn.ReLU(), _conv(after, after)
    if before == after and stride == 1:
        return [ResidualSum(nn.Sequential(*activation, *branch), nn.Identity())]
    # Branch and shortcut share the activation.
    return [*activation, ResidualSum(nn.Sequential(*branch), _conv(before, after, 1, stride))]


class ResidualSum(nn.Module):
    """branch(x) + shortcut(x)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        total: Tensor = self.branch(inputs) + self.shortcut(inputs)
        return total


def _conv(before: int, after: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width but for its stride, without bias: BatchNorm follows."""
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
