"""Sparse over-parameterisation against autograd of its two losses, an image at a time, and in runs."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional

from harness.training.config.run_config import RunConfig
from harness.training.methods.baselines.sop import SparseOverParameterisation
from tests.training.run_helpers import assert_resumes
from tests.training.tiny_task import CLASSES, IMAGES, batch, gradient, logits_of, task

QUICK = {"method": "sop", "noise": "symmetric", "noise_rate": 0.4, "width": 64, "meta_size": 50, "epochs": 12}


def sop(w: Tensor | None = None, **settings: object) -> SparseOverParameterisation:
    """The method of a tiny task, at `w` [images of the task, classes] where it is given."""
    method = SparseOverParameterisation(task(**{"method": "sop", "train_on_meta": True, **settings}))
    if w is not None:
        method.w = w
    return method


def two_losses(logits: Tensor, given: Tensor, u: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """L_CE and L_MSE of the authors' code, with u [images, 1] and v [images, classes]; v learns from L_MSE alone."""
    cross_entropy, squares = [], []
    for z, label, u_i, v_i in zip(logits, given, u, v, strict=True):
        y = functional.one_hot(label, CLASSES).to(z.dtype)
        plus, minus = (u_i**2 * y).clamp(0, 1), (v_i**2 * (1 - y)).clamp(0, 1)
        p = z.exp() / z.exp().sum()
        q = functional.normalize((p + plus - minus.detach()).clamp(min=1e-4), p=1, dim=0, eps=1e-4)
        cross_entropy.append(-(y * q.clamp(1e-4, 1).log()).sum())
        h = functional.one_hot(z.detach().argmax(), CLASSES)
        squares.append(((h + plus - minus - y) ** 2).sum())
    return torch.stack(cross_entropy).mean(), torch.stack(squares).mean()


@pytest.mark.parametrize("scale", [1.0, 8.0])
def test_loss_and_steps_are_autograds_of_the_two_losses(scale: float) -> None:
    """At a scale of 8 some given classes have less than 1e-4, where L_CE has no slope at u."""
    w = torch.rand(len(task().given), CLASSES, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    w[::2] *= 1e-3
    method = sop(w, sop_u_lr=0.11, sop_v_lr=0.07)
    index = (5, 0, 3, 6, 2)
    chosen = batch(method.task, *index)
    logits = logits_of(len(index), scale=scale).detach().double().requires_grad_()
    before = method.w.clone()
    u = before[chosen.index].gather(1, chosen.given[:, None]).requires_grad_()
    v = before[chosen.index].requires_grad_()
    cross_entropy, squares = two_losses(logits, chosen.given, u, v)

    loss = method.loss(logits, chosen)
    torch.testing.assert_close(loss, cross_entropy)
    torch.testing.assert_close(gradient(loss, logits), gradient(cross_entropy, logits))
    (du, dv) = torch.autograd.grad(cross_entropy + squares, (u, v))
    own = functional.one_hot(chosen.given, CLASSES).bool()
    expected = torch.where(own, (u - 0.11 * du).detach(), (v - 0.07 * dv).detach())
    torch.testing.assert_close(method.w[chosen.index], expected)
    others = torch.ones(len(before), dtype=torch.bool).index_fill(0, chosen.index, False)
    assert torch.equal(method.w[others], before[others])
    below = logits.softmax(1).gather(1, chosen.given[:, None]) + u**2 < 1e-4
    assert bool(below.any()) == (scale > 1)


def test_the_first_step_of_the_model_is_that_of_cross_entropy() -> None:
    method, logits = sop(), logits_of(IMAGES)
    assert 0 < method.w.abs().max() < 1e-7
    loss = method.loss(logits, batch(method.task))
    expected = functional.cross_entropy(logits, batch(method.task).given)
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, logits), gradient(expected, logits))


def test_a_step_ends_within_the_constraint() -> None:
    method = sop(torch.full((len(task().given), CLASSES), 0.9), sop_u_lr=1e3, sop_v_lr=1e3)
    method.loss(logits_of(IMAGES), batch(method.task))
    assert (method.w.abs() == 1).any()
    assert method.w.abs().max() == 1


def test_images_of_the_meta_set_keep_their_labels() -> None:
    method = sop(sop_u_lr=50.0, sop_v_lr=50.0, sop_init_std=0.1)
    start = method.soft_labels().clone()
    assert torch.equal(start[IMAGES:], functional.one_hot(method.task.given[IMAGES:], CLASSES).float())
    method.loss(logits_of(4), batch(method.task, 7, 1, 8, 4))
    moved = (method.soft_labels() != start).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 4]


@pytest.mark.parametrize(
    ("u", "others", "expected"),
    [
        (0.0, (0.0, 0.0), (1.0, 0.0, 0.0)),  # no noise
        (1.0, (-1.0, 0.0), (0.0, 1.0, 0.0)),  # a mistake that is found whole
        (0.6, (0.0, 0.0), (0.64 + 0.12, 0.12, 0.12)),  # mass of which no class is known
        (0.6, (0.6, 0.0), (0.64, 0.36, 0.0)),
        (0.0, (1.0, 1.0), (1 / 3, 1 / 3, 1 / 3)),  # a sum of 3
    ],
)
def test_a_soft_label_is_the_given_one_without_its_noise(
    u: float, others: tuple[float, float], expected: tuple[float, float, float]
) -> None:
    method = sop()
    given = int(method.task.given[0])
    order = [given, *(c for c in range(CLASSES) if c != given)]
    method.w[0, order] = torch.tensor([u, *others])
    torch.testing.assert_close(method.soft_labels()[0, order], torch.tensor(expected))


def test_a_run_corrects_labels_and_goes_on_from_a_file_bit_for_bit() -> None:
    config = RunConfig(**QUICK, sop_init_std=0.01, lr=0.1)
    curve, _, _ = assert_resumes(config, 12, 5)
    assert curve[-1]["label_accuracy"] > 0.8 > curve[1]["label_accuracy"]
