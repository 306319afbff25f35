"""Self-adaptive training against the paper's algorithm, and against labels that follow in the learned method."""

import torch
from torch import Tensor
from torch.nn import functional

from harness.training.config.run_config import RunConfig
from harness.training.methods.baselines.self_adaptive import SelfAdaptiveTraining
from tests.training.run_helpers import assert_resumes
from tests.training.tiny_task import CLASSES, IMAGES, batch, gradient, logits_of, task

QUICK = {"method": "self_adaptive", "noise": "symmetric", "noise_rate": 0.4, "width": 64, "meta_size": 50, "epochs": 6}


def adaptive(**settings: object) -> SelfAdaptiveTraining:
    return SelfAdaptiveTraining(task(**{"method": "self_adaptive", "epochs": 40, **settings}))


def algorithm_1(logits: Tensor, targets: Tensor, alpha: float) -> tuple[Tensor, Tensor]:
    """Loss and updated targets of a batch from epoch E_s on, an image at a time."""
    p = [row.exp() / row.exp().sum() for row in logits]
    updated = torch.stack([alpha * t + (1 - alpha) * q.detach() for t, q in zip(targets, p, strict=True)])
    weights = [float(t.max()) for t in updated]
    terms = [-w * (t * q.log()).sum() for w, t, q in zip(weights, updated, p, strict=True)]
    return torch.stack(terms).sum() / sum(weights), updated


def test_targets_and_loss_are_those_of_the_paper() -> None:
    method = adaptive(sat_momentum=0.7, sat_start_epoch=0)
    targets = functional.one_hot(method.task.given, CLASSES).float()[:IMAGES]
    for seed in (3, 4):
        logits = logits_of(IMAGES, seed=seed)
        loss = method.loss(logits, batch(method.task))
        expected, targets = algorithm_1(logits, targets, 0.7)
        torch.testing.assert_close(loss, expected)
        torch.testing.assert_close(gradient(loss, logits), gradient(expected, logits))
        torch.testing.assert_close(method.soft_labels()[:IMAGES], targets)


def test_before_the_start_it_is_cross_entropy() -> None:
    method, logits = adaptive(sat_start_epoch=3), logits_of(IMAGES)
    start = method.soft_labels().clone()
    for step in range(3):  # an epoch of this task is one step
        loss = method.loss(logits, batch(method.task, step=step))
        torch.testing.assert_close(loss, functional.cross_entropy(logits, batch(method.task).given))
    assert torch.equal(method.soft_labels(), start)
    method.loss(logits, batch(method.task, step=3))
    assert not torch.equal(method.soft_labels(), start)


def test_images_of_the_meta_set_keep_their_labels() -> None:
    method = adaptive(sat_start_epoch=0, sat_momentum=0.2, train_on_meta=True)
    start = method.soft_labels().clone()
    method.loss(logits_of(4), batch(method.task, 7, 1, 8, 4))
    moved = (method.soft_labels() != start).any(1)
    assert moved.nonzero().flatten().tolist() == [1, 4]


def test_a_run_corrects_labels_and_goes_on_from_a_file_bit_for_bit() -> None:
    config = RunConfig(**QUICK, sat_start_epoch=2, sat_momentum=0.6, lr=0.1)
    curve, _, _ = assert_resumes(config, 6, 3)
    assert curve[-1]["label_accuracy"] > 0.75 > curve[1]["label_accuracy"]
