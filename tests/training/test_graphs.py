"""Model steps that are captured and replayed give the run that steps give which are not, bit for bit.

Without a GPU graphs are recorded operations on the CPU (`recorded_graphs`); `pytest -m cuda` runs the same on one.
"""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

import harness
from harness.metalabel import NoForwardRule
from harness.training.config.checks import check_config
from harness.training.config.methods import METHODS
from harness.training.config.run_config import RunConfig
from harness.training.errors import DataError
from harness.training.graphs import WARM_UP_STEPS
from harness.training.methods import Batch, Method
from harness.training.run import Run
from tests.training.recorded_graphs import RecordedCapture, recorded_on_the_cpu
from tests.training.run_helpers import config_of, epochs, same_state, through_a_file

pytestmark = pytest.mark.filterwarnings("ignore:.*deterministic")  # torch's, of operations that have no such form

PLAIN = {"noise": "symmetric", "noise_rate": 0.4, "width": 8, "epochs": 5, "train_size": 150, "batch_size": 16}
IMAGES = {"model": "cnn", "width": 4, "augment": "crop_flip_cutout", "optimizer": "adam", "lr": 0.003}
TRUSTED = {"train_on_meta": True, "meta_size": 50, "meta_batch_size": 30, "meta_balanced": True}
EARLY = {"meta_interval": 2, "sat_start_epoch": 1, "label_follow": 0.3, "label_follow_after": 1, "label_lr": 0.5}
CASES: list[tuple[str, dict[str, Any]]] = [
    *((method, kind) for method in METHODS for kind in (PLAIN | EARLY, PLAIN | EARLY | IMAGES | TRUSTED)),
    ("learned", {**PLAIN, **EARLY, **TRUSTED, "labels": "class", "label_momentum": 0.5, "label_schedule": "model"}),
    ("learned", {**PLAIN, **EARLY, "label_form": "exponentiated", "label_decay": 0.01, "label_schedule": "model"}),
    ("learned", {**PLAIN, **EARLY, "optimizer": "adamw", "label_layers": "head", "retrain_share": 0.5}),
    ("learned", {**PLAIN, **EARLY, "nesterov": True, "changes": "2: label_lr=0.1 momentum=0.5 meta_interval=3"}),
    ("learned", {**PLAIN, **EARLY, **IMAGES, "label_gradient": "double_backward"}),
    ("learned", {**PLAIN, **EARLY, "label_gradient": "finite_difference"}),
]


class Own(Method):
    """A method that does not say whether its steps can be captured."""


class Frozen(Own):
    """A method that says they can, while Python passes another number to each."""

    static_steps = True

    def loss(self, logits: Tensor, batch: Batch) -> Tensor:
        return super().loss(logits, batch) / (1 + batch.step)


class Captured:
    """Runs with and without graphs on the device at hand."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, device: str) -> None:
        self.monkeypatch, self.device = monkeypatch, device
        self.capture = RecordedCapture()

    def start(self, config: RunConfig, graph: str) -> Run:
        config = config.model_copy(update={"graph": graph, "device": self.device})
        if self.device == "cpu":
            self.capture = RecordedCapture()
            recorded_on_the_cpu(self.monkeypatch, self.capture)
        run = Run(config)
        self.capture.run = run
        return run


@pytest.fixture(params=["cpu", pytest.param("cuda", marks=pytest.mark.cuda)])
def captured(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Captured:
    return Captured(monkeypatch, request.param)


@pytest.mark.parametrize(("method", "settings"), CASES)
def test_a_run_of_graphs_equals_one_without_bit_for_bit(
    method: str, settings: dict[str, Any], captured: Captured, tmp_path: Path
) -> None:
    config = config_of(method, tmp_path, **settings)
    plain, run = captured.start(config, "off"), captured.start(config, "auto")
    assert epochs(run, config.epochs) == epochs(plain, config.epochs)
    saved, expected = run.state_dict(), plain.state_dict()
    assert same_state({**saved, "config": None}, {**expected, "config": None})
    assert run.steps.warnings == []
    assert run.steps.recorded
    assert not plain.steps.recorded
    if captured.device == "cpu":
        assert captured.capture.replays > run.model_steps / 4


def test_each_kind_of_step_and_size_of_batch_has_a_graph_after_its_warm_up(captured: Captured, tmp_path: Path) -> None:
    settings = {**PLAIN, "meta_interval": 3, "epochs": 4, "train_size": 150, "batch_size": 20}  # 7 × 20 + 10
    run = captured.start(config_of("learned", tmp_path, **settings), "auto")
    plain, update = (False, 20), (True, 20)  # of three label steps an epoch the first is measured, and runs as it is
    for expected in ({plain}, {plain}, {plain, update}, {plain, update}):
        run.train_epoch()
        assert {(kind[0], size) for kind, size in run.steps.recorded} == expected  # type: ignore[index,misc]
    if captured.device == "cpu":
        # Two kinds of whole batches; of the last batches, one an epoch, no kind has come four times.
        assert captured.capture.recorded == 2
        assert captured.capture.warm_ups == 2 * WARM_UP_STEPS + 4
        assert captured.capture.replays == run.model_steps - captured.capture.warm_ups - 4


def test_what_python_passes_to_a_step_is_fixed_when_it_is_captured(captured: Captured, tmp_path: Path) -> None:
    """So a method that is none of the kind is found by these tests: its run is another one."""
    config = config_of("tests.training.test_graphs:Frozen", tmp_path, **PLAIN)
    plain, run = captured.start(config, "off"), captured.start(config, "auto")
    assert epochs(run, 1) != epochs(plain, 1)


@pytest.mark.parametrize(
    "settings",
    [{"optimizer": "sgd"}, {"optimizer": "adam", "lr": 0.003}, {"method": "reweighting"}],
    ids=["sgd", "adam", "reweighting"],
)
def test_a_run_of_graphs_goes_on_from_a_checkpoint_bit_for_bit(
    settings: dict[str, Any], captured: Captured, tmp_path: Path
) -> None:
    config = config_of(settings.get("method", "learned"), tmp_path, **{**PLAIN, **EARLY, **TRUSTED, **settings})
    whole, first = captured.start(config, "auto"), captured.start(config, "auto")
    curve = epochs(captured.start(config, "off"), 5)
    assert epochs(first, 2) == curve[:2]
    state = through_a_file(first.state_dict())
    second = captured.start(config, "auto")
    epochs(second, 1)  # it has graphs of its own, of which none may be left
    second.load_state_dict(state)
    assert epochs(second, 3) == curve[2:]
    assert second.steps.recorded
    captured.capture.run = whole


def test_steps_that_can_be_captured_are_those_of_a_run_on_the_cpu_but_for_rounding(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for optimizer in ("sgd", "adam", "adamw"):
        settings = {**PLAIN, **EARLY, "optimizer": optimizer, "lr": 0.01, "epochs": 2}
        config = config_of("learned", tmp_path, **settings)
        plain = epochs(Run(config), 2)
        with monkeypatch.context() as patched:
            capture = RecordedCapture()
            recorded_on_the_cpu(patched, capture)
            capture.run = run = Run(config)
            for ours, theirs in zip(epochs(run, 2), plain, strict=True):
                assert ours == pytest.approx(theirs, rel=1e-3, abs=1e-4)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried …"), "memory ran out"),
        (RuntimeError("operation not permitted when stream is capturing\n(…)"), "operation not permitted when stream"),
        (NoForwardRule("EluBackward0 has no forward-mode rule"), "EluBackward0 has no forward-mode rule"),
    ],
)
def test_a_step_that_cannot_be_captured_runs_as_it_is_and_says_so_once(
    error: Exception, words: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    config = config_of("learned", tmp_path, **PLAIN, **EARLY)
    capture = RecordedCapture(fails_with=error)
    recorded_on_the_cpu(monkeypatch, capture)
    expected = epochs(Run(config.model_copy(update={"graph": "off"})), 3)
    run = Run(config)
    assert epochs(run, 3) == expected
    (warning,) = run.steps.warnings
    assert warning.startswith("graph: a model step could not be captured (" + words)
    assert warning.endswith("training goes on without graphs, more slowly")
    assert capture.released == 1


def test_training_from_python_warns_of_steps_that_cannot_be_captured(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    recorded_on_the_cpu(monkeypatch, RecordedCapture(fails_with=torch.OutOfMemoryError("CUDA out of memory")))
    config = config_of("one_hot", tmp_path, **{**PLAIN, "epochs": 2})
    with pytest.warns(UserWarning, match="graph: a model step could not be captured") as found:
        assert len(harness.train(config)) == 2
    assert len(found) == 1


def test_what_cannot_be_captured_is_refused_where_it_was_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    config = config_of("one_hot", tmp_path, **PLAIN)
    assert Run(config).steps.capture is None
    asked = config.model_copy(update={"graph": "on"})
    with pytest.raises(DataError, match="graph: expected a GPU for on, got a run on the CPU; set graph: auto"):
        Run(asked)
    assert check_config(asked.model_copy(update={"device": "cpu"})) == [
        "graph: expected a GPU for on, got device: cpu; set graph: auto"
    ]
    recorded_on_the_cpu(monkeypatch, RecordedCapture())
    with pytest.raises(DataError, match="graph: expected compile: false beside on, got true"):
        Run(asked.model_copy(update={"compile": True}))
    own = config_of("tests.training.test_graphs:Own", tmp_path, **PLAIN)
    with pytest.raises(DataError, match="graph: expected a method with static_steps = True for on, got tests"):
        Run(own.model_copy(update={"graph": "on"}))
    run = Run(own)
    epochs(run, 2)
    assert run.steps.warnings == []
    assert not run.steps.recorded
