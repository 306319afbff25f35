"""What residual networks share: a sum of a branch and a shortcut, and how weights are drawn (He et al. 2015)."""

from torch import Tensor, nn


def conv(before: int, after: int, size: int = 3, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps height and width but for its stride; BatchNorm beside it makes a bias idle."""
    return nn.Conv2d(before, after, size, stride=stride, padding=size // 2, bias=False)


class Sum(nn.Module):
    """branch(x) + shortcut(x)."""

    def __init__(self, branch: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.branch = branch
        self.shortcut = shortcut

    def forward(self, inputs: Tensor) -> Tensor:
        total: Tensor = self.branch(inputs) + self.shortcut(inputs)
        return total


def he_initialised(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    return network
