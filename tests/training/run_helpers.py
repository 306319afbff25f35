"""Walking through runs and their states."""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from harness.training.config.run_config import RunConfig, known_settings
from harness.training.config.teacher_files import teacher_logits_file
from harness.training.metrics import Metrics
from harness.training.run import Run
from harness.training.teacher_logits import export_logits


def epochs(run: Run, count: int) -> list[Metrics]:
    """The curve of the next epochs, without the clock."""
    curve = [run.train_epoch() for _ in range(count)]
    for metrics in curve:
        assert metrics.pop("seconds") > 0
    return curve


def trained_teacher(config: RunConfig, folder: Path) -> Run:
    """A teacher that has left its logits in `folder`."""
    teacher = Run(config)
    epochs(teacher, config.epochs)
    export_logits(teacher.model, teacher.images, config.dataset, teacher_logits_file(str(folder), config.seed))
    return teacher


def config_of(method: str, folder: Path, /, **settings: Any) -> RunConfig:
    """A configuration of any method, with those of the settings that it has; a teacher's logits are in `folder`."""
    own = {name: value for name, value in settings.items() if name in known_settings(method)}
    if method == "distillation":
        trained_teacher(config_of("one_hot", folder, **{**settings, "epochs": 1}), folder)
        own["teacher"] = str(folder)
    return RunConfig(**own | {"method": method})


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    """What `torch.save` writes and the safe loader reads back."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    loaded: dict[str, Any] = torch.load(file, weights_only=True)
    return loaded


def assert_resumes(config: RunConfig, total: int, stopped: int) -> tuple[list[Metrics], Run, Run]:
    """Assert that a run goes on from a file bit for bit; return the curve of the whole run, that run, and the other."""
    whole, first, second = Run(config), Run(config), Run(config)
    curve = epochs(whole, total)
    assert epochs(first, stopped) == curve[:stopped]
    second.load_state_dict(through_a_file(first.state_dict()))
    assert second.epoch == stopped
    assert epochs(second, total - stopped) == curve[stopped:]
    assert same_state(second.state_dict(), whole.state_dict())
    return curve, whole, second


def tensors(thing: Any, seen: set[int] | None = None) -> Iterator[Tensor]:
    """Every tensor that can be reached from an object through attributes and containers."""
    seen = set() if seen is None else seen
    if id(thing) in seen:
        return
    seen.add(id(thing))
    if isinstance(thing, Tensor):
        yield thing
    elif isinstance(thing, dict):
        for value in thing.values():
            yield from tensors(value, seen)
    elif isinstance(thing, list | tuple | set | frozenset):
        for value in thing:
            yield from tensors(value, seen)
    elif hasattr(thing, "__dict__"):
        yield from tensors(vars(thing), seen)


def same_state(left: Any, right: Any) -> bool:
    """Bit for bit."""
    if isinstance(left, Tensor):
        return isinstance(right, Tensor) and torch.equal(left, right)
    if isinstance(left, dict):
        return left.keys() == right.keys() and all(same_state(left[key], right[key]) for key in left)
    if isinstance(left, list | tuple):
        return len(left) == len(right) and all(map(same_state, left, right))
    return bool(left == right)
