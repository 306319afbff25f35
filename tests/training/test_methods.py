"""Each method against its published equation, on a handful of numbers."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from harness.training.config.checks import check_config
from harness.training.config.method_lookup import method_class
from harness.training.config.methods import METHODS
from harness.training.config.run_config import RunConfig
from harness.training.errors import DataError
from harness.training.methods import Method
from harness.training.methods.baselines.bootstrapping import Bootstrapping
from harness.training.methods.baselines.distillation import Distillation
from harness.training.methods.baselines.elr import EarlyLearningRegularisation
from harness.training.methods.baselines.fine_tuning import FineTuning
from harness.training.methods.baselines.gce import GeneralisedCrossEntropy
from harness.training.methods.baselines.label_smoothing import LabelSmoothing
from harness.training.methods.baselines.one_hot import OneHot
from harness.training.methods.baselines.online_label_smoothing import OnlineLabelSmoothing
from harness.training.methods.baselines.reweighting import Reweighting
from harness.training.run import Run
from tests.training.run_helpers import epochs, trained_teacher
from tests.training.tiny_task import CLASSES, IMAGES, TRUSTED, batch, gradient, logits_of, task


def cross_entropies(logits: Tensor, given: Tensor) -> Tensor:
    """-log p_y of each, [batch]."""
    p = logits.exp() / logits.exp().sum(1, keepdim=True)
    return -p[torch.arange(len(given)), given].log()


def test_every_method_has_a_name_in_the_configuration_and_a_class() -> None:
    for name, shipped in METHODS.items():
        assert RunConfig(method=name).method == name
        assert issubclass(method_class(name), Method)
        assert method_class(name).Parameters is shipped.parameters


def test_one_hot_is_cross_entropy_with_the_given_class() -> None:
    method, logits = OneHot(task(method="one_hot")), logits_of(IMAGES)
    given = batch(method.task).given
    loss = method.loss(logits, batch(method.task))
    torch.testing.assert_close(loss, cross_entropies(logits, given).mean())
    torch.testing.assert_close(
        gradient(loss, logits), (logits.softmax(1) - functional.one_hot(given, CLASSES)).detach() / IMAGES
    )


def test_label_smoothing_mixes_in_the_mean_over_all_classes() -> None:
    method, logits = LabelSmoothing(task(method="label_smoothing", label_smoothing=0.3)), logits_of(IMAGES)
    loss = method.loss(logits, batch(method.task))
    evenly = -logits.log_softmax(1).mean(1)
    expected = 0.7 * cross_entropies(logits, batch(method.task).given) + 0.3 * evenly
    torch.testing.assert_close(loss, expected.mean())
    labels = method.soft_labels()
    assert labels[torch.arange(len(labels)), method.task.given].tolist() == pytest.approx([0.7 + 0.1] * len(labels))


@pytest.mark.parametrize("q", [0.3, 0.7, 1.0])  # 1: mean absolute error
def test_gce_weighs_the_gradient_of_cross_entropy_by_a_power_of_p(q: float) -> None:
    method, logits = GeneralisedCrossEntropy(task(method="gce", gce_q=q)), logits_of(IMAGES)
    losses = cross_entropies(logits, batch(method.task).given)
    loss = method.loss(logits, batch(method.task))
    torch.testing.assert_close(loss, ((1 - (-losses).exp() ** q) / q).mean())
    weight = (-losses).exp()[:, None] ** q  # equation (7) of the paper
    torch.testing.assert_close(gradient(loss, logits), (weight * gradient(losses.mean(), logits)).detach())


def test_soft_bootstrapping_is_cross_entropy_and_minimum_entropy() -> None:
    method, logits = Bootstrapping(task(method="bootstrapping", bootstrap_weight=0.8)), logits_of(IMAGES)
    loss = method.loss(logits, batch(method.task))
    p = logits.softmax(1)
    entropy = -(p * p.log()).sum(1)
    expected = (0.8 * cross_entropies(logits, batch(method.task).given) + 0.2 * entropy).mean()
    torch.testing.assert_close(loss, expected)
    torch.testing.assert_close(gradient(loss, logits), gradient(expected, logits))


def test_soft_bootstrapping_reports_the_targets_last_trained_with() -> None:
    method, logits = Bootstrapping(task(method="bootstrapping", bootstrap_weight=0.4)), logits_of(3)
    given = functional.one_hot(method.task.given, CLASSES).float()
    assert torch.equal(method.soft_labels(), given)
    method.loss(logits, batch(method.task, 4, 1, 7))  # 7 is of the meta set
    expected = given.clone()
    expected[[4, 1]] = (0.4 * given[[4, 1]] + 0.6 * logits.softmax(1)[:2]).detach()
    torch.testing.assert_close(method.soft_labels(), expected)


def test_elr_keeps_a_running_mean_of_predictions() -> None:
    method = EarlyLearningRegularisation(task(method="elr", elr_momentum=0.7))
    first, second = logits_of(2, seed=3, scale=1.0), logits_of(2, seed=4, scale=1.0)
    for logits in (first, second):
        method.loss(logits, batch(method.task, 5, 0))
    p, q = first.softmax(1).detach(), second.softmax(1).detach()
    torch.testing.assert_close(method.targets[[5, 0]], 0.7 * (0.3 * p) + 0.3 * q)
    assert (method.targets[[1, 2, 3, 4, 6]] == 0).all()
    labels = method.soft_labels()
    torch.testing.assert_close(labels.sum(1), torch.ones(len(labels)))
    torch.testing.assert_close(labels[[5, 0]], method.targets[[5, 0]] / (1 - 0.7**2))
    assert torch.equal(labels[1].argmax(), method.task.given[1])


def test_elr_pulls_as_the_paper_says() -> None:
    method, logits = (
        EarlyLearningRegularisation(task(method="elr", elr_momentum=0.7, elr_weight=3.0)),
        logits_of(IMAGES, scale=1.0),
    )
    method.loss(logits_of(IMAGES, seed=9, scale=1.0), batch(method.task))
    loss = method.loss(logits, batch(method.task))
    p, t = logits.softmax(1).detach(), method.targets[:IMAGES]
    agreement = (p * t).sum(1, keepdim=True)
    torch.testing.assert_close(
        loss.detach(),
        cross_entropies(logits, batch(method.task).given).mean().detach() + 3 * (1 - agreement).log().mean(),
    )
    # Lemma 2 of the paper: g_c = p_c / (1 - ⟨p, t⟩) Σ_k (t_k - t_c) p_k
    pull = p / (1 - agreement) * (agreement - t)
    given = functional.one_hot(batch(method.task).given, CLASSES)
    torch.testing.assert_close(gradient(loss, logits), (p - given + 3 * pull) / IMAGES)


def test_online_label_smoothing_takes_what_the_model_says_of_images_it_got_right() -> None:
    method = OnlineLabelSmoothing(task(method="online_label_smoothing", ols_weight=0.4))
    given = method.task.given[[0, 1, 2, 3, 4, 5]]
    logits = [logits_of(3, seed=5), logits_of(3, seed=6)]
    losses = [method.loss(logits[0], batch(method.task, 0, 1, 2)), method.loss(logits[1], batch(method.task, 3, 4, 5))]
    uniform = torch.full((3, CLASSES), 1 / CLASSES)
    for loss, logits_of_part, part in zip(losses, logits, given.split(3), strict=True):
        expected = 0.4 * cross_entropies(logits_of_part, part) - 0.6 * (uniform * logits_of_part.log_softmax(1)).sum(1)
        torch.testing.assert_close(loss, expected.mean())

    p = torch.cat(logits).softmax(1).detach()
    right = p.argmax(1) == given
    assert 0 < right.sum() < 6
    method.end_epoch()
    for c in range(CLASSES):
        chosen = p[right & (given == c)]
        torch.testing.assert_close(method.soft[c], chosen.mean(0) if len(chosen) else uniform[0])
    assert method.sums.abs().sum() == method.counts.sum() == 0
    torch.testing.assert_close(
        method.soft_labels(),
        0.4 * functional.one_hot(method.task.given, CLASSES) + 0.6 * method.soft[method.task.given],
    )


def test_a_class_of_which_nothing_was_right_keeps_its_soft_label() -> None:
    method = OnlineLabelSmoothing(task(method="online_label_smoothing"))
    method.soft[1] = torch.tensor([0.2, 0.7, 0.1])
    given = batch(method.task).given
    method.loss(-10.0 * functional.one_hot(given, CLASSES), batch(method.task))
    method.end_epoch()
    torch.testing.assert_close(method.soft[1], torch.tensor([0.2, 0.7, 0.1]))


def linear() -> nn.Module:
    torch.manual_seed(4)
    return nn.Sequential(nn.Flatten(), nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, CLASSES))


def meta_loss_after_a_step(model: nn.Module, loss: Tensor, meta: tuple[Tensor, Tensor]) -> Tensor:
    """M(θ - 0.1 ∇loss), with the whole road recorded: double backward."""
    named = dict(model.named_parameters())
    slopes = torch.autograd.grad(loss, list(named.values()), create_graph=True)
    ahead = {name: weight - 0.1 * slope for (name, weight), slope in zip(named.items(), slopes, strict=True)}
    logits = torch.func.functional_call(model, ahead, meta[0])
    return -(meta[1] * logits.log_softmax(1)).sum(1).mean()


def test_reweighting_gives_the_gradient_of_meta_weight_net() -> None:
    torch.manual_seed(0)
    of = task(method="reweighting", model=linear())
    method = Reweighting(of)
    part = batch(of)
    losses = functional.cross_entropy(of.model(part.inputs), part.given, reduction="none")
    values = method.net(losses.detach()[:, None])[:, 0]
    weighted = (values / values.sum() * losses).sum()
    meta = meta_loss_after_a_step(of.model, weighted, of.meta.draw())
    expected = torch.autograd.grad(meta, list(method.net.parameters()))

    method._update_weight_net(part)
    for parameter, slope in zip(method.net.parameters(), expected, strict=True):
        assert parameter.grad is not None
        # ∂M/∂Θ without the factor of the model's rate, s = 0.1
        torch.testing.assert_close(0.1 * parameter.grad, slope, rtol=1e-4, atol=1e-9)


def test_reweighting_trains_on_losses_times_the_new_weights_and_on_trusted_images_fully() -> None:
    torch.manual_seed(0)
    of = task(method="reweighting", model=linear(), weight_net_lr=0.05)
    method = Reweighting(of)
    part = batch(of, 2, 8, 5)  # 8 is of the meta set
    before = method.net(torch.ones(1, 1)).item()
    loss = method.step(part)
    assert method.net(torch.ones(1, 1)).item() != before
    losses = functional.cross_entropy(of.model(part.inputs), part.given, reduction="none")
    weights = method.net(losses[:, None])[:, 0].detach()
    weights[1] = 1
    weights /= weights.mean()
    torch.testing.assert_close(loss, (weights * losses).mean().detach())
    slopes = torch.autograd.grad((weights * losses).mean(), list(of.model.parameters()))
    for weight, slope in zip(of.model.parameters(), slopes, strict=True):
        torch.testing.assert_close(weight.grad, slope)


def test_reweighting_moves_running_statistics_once_a_step() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.BatchNorm1d(4), nn.Linear(4, CLASSES))
    of = task(method="reweighting", model=model)
    method = Reweighting(of)
    part = batch(of)
    method.step(part)
    norm = model[1]
    assert isinstance(norm, nn.BatchNorm1d)
    assert norm.num_batches_tracked == 1
    torch.testing.assert_close(norm.running_mean, 0.1 * part.inputs.flatten(1).mean(0))


def test_reweighting_learns_to_trust_what_is_right() -> None:
    config = RunConfig(method="reweighting", noise="symmetric", noise_rate=0.4, epochs=8)
    run = Run(config)
    curve = epochs(run, 8)
    method = run.method
    assert isinstance(method, Reweighting)
    low, high = method.net(torch.tensor([[0.1], [4.0]])).flatten().tolist()
    assert low > 2 * high  # an image of small loss is likelier to be annotated rightly
    assert curve[-1]["val_accuracy"] > 0.8


def test_fine_tuning_ends_on_the_meta_set_alone_at_its_own_rate() -> None:
    config = RunConfig(method="fine_tuning", epochs=5, fine_tune_share=0.4, fine_tune_lr=0.003, noise_rate=0.4)
    for train_on_meta in (False, True):
        run = Run(config.model_copy(update={"noise": "symmetric", "train_on_meta": train_on_meta}))
        assert isinstance(run.method, FineTuning)
        first, last = run.phases
        assert (first.epochs, first.lr, last.epochs, last.lr) == (3, 0.05, 2, 0.003)
        assert len(first.images) == len(run.splits.train) + (150 if train_on_meta else 0)
        assert run.task.trusted[last.images].all()
        assert len(last.images) == 150
        curve = epochs(run, 5)
        assert curve[2]["lr"] < 0.001
        assert curve[3]["lr"] < 0.003
        assert curve[4]["meta_loss"] < curve[2]["meta_loss"]
    assert [phase.epochs for phase in Run(config.model_copy(update={"fine_tune_share": 0.0})).phases] == [5]


def taught(folder: Path, **settings: object) -> Distillation:
    """A student of a teacher with random logits on the images of its task."""
    of = task(method="distillation", teacher=str(folder), **settings)
    held = {"logits": logits_of(IMAGES + TRUSTED, seed=8).detach().numpy(), "images": of.pool_index.numpy()}
    (folder / "0").mkdir(exist_ok=True)
    np.savez(folder / "0" / "logits.npz", dataset=np.array("digits"), **held)
    return Distillation(of)


def test_distillation_is_the_divergence_from_the_teacher_and_cross_entropy_with_the_given_class(tmp_path: Path) -> None:
    method, logits = taught(tmp_path, distill_temperature=3.0, distill_weight=0.7), logits_of(4)
    chosen = batch(method.task, 8, 2, 0, 5)
    q, p = (method.logits[chosen.index] / 3).softmax(1), (logits / 3).softmax(1)
    divergence = (q * (q / p).log()).sum(1)
    expected = (0.7 * 9 * divergence + 0.3 * cross_entropies(logits, chosen.given)).mean()
    torch.testing.assert_close(method.loss(logits, chosen), expected)


def test_when_hot_a_student_matches_the_teacher_s_centred_logits(tmp_path: Path) -> None:
    """Hinton et al., section 2.1: T² times the gradient tends to (z - v) / C, each with its mean taken off."""
    method, logits = taught(tmp_path, distill_temperature=1e3, distill_weight=1.0), logits_of(IMAGES)
    slope = gradient(method.loss(logits, batch(method.task)), logits)
    apart = logits.detach() - method.logits[:IMAGES]
    centred = apart - apart.mean(1, keepdim=True)
    torch.testing.assert_close(slope, centred / CLASSES / IMAGES, rtol=0.02, atol=1e-3)  # the next term is of order 1/T


SMALL = {"model": "mlp", "width": 16, "epochs": 2, "train_size": 200, "meta_size": 50, "val_size": 50}


def teacher_of(folder: Path, **settings: object) -> Run:
    """A trained run that has left its logits in `folder`."""
    return trained_teacher(RunConfig().model_copy(update={"method": "one_hot", **SMALL, **settings}), folder)


def student_of(folder: Path, **settings: object) -> Run:
    return Run(RunConfig().model_copy(update={"method": "distillation", "teacher": str(folder), **SMALL, **settings}))


def test_a_student_gets_its_teacher_logits_for_the_same_image(tmp_path: Path) -> None:
    teacher = teacher_of(tmp_path, seed=3)
    student = student_of(tmp_path, seed=3, width=8, train_on_meta=True)
    assert torch.equal(student.images.index, teacher.images.index)
    chosen = torch.tensor([0, 17, 199, 200, 249])  # of the training part and of the meta set
    teacher.model.eval()
    with torch.no_grad():
        torch.testing.assert_close(student.method.logits[chosen], teacher.model(student.images.batch(chosen)))
    assert epochs(student, 1)[0]["train_loss"] > 0


@pytest.mark.parametrize("other", [{"train_size": 199}, {"val_size": 51}, {"seed": 4}])
def test_a_teacher_of_other_images_is_refused(tmp_path: Path, other: dict[str, int]) -> None:
    teacher_of(tmp_path, seed=3)
    if "seed" in other:  # its file, under the other's seed
        (tmp_path / "3").rename(tmp_path / "4")
    with pytest.raises(DataError, match=r"teacher: expected logits of the student's \d+ images of digits, got .*other"):
        student_of(tmp_path, **{"seed": 3, **other})


def test_a_teacher_that_is_not_there_or_cannot_be_read_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"teacher: expected the logits of a teacher for seed 5, got nothing at .*train"
    ):
        student_of(tmp_path, seed=5)
    (tmp_path / "5").mkdir()
    (tmp_path / "5" / "logits.npz").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(DataError, match=r"teacher: expected its logits in .* which cannot be read"):
        student_of(tmp_path, seed=5)
    (problem,) = check_config(RunConfig(method="distillation"))
    assert problem.startswith("teacher: expected the logits of a teacher for seed 0, got none; ")
