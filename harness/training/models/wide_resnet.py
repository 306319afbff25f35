"""Wide residual network WRN-28-k (Zagoruyko and Komodakis 2016, arXiv:1605.07146): less deep than wide.

Three stages of four pre-activation blocks with 16k, 32k, 64k channels; `width` is the factor k, 10 in the paper's best.
"""

from torch import nn

from harness.training.models import Shape
from harness.training.models.residual import ResidualSum, initialise_he, make_conv

BLOCKS = (28 - 4) // 6  # a stage: each block has two convolutions; stem and shortcuts make the other four


def wrn28(shape: Shape, classes: int, width: int) -> nn.Module:
    layers: list[nn.Module] = [make_conv(shape[0], 16)]
    before = 16
    for stage in range(3):
        after = 16 * width * 2**stage
        for block in range(BLOCKS):
            layers.append(_block(before, after, 2 if stage and not block else 1))
            before = after
    head = nn.BatchNorm2d(before), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(before, classes)
    return initialise_he(nn.Sequential(*layers, *head))


def _block(before: int, after: int, stride: int) -> nn.Module:
    activation = nn.BatchNorm2d(before), nn.ReLU()
    branch = make_conv(before, after, stride=stride), nn.BatchNorm2d(after), nn.ReLU(), make_conv(after, after)
    if before == after and stride == 1:
        return ResidualSum(nn.Sequential(*activation, *branch), nn.Identity())
    # Branch and shortcut share the activation.
    return nn.Sequential(*activation, ResidualSum(nn.Sequential(*branch), make_conv(before, after, 1, stride)))
