"""Networks for small images and feature vectors, trained in seconds on one core."""

from torch import nn

from harness.training.models import Shape


def linear(shape: Shape, classes: int, width: int) -> nn.Module:
    """One linear layer, for vectors such as embeddings; `width` is not used."""
    channels, height, breadth = shape
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * height * breadth, classes))


def mlp(shape: Shape, classes: int, width: int) -> nn.Module:
    """Two hidden layers of `width` units."""
    channels, height, breadth = shape
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(channels * height * breadth, width),
        nn.ReLU(),
        nn.Linear(width, width),
        nn.ReLU(),
        nn.Linear(width, classes),
    )


def cnn(shape: Shape, classes: int, width: int) -> nn.Module:
    """Three 3×3 convolution blocks of `width`, 2·`width`, 4·`width` channels with BatchNorm, then a linear layer."""
    layers: list[nn.Module] = []
    before = shape[0]
    for block in range(3):
        after = width * 2**block
        layers += [nn.Conv2d(before, after, 3, padding=1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        layers += [nn.MaxPool2d(2)] if block < 2 else [nn.AdaptiveAvgPool2d(1)]
        before = after
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(before, classes))
