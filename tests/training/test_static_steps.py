"""No step of any method waits for the device, or makes a shape that depends on values.

Runs train on torch's device "meta", whose tensors have shapes and no values: to read one raises an error, whether for a
condition, a number or the size of a result. So a run on it comes as far as the first read.
"""

import copy
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from harness.training import metrics
from harness.training.batches import batches_per_epoch
from harness.training.config.methods import METHODS
from harness.training.data.splits import load_splits
from harness.training.run import Run
from tests.training.run_helpers import config_of, tensors

META = torch.device("meta")
PLAIN = {"noise": "symmetric", "noise_rate": 0.4, "width": 8, "epochs": 4, "train_size": 150, "batch_size": 32}
IMAGES = {"model": "cnn", "width": 4, "augment": "crop_flip_cutout", "optimizer": "adam"}
TRUSTED = {"train_on_meta": True, "meta_size": 50, "meta_batch_size": 30, "meta_balanced": True}
EARLY = {"meta_interval": 2, "sat_start_epoch": 0, "label_follow": 0.3, "label_schedule": "model"}

CASES: list[tuple[str, dict[str, Any]]] = [
    *((method, kind) for method in METHODS for kind in (PLAIN | EARLY, PLAIN | EARLY | IMAGES | TRUSTED)),
    *(
        ("learned", {**PLAIN, **EARLY, **TRUSTED, "labels": labels, "label_form": form, "label_momentum": 0.5})
        for labels in ("instance", "class")
        for form in ("simplex", "softmax", "exponentiated")
    ),
    *(
        ("learned", {**PLAIN, **EARLY, **IMAGES, "label_gradient": estimator, "label_layers": layers})
        for estimator in ("forward", "forward_recompute", "double_backward", "finite_difference")
        for layers in ("all", "head")
    ),
]


class Copies(TorchDispatchMode):
    """Counts copies between devices for which the program waits."""

    def __init__(self) -> None:
        super().__init__()
        self.blocking = 0

    def __torch_dispatch__(self, operation: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = operation.overloadpacket
        if name is torch.ops.aten._to_copy:
            moved = kwargs.get("device") not in (None, args[0].device)
            self.blocking += moved and not kwargs.get("non_blocking")
        elif name is torch.ops.aten.copy_:
            self.blocking += args[0].device != args[1].device
        return operation(*args, **kwargs)


def moved_to_meta(run: Run) -> None:
    """Move every tensor of a run that would be on a GPU; the images of its phases are known by now."""
    phases = run.phases
    run.method.phases = lambda: phases  # type: ignore[method-assign]
    on_host = {id(tensor) for tensor in [*run.global_stream.state, run.task.meta.classes]}
    for tensor in {id(tensor): tensor for tensor in tensors([run, phases])}.values():
        if id(tensor) not in on_host:
            torch.utils.swap_tensors(tensor, tensor.detach().to(META).requires_grad_(tensor.requires_grad))
    run.device = META


@pytest.mark.parametrize(("method", "settings"), CASES)
def test_an_epoch_reads_no_value_before_its_last_step_has_ended(
    method: str, settings: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch, "autocast", lambda *_, **__: nullcontext())  # it knows no device meta
    config = config_of(method, tmp_path, **settings)
    run = Run(config, copy.deepcopy(load_splits(config)))
    steps = batches_per_epoch(len(run.phases[0].images), config.batch_size)
    moved_to_meta(run)
    with Copies() as copies, pytest.raises(RuntimeError, match="meta tensor"):
        run.train_epoch()
    assert run.model_steps == steps > 1
    assert copies.blocking == 0


def test_a_step_that_reads_a_value_is_found(tmp_path: Path) -> None:
    config = config_of("one_hot", tmp_path, **PLAIN)
    run = Run(config, copy.deepcopy(load_splits(config)))
    moved_to_meta(run)
    plain = run.method.loss
    run.method.loss = lambda logits, batch: plain(logits, batch) * (batch.given == 0).nonzero().shape[0]  # type: ignore[method-assign]
    with pytest.raises(RuntimeError, match="meta"):
        run.train_epoch()
    assert run.model_steps == 0


def test_an_evaluation_reads_no_value_before_its_last_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "EVALUATION_BATCH", 64)
    config = config_of("one_hot", tmp_path, **PLAIN, val_size=150)
    run, sizes = Run(config, copy.deepcopy(load_splits(config))), []
    moved_to_meta(run)
    run.model.register_forward_hook(lambda module, inputs, logits: sizes.append(len(logits)))
    with Copies() as copies, pytest.raises(RuntimeError, match="meta tensor"):
        metrics.evaluate(run.model, run.splits.val, "val")
    assert sizes == [64, 64, 22]
    assert copies.blocking == 0


def test_the_runs_of_a_process_share_the_pixels_on_a_device(tmp_path: Path) -> None:
    first, second = (load_splits(config_of("one_hot", tmp_path, **PLAIN, seed=seed)).to(META) for seed in (0, 1))
    assert first.train.pixels is second.val.pixels
    assert first.train.pixels.stored.device == META
