"""Wrong labels, made on purpose. Every kind is exact in its share and a function of its generator.

| noise | which labels | become |
| --- | --- | --- |
| symmetric | round(rate · N) of all | one of the other C - 1 classes, evenly (some count flips to the true class too) |
| pair | round(rate · N) of all | the next class, c + 1 mod C (Han et al. 2018, arXiv:1804.06872) |
| asymmetric | round(rate · N_c) of each class c with a target | that target (Patrini et al. 2017, arXiv:1609.03683) |
| instance | round(rate · N) of all, hard ones likelier | a class it resembles (cf. Chen et al., arXiv:2012.05458) |

How hard an image is, is told by a simple model: linear discriminant analysis on the image scaled to at most 8×8,
fitted on one half of the images and asked about the other. A label is drawn with a chance in proportion to its loss
-log p_y, and becomes class c ≠ y in proportion to p_c.
"""

import torch
from torch import Tensor
from torch.nn import functional

from harness.training.config.run_config import RunConfig
from harness.training.data.errors import DataError
from harness.training.data.images import Images

MAPS = {
    "CIFAR10": "9>1 2>0 4>7 3>5 5>3",  # truck → car, bird → aeroplane, deer → horse, cat ↔ dog (Patrini et al.)
    "MNIST": "2>7 3>8 7>1 5>6 6>5",  # Patrini et al.
    "digits": "2>7 3>8 7>1 5>6 6>5",  # as MNIST
    "FashionMNIST": "0>6 2>4 4>2 5>7 9>7",  # ours: T-shirt → shirt, pullover ↔ coat, sandal → sneaker, boot → sneaker
}
"""The classes that are taken for another, of data sets where there is a usual or a natural choice."""

HARDNESS_SIDE = 8
RIDGE = 0.1  # share of the mean variance added to the covariance: pixels that never vary have none
FLOOR = 1e-6


def symmetric(targets: Tensor, classes: int, rate: float, generator: torch.Generator) -> Tensor:
    """Class indices [N] with exactly round(rate · N) of them wrong."""
    flipped = _some(len(targets), rate, generator)
    shift = torch.randint(1, classes, (len(flipped),), generator=generator)
    noisy = targets.clone()
    noisy[flipped] = (targets[flipped] + shift) % classes
    return noisy


def pair(targets: Tensor, classes: int, rate: float, generator: torch.Generator) -> Tensor:
    """Class indices [N] with exactly round(rate · N) of them moved to the next class."""
    flipped = _some(len(targets), rate, generator)
    noisy = targets.clone()
    noisy[flipped] = (targets[flipped] + 1) % classes
    return noisy


def asymmetric(targets: Tensor, confused: dict[int, int], rate: float, generator: torch.Generator) -> Tensor:
    """Class indices [N] with exactly round(rate · N_c) of each class c in `confused` moved to `confused[c]`."""
    noisy = targets.clone()
    for c, taken_for in sorted(confused.items()):
        members = (targets == c).nonzero().flatten()
        noisy[members[_some(len(members), rate, generator)]] = taken_for
    return noisy


def instance(targets: Tensor, log_p: Tensor, rate: float, generator: torch.Generator) -> Tensor:
    """Class indices [N] with exactly round(rate · N) of them wrong, drawn by `log_p` [N, classes] of a simple model."""
    losses = functional.nll_loss(log_p, targets, reduction="none").clamp_min(FLOOR)
    # The k largest of log w + Gumbel noise are k draws without replacement with chances in proportion to w.
    order = (losses.log() + _gumbel(losses.shape, generator)).argsort(descending=True, stable=True)
    flipped = order[: round(rate * len(targets))]
    others = log_p[flipped].scatter(1, targets[flipped, None], -torch.inf)
    noisy = targets.clone()
    noisy[flipped] = (others + _gumbel(others.shape, generator)).argmax(1)
    return noisy


def simple_model(inputs: Tensor, targets: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """log p(class | image) [N, classes] by linear discriminant analysis, each half asked of the other's fit.

    With μ_c a class's mean, π_c its share and Σ the covariance within classes, f_c(x) = ⟨μ_c, Σ⁻¹x⟩ - ½⟨μ_c, Σ⁻¹μ_c⟩ +
    log π_c and p = softmax f.
    """
    side = min(HARDNESS_SIDE, *inputs.shape[2:])
    pixels = functional.adaptive_avg_pool2d(inputs, side).flatten(1).double()
    order = torch.randperm(len(targets), generator=generator)
    halves = order.tensor_split(2)
    log_p = torch.empty(len(targets), classes, dtype=torch.float64)
    for fitted, asked in (halves, halves[::-1]):
        log_p[asked] = _discriminant(pixels[fitted], targets[fitted], classes, pixels[asked])
    return log_p


def _discriminant(pixels: Tensor, targets: Tensor, classes: int, asked: Tensor) -> Tensor:
    members = functional.one_hot(targets, classes).double()
    counts = members.sum(0).clamp_min(1)
    means = members.T @ pixels / counts[:, None]
    within = pixels - means[targets]
    covariance = within.T @ within / len(pixels)
    variance = covariance.diagonal().mean().clamp_min(FLOOR)
    covariance += RIDGE * variance * torch.eye(len(covariance), dtype=torch.float64)
    weights = torch.linalg.solve(covariance, means.T)
    offsets = (counts / len(pixels)).log() - 0.5 * (means.T * weights).sum(0)
    return functional.log_softmax(asked @ weights + offsets, dim=1)


def inject_noise(config: RunConfig, images: Images, generator: torch.Generator) -> Tensor:
    """Class indices [N] of the images after the noise that `config` asks for.

    Raises:
        DataError: the class map names a class that is not there.
    """
    targets, classes, rate = images.targets, images.classes, config.noise_rate
    match config.noise:
        case "symmetric":
            return symmetric(targets, classes, rate, generator)
        case "pair":
            return pair(targets, classes, rate, generator)
        case "asymmetric":
            return asymmetric(targets, class_map(config, classes), rate, generator)
        case "instance":
            log_p = simple_model(images.inputs, targets, classes, generator)
            return instance(targets, log_p, rate, generator)
        case _:
            return targets.clone()


def class_map(config: RunConfig, classes: int) -> dict[int, int]:
    """Which class is taken for which: `noise_map`, else the data set's own, else each for the next."""
    text = config.noise_map or MAPS.get(config.dataset, "")
    if not text:
        return {c: (c + 1) % classes for c in range(classes)}
    confused = {int(c): int(taken_for) for c, taken_for in (each.split(">") for each in text.split())}
    unknown = sorted(c for c in {*confused, *confused.values()} if c >= classes)
    if unknown:
        raise DataError(
            f"noise_map: expected classes from 0 to {classes - 1}, got {', '.join(map(str, unknown))}; correct '{text}'"
        )
    return confused


def _some(n: int, rate: float, generator: torch.Generator) -> Tensor:
    """round(rate · n) of the indices below n, without replacement."""
    return torch.randperm(n, generator=generator)[: round(rate * n)]


def _gumbel(shape: torch.Size, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64).clamp_min(torch.finfo(torch.float64).tiny)
    return -(-uniform.log()).log()
