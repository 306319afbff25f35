"""The learned labels' step, its schedule, and its options."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.metalabel import project_onto_simplex
from harness.training.config.run_config import RunConfig
from harness.training.data.images import Images
from harness.training.data.meta_set import MetaSet, rank_within_class
from harness.training.methods import Task
from harness.training.methods.learned import LearnedLabels
from harness.training.run import Run
from tests.training.run_helpers import epochs, same_state
from tests.training.test_methods import linear, meta_loss_after_a_step
from tests.training.tiny_task import CLASSES, IMAGES, batch, task

QUICK = RunConfig(noise="symmetric", noise_rate=0.4, width=16, epochs=4, meta_interval=2)


def label_gradient(of: Task, labels: Tensor, *index: int) -> Tensor:
    """∂M/∂Y by double backward, [batch, classes]."""
    part = batch(of, *index)
    free = labels.detach().clone().requires_grad_()
    loss = -(free * of.model(part.inputs).log_softmax(1)).sum(1).mean()
    (slope,) = torch.autograd.grad(meta_loss_after_a_step(of.model, loss, of.meta.draw()), free)
    return slope


def test_an_instance_label_steps_down_the_meta_gradient_and_back_onto_the_simplex() -> None:
    of = task(model=linear(), label_lr=0.7)
    method = LearnedLabels(of)
    start = method.soft_labels()
    slope = label_gradient(of, start[:IMAGES])
    method.step(batch(of))
    expected = project_onto_simplex(start[:IMAGES] - 0.7 * (IMAGES / 0.1) * slope)
    torch.testing.assert_close(method.soft_labels()[:IMAGES], expected, rtol=1e-4, atol=1e-6)
    assert torch.equal(method.soft_labels()[IMAGES:], start[IMAGES:])
    assert not torch.equal(expected, start[:IMAGES])


def test_a_class_label_steps_by_the_mean_over_its_images() -> None:
    of = task(model=linear(), label_lr=0.7, labels="class", label_smoothing=0.2)
    method = LearnedLabels(of)
    given = batch(of).given
    slope = label_gradient(of, method.soft_labels()[:IMAGES])
    start = method.table.as_tensor()
    method.step(batch(of))
    sums = torch.zeros(CLASSES, CLASSES).index_add_(0, given, slope * IMAGES / 0.1)
    expected = project_onto_simplex(start - 0.7 * sums * CLASSES / IMAGES)
    torch.testing.assert_close(method.table.as_tensor(), expected, rtol=1e-4, atol=1e-6)
    assert torch.equal(method.soft_labels()[:IMAGES], method.table.as_tensor()[given])


def test_the_model_steps_by_the_labels_before_their_step() -> None:
    of = task(model=linear(), label_lr=0.7)
    method, part = LearnedLabels(of), batch(of)
    loss = functional.cross_entropy(of.model(part.inputs), part.given)
    slopes = torch.autograd.grad(loss, list(of.model.parameters()))
    torch.testing.assert_close(method.step(part), loss.detach())
    for weight, slope in zip(of.model.parameters(), slopes, strict=True):
        torch.testing.assert_close(weight.grad, slope)


@pytest.mark.parametrize("labels", ["instance", "class"])
def test_where_the_meta_set_is_trained_on_its_images_move_no_label(labels: str) -> None:
    of = task(model=linear(), label_lr=0.7, labels=labels, label_smoothing=0.4, train_on_meta=True)
    method = LearnedLabels(of)
    start = method.soft_labels()
    method.step(batch(of, 7, 8))  # both of the meta set
    assert torch.equal(method.soft_labels(), start)
    method.step(batch(of, 7, 1, 8, 4))
    moved = (method.soft_labels() != start).any(1)
    assert moved[[1, 4]].all()
    assert not moved[IMAGES:].any()


def test_labels_step_every_interval_after_the_warm_up() -> None:
    def moved(step: int) -> bool:
        of = task(model=linear(), meta_interval=3, label_warmup_epochs=2, epochs=40)
        method = LearnedLabels(of)
        before = method.soft_labels()
        method.step(batch(of, step=step))
        return not torch.equal(method.soft_labels(), before)

    assert [step for step in range(12) if moved(step)] == [2, 5, 8, 11]  # an epoch of this task is one step


@pytest.mark.parametrize(("schedule", "factor"), [("constant", 1.0), ("model", 0.25)])
def test_the_label_rate_falls_with_the_model_s_where_asked(schedule: str, factor: float) -> None:
    def after(**settings: object) -> Tensor:
        of = task(model=linear(), **settings)
        method = LearnedLabels(of)
        method.step(batch(of, lr_factor=0.25))
        return method.soft_labels()

    assert torch.equal(after(label_lr=0.4, label_schedule=schedule), after(label_lr=0.4 * factor))


def test_momentum_carries_a_label_step_on() -> None:
    of = task(model=linear(), label_lr=0.05, label_momentum=0.9, label_smoothing=0.5)
    method = LearnedLabels(of)
    first = label_gradient(of, method.soft_labels()[:IMAGES]) * IMAGES / 0.1
    start = method.soft_labels()[:IMAGES]
    method.step(batch(of))
    after_one = method.soft_labels()[:IMAGES]
    torch.testing.assert_close(after_one, project_onto_simplex(start - 0.05 * first), rtol=1e-4, atol=1e-6)
    second = label_gradient(of, after_one) * IMAGES / 0.1
    method.step(batch(of))
    expected = project_onto_simplex(after_one - 0.05 * (0.9 * first + second))
    torch.testing.assert_close(method.soft_labels()[:IMAGES], expected, rtol=1e-4, atol=1e-6)


def test_decay_pulls_labels_back_to_where_they_began() -> None:
    of = task(model=linear(), label_lr=1e-12, label_decay=0.25)
    method = LearnedLabels(of)
    start = method.soft_labels()[:IMAGES]
    away = torch.full_like(start, 1 / CLASSES)
    method.table.table[:IMAGES] = away
    method.step(batch(of))
    torch.testing.assert_close(method.soft_labels()[:IMAGES], 0.75 * away + 0.25 * start)


@pytest.mark.parametrize(("form", "label_lr"), [("softmax", 5.0), ("exponentiated", 0.5)])
def test_labels_may_be_the_softmax_of_what_is_learned(form: str, label_lr: float) -> None:
    of = task(model=linear(), label_form=form, label_lr=label_lr)
    method = LearnedLabels(of)
    start = method.soft_labels()
    assert start.min() > 0
    assert torch.equal(start.argmax(1), of.given)
    method.step(batch(of))
    labels = method.soft_labels()
    torch.testing.assert_close(labels.sum(1), torch.ones(len(labels)))
    # Downhill: the first-order change of the meta loss is negative.
    assert (label_gradient(of, start[:IMAGES]) * (labels - start)[:IMAGES]).sum() < 0


def test_retraining_begins_with_fresh_weights_on_labels_that_no_longer_move() -> None:
    config = QUICK.model_copy(update={"epochs": 6, "retrain_share": 0.5})
    run = Run(config)
    curve = epochs(run, 3)
    learned, weights = run.soft_labels, {name: value.clone() for name, value in run.model.state_dict().items()}
    curve += epochs(run, 3)
    assert torch.equal(run.soft_labels, learned)
    assert not same_state(run.model.state_dict(), weights)
    assert curve[3]["lr"] > curve[2]["lr"]
    assert curve[3]["train_loss"] > curve[2]["train_loss"]
    assert run.done
    plain = epochs(Run(QUICK.model_copy(update={"epochs": 3})), 3)
    assert [metrics["label_accuracy"] for metrics in plain] == [metrics["label_accuracy"] for metrics in curve[:3]]


def meta_set(classes: list[int], batch_size: int, balanced: bool) -> MetaSet:
    """A meta set whose images are their indices."""
    inputs = torch.arange(len(classes)).float().view(-1, 1, 1, 1)
    config = RunConfig(meta_batch_size=batch_size, meta_balanced=balanced)
    return MetaSet(Images.from_tensors(inputs, torch.tensor(classes), 3), config, torch.Generator().manual_seed(0))


def test_a_meta_batch_is_distinct_images_with_their_classes() -> None:
    meta = meta_set([0, 1, 2, 2, 1, 0, 0], 3, balanced=False)
    drawn = [meta.draw() for _ in range(50)]
    for inputs, targets in drawn:
        assert len(inputs.unique()) == 3
        assert torch.equal(targets.argmax(1), meta.classes[inputs.flatten().long()])
    assert len(torch.cat([inputs for inputs, _ in drawn]).unique()) == 7


def test_a_balanced_meta_batch_holds_the_classes_equally_often() -> None:
    classes = [0] * 20 + [1] * 6 + [2] * 2
    meta = meta_set(classes, 6, balanced=True)
    seen: set[float] = set()
    for _ in range(60):
        inputs, targets = meta.draw()
        assert targets.sum(0).tolist() == [2, 2, 2]
        seen |= set(inputs.flatten().tolist())
    assert len(seen) == 28
    large = meta_set(classes, 12, balanced=True)
    assert large.draw()[1].sum(0).tolist() == [5, 5, 2]  # as far as the set has them


def test_the_whole_meta_set_is_one_batch_where_it_is_no_larger() -> None:
    meta = meta_set([0, 1, 2], 3, balanced=True)
    assert meta.draw()[0].flatten().tolist() == [0, 1, 2]


def test_rank_within_class() -> None:
    assert rank_within_class(torch.tensor([2, 0, 2, 2, 0, 1])).tolist() == [0, 0, 1, 2, 1, 0]


def test_a_label_decides_nothing_of_the_truth() -> None:
    """True classes of training images reach no method: other ones change no label and no weight."""
    run, blind = Run(QUICK), Run(QUICK)
    assert isinstance(blind.model, nn.Module)
    blind.splits.train.targets.copy_((blind.splits.train.targets + 1) % 10)
    epochs(run, 2)
    epochs(blind, 2)
    assert torch.equal(run.soft_labels, blind.soft_labels)
    assert same_state(run.model.state_dict(), blind.model.state_dict())
