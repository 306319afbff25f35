"""Labels that follow the model, and the label gradient by way of the last layers, in the learned method and in runs."""

from typing import Any

import pytest
import torch
from torch import Tensor

from harness.metalabel import meta_step
from harness.training.config.run_config import RunConfig
from harness.training.methods.learned import LearnedLabels
from harness.training.run import Run
from tests.training.run_helpers import assert_resumes, epochs
from tests.training.test_methods import linear
from tests.training.tiny_task import CLASSES, IMAGES, batch, task

FORMS = ("simplex", "softmax", "exponentiated")
NO_LABEL_STEPS = {"label_warmup_epochs": 40, "epochs": 40}
QUICK = {"noise": "symmetric", "noise_rate": 0.4, "width": 16, "epochs": 4, "meta_interval": 2, "meta_size": 50}


def predictions(of: Any, *index: int) -> Tensor:
    with torch.no_grad():
        p: Tensor = of.model(batch(of, *index).inputs).softmax(1)
    return p


@pytest.mark.parametrize("form", FORMS)
def test_without_label_steps_labels_follow_as_in_self_adaptive_training(form: str) -> None:
    """Huang et al. 2020, equation (3): t_i ← α t_i + (1 - α) p_i, with α = 1 - label_follow."""
    of = task(model=linear(), label_follow=0.3, label_smoothing=0.2, label_form=form, **NO_LABEL_STEPS)
    method = LearnedLabels(of)
    start = method.soft_labels()
    p = predictions(of)
    for expected in (0.7 * start[:IMAGES] + 0.3 * p, 0.49 * start[:IMAGES] + 0.51 * p):
        method.step(batch(of))
        torch.testing.assert_close(method.soft_labels()[:IMAGES], expected)
    torch.testing.assert_close(method.soft_labels()[IMAGES:], start[IMAGES:])


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", ["instance", "class"])
def test_at_a_rate_of_one_a_label_is_the_last_prediction(form: str, labels: str) -> None:
    of = task(model=linear(), label_follow=1.0, label_form=form, labels=labels, label_lr=0.3)
    method = LearnedLabels(of)
    p, given = predictions(of), batch(of).given
    method.step(batch(of))  # with a label step, which comes first
    if labels == "class":
        p = torch.stack([p[given == c].mean(0) for c in range(CLASSES)])[given]
    torch.testing.assert_close(method.soft_labels()[:IMAGES], p)


def test_the_loss_is_that_of_the_labels_before_they_follow() -> None:
    of = task(model=linear(), label_follow=0.9, label_sharpen=2.0, **NO_LABEL_STEPS)
    plain = task(model=linear(), **NO_LABEL_STEPS)
    loss = LearnedLabels(of).step(batch(of))
    assert torch.equal(loss, LearnedLabels(plain).step(batch(plain)))
    for ours, theirs in zip(of.model.parameters(), plain.model.parameters(), strict=True):
        assert torch.equal(ours.grad, theirs.grad)


@pytest.mark.parametrize("labels", ["instance", "class"])
def test_images_of_the_meta_set_neither_follow_nor_lead(labels: str) -> None:
    settings: dict[str, Any] = {"labels": labels, "train_on_meta": True, "label_smoothing": 0.4, "label_follow": 0.5}
    of = task(model=linear(), **settings, **NO_LABEL_STEPS)
    method = LearnedLabels(of)
    start = method.soft_labels()
    method.step(batch(of, 7, 8))  # both of the meta set
    torch.testing.assert_close(method.soft_labels(), start)
    method.step(batch(of, 7, 1, 8, 4))
    moved = method.soft_labels()
    assert ((moved - start).abs().amax(1) > 1e-4)[[1, 4]].all()
    torch.testing.assert_close(moved[IMAGES:], start[IMAGES:])
    if labels == "instance":
        torch.testing.assert_close(moved[[1, 4]], (start[[1, 4]] + predictions(of, 1, 4)) / 2)


def test_labels_follow_between_their_first_epoch_and_the_retraining() -> None:
    settings = {"label_follow": 0.5, "label_follow_after": 2, "retrain_share": 0.5, "epochs": 12}

    def moved(step: int) -> bool:
        of = task(model=linear(), **settings, label_warmup_epochs=12)
        method = LearnedLabels(of)
        before = method.soft_labels()
        method.step(batch(of, step=step))
        return not torch.equal(method.soft_labels(), before)

    assert [step for step in range(12) if moved(step)] == [2, 3, 4, 5]  # an epoch of this task is one step


@pytest.mark.parametrize("labels", ["instance", "class"])
def test_an_epoch_moves_labels_alike_in_batches_of_any_size(labels: str) -> None:
    """label_follow is per epoch: with a model that stays, small batches and the whole epoch in one move the labels to
    places that are close, where a rate per step would be about 7 times as fast."""
    after = []
    for size in (IMAGES, 1):
        of = task(model=linear(), label_follow=0.2, labels=labels, **NO_LABEL_STEPS)
        method = LearnedLabels(of)
        start = method.soft_labels()
        for first in range(0, IMAGES, size):
            method.step(batch(of, *range(first, first + size)))
        after.append(method.soft_labels()[:IMAGES])
    distances = [(labels - start[:IMAGES]).abs().sum() for labels in after]
    torch.testing.assert_close(distances[0], distances[1], rtol=0.05, atol=0)


@pytest.mark.parametrize(("layers", "tensors"), [("head", 2), ("block", 4), ("all", None)])
def test_the_label_gradient_goes_by_way_of_the_layers_asked_for(layers: str, tensors: int | None) -> None:
    of, other = (task(model=linear(), label_lr=0.7, label_layers=layers) for _ in range(2))
    method = LearnedLabels(of)
    part, labels = batch(other), method.soft_labels()[:IMAGES]
    step = meta_step(other.model, other.optimizer, part.inputs, labels, *other.meta.draw(), last=tensors)
    expected = LearnedLabels(other)
    expected.table.update(part.index, step.gradient, label_lr=0.7, scale=step.scale)
    method.step(batch(of))
    assert torch.equal(method.soft_labels(), expected.soft_labels())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("labels", ["instance", "class"])
def test_a_run_goes_on_from_a_file_bit_for_bit(form: str, labels: str) -> None:
    settings: dict[str, Any] = {**QUICK, "label_form": form, "labels": labels, "train_on_meta": True}
    config = RunConfig(**settings, label_follow=0.3, label_sharpen=2.0, label_follow_after=1, label_layers="head")
    curve, _, _ = assert_resumes(config, 4, 2)
    assert curve[0] == epochs(Run(RunConfig(**settings, label_layers="head")), 1)[0]


def test_following_may_begin_and_change_in_mid_run() -> None:
    changing = epochs(Run(RunConfig(**QUICK, changes="1: label_follow=0.4; 3: label_sharpen=2.5 label_follow=0.1")), 4)
    run, expected = Run(RunConfig(**QUICK)), []
    for settings in ({}, {"label_follow": 0.4}, {"label_follow": 0.4}, {"label_follow": 0.1, "label_sharpen": 2.5}):
        state, run = run.state_dict(), Run(RunConfig(**QUICK, **settings))
        run.load_state_dict(state, ("label_follow", "label_sharpen"))
        expected += epochs(run, 1)
    assert changing == expected


def test_following_corrects_wrong_labels() -> None:
    """Digits, 40 % wrong: the model is right about many images before it fits what is wrong."""
    settings: dict[str, Any] = {**QUICK, "width": 64, "epochs": 12, "meta_interval": 4, "label_form": "exponentiated"}
    settings |= {"label_smoothing": 0.2, "train_on_meta": True, "lr": 0.1}
    config = RunConfig(**settings, label_follow=0.2, label_sharpen=2.0)
    still, following = (epochs(Run(settings_of_run), 12)[-1] for settings_of_run in (RunConfig(**settings), config))
    assert following["label_accuracy"] > max(0.85, still["label_accuracy"])
