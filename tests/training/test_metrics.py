"""Each metric by hand on a handful of numbers."""

import math

import pytest
import torch
from torch import nn

from harness.training.data import Images
from harness.training.metrics import evaluate, label_metrics


def test_loss_and_accuracy_of_a_part() -> None:
    model = nn.Flatten()  # the image's pixels are the logits
    logits = torch.tensor([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 0.5]])
    images = Images.of(logits.view(4, 3, 1, 1), torch.tensor([0, 1, 2, 2]), 3)
    metrics = evaluate(model.train(), images, "val")
    losses = [
        math.log(math.e**2 + 2) - 2,
        math.log(math.e + 2) - 1,
        math.log(math.e**3 + 2),
        math.log(math.e**0.5 + 2) - 0.5,
    ]
    assert metrics == {"val_loss": pytest.approx(sum(losses) / 4), "val_accuracy": 0.75}
    assert model.training


def test_evaluation_sees_dropout_switched_off() -> None:
    images = Images.of(torch.rand(40, 3, 1, 1), torch.arange(40) % 3, 3)
    model = nn.Sequential(nn.Dropout(0.5), nn.Flatten())
    assert evaluate(model, images, "meta") == evaluate(model, images, "meta")


SOFT = torch.tensor([[0.6, 0.4, 0.0], [0.1, 0.1, 0.8], [0.0, 1.0, 0.0], [0.5, 0.2, 0.3], [0.2, 0.3, 0.5]])
TRUTH = torch.tensor([0, 2, 1, 1, 1])
GIVEN = torch.tensor([0, 1, 0, 0, 1])  # rows 1, 2 and 3 are wrong at first; 1 and 2 have been put right; 4 was spoiled


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
