"""Every network by its name, torchvision's, and one's own."""

import re
import sys
from pathlib import Path

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from harness.training.config.registry import MODELS
from harness.training.config.run_config import RunConfig
from harness.training.errors import DataError
from harness.training.models import build_model
from harness.training.models.residual_networks import StridedPointwiseConv
from harness.training.run import Run
from tests.training.run_helpers import epochs

SHAPE = torch.Size((3, 16, 16))


def parameters(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("name", MODELS)
def test_every_model_gives_logits_and_a_gradient_to_each_parameter(name: str) -> None:
    torch.manual_seed(0)
    model = build_model(name, SHAPE, 7, 2)
    assert model.training
    logits = model(torch.randn(5, *SHAPE))
    assert logits.shape == (5, 7)
    logits.square().sum().backward()
    for parameter in model.parameters():
        assert parameter.grad is not None
        assert parameter.grad.abs().sum() > 0


@pytest.mark.parametrize(
    ("name", "width", "expected"),
    [
        ("resnet18", 64, 11_173_962),  # published for CIFAR-10: 11.17 M (kuangliu/pytorch-cifar)
        ("resnet34", 64, 21_282_122),  # 21.28 M
        ("wrn28", 10, 36_479_194),  # 36.5 M in table 4 of the paper
    ],
)
def test_networks_have_the_size_that_is_published(name: str, width: int, expected: int) -> None:
    with torch.device("meta"):
        module, _, function = MODELS[name].partition(":")
        model = getattr(__import__(module, fromlist=[function]), function)((3, 32, 32), 10, width)
    assert parameters(model) == expected
    convolutions = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)]
    # Beside 3×3 convolutions the depth in a ResNet's name counts the last layer, that in WRN-28 the three shortcuts.
    assert len(convolutions) == int(re.findall(r"\d+", name)[0]) - 1 - (2 if name == "wrn28" else 0)


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (1, 1)])
@pytest.mark.parametrize("every", [2, 3])
def test_a_thinned_convolution_is_the_one_with_that_stride(every: int, size: tuple[int, int]) -> None:
    thinned = StridedPointwiseConv(20, 5, every)
    inputs = torch.randn(3, 20, *size)
    expected = torch.nn.functional.conv2d(inputs, thinned.weight, stride=every)
    torch.testing.assert_close(thinned(inputs), expected)


@pytest.mark.parametrize("name", ["resnet18", "wrn28", "cnn"])
def test_labels_are_learned_beside_convolutional_networks(name: str) -> None:
    config = RunConfig(model=name, width=2, noise="symmetric", noise_rate=0.4, train_size=128, meta_size=40)
    run = Run(config)
    before = run.soft_labels
    (metrics,) = epochs(run, 1)
    assert not torch.equal(run.soft_labels, before)
    assert metrics["train_loss"] > 0


def test_a_network_of_torchvision_is_made_for_the_classes_at_hand() -> None:
    for channels in (1, 3):
        model = build_model("torchvision:mobilenet_v3_small", torch.Size((channels, 32, 32)), 5, 1)
        assert model(torch.randn(2, channels, 32, 32)).shape == (2, 5)


def test_a_user_s_own_network_is_found_in_the_folder_where_the_user_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my_networks.py").write_text(
        "from torch import nn\n\n\ndef linear(shape, classes, width):\n"
        "    return nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    model = build_model("my_networks:linear", SHAPE, 7, 2)
    assert parameters(model) == (3 * 16 * 16 + 1) * 7


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no_such_module:f", "expected a function of a module that can be imported, got the error: No module named"),
        ("tests.training.own_models:absent", "got the error: module 'tests.training.own_models' has no attribute"),
        ("tests.training.own_models:of_one_logit", r"expected logits \[2, 7\] for two images, got \[2, 1\]"),
        ("tests.training.own_models:failing", "got the error: the wrong way up"),
        ("torchvision:resnet19", "expected one of .*resnet18.*, got 'resnet19'"),
        ("torchvision:alexnet", r"expected a network for images \[3, 16, 16\], .*choose another model"),
    ],
)
def test_a_network_that_cannot_serve_is_refused_in_words(name: str, words: str) -> None:
    with pytest.raises(DataError, match=words):
        build_model(name, SHAPE, 7, 2)


@pytest.mark.parametrize(
    ("name", "remedy"),
    [("resnet81", "did you mean resnet18?"), ("transformer", "use one of linear, mlp, cnn, resnet18")],
)
def test_an_unknown_name_is_refused_by_the_configuration(name: str, remedy: str) -> None:
    with pytest.raises(ValidationError, match=re.escape(remedy)):
        RunConfig(model=name)
