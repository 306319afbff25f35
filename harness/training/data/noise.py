"""Label noise: wrong labels made on purpose. Each kind is exact in its rate and a function of its generator.

| noise | which labels | become |
| --- | --- | --- |
| symmetric | round(rate · N) of all | one of the other C - 1 classes, evenly (some count flips to the true class too) |
| pair | round(rate · N) of all | the next class, c + 1 mod C (Han et al. 2018, arXiv:1804.06872) |
| asymmetric | round(rate · N_c) of each class c in a map | its class there (Patrini et al. 2017, arXiv:1609.03683) |
| instance | round(rate · N) of all, hard ones likelier | a class it resembles (cf. Chen et al., arXiv:2012.05458) |

How hard an image is, is measured by a simple model: linear discriminant analysis on the image scaled to at most 8×8,
fitted on one half of the images and applied to the other. A label is drawn with probability in proportion to its loss
-log p_y, and becomes class c ≠ y in proportion to p_c.

A noise is a function (images, config, generator) → noisy classes [N]; `NOISES` in `harness.training.config.registry`
names it. A user's own, `module:function`, draws from the generator alone, so that a seed gives the same labels.
"""

from collections.abc import Sequence

import torch
from pydantic_core import PydanticCustomError
from torch import Tensor
from torch.nn import functional

from harness.common.formatting import format_list
from harness.training.config.noise_map import parse_noise_map
from harness.training.config.registry import NOISES, load_object
from harness.training.config.run_config import RunConfig
from harness.training.config.user_code import describe_exception, load_user_object
from harness.training.data.class_names import class_words, find_class_or_index
from harness.training.data.images import Images
from harness.training.errors import DataError

CLASS_MAPS = {
    "CIFAR10": "9>1 2>0 4>7 3>5 5>3",  # truck → car, bird → aeroplane, deer → horse, cat ↔ dog (Patrini et al.)
    "MNIST": "2>7 3>8 7>1 5>6 6>5",  # Patrini et al.
    "digits": "2>7 3>8 7>1 5>6 6>5",  # as MNIST
    "FashionMNIST": "0>6 2>4 4>2 5>7 9>7",  # ours: T-shirt → shirt, pullover ↔ coat, sandal → sneaker, boot → sneaker
}
"""Usual class maps of asymmetric noise."""

HARDNESS_SIDE = 8
RIDGE = 0.1  # share of the mean variance added to the covariance: pixels that never vary have none
FLOOR = 1e-6


def inject_noise(config: RunConfig, images: Images, generator: torch.Generator) -> Tensor:
    """Return the classes [N] of the images after the noise of `config`."""
    if config.noise == "none":
        return images.targets.clone()
    if config.noise in NOISES:
        noisy: Tensor = load_object(NOISES[config.noise])(images, config, generator)
        return noisy
    return _user_noise(config, images, generator)


def _user_noise(config: RunConfig, images: Images, generator: torch.Generator) -> Tensor:
    """Call a user's own noise, and check what it returns."""
    targets, name = images.targets.clone(), f"noise {config.noise}"
    expected = f"whole numbers [{len(targets)}] from 0 to {images.classes - 1}, the noisy class of each image"
    try:
        noisy = load_user_object(config.noise, "a noise, or a function of your own")(images, config, generator)
    except DataError:
        raise
    except PydanticCustomError as error:
        raise DataError(f"noise: {error.message()}") from error
    except Exception as error:
        raise DataError(f"{name}: expected {expected}, got the error {describe_exception(error)}; mend it") from error
    if not torch.equal(images.targets, targets):
        raise DataError(f"{name}: expected images.targets as they were, got others; change a clone of them")
    if not isinstance(noisy, Tensor) or noisy.is_floating_point() or noisy.shape != targets.shape:
        kind = f"{noisy.dtype} {list(noisy.shape)}" if isinstance(noisy, Tensor) else f"a {type(noisy).__name__}"
        raise DataError(f"{name}: expected {expected}, got {kind}; return a tensor of classes")
    if ((noisy < 0) | (noisy >= images.classes)).any():
        raise DataError(f"{name}: expected {expected}, got {int(noisy.min())} to {int(noisy.max())}; stay within them")
    return noisy.long()


def symmetric(images: Images, config: RunConfig, generator: torch.Generator) -> Tensor:
    flipped = _draw(len(images), config.noise_rate, generator)
    shift = torch.randint(1, images.classes, (len(flipped),), generator=generator)
    return _shifted(images, flipped, shift)


def pair(images: Images, config: RunConfig, generator: torch.Generator) -> Tensor:
    return _shifted(images, _draw(len(images), config.noise_rate, generator), 1)


def asymmetric(images: Images, config: RunConfig, generator: torch.Generator) -> Tensor:
    noisy = images.targets.clone()
    for c, wrong in sorted(class_map(config, images.class_names).items()):
        members = (images.targets == c).nonzero().flatten()
        noisy[members[_draw(len(members), config.noise_rate, generator)]] = wrong
    return noisy


def instance(images: Images, config: RunConfig, generator: torch.Generator) -> Tensor:
    targets = images.targets
    log_p = predict_by_halves(images.inputs, targets, images.classes, generator)
    losses = functional.nll_loss(log_p, targets, reduction="none").clamp_min(FLOOR)
    # The k largest of log w + Gumbel noise are k draws without replacement with probabilities in proportion to w.
    order = (losses.log() + _gumbel(losses.shape, generator)).argsort(descending=True, stable=True)
    flipped = order[: round(config.noise_rate * len(targets))]
    others = log_p[flipped].scatter(1, targets[flipped, None], -torch.inf)
    noisy = targets.clone()
    noisy[flipped] = (others + _gumbel(others.shape, generator)).argmax(1)
    return noisy


def class_map(config: RunConfig, class_names: Sequence[str]) -> dict[int, int]:
    """Return class → wrong class: `noise_map`, else the data set's usual map, else each class to the next."""
    text = config.noise_map or CLASS_MAPS.get(config.dataset, "")
    if not text:
        return {c: (c + 1) % len(class_names) for c in range(len(class_names))}
    entries = parse_noise_map(text)
    names = dict.fromkeys(name for entry in entries for name in entry)
    if unknown := [name for name in names if find_class_or_index(name, class_names) is None]:
        raise DataError(
            f"noise_map: expected {class_words(class_names)} on each side, got {format_list(unknown)}; correct '{text}'"
        )
    pairs = [[find_class_or_index(name, class_names) for name in entry] for entry in entries]
    if len({c for c, _ in pairs}) < len(pairs) or any(c == wrong for c, wrong in pairs):
        raise DataError(
            f"noise_map: expected each class once on the left, with another on the right, got '{text}'; correct it"
        )
    return {c: wrong for c, wrong in pairs if c is not None and wrong is not None}


def predict_by_halves(inputs: Tensor, targets: Tensor, classes: int, generator: torch.Generator) -> Tensor:
    """Return log p(class | image) [N, classes] by linear discriminant analysis, each half predicted by the other's fit.

    With μ_c a class's mean, π_c its share and Σ the covariance within classes, f_c(x) = ⟨μ_c, Σ⁻¹x⟩ - ½⟨μ_c, Σ⁻¹μ_c⟩ +
    log π_c and p = softmax f.
    """
    side = min(HARDNESS_SIDE, *inputs.shape[2:])
    pixels = functional.adaptive_avg_pool2d(inputs, side).flatten(1).double()
    halves = torch.randperm(len(targets), generator=generator).tensor_split(2)
    log_p = torch.empty(len(targets), classes, dtype=torch.float64)
    for fitted, predicted in (halves, halves[::-1]):
        log_p[predicted] = _fit_and_predict(pixels[fitted], targets[fitted], classes, pixels[predicted])
    return log_p


def _fit_and_predict(pixels: Tensor, targets: Tensor, classes: int, predicted: Tensor) -> Tensor:
    members = functional.one_hot(targets, classes).double()
    counts = members.sum(0).clamp_min(1)
    means = members.T @ pixels / counts[:, None]
    within = pixels - means[targets]
    covariance = within.T @ within / len(pixels)
    variance = covariance.diagonal().mean().clamp_min(FLOOR)
    covariance += RIDGE * variance * torch.eye(len(covariance), dtype=torch.float64)
    weights = torch.linalg.solve(covariance, means.T)
    offsets = (counts / len(pixels)).log() - 0.5 * (means.T * weights).sum(0)
    return functional.log_softmax(predicted @ weights + offsets, dim=1)


def _draw(n: int, rate: float, generator: torch.Generator) -> Tensor:
    """round(rate · n) of the indices below n, without replacement."""
    return torch.randperm(n, generator=generator)[: round(rate * n)]


def _shifted(images: Images, flipped: Tensor, shift: Tensor | int) -> Tensor:
    noisy = images.targets.clone()
    noisy[flipped] = (images.targets[flipped] + shift) % images.classes
    return noisy


def _gumbel(shape: torch.Size, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(shape, generator=generator, dtype=torch.float64).clamp_min(torch.finfo(torch.float64).tiny)
    return -(-uniform.log()).log()
