"""Residual networks (He et al. 2016, arXiv:1512.03385) in the form used for images of CIFAR's size.

The stem is one 3×3 convolution of stride 1 without pooling; four stages of basic blocks then have w, 2w, 4w, 8w
channels, the later three halving height and width. `width` is w: 64 gives the usual ResNet.
"""

from torch import nn

from harness.training.models import Shape
from harness.training.models.residual import ResidualSum, initialise_he, make_conv


def resnet18(shape: Shape, classes: int, width: int) -> nn.Module:
    return _resnet(shape, classes, width, (2, 2, 2, 2))


def resnet34(shape: Shape, classes: int, width: int) -> nn.Module:
    return _resnet(shape, classes, width, (3, 4, 6, 3))


def _resnet(shape: Shape, classes: int, width: int, depths: tuple[int, ...]) -> nn.Module:
    layers: list[nn.Module] = [make_conv(shape[0], width), nn.BatchNorm2d(width), nn.ReLU()]
    before = width
    for stage, depth in enumerate(depths):
        after = width * 2**stage
        for block in range(depth):
            layers += [_basic_block(before, after, 2 if stage and not block else 1), nn.ReLU()]
            before = after
    head = nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)
    return initialise_he(nn.Sequential(*layers, *head))


def _basic_block(before: int, after: int, stride: int) -> nn.Module:
    branch = nn.Sequential(
        make_conv(before, after, stride=stride),
        nn.BatchNorm2d(after),
        nn.ReLU(),
        make_conv(after, after),
        nn.BatchNorm2d(after),
    )
    if before == after and stride == 1:
        return ResidualSum(branch, nn.Identity())
    return ResidualSum(branch, nn.Sequential(make_conv(before, after, size=1, stride=stride), nn.BatchNorm2d(after)))
