"""Each metric by hand on a handful of numbers."""

import math

import pytest
import torch
from torch import nn

from harness.training.config.run_config import RunConfig
from harness.training.data.images import Images
from harness.training.metrics import calibration_error, evaluate, label_metrics, mistakes_auc
from harness.training.run import Run


def test_loss_and_accuracy_of_a_part() -> None:
    model = nn.Sequential(nn.Flatten(), nn.Dropout(0.5))  # in eval mode the image's pixels are the logits
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.5]])
    images = Images.from_tensors(logits.view(4, 3, 1, 1), torch.tensor([0, 1, 2, 2]), 3)
    metrics = evaluate(model.train(), images, "val")
    losses = [
        math.log(math.e**2 + 2) - 2,
        math.log(math.e + 2) - 1,
        math.log(math.e**3 + 2),
        math.log(math.e**0.5 + 2) - 0.5,
    ]
    # Confidences 0.79, 0.58, 0.91 (wrong) and 0.45 fall into bins of their own.
    unsure = [math.e**2 / (math.e**2 + 2), math.e / (math.e + 2), math.e**0.5 / (math.e**0.5 + 2)]
    gap = (sum(1 - p for p in unsure) + math.e**3 / (math.e**3 + 2)) / 4
    assert metrics == {
        "val_loss": pytest.approx(sum(losses) / 4),
        "val_accuracy": 0.75,
        "val_calibration_error": pytest.approx(gap),
    }
    assert model.training


def test_predictions_of_one_bin_are_off_by_their_means_alone() -> None:
    confidence = torch.tensor([0.95, 0.97, 0.99, 0.96])
    assert calibration_error(confidence, torch.tensor([True, True, False, True])) == pytest.approx(0.9675 - 0.75)
    assert calibration_error(torch.ones(3), torch.ones(3, dtype=torch.bool)) == 0


def test_a_bin_holds_its_upper_end() -> None:
    """1/15 is the first bin's and a little more the second's, where it cannot be set off against the first."""
    at, above = 1 / 15, 1 / 15 + 1e-6
    right = torch.tensor([True, False])
    apart = calibration_error(torch.tensor([at, above], dtype=torch.float64), right)
    together = calibration_error(torch.tensor([at, at], dtype=torch.float64), right)
    assert apart == pytest.approx((1 - at + above) / 2)
    assert together == pytest.approx((1 - 2 * at) / 2)


def test_a_calibrated_model_comes_near_zero_as_images_grow() -> None:
    draw = torch.Generator().manual_seed(3)
    errors = []
    for images in (100, 100_000):
        confidence = 0.1 + 0.9 * torch.rand(images, generator=draw)
        errors.append(calibration_error(confidence, torch.rand(images, generator=draw) < confidence))
    assert errors[0] > 0.02, "few images: above zero by chance alone"
    assert errors[1] < 0.01


SOFT = torch.tensor([[0.6, 0.4, 0.0], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5]])
TRUTH = torch.tensor([0, 2, 1, 1, 1])
GIVEN = torch.tensor([0, 1, 0, 0, 1])  # rows 1, 2 and 3 are wrong at first, 1 and 2 are right now; 4 is wrong now


def test_label_metrics() -> None:
    entropy = -sum(p * math.log(p) for p in SOFT.flatten().tolist() if p > 0) / 5
    assert label_metrics(SOFT, GIVEN, TRUTH) == {
        "label_accuracy": pytest.approx(3 / 5),
        "noisy_labels_corrected": pytest.approx(2 / 3),
        "clean_labels_kept": pytest.approx(1 / 2),
        "label_entropy": pytest.approx(entropy),
    }


def test_without_noise_nothing_can_be_corrected() -> None:
    assert "noisy_labels_corrected" not in label_metrics(SOFT, TRUTH, TRUTH)


def test_where_all_labels_are_wrong_none_can_be_kept() -> None:
    metrics = label_metrics(SOFT, (TRUTH + 1) % 3, TRUTH)
    assert "clean_labels_kept" not in metrics
    assert metrics["noisy_labels_corrected"] == pytest.approx(3 / 5)


@pytest.mark.parametrize("ties", [False, True])
def test_mistakes_auc_is_the_chance_that_a_wrong_label_lost_more_than_a_right_one(ties: bool) -> None:
    draw = torch.Generator().manual_seed(4)
    soft = torch.rand(60, 5, generator=draw).softmax(1)
    if ties:
        soft = (soft * 20).round() / 20
    given, truth = (torch.randint(5, (60,), generator=draw) for _ in range(2))
    truth[::7] = -1  # unknown
    lost = 1 - soft.gather(1, given[:, None])[:, 0]
    wrong, right = lost[(truth >= 0) & (given != truth)], lost[given == truth]
    pairs = (wrong[:, None] > right).double() + 0.5 * (wrong[:, None] == right).double()
    assert mistakes_auc(soft, given, truth) == {"mistakes_auc": pytest.approx(float(pairs.mean()), abs=1e-12)}


def test_where_no_label_or_each_is_wrong_there_is_nothing_to_rank() -> None:
    assert mistakes_auc(SOFT, TRUTH, TRUTH) == {}
    assert mistakes_auc(SOFT, (TRUTH + 1) % 3, TRUTH) == {}


RUN = RunConfig(noise="symmetric", noise_rate=0.4, width=8, epochs=3, train_size=200, label_lr=0.5)


@pytest.mark.parametrize("labels", ["instance", "class"])
def test_a_learned_run_says_how_its_labels_moved(labels: str) -> None:
    run = Run(RUN.model_copy(update={"labels": labels, "label_warmup_epochs": 1}))
    still = run.train_epoch()
    assert still["label_moved"] == 0
    assert still["mistakes_auc"] == 0.5
    assert "label_step_norm" not in still, "no label step in the warm-up"
    start = run.soft_labels
    moving = run.train_epoch()
    assert moving["label_moved"] == pytest.approx(float((run.soft_labels - start).abs().sum(1).mean() / 2))
    assert moving["mistakes_auc"] != 0.5
    assert moving["label_gradient_norm"] > 0
    assert moving["label_step_norm"] > 0


def test_the_label_step_is_the_gradient_times_the_rate_where_nothing_is_projected() -> None:
    run = Run(RUN.model_copy(update={"label_lr": 1e-4, "label_smoothing": 0.5}))
    metrics = run.train_epoch()
    # The projection takes out what would change a label's sum, and leaves no more than the gradient asked for.
    assert 0 < metrics["label_step_norm"] <= 1e-4 * metrics["label_gradient_norm"] * 1.001


def test_a_baseline_says_nothing_of_labels_that_move() -> None:
    metrics = Run(RUN.model_copy(update={"method": "one_hot"})).train_epoch()
    assert not {"label_moved", "mistakes_auc", "label_gradient_norm", "label_step_norm"} & metrics.keys()
